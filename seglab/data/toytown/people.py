"""The pedestrians and bicyclists of Toytown."""

from functools import partial
from math import sqrt

from seglab.data.toytown.canvas import RGB, shade
from seglab.data.toytown.shapes import Point, ellipse
from seglab.data.toytown.street import BICYCLIST, PAINTS, PEDESTRIAN, Town

CLOTHES: tuple[RGB, ...] = (
    (0.85, 0.25, 0.22), (0.18, 0.30, 0.55), (0.92, 0.90, 0.84), (0.22, 0.22, 0.26), (0.90, 0.66, 0.20),
    (0.35, 0.58, 0.42), (0.60, 0.40, 0.62), (0.42, 0.34, 0.28), (0.92, 0.55, 0.55), (0.45, 0.62, 0.72),
)  # fmt: skip
SKINS: tuple[RGB, ...] = ((0.96, 0.80, 0.68), (0.88, 0.68, 0.52), (0.72, 0.50, 0.36), (0.48, 0.32, 0.24))
HAIRS: tuple[RGB, ...] = ((0.14, 0.11, 0.10), (0.36, 0.22, 0.14), (0.72, 0.54, 0.28), (0.62, 0.60, 0.58))


def pedestrian(town: Town, x: float, z: float) -> None:
    """An adult or a child, some with a bag."""
    rng = town.rng
    tall = rng.uniform(1.05, 1.3) if rng.chance(0.15) else rng.uniform(1.55, 1.9)
    number, k = next(town.numbers), tall / 1.75
    top, bottom = rng.choice(CLOTHES), rng.choice(CLOTHES)
    stride, turn = rng.uniform(0.03, 0.22) * k, rng.choice((-1, 1))
    town.shadow(x, z, 0.32)
    _figure(town, x, z, k, top, bottom, stride, turn, PEDESTRIAN, number)
    if rng.chance(0.3):
        left, right, bag = x + turn * 0.2 * k, x + turn * 0.42 * k, rng.choice(PAINTS)
        town.block(left, right, 0.55 * k, 0.85 * k, z, bag, PEDESTRIAN, instance=number)


def _figure(town: Town, x: float, z: float, k: float, top: RGB, bottom: RGB, stride: float, turn: int, label: int,
            number: int, lift: float = 0.0) -> None:  # fmt: skip
    """Legs, body, arms, head and hair of a person who is 1.75·k metres tall, `lift` metres above the ground."""
    rng = town.rng
    upright = partial(town.upright, z=z, label=label, instance=number)
    oval = partial(town.oval, z=z, label=label, instance=number)
    skin, hair = rng.choice(SKINS), rng.choice(HAIRS)
    hip, neck = lift + 0.85 * k, lift + 1.45 * k
    for side, light in ((-1, 0.78), (1, 1.0)):
        foot = x + side * max(stride, 0.07 * k)
        leg = [(x + side * 0.02 * k, hip), (x + side * 0.16 * k, hip), (foot + 0.08 * k, lift), (foot - 0.08 * k, lift)]
        upright(leg, color=shade(bottom, light))
        if town.focal / z > 16:  # pixels per metre: shoes are visible
            heel, toe = foot - 0.09 * k, foot + 0.09 * k + 0.05 * turn * k
            town.block(heel, toe, lift, lift + 0.08 * k, z, (0.14, 0.12, 0.12), label, instance=number)
    if rng.chance(0.3):  # a skirt or a long coat
        waist, hem = hip + 0.1, lift + 0.45 * k
        skirt = [(x - 0.17 * k, waist), (x + 0.17 * k, waist), (x + 0.3 * k, hem), (x - 0.3 * k, hem)]
        upright(skirt, color=shade(top, 0.9))
    low = hip - 0.05
    for side, light in ((-1, 0.75), (1, 0.9)):
        hand = x + side * (0.26 * k + stride * 0.5)
        shoulder = [(x + side * 0.14 * k, neck), (x + side * 0.25 * k, neck - 0.06)]
        upright([*shoulder, (hand + 0.05 * k, low), (hand - 0.05 * k, low)], color=shade(top, light))
    upright([(x - 0.19 * k, neck), (x + 0.19 * k, neck), (x + 0.17 * k, low), (x - 0.17 * k, low)], color=top)
    oval(x, neck + 0.15 * k, 0.12 * k, 0.15 * k, color=skin)
    oval(x - turn * 0.02 * k, neck + 0.22 * k, 0.125 * k, 0.10 * k, color=hair)


