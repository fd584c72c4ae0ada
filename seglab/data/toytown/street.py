"""The street of Toytown: its camera, sky, houses and ground.

A flat world in metres (X to the right, Z ahead, heights above the ground), projected by a pinhole camera.
House fronts and ground are painted whole: for every pixel one computes which spot of the wall or of the
road it looks at, and what is there.
"""

from typing import Any

import numpy as np

from seglab.data.classes import CLASS_SETS
from seglab.data.toytown.canvas import (
    RGB,
    Canvas,
    Floats,
    Point,
    RandomBits,
    Stamp,
    discs,
    ellipse,
    mix,
    polygon,
    rectangle,
    soft,
    value_noise,
)

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
LAMPLIGHT: RGB = (1.0, 0.82, 0.52)


class Town:
    """One street while it is being drawn: the camera, the dice, the canvas."""

    def __init__(self, seed: int, canvas: Canvas) -> None:
        self.seed = seed
        self.canvas = canvas
        self.size = canvas.size
        self.dice = dice = RandomBits(seed, 0)
        height, width = canvas.size
        self.focal = 0.95 * height
        self.eye = dice.between(2.2, 3.0)  # metres above the road
        self.horizon = height * dice.between(0.38, 0.46)
        self.vanish = width * dice.between(0.36, 0.64)
        self.shift = dice.between(-1.2, 1.2)  # of the street against the camera
        self.half_road = dice.between(3.2, 4.6)
        self.pavement = (dice.between(2.0, 3.4), dice.between(2.0, 3.4))  # left, right
        self.sun = dice.pick((-1, 1))  # the side that the light comes from
        self.sharpness = dice.between(0.12, 0.5)  # of the shadows
        exposure = dice.between(0.86, 1.14)
        self.tint = np.array([exposure * dice.between(0.93, 1.07) for _ in range(3)], np.float32)
        self.grain = dice.between(0.02, 0.05)
        self.objects = 0
        self.lamps: list[tuple[float, float, float, RGB]] = []  # x, y, radius in pixels, colour

    # Projection -------------------------------------------------------------------------------------

    def at(self, x: float, height: float, z: float) -> Point:
        """World → pixels."""
        scale = self.focal / z
        return self.vanish + (x + self.shift) * scale, self.horizon + (self.eye - height) * scale

    def block(self, x0: float, x1: float, h0: float, h1: float, z: float, color: RGB, label: int, **more: Any) -> None:
        """An upright rectangle that faces the camera, in metres."""
        left, bottom = self.at(x0, h0, z)
        right, top = self.at(x1, h1, z)
        self.canvas.paint(rectangle(self.size, left, top, right, bottom), color, label, depth=z, **more)

    def oval(self, x: float, h: float, rx: float, ry: float, z: float, color: RGB, label: int, **more: Any) -> None:
        """An upright ellipse that faces the camera, in metres."""
        px, py = self.at(x, h, z)
        scale = self.focal / z
        self.canvas.paint(ellipse(self.size, px, py, rx * scale, ry * scale), color, label, depth=z, **more)

    def quad(self, corners: list[tuple[float, float, float]], color: RGB, label: int, **more: Any) -> None:
        """A convex polygon with its corners (X, height, Z) anywhere in the world."""
        z = min(c[2] for c in corners)
        self.canvas.paint(polygon(self.size, [self.at(*c) for c in corners]), color, label, depth=z, **more)

    def shadow(self, x: float, z: float, radius: float) -> None:
        """A soft dark ellipse on the ground, stretched away from the sun."""
        px, py = self.at(x - self.sun * radius * 0.7, 0, z)
        scale = self.focal / z
        flat = radius * scale * self.eye / z * 0.8 + 1
        stamp = ellipse(self.size, px, py, radius * scale * 1.3, flat)
        if stamp is not None:
            rows, columns = stamp.where
            code = self.canvas.code[rows, columns]
            on_ground = (code == ROAD) | (code == PAVEMENT)
            mix(
                self.canvas.rgb[:, rows, columns],
                (0.10, 0.10, 0.16),
                stamp.cover * on_ground * np.float32(self.sharpness + 0.1),
            )

    def crown(self, x: float, h: float, z: float, radius: float, leaf: RGB) -> None:
        """A cloud of leaves: many discs, the upper ones towards the sun lighter."""
        dice, scale = self.dice, self.focal / z
        spots = []
        for _ in range(9):
            dx, dy = dice.between(-0.75, 0.75), dice.between(-0.6, 0.7)
            px, py = self.at(x + dx * radius, h + dy * radius, z)
            spots.append((dx, dy, px, py, radius * dice.between(0.38, 0.6) * scale))
        circles = np.array([s[2:] for s in spots])
        self.canvas.paint(discs(self.size, circles), shade(leaf, 0.72), TREE, depth=z)
        lit = np.array([s[1] + 0.7 * s[0] * self.sun for s in spots])
        for share, light in ((0.0, 0.92), (0.45, 1.12)):
            chosen = circles[lit > share] * (1, 1, 0.82)
            if len(chosen):
                chosen[:, 0] += self.sun * radius * scale * 0.08
                chosen[:, 1] -= radius * scale * 0.1
                self.canvas.paint(discs(self.size, chosen), shade(leaf, light), TREE, depth=z)

    def number(self) -> int:
        """The next object number."""
        self.objects += 1
        return self.objects

    # The order of painting --------------------------------------------------------------------------

    def draw(self) -> None:
        """Everything that does not stand on the street."""
        self.sky()
        self.far_end()
        sides = [self.row_of_houses(side) for side in (-1, 1)]
        self.ground(sides)

    def sky(self) -> None:
        height, width = self.size
        zenith, horizon = (np.array(c, np.float32)[:, None, None] for c in self.dice.pick(SKIES))
        down = np.arange(height, dtype=np.float32)[None, :, None] / np.float32(self.horizon)
        self.canvas.rgb[:] = zenith + np.minimum(down, 1) * (horizon - zenith)
        above = (int(self.horizon) + 1, width)
        clouds = value_noise(self.dice, above, (5, 4)) + np.float32(0.5) * value_noise(self.dice, above, (11, 9))
        clouds = (clouds - np.float32(self.dice.between(0.55, 1.0))) * 2
        mix(self.canvas.rgb[:, : above[0]], (0.97, 0.97, 0.98), np.minimum(np.maximum(clouds, 0), np.float32(0.85)))

    def far_end(self) -> None:
        """What closes the street: a skyline of far houses, or trees."""
        dice, z = self.dice, 70.0
        woods = dice.chance(0.4)
        x = -26.0
        while x < 26:
            if woods:
                radius = dice.between(2.0, 4.5)
                leaf = dice.pick(LEAVES[:4])
                self.oval(x, radius * 0.8, radius, radius * 1.4, z, toward(leaf, (0.75, 0.82, 0.88), 0.45), TREE)
                x += radius
            else:
                width, height = dice.between(4, 9), dice.between(4, 17)
                wall = toward(dice.pick(FACADES), (0.75, 0.80, 0.86), 0.5)
                self.block(x, x + width, 0, height, z, wall, BUILDING)
                lit = LAMPLIGHT if dice.chance(0.5) else None
                for floor in range(1, int(height / 3)):
                    self.block(
                        x + 1, x + width - 1, floor * 3, floor * 3 + 1.4, z, shade(wall, 0.72), BUILDING, glow=lit
                    )
                x += width

    # Houses -----------------------------------------------------------------------------------------

    def row_of_houses(self, side: int) -> list[tuple[float, float, float]]:
        """House fronts along one side of the street; returns (near Z, far Z, height) of each."""
        dice = self.dice
        line = side * (self.half_road + self.pavement[side > 0])
        houses: list[tuple[float, float, float]] = []
        z = dice.between(1.0, 4.0)
        while z < 66:
            length = dice.between(5, 13)
            height = 0.0 if dice.chance(0.16) else dice.between(4.5, 13)
            houses.append((z, z + length, height))
            z += length
        looks = [
            (dice.pick(FACADES), dice.pick(FACADES), dice.chance(0.4), dice.between(1.5, 3.2), dice.between(2.7, 3.4))
            for _ in houses
        ]
        for (near, _, height), look in zip(reversed(houses), reversed(looks), strict=True):
            if height:  # the wall that looks at the camera
                self.block(
                    min(line, line + side * 40),
                    max(line, line + side * 40),
                    0,
                    height,
                    near,
                    shade(look[0], 0.82 if side == self.sun else 0.95),
                    BUILDING,
                )
        self._fronts(side, line, houses, looks)
        self._gardens(side, line, houses)
        return houses

    def _fronts(
        self,
        side: int,
        line: float,
        houses: list[tuple[float, float, float]],
        looks: list[tuple[RGB, RGB, bool, float, float]],
    ) -> None:
        """All house fronts of one side at once: each pixel column looks at one distance along the street."""
        width = self.size[1]
        reach = np.float32((line + self.shift) * self.focal)  # Z · (column − vanishing column)
        columns = np.arange(width, dtype=np.float32) + np.float32(0.5) - np.float32(self.vanish)
        edges = np.array([h[0] for h in houses] + [houses[-1][1]], np.float32)
        z = reach / np.where(columns * side > 1, columns, np.float32(side))
        seen = np.flatnonzero((columns * side > 1) & (z >= edges[0]) & (z < edges[-1]))
        if len(seen) == 0:
            return
        left, right = int(seen[0]), int(seen[-1]) + 1
        z = z[left:right]
        which = np.searchsorted(edges, z, side="right") - 1
        metre = np.float32(self.focal) / z  # pixels a metre, up and down
        along = z * z / np.float32(abs(float(reach)))  # metres along the street a pixel column

        def pick(values: list[float]) -> Floats:
            return np.array(values, np.float32)[which]

        tall = pick([h[2] for h in houses])
        top = max(int(np.min(np.float32(self.horizon) + (np.float32(self.eye) - tall) * metre)), 0)
        bottom = min(int(np.max(np.float32(self.horizon) + np.float32(self.eye) * metre)) + 2, self.size[0])
        if top >= bottom:
            return
        rows = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5)
        height = np.float32(self.eye) + (np.float32(self.horizon) - rows) / metre  # metres above the ground
        stamp_cover = soft((tall - height) * metre) * soft(height * metre + np.float32(0.5)) * (tall > 0)

        storey, bay = pick([look[4] for look in looks]), pick([look[3] for look in looks])
        shop = np.array([look[2] for look in looks])[which]
        in_bay = (z - edges[which]) / bay
        bay_number = np.floor(in_bay)
        u = np.abs(in_bay - bay_number - np.float32(0.5))  # 0 in the middle of a bay, 0.5 between two
        level = np.maximum(height, 0) / storey
        floor = np.floor(level)
        v = np.abs(level - floor - np.float32(0.52)) * (metre * storey)  # pixels from the middle of the storey
        street = floor == 0
        window = floor < (tall + np.float32(0.3)) / storey - 1  # no half windows under the roof

        def openings(extra: float) -> Floats:
            """Windows, and the wide ones of shops, enlarged by `extra` bays."""
            upper = soft((np.float32(0.27 + extra) - u) * bay / along)
            lower = np.where(shop, soft((np.float32(0.42 + extra) - u) * bay / along), upper)
            tall_pixels = np.float32(0.28 + extra) * storey * metre
            lower_pixels = np.where(shop, np.float32(0.36 + extra) * storey * metre, tall_pixels)
            return np.where(street, lower, upper) * soft(np.where(street, lower_pixels, tall_pixels) - v) * window

        opening = openings(0)
        wall = np.array([look[0] for look in looks], np.float32)[which].T[:, None, :].copy()
        trim = np.array([shade(look[1], 1.1) for look in looks], np.float32)[which].T[:, None, :].copy()
        light = np.float32(1.06 if side != self.sun else 0.84)
        courses = level * 9
        stain = np.float32(0.82) + np.float32(0.28) * value_noise(RandomBits(self.seed, 2), opening.shape, (7, 9))
        stain += np.float32(0.06) * (np.abs(courses - np.rint(courses)) > np.float32(0.12))
        rgb = wall * (stain * light)
        cornice = soft((np.float32(0.35) - np.abs(tall - height)) * metre)
        mix(rgb, trim * light, np.maximum(openings(0.05) * np.float32(0.85), cornice))
        # each window has its own darkness, from a hash of where it is
        number = (bay_number.astype(np.int32) * 7919 + which.astype(np.int32) * 263) + floor.astype(np.int32) * 104729
        dark = (number >> 3 & 7).astype(np.float32) / 7
        mix(rgb, np.array((0.20, 0.26, 0.34), np.float32)[:, None, None] + dark * np.float32(0.25), opening)
        if shop.any():
            awning = soft((np.float32(0.07) - np.abs(level - np.float32(0.92))) * (metre * storey)) * shop
            stripes = np.abs(u * 6 - np.rint(u * 6)) < np.float32(0.25)
            mix(rgb, np.where(stripes, np.float32(0.93), trim), awning)
        doorway = soft((np.float32(0.2) - u) * bay / along) * ((bay_number.astype(np.int32) % 3 == 1) & ~shop)
        mix(rgb, trim * np.float32(0.5), doorway * (height < np.float32(2.1)))
        lit = None
        if self.canvas.with_glow:
            lit = (opening * (dark > np.float32(0.55)))[None] * np.array(LAMPLIGHT, np.float32)[:, None, None]

        stamp = Stamp(top, left, stamp_cover)
        self.canvas.paint(stamp, rgb, BUILDING, depth=np.broadcast_to(z, stamp_cover.shape), glow=lit)

    def _gardens(self, side: int, line: float, houses: list[tuple[float, float, float]]) -> None:
        """Where no house stands: bushes behind a fence. Some houses have a fence, too."""
        for near, far, height in reversed(houses):
            if height == 0 and near > 2:
                for _ in range(3):
                    z, radius = self.dice.between(near, far), self.dice.between(0.8, 1.8)
                    x = line + side * (radius + self.dice.between(0.3, 3))
                    self.crown(x, self.dice.between(0.6, 1.8), z, radius, self.dice.pick(LEAVES))
            if height == 0 or self.dice.chance(0.3):
                self.fence(line - side * 0.05, max(near, 2.5), far)

    def fence(self, x: float, near: float, far: float) -> None:
        """A picket fence along the street."""
        dice = self.dice
        color = dice.pick(((0.93, 0.92, 0.88), (0.50, 0.36, 0.26), (0.34, 0.42, 0.36), (0.62, 0.60, 0.58)))
        tall = dice.between(0.9, 1.6)
        stamp = polygon(
            self.size, [self.at(x, 0, near), self.at(x, tall, near), self.at(x, tall, far), self.at(x, 0, far)]
        )
        if stamp is None:
            return
        self.canvas.paint(stamp, color, FENCE, depth=near)
        reach = np.float32((x + self.shift) * self.focal)
        columns = np.arange(stamp.cover.shape[1], dtype=np.float32) + np.float32(stamp.left + 0.5 - self.vanish)
        z = reach / np.where(np.abs(columns) > 1, columns, np.float32(1))
        gaps = self._lines(z, np.maximum(z * z / np.abs(reach), np.float32(1e-3)), 0.4, 0.3)
        self.canvas.paint(Stamp(stamp.top, stamp.left, stamp.cover * gaps), shade(color, 0.6))

    # Ground -----------------------------------------------------------------------------------------

    def ground(self, sides: list[list[tuple[float, float, float]]]) -> None:
        """Road and pavements with their texture, markings and the shadow of the houses."""
        dice, (height, width) = self.dice, self.size
        first = int(self.horizon + self.focal * self.eye / 75)
        rows = np.arange(first, height, dtype=np.float32)[:, None] + np.float32(0.5)
        z = np.float32(self.focal * self.eye) / (rows - np.float32(self.horizon))
        metre = np.float32(self.focal) / z  # pixels a metre, across
        flat = rows - np.float32(self.horizon)
        ahead = np.float32(self.focal * self.eye) / (flat * flat)  # metres a pixel row
        columns = np.arange(width, dtype=np.float32) + np.float32(0.5) - np.float32(self.vanish)
        x = columns / metre - np.float32(self.shift)
        shape = (height - first, width)

        asphalt = dice.between(0.36, 0.58)
        warm = dice.between(-0.03, 0.03)
        slab = dice.between(0.52, 0.78)
        patches = np.float32(0.84) + np.float32(0.3) * value_noise(dice, shape, (9, 7))
        pave_color = np.array((slab, slab - abs(warm) * 0.7, slab - warm - 0.02), np.float32)[:, None, None]
        joint = self._lines(z, ahead, 0.9, 0.05) + self._lines(x, 1 / metre, 0.9, 0.05)
        rgb = pave_color * (patches * (1 - np.float32(0.16) * np.minimum(joint, 1)))
        left, right = (np.float32(sign * (self.half_road + self.pavement[sign > 0])) for sign in (-1, 1))
        on_ground = soft((x - left) * metre + 1) * soft((right - x) * metre + 1)
        gap = np.zeros(shape[0], bool)
        for houses in sides:
            for near, far, tall in houses:
                if tall == 0:
                    gap |= (z[:, 0] >= near) & (z[:, 0] < far)
        nearest = z[:, 0] < min(houses[0][0] for houses in sides)
        on_ground = np.where((nearest | gap)[:, None] & (self.canvas.code[first:] == SKY), np.float32(1), on_ground)

        edge = np.float32(self.half_road) - np.abs(x)
        road = soft(edge * metre)
        road_color = np.array((asphalt + warm, asphalt, asphalt - warm + 0.01), np.float32)[:, None, None]
        mix(rgb, road_color * patches, road)
        kerb = soft((np.float32(0.09) - np.abs(edge + np.float32(0.09))) * metre)
        mix(rgb, (0.74, 0.73, 0.71), kerb * np.float32(0.8))
        paint = np.float32(0.95) - np.float32(0.45) * value_noise(dice, shape, (25, 19))  # worn here and there
        dash = np.float32(1.5 if dice.chance(0.7) else 9.0)
        phase = z / 6 - (z / 6).astype(np.int32).astype(np.float32)
        line = soft((np.float32(0.07) - np.abs(x)) * metre) * soft((dash / 6 - phase) * 6 / ahead)
        gutter = soft((np.float32(0.05) - np.abs(edge - np.float32(0.35))) * metre) * np.float32(dice.pick((0, 0, 1)))
        marks = np.maximum(line, gutter)
        if dice.chance(0.45):  # a zebra crossing
            start = np.float32(dice.between(5, 18))
            band = soft((z - start) / ahead) * soft((start + 3 - z) / ahead)
            marks = np.maximum(marks, band * self._lines(x, 1 / metre, 1.0, 0.5))
        mix(rgb, (0.82, 0.81, 0.76), marks * road * paint)

        sunny = sides[self.sun > 0]
        roofs = np.zeros(shape[0], np.float32)
        for near, far, h in sunny:
            roofs[(z[:, 0] >= near) & (z[:, 0] < far)] = h
        length = roofs[:, None] * np.float32(dice.between(0.15, 0.75))
        house_line = right if self.sun > 0 else -left
        inside = (length - (house_line - x * np.float32(self.sun))) * metre
        shade = np.clip(inside / 2 + np.float32(0.5), 0, 1) * (roofs[:, None] > 0)
        rgb *= 1 - np.array((0.58, 0.54, 0.40), np.float32)[:, None, None] * (shade * np.float32(self.sharpness * 1.5))

        label = np.where(road >= np.float32(0.5), np.uint16(ROAD), np.uint16(PAVEMENT))
        stamp = Stamp(first, 0, on_ground)
        self.canvas.paint(stamp, rgb, PAVEMENT, depth=np.broadcast_to(z, shape))
        solid = on_ground >= np.float32(0.5)
        np.copyto(self.canvas.code[first:], label, where=solid)

    @staticmethod
    def _lines(position: Floats, pixel: Floats, period: float, width: float) -> Floats:
        """Parallel lines every `period` metres, `width` of a period wide; `pixel` is metres a pixel."""
        at = position / np.float32(period)
        distance = np.abs(at - np.rint(at))  # 0 on a line, 0.5 between
        return np.clip((np.float32(width / 2) - distance) * np.float32(period) / pixel + np.float32(0.5), 0, 1)


def shade(color: RGB, light: float) -> RGB:
    return tuple(min(c * light, 1.0) for c in color)  # type: ignore[return-value]


def toward(color: RGB, other: RGB, share: float) -> RGB:
    return tuple(c + (o - c) * share for c, o in zip(color, other, strict=True))  # type: ignore[return-value]
