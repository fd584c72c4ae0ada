"""Image files and small data sets for tests."""

import random
from pathlib import Path

import numpy as np
from PIL import Image

random_bytes = random.Random(0).randbytes


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def noise(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A random image of `size` (W, H)."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write_image(path: Path, labels: object = None, size: tuple[int, int] = (4, 6), **options: object) -> Path:
    """A mask with these labels, or a random photograph of `size` (H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.frombuffer(random_bytes(size[0] * size[1] * 3), np.uint8).reshape(*size, 3)
    return saved(Image.fromarray(pixels if labels is None else np.array(labels, np.uint8)), path, **options)


def make_camvid(folder: Path, splits: dict[str, int]) -> Path:
    for split, count in splits.items():
        lines = []
        for i in range(count):
            name = f"Seq05VD_f{i:05}.png"
            write_image(folder / split / name, size=(2, 6))
            write_image(folder / f"{split}annot" / name, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}\n")
        (folder / f"{split}.txt").write_text("".join(lines))
    return folder
