"""From scores to masks: the argmax at any size, pixel for pixel the result of interpolation followed by argmax."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from seglab._utils.errors import checked_size
from seglab.masks.arrays import Array, as_torch, like

SIDE = 8  # pixels of a block's side at most
AT_ONCE = 1 << 16  # pixels that are interpolated at once: their scores fit into a processor's cache


def to_mask(scores: Array, channel_dim: int = 1, size: tuple[int, int] | None = None) -> Array:
    """The class with the highest score at each pixel; of equal scores, the class with the lowest index.

    With `size`, the mask equals the argmax of the bilinearly interpolated scores (`align_corners=False`). On a CPU it
    takes a fraction of the time and memory of interpolating all scores. Where the two highest scores agree to the last
    bit, torch's result can depend on the layout in memory, the processor, the number of threads and the size; on a
    CPU, `to_mask` then returns the result of torch's general kernel for scores with channels first, in each layout.

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
    if t.numel() and not torch.stack(t.aminmax()).isfinite().all():  # faster than to look at each
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
    interpolated, and of their classes only the candidates: those whose highest corner reaches the lowest corner of
    every other class. Cells with equally many candidates are interpolated together. Where the two best classes differ
    by no more than rounding errors, the scores are computed once more with torch's own rounding.
    """
    _, height, width = scores.shape
    (cell_y, weight_y), (cell_x, weight_x) = _cells(height, size[0]), _cells(width, size[1])
    largest = max(scores.max(), -scores.min())
    if largest > 1e38:
        scores = scores * np.float32(0.25)  # a difference of two scores must not overflow
    tolerance = np.float32(32 * np.finfo(np.float32).eps) * largest
    winners, lead = _two_best((np.uint8(k), plane) for k, plane in enumerate(scores))
    mask = winners.take(cell_x, 1).take(cell_y, 0)

    def corners(values: NDArray[Any]) -> NDArray[Any]:
        around = np.pad(values, (0, 1), "edge")  # the last cells lie between equal scores
        return np.stack([around[y : y + height, x : x + width] for y in (0, 1) for x in (0, 1)])

    y, x = np.nonzero(corners(lead <= tolerance).any(0) | (corners(winners) != winners).any(0))
    if len(y) == 0:
        return mask
    mixed = np.full((height, width), -1)  # the index of each mixed cell, where interpolation decides
    mixed[y, x] = np.arange(len(y))
    corner, right, below = y * width + x, x < width - 1, width * (y < height - 1)
    planes = scores.reshape(len(scores), -1)
    four = np.stack([planes.take(corner + to, 1) for to in (0, right, below, below + right)])  # (4, K, cells)
    owner, classes = np.nonzero((four.max(0) >= four.min(0).max(0) - tolerance).T)  # all candidates, cell after cell
    count = np.bincount(owner)
    first = np.cumsum(count) - count
    ends, classes = four.reshape(4, -1).take(classes * len(y) + owner, 1), classes.astype(np.uint8)

    (block_y, pixel_y, weight_y), (block_x, pixel_x, weight_x) = _blocks(cell_y, weight_y), _blocks(cell_x, weight_x)
    mixed = mixed.take(block_y, 0).take(block_x, 1)
    blocks = np.flatnonzero(mixed >= 0)
    candidates = count[mixed.take(blocks)]
    step = max(1, AT_ONCE // (len(pixel_y) * len(pixel_x)))
    groups = ((n, blocks[candidates == n]) for n in np.unique(candidates))
    for n, part in ((n, group[i : i + step]) for n, group in groups for i in range(0, len(group), step)):
        row, column = part // len(block_x), part % len(block_x)
        cell, u, v = mixed.take(part), weight_x.take(column, 1), weight_y.take(row, 1)[:, None]
        winner, lead = _two_best(
            (classes[k], _bilinear(ends.take(k, 1), u, v)) for k in (first[cell] + j for j in range(n))
        )
        tied = np.flatnonzero(lead <= tolerance)
        if len(tied):
            i, j, b = np.unravel_index(tied, lead.shape)
            exact = _bilinear_as_torch(four[..., cell[b]], u[j, b], v[i, 0, b])
            winner[i, j, b] = exact.argmax(0)
        mask.reshape(-1)[pixel_y.take(row, 1)[:, None] * size[1] + pixel_x.take(column, 1)] = winner
    return mask


def _two_best(scored: Iterable[tuple[Any, NDArray[np.float32]]]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The class with the highest score, and by how much it leads the second.

    Args:
        scored: at least two classes, uint8 scalars or arrays that grow from one to the next, and their scores.
    """
    remaining = iter(scored)
    label, best = next(remaining)
    winner, second = np.empty(best.shape, np.uint8), np.full(best.shape, -np.inf, np.float32)
    winner[:] = label
    for label, score in remaining:
        np.maximum(second, np.minimum(score, best), out=second)
        np.maximum(winner, (score > best).view(np.uint8) * label, out=winner)  # labels grow
        best = np.maximum(best, score)
    return winner, best - second


def _bilinear(corners: NDArray[Any], u: NDArray[Any], v: NDArray[Any]) -> NDArray[np.float32]:
    """Bilinear interpolation between four corners: two above, two below; fast, with any rounding."""
    a, b, c, d = corners
    above, below = a + (b - a) * u, c + (d - c) * u
    score: NDArray[np.float32] = (below - above) * v
    score += above
    return score


def _bilinear_as_torch(corners: NDArray[Any], u: NDArray[Any], v: NDArray[Any]) -> NDArray[np.float32]:
    """The same, rounded exactly as by torch's CPU kernel for channels first.

    The kernel computes x · w₀ + (y · w₁) with a fused multiply-add, first across and then down. In float64 a product
    of two float32 is exact, which reproduces the fused step.
    """

    def between(x: NDArray[Any], y: NDArray[Any], w: NDArray[Any]) -> NDArray[np.float32]:
        return (x.astype(np.float64) * (1 - w) + y * w).astype(np.float32)

    a, b, c, d = corners
    return between(between(a, b, u), between(c, d, u), v)


def _cells(cells: int, pixels: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each pixel along a side: the index of its cell, and the position of its centre in the cell (0–1).

    Uses the float32 arithmetic of torch's `interpolate` (`align_corners=False`), so the weights agree to the last bit.
    """
    centre = (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) * np.float32(cells / pixels) - np.float32(0.5)
    centre = np.maximum(centre, 0)
    cell = np.minimum(centre.astype(np.intp), cells - 1)
    return cell, centre - cell.astype(np.float32)


def _blocks(
    cell: NDArray[np.intp], weight: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The pixels along a side in blocks of equally many, each within one cell; a block may repeat its last pixel.

    Blocks have about as many pixels as a cell, at most `SIDE`.

    Returns:
        the cell of each of n blocks (n,); the blocks' pixels and the weights of these, (pixels of a block, n).
    """
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    stops = np.append(starts[1:], len(cell))
    length = min(SIDE, max(1, int(len(cell) / len(starts) + 0.6)))
    first = np.concatenate([np.arange(*run, length) for run in zip(starts, stops, strict=True)])
    last = stops[np.searchsorted(stops, first, "right")] - 1
    pixel = np.minimum(first + np.arange(length)[:, None], last)
    return cell[first], pixel, weight[pixel]
