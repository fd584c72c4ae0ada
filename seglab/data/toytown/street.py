"""The street of Toytown: classes and colours, the camera, the sky and the far end.

The world is flat, in metres (X to the right, Z ahead, heights above the ground), and a pinhole camera projects it.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from seglab.data.classes import CLASS_SETS
from seglab.data.toytown.canvas import DARK, RGB, Canvas, RandomBits, blend, color_array, shade, tinted, value_noise
from seglab.data.toytown.shapes import Point, discs, ellipse, polygon, rectangle

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(len(CLASS_SETS["street"]))

FACADES: tuple[RGB, ...] = (
    (0.80, 0.52, 0.42), (0.87, 0.78, 0.62), (0.66, 0.74, 0.62), (0.62, 0.72, 0.80), (0.85, 0.66, 0.64),
    (0.92, 0.87, 0.76), (0.66, 0.38, 0.32), (0.55, 0.58, 0.64), (0.85, 0.70, 0.38), (0.74, 0.70, 0.68),
)  # fmt: skip
LEAVES: tuple[RGB, ...] = (
    (0.30, 0.52, 0.24), (0.38, 0.56, 0.22), (0.22, 0.42, 0.26), (0.46, 0.54, 0.22), (0.72, 0.48, 0.20),
    (0.84, 0.60, 0.66),
)  # fmt: skip
SKIES: tuple[tuple[RGB, RGB], ...] = (  # zenith, horizon
    ((0.36, 0.60, 0.88), (0.78, 0.88, 0.95)), ((0.48, 0.66, 0.86), (0.97, 0.87, 0.76)),
    ((0.62, 0.68, 0.74), (0.84, 0.86, 0.87)), ((0.42, 0.50, 0.76), (0.95, 0.78, 0.72)),
)  # fmt: skip
PAINTS: tuple[RGB, ...] = (  # of cars, bicycles and bags
    (0.80, 0.16, 0.14), (0.16, 0.32, 0.62), (0.92, 0.92, 0.90), (0.20, 0.21, 0.24), (0.95, 0.75, 0.20),
    (0.25, 0.52, 0.42), (0.62, 0.64, 0.68), (0.90, 0.50, 0.20), (0.48, 0.66, 0.80), (0.52, 0.22, 0.36),
)  # fmt: skip
LAMPLIGHT: RGB = (1.0, 0.82, 0.52)


class Town:
    """One street while it is drawn: camera, random numbers, canvas, and how to paint shapes given in metres."""

    def __init__(self, seed: int, canvas: Canvas) -> None:
        self.seed = seed
        self.canvas = canvas
        self.size = height, width = canvas.size
        self.rng = rng = RandomBits(seed, 0)
        self.focal = 0.95 * height  # focal length in pixels
        self.eye = rng.uniform(2.2, 3.0)  # height of the camera, in metres
        self.horizon = height * rng.uniform(0.38, 0.46)  # row
        self.vanish = width * rng.uniform(0.36, 0.64)  # column of the vanishing point
        self.shift = rng.uniform(-1.2, 1.2)  # of the street relative to the camera, in metres
        self.half_road = rng.uniform(3.2, 4.6)
        self.pavement = (rng.uniform(2.0, 3.4), rng.uniform(2.0, 3.4))  # widths, left and right
        self.sun = rng.choice((-1, 1))  # the side that the light comes from
        self.shadow_strength = rng.uniform(0.12, 0.5)
        exposure = rng.uniform(0.86, 1.14)
        self.tint = np.array([exposure * rng.uniform(0.93, 1.07) for _ in range(3)], np.float32)
        self.grain = rng.uniform(0.02, 0.05)
        self.numbers = count(1)  # of countable objects
        self.lights: list[tuple[float, float, float, RGB]] = []  # x, y, radius in pixels, colour

    def project(self, x: float, height: float, z: float) -> Point:
        """World → pixels."""
        scale = self.focal / z
        return self.vanish + (x + self.shift) * scale, self.horizon + (self.eye - height) * scale

    def block(self, x0: float, x1: float, h0: float, h1: float, z: float, color: RGB, label: int, **more: Any) -> None:
        """Paint an upright rectangle that faces the camera."""
        left, bottom = self.project(x0, h0, z)
        right, top = self.project(x1, h1, z)
        self.canvas.paint(rectangle(self.size, left, top, right, bottom), color, label, depth=z, **more)

    def oval(self, x: float, h: float, rx: float, ry: float, z: float, color: RGB, label: int, **more: Any) -> None:
        """Paint an upright ellipse that faces the camera."""
        px, py = self.project(x, h, z)
        scale = self.focal / z
        self.canvas.paint(ellipse(self.size, px, py, rx * scale, ry * scale), color, label, depth=z, **more)

    def polygon(self, corners: Sequence[tuple[float, float, float]], color: RGB, label: int, **more: Any) -> None:
        """Paint a convex polygon with corners (X, height, Z)."""
        z = min(c[2] for c in corners)
        self.canvas.paint(polygon(self.size, [self.project(*c) for c in corners]), color, label, depth=z, **more)

    def upright(self, corners: Sequence[Point], z: float, color: RGB, label: int, **more: Any) -> None:
        """Paint a convex polygon that faces the camera, with corners (X, height)."""
        self.polygon([(x, h, z) for x, h in corners], color, label, **more)

    def shadow(self, x: float, z: float, radius: float) -> None:
        """Paint a soft dark ellipse on the ground, stretched away from the sun."""
        px, py = self.project(x - self.sun * radius * 0.7, 0, z)
        scale = self.focal / z
        shape = ellipse(self.size, px, py, radius * scale * 1.3, radius * scale * self.eye / z * 0.8 + 1)
        code = self.canvas.code[shape.where]
        alpha = shape.coverage * ((code == ROAD) | (code == PAVEMENT)) * (self.shadow_strength + 0.1)
        blend(self.canvas.rgb[:, *shape.where], (0.10, 0.10, 0.16), alpha)

    def crown(self, x: float, h: float, z: float, radius: float, leaf: RGB) -> None:
        """Paint leaves as many discs; the upper ones towards the sun are lighter."""
        rng, scale = self.rng, self.focal / z
        circles, sunlit = np.empty((9, 3)), np.empty(9)
        for i in range(9):
            dx, dy = rng.uniform(-0.75, 0.75), rng.uniform(-0.6, 0.7)
            circles[i] = *self.project(x + dx * radius, h + dy * radius, z), radius * rng.uniform(0.38, 0.6) * scale
            sunlit[i] = dy + 0.7 * dx * self.sun
        self.canvas.paint(discs(self.size, circles), shade(leaf, 0.72), TREE, depth=z)
        for least, light in ((0.0, 0.92), (0.45, 1.12)):
            chosen = circles[sunlit > least] * (1, 1, 0.82)
            if len(chosen):
                chosen[:, 0] += self.sun * radius * scale * 0.08
                chosen[:, 1] -= radius * scale * 0.1
                self.canvas.paint(discs(self.size, chosen), shade(leaf, light), TREE, depth=z)

    def add_light(self, x: float, height: float, z: float, radius: float, color: RGB) -> None:
        """Note a light, with its radius in metres; it shines at night only."""
        self.lights.append((*self.project(x, height, z), radius * self.focal / z, color))


def sky(town: Town) -> None:
    """Paint a vertical gradient and clouds."""
    rng, rgb = town.rng, town.canvas.rgb
    zenith, horizon = map(color_array, rng.choice(SKIES))
    down = np.arange(town.size[0], dtype=np.float32)[:, None] / town.horizon
    rgb[:] = zenith + np.minimum(down, 1) * (horizon - zenith)
    above = (int(town.horizon) + 1, town.size[1])
    clouds = value_noise(rng, above, (5, 4)) + 0.5 * value_noise(rng, above, (11, 9))
    clouds = (clouds - rng.uniform(0.55, 1.0)) * 2
    blend(rgb[:, : above[0]], (0.97, 0.97, 0.98), np.minimum(np.maximum(clouds, 0), 0.85))


def far_end(town: Town) -> None:
    """Paint what closes the street: trees, or a skyline of houses."""
    rng, x, z = town.rng, -26.0, 70.0
    woods = rng.chance(0.4)
    while x < 26 and woods:
        radius = rng.uniform(2.0, 4.5)
        leaf = tinted(rng.choice(LEAVES[:4]), (0.75, 0.82, 0.88), 0.45)
        town.oval(x, radius * 0.8, radius, radius * 1.4, z, leaf, TREE)
        x += radius
    while x < 26:
        width, height = rng.uniform(4, 9), rng.uniform(4, 17)
        wall = tinted(rng.choice(FACADES), (0.75, 0.80, 0.86), 0.5)
        town.block(x, x + width, 0, height, z, wall, BUILDING)
        glow = LAMPLIGHT if rng.chance(0.5) else DARK
        for h in range(3, 3 * int(height / 3), 3):  # a row of windows on each storey
            town.block(x + 1, x + width - 1, h, h + 1.4, z, shade(wall, 0.72), BUILDING, glow=glow)
        x += width
