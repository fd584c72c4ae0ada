"""Check a report: evaluate its plan again, and compare every pixel, every value of its tables, and its page."""

from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from seglab._utils.hashing import sha256_file
from seglab._utils.paths import file_names, hide_paths
from seglab.evaluation.results import Results
from seglab.report.build import HASHED, KEYS, manifest_of, measure, write_tables
from seglab.report.plan import plan_from


def check(out: str | Path, progress: bool = True) -> list[str]:
    """Evaluate a report's plan again; returns a line for each difference. ValueError if no report is finished there.

    Models compute on the runtimes that the manifest states; ValueError if one of them is not installed.
    """
    out = Path(out)
    manifest = manifest_of(out)
    plan = plan_from(manifest["plan"], "the manifest")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measured = measure(plan, folder / "counts.sqlite", progress, manifest.get("runs") or ())
        for data, name in file_names(measured).items():
            write_tables(measured[data], folder / "tables" / name)
        return [
            *_changed_files(out, manifest), *_differing_rows(out / "index.html", measured),
            *_differing_pixels(out / "counts.parquet", measured),
            *_differing_cells(folder / "tables", out / "tables"),
        ]  # fmt: skip


def _changed_files(out: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """The files that are missing, or are not those that were written; reports of earlier versions keep no hashes."""
    hashes = manifest.get("files")
    for name in HASHED:
        if not (out / name).is_file():
            yield f"{name}: missing"
        elif isinstance(hashes, Mapping) and sha256_file(out / name) != hashes.get(name):
            yield f"{name}: changed after the report was written"


class _Rows(HTMLParser):
    """The rows of all tables of a page, as the texts of their cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")
        if self.inside and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside and self.rows:
            self.rows[-1][-1] += data


def _differing_rows(page: Path, measured: Mapping[str, Results]) -> Iterator[str]:
    """For each class of a data set, the IoU of all models if the page does not state them."""
    if not page.is_file():
        return
    text = page.read_text(encoding="utf-8", errors="replace")
    found = {tuple(cell.strip() for cell in row) for row in _Rows(text).rows}
    for data, results in measured.items():
        for label, values in results.iou_table().iterrows():
            stated = ["–" if pd.isna(value) else f"{value:.3f}" for value in values]
            if (hide_paths(str(label)).strip(), *stated) not in found:
                yield f"{page.name}: {data}, IoU of {label}: the page does not state {', '.join(stated)}"


def _differing_pixels(path: Path, measured: Mapping[str, Results]) -> Iterator[str]:
    """For each model, how many pixels are predicted differently than in the report, at least."""
    try:
        stored = pd.read_parquet(path, columns=["data", *KEYS, "pixels"])
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        yield f"{path.name}: {'missing' if not path.is_file() else f'cannot be read ({error})'}"
        return
    for data, results in measured.items():
        before, now = (rows.groupby(KEYS, dropna=False)["pixels"].sum()
                       for rows in (stored[stored["data"] == data], results.counts))  # fmt: skip
        changes = now.sub(before, fill_value=0).abs()
        for name, pixels in (changes.groupby("model").sum() / 2).items():
            if pixels:
                total = int(results.counts.loc[results.counts["model"] == name, "pixels"].sum())
                yield f"{data}, {name}: at least {pixels:.0f} of {total} pixels differ"


def _differing_cells(new: Path, old: Path) -> Iterator[str]:
    """For each cell of a table, its old and its new text if they differ."""
    for path in sorted({path.relative_to(folder) for folder in (new, old) for path in folder.rglob("*.csv")}):
        if not (new / path).is_file() or not (old / path).is_file():
            yield f"{path.as_posix()}: only in {'this run' if (new / path).is_file() else 'the report'}"
            continue
        ours, theirs = (pd.read_csv(folder / path, dtype=str, keep_default_na=False) for folder in (new, old))
        if ours.shape != theirs.shape or list(ours) != list(theirs):
            yield f"{path.as_posix()}: {ours.shape} cells here, {theirs.shape} in the report"
            continue
        for row, column in zip(*(ours.to_numpy() != theirs.to_numpy()).nonzero(), strict=True):
            before, now = theirs.iloc[row, column], ours.iloc[row, column]
            yield f"{path.as_posix()}: {ours.iloc[row, 0]}, {ours.columns[column]}: {before} in the report, {now} here"
