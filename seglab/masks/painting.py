"""Masks as images: class colours, overlays and outlines."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seglab.data.classes import ClassSet
from seglab.data.labels import check_labels
from seglab.data.palette import hatch
from seglab.masks.arrays import Array, as_torch, like


def colorize(mask: Array, classes: ClassSet) -> Array:
    """A mask in the colours of its classes; void pixels in the class set's void colour.

    Args:
        mask: integer (H, W) or (B, H, W), class indices or void, of torch, NumPy or TensorFlow.

    Returns:
        uint8 RGB, the mask's kind: (3, H, W) or (B, 3, H, W) for torch, (H, W, 3) or (B, H, W, 3) for NumPy and
        TensorFlow.

    Raises:
        ValueError: not a mask, no pixels, or labels outside the class set. A batch may be empty.
    """
    labels = label_map(mask, classes)
    rgb = np.empty((*labels.shape, 3), np.uint8)
    for one, painted in zip(labels.reshape(-1, *labels.shape[-2:]), rgb.reshape(-1, *rgb.shape[-3:]), strict=True):
        painted[:] = _paint(one, classes)
    return like(torch.from_numpy(np.moveaxis(rgb, -1, -3) if isinstance(mask, Tensor) else rgb), mask)


def overlay(
    image: Array,
    mask: Array,
    classes: ClassSet,
    alpha: float = 0.6,
    only: Sequence[str] | None = None,
    outline: bool = False,
) -> Array:
    """An image blended with the colours of its mask: (1 − alpha) · image + alpha · colour. Void pixels are unchanged.

    Args:
        image: uint8 RGB, (3, H, W) or (H, W, 3), of torch, NumPy or TensorFlow; or an RGB image of Pillow. Where
            both layouts fit, (3, H, 3), torch tensors count as channels first and all others as channels last.
        mask: integer (H, W) of the image's size, class indices or void.
        alpha: weight of the class colour, 0 (image alone) to 1 (colours alone).
        only: names of the classes to paint; by default all.
        outline: whether to draw the `outlines` of the painted regions too, in their full class colour.

    Returns:
        uint8 RGB, the layout and kind of `image`.

    Raises:
        ValueError: `alpha` outside 0–1; an image that is not RGB or not uint8; a mask of another size, or with
            labels outside the class set; an unknown class name in `only`.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha}; expected the weight of the colours, a number from 0 to 1")
    pixels, size, channels_first = _checked_image(image)
    labels = label_map(mask, classes)
    if labels.shape != size:
        raise ValueError(
            f"the mask is {labels.shape} and the image {size}; make the mask at the image's size, "
            "for instance to_mask(scores, size=image.shape[-2:])"
        )
    painted = np.ones(256, bool) if only is None else np.isin(np.arange(256), [classes.index(name) for name in only])
    painted[classes.ignore_index] = False
    unpainted = None  # as a mask of Pillow: 255 where the image stays unchanged
    if only is not None or labels.max(initial=0) == classes.ignore_index:
        unpainted = Image.fromarray(labels).point([0 if p else 255 for p in painted])
    lines = Image.fromarray(outlines(labels) & painted[labels]) if outline else None
    colors = _paint(labels, classes)

    if isinstance(pixels, Image.Image):
        return _blend(pixels, colors, alpha, unpainted, lines)
    if channels_first:
        bands = zip(pixels, colors.split(), strict=True)
        blended = np.stack([np.asarray(_blend(Image.fromarray(p), c, alpha, unpainted, lines)) for p, c in bands])
    elif unpainted is None and lines is None:  # all bytes are blended alike: one grey image 3W wide is faster
        flat = Image.frombuffer("L", (3 * size[1], size[0]), colors.tobytes(), "raw", "L", 0, 1)
        blended = np.array(Image.blend(Image.fromarray(pixels.reshape(size[0], -1)), flat, alpha)).reshape(pixels.shape)
    else:
        blended = np.array(_blend(Image.fromarray(pixels), colors, alpha, unpainted, lines))
    return like(torch.from_numpy(blended), image)


