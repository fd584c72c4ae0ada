"""The checks of `seglab doctor`, a function per subject. A finding is a sentence, with a remedy unless it is "ok"."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from seglab._utils.environment import GB, accelerator, installed, memory, requirements, tested_versions
from seglab._utils.paths import share_dir, working_root
from seglab.course.lab import numbered

INSTALL = "Run `make setup` in the project's folder; without make: python -m pip install -c constraints.txt -e ."
ONE_SOURCE = (
    "Install both from one source: python -m pip install --force-reinstall torch torchvision, or, for the small CPU"
    " builds, the command that pytorch.org/get-started/locally gives for both."
)


@dataclass(frozen=True)
class Finding:
    """The result of a check in one sentence, and what to do unless the level is "ok"."""

    level: Literal["ok", "warning", "error"]
    sentence: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    """Run all checks. Nothing is changed and nothing is downloaded."""
    return [finding for check in CHECKS for finding in _run(check)]


def _run(check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # a broken installation may raise anything
        return _error(f"The check of {check.__name__.strip('_').replace('_', ' ')} failed: {_first_line(error)}")


def _error(sentence: str, remedy: str = INSTALL) -> list[Finding]:
    return [Finding("error", sentence, remedy)]


def _python() -> list[Finding]:
    if installed("seglab") is None:
        return _error(f"seglab is not installed in the Python at {sys.executable}.")
    version, needed = platform.python_version(), metadata.metadata("seglab")["Requires-Python"]
    if not SpecifierSet(needed).contains(version, prereleases=True):
        return _error(f"Python {version}: seglab needs {needed}.", "Install such a Python, then run `make setup`.")
    return [Finding("ok", f"Python {version} at {sys.executable}.")]


def _packages() -> list[Finding]:
    needed = requirements()
    found = {r.name: version for r in needed if (version := installed(r.name))}
    wrong = [f"{r.name} is missing" for r in needed if r.name not in found]
    wrong += [f"{r.name} is {found[r.name]}, needed is {r.specifier}" for r in needed
              if r.name in found and not r.specifier.contains(found[r.name], prereleases=True)]  # fmt: skip
    if wrong:
        return _error(f"Packages: {'; '.join(wrong)}.")
    tested = tested_versions()
    untested = [f"{name} {version} ({tested[key]})" for name, version in sorted(found.items())
                if (key := canonicalize_name(name)) in tested and Version(version).public != tested[key]]  # fmt: skip
    if untested:
        sentence = f"All packages are installed, some in other versions than the tested ones: {', '.join(untested)}."
        return [Finding("warning", sentence, f"Usually fine. For the tested versions: {INSTALL}")]
    return [Finding("ok", f"All {len(needed)} packages are installed, in the versions that seglab was tested with.")]


def _torch() -> list[Finding]:
    for name in ("torch", "torchvision"):
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken build may raise anything
            if "torchvision::nms" not in str(error):
                return _error(f"{name} does not import: {_first_line(error)}")
            versions = f"torch {installed('torch')} and torchvision {installed('torchvision')}"
            cause = "A usual cause: one is a CPU build and the other is not."
            return _error(f"{versions} were not built for each other: {_first_line(error)}. {cause}", ONE_SOURCE)
    import torch

    threads = f"the CPU, {torch.get_num_threads()} threads; no notebook needs more"
    return [Finding("ok", f"torch {torch.__version__} computes on {accelerator() or threads}.")]


def _memory_and_disk() -> list[Finding]:
    total, disk = memory()[0] / GB, shutil.disk_usage(working_root()).free / GB
    sentence = f"{total:.0f} GB of memory, {disk:.0f} GB of free disk."
    if disk < 2:
        return _error(sentence, f"Free 2 GB on the disk of {working_root()} for data sets and weights.")
    if total < 4:
        return [Finding("warning", sentence, "Close other programs while notebooks train models.")]
    return [Finding("ok", sentence)]


def _kernel() -> list[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return _error("Jupyter has no kernel named python3.")
    # Jupyter replaces a bare "python" by its own Python. Links are not resolved: an environment's Python is a link.
    if Path(program).parent not in (Path(), Path(sys.executable).parent):
        sentence = f"Jupyter's kernel python3 starts another Python, {program}: notebooks would not find seglab."
        return [Finding("warning", sentence, f"{sys.executable} -m jupyter kernelspec remove python3")]
    return [Finding("ok", "Notebooks run in this same Python.")]


def _files() -> list[Finding]:
    share = share_dir()
    notebooks = numbered(share / "notebooks") if share else []
    if not notebooks:
        return _error("The notebooks are not installed.", "Install seglab again; see README.md.")
    weights = sorted(path.stem for path in (notebooks[0].parents[1] / "data" / "zoo").rglob("*.safetensors"))
    sentence = f"Trained weights that work offline: {', '.join(weights) or 'none yet'}."
    return [Finding("ok", f"Notebooks: {len(notebooks)}, in {notebooks[0].parent}."), Finding("ok", sentence)]


def _data() -> list[Finding]:
    from seglab.data.loading import data_root, local_datasets

    root = data_root()
    if "SEGLAB_DATA" in os.environ and not root.is_dir():
        remedy = "Make the folder, or unset SEGLAB_DATA to use the project's data/."
        return [Finding("warning", f"SEGLAB_DATA is {str(root)!r}, which is not a folder.", remedy)]
    return [Finding("ok", f"Data sets in {root}: {', '.join(['toytown (drawn)', *local_datasets()])}.")]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


CHECKS = (_python, _packages, _torch, _memory_and_disk, _kernel, _files, _data)
