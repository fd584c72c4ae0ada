"""The ground of Toytown: the position of each pixel on the ground decides between road, pavement, marking, shadow."""

import numpy as np

from seglab.data.toytown.canvas import RandomBits, blend, color_array, value_noise
from seglab.data.toytown.houses import House
from seglab.data.toytown.shapes import Floats, Shape, coverage, pixel_centres, stripes
from seglab.data.toytown.street import PAVEMENT, ROAD, SKY, Town


def ground(town: Town, rows_of_houses: list[list[House]]) -> None:
    """Paint the ground between the rows of houses on the left and on the right."""
    rng, first = town.rng, int(town.horizon + town.focal * town.eye / 75)
    below = pixel_centres(town.size[0])[first:, None] - town.horizon  # (rows, 1), pixels
    z, ahead = town.focal * town.eye / below, town.focal * town.eye / (below * below)  # metres; metres per pixel row
    scale = town.focal / z  # pixels per metre, across
    x = (pixel_centres(town.size[1]) - town.vanish) / scale - town.shift  # (rows, columns), metres from the middle
    edge = town.half_road - np.abs(x)  # metres inside the edge of the road
    road = coverage(edge * scale)

    asphalt, warm, slab = rng.uniform(0.36, 0.58), rng.uniform(-0.03, 0.03), rng.uniform(0.52, 0.78)
    patches = 0.84 + 0.3 * value_noise(rng, x.shape, (9, 7))
    joints = stripes(z, ahead, 0.9, 0.05) + stripes(x, 1 / scale, 0.9, 0.05)
    slabs = patches * (1 - 0.16 * np.minimum(joints, 1))
    rgb = color_array((slab, slab - abs(warm) * 0.7, slab - warm - 0.02)) * slabs
    blend(rgb, color_array((asphalt + warm, asphalt, asphalt - warm + 0.01)) * patches, road)
    kerb = coverage((0.09 - np.abs(edge + 0.09)) * scale)
    blend(rgb, (0.74, 0.73, 0.71), kerb * 0.8)
    wear = 0.95 - 0.45 * value_noise(rng, x.shape, (25, 19))
    blend(rgb, (0.82, 0.81, 0.76), _markings(rng, x, z, edge, scale, ahead) * road * wear)

    left, right = (side * (town.half_road + town.pavement[side > 0]) for side in (-1, 1))
    roofs = np.zeros_like(z)  # heights on the sunny side
    for house in rows_of_houses[town.sun > 0]:
        roofs[(z >= house.near) & (z < house.far)] = house.height
    to_houses = (right if town.sun > 0 else -left) - x * town.sun
    inside = (roofs * rng.uniform(0.15, 0.75) - to_houses) * scale  # pixels inside the shadow
    shadow = coverage(inside / 2) * (roofs > 0) * (town.shadow_strength * 1.5)
    rgb *= 1 - color_array((0.58, 0.54, 0.40)) * shadow

    covered = coverage((x - left) * scale + 1) * coverage((right - x) * scale + 1)
    beside = z < min(houses[0].near for houses in rows_of_houses)  # rows in which the ground continues to the side
    for house in [*rows_of_houses[0], *rows_of_houses[1]]:
        beside |= (z >= house.near) & (z < house.far) & (house.height == 0)
    covered = np.where(beside & (town.canvas.code[first:] == SKY), np.float32(1), covered)
    town.canvas.paint(Shape(first, 0, covered), rgb, PAVEMENT, depth=np.broadcast_to(z, covered.shape))
    np.copyto(town.canvas.code[first:], np.uint16(ROAD), where=(covered >= 0.5) & (road >= 0.5))


def _markings(rng: RandomBits, x: Floats, z: Floats, edge: Floats, scale: Floats, ahead: Floats) -> Floats:
    """Coverage of the centre line, lines along the kerbs and a zebra crossing."""
    dash = 1.5 if rng.chance(0.7) else 9.0  # of every 6 metres: dashed or solid
    phase = z / 6 - np.floor(z / 6)
    line = coverage((0.07 - np.abs(x)) * scale) * coverage((dash / 6 - phase) * 6 / ahead)
    kerb_line = coverage((0.05 - np.abs(edge - 0.35)) * scale) * rng.choice((0, 0, 1))
    marks = np.maximum(line, kerb_line)
    if rng.chance(0.45):
        start = np.float32(rng.uniform(5, 18))
        crossing = coverage((z - start) / ahead) * coverage((start + 3 - z) / ahead)
        marks = np.maximum(marks, crossing * stripes(x, 1 / scale, 1.0, 0.5))
    return marks
