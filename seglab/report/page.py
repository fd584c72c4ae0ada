"""The page of a report: a notebook's report cells, as one HTML file that needs nothing else.

Only cells tagged `report` appear, of code cells what they show. Pictures lie inside the file, and so does the one
script that it may run, the viewer's; there is no address of anything that would have to be fetched.
"""

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
from seglab.viz.widgets.html import document, fragment
from seglab.viz.widgets.viewer import Viewer

SCENE = "application/vnd.seglab.scene+json"  # what a viewer shows, on its way into a page; see `page.Scene`
QUIET = ["--IPKernelApp.log_level=40"]  # a kernel on this machine need not warn that its messages are not encrypted


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", []))


REPORT = "report"  # tag of the cells that make up the page


class Html(str):
    """A piece of the page; a notebook shows it as what it says."""

    def _repr_html_(self) -> str:
        return str(self)


def paragraph(*sentences: str, tag: str = "p", kind: str = "") -> Html:
    """Sentences as text, whatever the names in them hold.

    Args:
        tag: element of HTML.
        kind: its class; "note" is small and grey.
    """
    return Html(f'<{tag} class="{html.escape(kind)}">{html.escape(" ".join(sentences))}</{tag}>')


def details(title: str, *tables: pd.DataFrame, digits: int = 3) -> Html:
    """Tables that are shown when somebody wants them."""
    inside = "".join(f'<div class="table">{t.rename_axis(None).round(digits).to_html()}</div>' for t in tables)
    return Html(f'<details class="wide"><summary>{html.escape(title)}</summary>{inside}</details>')


class Scene:
    """A viewer that lives on in the page; where there is no script, and on paper, its still picture stands there."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = self.viewer._repr_mimebundle_(**kwargs)
        return bundle | {SCENE: {"data": self.viewer.data, "state": self.viewer.state}}, metadata


def render(template: Path, out: Path, title: str, progress: bool = True) -> Path:
    """Execute a notebook's report cells on the report in a folder, and write its page there: `OUT/index.html`."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        asked, done = Path(folder) / "asked.ipynb", Path(folder) / "executed.ipynb"
        nb = nbformat.read(template, as_version=4)
        nb.cells = [cell for cell in nb.cells if {REPORT, "parameters"} & set(tags(cell))]  # the lesson stays at home
        nbformat.write(nb, asked)
        papermill.execute_notebook(
            str(asked), str(done), {"REPORT": str(out.resolve())}, kernel_name="python3", cwd=str(template.parent),
            progress_bar={"desc": "page", "unit": "cell"} if progress else False, extra_arguments=QUIET,
        )  # fmt: skip
        nb = nbformat.read(done, as_version=4)
    path = out / "index.html"
    path.write_text(to_html(nb, title), encoding="utf-8")
    return path


def to_html(nb: nbformat.NotebookNode, title: str) -> str:
    """The report cells of an executed notebook as a page. Whatever names hold, they are only text."""
    body = "\n".join(part for cell in nb.cells if REPORT in tags(cell) for part in _cell(cell))
    body, contents = _anchored(body)
    links = "".join(f'<a href="#{anchor}">{said}</a>' for anchor, said in contents.items())
    return document(title, f"<nav>{links}</nav>\n<main>\n{body}\n</main>", _STYLE, kind="report")


def _cell(cell: nbformat.NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield _markdown(cell.source)
        return
    for output in cell.get("outputs", []):
        if output.output_type in ("display_data", "execute_result"):
            yield _shown(output.data, output.get("metadata", {}))


def _shown(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """The richest form of an output that stays as it is without a network."""
    if SCENE in data:
        scene = fragment(data[SCENE]["data"], data[SCENE]["state"])
        still = _shown({"image/png": data["image/png"]}, metadata)
        return f'{scene}<div class="still">{still}</div>'
    if "text/html" in data:
        shown = hide_paths(data["text/html"])
        return f'<div class="table">{shown}</div>' if "<table" in shown and "<details" not in shown else shown
    if "image/png" in data:
        said = html.escape(metadata.get("image/png", {}).get("alt", ""), quote=True)
        width = metadata.get("image/png", {}).get("width", "")
        png = data["image/png"].replace("\n", "")
        return f'<figure><img alt="{said}" width="{width}" src="data:image/png;base64,{png}"></figure>'
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    return f"<p>{html.escape(hide_paths(str(data.get('text/plain', ''))))}</p>"


def _markdown(text: str) -> str:
    from nbconvert.filters import markdown2html

    return str(markdown2html(text))


def _anchored(body: str) -> tuple[str, dict[str, str]]:
    """Second-level headings get a name to be linked by; and these names, with what the headings say."""
    contents: dict[str, str] = {}

    def anchor(match: "re.Match[str]") -> str:
        said = re.sub(r"<[^>]+>|¶|&#182;|&para;", "", match[1])  # markdown's converter links each heading to itself
        name = f"section-{len(contents) + 1}"
        contents[name] = said
        return f'<h2 id="{name}">{said}</h2>'

    return re.sub(r"<h2[^>]*>(.*?)</h2>", anchor, body, flags=re.DOTALL), contents


_STYLE = """
:root { --ink: #1f2933; --soft: #62707d; --line: #e4e8ec; --accent: #30638e; --paper: #ffffff; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
nav { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; justify-content: center;
  padding: .55rem 1rem; background: #fffffff2; border-bottom: 1px solid var(--line); font-size: .85rem; }
nav a { color: var(--soft); text-decoration: none; }
nav a:hover, nav a:focus { color: var(--accent); text-decoration: underline; }
h1 { font-size: 2rem; line-height: 1.2; margin: 1.6rem 0 .4rem; text-wrap: balance; }
h2 { font-size: 1.35rem; margin: 2.8rem 0 .4rem; scroll-margin-top: 4rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
p, ul, ol, details { max-width: 46rem; }
details.wide { max-width: none; }
.note { color: var(--soft); font-size: .88rem; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; }
.table { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; border: 0; }
th, td { padding: .28rem .7rem; text-align: right; white-space: nowrap; border: 0;
  border-bottom: 1px solid var(--line); }
thead th { white-space: normal; border-bottom: 2px solid var(--ink); vertical-align: bottom; }
tbody th, td.text { text-align: left; font-weight: 500; }
tbody tr:hover { background: #f5f7f9; }
code, pre { font: .85rem/1.5 ui-monospace, "Cascadia Mono", Consolas, monospace; }
pre { background: #f5f7f9; padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; max-width: 100%; }
summary { cursor: pointer; color: var(--accent); margin: .6rem 0; }
@media (max-width: 40rem) { body { font-size: 15px; } h1 { font-size: 1.5rem; } nav { position: static; } }
.seglab-scene { margin: .6rem 0 1.4rem; }
.live .still { display: none; }
@media print { .seglab-scene { display: none; } .live .still { display: block; }
  nav { display: none; } main { max-width: none; padding: 0; } h2, h3 { break-after: avoid; }
  figure, tr, pre { break-inside: avoid; } details > * { display: block; } body { font-size: 10.5pt; }
  .table { overflow: visible; } table { font-size: 8.5pt; } th, td { padding: .2rem .4rem; } }
"""
