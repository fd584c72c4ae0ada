"""COCO instances (https://cocodataset.org/#format-data), also as exported by CVAT, Roboflow and labelme."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from seglab.data.card import Card
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import Annotated, split_of
from seglab.data.formats.shapes import run_lengths
from seglab.data.formats.tools import Reader, content_of, of_format, recognised

KEYS = frozenset({"images", "annotations", "categories", "segmentation", "category_id"})
PANOPTIC = frozenset({"segments_info"})


def _classes(folder: Path, files: list[Path], found: Findings) -> None:
    """The categories of the files, in their order. Files of key points, and of the categories of panoptic files, go."""
    # Files of key points repeat the persons of the others.
    files[:] = recognised(folder, KEYS, PANOPTIC | {"keypoints"}) or files
    panoptic = recognised(folder, PANOPTIC | {"categories"})
    categories = {}
    for path in (*panoptic, *files):
        with of_format(path, "coco"):
            categories[path] = [(item["id"], str(item["name"]), item.get("supercategory"))
                                for item in content_of(path)["categories"]]  # fmt: skip
    files[:] = [path for path in files if categories[path] not in [categories[other] for other in panoptic]]
    every = [item for path in files for item in categories[path]]
    # Roboflow adds a category for the project, the supercategory of all others. It has no objects.
    projects = {above for _, _, above in every} - {"none"}
    extra = {name for _, name, above in every if above == "none" and {name} == projects}
    found.evidence += [f"Category {name!r} is the project (Roboflow), no class." for name in extra]
    found.changes["names"] = [name for _, name, _ in every if name not in extra]


def _unique(path: Path, items: list[dict[str, Any]], value: str, kind: str) -> dict[Any, dict[str, Any]]:
    """Items by id; equal ids with equal values are one item."""
    found: dict[Any, dict[str, Any]] = {}
    for item in items:
        if found.setdefault(item["id"], item)[value] != item[value]:
            both = f"{found[item['id']][value]!r} and {item[value]!r}"
            raise ValueError(f"{path}: {kind} {both} have one id, {item['id']}; give each its own")
    return found


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    categories = _unique(path, content["categories"], "name", "categories")
    images = _unique(path, content["images"], "file_name", "images")
    by_image, areas = defaultdict(list), Counter[Any]()
    for item in content["annotations"]:
        if item["category_id"] not in categories:
            raise ValueError(
                f"{path}: annotation {item.get('id')} has category {item['category_id']}, which is not listed; add it"
                " under categories"
            )
        name = str(categories[item["category_id"]]["name"])
        by_image[item["image_id"]].append((name, item.get("segmentation")))
        if isinstance(item.get("segmentation"), dict) and type(item.get("area")) in (int, float):
            areas[item["image_id"]] += item["area"]  # exact for run lengths, but not for polygons
    if foreign := [key for key in by_image if key not in images]:
        raise ValueError(
            f"{path}: annotations of images that are not listed ({len(foreign)}, such as id {foreign[0]}); add them"
            " under images, or remove their annotations"
        )
    for key, image in images.items():
        yield Annotated(
            image["file_name"], path, (image["height"], image["width"]) if image.get("height") else None,
            tuple((name, partial(run_lengths, code)) for name, code in by_image[key] if code),
            tuple("box" for _, code in by_image[key] if not code),
            split_of(path.relative_to(card.root), name=True),
            covered=0 < areas[key] == (image.get("height") or 0) * (image.get("width") or 0),
        )  # fmt: skip


# Crowds are painted as their class.
READER = Reader("coco", KEYS, _parse, absent=PANOPTIC, classes=_classes, ask=False)
recognise, entries = READER.recognise, READER.entries
