"""Toytown: street scenes drawn from a seed, with exact semantic and instance labels.

A scene is a street seen from a bus, painted from far to near. The same seed gives the same street at every size and in
every weather, to the last bit on every machine (see `shapes`). The labels are CamVid's eleven classes, so that models
and methods can be compared on both data sets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seglab._utils.errors import checked_size, unknown
from seglab.data.classes import IGNORE_INDEX
from seglab.data.toytown.canvas import Canvas, RandomBits, blend, color_array, value_noise
from seglab.data.toytown.ground import ground
from seglab.data.toytown.houses import row_of_houses
from seglab.data.toytown.objects import objects
from seglab.data.toytown.shapes import Floats, pixel_centres
from seglab.data.toytown.street import PAVEMENT, POLE, ROAD, SIGN, Town, far_end, sky

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
    """Draw the street of a seed.

    Args:
        seed: any integer ≥ 0; `SPLITS` lists the seeds for training, validation and testing.
        size: (H, W), at least (32, 32). The layout is the same at every size.
        weather: one of `WEATHERS`; it changes the light, never a label.

    Raises:
        ValueError: the weather is unknown, the seed negative or the size too small.
    """
    if weather not in WEATHERS:
        raise unknown("weather", weather, WEATHERS)
    if seed < 0 or min(checked_size(size)) < 32:
        raise ValueError(f"a scene needs a seed ≥ 0 and a size of at least (32, 32); got seed {seed}, size {size}")
    town = Town(seed, Canvas(size, with_depth=weather == "fog", with_glow=weather == "night"))
    sky(town)
    far_end(town)
    ground(town, [row_of_houses(town, side) for side in (-1, 1)])
    for _, paint in sorted(objects(town), key=lambda item: -item[0]):
        paint()
    noise = RandomBits(seed, 1)
    rgb = _LIGHT[weather](town, noise) if weather in _LIGHT else town.canvas.rgb
    image = np.empty((3, *size), np.uint8)
    for channel, tint in enumerate(town.tint):
        grain = np.add(*noise.bytes(2, *size), dtype=np.int16).astype(np.float32) - 255  # triangular distribution
        image[channel] = np.clip(grain * town.grain + rgb[channel] * (tint * 255) + 0.5, 0, 255)
    label, instance = town.canvas.labels()
    return Scene(image, _with_void(label, RandomBits(seed, 4)), instance)


def _night(town: Town, noise: RandomBits) -> Floats:
    """Moonlight, lit windows, and light around every lamp that falls off with the distance."""
    canvas = town.canvas
    rgb = canvas.rgb * color_array((0.20, 0.23, 0.36))
    light = np.zeros_like(rgb)
    x, y = pixel_centres(town.size[1]), pixel_centres(town.size[0])[:, None]
    for px, py, radius, color in town.lights:
        dx, dy = (x - px) / radius, (y - py) / radius
        falloff = 1 / (1 + dx * dx + dy * dy)
        light += falloff * falloff * color_array(color)
    rgb += canvas.rgb * np.minimum(light, 1.2) * 0.55 + np.minimum(light, 1) * 0.10
    return rgb + canvas.glow * 0.75


def _fog(town: Town, noise: RandomBits) -> Floats:
    """Grey that hides more of the colour with distance."""
    depth = town.canvas.depth / RandomBits(town.seed, 3).uniform(11, 24)
    density = 1 - 1 / (1 + depth * depth + 0.4 * depth)
    drift = 0.92 + 0.16 * value_noise(noise, town.size, (4, 3))
    rgb = town.canvas.rgb.copy()
    blend(rgb, (0.78, 0.80, 0.82), np.minimum(density * drift, 1))
    return rgb


def _rain(town: Town, noise: RandomBits) -> Floats:
    """Duller colours, reflections on the wet ground, and streaks."""
    canvas, (height, width) = town.canvas, town.size
    green = canvas.rgb[1:2]
    rgb = (canvas.rgb + (green - canvas.rgb) * 0.4) * 0.78
    axis = int(town.horizon) + height // 16
    reflected = rgb[:, np.maximum(2 * axis - np.arange(axis, height), 0)]
    on_ground = (canvas.code[axis:] == ROAD) | (canvas.code[axis:] == PAVEMENT)
    ripple = value_noise(noise, (height - axis, width), (40, 9))
    blend(rgb[:, axis:], reflected, on_ground * ripple * 0.45)
    drops = (noise.bytes(height, width) < 2).astype(np.float32)
    streaks = drops.copy()
    for step in range(1, max(height // 24, 2)):
        streaks[step:] += drops[:-step] if step % 4 else np.roll(drops, 1, axis=1)[:-step]
    blend(rgb, (0.86, 0.88, 0.92), np.minimum(streaks, 1) * 0.28)
    return rgb


_LIGHT: dict[str, Callable[[Town, RandomBits], Floats]] = {"night": _night, "fog": _fog, "rain": _rain}


def _with_void(label: NDArray[np.uint8], rng: RandomBits) -> NDArray[np.uint8]:
    """Labels with void along some edges, as annotators leave it where the class of a pixel is unclear."""
    edge = np.zeros(label.shape, bool)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    unclear = value_noise(rng, label.shape, (6, 8)) > 0.6
    thin = (label == POLE) | (label == SIGN)  # often one pixel wide: they would disappear
    return np.where(edge & unclear & ~thin, np.uint8(IGNORE_INDEX), label)
