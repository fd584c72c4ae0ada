"""Anti-aliased shapes: which fraction of each pixel a rectangle, an ellipse or a polygon covers.

Toytown is drawn with integers and + − × ÷ √ only, which IEEE 754 rounds in exactly one way on every machine; powers,
exponentials and sines differ between processors. All arrays are float32: NumPy rounds a Python number to float32 before
it combines the number with such an array (NEP 50).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32; NumPy's type stubs lose that precision in mixed expressions
Point = tuple[float, float]  # x to the right, y down, in pixels


@dataclass(frozen=True)
class Shape:
    """First row and column of a shape, and the covered fraction of its pixels, float32 (h, w); outside, h·w is 0."""

    top: int
    left: int
    coverage: Floats

    @property
    def where(self) -> tuple[slice, slice]:
        height, width = self.coverage.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


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
    """Coverage of lines every `period` metres, each `width` periods wide; `pixel` is in metres per pixel."""
    periods = position / period
    return coverage((width / 2 - np.abs(periods - np.rint(periods))) * period / pixel)
