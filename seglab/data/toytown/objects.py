"""What stands and moves on the streets of Toytown: lamps, signs, trees, cars, people, bicycles.

Each function paints one thing at X metres to the right and Z metres ahead, from a few flat shapes.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

from seglab.data.classes import IGNORE_INDEX
from seglab.data.toytown.canvas import RGB, ellipse
from seglab.data.toytown.street import (
    BICYCLIST,
    CAR,
    LAMPLIGHT,
    LEAVES,
    PEDESTRIAN,
    POLE,
    SIGN,
    TREE,
    Town,
    shade,
    toward,
)

PAINTS: tuple[RGB, ...] = (
    (0.80, 0.16, 0.14), (0.16, 0.32, 0.62), (0.92, 0.92, 0.90), (0.20, 0.21, 0.24), (0.95, 0.75, 0.20),
    (0.25, 0.52, 0.42), (0.62, 0.64, 0.68), (0.90, 0.50, 0.20), (0.48, 0.66, 0.80), (0.52, 0.22, 0.36),
)  # fmt: skip
CLOTHES: tuple[RGB, ...] = (
    (0.85, 0.25, 0.22), (0.18, 0.30, 0.55), (0.92, 0.90, 0.84), (0.22, 0.22, 0.26), (0.90, 0.66, 0.20),
    (0.35, 0.58, 0.42), (0.60, 0.40, 0.62), (0.42, 0.34, 0.28), (0.92, 0.55, 0.55), (0.45, 0.62, 0.72),
)  # fmt: skip
SKINS: tuple[RGB, ...] = ((0.96, 0.80, 0.68), (0.88, 0.68, 0.52), (0.72, 0.50, 0.36), (0.48, 0.32, 0.24))
HAIRS: tuple[RGB, ...] = ((0.14, 0.11, 0.10), (0.36, 0.22, 0.14), (0.72, 0.54, 0.28), (0.62, 0.60, 0.58))


def furniture(town: Town) -> list[tuple[float, Callable[[], None]]]:
    """Everything upright with its distance. What is where is thrown before anything is painted."""
    dice = town.dice
    items: list[tuple[float, Callable[[], None]]] = []

    def add(z: float, paint: Callable[..., None], *arguments: object) -> None:
        items.append((z, lambda: paint(town, *arguments)))

    def on_pavement(side: int) -> float:
        return side * (town.half_road + dice.between(0.5, town.pavement[side > 0] - 0.4))

    for side in (-1, 1):
        kerb = side * (town.half_road + 0.35)
        z = dice.between(5, 12)
        spacing, lit_side = dice.between(11, 18), dice.chance(0.75)
        while z < 40 and lit_side:  # street lamps at even distances
            add(z, lamp, kerb, z, side)
            z += spacing
        for _ in range(dice.count(0, 4)):
            z = dice.between(6, 42)
            add(z, tree, side * (town.half_road + dice.between(0.7, 1.4)), z)
        for _ in range(dice.count(0, 2)):
            z = dice.between(5, 24)
            add(z, sign, kerb + side * 0.2, z)
        if dice.chance(0.3):
            z, count = dice.between(5, 12), dice.count(3, 5)
            for i in range(count):
                add(z + i * 1.6, bollard, kerb, z + i * 1.6)
        for _ in range(dice.count(0, 3)):  # parked cars
            z = dice.between(5.5, 38)
            add(z, car, side * (town.half_road - 1.05), z, side < 0)
        for _ in range(dice.count(1, 5)):
            z = dice.between(4.5, 20)
            add(z, person, on_pavement(side), z)
        if dice.chance(0.5):
            z = dice.between(5, 16)
            add(z, litter_bin, kerb + side * 0.4, z)
    if town.half_road > 3.6 and dice.chance(0.75):
        lane = dice.pick((-1, 1))
        z = dice.between(9, 40)
        add(z, car, lane * town.half_road * 0.36, z, lane < 0)
    for _ in range(dice.count(0, 2)):
        z = dice.between(5.5, 16)
        add(z, cyclist, dice.between(-0.75, 0.75) * town.half_road, z)
    if dice.chance(0.35):
        z = dice.between(6, 14)
        add(z, person, dice.between(-0.9, 0.9) * town.half_road, z)
    return items


def lamp(town: Town, x: float, z: float, side: int) -> None:
    tall, thick = 5.2, max(0.10, 1.2 * z / town.focal)
    color = (0.30, 0.33, 0.35)
    town.block(x - thick / 2, x + thick / 2, 0, tall, z, color, POLE)
    town.block(x - 0.09, x + 0.09, 0, 0.6, z, shade(color, 0.8), POLE)
    tip = x - side * 1.3
    town.block(min(x, tip), max(x, tip), tall - 0.06, tall + 0.03, z, color, POLE)
    town.block(tip - 0.25, tip + 0.25, tall - 0.18, tall - 0.02, z, (0.86, 0.86, 0.80), POLE, glow=(1.0, 0.95, 0.8))
    px, py = town.at(tip, tall - 0.2, z)
    town.lamps.append((px, py, 1.6 * town.focal / z, LAMPLIGHT))
    px, py = town.at(tip, 0, z)
    town.lamps.append((px, py, 1.3 * town.focal / z, LAMPLIGHT))


def bollard(town: Town, x: float, z: float) -> None:
    thick = max(0.12, 1.3 * z / town.focal)
    town.block(x - thick / 2, x + thick / 2, 0, 0.95, z, (0.25, 0.26, 0.28), POLE)
    town.block(x - thick / 2, x + thick / 2, 0.7, 0.82, z, (0.90, 0.88, 0.82), POLE)


def sign(town: Town, x: float, z: float) -> None:
    dice = town.dice
    kind = dice.pick(("round", "blue", "triangle", "square", "lights"))
    thick = max(0.07, 1.2 * z / town.focal)
    tall = dice.between(2.1, 2.7)
    town.block(x - thick / 2, x + thick / 2, 0, tall, z, (0.52, 0.53, 0.54), POLE)
    r, h = dice.between(0.32, 0.44), tall + 0.15
    if kind == "round":
        town.oval(x, h, r, r, z, (0.80, 0.14, 0.14), SIGN)
        town.oval(x, h, r * 0.7, r * 0.7, z, (0.95, 0.94, 0.92), SIGN)
    elif kind == "blue":
        town.oval(x, h, r, r, z, (0.14, 0.32, 0.66), SIGN)
        town.quad(
            [(x - r * 0.5, h - 0.05, z), (x, h + r * 0.6, z), (x + r * 0.5, h - 0.05, z)], (0.95, 0.95, 0.95), SIGN
        )
    elif kind == "triangle":
        for k, color in ((1.25, (0.82, 0.14, 0.14)), (0.7, (0.96, 0.93, 0.84))):
            town.quad(
                [(x - r * k, h - r * k * 0.7, z), (x + r * k, h - r * k * 0.7, z), (x, h + r * k, z)], color, SIGN
            )
    elif kind == "square":
        color = dice.pick(((0.16, 0.36, 0.68), (0.93, 0.76, 0.20), (0.20, 0.48, 0.32)))
        town.block(x - r, x + r, h - r, h + r, z, color, SIGN)
        town.block(x - r * 0.6, x + r * 0.6, h - r * 0.15, h + r * 0.15, z, (0.95, 0.95, 0.93), SIGN)
    else:
        town.block(x - 0.24, x + 0.24, h - 0.55, h + 0.5, z, (0.14, 0.15, 0.16), SIGN)
        on = dice.count(0, 2)
        for i, color in enumerate(((0.90, 0.18, 0.14), (0.95, 0.70, 0.16), (0.20, 0.78, 0.40))):
            town.oval(
                x,
                h + 0.30 - i * 0.32,
                0.12,
                0.12,
                z,
                color if i == on else shade(color, 0.35),
                SIGN,
                glow=color if i == on else None,
            )


def tree(town: Town, x: float, z: float) -> None:
    dice = town.dice
    leaf = dice.pick(LEAVES)
    leaf = toward(leaf, dice.pick(LEAVES[:3]), dice.between(0, 0.4))
    tall, radius = dice.between(2.6, 4.6), dice.between(1.0, 1.8)
    thick = max(0.13, 1.2 * z / town.focal)
    town.shadow(x, z, radius)
    town.block(x - thick, x + thick, 0, tall, z, (0.36, 0.27, 0.20), TREE)
    town.block(x - thick * 0.2 * town.sun, x + thick * town.sun, 0, tall, z, (0.46, 0.36, 0.28), TREE)
    if dice.chance(0.25):  # a fir
        for i in range(4):
            w, base = radius * (1.0 - 0.2 * i), tall * 0.35 + i * radius * 0.62
            tip = base + radius * 1.1
            town.quad([(x - w, base, z), (x, tip, z), (x + w, base, z)], shade(leaf, 0.70 + 0.08 * i), TREE)
            town.quad(
                [(x, base + 0.02, z), (x, tip, z), (x + town.sun * w * 0.8, base + 0.05, z)],
                shade(leaf, 0.85 + 0.08 * i),
                TREE,
            )
    else:
        town.crown(x, tall + radius * 0.3, z, radius, leaf)


def litter_bin(town: Town, x: float, z: float) -> None:
    """A litter bin: it belongs to none of the eleven classes, so its pixels are void."""
    color = town.dice.pick(((0.20, 0.42, 0.30), (0.25, 0.26, 0.30), (0.78, 0.42, 0.16)))
    town.shadow(x, z, 0.4)
    town.block(x - 0.26, x + 0.26, 0, 0.85, z, color, IGNORE_INDEX)
    town.block(x - 0.30, x + 0.30, 0.8, 0.95, z, shade(color, 0.7), IGNORE_INDEX)


def car(town: Town, x: float, z: float, oncoming: bool) -> None:
    """A car, van or bus as a box in perspective: the side that can be seen, the end, the top."""
    dice = town.dice
    number = town.number()
    kind = dice.pick(("saloon", "saloon", "hatchback", "hatchback", "van", "bus"))
    if kind == "bus" and (z < 14 or abs(x) > town.half_road * 0.6):
        kind = "van"
    half, length, waist, roof, start, end = {
        "saloon": (0.88, 4.4, 0.90, 1.45, 0.8, 3.4),
        "hatchback": (0.85, 3.8, 0.92, 1.50, 0.25, 2.9),
        "van": (0.95, 4.8, 1.15, 2.15, 0.05, 4.1),
        "bus": (1.20, 9.0, 1.30, 3.00, 0.02, 8.9),
    }[kind]
    color = dice.pick(PAINTS)
    base, far = 0.28, z + length
    inner = x + half if x + town.shift < 0 else x - half  # the side towards the camera
    bright = 1.0 if (inner < x) == (town.sun < 0) else 0.72
    mark: dict[str, Any] = {"instance": number}
    glass, rubber = (0.22, 0.28, 0.34), (0.10, 0.10, 0.11)
    town.shadow(x, z + length / 2, half * 1.5)
    town.shadow(x, z, half * 1.1)

    def solid(corners: list[tuple[float, float, float]], paint: RGB, **more: Any) -> None:
        town.quad(corners, paint, CAR, **mark, **more)

    near_by = half * town.focal / z > 6  # pixels; further away nobody sees wheels and plates
    for lateral in (x - half + 0.16, x + half - 0.16):
        town.block(lateral - 0.13, lateral + 0.13, 0, 0.55, z + 0.1, rubber, CAR, **mark)
    solid([(inner, base, z), (inner, waist, z), (inner, waist, far), (inner, base, far)], shade(color, bright))
    for wheel in (z + length * 0.18, z + length * 0.8) if near_by else ():
        solid(
            [
                (inner, 0.02, wheel - 0.22),
                (inner, 0.34, wheel - 0.36),
                (inner, 0.62, wheel),
                (inner, 0.34, wheel + 0.36),
                (inner, 0.02, wheel + 0.22),
            ],
            rubber,
        )
    solid(
        [(x - half, waist, z), (x + half, waist, z), (x + half, waist, far), (x - half, waist, far)], shade(color, 1.12)
    )
    # the cabin is narrower at the roof
    slim = half * 0.82
    rim = x + (slim if inner > x else -slim)
    side = [
        (inner, waist, z + start),
        (rim, roof, z + start + 0.45),
        (rim, roof, z + end - 0.5),
        (inner, waist, z + end),
    ]
    solid(side, shade(color, bright * 0.9))
    glow = LAMPLIGHT if kind == "bus" else None
    inset = [(px, waist + (ph - waist) * 0.84 + 0.05, pz + (0.2 if pz < z + end / 2 else -0.2)) for px, ph, pz in side]
    if near_by:
        solid(inset, glass, glow=glow)
    solid(
        [
            (x - slim, roof, z + start + 0.45),
            (x + slim, roof, z + start + 0.45),
            (x + slim, roof, z + end - 0.5),
            (x - slim, roof, z + end - 0.5),
        ],
        shade(color, 1.18),
    )
    back = [
        (x - half, waist, z + start),
        (x + half, waist, z + start),
        (x + slim, roof, z + start + 0.45),
        (x - slim, roof, z + start + 0.45),
    ]
    solid(back, shade(color, 0.92))
    solid([(x + (px - x) * 0.86, waist + (ph - waist) * 0.85 + 0.04, pz) for px, ph, pz in back], glass, glow=glow)
    town.block(x - half, x + half, base, waist, z, shade(color, 0.86), CAR, **mark)
    town.block(x - half, x + half, base, base + 0.2, z, (0.16, 0.16, 0.18), CAR, **mark)
    town.block(x - 0.26, x + 0.26, base + 0.22, base + 0.36, z, (0.94, 0.93, 0.84), CAR, **mark)
    shine: RGB = (1.0, 0.96, 0.82) if oncoming else (0.88, 0.12, 0.10)
    for sign in (-1, 1):
        spot = x + sign * (half - 0.18)
        town.block(spot - 0.15, spot + 0.15, waist - 0.28, waist - 0.12, z, shine, CAR, glow=shine, **mark)
        px, py = town.at(spot, waist - 0.2, z)
        town.lamps.append((px, py, (0.9 if oncoming else 0.35) * town.focal / z, shine))


def person(town: Town, x: float, z: float) -> None:
    dice = town.dice
    tall = dice.between(1.05, 1.3) if dice.chance(0.15) else dice.between(1.55, 1.9)
    number, k = town.number(), tall / 1.75
    top, bottom = dice.pick(CLOTHES), dice.pick(CLOTHES)
    stride, turn = dice.between(0.03, 0.22) * k, dice.pick((-1, 1))
    town.shadow(x, z, 0.32)
    _figure(town, x, z, k, top, bottom, stride, turn, PEDESTRIAN, number, 0.0)
    if dice.chance(0.3):  # a bag
        town.block(
            x + turn * 0.2 * k,
            x + turn * 0.42 * k,
            0.55 * k,
            0.85 * k,
            z,
            dice.pick(PAINTS),
            PEDESTRIAN,
            instance=number,
        )


def _figure(
    town: Town,
    x: float,
    z: float,
    k: float,
    top: RGB,
    bottom: RGB,
    stride: float,
    turn: int,
    label: int,
    number: int,
    lift: float,
) -> None:
    """Legs, body, arms, head and hair of someone who is 1.75·k metres tall."""
    dice = town.dice
    mark: dict[str, Any] = {"instance": number}
    skin, hair = dice.pick(SKINS), dice.pick(HAIRS)
    hip, neck = lift + 0.85 * k, lift + 1.45 * k
    for sign, light in ((-1, 0.78), (1, 1.0)):
        foot = x + sign * max(stride, 0.07 * k)
        town.quad(
            [
                (x + sign * 0.02 * k, hip, z),
                (x + sign * 0.16 * k, hip, z),
                (foot + 0.08 * k, lift, z),
                (foot - 0.08 * k, lift, z),
            ],
            shade(bottom, light),
            label,
            **mark,
        )
        if town.focal / z > 16:
            town.block(
                foot - 0.09 * k,
                foot + 0.09 * k + 0.05 * turn * k,
                lift,
                lift + 0.08 * k,
                z,
                (0.14, 0.12, 0.12),
                label,
                **mark,
            )
    if dice.chance(0.3):  # a skirt or a long coat
        town.quad(
            [
                (x - 0.17 * k, hip + 0.1, z),
                (x + 0.17 * k, hip + 0.1, z),
                (x + 0.3 * k, lift + 0.45 * k, z),
                (x - 0.3 * k, lift + 0.45 * k, z),
            ],
            shade(top, 0.9),
            label,
            **mark,
        )
    for sign, light in ((-1, 0.75), (1, 0.9)):
        hand = x + sign * (0.26 * k + stride * 0.5)
        town.quad(
            [
                (x + sign * 0.14 * k, neck, z),
                (x + sign * 0.25 * k, neck - 0.06, z),
                (hand + 0.05 * k, hip - 0.05, z),
                (hand - 0.05 * k, hip - 0.05, z),
            ],
            shade(top, light),
            label,
            **mark,
        )
    town.quad(
        [
            (x - 0.19 * k, neck, z),
            (x + 0.19 * k, neck, z),
            (x + 0.17 * k, hip - 0.05, z),
            (x - 0.17 * k, hip - 0.05, z),
        ],
        top,
        label,
        **mark,
    )
    town.oval(x, neck + 0.15 * k, 0.12 * k, 0.15 * k, z, skin, label, **mark)
    town.oval(x - turn * 0.02 * k, neck + 0.22 * k, 0.125 * k, 0.10 * k, z, hair, label, **mark)


def cyclist(town: Town, x: float, z: float) -> None:
    """Someone on a bicycle, from the side or from behind."""
    dice, number = town.dice, town.number()
    top, bottom, frame = dice.pick(CLOTHES), dice.pick(CLOTHES), dice.pick(PAINTS)
    mark: dict[str, Any] = {"instance": number}
    town.shadow(x, z, 0.6)
    skin = dice.pick(SKINS)
    if dice.chance(0.45):  # from behind
        town.block(x - 0.05, x + 0.05, 0, 0.68, z, (0.12, 0.12, 0.13), BICYCLIST, **mark)
        _figure(town, x, z, 0.92, top, bottom, 0.10, 1, BICYCLIST, number, 0.28)
        town.block(x - 0.30, x + 0.30, 1.02, 1.08, z, (0.15, 0.15, 0.16), BICYCLIST, **mark)
        return
    way = dice.pick((-1, 1))
    scale = town.focal / z
    for sign in (-1, 1):  # wheels: the label covers the disc, one sees through the spokes
        px, py = town.at(x + sign * 0.52, 0.34, z)
        wheel = ellipse(town.size, px, py, 0.34 * scale, 0.34 * scale)
        hole = ellipse(town.size, px, py, 0.27 * scale, 0.27 * scale)
        if wheel is None or hole is None:
            continue
        through = town.canvas.rgb[:, hole.where[0], hole.where[1]].copy()
        town.canvas.paint(wheel, (0.10, 0.10, 0.11), BICYCLIST, depth=z, **mark)
        town.canvas.paint(hole, through * 0.75 + 0.12, BICYCLIST, depth=z, **mark)
    bar = max(0.035, 0.6 / scale)

    def tube(x0: float, h0: float, x1: float, h1: float, color: RGB, thick: float = bar) -> None:
        dx, dh = x1 - x0, h1 - h0
        length = sqrt(dx * dx + dh * dh)
        nx, nh = -dh / length * thick, dx / length * thick
        town.quad(
            [(x0 + nx, h0 + nh, z), (x1 + nx, h1 + nh, z), (x1 - nx, h1 - nh, z), (x0 - nx, h0 - nh, z)],
            color,
            BICYCLIST,
            **mark,
        )

    seat, handle, fork = (x - way * 0.22, 0.92), (x + way * 0.40, 1.02), (x + way * 0.38, 0.8)
    pedal, back, front = (x, 0.32), (x - way * 0.52, 0.34), (x + way * 0.52, 0.34)
    for a, b in ((back, seat), (pedal, seat), (pedal, fork), (seat, fork), (front, handle)):
        tube(*a, *b, frame)
    knee = (x + way * 0.16, 0.72)
    tube(seat[0], seat[1], *knee, shade(bottom, 0.9), 0.09)
    tube(*knee, x + way * 0.02, 0.25, bottom, 0.07)
    shoulder = (x + way * 0.12, 1.45)
    tube(seat[0], seat[1], *shoulder, top, 0.15)
    tube(*shoulder, *handle, shade(top, 0.8), 0.055)
    town.oval(x + way * 0.2, 1.64, 0.12, 0.14, z, skin, BICYCLIST, **mark)
    town.oval(x + way * 0.18, 1.70, 0.14, 0.10, z, dice.pick(PAINTS), BICYCLIST, **mark)
