"""VGG Image Annotator (https://www.robots.ox.ac.uk/~vgg/software/via/), JSON of versions 1 and 2, also its projects."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from math import degrees
from pathlib import Path
from typing import Any

from seglab.data.card import VOID, Card, Proposal, Question
from seglab.data.formats.entries import Entry
from seglab.data.formats.json_files import of_format, pattern_of, read_json, read_listed, recognised
from seglab.data.formats.objects import Annotated, assemble, split_of
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import Mask, ellipse, polygon

KEYS = frozenset({"filename", "regions", "shape_attributes"})
AREAS = ("polygon", "circle", "ellipse")
OBJECT = "object"  # the class of regions without attributes


def recognise(folder: Path) -> Proposal | None:
    """JSON files whose images have regions with shape_attributes; the classes are values of a region attribute."""
    files = recognised(folder, KEYS)
    if not files:
        return None
    regions: list[list[tuple[str, str]]] = []
    for path in files:
        with of_format(path, "via"):
            regions += [_attributes(region) for _, region in _regions(read_json(path))]
    values: dict[str, set[str]] = defaultdict(set)
    for name, value in chain(*regions):
        values[name].add(value)
    # Attributes with equal values are one: people rename an attribute, and earlier regions keep the old name.
    groups = {tuple(sorted(found)): name for name, found in values.items()} or {(OBJECT,): "none"}
    evidence = [f"Region attribute {name}: {', '.join(found)}." for found, name in groups.items()]
    options: dict[str, dict[str, Any]] = {}
    for found, name in groups.items():
        bare = sum(not any(value in found for _, value in region) for region in regions)
        labels = {"": found[0] if len(found) == 1 else VOID} if bare else {}
        options[name] = {"names": ("background", *found), "labels": labels}
        if bare:
            evidence.append(f"Regions without attribute {name}: {bare}, read as {labels['']}.")
    first = max(options, key=lambda name: len(options[name]["names"]))
    card = Card(folder, format="via", annotations=pattern_of(folder, files), **options[first])
    proposal = propose(card, read_listed(card, _parse, KEYS), card.names, evidence)
    if proposal is None or len(options) == 1:
        return proposal
    return replace(proposal, question=Question("Which region attribute is the class?", options))


def entries(card: Card) -> list[Entry]:
    """The images that the JSON files list. The label of a region is its attribute value that the card names."""
    return assemble(card, read_listed(card, _parse, KEYS))


def _images(content: Any) -> list[dict[str, Any]]:
    return list(content.get("_via_img_metadata", content).values())


def _regions(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file name and the region; an image has a list of regions, in version 1 a mapping."""
    for image in _images(content):
        regions = image["regions"]
        yield from (
            (image["filename"], region) for region in (regions.values() if isinstance(regions, dict) else regions)
        )


def _attributes(region: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a region's attributes; checkboxes store {option: true}."""
    pairs = []
    for name, value in region["region_attributes"].items():
        chosen = [option for option, on in value.items() if on] if isinstance(value, dict) else [str(value).strip()]
        pairs += [(name, option) for option in chosen if option]
    return pairs


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    by_name: dict[str, list[dict[str, Any]]] = {image["filename"]: [] for image in _images(content)}
    for name, region in _regions(content):
        by_name[name].append(region)
    for name, regions in by_name.items():
        shapes = [(region["shape_attributes"], region) for region in regions]
        yield Annotated(
            name, path,
            objects=tuple((_label(region, card, path), partial(_area, shape)) for shape, region in shapes
                          if shape["name"] in AREAS),
            others=tuple(shape["name"] for shape, _ in shapes if shape["name"] not in AREAS),
            split=split_of(path.relative_to(card.root), name=True),
        )  # fmt: skip


def _label(region: dict[str, Any], card: Card, path: Path) -> str:
    values = [value for _, value in _attributes(region)]
    named = sorted({value for value in values if value in card.names or value in card.labels})
    if len(named) > 1:
        raise ValueError(f"{path}: a region is both {named[0]} and {named[1]}; leave one of them out of names:")
    return [*named, *([""] if "" in card.labels else []), *values, ""][0]


def _area(shape: dict[str, Any], size: tuple[int, int]) -> Mask:
    if shape["name"] == "polygon":
        return polygon(list(zip(shape["all_points_x"], shape["all_points_y"], strict=True)), size)
    radii = (shape["r"], shape["r"]) if shape["name"] == "circle" else (shape["rx"], shape["ry"])
    return ellipse(shape["cx"], shape["cy"], *radii, size, degrees(shape.get("theta", 0)))
