"""The objects on the streets of Toytown: their positions, and the painting of lamps, bollards, signs, trees and bins.

A painting function paints one object at X metres to the right and Z metres ahead, from a few flat shapes.
"""

from collections.abc import Callable

from seglab.data.classes import IGNORE_INDEX
from seglab.data.toytown.canvas import DARK, shade, tinted
from seglab.data.toytown.cars import car
from seglab.data.toytown.people import cyclist, pedestrian
from seglab.data.toytown.street import LAMPLIGHT, LEAVES, POLE, SIGN, TREE, Town


def objects(town: Town) -> list[tuple[float, Callable[[], None]]]:
    """Distance and painting call of each object. All positions are drawn before the first object is painted."""
    rng, half_road = town.rng, town.half_road
    items: list[tuple[float, Callable[[], None]]] = []

    def add(z: float, paint: Callable[..., None], x: float, *arguments: object) -> None:
        items.append((z, lambda: paint(town, x, z, *arguments)))

    for side in (-1, 1):
        kerb = side * (half_road + 0.35)
        z = rng.uniform(5, 12)
        spacing, has_lamps = rng.uniform(11, 18), rng.chance(0.75)
        while z < 40 and has_lamps:
            add(z, lamp, kerb, side)
            z += spacing
        for _ in range(rng.randint(0, 4)):
            add(rng.uniform(6, 42), tree, side * (half_road + rng.uniform(0.7, 1.4)))
        for _ in range(rng.randint(0, 2)):
            add(rng.uniform(5, 24), sign, kerb + side * 0.2)
        if rng.chance(0.3):
            z = rng.uniform(5, 12)
            for i in range(rng.randint(3, 5)):
                add(z + i * 1.6, bollard, kerb)
        for _ in range(rng.randint(0, 3)):  # parked cars
            add(rng.uniform(5.5, 38), car, side * (half_road - 1.05), side < 0)
        for _ in range(rng.randint(1, 5)):
            add(rng.uniform(4.5, 20), pedestrian, side * (half_road + rng.uniform(0.5, town.pavement[side > 0] - 0.4)))
        if rng.chance(0.5):
            add(rng.uniform(5, 16), litter_bin, kerb + side * 0.4)
    if half_road > 3.6 and rng.chance(0.75):
        lane = rng.choice((-1, 1))
        add(rng.uniform(9, 40), car, lane * half_road * 0.36, lane < 0)
    for _ in range(rng.randint(0, 2)):
        add(rng.uniform(5.5, 16), cyclist, rng.uniform(-0.75, 0.75) * half_road)
    if rng.chance(0.35):
        add(rng.uniform(6, 14), pedestrian, rng.uniform(-0.9, 0.9) * half_road)
    return items


def lamp(town: Town, x: float, z: float, side: int) -> None:
    """A street lamp whose arm reaches over the road."""
    tall, half, tip, color = 5.2, max(0.10, 1.2 * z / town.focal) / 2, x - side * 1.3, (0.30, 0.33, 0.35)
    town.block(x - half, x + half, 0, tall, z, color, POLE)
    town.block(x - 0.09, x + 0.09, 0, 0.6, z, shade(color, 0.8), POLE)
    town.block(min(x, tip), max(x, tip), tall - 0.06, tall + 0.03, z, color, POLE)
    town.block(tip - 0.25, tip + 0.25, tall - 0.18, tall - 0.02, z, (0.86, 0.86, 0.80), POLE, glow=(1.0, 0.95, 0.8))
    town.add_light(tip, tall - 0.2, z, 1.6, LAMPLIGHT)
    town.add_light(tip, 0, z, 1.3, LAMPLIGHT)  # on the ground


def bollard(town: Town, x: float, z: float) -> None:
    """A low post with a light band."""
    half = max(0.12, 1.3 * z / town.focal) / 2
    town.block(x - half, x + half, 0, 0.95, z, (0.25, 0.26, 0.28), POLE)
    town.block(x - half, x + half, 0.7, 0.82, z, (0.90, 0.88, 0.82), POLE)


