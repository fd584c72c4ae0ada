"""Tiles: overlapping pieces of a large image, and their scores, blended a few rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from seglab._utils.errors import checked_size

STRIP = 1 << 23  # scores that are held at once: results of the image's size are computed in strips of rows
Box = tuple[int, int, int, int]  # top, left, height, width


@dataclass(frozen=True, eq=False)
class Tile:
    """A piece of an image with its scores.

    Attributes:
        top, left, height, width: its position and size in pixels of the image.
        scores: float32 (K,h',w') at the head's output stride.
    """

    top: int
    left: int
    height: int
    width: int
    scores: Tensor


def tile_weights(length: int) -> Tensor:
    """float32 (length,): the weight of each pixel along a tile's side, highest in the middle, where context is seen."""
    ramp = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0)) / length


def tiles(size: tuple[int, int], tile: tuple[int, int] | None, overlap: int | None = None) -> list[Box]:
    """Equal tiles (top, left, height, width) that cover an image of `size` (H, W), or the whole image as one.

    For `tile` and `overlap` see `predict`.
    """
    if tile is None:
        return [(0, 0, *size)]
    tile = checked_size(tile, "tile")
    overlap = usual_overlap(tile) if overlap is None else overlap
    if not 0 <= overlap <= min(tile) // 2:
        raise ValueError(f"overlap={overlap} of tiles of {tile[0]} × {tile[1]}; expected at most half of a side")
    height, width = (min(whole, part) for whole, part in zip(size, tile, strict=True))
    return [(top, left, height, width) for top in _starts(size[0], height, overlap)
            for left in _starts(size[1], width, overlap)]  # fmt: skip


def usual_overlap(tile: tuple[int, int]) -> int:
    """The overlap of tiles (H, W) where none is stated: 64 pixels, at most a quarter of the shorter side."""
    return min(64, min(tile) // 4)


def strips(size: tuple[int, int], num_classes: int) -> list[tuple[int, int]]:
    """The rows (start, stop) of an image of `size` (H, W) in pieces of at most `STRIP` scores, at least one row."""
    height, width = size
    step = max(1, STRIP // (num_classes * width))
    return list(pairwise([*range(0, height, step), height]))


def blended(tiles: Sequence[Tile], size: tuple[int, int], rows: tuple[int, int], classes: Sequence[int]) -> Tensor:
    """The scores of some classes in rows start … stop−1 of an image of `size` (H, W): float32 (C, stop − start, W).

    Tiles outside these rows are not used. Where tiles overlap, their scores are averaged by `tile_weights`.
    """
    (start, stop), classes = rows, list(classes)

    def of_rows(tile: Tile, first: int, last: int) -> Tensor:
        chosen = tile.scores if classes == list(range(len(tile.scores))) else tile.scores[classes]  # without a copy
        return _interpolated_rows(chosen, (tile.height, tile.width), first, last)

    if (tiles[0].height, tiles[0].width) == tuple(size):
        return of_rows(tiles[0], start, stop)
    total, weights = torch.zeros(len(classes), stop - start, size[1]), torch.zeros(stop - start, size[1])
    for tile in tiles:
        first, last = max(start, tile.top), min(stop, tile.top + tile.height)
        if first >= last:
            continue
        inside = first - tile.top, last - tile.top
        weight = tile_weights(tile.height)[slice(*inside), None] * tile_weights(tile.width)
        position = slice(first - start, last - start), slice(tile.left, tile.left + tile.width)
        total[:, *position] += weight * of_rows(tile, *inside)
        weights[position] += weight
    return total.div_(weights)


def score_strips(
    score: Callable[[Tensor], Tensor], image: Tensor, boxes: Sequence[Box], num_classes: int, batch: int = 1
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of an image (3,H,W) and their blended scores float32 (K,R,W), strip by strip.

    Only the scores of the tiles that reach into a strip are held. The strips are those of `Prediction.mask`, so that
    the masks are equal.

    Args:
        score: uint8 (B,3,h,w) → scores (B,K,h',w'), `batch` tiles at a time.
        boxes: what `tiles` returns.

    Raises:
        ValueError: NaN or infinite scores.
    """
    size, held, done = (image.shape[1], image.shape[2]), list[Tile](), 0
    for start, stop in strips(size, num_classes):
        held = [tile for tile in held if tile.top + tile.height > start]
        while done < len(boxes) and boxes[done][0] < stop:
            several = boxes[done : done + batch]
            crops = [image[:, top : top + h, left : left + w] for top, left, h, w in several]
            scores = score(torch.stack(crops)).cpu()
            if not scores.isfinite().all():
                raise ValueError("scores contain NaN or infinite values; check model and input")
            held += [Tile(*box, s) for box, s in zip(several, scores, strict=True)]
            done += batch
        yield slice(start, stop), blended(held, size, (start, stop), range(num_classes))


def _interpolated_rows(scores: Tensor, size: tuple[int, int], start: int, stop: int) -> Tensor:
    """Rows start … stop−1 of scores (K,h',w') interpolated to `size` (H, W): (K, stop − start, W)."""
    height, width = size
    if (start, stop) == (0, height):
        return interpolate(scores[None], size, mode="bilinear", align_corners=False)[0]
    # The centre of row r lies at row (r + ½)·h'/H − ½ of the scores, and not above their first row.
    rows = torch.arange(start, stop, device=scores.device)
    centres = ((rows + 0.5) * (scores.shape[1] / height) - 0.5).clamp(min=0)
    above, weight = centres.long(), centres.frac()[:, None]
    below = (above + 1).clamp(max=scores.shape[1] - 1)
    between = scores[:, above] * (1 - weight) + scores[:, below] * weight
    return interpolate(between[None], (stop - start, width), mode="bilinear", align_corners=False)[0]


def _starts(whole: int, part: int, overlap: int) -> list[int]:
    """Evenly spaced starts of the tiles along one side."""
    count = 1 if part >= whole else -(-(whole - overlap) // (part - overlap))
    return [round(k * (whole - part) / max(1, count - 1)) for k in range(count)]
