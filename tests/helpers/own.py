"""Tiny data sets of one's own: images beside masks, and their cards."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Labels = Sequence[Sequence[int]]


def save_pair(folder: Path, name: str, labels: Labels, seed: int | None = None) -> None:
    """images/NAME.png, noise of its own, and masks/NAME.png with these labels."""
    mask = np.array(labels, np.uint8)
    random = np.random.default_rng(sum(name.encode()) if seed is None else seed)
    pixels = random.integers(0, 256, (*mask.shape, 3), np.uint8)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    for kind, array in (("images", pixels), ("masks", mask)):
        path = folder / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)


def leaves(folder: Path, names: Sequence[str] = ("a", "b", "c", "d"), card: str = "", scale: int = 1) -> Path:
    """A folder of pairs with labels 0 and 1, 2·scale × 3·scale pixels, and its card."""
    for name in names:
        save_pair(folder, name, np.kron([[0, 0, 1], [0, 1, 1]], np.ones((scale, scale), int)).tolist())
    text = 'names: [background, leaf]\nimages: "images/{id}.png"\nmasks: "masks/{id}.png"\n'
    (folder / "dataset.yaml").write_text(text + card, encoding="utf-8")
    return folder


def ids(splits: Mapping[str, Sequence[object]]) -> dict[str, list[str]]:
    """Split → the ids of its entries."""
    return {name: [str(getattr(entry, "id", entry)) for entry in entries] for name, entries in splits.items()}
