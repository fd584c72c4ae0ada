"""From scores to masks, and from masks to pictures.

Torch tensors, NumPy arrays and TensorFlow tensors go in and come out as what they were; channels may lie
anywhere. Masks hold class indices as uint8; 255 is void.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seglab.classes import IGNORE_INDEX, ClassSet, translate
from seglab.palette import hatch

Array = Any  # torch.Tensor, numpy.ndarray or tensorflow.Tensor


def to_mask(scores: Array, channel_dim: int = 1, size: tuple[int, int] | None = None) -> Array:
    """The most likely class of each pixel; of equal scores the first class wins.

    Args:
        scores: float (B, K, H, W) with `channel_dim=1`, (B, H, W, K) with `channel_dim=-1`, or without
            the batch: (K, H, W) with `channel_dim=0`, (H, W, K) with `channel_dim=-1`.
        size: (H, W) of the mask. The answer is the one of interpolating the scores (bilinear,
            `align_corners=False`) and then taking the argmax, pixel for pixel, at a fraction of its time
            and memory. (Where two classes agree to the last bit, torch's own answer can depend on the
            processor, the threads and the size; the one of its general kernel is given.)

    Returns:
        uint8 (B, H, W) or (H, W), of the kind and on the device that the scores were.

    Raises:
        ValueError: fewer than two or more than 254 classes, NaN or infinite scores, a wrong number of
            dimensions.

    >>> to_mask(np.array([[[0.1, 0.9]], [[0.8, 0.2]]]), channel_dim=0)
    array([[1, 0]], dtype=uint8)
    """
    t = _as_torch(scores)
    if t.ndim not in (3, 4):
        raise ValueError(
            f"scores have shape {tuple(t.shape)}; expected (B, K, H, W), (B, H, W, K) or one image of these"
        )
    if not -t.ndim <= channel_dim < t.ndim:
        raise ValueError(f"channel_dim={channel_dim} for scores of shape {tuple(t.shape)}")
    if t.ndim == 4 and channel_dim in (0, -4):
        raise ValueError("channel_dim=0 is the batch of scores with four dimensions; use 1 (or -1 for channels last)")
    if not t.is_floating_point():
        raise ValueError(f"scores are {t.dtype}; expected floats. Is this a mask already?")
    t = t.movedim(channel_dim, -3)
    if not 2 <= t.shape[-3] <= 254:
        remedy = "with one channel, threshold it instead: scores.sigmoid() > 0.5" if t.shape[-3] == 1 else (
            f"is dimension {channel_dim} really the one of the classes?")  # fmt: skip
        raise ValueError(f"scores of shape {tuple(scores.shape)} have {t.shape[-3]} channels; {remedy}")
    if not torch.isfinite(t).all():
        raise ValueError("scores contain NaN or infinite values; an argmax of them would mean nothing")
    if size is None or tuple(size) == tuple(t.shape[-2:]):
        mask = t.argmax(-3).to(torch.uint8)
    elif t.device.type == "cpu":
        maps = t.detach().float().reshape(-1, *t.shape[-3:])
        mask = torch.from_numpy(np.stack([_argmax_at(m.numpy(), size) for m in maps])).reshape(*t.shape[:-3], *size)
    else:  # an accelerator interpolates faster than it could decide where it need not
        maps = t.float().reshape(-1, *t.shape[-3:])
        mask = F.interpolate(maps, size, mode="bilinear").argmax(1).to(torch.uint8).reshape(*t.shape[:-3], *size)
    return _like(mask, scores)


def translation_table(own: ClassSet, classes: ClassSet) -> Tensor:
    """Own class → its counterpart in other classes, 255 where there is none: uint8 (256,), to be indexed by a mask."""
    table = torch.full((256,), IGNORE_INDEX, dtype=torch.uint8)
    for label, target in enumerate(translate(own, classes).indices):
        if target is not None:
            table[label] = target
    return table


def binary_mask(mask: Array, class_index: int) -> Array:
    """Where a mask shows one class: uint8 of the mask's shape and kind, 1 there and 0 elsewhere."""
    if not 0 <= class_index <= 255:
        raise ValueError(f"class_index={class_index}; class indices are 0 to 254, void is 255")
    return _like((_as_torch(mask) == class_index).to(torch.uint8), mask)


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
    return _like(torch.from_numpy(np.moveaxis(rgb, -1, -3) if isinstance(mask, Tensor) else rgb), mask)


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
        picture = _as_torch(image)
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
        return _like(torch.from_numpy(painted), image)
    if hidden is None and lines is None:  # the bytes of a pixel need not be told apart
        flat = Image.frombuffer("L", (3 * size[1], size[0]), colors.tobytes(), "raw", "L", 0, 1)
        painted = np.array(Image.blend(Image.fromarray(pixels.reshape(size[0], -1)), flat, alpha)).reshape(pixels.shape)
    else:
        painted = np.array(_over(Image.fromarray(pixels), colors, alpha, hidden, lines))
    return _like(torch.from_numpy(painted), image)


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
    labels = _as_torch(mask).float()
    maps = labels.reshape(-1, 1, *labels.shape[-2:])
    size = 2 * width + 1
    highest = F.max_pool2d(maps, size, 1, width)  # padding never wins: max_pool2d pads with −∞
    lowest = -F.max_pool2d(-maps, size, 1, width)
    return _like((highest != lowest).reshape(labels.shape), mask)


