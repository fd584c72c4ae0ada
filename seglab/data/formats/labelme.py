"""labelme (https://github.com/wkentaro/labelme): a JSON file for each image."""

import base64
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from math import dist
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry
from seglab.data.formats.json_files import read_listed, recognised
from seglab.data.formats.objects import Annotated, assemble
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import Mask, ellipse, pasted, polygon

KEYS = frozenset({"shapes", "imagePath"})
AREAS = ("polygon", "rectangle", "circle", "mask")


def recognise(folder: Path) -> Proposal | None:
    """JSON files with shapes and an imagePath; labels.txt, where there is one, states the order of the classes."""
    if not recognised(folder, KEYS):
        return None
    labels = folder / "labels.txt"
    names = labels.read_text(encoding="utf-8").split("\n") if labels.is_file() else []
    card = Card(folder, format="labelme")
    evidence = ["labels.txt: the order of the classes."] if names else []
    listed = read_listed(card, _parse, KEYS)
    return propose(card, listed, [name.strip() for name in names if name.strip()], evidence, unlisted=True)


def entries(card: Card) -> list[Entry]:
    """The images of the JSON files, and the others in their folders; areas are painted in the order of the file."""
    return assemble(card, read_listed(card, _parse, KEYS), unlisted=True)


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    shapes = [(shape.get("shape_type") or "polygon", shape) for shape in content["shapes"]]
    height, width, data = content.get("imageHeight"), content.get("imageWidth"), content.get("imageData")
    yield Annotated(
        content["imagePath"], path, (height, width) if height and width else None,
        tuple((str(shape["label"]), partial(_area, kind, shape["points"], shape.get("mask"))) for kind, shape in shapes
              if kind in AREAS),
        tuple(kind for kind, _ in shapes if kind not in AREAS),
        done=True, embedded=partial(_embedded, data) if data else None,
    )  # fmt: skip


def _area(kind: str, points: list[list[float]], mask: str | None, size: tuple[int, int]) -> Mask:
    if kind == "polygon" or len(points) > 2:  # a rotated rectangle has four corners
        return polygon(points, size)
    (left, top), (right, bottom) = points
    if kind == "circle":  # its centre, and a point on it
        radius = dist(*points)
        return ellipse(left, top, radius, radius, size)
    if kind == "mask":
        return pasted(np.array(_decoded(str(mask))), round(left), round(top), size)
    return polygon([left, top, right, top, right, bottom, left, bottom], size)


def _embedded(data: str) -> NDArray[Any]:
    return np.array(ImageOps.exif_transpose(_decoded(data)).convert("RGB"))


def _decoded(data: str) -> Image.Image:
    """An image file in base64."""
    return Image.open(BytesIO(base64.b64decode(data)))
