"""Random numbers, colours and painting, the same on every machine and with every version of NumPy.

Random numbers come from the raw integers of a bit generator, because NumPy's distributions may change between versions.
Painting blends colours by the coverage of a shape and gives a label to pixels that are covered at least half.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from seglab.data.toytown.shapes import Floats, Shape, pixel_centres

RGB = tuple[float, float, float]  # red, green, blue, 0–1
DARK: RGB = (0.0, 0.0, 0.0)
T = TypeVar("T")


class RandomBits:
    """Random numbers from raw PCG64 integers. The key is the seed; methods are named as in Python's `random`."""

    def __init__(self, *key: int) -> None:
        self._generator = np.random.PCG64(list(key))

    def random(self) -> float:
        """A number in [0, 1), a multiple of 2⁻⁵³."""
        return (int(self._generator.random_raw()) >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.random()

    def randint(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self._generator.random_raw()) % (high - low + 1)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self._generator.random_raw()) % len(options)]

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Uniform uint8 noise of this shape."""
        size = int(np.prod(shape))
        raw = self._generator.random_raw((size + 7) // 8).astype("<u8")
        return raw.view(np.uint8)[:size].reshape(shape)


def value_noise(rng: RandomBits, size: tuple[int, int], cells: tuple[int, int]) -> Floats:
    """Smooth noise in 0–1: random values on a lattice of `cells`, interpolated between. float32 (H, W)."""
    lattice = rng.bytes(cells[0] + 1, cells[1] + 1).astype(np.float32) / 255
    (rows, down), (columns, across) = _lattice_cells(size[0], cells[0]), _lattice_cells(size[1], cells[1])
    wide = lattice[:, columns] + across * (lattice[:, columns + 1] - lattice[:, columns])
    return wide[rows] + down[:, None] * (wide[rows + 1] - wide[rows])


def _lattice_cells(length: int, cells: int) -> tuple[NDArray[np.intp], Floats]:
    """The lattice cell of each pixel of a side, and the pixel's position in it, eased by 3t² − 2t³."""
    position = pixel_centres(length) * cells / length
    cell = position.astype(np.intp)
    t = position - cell.astype(np.float32)
    return cell, t * t * (3 - 2 * t)


class Canvas:
    """The picture while it is painted.

    Attributes:
        rgb: float32 (3, H, W), 0–1.
        code: uint16 (H, W), 256 · object number + class index; the number is 0 outside countable objects.
        depth: float32 (H, W), metres; updated only with `with_depth`.
        glow: float32 (3, H, W), emitted light, which does not fade at night; updated only with `with_glow`.
    """

    def __init__(self, size: tuple[int, int], with_depth: bool = False, with_glow: bool = False) -> None:
        self.size, self.with_depth, self.with_glow = size, with_depth, with_glow
        self.rgb: Floats = np.zeros((3, *size), np.float32)
        self.glow: Floats = np.zeros((3, *size), np.float32)
        self.code = np.zeros(size, np.uint16)
        self.depth: Floats = np.full(size, 1000, np.float32)

    def labels(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Class indices and object numbers, both uint8 (H, W)."""
        return self.code.astype(np.uint8), (self.code >> 8).astype(np.uint8)

    def paint(self, shape: Shape, color: RGB | Floats, label: int | None = None, instance: int = 0,
              depth: float | Floats = 1000.0, glow: RGB | Floats = DARK) -> None:  # fmt: skip
        """Blend a shape onto the canvas; without a label it changes colours only."""
        if shape.coverage.size == 0:
            return
        rows, columns = shape.where
        blend(self.rgb[:, rows, columns], color, shape.coverage)
        if label is not None:
            solid = shape.coverage >= 0.5
            np.copyto(self.code[rows, columns], np.uint16(instance << 8 | label), where=solid)
            if self.with_depth:
                np.copyto(self.depth[rows, columns], np.float32(depth), where=solid)
        if self.with_glow:
            blend(self.glow[:, rows, columns], glow, shape.coverage)


def blend(below: Floats, color: RGB | Floats, alpha: Floats) -> None:
    """In place: below + alpha · (color − below), for (3, h, w) below and (h, w) alpha."""
    above = color_array(color) if isinstance(color, tuple) else color
    if below.size < 20_000:
        below += alpha * (above - below)
        return
    for channel in range(3):  # smaller temporary arrays: the allocator reuses their memory
        change = above[channel] - below[channel]
        change *= alpha
        below[channel] += change


@lru_cache(4096)
def color_array(color: RGB) -> Floats:
    """A colour as float32 (3, 1, 1)."""
    return np.array(color, np.float32)[:, None, None]


def shade(color: RGB, light: float) -> RGB:
    """A colour under more or less light."""
    return tuple(min(c * light, 1.0) for c in color)  # type: ignore[return-value]


def tinted(color: RGB, other: RGB, fraction: float) -> RGB:
    """A colour mixed with a fraction of another."""
    return tuple(c + (o - c) * fraction for c, o in zip(color, other, strict=True))  # type: ignore[return-value]
