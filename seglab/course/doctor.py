"""What `seglab doctor` looks at: one small check a subject, each answering in sentences with a remedy."""

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


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at, in a sentence; what to do about it, unless it is well."""

    level: Literal["ok", "warning", "error"]
    sentence: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    """Look at everything that seglab needs. Nothing is changed and nothing is fetched."""
    return [finding for check in CHECKS for finding in _run(check)]


def _run(check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # whatever breaks in a broken installation is itself a finding
        return [Finding("error", f"Looking at {check.__name__.strip('_')} failed: {_first_line(error)}", INSTALL)]


def _python() -> list[Finding]:
    if installed("seglab") is None:
        return [Finding("error", f"seglab is not installed in the Python at {sys.executable}.", INSTALL)]
    this, needed = platform.python_version(), metadata.metadata("seglab")["Requires-Python"]
    if not SpecifierSet(needed).contains(this, prereleases=True):
        return [Finding("error", f"Python {this}: seglab needs {needed}.", "Install such a Python, then `make setup`.")]
    return [Finding("ok", f"Python {this} at {sys.executable}.")]


def _packages() -> list[Finding]:
    needed = requirements()
    found = {r.name: version for r in needed if (version := installed(r.name))}
    words = [f"{r.name} is missing" for r in needed if r.name not in found]
    words += [f"{r.name} is {found[r.name]}, needed is {r.specifier}" for r in needed
              if r.name in found and not r.specifier.contains(found[r.name], prereleases=True)]  # fmt: skip
    if words:
        return [Finding("error", f"Packages: {'; '.join(words)}.", INSTALL)]
    tested = tested_versions()
    other = [f"{name} {version} ({tested[key]})" for name, version in sorted(found.items())
             if (key := canonicalize_name(name)) in tested and Version(version).public != tested[key]]  # fmt: skip
    if other:
        sentence = f"All packages are there; in other versions than the tested ones: {', '.join(other)}."
        return [Finding("warning", sentence, f"Usually fine. For the tested ones: {INSTALL}")]
    return [Finding("ok", f"All {len(needed)} packages are there, in the versions that seglab was tested with.")]


def _torch() -> list[Finding]:
    try:
        import torch
    except Exception as error:  # a broken build raises whatever its loader raises
        return [Finding("error", f"torch does not import: {_first_line(error)}", INSTALL)]
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        if "torchvision::nms" not in str(error):
            return [Finding("error", f"torchvision does not import: {_first_line(error)}", INSTALL)]
        sentence = (
            f"torch {torch.__version__} and torchvision {installed('torchvision')} were not built for each other:"
            f" {_first_line(error)}. It happens when one is a CPU build and the other is not."
        )
        remedy = (
            "Install both from one source: python -m pip install --force-reinstall torch torchvision, or, for the"
            " small CPU builds, the command that pytorch.org/get-started/locally gives you for both."
        )
        return [Finding("error", sentence, remedy)]
    gpu = accelerator()
    words = f"on {gpu}" if gpu else f"on the CPU, {torch.get_num_threads()} threads; no notebook needs more"
    return [Finding("ok", f"torch {torch.__version__} computes {words}.")]


def _room() -> list[Finding]:
    total, disk = memory()[0] / GB, shutil.disk_usage(working_root()).free / GB
    sentence = f"{total:.0f} GB of memory, {disk:.0f} GB of free disk."
    if disk < 2:
        return [
            Finding("error", sentence, f"Free 2 GB on the disk of {working_root()}: data sets and weights need room.")
        ]
    if total < 4:
        return [Finding("warning", sentence, "Close other programs while the notebooks that train are running.")]
    return [Finding("ok", sentence)]


def _kernel() -> list[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return [Finding("error", "Jupyter has no kernel called python3.", INSTALL)]
    # Jupyter replaces a bare "python" by the Python it runs on. Links are not followed: an environment's Python
    # is a link to the system's.
    if Path(program).parent not in (Path(), Path(sys.executable).parent):
        sentence = f"Jupyter's kernel python3 starts another Python, {program}: notebooks would not find seglab."
        return [Finding("warning", sentence, f"{sys.executable} -m jupyter kernelspec remove python3")]
    return [Finding("ok", "Notebooks run in this same Python.")]


def _files() -> list[Finding]:
    share = share_dir()
    notebooks = numbered(share / "notebooks") if share else []
    if not notebooks:
        return [Finding("error", "The notebooks are not found.", "Install seglab again; see README.md.")]
    weights = sorted(path.stem for path in (notebooks[0].parents[1] / "data" / "zoo").rglob("*.safetensors"))
    return [
        Finding("ok", f"Notebooks: {len(notebooks)}, in {notebooks[0].parent}."),
        Finding("ok", f"Trained weights that work offline: {', '.join(weights) or 'none yet'}."),
    ]


def _data() -> list[Finding]:
    from seglab.data.loading import data_root, local_datasets

    root = data_root()
    if "SEGLAB_DATA" in os.environ and not root.is_dir():
        remedy = "Make the folder, or unset SEGLAB_DATA to use the project's data/."
        return [Finding("warning", f"SEGLAB_DATA is {str(root)!r}, which is not a folder.", remedy)]
    return [Finding("ok", f"Data sets in {root}: {', '.join(['toytown (drawn)', *local_datasets()])}.")]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (_python, _packages, _torch, _room, _kernel, _files, _data)
