"""YOLO segmentation (https://docs.ultralytics.com/datasets/segment): images/a.jpg, labels/a.txt, names in a YAML file.

A line of a text file is one object: its class, then x and y of its points as fractions of width and height.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry, matches
from seglab.data.formats.objects import Annotated, assemble, image_files
from seglab.data.formats.proposals import propose
from seglab.data.formats.shapes import Mask, polygon


def recognise(folder: Path) -> Proposal | None:
    """A YAML file with names and train or val, or classes.txt; and text files of polygons."""
    candidates = [
        path for pattern in ("{id}.y*ml", "{id}classes.txt", "classes.txt") for path, _ in matches(folder, pattern)
    ]
    named = next(((path, names) for path in candidates if (names := _names(path))), None)
    if named is None:
        return None
    path, names = named
    card = Card(folder, format="yolo", labels=names)
    listed = list(_listed(card))
    evidence = [f"{path.relative_to(folder)}: {len(names)} class names."]
    return propose(card, listed, map(str, names.values()), evidence, unlisted=True, ask=False)


def entries(card: Card) -> list[Entry]:
    """All images; one without a text file shows background only. `labels` are by default the names but background."""
    foreground = [name for name in card.names if name.strip("_ ").lower() != "background"]
    card = card if card.labels else replace(card, labels=dict(enumerate(foreground)))
    return assemble(card, _listed(card), unlisted=True)


def _names(path: Path) -> dict[int | str, int | str]:
    """The names by class index that a YAML file or classes.txt states."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".txt":
        return dict(enumerate(text.splitlines()))
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    if not isinstance(content, dict) or not content.get("names") or not content.keys() & {"train", "val"}:
        return {}
    names = content["names"]
    return {k: str(v) for k, v in (names.items() if isinstance(names, dict) else enumerate(names))}


def _listed(card: Card) -> Iterator[Annotated]:
    """Images with a text file, and text files without an image, by the name that it would have."""
    texts = {path for path, _ in matches(card.root, card.annotations or "{id}.txt")}
    for image in image_files(card):
        *folders, _ = image.relative_to(card.root).parts
        last = max((i for i, name in enumerate(folders) if name == "images"), default=None)
        if last is not None:
            folders[last] = "labels"
        text = card.root.joinpath(*folders, image.stem + ".txt")
        if text in texts:
            texts.remove(text)
            yield _parse(image, text)
    for text in sorted(texts):
        parts = text.relative_to(card.root).parts
        if "labels" in parts and text.name != "classes.txt":
            yield _parse("/".join(parts).replace("labels", "images").replace(".txt", ".*"), text)


def _parse(image: Path | str, text: Path) -> Annotated:
    objects, others = [], []
    for number, line in enumerate(text.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            label, *points = map(float, line.split() or ["nan"])
        except ValueError:
            raise ValueError(f"{text}, line {number}: {line[:40]!r} has other words than numbers") from None
        if not line.strip():
            continue
        if len(points) % 2 or len(points) < 4 or min(points) < -0.01 or max(points) > 1.01:
            raise ValueError(
                f"{text}, line {number}: {len(points)} coordinates from {min(points, default=0)} to"
                f" {max(points, default=0)}; expected a class index and pairs x y in 0–1"
            )
        if len(points) == 4:  # centre and size
            others.append("box")
        else:
            objects.append((int(label), partial(_area, points)))
    return Annotated(image, text, objects=tuple(objects), others=tuple(others), done=True)


def _area(points: list[float], size: tuple[int, int]) -> Mask:
    # Six decimals are usual: a hundredth of a pixel is what they resolve.
    return polygon(np.round(np.reshape(points, (-1, 2)) * (size[1], size[0]), 2), size)
