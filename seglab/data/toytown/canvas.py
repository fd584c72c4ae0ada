"""Painting that comes out the same on every machine, to the last bit.

Toytown is drawn with these few anti-aliased shapes. They use integers and + − × ÷ √ only, which IEEE 754
rounds in one way everywhere; powers, exponentials and sines differ between processors. Randomness comes
from the raw integers of a bit generator, because NumPy's distributions may change between versions.

A shape is a `Stamp`: where it lies and how much of each pixel it covers (0–1). Painting blends colours by
that coverage and gives the label to pixels that are covered at least half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 throughout; the stubs cannot follow scalars of that type
T = TypeVar("T")
RGB = tuple[float, float, float]  # red, green, blue, 0–1
Point = tuple[float, float]  # x to the right, y down, in pixels


class RandomBits:
    """Random numbers from raw PCG64 integers; the same key throws the same numbers everywhere."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(list(key))

    def unit(self) -> float:
        """A number in [0, 1), a multiple of 2⁻⁵³."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def count(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self._bits.random_raw()) % (high - low + 1)

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def pick(self, things: Sequence[T]) -> T:
        return things[int(self._bits.random_raw()) % len(things)]

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Uniform uint8 noise of this shape."""
        size = int(np.prod(shape))
        raw = self._bits.random_raw((size + 7) // 8).astype("<u8")
        return raw.view(np.uint8)[:size].reshape(shape)


@dataclass(frozen=True)
class Stamp:
    """A shape on the canvas: rows `top`…, columns `left`…, coverage float32 (h, w) in 0–1."""

    top: int
    left: int
    cover: Floats

    @property
    def where(self) -> tuple[slice, slice]:
        height, width = self.cover.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass
class Canvas:
    """What has been painted so far: colours, labels, object numbers, distances, light of its own.

    Attributes:
        rgb: float32 (3, H, W), 0–1.
        code: uint16 (H, W), 256 · object number + class index; number 0 where nothing countable lies.
        depth: float32 (H, W), metres; kept up only if asked for.
        glow: float32 (3, H, W), light that does not fade at night; kept up only if asked for.
    """

    size: tuple[int, int]
    with_depth: bool = False
    with_glow: bool = False
    rgb: Floats = field(init=False)
    code: NDArray[np.uint16] = field(init=False)
    depth: Floats = field(init=False)
    glow: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.rgb = np.zeros((3, *self.size), np.float32)
        self.glow = np.zeros((3, *self.size), np.float32)
        self.code = np.zeros(self.size, np.uint16)
        self.depth = np.full(self.size, 1000, np.float32)

    @property
    def label(self) -> NDArray[np.uint8]:
        """uint8 (H, W), class indices."""
        return self.code.astype(np.uint8)

    @property
    def instance(self) -> NDArray[np.uint8]:
        """uint8 (H, W), object numbers."""
        return (self.code >> 8).astype(np.uint8)

    def paint(
        self,
        stamp: Stamp | None,
        color: RGB | Floats,
        label: int | None = None,
        instance: int = 0,
        depth: float | Floats = 1000.0,
        glow: RGB | Floats | None = None,
    ) -> None:
        """Blend a shape onto the canvas; without a label it only tints what is there."""
        if stamp is None:
            return
        rows, columns = stamp.where
        mix(self.rgb[:, rows, columns], color, stamp.cover)
        if label is not None:
            solid = stamp.cover >= 0.5
            np.copyto(self.code[rows, columns], np.uint16(instance << 8 | label), where=solid)
            if self.with_depth:
                np.copyto(self.depth[rows, columns], np.float32(depth), where=solid)
        if self.with_glow:
            mix(self.glow[:, rows, columns], (0.0, 0.0, 0.0) if glow is None else glow, stamp.cover)


def mix(below: Floats, color: RGB | Floats, cover: Floats) -> None:
    """In place: below + cover · (color − below), for (3, h, w) below and (h, w) cover."""
    over = ink(color) if isinstance(color, tuple) else color
    if below.size < 20_000:
        below += cover * (over - below)
        return
    for channel in range(3):  # smaller temporaries: the allocator keeps them instead of asking for fresh pages
        change = over[channel] - below[channel]
        change *= cover
        below[channel] += change


@lru_cache(4096)
def ink(color: RGB) -> Floats:
    """A colour as float32 (3, 1, 1)."""
    return np.array(color, np.float32)[:, None, None]


def soft(distance: Floats) -> Floats:
    """Signed distance inside an edge, in pixels → coverage: a ramp one pixel wide."""
    return _unit(distance + np.float32(0.5))


def _unit(x: Floats) -> Floats:
    """Clip to 0–1, in place (two ufuncs: `np.clip` costs more than the work itself on a small shape)."""
    np.maximum(x, 0, out=x)
    return np.minimum(x, 1, out=x)


@lru_cache
def _centres(length: int) -> Floats:
    return np.arange(length, dtype=np.float32) + np.float32(0.5)


def _grid(size: tuple[int, int], box: tuple[float, float, float, float]) -> tuple[int, int, Floats, Floats] | None:
    """Top, left, and centres of the pixels (x as a row, y as a column) that a box (x0, y0, x1, y1) may touch."""
    x0, y0 = max(int(box[0]) - 1, 0), max(int(box[1]) - 1, 0)
    x1, y1 = min(int(box[2]) + 2, size[1]), min(int(box[3]) + 2, size[0])
    if x0 >= x1 or y0 >= y1:
        return None
    return y0, x0, _centres(size[1])[x0:x1], _centres(size[0])[y0:y1, None]


def rectangle(size: tuple[int, int], x0: float, y0: float, x1: float, y1: float) -> Stamp | None:
    """An upright rectangle; coverage is the exact area. Less than a third of a pixel is left out."""
    if (x1 - x0) * (y1 - y0) < 0.3:
        return None
    left, across = _span(x0, x1, size[1])
    top, down = _span(y0, y1, size[0])
    return Stamp(top, left, down[:, None] * across) if len(across) and len(down) else None


def _span(start: float, stop: float, length: int) -> tuple[int, Floats]:
    """How much of each pixel along one side lies between `start` and `stop`; the first such pixel."""
    first, last = max(floor(start), 0), min(ceil(stop), length)
    cover = np.ones(max(last - first, 0), np.float32)
    if len(cover):
        cover[0] -= np.float32(max(start - first, 0))
        cover[-1] -= np.float32(max(last - stop, 0))
    return first, cover


def ellipse(size: tuple[int, int], x: float, y: float, rx: float, ry: float) -> Stamp | None:
    """An upright ellipse with half-axes `rx`, `ry` around (x, y)."""
    grid = _grid(size, (x - rx, y - ry, x + rx, y + ry))
    if grid is None:
        return None
    top, left, px, py = grid
    across, down = (px - np.float32(x)) / np.float32(rx), (py - np.float32(y)) / np.float32(ry)
    return Stamp(top, left, soft((1 - np.sqrt(across * across + down * down)) * np.float32(min(rx, ry))))


def discs(size: tuple[int, int], circles: NDArray[np.float64]) -> Stamp | None:
    """The union of circles, float (N, 3): x, y, radius."""
    low, high = circles[:, :2] - circles[:, 2:], circles[:, :2] + circles[:, 2:]
    grid = _grid(size, (low[:, 0].min(), low[:, 1].min(), high[:, 0].max(), high[:, 1].max()))
    if grid is None:
        return None
    top, left, px, py = grid
    x, y, r = (circles.astype(np.float32)[:, i, None, None] for i in range(3))
    dx, dy = px - x, py - y
    return Stamp(top, left, soft((r - np.sqrt(dx * dx + dy * dy)).max(0)))


def polygon(size: tuple[int, int], points: Sequence[Point]) -> Stamp | None:
    """A convex polygon; its corners may go round either way."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    grid = _grid(size, (min(xs), min(ys), max(xs), max(ys)))
    if grid is None:
        return None
    top, left, x, y = grid
    area = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(points)))
    edges = []  # unit normals that point inwards, and their offsets
    for i in range(len(points)):
        ex, ey = xs[i] - xs[i - 1], ys[i] - ys[i - 1]
        length = sqrt(ex * ex + ey * ey)
        if length > 0:
            nx, ny = (-ey / length, ex / length) if area > 0 else (ey / length, -ex / length)
            edges.append((nx, ny, 0.5 - nx * xs[i] - ny * ys[i]))
    if not edges:
        return None
    normal_x, normal_y, offset = np.array(edges, np.float32).T[:, :, None, None]
    return Stamp(top, left, _unit(((x * normal_x + offset) + y * normal_y).min(0)))


def value_noise(dice: RandomBits, size: tuple[int, int], cells: tuple[int, int]) -> Floats:
    """Smooth noise in 0–1: random values on a lattice of `cells`, interpolated between. float32 (H, W)."""
    lattice = dice.bytes(cells[0] + 1, cells[1] + 1).astype(np.float32) / 255
    rows, down = _steps(size[0], cells[0])
    columns, across = _steps(size[1], cells[1])
    wide = lattice[:, columns] + across * (lattice[:, columns + 1] - lattice[:, columns])
    return wide[rows] + down[:, None] * (wide[rows + 1] - wide[rows])


def _steps(length: int, cells: int) -> tuple[NDArray[np.intp], Floats]:
    """For each pixel of a side: its lattice cell, and how far into the cell it lies (eased by 3t² − 2t³)."""
    at = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(cells) / np.float32(length)
    cell = at.astype(np.intp)
    t = at - cell.astype(np.float32)
    return cell, t * t * (3 - 2 * t)
