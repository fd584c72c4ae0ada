"""The cars of Toytown: boxes in perspective with a narrower cabin."""

from functools import partial
from typing import NamedTuple

from seglab.data.toytown.canvas import DARK, RGB, shade
from seglab.data.toytown.street import CAR, LAMPLIGHT, PAINTS, Town


class Body(NamedTuple):
    """Measures of a car in metres: half its width, heights of waist and roof, `start` and `end` of the cabin."""

    half: float
    length: float
    waist: float
    roof: float
    start: float
    end: float


BODIES = {
    "saloon": Body(0.88, 4.4, 0.90, 1.45, 0.8, 3.4), "hatchback": Body(0.85, 3.8, 0.92, 1.50, 0.25, 2.9),
    "van": Body(0.95, 4.8, 1.15, 2.15, 0.05, 4.1), "bus": Body(1.20, 9.0, 1.30, 3.00, 0.02, 8.9),
}  # fmt: skip
BASE = 0.28  # height of the underside
GLASS, RUBBER = (0.22, 0.28, 0.34), (0.10, 0.10, 0.11)


def car(town: Town, x: float, z: float, oncoming: bool) -> None:
    """A car, van or bus: the side that faces the camera, the cabin, the near end with its lights."""
    number, kind = next(town.numbers), town.rng.choice(("saloon", "saloon", "hatchback", "hatchback", "van", "bus"))
    if kind == "bus" and (z < 14 or abs(x) > town.half_road * 0.6):
        kind = "van"
    body, color = BODIES[kind], town.rng.choice(PAINTS)
    left, right, waist, far = x - body.half, x + body.half, body.waist, z + body.length
    face = partial(town.polygon, label=CAR, instance=number)
    block = partial(town.block, label=CAR, instance=number)
    inner = right if x + town.shift < 0 else left  # the side towards the camera
    light = 1.0 if (inner < x) == (town.sun < 0) else 0.72
    large = body.half * town.focal / z > 6  # pixels; wheels and side windows of smaller cars are left out
    town.shadow(x, z + body.length / 2, body.half * 1.5)
    town.shadow(x, z, body.half * 1.1)
    for tyre in (left + 0.16, right - 0.16):
        block(tyre - 0.13, tyre + 0.13, 0, 0.55, z + 0.1, RUBBER)
    face([(inner, BASE, z), (inner, waist, z), (inner, waist, far), (inner, BASE, far)], shade(color, light))
    for wheel in (z + body.length * 0.18, z + body.length * 0.8) if large else ():
        outline = ((0.02, -0.22), (0.34, -0.36), (0.62, 0), (0.34, 0.36), (0.02, 0.22))
        face([(inner, h, wheel + dz) for h, dz in outline], RUBBER)
    face([(left, waist, z), (right, waist, z), (right, waist, far), (left, waist, far)], shade(color, 1.12))
    glow = LAMPLIGHT if kind == "bus" else DARK
    _cabin(face, partial(face, color=GLASS, glow=glow), x, z, body, inner, color, light, large)
    block(left, right, BASE, waist, z, shade(color, 0.86))
    block(left, right, BASE, BASE + 0.2, z, (0.16, 0.16, 0.18))
    block(x - 0.26, x + 0.26, BASE + 0.22, BASE + 0.36, z, (0.94, 0.93, 0.84))
    shine: RGB = (1.0, 0.96, 0.82) if oncoming else (0.88, 0.12, 0.10)
    for lamp in (x - (body.half - 0.18), x + (body.half - 0.18)):
        block(lamp - 0.15, lamp + 0.15, waist - 0.28, waist - 0.12, z, shine, glow=shine)
        town.add_light(lamp, waist - 0.2, z, 0.9 if oncoming else 0.35, shine)


def _cabin(face: partial[None], glass: partial[None], x: float, z: float, body: Body, inner: float, color: RGB,
           light: float, large: bool) -> None:  # fmt: skip
    """The cabin, narrower at the roof: its side, roof and near end, with windows."""
    half, _, waist, roof, start, end = body
    near, left, right = z + start, x - half * 0.82, x + half * 0.82
    front, back = z + start + 0.45, z + end - 0.5  # ends of the roof
    rim = right if inner > x else left
    side = [(inner, waist, near), (rim, roof, front), (rim, roof, back), (inner, waist, z + end)]
    face(side, shade(color, light * 0.9))
    if large:
        middle = z + end / 2
        glass([(i, waist + (h - waist) * 0.84 + 0.05, k + (0.2 if k < middle else -0.2)) for i, h, k in side])
    face([(left, roof, front), (right, roof, front), (right, roof, back), (left, roof, back)], shade(color, 1.18))
    end_wall = [(x - half, waist, near), (x + half, waist, near), (right, roof, front), (left, roof, front)]
    face(end_wall, shade(color, 0.92))
    glass([(x + (i - x) * 0.86, waist + (h - waist) * 0.85 + 0.04, k) for i, h, k in end_wall])
