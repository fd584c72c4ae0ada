"""JupyterLab for tests: a checkout of its own, a server that stops, a notebook that is run in a browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from helpers.paths import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Page

from seglab.course.lab import numbered
from seglab.course.notebooks import normalise


def without_outputs(path: Path) -> Path:
    """So that what is seen afterwards was made now."""
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    nbformat.write(normalise(nb), path)
    return path


def copy_checkout(folder: Path) -> Path:
    """A copy of the package and its notebooks, so that what the browser saves stays there."""
    for name in ("seglab", "notebooks"):
        ignore = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore) if (ROOT / name).is_dir() else None
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "notebooks").mkdir(exist_ok=True)
    if not numbered(folder / "notebooks"):
        cells = [new_markdown_cell("# Made by a test"), new_code_cell("6 * 7"), new_code_cell("import seglab")]
        nbformat.write(new_notebook(cells=cells), folder / "notebooks" / "00_made.ipynb")
    return folder


@contextmanager
def lab(checkout: Path, token: str) -> Iterator[str]:
    """`seglab lab` on a free port of this machine, with settings of its own; its address, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {name: str(checkout.parent / name) for name in (
        "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")}  # fmt: skip
    config = Path(folders["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.json"
    config.parent.mkdir()
    # Were this test killed, the server would stop by itself.
    stop = {"ServerApp": {"shutdown_no_activity_timeout": 120}, "MappingKernelManager": {"cull_idle_timeout": 120}}
    config.write_text(json.dumps(stop))
    log = checkout.parent / "lab.log"
    command = [sys.executable, "-m", "seglab", "lab", "--no-browser", "--port", str(port)]
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=checkout, stdout=output, stderr=output, env=os.environ | folders | {"JUPYTER_TOKEN": token}
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/api/status?token={token}", server, log)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(log.read_text())


def run_all_cells(page: Page) -> None:
    page.locator(".jp-NotebookPanel").wait_for(timeout=60_000)
    # The indicator in the toolbar says idle before there is a kernel; what is run then is lost. The status bar waits.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def saved_cells(page: Page, path: Path, seconds: float = 180) -> list[NotebookNode]:
    """Save in the browser until the file shows that all cells were run, or that one failed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        try:
            cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        except nbformat.reader.NotJSONError:  # it is being written
            continue
        if all(cell.execution_count for cell in cells) or any(errors(cell) for cell in cells):
            return cells
    raise TimeoutError(f"{path.name} was not run within {seconds} s")


def errors(cell: NotebookNode) -> list[str]:
    return [f"{output.ename}: {output.evalue}" for output in cell.outputs if output.output_type == "error"]
