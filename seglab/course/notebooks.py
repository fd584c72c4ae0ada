"""Notebooks as files: executed in place, without anything that belongs to one run or one machine.

python -m seglab.course.notebooks run notebooks/*.ipynb        execute in place, keep the outputs
python -m seglab.course.notebooks normalise notebooks/*.ipynb  bring to normal form without execution
python -m seglab.course.notebooks check notebooks/*.ipynb      list everything that prevents a commit
"""

import argparse
import os
import re
import sys
from pathlib import Path
from time import perf_counter

import nbclient
import nbformat
import pandas as pd
from nbformat import NotebookNode

from seglab._utils.paths import hide_paths, replacing
from seglab.course.lab import numbered
from seglab.report.page import QUIET, SCENE, tags
from seglab.viz.widgets.still import STILL, VIEW

MAX_CODE_CELLS = 40
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
RUN_METADATA = ("widgets", "papermill", "execution", "ExecuteTime", "vscode", "signature")  # of one run or machine


def normalise(nb: NotebookNode) -> NotebookNode:
    """A copy of a notebook without what belongs to one run or one machine; results and cell ids stay.

    It is idempotent, so that a test on any machine can check whether a committed notebook is in normal form.
    """
    _, nb = nbformat.validator.normalize(nb)  # a copy, in which every cell has an id
    for part in (nb, *nb.cells):
        for key in RUN_METADATA:
            part.metadata.pop(key, None)
    nb.metadata.update(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    for cell in (cell for cell in nb.cells if cell.cell_type == "code"):
        cell.outputs = [output for output in cell.outputs if not _is_bare_widget(output)]
        for output in cell.outputs:
            _normalise_output(output)
    return nb


def _is_bare_widget(output: NotebookNode) -> bool:
    """Whether a static page would show nothing but a widget's repr, or the picture of a view whose kernel is gone."""
    bare = {VIEW} <= set(output.get("data", {})) <= {VIEW, "text/plain"}
    return bare or STILL in output.get("metadata", {})


def _normalise_output(output: NotebookNode) -> None:
    """Drop live views and hide the paths of this machine, in place."""
    if "text" in output:
        output.text = hide_paths(output.text)
    if "traceback" in output:
        output.traceback = [hide_paths(line) for line in output.traceback]
    data = output.get("data", {})
    for live in (VIEW, SCENE):
        data.pop(live, None)
    for mime, content in data.items():
        if mime.startswith("text/") and isinstance(content, str):
            data[mime] = hide_paths(content)


def read(path: Path) -> NotebookNode:
    """The notebook in a file, in format 4."""
    return nbformat.read(path, as_version=4)


def to_text(nb: NotebookNode) -> str:
    """The content of a notebook's file."""
    return nbformat.writes(nb, version=4) + "\n"


def execute(path: Path, timeout: float = 600) -> float:
    """Execute a notebook in its folder, write it back in normal form with its outputs, and return the seconds.

    A cell that fails or takes longer than `timeout` seconds raises nbclient's error, and the file stays as it was.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for the kernel
    nb, start = read(path), perf_counter()
    nbclient.execute(nb, cwd=str(path.resolve().parent), timeout=timeout, kernel_name="python3", record_timing=False,
                     extra_arguments=QUIET)  # fmt: skip
    _write(path, to_text(normalise(nb)))
    return perf_counter() - start


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: on a full disk, the work in a notebook is kept."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def problems(path: Path) -> list[str]:
    """What prevents the commit of a notebook, one sentence each; an empty list if nothing does."""
    nb, found = read(path), []
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    if len(code) > MAX_CODE_CELLS:
        found.append(f"{len(code)} code cells are more than {MAX_CODE_CELLS}")
    if not any("parameters" in tags(cell) for cell in code):
        found.append("no cell is tagged `parameters`")
    if [cell.execution_count for cell in code] != [*range(1, len(code) + 1)]:  # nbval skips cells that were not run
        found.append("not run from top to bottom in a fresh kernel")
    for number, cell in enumerate(code, start=1):
        if any(output.output_type == "error" for output in cell.outputs):
            found.append(f"code cell {number} holds an error")
        if "solution" in tags(cell) and not cell.metadata.get("jupyter", {}).get("source_hidden"):
            found.append(f"code cell {number} is a solution that is not hidden")
    if path.read_text(encoding="utf-8") != to_text(normalise(nb)):
        found.append(f"not in normal form; run python -m seglab.course.notebooks normalise {path.name}")
    return [f"{path.name}: {problem}" for problem in found]


def course(folder: Path) -> pd.DataFrame:
    """A row per notebook of a folder, from its first cell: number ("04"), file, title, question, minutes of reading."""
    rows = [(path.name[:2], path.name, *_opening(read(path))) for path in numbered(folder)]
    return pd.DataFrame(rows, columns=["number", "file", "title", "question", "minutes"]).set_index("number")


def _opening(nb: NotebookNode) -> tuple[str, str, int]:
    """Title, question and minutes; "" and 0 where the first cell has none."""
    first = nb.cells[0].source if nb.cells else ""
    patterns = r"(?m)^# (?:\d\d · )?(.+)$", r"(?m)^\*\*(.+\?)\*\*$", r"(\d+) minutes"
    title, question, minutes = (match[1] if (match := re.search(p, first)) else "" for p in patterns)
    return title, question.replace("*", ""), int(minutes or 0)


def _main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m seglab.course.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "normalise", "check"])
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    if missing := [str(path) for path in options.files if not path.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    messages = []
    for path in options.files:
        if options.command == "run":
            print(f"{path} …", end=" ", flush=True)
            try:
                print(f"{execute(path):.0f} s")
            except nbclient.exceptions.CellExecutionError as error:
                messages.append(f"failed\n{error}")
        elif options.command == "normalise":
            text = to_text(normalise(read(path)))
            if text != path.read_text(encoding="utf-8"):
                _write(path, text)
                messages.append(f"{path}: brought to normal form")
        else:
            messages += problems(path)
    print(*messages, sep="\n", end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
