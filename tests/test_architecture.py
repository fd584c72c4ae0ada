"""The structure of the package: which wing may import which, and how large files and functions may become."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers.paths import ROOT

PACKAGE = ROOT / "seglab"
# A wing imports from itself and from those before it, never from those after it.
WINGS = [
    "_utils", "data", "masks", "metrics", "models", "inference", "training", "evaluation", "viz", "report", "course",
    "__main__",
]  # fmt: skip
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(PACKAGE.rglob("*.js"))
LINES, FUNCTION = 300, 60


def name_of(path: Path) -> str:
    """seglab/data/loading.py → "seglab.data.loading"; a folder's __init__.py stands for the folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imports(path: Path) -> set[str]:
    """The modules of seglab that a file imports, in functions too; what stands only for type checkers is left out."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    skipped = {id(inner) for node in typing for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
        elif node.module in MODULES:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= members & MODULES.keys() or {node.module}
    return found - {name_of(path)}


def wing(module: str) -> int:
    parts = module.split(".")
    return WINGS.index(parts[1]) if len(parts) > 1 else -1


def test_each_entry_of_the_package_is_a_known_wing():
    entries = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert entries == {"__init__", *WINGS}
    assert len(entries) <= 13


def test_imports_run_one_way_between_the_wings():
    upwards = [
        f"{module} imports {other}"
        for module, path in MODULES.items() for other in sorted(imports(path))
        if module != "seglab" and wing(other) > wing(module)
    ]  # fmt: skip
    assert not upwards


def test_no_files_import_each_other_in_a_circle():
    TopologicalSorter({module: imports(path) for module, path in MODULES.items() if module != "seglab"}).prepare()


@pytest.mark.parametrize("path", [*FILES, *SCRIPTS], ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES
    if path.suffix == ".py":
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
        assert not {name: length for name, length in lengths.items() if length > FUNCTION}


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES} - {PACKAGE}), ids=lambda path: path.name)
def test_each_folder_lists_its_files(folder):
    """Its __init__.py is one docstring; `masks` and `metrics` hand on their public names as well."""
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    listed = {line.split()[0].rstrip("/") for line in (ast.get_docstring(tree) or "").splitlines() if "  " in line}
    there = {path.stem for path in folder.glob("[!_]*") if path.is_dir() or path.suffix == ".py"}
    assert there - {"__pycache__", "py"} == listed
    assert len(tree.body) == 1 or folder.name in ("masks", "metrics")


def test_tests_mirror_the_wings():
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("*/test_*.py")}
    assert folders <= {*WINGS, "studies"}
