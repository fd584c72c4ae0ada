"""The pixels of an image as its card states them, uint8 (H, W, 3), and what a folder's images need for that."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import Card
from seglab.data.formats.findings import Findings
from seglab.data.formats.raw import TIFF, Source, pixel_values, read_array, tiff_shape, tiff_values
from seglab.data.images import open_image, orientation, read_image

_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width


def read_pixels(image: Source | Callable[[], NDArray[Any]], card: Card, name: str | Path = "") -> NDArray[np.uint8]:
    """The image of an `Entry` as uint8 (H, W, 3).

    Ordinary 8-bit images are read by `read_image`. A TIFF with more than three bands has no opacity: its bands are
    data, of which the first three are read unless `card.bands` states others.

    Args:
        image: a file, its bytes, or a function that returns values (H, W) or (H, W, bands).
        card: `range`, `bands` and `orientation` are applied.

    Raises:
        ValueError: as `read_image`; and numbers that need a range, several pages, a band that is not there.
    """
    name = name or (image if isinstance(image, Path) else "the image")
    upright = card.orientation == "upright"
    if callable(image):
        return to_rgb(image(), card, name)
    pages, bands, dtype = 1, 3, np.dtype(np.uint8)
    if isinstance(image, Path) and image.suffix.lower() in TIFF:
        pages, bands, dtype = tiff_shape(image)
    is_array = isinstance(image, Path) and image.suffix.lower() == ".npy"
    if pages > 1 and card.bands is None:
        raise ValueError(f"{name}: {pages} pages; format: volumes reads each as an image, bands: [0] only the first")
    if is_array or card.range or card.bands or dtype.itemsize > 1 or (bands > 3 and _has_data(image, bands)):
        return to_rgb(pixel_values(image, upright), card, name)
    pixels = read_image(image, upright=upright).numpy()
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def to_rgb(values: NDArray[Any], card: Card, name: str | Path) -> NDArray[np.uint8]:
    """Values (H, W) or (H, W, bands) of any number type → uint8 (H, W, 3), by the card's `bands` and `range`."""
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.size == 0:
        raise ValueError(
            f"{name}: an array of shape {values.shape}; an image is (height, width) or (height, width, bands)"
        )
    count = values.shape[2]
    bands = card.bands or ((0, 1, 2) if count in (3, 4) else (0,) if count == 1 else ())
    if len(bands) not in (1, 3) or not all(0 <= band < count for band in bands):
        raise ValueError(f"{name}: {count} bands; state one or three of 0 to {count - 1} as bands: in the card")
    values = values[..., list(bands)]
    if card.range:
        low, high = card.range
        scaled = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / (high - low) * 255
        values = (scaled.clip(0, 255) + 0.5).astype(np.uint8)
    elif values.dtype == np.uint16:
        values = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif values.dtype == np.bool_:
        values = values * np.uint8(255)
    elif values.dtype != np.uint8:
        raise ValueError(
            f"{name}: {values.dtype} values from {values.min():g} to {values.max():g}; state the values that become 0"
            f" and 255 as range: [{values.min():g}, {values.max():g}] in the card"
        )
    return np.array(np.broadcast_to(values, (*values.shape[:2], 3)), order="C")


def sizes(path: Path) -> tuple[tuple[int, int], int]:
    """The size (H, W) that an image file stores, and its EXIF orientation (1 without one), from the header."""
    if path.suffix.lower() == ".npy":
        return read_array(path).shape[:2], 1
    try:
        with open_image(path) as image:
            return (image.height, image.width), orientation(image)
    except Exception:  # Pillow refuses many TIFF files; a damaged file is reported when its pixels are read
        shape = tiff_values(path).shape if path.suffix.lower() in TIFF else pixel_values(path).shape
        return (shape[0], shape[1]), 1


def turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The size (H, W) after the EXIF orientation."""
    return (size[1], size[0]) if orientation in _TRANSPOSED else size


def describe(paths: Sequence[Path], found: Findings) -> None:
    """Add `bands` and `range` that these images need, with a sentence for each."""
    deep: list[NDArray[Any]] = []
    for path in paths[:: -(-len(paths) // 20) or 1]:
        if path.suffix.lower() in TIFF:
            pages, bands, _ = tiff_shape(path)
            if "bands" not in found.changes and (pages > 1 or (bands > 3 and _has_data(path, bands))):
                count, things = (pages, "pages") if pages > 1 else (bands, "bands")
                used = "three are read as red, green and blue" if count > 2 else "is read as grey"
                sentence = f"{path.name} has {count} {things}; the first {used}."
                found.note(sentence, bands=(0, 1, 2) if count > 2 else (0,))
        if path.suffix.lower() in (*TIFF, ".npy") or _is_deep(path):
            deep.append(pixel_values(path))
            deep[-1] = np.array([deep[-1].min(), deep[-1].max()])
    describe_range(deep, found)


def describe_range(images: Sequence[NDArray[Any]], found: Findings) -> None:
    """Add the `range` that values with more than eight bits need, and a sentence; neither for 8-bit values.

    A range is proposed up to the next 2^n − 1 above the largest value of unsigned integers that use at most half of
    their type's range, otherwise from the smallest value to the largest.
    """
    if deep := [values for values in images if values.dtype.itemsize > 1]:
        low, high, kind = min(float(v.min()) for v in deep), max(float(v.max()) for v in deep), deep[0].dtype
        limits = value_range(low, high, kind)
        sentence = f"The images hold {kind} values from {low:g} to {high:g}"
        if limits is None:
            found.note(f"{sentence}; 65535 becomes 255.")
        else:
            found.note(f"{sentence}; {limits[0]:g} becomes 0 and {limits[1]:g} becomes 255.", range=limits)


def value_range(low: float, high: float, kind: np.dtype[Any]) -> tuple[float, float] | None:
    """The range that values from `low` to `high` need; None where 16 bits are used up to at least half."""
    if kind.kind == "u":
        bits = max(1, int(high).bit_length())
        return (0, 2**bits - 1) if bits != 16 else None
    if low >= 0 and 0.5 < high <= 1:
        return 0.0, 1.0
    return (low, high) if high > low else (low, low + 1)


def _has_data(source: Source, bands: int) -> bool:
    """Whether the bands of a TIFF beyond the third are data: they are unless the file is CMYK."""
    try:
        with open_image(source) as image:
            return bands > 4 or image.mode != "CMYK"
    except Exception:  # Pillow refuses it, so it is no CMYK picture
        return True


def _is_deep(path: Path) -> bool:
    """Whether a file holds more than eight bits per value."""
    with path.open("rb") as file:
        head = file.read(26)
    if head.startswith(b"\x89PNG"):
        return head[24] == 16
    try:
        with open_image(path) as image:
            return image.mode.startswith(("I", "F"))
    except Exception:  # reported when its pixels are read
        return False
