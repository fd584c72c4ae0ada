"""CVAT for images 1.1 (https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/), XML."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry, matches
from seglab.data.formats.json_files import of_format, pattern_of
from seglab.data.formats.objects import Annotated, assemble, split_of
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import Mask, ellipse, pasted, polygon
from seglab.data.palette import hex_colors

AREAS = ("polygon", "mask", "ellipse")


def recognise(folder: Path) -> Proposal | None:
    """XML files whose root `annotations` has images."""
    files = [path for path, _ in matches(folder, "{id}.xml") if _is_cvat(path)]
    if not files:
        return None
    labels = [label for path in files for label in _root(path).iterfind(".//labels/label")]
    names = [label.findtext("name", "") for label in labels if label.findtext("type") != "tag"]
    colors = {
        label.findtext("name", ""): hex_colors(color[1:])[0] for label in labels if (color := label.findtext("color"))
    }
    colors = {name: color for name, color in colors.items() if name in names}
    card = Card(folder, format="cvat", annotations=pattern_of(folder, files), colors=colors)
    return propose(card, _listed(card), names)


def entries(card: Card) -> list[Entry]:
    """The images that the XML files list; objects are painted by their z_order, then in the order of the file."""
    return assemble(card, _listed(card))


def _is_cvat(path: Path) -> bool:
    try:
        _, first = next(ElementTree.iterparse(path, ["start"]))
        return first.tag == "annotations" and _root(path).find("image") is not None
    except (ElementTree.ParseError, ValueError):
        return False


def _root(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: damaged or no XML ({error}); export it again") from error


def _listed(card: Card) -> list[Annotated]:
    listed: list[Annotated] = []
    for path, _ in matches(card.root, card.annotations or "{id}.xml"):
        with of_format(path, "cvat"):
            listed += _parse(card, path)
    if not listed:
        raise ValueError(f"{card.root}: no file {card.annotations or '{id}.xml'} lists images as CVAT for images 1.1;"
                         " correct annotations: in the card")  # fmt: skip
    return listed


def _parse(card: Card, path: Path) -> Iterator[Annotated]:
    for image in _root(path).iterfind("image"):
        shapes = sorted(image, key=lambda shape: int(shape.get("z_order", 0)))
        stated = split_of(Path(image.get("subset", ""), image.attrib["name"]))
        yield Annotated(
            image.attrib["name"], path, (int(image.attrib["height"]), int(image.attrib["width"])),
            tuple((shape.attrib["label"], partial(_area, shape.tag, dict(shape.attrib))) for shape in shapes
                  if shape.tag in AREAS),
            tuple(shape.tag for shape in shapes if shape.tag not in AREAS),
            stated or split_of(path.relative_to(card.root), name=True),
        )  # fmt: skip


def _area(kind: str, values: dict[str, str], size: tuple[int, int]) -> Mask:
    if kind == "polygon":
        return polygon([float(number) for number in values["points"].replace(";", ",").split(",")], size)
    if kind == "ellipse":
        x, y, horizontal, vertical = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
        return ellipse(x, y, horizontal, vertical, size, float(values.get("rotation", 0)))
    left, top, width, height = (int(values[key]) for key in ("left", "top", "width", "height"))
    runs = [int(run) for run in values["rle"].split(",")]  # of pixels outside and inside in turn, row by row
    return pasted(np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width), left, top, size)
