"""VGG Image Annotator (https://www.robots.ox.ac.uk/~vgg/software/via/), JSON of versions 1 and 2, also its projects."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import chain
from math import degrees
from pathlib import Path
from typing import Any

from seglab.data.card import VOID, Card
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import Annotated, Size, split_of
from seglab.data.formats.shapes import Mask, ellipse, polygon
from seglab.data.formats.tools import Reader, content_of, of_format

AREAS = ("polygon", "circle", "ellipse")
OBJECT = "object"  # the class of regions without attributes


def _classes(_: Path, files: list[Path], found: Findings) -> None:
    """The classes are the values of a region attribute; which one, is a question where there are several."""
    regions: list[list[tuple[str, str]]] = []
    for path in files:
        with of_format(path, "via"):
            regions += [_attributes(region) for some in _regions(content_of(path)).values() for region in some]
    values: dict[str, set[str]] = defaultdict(set)
    for name, value in chain(*regions):
        values[name].add(value)
    # Attributes with equal values are one: people rename an attribute, and earlier regions keep the old name.
    groups = {tuple(sorted(some)): name for name, some in values.items()} or {(OBJECT,): "none"}
    found.evidence += [f"Region attribute {name}: {', '.join(some)}." for some, name in groups.items()]
    options: dict[str, dict[str, Any]] = {}
    for some, name in groups.items():
        bare = sum(not any(value in some for _, value in region) for region in regions)
        labels = {"": some[0] if len(some) == 1 else VOID} if bare else {}
        options[name] = {"names": ("background", *some), "labels": labels}
        if bare:
            found.note(f"Regions without attribute {name}: {bare}, read as {labels['']}.")
    found.changes |= max(options.values(), key=lambda option: len(option["names"]))
    if len(options) > 1:
        found.ask("Which region attribute is the class?", options)


def _regions(content: Any) -> dict[str, list[dict[str, Any]]]:
    """File name → regions; an image has a list of regions, in version 1 a mapping."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in content.get("_via_img_metadata", content).values():
        regions = image["regions"]
        found[image["filename"]] += regions.values() if isinstance(regions, dict) else regions
    return found


def _attributes(region: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a region's attributes; checkboxes store {option: true}."""
    pairs = []
    for name, value in region["region_attributes"].items():
        chosen = [option for option, on in value.items() if on] if isinstance(value, dict) else [str(value).strip()]
        pairs += [(name, option) for option in chosen if option]
    return pairs


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    for name, regions in _regions(content).items():
        shapes = [(region["shape_attributes"], region) for region in regions]
        yield Annotated(
            name, path,
            objects=tuple((_label(region, card, path), partial(_area, shape)) for shape, region in shapes
                          if shape["name"] in AREAS),
            others=tuple(shape["name"] for shape, _ in shapes if shape["name"] not in AREAS),
            split=split_of(path.relative_to(card.root), name=True),
        )  # fmt: skip


def _label(region: dict[str, Any], card: Card, path: Path) -> str:
    """The value of a region's attributes that the card names."""
    values = [value for _, value in _attributes(region)]
    named = sorted({value for value in values if value in card.names or value in card.labels})
    if len(named) > 1:
        raise ValueError(f"{path}: a region is both {named[0]} and {named[1]}; leave one of them out of names:")
    return [*named, *([""] if "" in card.labels else []), *values, ""][0]


def _area(shape: dict[str, Any], size: Size) -> Mask:
    if shape["name"] == "polygon":
        return polygon(list(zip(shape["all_points_x"], shape["all_points_y"], strict=True)), size)
    radii = (shape["r"], shape["r"]) if shape["name"] == "circle" else (shape["rx"], shape["ry"])
    return ellipse(shape["cx"], shape["cy"], *radii, size, degrees(shape.get("theta", 0)))


READER = Reader("via", frozenset({"filename", "regions", "shape_attributes"}), _parse, classes=_classes)
recognise, entries = READER.recognise, READER.entries