def _checked_image(image: Array) -> tuple[Image.Image | NDArray[np.uint8], tuple[int, ...], bool]:
    """A valid image of `overlay` as Pillow image or contiguous array, its (H, W), and whether channels come first."""
    if isinstance(image, Image.Image):
        if image.mode != "RGB":
            raise ValueError(f"the image's mode is {image.mode!r}; convert it first: image.convert('RGB')")
        return image, (image.height, image.width), False
    t = as_torch(image)
    if t.ndim != 3 or 3 not in (t.shape[0], t.shape[-1]) or t.numel() == 0:
        raise ValueError(f"image has shape {tuple(t.shape)}; expected (3, H, W) or (H, W, 3)")
    if t.dtype != torch.uint8:
        raise ValueError(f"image is {t.dtype}; expected uint8, 0–255 (for floats in 0–1: (image * 255).byte())")
    channels_first = t.shape[0] == 3 and (t.shape[-1] != 3 or isinstance(image, Tensor))
    pixels = np.ascontiguousarray(t.cpu().numpy())
    return pixels, pixels.shape[1:] if channels_first else pixels.shape[:2], channels_first


def _blend(
    image: Image.Image, colors: Image.Image, alpha: float, unpainted: Image.Image | None, lines: Image.Image | None
) -> Image.Image:
    """Blend an image, or one band of it, with colours; then restore unpainted pixels and draw opaque lines."""
    blended = Image.blend(image, colors, alpha)
    if unpainted is not None:
        blended.paste(image, mask=unpainted)
    if lines is not None:
        blended.paste(colors, mask=lines)
    return blended


def outlines(mask: Array, width: int = 1) -> Array:
    """The pixels whose distance to another region is at most `width` (Chebyshev): bool, the mask's shape and kind.

    Pixels on both sides of a boundary are marked. The border of the image is not a boundary.

    Args:
        mask: integer (…, H, W), of torch, NumPy or TensorFlow; void is a region like any class.
        width: in pixels, at least 1.

    Raises:
        ValueError: another width.
    """
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"width={width!r}; expected a number of pixels, at least 1")
    labels = as_torch(mask).float()
    if labels.numel() == 0:
        return like(labels.bool(), mask)
    batch = labels.reshape(-1, 1, *labels.shape[-2:])
    window = 2 * width + 1
    highest = F.max_pool2d(batch, window, 1, width)  # max_pool2d pads with −∞, which is never the maximum
    lowest = -F.max_pool2d(-batch, window, 1, width)
    return like((highest != lowest).reshape(labels.shape), mask)


def label_map(mask: Array, classes: ClassSet) -> NDArray[np.uint8]:
    """A mask of any kind as a contiguous uint8 array (H, W) or (B, H, W), after a check of its labels.

    Raises:
        ValueError: not integers, another number of dimensions, or a label that is neither a class nor void.
    """
    t = as_torch(mask).cpu()
    if t.is_floating_point() or t.is_complex() or t.ndim not in (2, 3) or 0 in t.shape[-2:]:
        raise ValueError(f"a mask is an integer array (H, W) or (B, H, W); got {t.dtype} {tuple(t.shape)}")
    check_labels(t, classes, "the mask", classes.ignore_index)
    return np.ascontiguousarray(t.to(torch.uint8).numpy())


def _paint(labels: NDArray[np.uint8], classes: ClassSet) -> Image.Image:
    """An RGB image of labels, uint8 (H, W), in their class colours and hatches; Pillow's palette lookup is fast."""
    image = Image.fromarray(labels)
    image.putpalette(classes.palette.tobytes())
    image = image.convert("RGB")
    if any(classes.hatches):
        patterns = np.zeros(256, np.uint8)
        patterns[: len(classes)] = classes.hatches
        for pattern in set(np.unique(patterns[labels])) - {0}:
            stripes = (patterns[labels] == pattern) & hatch(int(pattern), labels.shape)
            image.paste(image.point([v // 2 for v in range(256)] * 3), mask=Image.fromarray(stripes))
    return image
