"""COCO panoptic (https://cocodataset.org/#format-data): PNG files of segment ids, whose classes a JSON file lists."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import Card, Proposal
from seglab.data.classes import IGNORE_INDEX
from seglab.data.formats.entries import Entry, matches
from seglab.data.formats.json_files import of_format, pattern_of, read_json, read_listed, recognised
from seglab.data.formats.objects import Annotated, Finder, assemble, split_of
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import Mask
from seglab.data.images import decode

KEYS = frozenset({"images", "annotations", "categories", "segments_info"})


def recognise(folder: Path) -> Proposal | None:
    """JSON files whose annotations have segments_info, with their PNG files."""
    files, names, masks = recognised(folder, KEYS), [], []
    finder = Finder(folder, (path for path, _ in matches(folder, "{id}.png")))
    for path in files:
        content = read_json(path)
        with of_format(path, "panoptic"):
            names += [category["name"] for category in content["categories"]]
            found = [_png(path, annotation["file_name"], finder) for annotation in content["annotations"]]
            masks += [png for png in found if png]
    if not masks:
        return None
    pattern = pattern_of(folder, sorted(masks))
    card = Card(folder, format="panoptic", annotations=pattern_of(folder, files), masks=pattern)
    evidence = [f"{len(masks)} PNG files of segment ids: {pattern}. Pixels of id 0 are void."]
    return propose(card, read_listed(card, _parse, KEYS), names, evidence, background=False)


def entries(card: Card) -> list[Entry]:
    """The images that the annotation files list; id 0 is void."""
    return assemble(card, read_listed(card, _parse, KEYS), background=IGNORE_INDEX)


def _png(source: Path, name: str, finder: Finder) -> Path | None:
    beside = source.with_suffix("") / name  # annotations/panoptic_val2017.json, annotations/panoptic_val2017/
    return beside if beside.is_file() else finder.find(name, source)


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    finder = Finder(card.root, (mask for mask, _ in matches(card.root, card.masks or "{id}.png")))
    categories = {category["id"]: category["name"] for category in content["categories"]}
    annotations = {annotation["image_id"]: annotation for annotation in content["annotations"]}
    for image in content["images"]:
        objects: dict[str, list[int]] = defaultdict(list)
        annotation = annotations.get(image["id"], {"segments_info": []})
        for segment in annotation["segments_info"]:
            objects[categories[segment["category_id"]]].append(segment["id"])
        mask = _png(path, annotation["file_name"], finder) if objects else path
        if mask is None:
            raise ValueError(f"{path}: {annotation['file_name']} is not below {card.root}; copy the PNG files there")
        known = tuple(id for ids in objects.values() for id in ids)
        yield Annotated(
            image["file_name"], path, (image["height"], image["width"]),
            tuple((name, partial(_segments, mask, known, ids)) for name, ids in objects.items()),
            split=split_of(path.relative_to(card.root), name=True), files=(mask,),
        )  # fmt: skip


def _segments(png: Path, known: tuple[int, ...], wanted: list[int], size: tuple[int, int]) -> Mask:
    """The pixels of some segments; ids that the JSON file does not list are an error."""
    ids = _ids(png, png.stat().st_mtime_ns)
    if ids.shape != size:
        raise ValueError(f"{png} has {ids.shape[0]} × {ids.shape[1]} pixels, {size[0]} × {size[1]} are stated")
    foreign = ids[~np.isin(ids, (0, *known))]
    if len(foreign):
        raise ValueError(
            f"{png} has segment {foreign[0]}, and {len(foreign)} pixels of segments that segments_info lacks"
        )
    return np.isin(ids, wanted)


@lru_cache(maxsize=1)
def _ids(png: Path, _changed: int) -> NDArray[np.int64]:
    """R + 256 G + 65536 B of each pixel."""
    rgb = np.array(decode(png)[1].convert("RGB"), np.int64)
    return rgb @ np.array([1, 256, 65536])
