"""Tiny folders of images and annotation files, and what the readers make of them."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seglab.data.formats.entries import Entry

SIZE = (4, 6)  # (H, W)
SQUARE = [1, 1, 2, 1, 2, 2, 1, 2]  # Pillow draws the outline too: x 1–2, y 1–2


def save_images(root: Path, *names: str, size: tuple[int, int] = SIZE) -> None:
    """Black images."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1]).save(path)


def save_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def rows(entry: Entry, size: tuple[int, int] = SIZE) -> list[str]:
    """The class indices of an entry, as another process reads them: a text for each row; void is "."."""
    entry = pickle.loads(pickle.dumps(entry))
    return ["".join("." if label == 255 else str(label) for label in row) for row in entry.target(size).tolist()]


def pixels(entry: Entry, names: tuple[str, ...]) -> dict[str, int]:
    """Class name → its pixels, "void" for 255."""
    if isinstance(entry.image, Path):
        with Image.open(entry.image) as image:
            width, height = image.size
    else:
        height, width = entry.image().shape[:2]
    labels, counts = np.unique(entry.target((height, width)), return_counts=True)
    return {"void" if label == 255 else names[label]: int(n) for label, n in zip(labels, counts, strict=True)}
