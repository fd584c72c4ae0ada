"""The command `seglab explore`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from seglab._utils.errors import plain_errors

Photos = Annotated[list[Path] | None, Argument(metavar="[PHOTO]...", help="Image files, or folders of them.")]
Models = Annotated[
    list[str] | None,
    Option("--model", metavar="[NAME=]MODEL", help="As unet_mini:camvid, a checkpoint or hf:OWNER/NAME; repeatable."),
]


def explore(
    photos: Photos = None,
    data: Annotated[
        str | None, Option(help="Images of a data set instead, as 'camvid val', or a folder of your own.")
    ] = None,
    store: Annotated[
        Path | None, Option(metavar="FILE", help="The results of seglab evaluate: from each number to its images.")
    ] = None,
    models: Models = None,
    port: Annotated[int, Option(help="Port of the server; the next free one if it is in use.")] = 8866,
    browser: Annotated[bool, Option(help="Open a browser window.")] = True,
) -> None:
    """Look at photographs, data or stored results in the browser: masks of several models, scores, single pixels.

    Drop other photographs onto the page, choose models, and save masks,
    overlays and the page itself. Without arguments it opens on an example.
    The server accepts this machine only; no photograph leaves it.
    Stop it with Ctrl-C.
    """
    from seglab.viz.widgets.served import serve

    with plain_errors():
        for path in [*(photos or ()), *([store] if store else [])]:
            if not path.exists():
                raise ValueError(f"{path}: no such file or folder")
        if store and photos:
            raise ValueError("--store shows stored results and takes no photographs; leave out one of them")
        named = [name.partition("=")[::2] if "=" in name else ("", name) for name in models or ()]
        files = {"photos": [str(path) for path in photos or ()], "store": str(store or "")}
        serve(files | {"models": named, "data": data or ""}, port, browser)
