"""The page of a report: the report cells of a notebook as one HTML file that needs nothing else.

The page holds the Markdown cells and the outputs of the code cells that are tagged `report`. Images and the viewer's
script, the only one that may run, are part of the file; it refers to no other address.
"""

import base64
import html
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode

from seglab._utils.paths import hide_paths
from seglab._utils.text import csv_text
from seglab.viz.widgets.html import document, fragment
from seglab.viz.widgets.viewer import Viewer

REPORT = "report"  # tag of the cells that make up the page
SCENE = "application/vnd.seglab.scene+json"  # MIME type of a viewer's data and state in an output, see `Scene`
QUIET = ["--IPKernelApp.log_level=40"]  # hides the kernel's warning that messages on this machine are not encrypted


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", []))


class Html(str):
    """HTML that a notebook renders; a table is not written a second time as its plain text."""

    def _repr_html_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return "Html(…)" if "<table" in self or "data:" in self else super().__repr__()


def paragraph(*sentences: str, tag: str = "p", kind: str = "") -> Html:
    """Sentences as an HTML element of class `kind` ("note" is small and grey); all special characters are escaped."""
    return Html(f'<{tag} class="{html.escape(kind)}">{html.escape(" ".join(sentences))}</{tag}>')


def linked(shown: Any, table: pd.DataFrame, name: str) -> Html:
    """A table, as `shown` (a DataFrame or a Styler), with a link that saves `table` as NAME.csv."""
    return Html(f'<div class="table">{shown.to_html()}</div>{csv_link(table, name)}')


def csv_link(table: pd.DataFrame, name: str) -> Html:
    """A link that saves a table as the file NAME.csv; the page holds its text, so that it can be sent alone."""
    text = base64.b64encode(csv_text(table).encode(errors="backslashreplace")).decode()
    file = html.escape(f"{name}.csv", quote=True)
    return Html(f'<p class="csv"><a download="{file}" href="data:text/csv;base64,{text}">{file}</a></p>')


def details(title: str, *tables: pd.DataFrame, digits: int = 3, link: str = "") -> Html:
    """Tables in a section that is collapsed at first, and open in print; `link` is HTML below them."""
    inside = "".join(f'<div class="table">{t.rename_axis(None).round(digits).to_html()}</div>' for t in tables) + link
    return Html(f'<details class="wide"><summary>{html.escape(title)}</summary>{inside}</details>')


class Scene:
    """A viewer that stays interactive in the page; its still image replaces it in print and without the script."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = self.viewer._repr_mimebundle_(**kwargs)
        return bundle | {SCENE: {"data": self.viewer.data, "state": self.viewer.state}}, metadata


def render(template: Path, report: Path, page: Path, title: str, progress: bool = True) -> None:
    """Execute a notebook's report cells on the report in a folder, and write them as one HTML file, `page`."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        selected, executed = Path(folder) / "selected.ipynb", Path(folder) / "executed.ipynb"
        nb = nbformat.read(template, as_version=4)
        nb.cells = [cell for cell in nb.cells if {REPORT, "parameters"} & set(tags(cell))]
        nbformat.write(nb, selected)
        papermill.execute_notebook(
            str(selected), str(executed), {"REPORT": str(report.resolve())}, kernel_name="python3",
            cwd=str(template.parent), extra_arguments=QUIET,
            progress_bar={"desc": "page", "unit": "cell"} if progress else False,
        )  # fmt: skip
        nb = nbformat.read(executed, as_version=4)
    page.write_text(to_html(nb, title), encoding="utf-8", errors="backslashreplace")


def to_html(nb: NotebookNode, title: str) -> str:
    """The report cells of an executed notebook as a page; names in them are escaped."""
    body = "\n".join(part for cell in nb.cells if REPORT in tags(cell) for part in _cell(cell))
    headings: list[str] = []

    def anchor(match: "re.Match[str]") -> str:
        headings.append(re.sub(r"<[^>]+>|¶|&#182;|&para;", "", match[1]))  # without the link that nbconvert adds
        return f'<h2 id="section-{len(headings)}">{headings[-1]}</h2>'

    body = re.sub(r"<h2[^>]*>(.*?)</h2>", anchor, body, flags=re.DOTALL)
    links = "".join(f'<a href="#section-{i}">{heading}</a>' for i, heading in enumerate(headings, 1))
    style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    return document(title, f"<nav>{links}</nav>\n<main>\n{body}\n</main>", style)


def _cell(cell: NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield _markdown(cell.source)
        return
    for output in cell.get("outputs", []):
        if output.output_type in ("display_data", "execute_result"):
            yield _output(output.data, output.get("metadata", {}))


def _output(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """The richest form of an output that needs no network."""
    if SCENE in data:
        still = {kind: data[kind] for kind in ("image/png", "text/html") if kind in data}
        if "image/png" in still:
            still.pop("text/html", None)
        return f'{fragment(**data[SCENE])}<div class="still">{_output(still, metadata)}</div>'
    if "text/html" in data:
        text = hide_paths(data["text/html"])
        return f'<div class="table">{text}</div>' if "<table" in text and 'class="table"' not in text else text
    if "image/png" in data:
        image = metadata.get("image/png", {})
        alt, png = html.escape(image.get("alt", ""), quote=True), data["image/png"].replace("\n", "")
        return f'<figure><img alt="{alt}" width="{image.get("width", "")}" src="data:image/png;base64,{png}"></figure>'
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    return f"<p>{html.escape(hide_paths(str(data.get('text/plain', ''))))}</p>"


def _markdown(text: str) -> str:
    from nbconvert.filters import markdown2html

    return str(markdown2html(text))