def label_map(mask: Array, classes: ClassSet) -> NDArray[np.uint8]:
    """A mask as contiguous uint8 (H, W) or (B, H, W).

    Raises:
        ValueError: not integers, another number of dimensions, or a label that is neither a class nor void.
    """
    t = _as_torch(mask).cpu()
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


def _as_torch(array: Array) -> Tensor:
    """Any of the three kinds as a torch tensor, without a copy where that is possible."""
    if isinstance(array, Tensor):
        return array
    if not isinstance(array, np.ndarray):
        array = array.numpy() if hasattr(array, "numpy") else np.asarray(array)
    array = np.asarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _like(result: Tensor, given: Array) -> Array:
    """A result as the kind of array that was given."""
    if isinstance(given, Tensor):
        return result.to(given.device)
    if type(given).__module__.startswith("tensorflow"):
        import tensorflow

        return tensorflow.convert_to_tensor(result.numpy())
    return result.numpy()


def _argmax_at(scores: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Argmax of (K, h, w) scores interpolated to `size`, without interpolating what cannot matter.

    A pixel lies in a cell between four scores of each class and gets a convex combination of them. So a
    class that wins at all four corners wins in the whole cell: only the cells along boundaries need
    interpolating, and there only the classes that are somewhere in the cell as high as another is
    everywhere. Works through one row of cells at a time. Where two classes come within rounding of each
    other, torch's own rounding decides.
    """
    _, height, width = scores.shape
    (i, down), (j, right) = _cells(height, size[0]), _cells(width, size[1])
    low = scores.argmax(0).astype(np.uint8)
    mask = low[:, j][i]

    top_scores = scores.max(0)
    tie = np.float32(8 * np.finfo(np.float32).eps) * np.abs(scores).max()
    drawn = np.count_nonzero(scores >= top_scores - tie, axis=0) > 1  # (h, w)
    beside = [(0, 1), (1, 0), (1, 1)]
    corners = [scores, *(_shifted(scores, *by) for by in beside)]
    highest, lowest = np.maximum.reduce(corners), np.minimum.reduce(corners)
    contends = highest >= lowest.max(0)  # (K, h, w): may win somewhere in the cell
    mixed = np.logical_or.reduce([drawn, *((_shifted(low, *by) != low) | _shifted(drawn, *by) for by in beside)])

    first_pixel = np.searchsorted(i, np.arange(height + 1))
    for row in np.flatnonzero(mixed.any(1)):
        strip = mask[first_pixel[row] : first_pixel[row + 1]]
        v = down[first_pixel[row] : first_pixel[row + 1], None]
        chosen = mixed[row][j]
        x = np.flatnonzero(chosen)  # the pixel columns that need a closer look
        if strip.size == 0 or len(x) == 0:
            continue
        classes = np.flatnonzero(contends[:, row, mixed[row]].any(1))
        u, sides, rows = right[x], (j[x], np.minimum(j[x] + 1, width - 1)), (row, min(row + 1, height - 1))
        a, b, c, d = (scores[classes, r][:, side] for r in rows for side in sides)  # (C, n): the four corners
        best = np.full((len(strip), len(x)), -np.inf, np.float32)
        second, winner = best.copy(), np.zeros(best.shape, np.uint8)
        for k, upper, lower in zip(classes, a * (1 - u) + b * u, c * (1 - u) + d * u, strict=True):
            score = upper * (1 - v) + lower * v
            np.copyto(winner, np.uint8(k), where=score > best)
            np.maximum(second, np.minimum(score, best), out=second)
            np.maximum(best, score, out=best)
        unsure = best - second <= tie
        if unsure.any():
            py, px = np.nonzero(unsure)
            exact = _as_torch_rounds(a[:, px], b[:, px], c[:, px], d[:, px], u[px], v[py, 0])
            winner[py, px] = classes[exact.argmax(0)]
        for start, stop, at in _runs(chosen):
            strip[:, start:stop] = winner[:, at : at + stop - start]
    return mask


def _as_torch_rounds(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any], u: NDArray[Any], v: NDArray[Any]
) -> NDArray[np.float32]:
    """Bilinear between a b (above) and c d (below) with the very rounding of torch's CPU kernel.

    It computes x · w₀ + (y · w₁) with a fused multiply-add, across and then down. A product of two
    float32 is exact in float64, so that is where a fused step can be had.
    """

    def between(x: NDArray[Any], y: NDArray[Any], w: NDArray[Any]) -> NDArray[np.float32]:
        return (x.astype(np.float64) * (1 - w) + y * w).astype(np.float32)

    return between(between(a, b, u), between(c, d, u), v)


def _cells(cells: int, pixels: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each pixel along a side: its cell, and how far into it the pixel's centre lies (0–1).

    The float32 arithmetic of torch's `interpolate` with `align_corners=False`, so that the weights agree
    to the last bit.
    """
    centre = (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(cells / pixels) - np.float32(0.5)
    centre = np.maximum(centre, 0)
    cell = np.minimum(centre.astype(np.intp), cells - 1)
    return cell, centre - cell.astype(np.float32)


def _shifted(maps: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """(…, h, w) moved up and to the left by 0 or 1; the last row or column stays as its own neighbour."""
    if rows:
        maps = np.concatenate([maps[..., 1:, :], maps[..., -1:, :]], -2)
    if columns:
        maps = np.concatenate([maps[..., 1:], maps[..., -1:]], -1)
    return maps


def _runs(chosen: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Start and stop of each run of True, and how many True come before it."""
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    before = np.cumsum(stops - starts) - (stops - starts)
    return list(zip(starts.tolist(), stops.tolist(), before.tolist(), strict=True))
