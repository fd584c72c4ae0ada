"""YOLO segmentation (https://docs.ultralytics.com/datasets/segment): images/a.jpg, labels/a.txt, names in a YAML file.

A line of a text file is one object: its class, then x and y of its points as fractions of width and height.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from seglab.data.card import Card, read_yaml
from seglab.data.formats.entries import Entry, listing, matches
from seglab.data.formats.findings import Findings
from seglab.data.formats.objects import BACKGROUND, Annotated, Size
from seglab.data.formats.shapes import Mask, polygon
from seglab.data.formats.tools import Reader, content_of
from seglab.data.images import IMAGE_SUFFIXES


def _classes(folder: Path, files: list[Path], found: Findings) -> None:
    """A YAML file with names and train or val, or classes.txt, lists the classes."""
    patterns = ("{id}.yaml", "{id}.yml", "{id}classes.txt", "classes.txt")
    candidates = [path for pattern in patterns for path, _ in matches(folder, pattern)]
    path, names = next(((path, names) for path in candidates if (names := _names(path))), (folder, {}))
    if not names:
        files.clear()
    sentence = f"{path.relative_to(folder)}: {len(names)} class names."
    found.note(sentence, names=[*names.values()], labels=names)


def _names(path: Path) -> dict[int | str, str]:
    """The names by class index that a YAML file or classes.txt states."""
    if path.suffix == ".txt":
        return dict(enumerate(content_of(path).splitlines()))
    try:
        content = read_yaml(path)
    except ValueError:
        return {}
    if not isinstance(content, dict) or not content.keys() & {"train", "val"}:
        return {}
    names = content.get("names")
    pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else ())
    return {k: str(v) for k, v in pairs if isinstance(v, str | int | float)}


def _parse(card: Card, path: Path, text: str) -> Iterator[Annotated]:
    *folders, name = path.relative_to(card.root).parts
    last = max((i for i, folder in enumerate(folders) if folder == "labels"), default=None)
    beside = [name for name in listing(path.parent) if "/" not in name and Path(name).stem == path.stem]
    if last is None and not any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in beside):
        return  # a text about something else
    if name == "classes.txt":
        return
    if last is not None:
        folders[last] = "images"
    objects, others = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            label, *points = map(float, line.split())
        except ValueError:
            raise ValueError(f"{path}, line {number}: {line[:40]!r} has other words than numbers") from None
        if label % 1 or len(points) % 2 or len(points) < 4 or not all(-0.01 <= point <= 1.01 for point in points):
            raise ValueError(
                f"{path}, line {number}: {len(points)} coordinates from {min(points, default=0)} to"
                f" {max(points, default=0)}; expected a class index and pairs x y in 0–1"
            )
        if len(points) == 4:  # centre and size
            others.append("box")
        else:
            objects.append((int(label), partial(_area, points)))
    image = "/".join((*folders, f"{path.stem}.*"))
    yield Annotated(image, path, objects=tuple(objects), others=tuple(others), done=True)


def _area(points: list[float], size: Size) -> Mask:
    # Six decimals are usual: a hundredth of a pixel is what they resolve.
    return polygon(np.round(np.reshape(points, (-1, 2)) * (size[1], size[0]), 2), size)


READER = Reader("yolo", frozenset(), _parse, classes=_classes, pattern="{id}.txt", per_image=True, ask=False)
recognise = READER.recognise


def entries(card: Card) -> list[Entry]:
    """All images; one without a text file shows background only. `labels` are by default the names but background."""
    foreground = [name for name in card.names if not BACKGROUND.fullmatch(name)]
    return READER.entries(card if card.labels else replace(card, labels=dict(enumerate(foreground))))