def cyclist(town: Town, x: float, z: float) -> None:
    """A person on a bicycle, from the side or from behind."""
    rng, number = town.rng, next(town.numbers)
    top, bottom, frame = rng.choice(CLOTHES), rng.choice(CLOTHES), rng.choice(PAINTS)
    town.shadow(x, z, 0.6)
    skin = rng.choice(SKINS)
    if rng.chance(0.45):
        town.block(x - 0.05, x + 0.05, 0, 0.68, z, (0.12, 0.12, 0.13), BICYCLIST, instance=number)
        _figure(town, x, z, 0.92, top, bottom, 0.10, 1, BICYCLIST, number, lift=0.28)
        town.block(x - 0.30, x + 0.30, 1.02, 1.08, z, (0.15, 0.15, 0.16), BICYCLIST, instance=number)
        return
    way = rng.choice((-1, 1))  # direction of travel
    _wheels(town, x, z, number)
    bar = max(0.035, 0.6 / (town.focal / z))

    def tube(start: Point, end: Point, color: RGB, thick: float = bar) -> None:
        """A bar between two points (X, height)."""
        (x0, h0), (x1, h1) = start, end
        dx, dh = x1 - x0, h1 - h0
        length = sqrt(dx * dx + dh * dh)
        nx, nh = -dh / length * thick, dx / length * thick
        corners = [(x0 + nx, h0 + nh), (x1 + nx, h1 + nh), (x1 - nx, h1 - nh), (x0 - nx, h0 - nh)]
        town.upright(corners, z, color, BICYCLIST, instance=number)

    seat, handle, fork = (x - way * 0.22, 0.92), (x + way * 0.40, 1.02), (x + way * 0.38, 0.8)
    pedal, back, front = (x, 0.32), (x - way * 0.52, 0.34), (x + way * 0.52, 0.34)
    for start, end in ((back, seat), (pedal, seat), (pedal, fork), (seat, fork), (front, handle)):
        tube(start, end, frame)
    knee, shoulder = (x + way * 0.16, 0.72), (x + way * 0.12, 1.45)
    tube(seat, knee, shade(bottom, 0.9), 0.09)
    tube(knee, (x + way * 0.02, 0.25), bottom, 0.07)
    tube(seat, shoulder, top, 0.15)
    tube(shoulder, handle, shade(top, 0.8), 0.055)
    town.oval(x + way * 0.2, 1.64, 0.12, 0.14, z, skin, BICYCLIST, instance=number)
    town.oval(x + way * 0.18, 1.70, 0.14, 0.10, z, rng.choice(PAINTS), BICYCLIST, instance=number)


def _wheels(town: Town, x: float, z: float, number: int) -> None:
    """Two wheels: the label covers the discs, and the background stays visible between the spokes."""
    scale = town.focal / z
    for center in (x - 0.52, x + 0.52):
        px, py = town.project(center, 0.34, z)
        wheel = ellipse(town.size, px, py, 0.34 * scale, 0.34 * scale)
        hole = ellipse(town.size, px, py, 0.27 * scale, 0.27 * scale)
        if hole.coverage.size:
            background = town.canvas.rgb[:, *hole.where].copy()
            town.canvas.paint(wheel, (0.10, 0.10, 0.11), BICYCLIST, number, z)
            town.canvas.paint(hole, background * 0.75 + 0.12, BICYCLIST, number, z)
