"""The houses of Toytown: one row on each side of the street, with shops, gardens and fences.

All fronts of one side are painted at once: a pixel's position decides between wall, window, awning and doorway.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglab.data.toytown.canvas import RGB, RandomBits, blend, color_array, shade, value_noise
from seglab.data.toytown.shapes import Floats, Shape, coverage, pixel_centres, polygon, stripes
from seglab.data.toytown.street import BUILDING, FACADES, FENCE, LAMPLIGHT, LEAVES, Town

FENCES: tuple[RGB, ...] = ((0.93, 0.92, 0.88), (0.50, 0.36, 0.26), (0.34, 0.42, 0.36), (0.62, 0.60, 0.58))


class House(NamedTuple):
    """A house, or a garden where `height` is 0. All lengths are in metres."""

    near: float  # Z of its two ends
    far: float
    height: float
    wall: RGB
    trim: RGB  # colour of cornice, window frames and door
    shop: bool
    bay: float  # distance between windows
    storey: float  # height of a storey


def row_of_houses(town: Town, side: int) -> list[House]:
    """Paint the houses on one side of the street, −1 or 1, and return them, the nearest first."""
    rng, line = town.rng, side * (town.half_road + town.pavement[side > 0])
    spans = []
    z = rng.uniform(1.0, 4.0)
    while z < 66:
        length = rng.uniform(5, 13)
        spans.append((z, z + length, 0.0 if rng.chance(0.16) else rng.uniform(4.5, 13)))
        z += length
    houses = [
        House(*span, rng.choice(FACADES), shade(rng.choice(FACADES), 1.1), rng.chance(0.4), rng.uniform(1.5, 3.2),
              rng.uniform(2.7, 3.4))
        for span in spans
    ]  # fmt: skip
    left, right = min(line, line + side * 40), max(line, line + side * 40)
    for house in (house for house in reversed(houses) if house.height):  # the walls that face the camera
        color = shade(house.wall, 0.82 if side == town.sun else 0.95)
        town.block(left, right, 0, house.height, house.near, color, BUILDING)
    _fronts(town, side, line, houses)
    _gardens(town, side, line, houses)
    return houses


def _fronts(town: Town, side: int, line: float, houses: list[House]) -> None:
    """Paint all fronts of one side; each pixel column shows one distance along the street."""
    columns = pixel_centres(town.size[1]) - town.vanish
    reach = (line + town.shift) * town.focal  # Z · column, the same for every point of the wall's foot
    z = reach / np.where(columns * side > 1, columns, np.float32(side))
    edges = np.array([house.near for house in houses] + [houses[-1].far], np.float32)
    visible = np.flatnonzero((columns * side > 1) & (z >= edges[0]) & (z < edges[-1]))
    if len(visible) == 0:
        return
    left = int(visible[0])
    z = z[left : int(visible[-1]) + 1]
    scale, index = town.focal / z, np.searchsorted(edges, z, side="right") - 1  # pixels per metre; house
    tall = np.array([house.height for house in houses], np.float32)[index]
    top = max(int(np.min(town.horizon + (town.eye - tall) * scale)), 0)
    bottom = min(int(np.max(town.horizon + town.eye * scale)) + 2, town.size[0])
    if top >= bottom:
        return
    height = town.eye + (town.horizon - pixel_centres(town.size[0])[top:bottom, None]) / scale
    covered = coverage((tall - height) * scale) * coverage(height * scale + 0.5) * (tall > 0)
    stains = value_noise(RandomBits(town.seed, 2), height.shape, (7, 9))
    light = 1.06 if side != town.sun else 0.84
    rgb, glow = _front_colors(houses, index, z - edges[index], height, scale, z * z / abs(reach), stains, light)
    town.canvas.paint(Shape(top, left, covered), rgb, BUILDING, depth=np.broadcast_to(z, covered.shape), glow=glow)


def _front_colors(houses: list[House], index: NDArray[np.intp], position: Floats, height: Floats, scale: Floats,
                  along: Floats, stains: Floats, light: float) -> tuple[Floats, Floats]:  # fmt: skip
    """Colours of the fronts and light of their windows, (3, rows, columns); positions in metres along the house."""
    tall, storey, bay = np.array([(h.height, h.storey, h.bay) for h in houses], np.float32)[index].T
    wall, trim = np.array([(h.wall, h.trim) for h in houses], np.float32)[index].transpose(1, 2, 0)[:, :, None]
    shop = np.array([house.shop for house in houses])[index]
    bays = position / bay
    bay_number = np.floor(bays)
    u = np.abs(bays - bay_number - 0.5)  # 0 in the middle of a bay, 0.5 between two
    level = np.maximum(height, 0) / storey
    floor = np.floor(level)
    v = np.abs(level - floor - 0.52) * (scale * storey)  # pixels from the middle of the storey
    has_window = floor < (tall + 0.3) / storey - 1  # no half windows under the roof

    def openings(margin: float) -> Floats:
        """Windows, and the wide ones of shops, with a margin in bays."""
        upper = coverage((0.27 + margin - u) * bay / along)
        lower = np.where(shop, coverage((0.42 + margin - u) * bay / along), upper)
        upper_height = (0.28 + margin) * storey * scale
        lower_height = np.where(shop, (0.36 + margin) * storey * scale, upper_height)
        vertical = coverage(np.where(floor == 0, lower_height, upper_height) - v)
        return np.where(floor == 0, lower, upper) * vertical * has_window

    opening = openings(0)
    bricks = np.float32(0.06) * (np.abs(level * 9 - np.rint(level * 9)) > 0.12)  # courses with darker joints
    rgb = wall * ((0.82 + 0.28 * stains + bricks) * light)
    cornice = coverage((0.35 - np.abs(tall - height)) * scale)
    blend(rgb, trim * light, np.maximum(openings(0.05) * 0.85, cornice))
    # Each window has its own darkness, from a hash of its position.
    number = (bay_number.astype(np.int32) * 7919 + index.astype(np.int32) * 263) + floor.astype(np.int32) * 104729
    dark = (number >> 3 & 7).astype(np.float32) / 7
    blend(rgb, color_array((0.20, 0.26, 0.34)) + dark * 0.25, opening)
    if shop.any():
        awning = coverage((0.07 - np.abs(level - 0.92)) * (scale * storey)) * shop
        blend(rgb, np.where(np.abs(u * 6 - np.rint(u * 6)) < 0.25, np.float32(0.93), trim), awning)
    doorway = coverage((0.2 - u) * bay / along) * ((bay_number.astype(np.int32) % 3 == 1) & ~shop)
    blend(rgb, trim * 0.5, doorway * (height < 2.1))
    return rgb, (opening * (dark > 0.55)) * color_array(LAMPLIGHT)


def _gardens(town: Town, side: int, line: float, houses: list[House]) -> None:
    """Paint bushes behind a fence in each garden, and fences in front of some houses."""
    rng = town.rng
    for house in reversed(houses):
        if house.height == 0 and house.near > 2:
            for _ in range(3):
                z, radius = rng.uniform(house.near, house.far), rng.uniform(0.8, 1.8)
                x = line + side * (radius + rng.uniform(0.3, 3))
                town.crown(x, rng.uniform(0.6, 1.8), z, radius, rng.choice(LEAVES))
        if house.height == 0 or rng.chance(0.3):
            _fence(town, line - side * 0.05, max(house.near, 2.5), house.far)


def _fence(town: Town, x: float, near: float, far: float) -> None:
    """Paint a picket fence along the street."""
    color, tall = town.rng.choice(FENCES), town.rng.uniform(0.9, 1.6)
    corners = ((0, near), (tall, near), (tall, far), (0, far))
    shape = polygon(town.size, [town.project(x, height, z) for height, z in corners])
    town.canvas.paint(shape, color, FENCE, depth=near)
    reach = (x + town.shift) * town.focal
    columns = np.arange(shape.coverage.shape[1], dtype=np.float32) + np.float32(shape.left + 0.5 - town.vanish)
    z = reach / np.where(np.abs(columns) > 1, columns, np.float32(1))
    gaps = stripes(z, np.maximum(z * z / abs(reach), 1e-3), 0.4, 0.3)
    town.canvas.paint(Shape(shape.top, shape.left, shape.coverage * gaps), shade(color, 0.6))
