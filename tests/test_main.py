"""The command line as a whole: its help is light and complete, and Tab completes it."""

import ast
import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT
from typer.testing import CliRunner

from seglab import __version__
from seglab.__main__ import app

COMMANDS = [
    "doctor", "datasets", "models", "fetch", "lab", "explore", "train", "predict", "evaluate", "report", "export",
]  # fmt: skip


def completed(words: str) -> list[str]:
    """What Tab offers in bash after these words."""
    position = len(words.split(" ")) - 1
    variables = {"_SEGLAB_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    command = [sys.executable, "-m", "seglab"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_tab_completes_commands_and_options():
    assert completed("seglab ev") == ["evaluate"]
    assert set(completed("seglab ")) >= set(COMMANDS)
    assert "--data" in completed("seglab train --da")


def test_the_help_says_how_to_switch_completion_on():
    shown = CliRunner().invoke(app, ["--help"], terminal_width=200).output
    assert "seglab --install-completion" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_for_each_option(command):
    import click
    import typer

    found = typer.main.get_command(app).commands[command]
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            assert parameter.help, parameter.name


def test_version():
    assert CliRunner().invoke(app, ["--version"]).output.split() == ["seglab", __version__]


def test_help_loads_neither_torch_nor_pandas():
    code = f"""
import sys
from typer.testing import CliRunner
from seglab.__main__ import app
for command in {COMMANDS!r}:
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
assert not {{"torch", "pandas", "matplotlib"}} & set(sys.modules), sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_commands_print_no_control_characters():
    """Each prints with `text.echo`, which shows those in names of files and classes as escapes."""
    for path in (ROOT / "seglab").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        names = [name.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)
                 and node.module == "typer" for name in node.names]  # fmt: skip
        assert "echo" not in names and ("typer.echo(" not in source or path.name == "text.py"), path
