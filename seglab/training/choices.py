"""The recipe of `seglab train` for your own data: what the user does not state follows from the check of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seglab.data.checking import DataCheck
from seglab.inference.tiles import tiles
from seglab.training.losses import takes_weights
from seglab.training.recipe import Recipe

THIN = 2.0  # pixels; thinner objects get lost between the pixels of a resized image
UNEQUAL = 20  # times as many pixels of the most frequent class as of the rarest one
STEPS = 1_000, 10_000  # fewest and most updates of a training
FEWEST_EPOCHS = 3  # each ends with a validation, which selects the weights
MULTIPLE = 32  # sides of crops are divisible by the largest output stride


@dataclass(frozen=True)
class Choices:
    """A recipe and what led to it.

    Attributes:
        val_images: how many images are validated after each epoch.
        sentences: one for each choice, with its reason.
    """

    recipe: Recipe
    val_images: int
    sentences: tuple[str, ...]


def choose(found: DataCheck, train: int, val: int, stated: Mapping[str, Any]) -> Choices:
    """The recipe for a data set.

    - Crops have about as many pixels as those of `Recipe` and the shape of the median image.
    - Their resolution is native where the median object of a class would be thinner than 2 pixels in the median image
      after resizing.
    - Classes are weighted by median frequency where the most frequent one has at least 20 times as many pixels as the
      rarest one.
    - An epoch has several crops of each image where there would be fewer than 1,000 updates, and there are fewer epochs
      where there would be more than 10,000.
    - At native resolution, only so many images are validated that a validation takes about as long as an epoch.

    Args:
        found: what `check_data` found in the training images, or in some of them.
        train, val: number of images.
        stated: fields of `Recipe` that the user states; they are not changed.
    """
    chosen, sentences = dict(stated), list[str]()
    for reason in (_crop(found, chosen), _weights(found, chosen), _updates(train, chosen)):
        sentences += [reason] if reason else []
    recipe = Recipe(**chosen)
    per_image = len(tiles(_median_size(found), recipe.size)) if recipe.native else 1
    # A step of the training takes about three times as long as a prediction.
    val_images = min(val, max(1, 3 * train * recipe.repeats // per_image)) if recipe.native else val
    if val_images < val:
        sentences.append(f"validation: {val_images} of {val} images, because each has about {per_image} tiles")
    return Choices(recipe, val_images, tuple(sentences))


def _crop(found: DataCheck, chosen: dict[str, Any]) -> str:
    """Choose size and resolution; returns the reason, empty where the user states both."""
    if {"size", "resolution"} <= chosen.keys():
        return ""
    height, width = chosen.setdefault("size", _like(_median_size(found)))
    rows = found.widths
    scale = np.maximum(height / rows["rows"].astype(float), width / rows["columns"].astype(float))
    resized = rows["width"].where(scale >= 1, rows["width"] * scale).groupby(rows["class"]).median()
    large = bool((scale < 1).any())
    thin = large and len(resized) > 0 and resized.min() < THIN
    resolution = chosen.setdefault("resolution", "native" if thin else "fit")
    crops = f"crops: {height} × {width} pixels"
    if resolution == "native":
        reason = f", because {resized.idxmin()} would be {resized.min():.1f} pixels wide after resizing" if thin else ""
        return f"{crops} at native resolution{reason}; predictions are made in tiles of this size"
    if large and len(resized):
        kept = f"; the thinnest class, {resized.idxmin()}, is {resized.min():.1f} pixels wide then"
        return f"{crops} of images that are resized to cover them{kept}"
    return f"{crops}, of the shape of the median image"


def _weights(found: DataCheck, chosen: dict[str, Any]) -> str:
    if "weights" in chosen or not takes_weights(chosen.get("loss", "ce")):
        return ""
    pixels = found.classes["pixels"].drop("void")
    pixels = pixels[pixels > 0]
    often, rare = (str(pixels.idxmax()), str(pixels.idxmin())) if len(pixels) else ("", "")
    ratio = pixels.max() / pixels.min() if len(pixels) > 1 else 1.0
    chosen["weights"] = "median" if ratio >= UNEQUAL else "none"
    if len(pixels) < 2:
        return "class weights: none, because the labels show fewer than two classes"
    return (
        f"class weights: {chosen['weights']}, because {often} has {ratio:,.0f} times as many pixels as {rare}"
        f" ({'at least' if ratio >= UNEQUAL else 'less than'} {UNEQUAL})"
    )


def _updates(train: int, chosen: dict[str, Any]) -> str:
    """Choose epochs, crops of each image, and a smaller batch where there are too few crops to fill one."""
    default = Recipe()
    batch, reason = chosen.get("batch", default.batch), ""
    if not {"epochs", "repeats"} & chosen.keys():
        fewest, most = STEPS
        chosen["repeats"] = max(1, -(-fewest * batch // (default.epochs * train)))
        steps = max(1, train * chosen["repeats"] // batch)
        chosen["epochs"] = min(default.epochs, max(FEWEST_EPOCHS, most // steps))
        crops = f"{chosen['repeats']} crops" if chosen["repeats"] > 1 else "1 crop"
        reason = (
            f"epochs: {chosen['epochs']}, each with {crops} of each of {train} images, which makes"
            f" {chosen['epochs'] * steps:,} updates"
        )
    chosen.setdefault("batch", min(batch, train * chosen.get("repeats", default.repeats)))
    return reason


def _median_size(found: DataCheck) -> tuple[int, int]:
    """The median height and the median width of the images."""
    sizes = pd.DataFrame([size for size, count in found.sizes.items() for _ in range(count)] or [Recipe().size])
    height, width = sizes.median()
    return int(height), int(width)


def _like(size: tuple[int, int]) -> tuple[int, int]:
    """A crop of the shape of `size`, at most twice as long as wide, with about as many pixels as the usual one."""
    pixels, aspect = Recipe().size[0] * Recipe().size[1], min(2.0, max(0.5, size[0] / size[1]))
    height, width = (MULTIPLE * round((pixels * r) ** 0.5 / MULTIPLE) for r in (aspect, 1 / aspect))
    return height, width
