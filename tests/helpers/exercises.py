"""Try a notebook's exercises as learners would: with the untouched stub, with wrong answers, with the solution.

An exercise is three code cells that share a name in their metadata (`"exercise": "my_iou"`) and carry the tags
`exercise` (the stub), `check` (its last expression is a verdict with `.passed`: None, True or False) and `solution`.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.dataflow import bound_names, changed_names, imported_names, reads_and_binds, used_names
from nbformat import NotebookNode

from seglab.course.notebooks import read
from seglab.report.page import tags


@dataclass(frozen=True)
class Attempt:
    exercise: str
    kind: str  # stub, wrong or solution
    code: str
    passed: bool | None


def exercise_names(path: Path) -> list[str]:
    return [cell.metadata["exercise"] for cell in _code_cells(path) if "exercise" in tags(cell)]


def attempts(path: Path, wrong: Mapping[str, Sequence[str]]) -> Iterator[Attempt]:
    """Run what a notebook's exercises need in this process, and try the stub, each wrong answer, the solution."""
    cells = _code_cells(path)
    needed = needed_cells(cells, [code for answers in wrong.values() for code in answers])
    namespace: dict[str, Any] = {"__name__": "__main__", "display": lambda *_, **__: None}
    for i, cell in enumerate(cells):
        if i not in needed:
            continue
        if "exercise" in tags(cell):
            name = cell.metadata["exercise"]
            parts = {tag: _part(cells[i + 1 :], name, tag) for tag in ("check", "solution")}
            between = [c for c in cells[i + 1 : cells.index(parts["check"])] if c is not parts["solution"]]
            answers = [("stub", cell.source), *(("wrong", code) for code in wrong.get(name, []))]
            for kind, code in [*answers, ("solution", parts["solution"].source)]:
                before = dict(namespace)
                for source in (code, *(c.source for c in between)):
                    run(source, namespace)
                yield Attempt(name, kind, code, run(parts["check"].source, namespace).passed)
                # The same dictionary is restored, not a copy made: functions of the notebook look names up in it.
                namespace.clear()
                namespace.update(before)
        run(cell.source, namespace)


def run(source: str, namespace: dict[str, Any]) -> Any:
    """Execute a cell; the value of its last expression, as a notebook shows it."""
    tree = ast.parse(_python(source))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), namespace)
    return (
        eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace) if isinstance(last, ast.Expr) else None
    )


def needed_cells(cells: Sequence[NotebookNode], answers: Sequence[str]) -> set[int]:
    """Indices of the exercises and of all cells before them that bind or change what exercises and answers use."""
    exercises = {i for i, cell in enumerate(cells) if {"exercise", "check", "solution"} & set(tags(cell))}
    used = set().union(*map(used_names, answers))
    return cells_behind(cells, exercises, used) - {i for i in exercises if "solution" in tags(cells[i])}


def cells_behind(cells: Sequence[NotebookNode], wanted: Set[int], used: Set[str] = frozenset()) -> set[int]:
    """Indices of `wanted` cells and of all before them that bind or change what these, or the names `used`, need.

    A cell that only draws, or trains something for a later figure, is left out: the notebook's own run executes it.
    """
    codes = [_python(cell.source) for cell in cells]
    constants = (code for cell, code in zip(cells, codes, strict=True) if "parameters" in tags(cell))
    fixed = set().union(*map(imported_names, codes), *map(bound_names, constants))
    needed: set[int] = set()
    called: set[str] = set()  # names that functions use: they are looked up when the function is called
    while True:
        found, names = set(), called | used
        for i in reversed(range(max(wanted, default=-1) + 1)):
            if i in wanted or changed_names(codes[i], fixed) & names:
                found.add(i)
                reads, binds = reads_and_binds(ast.parse(codes[i]).body)
                names = names - (binds - called) | reads
        called = called.union(*(used_names(codes[i], functions_only=True) for i in found))
        if found == needed:
            return needed
        needed = found


def _python(source: str) -> str:
    """A cell without the notebook's own commands."""
    return "\n".join("" if line.startswith(("%", "!")) else line for line in source.splitlines())


def _code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def _part(cells: list[NotebookNode], exercise: str, tag: str) -> NotebookNode:
    found = [cell for cell in cells if tag in tags(cell) and cell.metadata.get("exercise") == exercise]
    assert len(found) == 1, f"exercise {exercise!r} has {len(found)} cells tagged `{tag}`, it needs one"
    return found[0]
