"""labelme (https://github.com/wkentaro/labelme): a JSON file for each image."""

import base64
from collections.abc import Iterator
from functools import partial
from math import dist
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglab.data.card import Card
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import Annotated, Size
from seglab.data.formats.shapes import Mask, ellipse, pasted, polygon
from seglab.data.formats.tools import Reader, content_of
from seglab.data.images import open_image, turned_upright

AREAS = ("polygon", "rectangle", "circle", "mask")


def _classes(folder: Path, _: list[Path], found: Findings) -> None:
    """labels.txt, where there is one, states the order of the classes."""
    if (labels := folder / "labels.txt").is_file():
        names = [name.strip() for name in content_of(labels).splitlines() if name.strip()]
        found.note("labels.txt: the order of the classes.", names=names)


def _parse(_: Card, path: Path, content: Any) -> Iterator[Annotated]:
    shapes = [(shape.get("shape_type") or "polygon", shape) for shape in content["shapes"]]
    height, width, data = content.get("imageHeight"), content.get("imageWidth"), content.get("imageData")
    yield Annotated(
        content["imagePath"], path, (height, width) if height and width else None,
        tuple((str(shape["label"]), partial(_area, kind, shape["points"], shape.get("mask"))) for kind, shape in shapes
              if kind in AREAS),
        tuple(kind for kind, _ in shapes if kind not in AREAS),
        done=True, embedded=partial(_embedded, data) if data else None,
    )  # fmt: skip


def _area(kind: str, points: list[list[float]], mask: str | None, size: Size) -> Mask:
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
    return np.array(turned_upright(_decoded(data)).convert("RGB"))


def _decoded(data: str) -> Image.Image:
    """An image file in base64."""
    return open_image(base64.b64decode(data))


READER = Reader("labelme", frozenset({"shapes", "imagePath"}), _parse, classes=_classes, per_image=True)
recognise, entries = READER.recognise, READER.entries
