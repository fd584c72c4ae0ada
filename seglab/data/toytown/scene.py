"""Toytown: street scenes drawn from a seed, with exact semantic and instance labels.

A scene is a street seen from a bus, painted from far to near. The same seed gives the same street at every
size and in every weather, to the last bit on every machine (`brush` says how). The labels are CamVid's
eleven classes, so that what is learned here can be tried there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seglab._utils.errors import unknown
from seglab.data.classes import IGNORE_INDEX
from seglab.data.toytown.canvas import Canvas, Floats, RandomBits, mix, value_noise
from seglab.data.toytown.objects import furniture
from seglab.data.toytown.street import PAVEMENT, POLE, ROAD, SIGN, Town

SIZE = (192, 256)
WEATHERS = ("clear", "night", "fog", "rain")
SPLITS = {"train": range(10_000, 11_200), "val": range(20_000, 20_150), "test": range(30_000, 30_300)}


@dataclass(frozen=True)
class Scene:
    """One street.

    Attributes:
        image: uint8 (3, H, W), sRGB.
        target: uint8 (H, W), index of a street class; 255 is void.
        instance: uint8 (H, W); each car, pedestrian and bicyclist has a number from 1, the rest is 0.
    """

    image: NDArray[np.uint8]
    target: NDArray[np.uint8]
    instance: NDArray[np.uint8]


def scene(seed: int, size: tuple[int, int] = SIZE, weather: str = "clear") -> Scene:
    """Draw the street that belongs to a seed.

    Args:
        seed: any integer ≥ 0; `SPLITS` says which ones are for training, validation and testing.
        size: (H, W), at least (32, 32). The layout is the same at every size.
        weather: one of `WEATHERS`; it changes the light, never a label.
    """
    if weather not in WEATHERS:
        raise unknown("weather", weather, WEATHERS)
    if seed < 0 or min(size) < 32:
        raise ValueError(f"a scene needs a seed ≥ 0 and a size of at least (32, 32); got seed {seed}, size {size}")
    town = Town(seed, Canvas(size, with_depth=weather == "fog", with_glow=weather == "night"))
    town.draw()
    for _, paint in sorted(furniture(town), key=lambda item: -item[0]):
        paint()
    texture = RandomBits(seed, 1)
    rgb = _WEATHER[weather](town, texture)
    image = np.empty((3, *size), np.uint8)
    for channel, tint in enumerate(town.tint):
        grain = texture.bytes(2, *size)
        value = np.add(grain[0], grain[1], dtype=np.int16).astype(np.float32)  # triangular noise, 0–510
        value -= 255
        value *= np.float32(town.grain)
        value += rgb[channel] * (tint * np.float32(255))
        value += np.float32(0.5)
        image[channel] = np.minimum(np.maximum(value, 0, out=value), 255, out=value)
    return Scene(image, _with_void(town.canvas.label, RandomBits(seed, 4)), town.canvas.instance)


def _clear(town: Town, texture: RandomBits) -> Floats:
    return town.canvas.rgb


def _night(town: Town, texture: RandomBits) -> Floats:
    """Moonlight, lit windows, and a pool of light around every lamp."""
    canvas = town.canvas
    rgb = canvas.rgb * np.array((0.20, 0.23, 0.36), np.float32)[:, None, None]
    light = np.zeros_like(rgb)
    height, width = canvas.size
    x = np.arange(width, dtype=np.float32) + np.float32(0.5)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)
    for px, py, radius, color in town.lamps:
        dx, dy = (x - np.float32(px)) / np.float32(radius), (y - np.float32(py)) / np.float32(radius)
        fall = 1 / (1 + dx * dx + dy * dy)
        light += fall * fall * np.array(color, np.float32)[:, None, None]
    rgb += canvas.rgb * np.minimum(light, np.float32(1.2)) * np.float32(0.55) + np.minimum(light, 1) * np.float32(0.10)
    return rgb + canvas.glow * np.float32(0.75)


def _fog(town: Town, texture: RandomBits) -> Floats:
    """The further away, the more of the fog's own grey one sees."""
    reach = RandomBits(town.seed, 3).between(11, 24)
    depth = town.canvas.depth / np.float32(reach)
    veil = 1 - 1 / (1 + depth * depth + np.float32(0.4) * depth)
    drift = np.float32(0.92) + np.float32(0.16) * value_noise(texture, town.size, (4, 3))
    rgb = town.canvas.rgb.copy()
    mix(rgb, (0.78, 0.80, 0.82), np.minimum(veil * drift, 1))
    return rgb


def _rain(town: Town, texture: RandomBits) -> Floats:
    """Duller colours, a wet road that mirrors what is above it, and streaks."""
    canvas, (height, width) = town.canvas, town.size
    grey = canvas.rgb[1:2]
    rgb = (canvas.rgb + (grey - canvas.rgb) * np.float32(0.4)) * np.float32(0.78)
    axis = int(town.horizon) + height // 16
    below = np.arange(axis, height)
    mirrored = rgb[:, np.maximum(2 * axis - below, 0)]
    ground = (canvas.code[axis:] == ROAD) | (canvas.code[axis:] == PAVEMENT)
    ripple = value_noise(texture, (height - axis, width), (40, 9))
    mix(rgb[:, axis:], mirrored, ground * ripple * np.float32(0.45))
    drops = (texture.bytes(height, width) < 2).astype(np.float32)
    streaks = drops.copy()
    for step in range(1, max(height // 24, 2)):
        streaks[step:] += drops[:-step] if step % 4 else np.roll(drops, 1, axis=1)[:-step]
    mix(rgb, (0.86, 0.88, 0.92), np.minimum(streaks, 1) * np.float32(0.28))
    return rgb


_WEATHER: dict[str, Callable[[Town, RandomBits], Floats]] = {
    "clear": _clear,
    "night": _night,
    "fog": _fog,
    "rain": _rain,
}


def _with_void(label: NDArray[np.uint8], dice: RandomBits) -> NDArray[np.uint8]:
    """Along some edges nobody can say which class a pixel is: void, as an annotator leaves it."""
    edge = np.zeros(label.shape, bool)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    careless = value_noise(dice, label.shape, (6, 8)) > np.float32(0.6)
    thin = (label == POLE) | (label == SIGN)  # one pixel is all they have
    return np.where(edge & careless & ~thin, np.uint8(IGNORE_INDEX), label)
