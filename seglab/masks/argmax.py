"""From scores to masks: the argmax at any size, exactly as interpolate-then-argmax."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from seglab.masks.arrays import Array, as_torch, like


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
    t = as_torch(scores)
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
    return like(mask, scores)


def binary_mask(mask: Array, class_index: int) -> Array:
    """Where a mask shows one class: uint8 of the mask's shape and kind, 1 there and 0 elsewhere."""
    if not 0 <= class_index <= 255:
        raise ValueError(f"class_index={class_index}; class indices are 0 to 254, void is 255")
    return like((as_torch(mask) == class_index).to(torch.uint8), mask)


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
