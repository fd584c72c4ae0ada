"""The findings of `seglab doctor` in real environments: this one, broken ones, and one with seglab from a wheel."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import psutil
import pytest
from helpers.paths import ROOT
from packaging.requirements import Requirement
from typer.testing import CliRunner

from seglab import DATASETS
from seglab.__main__ import app
from seglab._utils import environment
from seglab.course import doctor


def seglab(*arguments: str, python: Path | str = sys.executable, **variables: str) -> subprocess.CompletedProcess:
    command = [str(python), "-m", "seglab", *arguments]
    environment = os.environ | variables
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


@pytest.mark.slow
def test_this_environment_has_no_errors():
    done = seglab("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert f"Python {sys.version.split()[0]}" in done.stdout
    assert "toytown (drawn)" in done.stdout


@pytest.mark.parametrize(
    ("limit", "used", "cached"),
    [
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_memory_is_limited_by_the_container(tmp_path, monkeypatch, limit, used, cached):
    monkeypatch.setattr(environment, "GROUPS", tmp_path)
    machine = psutil.virtual_memory().total
    assert environment.memory()[0] == machine
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / limit).with_name("memory.stat").write_text(f"anon 5\n{cached} 1000\n")
    (tmp_path / used).write_text("400000\n")
    for allowed, expected in (("500000\n", (500_000, 101_000)), ("300000\n", (300_000, 0))):
        (tmp_path / limit).write_text(allowed)
        assert environment.memory() == expected
    for unlimited in ("max\n", "9223372036854771712\n"):
        (tmp_path / limit).write_text(unlimited)
        assert environment.memory()[0] == machine


def test_help_is_light():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "seglab", "--help"], capture_output=True, text=True, check=True
    )
    assert "doctor" in done.stdout
    assert "datasets" in done.stdout
    heavy = [name for name in ("torch", "numpy", "pandas", "matplotlib") if f" {name}\n" in done.stderr]
    assert heavy == []


def broken(folder: Path, package: str, error: str) -> str:
    """A folder that hides a package when it is on PYTHONPATH, and makes its import fail."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"raise {error}\n")
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "error", "sentence", "remedy"),
    [
        (
            "torchvision",
            "RuntimeError('operator torchvision::nms does not exist')",
            "were not built for each other: operator torchvision::nms does not exist",
            "Install both from one source",
        ),
        ("torchvision", "ImportError('no libjpeg')", "torchvision does not import: no libjpeg", "make setup"),
        ("torch", "OSError('libcudart.so: cannot open')", "torch does not import: libcudart.so", "make setup"),
    ],
)
def test_broken_import_is_an_error_with_a_remedy(tmp_path, package, error, sentence, remedy):
    done = seglab("doctor", PYTHONPATH=broken(tmp_path, package, error))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    (index,) = [i for i, line in enumerate(lines) if line.startswith("✗") and sentence in line]
    assert remedy in lines[index + 1]


def test_missing_and_outdated_packages_are_named(monkeypatch):
    needed = [Requirement("nosuchpackage>=1"), Requirement("numpy>=99"), Requirement("torch")]
    monkeypatch.setattr(doctor, "requirements", lambda: needed)
    (finding,) = doctor._packages()
    assert finding.level == "error"
    assert "nosuchpackage is missing; numpy is " in finding.sentence
    assert finding.sentence.endswith("needed is >=99.")


def test_another_version_than_the_tested_one_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor, "tested_versions", lambda: environment.tested_versions() | {"tqdm": "0.1"})
    (finding,) = doctor._packages()
    assert finding.level == "warning"
    assert finding.sentence.endswith(f"tqdm {environment.installed('tqdm')} (0.1).")


def test_an_old_python_is_an_error(monkeypatch):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.10.13")
    (finding,) = doctor._python()
    assert (finding.level, finding.sentence) == ("error", "Python 3.10.13: seglab needs >=3.11.")


@pytest.mark.parametrize(("free", "level"), [(1.9, "error"), (2.1, "ok")])
def test_a_full_disk_is_an_error(monkeypatch, free, level):
    usage = doctor.shutil.disk_usage("/")._replace(free=int(free * 1024**3))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert doctor._memory_and_disk()[0].level == level


def test_a_kernel_of_another_python_is_a_warning(tmp_path, monkeypatch):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["/opt/other/bin/python", "-m", "ipykernel"], "display_name": "x"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (finding,) = doctor._kernel()
    assert finding.level == "warning"
    assert "/opt/other/bin/python" in finding.sentence


def test_the_data_folder_is_listed_and_a_missing_one_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    (tmp_path / DATASETS["voc"].folder).mkdir(parents=True)
    (finding,) = doctor._data()
    assert finding.sentence == f"Data sets in {tmp_path}: toytown (drawn), voc."
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path / "nowhere"))
    (finding,) = doctor._data()
    assert finding.level == "warning"


def test_an_error_in_a_check_is_a_finding():
    def _shaky() -> list[doctor.Finding]:
        raise OSError("disk on fire\nin detail")

    (finding,) = doctor._run(_shaky)
    assert (finding.level, finding.sentence) == ("error", "The check of shaky failed: disk on fire")


def test_a_python_without_anything_installed_gets_one_sentence():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "seglab", "lab"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr == f"seglab is not set up in {sys.executable}: run `make setup`, then .venv/bin/seglab\n"


@pytest.mark.slow
def test_datasets_are_listed_and_an_unknown_name_is_refused():
    done = seglab("datasets")
    assert done.returncode == 0, done.stderr
    assert "toytown" in done.stdout
    assert "SEGLAB_DATA" in done.stdout
    refused = CliRunner().invoke(app, ["datasets", "--check", "camvit", "val"])
    assert refused.exit_code == 1
    assert "✗ unknown data set 'camvit'; did you mean 'camvid'?" in refused.stderr


@pytest.fixture(scope="module")
def wheel_python(tmp_path_factory) -> Path:
    """A new environment with seglab from a wheel; it uses the other packages of the running environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (wheel,) = folder.glob("*.whl")
    install = [*pip, "--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    paths = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    (Path(sysconfig.get_path("purelib", vars=paths)) / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.mark.slow
def test_a_wheel_contains_notebooks_and_weights(wheel_python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = seglab("doctor", python=wheel_python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(wheel_python.parents[1] / "share" / "seglab" / "notebooks") in done.stdout
    assert "versions that seglab was tested with" in done.stdout


def test_a_wheel_copies_the_notebooks_and_overwrites_no_changes(wheel_python, tmp_path):
    code = "from seglab.course.lab import workspace, numbered; print(*numbered(workspace('mine')), sep='\\n')"
    code = code.replace("'mine'", f"__import__('pathlib').Path({str(tmp_path / 'mine')!r})")

    def notebooks() -> list[Path]:
        done = subprocess.run([wheel_python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        return [Path(line) for line in done.stdout.splitlines()]

    first, *_ = notebooks()
    assert first.parent == tmp_path / "mine"
    first.write_text("changed by a learner")
    notebooks()
    assert first.read_text() == "changed by a learner"
