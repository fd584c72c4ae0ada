"""CVAT for images 1.1 (https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/), XML."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from seglab.data.card import Card
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import Annotated, Size, split_of
from seglab.data.formats.shapes import Mask, ellipse, pasted, polygon
from seglab.data.formats.tools import Reader, content_of, of_format
from seglab.data.palette import hex_colors

AREAS = ("polygon", "mask", "ellipse")


def _classes(_: Path, files: list[Path], found: Findings) -> None:
    """The labels of each file with their colours, except those of tags."""
    colors = {}
    for path in files:
        with of_format(path, "cvat"):
            for label in content_of(path).iterfind(".//labels/label"):
                if label.findtext("type") != "tag":
                    color = label.findtext("color")
                    colors[label.findtext("name", "")] = hex_colors(color[1:])[0] if color else None
    found.changes |= {"names": list(colors), "colors": {name: color for name, color in colors.items() if color}}


def _parse(card: Card, path: Path, content: Element) -> Iterator[Annotated]:
    for image in content.iterfind("image"):
        shapes = sorted(image, key=lambda shape: int(shape.get("z_order", 0)))  # later ones of equal order are above
        stated = split_of(Path(image.get("subset", ""), image.attrib["name"]))
        yield Annotated(
            image.attrib["name"], path, (int(image.attrib["height"]), int(image.attrib["width"])),
            tuple((s.attrib["label"], partial(_area, s.tag, dict(s.attrib))) for s in shapes if s.tag in AREAS),
            tuple(shape.tag for shape in shapes if shape.tag not in AREAS),
            stated or split_of(path.relative_to(card.root), name=True),
        )  # fmt: skip


def _area(kind: str, values: dict[str, str], size: Size) -> Mask:
    if kind == "polygon":
        return polygon([float(number) for number in values["points"].replace(";", ",").split(",")], size)
    if kind == "ellipse":
        x, y, horizontal, vertical = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
        return ellipse(x, y, horizontal, vertical, size, float(values.get("rotation", 0)))
    left, top, width, height = (int(values[key]) for key in ("left", "top", "width", "height"))
    runs = [int(run) for run in values["rle"].split(",")]  # of pixels outside and inside in turn, row by row
    if sum(runs) != width * height:
        raise ValueError(f"run lengths of {sum(runs)} pixels for a mask of {height} × {width}")
    return pasted(np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width), left, top, size)


READER = Reader("cvat", frozenset({"annotations", "image"}), _parse, classes=_classes, pattern="{id}.xml")
recognise, entries = READER.recognise, READER.entries
