"""JupyterLab on the course: which folder it works in, and how it is started."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from seglab._utils.paths import project_root, share_dir


def numbered(folder: Path) -> list[Path]:
    """The notebooks of the course in a folder, in their order."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def workspace(copy_to: Path) -> Path:
    """The folder to work in: the checkout's own notebooks, or a copy where seglab was installed from a wheel.

    Files that are already in the copy stay as they are: they hold somebody's work.
    """
    share = share_dir()
    if share is None or not numbered(share / "notebooks"):
        raise FileNotFoundError("the notebooks are not found: `seglab doctor` says where they should be")
    if project_root():
        return share / "notebooks"
    copy_to.mkdir(parents=True, exist_ok=True)
    for source in (share / "notebooks").iterdir():
        if source.is_file() and not (copy_to / source.name).exists():
            shutil.copy(source, copy_to)
    return copy_to


def open_lab(folder: Path, ip: str, port: int, browser: bool) -> None:
    """Run JupyterLab on the first notebook of a folder until it is stopped."""
    from jupyterlab.labapp import main

    options = [
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--ServerApp.ip={ip}",
        f"--ServerApp.port={port}",
        # Unlike a file given to JupyterLab, this is also part of the address that it prints.
        f"--LabApp.default_url=/lab/tree/{numbered(folder)[0].name}",
    ]
    if not browser:
        options.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container
        options.append("--allow-root")
    with tempfile.TemporaryDirectory() as settings:
        _set_defaults(Path(settings))
        main(options)


def _set_defaults(folder: Path) -> None:
    """JupyterLab asks neither for news nor for updates, unless somebody's own settings say otherwise."""
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (folder / "labconfig").mkdir()
    (folder / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(quiet), encoding="utf-8")
    paths = [str(folder), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
