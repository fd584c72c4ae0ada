"""Notebooks as files: run in place, kept free of what belongs to one run or one machine.

python -m seglab.course.notebooks run notebooks/*.ipynb        execute in place, keep the outputs
python -m seglab.course.notebooks normalise notebooks/*.ipynb  tidy without executing
python -m seglab.course.notebooks check notebooks/*.ipynb      say what is not fit to be committed
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import nbformat
import pandas as pd
from nbformat import NotebookNode

from seglab._utils.paths import hide_paths
from seglab.course.lab import numbered
from seglab.report.page import QUIET, SCENE, tags

MAX_CODE_CELLS = 40
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# What one run on one machine writes beside the results: timings, widget state, the parameters' provenance.
_PASSING = ("widgets", "papermill", "execution", "ExecuteTime", "vscode", "signature")


def normalise(nb: NotebookNode) -> NotebookNode:
    """The same notebook without what belongs to one run or one machine; results and cell ids stay.

    Idempotent, so a committed notebook can be tested to be in normal form on any machine.
    """
    _, nb = nbformat.validator.normalize(nb)  # a copy, in which every cell has an id
    _drop_passing(nb.metadata)
    nb.metadata.kernelspec = NotebookNode(KERNEL)
    nb.metadata.language_info = NotebookNode(name="python")
    for cell in nb.cells:
        _drop_passing(cell.metadata)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_bare_widget(output)]
            for output in cell.outputs:
                _normalise_output(output)
    return nb


def _drop_passing(metadata: NotebookNode) -> None:
    for key in _PASSING:
        metadata.pop(key, None)


def _is_bare_widget(output: NotebookNode) -> bool:
    """A widget that left nothing to see on a static page: only its repr stands beside its view."""
    return WIDGET_VIEW in output.get("data", {}) and not set(output.data) - {WIDGET_VIEW, "text/plain"}


def _normalise_output(output: NotebookNode) -> None:
    if "text" in output:
        output.text = hide_paths(output.text)
    if "traceback" in output:
        output.traceback = [hide_paths(line) for line in output.traceback]
    data = output.get("data", {})
    for live in (WIDGET_VIEW, SCENE):
        data.pop(live, None)
    for mime, content in data.items():
        if mime.startswith("text/") and isinstance(content, str):
            data[mime] = hide_paths(content)


def read(path: Path) -> NotebookNode:
    """The notebook in a file, in the current format."""
    return nbformat.read(path, as_version=4)


def to_text(nb: NotebookNode) -> str:
    """The notebook as its file holds it."""
    return nbformat.writes(nb, version=4) + "\n"


def execute(path: Path, timeout: float = 600) -> float:
    """Run a notebook in its folder and keep its outputs, normalised, in the same file; returns the seconds.

    A notebook with an error raises `nbclient.exceptions.CellExecutionError` and stays as it was.
    """
    from nbclient import NotebookClient

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # the kernel inherits it
    nb, start = read(path), perf_counter()
    folder = {"metadata": {"path": str(path.resolve().parent)}}
    client = NotebookClient(
        nb, timeout=timeout, kernel_name="python3", resources=folder, record_timing=False, extra_arguments=QUIET
    )
    client.execute()
    path.write_text(to_text(normalise(nb)), encoding="utf-8")
    return perf_counter() - start


def problems(path: Path) -> list[str]:
    """What keeps a notebook from being committed, one sentence each; an empty list when it is fit."""
    nb = read(path)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    return [f"{path.name}: {problem}" for problem in _problems(nb, code)] + (
        [] if path.read_text(encoding="utf-8") == to_text(normalise(nb)) else
        [f"{path.name}: not in normal form; run python -m seglab.course.notebooks normalise {path.name}"]
    )  # fmt: skip


def _problems(nb: NotebookNode, code: list[NotebookNode]) -> Iterator[str]:
    if len(code) > MAX_CODE_CELLS:
        yield f"{len(code)} code cells are more than {MAX_CODE_CELLS}"
    if not any("parameters" in tags(cell) for cell in code):
        yield "no cell is tagged `parameters`"
    # nbval silently compares nothing where a cell was not run.
    if [cell.execution_count for cell in code] != [*range(1, len(code) + 1)]:
        yield "not run from top to bottom in a fresh kernel"
    for number, cell in enumerate(code, start=1):
        if any(output.output_type == "error" for output in cell.outputs):
            yield f"code cell {number} holds an error"
        if "solution" in tags(cell) and not cell.metadata.get("jupyter", {}).get("source_hidden"):
            yield f"code cell {number} is a solution that is not hidden"


def course(folder: Path) -> pd.DataFrame:
    """The notebooks of a folder in their order, as their first cells describe them: a row each.

    Returns:
        Index: the number in the file's name, as "04". Columns file, title, question (without its asterisks), and
        minutes, which are for reading, not for running.
    """
    rows = [(path.name[:2], path.name, *_opening(read(path))) for path in numbered(folder)]
    columns = ["number", "file", "title", "question", "minutes"]
    return pd.DataFrame(rows, columns=columns).set_index("number")


def _opening(nb: NotebookNode) -> tuple[str, str, int]:
    first = nb.cells[0].source if nb.cells else ""
    title = re.search(r"(?m)^# (?:\d\d · )?(.+)$", first)
    question = re.search(r"(?m)^\*\*(.+\?)\*\*$", first)
    minutes = re.search(r"(\d+) minutes", first)
    return (
        title[1] if title else "",
        question[1].replace("*", "") if question else "",
        int(minutes[1]) if minutes else 0,
    )


def _main(arguments: list[str]) -> int:
    import argparse

    from nbclient.exceptions import CellExecutionError

    parser = argparse.ArgumentParser(prog="python -m seglab.course.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "normalise", "check"])
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args(arguments)
    if absent := [str(path) for path in given.files if not path.is_file()]:
        parser.error(f"no such file: {', '.join(absent)}")
    found = []
    for path in given.files:
        if given.command == "run":
            print(f"{path} …", end=" ", flush=True)
            try:
                print(f"{execute(path):.0f} s")
            except CellExecutionError as error:
                found.append(f"failed\n{error}")
        elif given.command == "normalise":
            text = to_text(normalise(read(path)))
            if text != path.read_text(encoding="utf-8"):
                path.write_text(text, encoding="utf-8")
                found.append(f"{path}: brought to normal form")
        else:
            found += problems(path)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
