"""The explorer and the linked comparison in the browser without a notebook.

Voilà (https://voila.readthedocs.io) renders one cell on a server of this machine; each page that is opened has a kernel
of its own, which ends with the page. The cell calls `opened`.
"""

import html
import json
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from seglab._utils.text import echo

if TYPE_CHECKING:
    from seglab.viz.widgets.still import Kept

TEMPLATE = Path(__file__).parent / "js" / "served.html.j2"
ADDRESS = "127.0.0.1"  # this machine only
PORT = 8866
QUIET = "--IPKernelApp.log_level=40"  # without the warning that messages on this machine are not encrypted


def serve(given: dict[str, Any], port: int = PORT, browser: bool = True) -> None:
    """Run a server until Ctrl-C or SIGTERM that shows `opened(**given)`; print its address, which holds a secret token.

    Args:
        given: arguments of `opened`.
        port: the next free one where it is in use.
        browser: open a browser window.

    Raises:
        ValueError: Voilà is not installed.
    """
    try:
        from voila.app import Voila
    except ModuleNotFoundError as error:
        raise ValueError(f"this needs Voilà, which is not installed ({error.name}): pip install voila") from None

    class Server(Voila):
        def launch_browser(self) -> None:  # is called once the server listens; Voilà's own omits the token
            address = f"http://{ADDRESS}:{self.port}/?token={self.token}"
            echo(f"seglab explore is at {address}\nStop it with Ctrl-C.")
            if browser:
                webbrowser.open(address)

    with TemporaryDirectory() as folder:
        page = _write_page(Path(folder), given)
        app = Server.instance(
            ip=ADDRESS, port=port, token=token_hex(16), open_browser=True, root_dir=folder, notebook_path=str(page),
            log_level="ERROR", config_file_paths=[],
        )  # fmt: skip
        app.config.VoilaConfiguration.update(template="seglab", extra_labextensions_path=[], file_allowlist=[])
        app.initialize([])
        app.start()
    echo("stopped")


def _write_page(folder: Path, given: dict[str, Any]) -> Path:
    """The notebook with the one cell; beside it, where Jupyter looks them up, its template and this Python's kernel."""
    kernel, template = folder / "kernels" / "seglab", folder / "voila" / "templates" / "seglab"
    for new in (kernel, template):
        new.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", QUIET]
    spec = {"argv": argv, "display_name": "seglab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    (template / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    (template / "index.html.j2").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])])
    cell = new_code_cell(
        f"import os\nos.chdir({str(Path.cwd())!r})\nfrom {__name__} import opened\nopened(**{given!r})"
    )
    nb = new_notebook(cells=[cell], metadata={"kernelspec": spec | {"name": "seglab"}, "title": "seglab explore"})
    nbformat.write(nb, folder / "explore.ipynb")
    return folder / "explore.ipynb"


def opened(photos: Sequence[str] = (), models: Sequence[tuple[str, str]] = (), data: str = "", store: str = "") -> Any:
    """The explorer of photographs (paths of files and folders) or data; or, for a store, the linked comparison.

    Args:
        models: (label, source) of each; the label may be empty.
        data: as for `explore`; of a store, the data set where it does not name it.

    A ValueError or OSError becomes a sentence in the page.
    """
    import ipywidgets as widgets

    from seglab.viz.widgets.explorer import PROBLEM

    try:
        view = _view(photos, {label or source: source for label, source in models}, data, store)
    except (ValueError, OSError) as error:
        return widgets.HTML(f'<div role="alert" style="{PROBLEM}">{html.escape(str(error))}</div>')
    view.kept = False  # nothing is saved here
    return view


def _view(photos: Sequence[str], models: dict[str, str], data: str, store: str) -> "Kept":
    from seglab.data.images import image_paths
    from seglab.viz.widgets.comparison import compare_models
    from seglab.viz.widgets.explorer import explore
    from seglab.viz.widgets.sources import data_sources

    if store:
        dataset = next(iter(data_sources(data).values())).load() if data else None
        return compare_models(store, dataset, models)
    return explore(models or None, data or None, photos=image_paths(photos))
