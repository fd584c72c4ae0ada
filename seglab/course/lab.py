"""JupyterLab on the course: its folder, and how it is started."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from seglab._utils.paths import project_root, replacing, share_dir

NO_POPUPS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def numbered(folder: Path) -> list[Path]:
    """The notebooks of the course in a folder, in their order."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def workspace(copy_to: Path) -> Path:
    """The folder of the notebooks to work on: the checkout's own, or a copy where seglab was installed from a wheel.

    Files that exist in the copy are not overwritten: they may hold a learner's work. A FileNotFoundError is raised
    where the notebooks are not installed.
    """
    share = share_dir()
    if share is None or not numbered(share / "notebooks"):
        raise FileNotFoundError("the notebooks are not installed; `seglab doctor` lists what to do")
    if project_root():
        return share / "notebooks"
    copy_to.mkdir(parents=True, exist_ok=True)
    for source in (share / "notebooks").iterdir():
        if source.is_file() and not (copy_to / source.name).exists():
            with replacing(copy_to / source.name) as unfinished:
                shutil.copy(source, unfinished)
    return copy_to


def open_lab(folder: Path, ip: str, port: int, browser: bool) -> None:
    """Run JupyterLab on the first notebook of a folder until it is stopped, without news and update pop-ups."""
    from jupyterlab.labapp import main

    options = [f"--ServerApp.root_dir={folder.resolve()}", f"--ServerApp.ip={ip}", f"--ServerApp.port={port}"]
    # Unlike a file given to JupyterLab, the default address is also part of the address that it prints.
    options.append(f"--LabApp.default_url=/lab/tree/{numbered(folder)[0].name}")
    options += ["--no-browser"] * (not browser)
    options += ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)  # in a container
    with tempfile.TemporaryDirectory() as settings:
        defaults = Path(settings) / "labconfig" / "default_setting_overrides.json"  # a user's own settings win
        defaults.parent.mkdir()
        defaults.write_text(json.dumps(NO_POPUPS), encoding="utf-8")
        paths = [settings, *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
        os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
        main(options)
