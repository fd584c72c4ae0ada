"""Random numbers and anti-aliased painting that are the same on every machine, to the last bit.

Toytown is drawn with these few shapes. They use integers and + − × ÷ √ only, which IEEE 754 rounds in exactly one way;
powers, exponentials and sines differ between processors. Random numbers come from the raw integers of a bit generator,
because NumPy's distributions may change between versions. All arrays are float32: NumPy rounds a Python number to
float32 before it combines the number with such an array (NEP 50).

A `Shape` holds the fraction of each pixel that it covers. Painting blends colours by that coverage and gives the label
to pixels that are covered at least half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32; NumPy's type stubs lose that precision in mixed expressions
T = TypeVar("T")
RGB = tuple[float, float, float]  # red, green, blue, 0–1
Point = tuple[float, float]  # x to the right, y down, in pixels
DARK: RGB = (0.0, 0.0, 0.0)


class RandomBits:
    """Random numbers from raw PCG64 integers; methods are named as in Python's `random`. The key is the seed."""

    def __init__(self, *key: int) -> None:
        self._generator = np.random.PCG64(list(key))

    def random(self) -> float:
        """A number in [0, 1), a multiple of 2⁻⁵³."""
        return (int(self._generator.random_raw()) >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def randint(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self._generator.random_raw()) % (high - low + 1)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self._generator.random_raw()) % len(options)]

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Uniform uint8 noise of this shape."""
        size = int(np.prod(shape))
        raw = self._generator.random_raw((size + 7) // 8).astype("<u8")
        return raw.view(np.uint8)[:size].reshape(shape)


@dataclass(frozen=True)
class Shape:
    """A rasterised shape: its first row and column, and the coverage of its pixels, float32 (h, w) in 0–1.

    A shape outside the canvas has no pixels.
    """

    top: int
    left: int
    coverage: Floats

    @property
    def where(self) -> tuple[slice, slice]:
        height, width = self.coverage.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


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

    @property
    def label(self) -> NDArray[np.uint8]:
        """uint8 (H, W), class indices."""
        return self.code.astype(np.uint8)

    @property
    def instance(self) -> NDArray[np.uint8]:
        """uint8 (H, W), object numbers."""
        return (self.code >> 8).astype(np.uint8)

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


def coverage(distance: Floats) -> Floats:
    """Signed distance inside an edge, in pixels → coverage: a ramp one pixel wide."""
    return _clip(distance + 0.5)


def _clip(x: Floats) -> Floats:
    """Clip to 0–1, in place; on small arrays two ufuncs are faster than `np.clip`."""
    np.maximum(x, 0, out=x)
    return np.minimum(x, 1, out=x)


@lru_cache
def pixel_centres(length: int) -> Floats:
    """0.5, 1.5, … float32 (length,); shared, not to be written into."""
    return np.arange(length, dtype=np.float32) + np.float32(0.5)


def _grid(size: tuple[int, int], x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, Floats, Floats]:
    """Top, left, and centres of the pixels (x as a row, y as a column) that a box may touch."""
    left, top = max(int(x0) - 1, 0), max(int(y0) - 1, 0)
    right, bottom = max(int(x1) + 2, left), max(int(y1) + 2, top)
    return top, left, pixel_centres(size[1])[left:right], pixel_centres(size[0])[top:bottom, None]


def rectangle(size: tuple[int, int], x0: float, y0: float, x1: float, y1: float) -> Shape:
    """An upright rectangle; coverage is the exact area. Less than a third of a pixel is left out."""
    if (x1 - x0) * (y1 - y0) < 0.3:
        return Shape(0, 0, np.zeros((0, 0), np.float32))
    (left, across), (top, down) = _span(x0, x1, size[1]), _span(y0, y1, size[0])
    return Shape(top, left, down[:, None] * across)


def _span(start: float, stop: float, length: int) -> tuple[int, Floats]:
    """The first pixel along one side that [start, stop] touches, and the covered fraction of each pixel from there."""
    first, last = max(floor(start), 0), min(ceil(stop), length)
    covered = np.ones(max(last - first, 0), np.float32)
    if len(covered):
        covered[0] -= max(start - first, 0)
        covered[-1] -= max(last - stop, 0)
    return first, covered


def ellipse(size: tuple[int, int], x: float, y: float, rx: float, ry: float) -> Shape:
    """An upright ellipse with half-axes `rx`, `ry` around (x, y)."""
    top, left, px, py = _grid(size, x - rx, y - ry, x + rx, y + ry)
    across, down = (px - x) / rx, (py - y) / ry
    return Shape(top, left, coverage((1 - np.sqrt(across * across + down * down)) * min(rx, ry)))


def discs(size: tuple[int, int], circles: NDArray[np.float64]) -> Shape:
    """The union of circles, float (N, 3): x, y, radius."""
    low, high = circles[:, :2] - circles[:, 2:], circles[:, :2] + circles[:, 2:]
    top, left, px, py = _grid(size, *low.min(0), *high.max(0))
    x, y, r = (circles.astype(np.float32)[:, i, None, None] for i in range(3))
    dx, dy = px - x, py - y
    return Shape(top, left, coverage((r - np.sqrt(dx * dx + dy * dy)).max(0)))


def polygon(size: tuple[int, int], points: Sequence[Point]) -> Shape:
    """A convex polygon with its corners in either direction of rotation."""
    xs, ys = zip(*points, strict=True)
    top, left, x, y = _grid(size, min(xs), min(ys), max(xs), max(ys))
    area = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(points)))
    edges = []  # unit normals that point inwards, and their offsets
    for i in range(len(points)):
        ex, ey = xs[i] - xs[i - 1], ys[i] - ys[i - 1]
        length = sqrt(ex * ex + ey * ey)
        if length > 0:
            nx, ny = (-ey / length, ex / length) if area > 0 else (ey / length, -ex / length)
            edges.append((nx, ny, 0.5 - nx * xs[i] - ny * ys[i]))
    normal_x, normal_y, offset = np.array(edges, np.float32).T[:, :, None, None]
    return Shape(top, left, _clip(((x * normal_x + offset) + y * normal_y).min(0)))


def stripes(position: Floats, pixel: Floats, period: float, width: float) -> Floats:
    """Coverage of parallel lines every `period` metres.

    Args:
        position: of each pixel across the lines, in metres.
        pixel: metres per pixel.
        width: of a line, as a fraction of the period.
    """
    periods = position / period
    return coverage((width / 2 - np.abs(periods - np.rint(periods))) * period / pixel)


def value_noise(rng: RandomBits, size: tuple[int, int], cells: tuple[int, int]) -> Floats:
    """Smooth noise in 0–1: random values on a lattice of `cells`, interpolated between. float32 (H, W)."""
    lattice = rng.bytes(cells[0] + 1, cells[1] + 1).astype(np.float32) / 255
    rows, down = _lattice_cells(size[0], cells[0])
    columns, across = _lattice_cells(size[1], cells[1])
    wide = lattice[:, columns] + across * (lattice[:, columns + 1] - lattice[:, columns])
    return wide[rows] + down[:, None] * (wide[rows + 1] - wide[rows])


def _lattice_cells(length: int, cells: int) -> tuple[NDArray[np.intp], Floats]:
    """The lattice cell of each pixel of a side, and the pixel's position in it, eased by 3t² − 2t³."""
    position = pixel_centres(length) * cells / length
    cell = position.astype(np.intp)
    t = position - cell.astype(np.float32)
    return cell, t * t * (3 - 2 * t)
