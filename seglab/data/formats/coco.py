"""COCO instances (https://cocodataset.org/#format-data), also as exported by CVAT, Roboflow and labelme."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry
from seglab.data.formats.json_files import of_format, pattern_of, read_json, read_listed, recognised
from seglab.data.formats.objects import Annotated, assemble, split_of
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import run_lengths

KEYS = frozenset({"images", "annotations", "categories", "segmentation", "category_id"})
PANOPTIC = frozenset({"segments_info"})


def recognise(folder: Path) -> Proposal | None:
    """JSON files with images, categories and segmentations, unless panoptic files have the same categories."""
    # Files of key points repeat the persons of the others.
    files = recognised(folder, KEYS, PANOPTIC | {"keypoints"}) or recognised(folder, KEYS, PANOPTIC)
    panoptic = recognised(folder, PANOPTIC | {"categories"})
    found = {}
    for path in (*panoptic, *files):
        with of_format(path, "coco"):
            found[path] = [(item["id"], str(item["name"]), item.get("supercategory"))
                           for item in read_json(path)["categories"]]  # fmt: skip
    categories = {path: found[path] for path in files if found[path] not in [found[other] for other in panoptic]}
    if not categories:
        return None
    every = [item for items in categories.values() for item in items]
    # Roboflow adds a category for the project, the supercategory of all others. It has no objects.
    projects = {above for _, _, above in every} - {"none"}
    extra = {name for _, name, above in every if above == "none" and {name} == projects}
    evidence = [f"Category {name!r} is the project (Roboflow), no class." for name in extra]
    card = Card(folder, format="coco", annotations=pattern_of(folder, list(categories)))
    names = [name for _, name, _ in every if name not in extra]
    return propose(card, read_listed(card, _parse, KEYS, PANOPTIC), names, evidence, ask=False)


def entries(card: Card) -> list[Entry]:
    """The images that the annotation files list; crowds are painted as their class."""
    return assemble(card, read_listed(card, _parse, KEYS, PANOPTIC))


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    categories = {category["id"]: str(category["name"]) for category in content["categories"]}
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        if annotation["category_id"] not in categories:
            raise ValueError(
                f"{path}: annotation {annotation.get('id')} has category {annotation['category_id']}, which is not"
                " listed; add it under categories"
            )
        by_image[annotation["image_id"]].append((categories[annotation["category_id"]], annotation.get("segmentation")))
    for image in content["images"]:
        annotations = by_image.pop(image["id"], [])
        yield Annotated(
            image["file_name"], path, (image["height"], image["width"]) if image.get("height") else None,
            tuple((name, partial(run_lengths, code)) for name, code in annotations if code),
            tuple("box" for _, code in annotations if not code),
            split_of(path.relative_to(card.root), name=True),
        )  # fmt: skip
    if by_image:
        raise ValueError(
            f"{path}: annotations of images that are not listed ({len(by_image)}, such as id {next(iter(by_image))});"
            " add them under images, or remove their annotations"
        )
