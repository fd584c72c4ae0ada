"""Supervisely (https://docs.supervisely.com/customization-and-integration/00_ann_format_navi): meta.json, and for each
dataset img/NAME and ann/NAME.json."""

import base64
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seglab.data.card import Card
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import Annotated, Size
from seglab.data.formats.shapes import Mask, pasted, polygon
from seglab.data.formats.tools import Reader, content_of, of_format, recognised
from seglab.data.images import IMAGE_SUFFIXES, open_image
from seglab.data.palette import hex_colors

AREAS = ("polygon", "bitmap")


def _classes(folder: Path, files: list[Path], found: Findings) -> None:
    """meta.json states classes and colours."""
    if not recognised(folder, KEYS | {"classTitle", "geometryType"}):
        files.clear()
    classes = []
    for path in recognised(folder, {"classes", "title", "shape"}) if files else ():
        with of_format(path, "supervisely"):
            classes += [(item["title"], item.get("color")) for item in content_of(path)["classes"]]
    colors = {title: hex_colors(color[1:])[0] for title, color in classes if color}
    found.changes |= {"names": [title for title, _ in classes], "colors": colors}


def _parse(_: Card, path: Path, content: Any) -> Iterator[Annotated]:
    shapes = [(item["geometryType"], item) for item in content["objects"]]
    image = path.name.removesuffix(".json")
    if Path(image).suffix.lower() not in IMAGE_SUFFIXES:  # earlier exports: ann/a.json for img/a.png
        image = next((file.name for file in sorted(path.parent.with_name("img").glob(f"{image}.*"))), image)
    yield Annotated(
        image, path, (content["size"]["height"], content["size"]["width"]),
        tuple((item["classTitle"], partial(_area, item)) for kind, item in shapes if kind in AREAS),
        tuple(kind for kind, _ in shapes if kind not in AREAS), done=True,
    )  # fmt: skip


def _area(item: dict[str, Any], size: Size) -> Mask:
    if item["geometryType"] == "polygon":
        return polygon(item["points"]["exterior"], size, item["points"]["interior"])
    image = open_image(zlib.decompress(base64.b64decode(item["bitmap"]["data"])))
    left, top = item["bitmap"]["origin"]
    inside = np.array(image.getchannel("A") if "A" in image.getbands() else image.convert("L"))
    return pasted(inside, left, top, size)


KEYS = frozenset({"objects", "size", "height", "width"})
READER = Reader("supervisely", KEYS, _parse, classes=_classes, per_image=True)
recognise, entries = READER.recognise, READER.entries
