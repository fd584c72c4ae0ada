"""The table in `tests/README.md`: each test that it names exists."""

import ast
import re

from helpers.paths import ROOT


def test_each_test_in_the_table_exists():
    table = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", table)
    assert len(named) > 40 and table.count("::") == len(named)
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
