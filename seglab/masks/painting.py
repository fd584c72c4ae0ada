"""From scores to masks, and from masks to pictures.

Torch tensors, NumPy arrays and TensorFlow tensors go in and come out as what they were; channels may lie
anywhere. Masks hold class indices as uint8; 255 is void.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seglab.data.classes import ClassSet
from seglab.data.palette import hatch
from seglab.masks.arrays import Array, as_torch, like


def colorize(mask: Array, classes: ClassSet) -> Array:
    """A mask in the colours of its classes; void in the class set's void colour.

    Args:
        mask: integer (H, W) or (B, H, W).

    Returns:
        uint8: channels first, (3, H, W) or (B, 3, H, W), for torch; channels last, (H, W, 3) or
        (B, H, W, 3), for NumPy and TensorFlow.

    Raises:
        ValueError: labels outside the class set; not a mask.
    """
    labels = label_map(mask, classes)
    rgb = np.stack([np.asarray(_paint(m, classes)) for m in labels.reshape(-1, *labels.shape[-2:])]).reshape(
        *labels.shape, 3
    )
    return like(torch.from_numpy(np.moveaxis(rgb, -1, -3) if isinstance(mask, Tensor) else rgb), mask)


def overlay(
    image: Array,
    mask: Array,
    classes: ClassSet,
    alpha: float = 0.6,
    only: Sequence[str] | None = None,
    outline: bool = False,
) -> Array:
    """An image with its mask painted over it. Void stays as it is in the image.

    Args:
        image: uint8 (3, H, W) or (H, W, 3), or an RGB picture of Pillow.
        mask: integer (H, W), of the image's size.
        alpha: share of the class colour, 0 (image alone) to 1 (colours alone).
        only: names of the classes to paint; by default all.
        outline: draw a line around each region, too.

    Returns:
        uint8, in the image's own layout and kind.

    Raises:
        ValueError: an image that is not uint8, sizes that differ, labels outside the class set.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha}; expected a share from 0 to 1")
    if isinstance(image, Image.Image):
        size, mode = (image.height, image.width), image.mode
    else:
        picture = as_torch(image)
        if picture.ndim != 3 or 3 not in (picture.shape[0], picture.shape[-1]):
            raise ValueError(f"image has shape {tuple(picture.shape)}; expected (3, H, W) or (H, W, 3)")
        if picture.dtype != torch.uint8:
            raise ValueError(
                f"image is {picture.dtype}; expected uint8, 0–255 (for floats in 0–1: (image * 255).byte())"
            )
        # Three columns of pixels could be either; torch keeps channels first, NumPy and TensorFlow last.
        first = picture.shape[0] == 3 and (picture.shape[-1] != 3 or isinstance(image, Tensor))
        pixels = np.ascontiguousarray(picture.cpu().numpy())
        size, mode = (pixels.shape[1:] if first else pixels.shape[:2]), "RGB"
    labels = label_map(mask, classes)
    if labels.shape != size:
        raise ValueError(
            f"the mask is {labels.shape} and the image {size}; make the mask at the image's size, "
            "for instance to_mask(scores, size=image.shape[-2:])"
        )
    if mode != "RGB":
        raise ValueError(f"the image's mode is {mode!r}; convert it first: image.convert('RGB')")

    shown = np.ones(256, bool) if only is None else np.isin(np.arange(256), [classes.index(name) for name in only])
    shown[classes.ignore_index] = False
    hidden = None  # where the image stays as it is: one byte a pixel, 255 there
    if only is not None or labels.max(initial=0) == classes.ignore_index:
        hidden = Image.fromarray(labels).point([0 if s else 255 for s in shown])
    lines = outlines(labels) & shown[labels] if outline else None
    colors = _paint(labels, classes)

    if isinstance(image, Image.Image):
        return _over(image, colors, alpha, hidden, lines)
    if first:
        bands = zip(pixels, colors.split(), strict=True)
        painted = np.stack([np.asarray(_over(Image.fromarray(p), c, alpha, hidden, lines)) for p, c in bands])
        return like(torch.from_numpy(painted), image)
    if hidden is None and lines is None:  # the bytes of a pixel need not be told apart
        flat = Image.frombuffer("L", (3 * size[1], size[0]), colors.tobytes(), "raw", "L", 0, 1)
        painted = np.array(Image.blend(Image.fromarray(pixels.reshape(size[0], -1)), flat, alpha)).reshape(pixels.shape)
    else:
        painted = np.array(_over(Image.fromarray(pixels), colors, alpha, hidden, lines))
    return like(torch.from_numpy(painted), image)


def _over(
    image: Image.Image, colors: Image.Image, alpha: float, hidden: Image.Image | None, lines: NDArray[np.bool_] | None
) -> Image.Image:
    """Colours over an image or over one of its bands."""
    painted = Image.blend(image, colors, alpha)
    if hidden is not None:
        painted.paste(image, mask=hidden)
    if lines is not None:
        painted.paste(colors, mask=Image.fromarray(lines))
    return painted


def outlines(mask: Array, width: int = 1) -> Array:
    """Where a region ends: bool of the mask's shape and kind, True on the outermost `width` pixels inside each region.

    The border of the image ends no region.
    """
    labels = as_torch(mask).float()
    maps = labels.reshape(-1, 1, *labels.shape[-2:])
    size = 2 * width + 1
    highest = F.max_pool2d(maps, size, 1, width)  # padding never wins: max_pool2d pads with −∞
    lowest = -F.max_pool2d(-maps, size, 1, width)
    return like((highest != lowest).reshape(labels.shape), mask)


def label_map(mask: Array, classes: ClassSet) -> NDArray[np.uint8]:
    """A mask as contiguous uint8 (H, W) or (B, H, W).

    Raises:
        ValueError: not integers, another number of dimensions, or a label that is neither a class nor void.
    """
    t = as_torch(mask).cpu()
    if t.is_floating_point() or t.ndim not in (2, 3):
        raise ValueError(f"a mask is an integer array (H, W) or (B, H, W); got {t.dtype} {tuple(t.shape)}")
    low, high = (int(v) for v in torch.aminmax(t)) if t.numel() else (0, 0)
    if low < 0 or high >= len(classes):
        found = [v for v in torch.unique(t).tolist() if not 0 <= v < len(classes) and v != classes.ignore_index]
        if found:
            raise ValueError(
                f"labels {found[:10]} are outside the {len(classes)} classes of {classes.name!r} "
                f"(0–{len(classes) - 1}, void {classes.ignore_index})"
            )
    return np.ascontiguousarray(t.to(torch.uint8).numpy())


def _paint(labels: NDArray[np.uint8], classes: ClassSet) -> Image.Image:
    """uint8 (H, W) → a picture of its classes, by Pillow's palette, the fastest lookup at hand."""
    picture = Image.fromarray(labels)
    picture.putpalette(classes.palette.tobytes())
    picture = picture.convert("RGB")
    if any(classes.hatches):
        patterns = np.zeros(256, np.uint8)
        patterns[: len(classes)] = classes.hatches
        for pattern in set(np.unique(patterns[labels])) - {0}:
            stripes = (patterns[labels] == pattern) & hatch(int(pattern), labels.shape)
            picture.paste(picture.point([v // 2 for v in range(256)] * 3), mask=Image.fromarray(stripes))
    return picture
