"""The page of `seglab predict`: its photographs and masks in the viewer, as one file without a kernel or a network."""

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from seglab import __version__
from seglab._utils.paths import replacing
from seglab.data.classes import ClassSet
from seglab.data.labels import read_mask
from seglab.viz.widgets.html import PAGE_STYLE, document, fragment
from seglab.viz.widgets.viewer import scene_data
from seglab.viz.widgets.views import downsized

PAGE = "index.html"
MOST_PHOTOGRAPHS, MOST_BYTES, MOST_PIXELS = 12, 15_000_000, 1_000_000  # of the page, and of a photograph in it
MARK = "seglab-predictions"  # class of the page's body
STYLE = (
    PAGE_STYLE
    + """
body { font: 15px/1.5 system-ui, "Segoe UI", sans-serif; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: .4rem 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; max-width: 46rem; overflow-wrap: anywhere; } a { color: var(--accent); }
"""
)


def write_page(out: Path, photos: Sequence[Path], model: str, classes: ClassSet, force: bool = False) -> str:
    """Write index.html beside the masks that `segment` wrote into a folder; the first photographs, as far as they fit.

    Args:
        photos: those whose masks NAME_mask.png are in the folder.
        model: its name on the page.
        force: also replace an index.html of another program.

    Returns:
        A sentence about the page, or why there is none.
    """
    page = out / PAGE
    if page.exists() and not force and MARK not in page.read_text(encoding="utf-8", errors="replace"):
        return f"{page} is of another program and is kept; with --force it is replaced by a page that shows the masks"
    parts: list[str] = []
    for photo in photos[:MOST_PHOTOGRAPHS]:
        part = _part(out, photo, model, classes)
        if parts and sum(map(len, parts)) + len(part) > MOST_BYTES:
            break
        parts.append(part)
    count = "the photograph" if len(photos) == 1 else f"{len(photos)} photographs"
    shown = "" if len(parts) == len(photos) else f" This page shows the first {len(parts)}, to stay small."
    text = (
        f"{model} assigned every pixel of {count} to one of {len(classes)} classes: {', '.join(classes.names)}.{shown}"
        f" Masks and overlays in full size, and table.csv, are beside this page (seglab {__version__})."
    )
    body = f"<h1>Predicted masks</h1>\n<p>{html.escape(text)}</p>\n" + "\n".join(parts)
    with replacing(page) as unfinished:
        unfinished.write_text(
            document(f"masks of {model}", body, STYLE, f"seglab-page {MARK}"), encoding="utf-8",
            errors="backslashreplace",
        )  # fmt: skip
    return f"{page} shows {'them' if not shown else f'the first {len(parts)}'} in the browser"


def _part(out: Path, photo: Path, model: str, classes: ClassSet) -> str:
    """A photograph in the page: its name, links to its files, and the viewer."""
    image, _ = downsized(photo, MOST_PIXELS)
    mask = _resized(read_mask(out / f"{photo.stem}_mask.png").numpy(), image.shape[1:])
    files = [(f"{photo.stem}_{kind}.png", kind) for kind in ("mask", "overlay")]
    links = ", ".join(f'<a href="{quote(file, errors="replace")}">{kind}</a>' for file, kind in files)
    state = {"hidden": [] if classes.background is None else [classes.background]}  # its colour would hide the image
    scene = fragment(scene_data(image, {model: mask}, classes), state)
    return f"<h2>{html.escape(photo.name)}</h2>\n<p>{links}</p>\n{scene}"


def _resized(mask: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The label map at another size: of each pixel the nearest one."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]
