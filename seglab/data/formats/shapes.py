"""Polygons and run lengths of objects → label maps."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from seglab.data.classes import IGNORE_INDEX

Mask = NDArray[np.bool_]


def polygon(points: Any, size: tuple[int, int], holes: Any = ()) -> Mask:
    """The pixels of a polygon as Pillow draws it, its outline included: bool (H, W).

    Args:
        points: x, y in pixels, flat or in pairs; fewer than three points enclose nothing.
        size: (H, W).
        holes: polygons inside, which do not belong to the area, outlines included.

    Raises:
        ValueError: a coordinate that is no finite number, or larger than any image.
    """
    flat = np.round(_finite(points), 6)  # Pillow cuts decimals off: 2.9999999 has to be 3
    canvas = Image.new("1", (size[1], size[0]))
    if len(flat) >= 6:
        ImageDraw.Draw(canvas).polygon(flat.tolist(), fill=1, outline=1)
    inside = np.array(canvas)
    for hole in holes:
        inside &= ~polygon(hole, size)
    return inside


def _finite(values: Any) -> NDArray[np.float64]:
    """Coordinates as one flat array; a ValueError for those that no image can have."""
    flat = np.asarray(values, np.float64).ravel()
    if wrong := flat[~(np.abs(flat) < 1e9)].tolist():
        raise ValueError(f"{wrong[0]} is no coordinate")
    return flat


def ellipse(x: float, y: float, horizontal: float, vertical: float, size: tuple[int, int], degrees: float = 0) -> Mask:
    """The pixels whose centres an ellipse encloses: bool (H, W).

    Args:
        x, y: its centre; the centre of the first pixel is 0, 0.
        horizontal, vertical: its radii before the rotation.
        degrees: its rotation, clockwise.
    """
    _finite((x, y, horizontal, vertical, degrees))
    down, right = np.ogrid[: size[0], : size[1]]
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    along, across = (right - x) * cosine + (down - y) * sine, (down - y) * cosine - (right - x) * sine
    return (along / max(horizontal, 1e-9)) ** 2 + (across / max(vertical, 1e-9)) ** 2 <= 1


def pasted(part: NDArray[Any], left: int, top: int, size: tuple[int, int]) -> Mask:
    """A part of a mask at its position in the image, cut off at the image's borders: bool (H, W)."""
    mask = np.zeros(size, bool)
    rows, columns = slice(max(0, top), max(0, top + part.shape[0])), slice(max(0, left), max(0, left + part.shape[1]))
    inside = mask[rows, columns]
    inside[:] = part[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]] > 0
    return mask


def paint(
    objects: Iterable[tuple[int, Mask]], size: tuple[int, int], overlaps: str = "last", background: int = 0
) -> NDArray[np.uint8]:
    """Objects, class index (255: void) and pixels each, as one label map (H, W).

    Args:
        overlaps: where objects of different classes overlap, the class of the "last" one, of the "smallest" one, or
            "void".
        background: class of pixels without an object.
    """
    if overlaps == "smallest":
        objects = sorted(objects, key=lambda item: -int(item[1].sum()))
    labels = np.full(size, background, np.uint8)
    covered = np.zeros(size, bool)
    for label, mask in objects:
        contested = covered & mask & (labels != label)
        labels[mask] = label
        if overlaps == "void":
            labels[contested] = IGNORE_INDEX
        covered |= mask
    return labels


def run_lengths(code: Any, size: tuple[int, int]) -> Mask:
    """The pixels of COCO's run lengths, compressed or not, or of its polygons, by pycocotools: bool (H, W)."""
    from pycocotools import mask as coco_mask

    if isinstance(code, list):  # pycocotools would take four numbers for a box
        code = [_finite(part).tolist() for part in code if len(part) >= 6]
        return coco_mask.decode(coco_mask.frPyObjects(code, *size)).any(axis=2) if code else np.zeros(size, bool)
    if tuple(code["size"]) != size:
        raise ValueError(
            f"run lengths for {code['size'][0]} × {code['size'][1]} pixels, the image has {size[0]} × {size[1]}"
        )
    if isinstance(code["counts"], str | bytes):
        return coco_mask.decode(code).astype(bool)
    if sum(code["counts"]) != size[0] * size[1]:
        raise ValueError(f"run lengths of {sum(code['counts'])} pixels, the image has {size[0] * size[1]}")
    return coco_mask.decode(coco_mask.frPyObjects(code, *size)).astype(bool)
