"""Supervisely (https://docs.supervisely.com/customization-and-integration/00_ann_format_navi): meta.json, and for each
dataset img/NAME and ann/NAME.json."""

import base64
import zlib
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry
from seglab.data.formats.json_files import of_format, read_json, read_listed, recognised
from seglab.data.formats.objects import Annotated, assemble
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import Mask, pasted, polygon
from seglab.data.images import IMAGE_SUFFIXES
from seglab.data.palette import hex_colors

KEYS = frozenset({"objects", "size", "height", "width"})
AREAS = ("polygon", "bitmap")


def recognise(folder: Path) -> Proposal | None:
    """JSON files with objects of a classTitle; meta.json states classes and colours."""
    if not recognised(folder, KEYS | {"classTitle", "geometryType"}):
        return None
    classes = []
    for path in recognised(folder, {"classes", "title", "shape"}):
        with of_format(path, "supervisely"):
            classes += read_json(path)["classes"]
    names = [item["title"] for item in classes]
    colors = {item["title"]: hex_colors(item["color"][1:])[0] for item in classes if item.get("color")}
    card = Card(folder, format="supervisely", colors=colors)
    return propose(card, read_listed(card, _parse, KEYS), names, unlisted=True)


def entries(card: Card) -> list[Entry]:
    """The images that have a JSON file, and the others in their folders."""
    return assemble(card, read_listed(card, _parse, KEYS), unlisted=True)


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    shapes = [(item["geometryType"], item) for item in content["objects"]]
    image = path.name.removesuffix(".json")
    if Path(image).suffix.lower() not in IMAGE_SUFFIXES:  # earlier exports: ann/a.json for img/a.png
        image = next((file.name for file in sorted(path.parent.with_name("img").glob(f"{image}.*"))), image)
    yield Annotated(
        image, path, (content["size"]["height"], content["size"]["width"]),
        tuple((item["classTitle"], partial(_area, item)) for kind, item in shapes if kind in AREAS),
        tuple(kind for kind, _ in shapes if kind not in AREAS), done=True,
    )  # fmt: skip


def _area(item: dict[str, Any], size: tuple[int, int]) -> Mask:
    if item["geometryType"] == "polygon":
        return polygon(item["points"]["exterior"], size, item["points"]["interior"])
    image = Image.open(BytesIO(zlib.decompress(base64.b64decode(item["bitmap"]["data"]))))
    left, top = item["bitmap"]["origin"]
    inside = np.array(image.getchannel("A") if "A" in image.getbands() else image.convert("L"))
    return pasted(inside, left, top, size)
