"""Text from elsewhere, such as names of files and classes: on a terminal and in tables."""

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from seglab._utils.paths import replacing

if TYPE_CHECKING:
    import pandas as pd

# Control characters except tab and line break, marks that turn the direction of text, and parts of characters.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """The text with control characters as escapes (`\\x1b`): they could rewrite or hide what a terminal shows."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def echo(text: str, mark: str = "", color: str = "", err: bool = False) -> None:
    """Print `printable` text in a command, after a coloured mark; with `err`, as an error."""
    import typer

    typer.echo(f"{typer.style(mark, fg=color)} {printable(text)}" if mark else printable(text), err=err)


def csv_text(table: "pd.DataFrame", digits: int | None = 6) -> str:
    """A table as CSV: equal values give equal text on every system; with `digits` None, numbers have all their digits.

    A cell that a spreadsheet would compute, because its text begins with `=`, `+`, `-` or `@`, begins with an
    apostrophe instead; numbers stay as they are.
    """
    text = table.to_csv(float_format=None if digits is None else f"%.{digits}f", lineterminator="\n")
    out = io.StringIO()
    rows = ([_inert(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")))
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def write_csv(table: "pd.DataFrame", path: Path, digits: int | None = 6) -> None:
    """Write `csv_text` to a file, which is replaced as a whole."""
    with replacing(path) as unfinished:
        unfinished.write_text(csv_text(table, digits), encoding="utf-8", errors="backslashreplace", newline="")


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
