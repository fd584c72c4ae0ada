"""Tiles: overlapping pieces of a large image, and the weights with which their scores are blended."""

from dataclasses import dataclass

import torch
from torch import Tensor


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


def tiles(size: tuple[int, int], tile: tuple[int, int], overlap: int | None = None) -> list[tuple[int, int, int, int]]:
    """Equal tiles (top, left, height, width) that cover an image of `size` (H, W); for `overlap` see `predict`."""
    if min(tile) < 1:
        raise ValueError(f"tile={tile}; expected a height and a width in pixels")
    overlap = min(64, min(tile) // 4) if overlap is None else overlap
    if not 0 <= overlap <= min(tile) // 2:
        raise ValueError(f"overlap={overlap} of tiles of {tile[0]} × {tile[1]}; expected at most half of a side")
    height, width = (min(whole, part) for whole, part in zip(size, tile, strict=True))
    return [(top, left, height, width) for top in _starts(size[0], height, overlap)
            for left in _starts(size[1], width, overlap)]  # fmt: skip


def _starts(whole: int, part: int, overlap: int) -> list[int]:
    """Evenly spaced starts of the tiles along one side."""
    count = 1 if part >= whole else -(-(whole - overlap) // (part - overlap))
    return [round(k * (whole - part) / max(1, count - 1)) for k in range(count)]
