"""The ground of Toytown: road and pavements with their texture, markings, and the shadow of the houses.

For each pixel, its position on the ground is computed, and from the position what is there.
"""

from typing import NamedTuple

import numpy as np

from seglab.data.toytown.canvas import Floats, Shape, blend, color_array, coverage, pixel_centres, stripes, value_noise
from seglab.data.toytown.houses import House
from seglab.data.toytown.street import PAVEMENT, ROAD, SKY, Town


class GroundPixels(NamedTuple):
    """Where the pixels of the ground lie; arrays (rows, 1) unless stated."""

    z: Floats  # metres ahead
    x: Floats  # (rows, columns), metres to the right of the middle of the road
    edge: Floats  # (rows, columns), metres inside the edge of the road
    scale: Floats  # pixels per metre, across
    ahead: Floats  # metres per pixel row


def ground(town: Town, rows_of_houses: list[list[House]]) -> None:
    """Paint the ground between the rows of houses on the left and on the right."""
    first = int(town.horizon + town.focal * town.eye / 75)
    flat = pixel_centres(town.size[0])[first:, None] - town.horizon
    z = town.focal * town.eye / flat
    scale = town.focal / z
    x = (pixel_centres(town.size[1]) - town.vanish) / scale - town.shift
    pixels = GroundPixels(z, x, town.half_road - np.abs(x), scale, town.focal * town.eye / (flat * flat))
    road = coverage(pixels.edge * scale)
    rgb = _surfaces(town, pixels, road)
    _paint_markings(town, pixels, road, rgb)
    _paint_shadow(town, pixels, rows_of_houses[town.sun > 0], rgb)

    left, right = (sign * (town.half_road + town.pavement[sign > 0]) for sign in (-1, 1))
    covered = coverage((x - left) * scale + 1) * coverage((right - x) * scale + 1)
    open_rows = z < min(houses[0].near for houses in rows_of_houses)
    for house in (house for houses in rows_of_houses for house in houses if house.height == 0):
        open_rows |= (z >= house.near) & (z < house.far)
    covered = np.where(open_rows & (town.canvas.code[first:] == SKY), np.float32(1), covered)
    town.canvas.paint(Shape(first, 0, covered), rgb, PAVEMENT, depth=np.broadcast_to(z, covered.shape))
    np.copyto(town.canvas.code[first:], np.uint16(ROAD), where=(covered >= 0.5) & (road >= 0.5))


def _surfaces(town: Town, pixels: GroundPixels, road: Floats) -> Floats:
    """Colours of pavements, road and kerbs: float32 (3, rows, columns)."""
    rng = town.rng
    asphalt, warm, slab = rng.uniform(0.36, 0.58), rng.uniform(-0.03, 0.03), rng.uniform(0.52, 0.78)
    patches = 0.84 + 0.3 * value_noise(rng, pixels.x.shape, (9, 7))
    joints = stripes(pixels.z, pixels.ahead, 0.9, 0.05) + stripes(pixels.x, 1 / pixels.scale, 0.9, 0.05)
    pavement = color_array((slab, slab - abs(warm) * 0.7, slab - warm - 0.02))
    rgb = pavement * (patches * (1 - 0.16 * np.minimum(joints, 1)))
    asphalt_color = color_array((asphalt + warm, asphalt, asphalt - warm + 0.01))
    blend(rgb, asphalt_color * patches, road)
    kerb = coverage((0.09 - np.abs(pixels.edge + 0.09)) * pixels.scale)
    blend(rgb, (0.74, 0.73, 0.71), kerb * 0.8)
    return rgb


def _paint_markings(town: Town, pixels: GroundPixels, road: Floats, rgb: Floats) -> None:
    """Paint the centre line, lines along the kerbs and a zebra crossing, all worn in parts."""
    rng = town.rng
    wear = 0.95 - 0.45 * value_noise(rng, pixels.x.shape, (25, 19))
    dash = 1.5 if rng.chance(0.7) else 9.0  # of every 6 metres: dashed or solid
    phase = pixels.z / 6 - np.floor(pixels.z / 6)
    line = coverage((0.07 - np.abs(pixels.x)) * pixels.scale) * coverage((dash / 6 - phase) * 6 / pixels.ahead)
    kerb_line = coverage((0.05 - np.abs(pixels.edge - 0.35)) * pixels.scale) * rng.choice((0, 0, 1))
    marks = np.maximum(line, kerb_line)
    if rng.chance(0.45):
        start = np.float32(rng.uniform(5, 18))
        band = coverage((pixels.z - start) / pixels.ahead) * coverage((start + 3 - pixels.z) / pixels.ahead)
        marks = np.maximum(marks, band * stripes(pixels.x, 1 / pixels.scale, 1.0, 0.5))
    blend(rgb, (0.82, 0.81, 0.76), marks * road * wear)


def _paint_shadow(town: Town, pixels: GroundPixels, houses: list[House], rgb: Floats) -> None:
    """Darken the ground in the shadow of the houses on the sunny side."""
    roofs = np.zeros_like(pixels.z)
    for house in houses:
        roofs[(pixels.z >= house.near) & (pixels.z < house.far)] = house.height
    length = roofs * town.rng.uniform(0.15, 0.75)
    line = town.half_road + town.pavement[town.sun > 0]
    inside = (length - (line - pixels.x * town.sun)) * pixels.scale  # pixels
    shadow = coverage(inside / 2) * (roofs > 0)
    rgb *= 1 - color_array((0.58, 0.54, 0.40)) * (shadow * (town.shadow_strength * 1.5))
