"""The committed notebooks are executed and in normal form, and their exercises accept right answers only."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import nbformat
import pytest
from helpers.exercises import attempts, exercise_names
from helpers.paths import ROOT
from helpers.wrong_answers import WRONG_ANSWERS
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output

from seglab._utils import paths
from seglab.course import notebooks

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_has_no_problems(path):
    assert notebooks.problems(path) == []


@pytest.mark.slow
@each_notebook
def test_exercises_accept_right_answers_only(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    matplotlib.use("Agg")
    wrong = WRONG_ANSWERS.get(path.stem, {})
    assert set(wrong) == set(exercise_names(path)), "each exercise has wrong answers in tests/helpers/wrong_answers.py"
    expected = {"stub": None, "wrong": False, "solution": True}
    unexpected = [a for a in attempts(path, wrong) if a.passed is not expected[a.kind]]
    assert unexpected == []


VERDICT = "class V:\n    def __init__(self, passed): self.passed = passed"
CHECK = "helper = 'between'\nV(None if answer() is ... else twice() == 42)"


def exercise_notebook(folder: Path, check: str = CHECK) -> Path:
    def part(tag: str, source: str):
        return new_code_cell(source, metadata={"tags": [tag], "exercise": "double"})

    cells = [
        new_code_cell(f"%matplotlib inline\n{VERDICT}\ndef twice(): return 2 * answer()"),
        part("exercise", "def answer(): return ..."),
        part("check", check),
        part("solution", "def answer(): return 21"),
        new_code_cell("raise SystemExit('cells after the last check are not needed')"),
    ]
    path = folder / "00_made.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_harness_tries_stub_wrong_answers_and_solution(tmp_path):
    path = exercise_notebook(tmp_path)
    found = list(attempts(path, {"double": ["def answer(): return 20", "answer = lambda: 21.5"]}))
    assert [(a.kind, a.passed) for a in found] == [
        ("stub", None), ("wrong", False), ("wrong", False), ("solution", True)]  # fmt: skip
    assert exercise_names(path) == ["double"]


def test_harness_detects_a_check_that_accepts_everything(tmp_path):
    found = list(attempts(exercise_notebook(tmp_path, check="V(True)"), {"double": ["answer = None"]}))
    assert [a.passed for a in found] == [True, True, True]


def used_notebook():
    """A notebook as it is saved after use."""
    home, folder = Path.home(), Path.cwd()
    text = f"{home}/x.png /home/anna/y.png {folder}/z.png {sys.prefix}/lib/python3.11/site-packages/torch/n.py\n"
    view = {notebooks.VIEW: {"model_id": "1"}, "text/plain": "IntSlider()"}
    cell = new_code_cell("f()", execution_count=1, metadata={"execution": {"a": "b"}, "tags": ["parameters"]})
    cell.outputs = [
        new_output("stream", text=text + "/tmp/ipykernel_12/34.py:1: UserWarning\n\x1b[0;31m/tmp/a\x1b[0m"),
        new_output("display_data", data=view),
        new_output("display_data", data=view | {"text/html": "<b>kept</b>"}),
        new_output("execute_result", execution_count=1, data={"text/plain": "'/Users/bo/z' 'https://a.org/tmp/b'"}),
    ]
    return new_notebook(cells=[cell], metadata={"widgets": {"state": {}}, "papermill": {"duration": 1}, "title": "T"})


def test_normal_form_keeps_results_and_hides_the_machine():
    nb = notebooks.normalise(used_notebook())
    (cell,) = nb.cells
    stream, html, result = cell.outputs
    folders = stream.text.splitlines()[0].split()
    assert folders[1] == "~/y.png"
    assert folders[3] == "…/site-packages/torch/n.py"
    assert str(Path.home()) not in stream.text
    assert str(Path.cwd()) not in stream.text
    assert "…/ipykernel/cell.py:1: UserWarning" in stream.text
    assert "/tmp" not in stream.text
    assert html.data == {"text/html": "<b>kept</b>", "text/plain": "IntSlider()"}
    assert result.data["text/plain"] == "'~/z' 'https://a.org/tmp/b'"
    assert cell.metadata == {"tags": ["parameters"]}
    assert set(nb.metadata) == {"kernelspec", "language_info", "title"}
    assert nb.metadata.kernelspec.name == "python3"


def test_normal_form_is_idempotent_and_its_argument_is_not_changed():
    used = used_notebook()
    before = nbformat.writes(used)
    once = notebooks.normalise(used)
    assert nbformat.writes(used) == before
    assert notebooks.normalise(once) == once
    assert once.cells[0].id == used.cells[0].id


def test_paths_of_other_systems_are_hidden(monkeypatch):
    assert paths.hide_paths("/var/folders/a1/b_2/T/x.png") == "…/x.png"
    assert paths.hide_paths(r"C:\Users\bo\x.png") == r"~\x.png"
    assert paths.hide_paths("and/or /rooted /tmpfile a/tmp/b") == "and/or /rooted /tmpfile a/tmp/b"
    monkeypatch.setattr(sys, "prefix", f"{Path.cwd()}/environment")
    assert paths.hide_paths(f"{Path.cwd()}/environment/x {Path.cwd()}/y") == "…/x …/y"
    monkeypatch.chdir("/")
    assert paths.hide_paths("a / b") == "a / b"


def test_problems_are_listed(tmp_path):
    error = new_output("error", ename="E", evalue="e", traceback=[])
    cells = [new_code_cell("1"), new_code_cell("2", execution_count=1, outputs=[error])]
    cells += [new_code_cell("3", execution_count=1, metadata={"tags": ["solution"]}) for _ in range(40)]
    path = tmp_path / "problems.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    found = "\n".join(notebooks.problems(path))
    for words in ("42 code cells", "tagged `parameters`", "run from top to bottom", "cell 2 holds an error",
                  "cell 3 is a solution that is not hidden", "not in normal form"):  # fmt: skip
        assert words in found


CODE = "# NBVAL_CHECK_OUTPUT\nimport os, sys\nprint(os.path.abspath('.'), hex(id(sys)), os.environ['OMP_WAIT_POLICY'])"


def test_execute_keeps_outputs_in_normal_form_and_a_failure_changes_nothing(tmp_path):
    path = tmp_path / "01_made.ipynb"
    cells = [new_code_cell(CODE, metadata={"tags": ["parameters"]}), new_code_cell("6 * 7")]
    nbformat.write(new_notebook(cells=cells), path)
    assert notebooks.execute(path, timeout=60) > 0
    assert notebooks.problems(path) == []
    outputs = [cell.outputs[0] for cell in notebooks.read(path).cells]
    assert outputs[0].text.startswith("…")
    assert outputs[1].data["text/plain"] == "42"

    failing = tmp_path / "02_failing.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), failing)
    before = failing.read_text()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.execute(failing, timeout=60)
    assert failing.read_text() == before


@pytest.mark.slow
def test_nbval_compares_marked_cells_and_allows_for_what_changes(tmp_path):
    right, wrong = tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"
    source = "# NBVAL_CHECK_OUTPUT\nprint(object(), '00%| | 0/3 [00:00<?, ?it/s]', 6 * 7)"
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), right)
    notebooks.execute(right, timeout=60)
    wrong.write_text(right.read_text().replace("] 42", "] 43"))
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", ROOT / "tests" / "nbval.cfg"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, right, wrong]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.startswith(".F"), done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_command_line_normalises_once(tmp_path, capsys):
    path = tmp_path / "used.ipynb"
    nbformat.write(used_notebook(), path)
    assert notebooks._main(["normalise", str(path)]) == 1
    assert capsys.readouterr().out == f"{path}: brought to normal form\n"
    assert notebooks._main(["normalise", str(path)]) == 0
    assert notebooks._main(["check", str(path)]) == 0
    path.write_text(path.read_text().replace('"execution_count": 1', '"execution_count": 2'))
    assert notebooks._main(["check", str(path)]) == 1
    assert "not run from top to bottom" in capsys.readouterr().out


def test_the_course_is_read_from_first_cells(tmp_path):
    first = "# 03 · A title: and more\n\n**One question?**\n\n**You will learn to** ask.\n\n*About 25 minutes.*"
    nb = new_notebook(cells=[nbformat.v4.new_markdown_cell(first)])
    nbformat.write(nb, tmp_path / "03_title.ipynb")
    table = notebooks.course(tmp_path)
    assert list(table.loc["03"]) == ["03_title.ipynb", "A title: and more", "One question?", 25]


def test_every_notebook_has_title_question_and_minutes():
    table = notebooks.course(NOTEBOOKS[0].parent)
    assert len(table) == len(NOTEBOOKS)
    assert (table[["title", "question"]] != "").all(axis=None)
    assert (table["minutes"] >= 5).all()
