"""Image files and small data sets for tests."""

import random
import struct
import zlib
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


def packed_rows(values: np.ndarray, bits: int) -> bytes:
    """Grey values (H, W) with 2, 4 or 8 bits each, the first one in the highest bits of a byte."""
    each = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    return np.packbits(each.reshape(len(values), -1), axis=-1).tobytes()


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A PNG of grey values with this many bits; Pillow writes 1, 8 and 16 only."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = packed_rows(values, bits)
    width = len(rows) // len(values)
    filtered = b"".join(b"\0" + rows[i : i + width] for i in range(0, len(rows), width))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered))
            + chunk(b"IEND", b""))  # fmt: skip


def grey_tiff(values: np.ndarray, bits: int, zero_is_white: bool = False) -> bytes:
    """An uncompressed TIFF of grey values with this many bits, little-endian, with one strip."""
    rows, (height, width) = packed_rows(values, bits), values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 0 if zero_is_white else 1, 273: 8, 277: 1, 278: height,
            279: len(rows)}  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(rows)) + rows + struct.pack("<H", len(tags)) + entries + bytes(4)


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
