"""COCO panoptic (https://cocodataset.org/#format-data): PNG files of segment ids, whose classes a JSON file lists."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import Card
from seglab.data.formats.entries import matches
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import Annotated, Finder, Size, split_of
from seglab.data.formats.shapes import Mask
from seglab.data.formats.tools import Reader, content_of, of_format, pattern_of
from seglab.data.images import decode


def _classes(folder: Path, files: list[Path], found: Findings) -> None:
    """The categories, and the pattern of the PNG files; without any the files are of another format."""
    names: list[str] = []
    masks: list[Path] = []
    finder = Finder(folder, (path for path, _ in matches(folder, "{id}.png")))
    for path in files:
        content = content_of(path)
        with of_format(path, "panoptic"):
            names += [category["name"] for category in content["categories"]]
            masks += filter(None, [_png(path, item["file_name"], finder) for item in content["annotations"]])
    if not masks:
        files.clear()
        return
    pattern = pattern_of(folder, sorted(masks))
    sentence = f"{len(masks)} PNG files of segment ids: {pattern}. Pixels of id 0 are void."
    found.note(sentence, names=names, masks=pattern)


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


def _segments(png: Path, known: tuple[int, ...], wanted: list[int], size: Size) -> Mask:
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
    return np.array(decode(png)[1].convert("RGB"), np.int64) @ np.array([1, 256, 65536])


KEYS = frozenset({"images", "annotations", "categories", "segments_info"})
READER = Reader("panoptic", KEYS, _parse, classes=_classes, background=False)
recognise, entries = READER.recognise, READER.entries