def sign(town: Town, x: float, z: float) -> None:
    """A traffic sign of five kinds, or traffic lights, on a pole."""
    rng = town.rng
    kind = rng.choice(("round", "blue", "triangle", "square", "lights"))
    half, tall = max(0.07, 1.2 * z / town.focal) / 2, rng.uniform(2.1, 2.7)
    town.block(x - half, x + half, 0, tall, z, (0.52, 0.53, 0.54), POLE)
    r, h = rng.uniform(0.32, 0.44), tall + 0.15
    if kind == "round":
        town.oval(x, h, r, r, z, (0.80, 0.14, 0.14), SIGN)
        town.oval(x, h, r * 0.7, r * 0.7, z, (0.95, 0.94, 0.92), SIGN)
    elif kind == "blue":
        town.oval(x, h, r, r, z, (0.14, 0.32, 0.66), SIGN)
        arrow = [(x - r * 0.5, h - 0.05), (x, h + r * 0.6), (x + r * 0.5, h - 0.05)]
        town.upright(arrow, z, (0.95, 0.95, 0.95), SIGN)
    elif kind == "triangle":
        for k, color in ((1.25, (0.82, 0.14, 0.14)), (0.7, (0.96, 0.93, 0.84))):
            low = h - r * k * 0.7
            town.upright([(x - r * k, low), (x + r * k, low), (x, h + r * k)], z, color, SIGN)
    elif kind == "square":
        color = rng.choice(((0.16, 0.36, 0.68), (0.93, 0.76, 0.20), (0.20, 0.48, 0.32)))
        town.block(x - r, x + r, h - r, h + r, z, color, SIGN)
        town.block(x - r * 0.6, x + r * 0.6, h - r * 0.15, h + r * 0.15, z, (0.95, 0.95, 0.93), SIGN)
    else:
        town.block(x - 0.24, x + 0.24, h - 0.55, h + 0.5, z, (0.14, 0.15, 0.16), SIGN)
        lit = rng.randint(0, 2)
        for i, color in enumerate(((0.90, 0.18, 0.14), (0.95, 0.70, 0.16), (0.20, 0.78, 0.40))):
            shown, glow = (color, color) if i == lit else (shade(color, 0.35), DARK)
            town.oval(x, h + 0.30 - i * 0.32, 0.12, 0.12, z, shown, SIGN, glow=glow)


def tree(town: Town, x: float, z: float) -> None:
    """A fir, or a tree with a round crown."""
    rng, sun = town.rng, town.sun
    leaf = tinted(rng.choice(LEAVES), rng.choice(LEAVES[:3]), rng.uniform(0, 0.4))
    tall, radius, half = rng.uniform(2.6, 4.6), rng.uniform(1.0, 1.8), max(0.13, 1.2 * z / town.focal)
    town.shadow(x, z, radius)
    town.block(x - half, x + half, 0, tall, z, (0.36, 0.27, 0.20), TREE)
    town.block(x - half * 0.2 * sun, x + half * sun, 0, tall, z, (0.46, 0.36, 0.28), TREE)
    if not rng.chance(0.25):
        town.crown(x, tall + radius * 0.3, z, radius, leaf)
        return
    for i in range(4):
        w, base = radius * (1.0 - 0.2 * i), tall * 0.35 + i * radius * 0.62
        top = (x, base + radius * 1.1)
        town.upright([(x - w, base), top, (x + w, base)], z, shade(leaf, 0.70 + 0.08 * i), TREE)
        sunlit = [(x, base + 0.02), top, (x + sun * w * 0.8, base + 0.05)]
        town.upright(sunlit, z, shade(leaf, 0.85 + 0.08 * i), TREE)


def litter_bin(town: Town, x: float, z: float) -> None:
    """A litter bin. None of the eleven classes fits it, so its pixels are void."""
    color = town.rng.choice(((0.20, 0.42, 0.30), (0.25, 0.26, 0.30), (0.78, 0.42, 0.16)))
    town.shadow(x, z, 0.4)
    town.block(x - 0.26, x + 0.26, 0, 0.85, z, color, IGNORE_INDEX)
    town.block(x - 0.30, x + 0.30, 0.8, 0.95, z, shade(color, 0.7), IGNORE_INDEX)
