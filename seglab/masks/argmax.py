"""From scores to masks: the argmax at any size, pixel for pixel the result of interpolation followed by argmax."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from seglab._utils.errors import checked_size
from seglab.masks.arrays import Array, as_torch, like


def to_mask(scores: Array, channel_dim: int = 1, size: tuple[int, int] | None = None) -> Array:
    """The class with the highest score at each pixel; of equal scores, the class with the lowest index.

    With `size`, the mask equals the argmax of the bilinearly interpolated scores (`align_corners=False`). On a CPU it
    takes a fraction of the time and memory of interpolating all scores. Where the two highest scores agree to the last
    bit, torch's result can depend on the processor, the number of threads and the size; on a CPU, `to_mask` then
    returns the result of torch's general kernel.

    Args:
        scores: float, of torch, NumPy or TensorFlow: (B, K, H, W), (B, H, W, K), (K, H, W) or (H, W, K) for
            2 ≤ K ≤ 254 classes. Half precision and float8 are interpolated in float32, float64 as it is. A batch
            may be empty.
        channel_dim: dimension of the K classes: 1 for (B, K, H, W), 0 for (K, H, W), -1 for channels last.
        size: (H, W) of the mask; by default the size of the scores.

    Returns:
        uint8 (B, H, W) or (H, W), values 0 … K − 1; the kind and device of `scores`.

    Raises:
        ValueError: scores with another number of dimensions, not of floats, with NaN or infinite values, without
            pixels, or with fewer than 2 or more than 254 classes; `channel_dim` is not a dimension, or is the batch;
            `size` is not two whole numbers of at least 1.

    >>> to_mask(np.array([[[0.1, 0.9]], [[0.8, 0.2]]]), channel_dim=0)
    array([[1, 0]], dtype=uint8)
    """
    t = as_torch(scores)
    shape = tuple(t.shape)
    if t.ndim not in (3, 4):
        raise ValueError(f"scores have shape {shape}; expected (B, K, H, W), (B, H, W, K) or one image of these")
    if not -t.ndim <= channel_dim < t.ndim:
        raise ValueError(f"channel_dim={channel_dim} for scores of shape {shape}; use 1, or -1 for channels last")
    if t.ndim == 4 and channel_dim in (0, -4):
        raise ValueError("channel_dim=0 is the batch of scores with four dimensions; use 1, or -1 for channels last")
    if not t.is_floating_point():
        raise ValueError(f"scores are {t.dtype}; expected floats. Is this a mask already?")
    t = t.movedim(channel_dim, -3)
    t = t.float() if t.dtype.itemsize == 1 else t  # float8, with which torch computes nothing
    if not 2 <= t.shape[-3] <= 254:
        remedy = "with one channel, threshold it instead: scores.sigmoid() > 0.5" if t.shape[-3] == 1 else (
            f"expected 2 to 254; is dimension {channel_dim} really the one of the classes?")  # fmt: skip
        raise ValueError(f"scores of shape {shape} have {t.shape[-3]} channels; {remedy}")
    if 0 in t.shape[-2:]:
        raise ValueError(f"scores of shape {shape} have no pixels")
    if not torch.isfinite(t).all():
        raise ValueError("scores contain NaN or infinite values, so their argmax is undefined; check model and input")
    size = checked_size(t.shape[-2:] if size is None else size)
    if size == tuple(t.shape[-2:]):
        return like(t.argmax(-3).to(torch.uint8), scores)
    batch = t.detach().reshape(-1, *t.shape[-3:])
    batch = batch if t.dtype == torch.float64 else batch.float()
    mask = torch.empty(len(batch), *size, dtype=torch.uint8, device=t.device)
    for i, one in enumerate(batch):
        if t.device.type == "cpu" and t.dtype != torch.float64:
            mask[i] = torch.from_numpy(_argmax_at(one.contiguous().numpy(), size))  # models give channels last
        else:  # on an accelerator, interpolating all scores is faster than selecting those that matter
            mask[i] = F.interpolate(one[None], size, mode="bilinear")[0].argmax(0)
    return like(mask.reshape(*t.shape[:-3], *size), scores)


def binary_mask(mask: Array, class_index: int) -> Array:
    """The pixels of one class as a binary mask: uint8 of the mask's shape and kind, 1 for the class and 0 elsewhere.

    Args:
        mask: integer, any shape, of torch, NumPy or TensorFlow.
        class_index: 0–254, or 255 for void.

    Raises:
        ValueError: `class_index` is outside 0–255.
    """
    if not 0 <= class_index <= 255:
        raise ValueError(f"class_index={class_index}; expected a class index, 0 to 254, or 255 for void")
    return like((as_torch(mask) == class_index).to(torch.uint8), mask)


def _argmax_at(scores: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Argmax of scores (K, h, w) interpolated to `size`; interpolates only where the corners of a cell leave it open.

    An output pixel lies in a cell between four neighbouring scores; its score is a convex combination of these. A
    class that wins at all four corners therefore wins in the whole cell. Only the other cells, along boundaries, are
    interpolated, and of their classes only those whose highest corner reaches the lowest corner of every other class.
    The loop takes one row of cells at a time. Where the two best classes differ by no more than rounding errors, the
    scores are computed once more with torch's own rounding.
    """
    _, height, width = scores.shape
    (cell_y, weight_y), (cell_x, weight_x) = _cells(height, size[0]), _cells(width, size[1])
    scores = np.pad(scores, ((0, 0), (0, 1), (0, 1)), "edge")  # the last cells lie between equal scores
    coarse = scores.argmax(0).astype(np.uint8)
    mask = coarse.take(cell_x, 1).take(cell_y, 0)

    def corners(values: NDArray[Any]) -> NDArray[Any]:
        return np.stack([values[..., y : y + height, x : x + width] for y in (0, 1) for x in (0, 1)])

    four = corners(scores)  # (4, K, h, w)
    possible = four.max(0) >= four.min(0).max(0)  # (K, h, w): the class can win somewhere in the cell
    tolerance = np.float32(8 * np.finfo(np.float32).eps) * np.abs(scores).max()
    tied = np.count_nonzero(scores >= scores.max(0) - tolerance, axis=0) > 1
    mixed = (corners(tied) | (corners(coarse) != coarse[:-1, :-1])).any(0)  # (h, w): interpolation decides

    first_pixel = np.searchsorted(cell_y, np.arange(height + 1))
    for row in np.flatnonzero(mixed.any(1)):
        pixel_rows = slice(first_pixel[row], first_pixel[row + 1])
        strip, v = mask[pixel_rows], weight_y[pixel_rows, None]
        x = np.flatnonzero(mixed[row][cell_x])  # pixel columns in mixed cells
        if strip.size == 0 or len(x) == 0:
            continue
        classes = np.flatnonzero(possible[:, row, mixed[row]].any(1))
        u, left = weight_x[x], cell_x[x]
        a, b, c, d = (scores[classes, y][:, side] for y in (row, row + 1) for side in (left, left + 1))
        best = np.full((len(strip), len(x)), -np.inf, np.float32)
        second, winner = best.copy(), np.zeros(best.shape, np.uint8)
        for k, upper, lower in zip(classes, a * (1 - u) + b * u, c * (1 - u) + d * u, strict=True):
            score = upper * (1 - v) + lower * v
            np.copyto(winner, np.uint8(k), where=score > best)
            np.maximum(second, np.minimum(score, best), out=second)
            np.maximum(best, score, out=best)
        py, px = np.nonzero(best - second <= tolerance)
        if len(py):
            exact = _bilinear_as_torch(a[:, px], b[:, px], c[:, px], d[:, px], u[px], v[py, 0])
            winner[py, px] = classes[exact.argmax(0)]
        strip[:, x] = winner
    return mask


def _bilinear_as_torch(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any], u: NDArray[Any], v: NDArray[Any]
) -> NDArray[np.float32]:
    """Bilinear interpolation between a, b (above) and c, d (below), rounded exactly as by torch's CPU kernel.

    The kernel computes x · w₀ + (y · w₁) with a fused multiply-add, first across and then down. In float64 a product
    of two float32 is exact, which reproduces the fused step.
    """

    def between(x: NDArray[Any], y: NDArray[Any], w: NDArray[Any]) -> NDArray[np.float32]:
        return (x.astype(np.float64) * (1 - w) + y * w).astype(np.float32)

    return between(between(a, b, u), between(c, d, u), v)


def _cells(cells: int, pixels: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each pixel along a side: the index of its cell, and the position of its centre in the cell (0–1).

    Uses the float32 arithmetic of torch's `interpolate` (`align_corners=False`), so the weights agree to the last bit.
    """
    centre = (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(cells / pixels) - np.float32(0.5)
    centre = np.maximum(centre, 0)
    cell = np.minimum(centre.astype(np.intp), cells - 1)
    return cell, centre - cell.astype(np.float32)
