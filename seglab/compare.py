"""From counts to tables: pure functions, which know nothing of models or files.

What is compared is a `Sheet`: the counts of several models on the same images, in one vocabulary, per group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.bootstrap import (
    LEVEL,
    RESAMPLES,
    Counts,
    Floats,
    Interval,
    draws,
    flip_share,
    iou,
    percentile_interval,
    resampled_iou,
    simultaneous_intervals,
)

FEW = 10  # images; a class in fewer gets no interval
ONE_GROUP = "one clip: no interval"
FEW_IMAGES = f"in fewer than {FEW} images: no interval"
IMAGES_ONLY = "covers test images, not retraining"
IMAGES_AND_SEEDS = "covers test images and training seeds"


@dataclass(frozen=True)
class Sheet:
    """Counts of several models on the same images.

    Attributes:
        parts: model → int64 (S, G, K, 3): for each training seed, group of images and class, pixels that are hit,
            of the target, and predicted.
        classes: names of the K classes.
        images: (K,) how many images show each class.
    """

    parts: Mapping[str, Counts]
    classes: tuple[str, ...]
    images: NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes = {parts.shape[1:] for parts in self.parts.values()}
        if len(shapes) != 1 or (expected := (len(self.classes), 3)) != next(iter(shapes))[1:]:
            raise ValueError(f"parts of shapes {shapes}; expected (S, G, *{expected}), the same G for all models")

    @property
    def groups(self) -> int:
        return int(next(iter(self.parts.values())).shape[1])

    @property
    def present(self) -> NDArray[np.bool_]:
        """(K,) the fixed set of classes: those that the targets show."""
        shown: NDArray[np.bool_] = self.images > 0
        return shown

    def iou(self, model: str) -> Floats:
        """(S, K) over all images, for each seed."""
        return iou(self.parts[model].sum(axis=1))

    def miou(self, model: str) -> Floats:
        """(S,) the mean over the classes that the targets show, for each seed."""
        return self.iou(model)[:, self.present].mean(axis=1)


@dataclass(frozen=True)
class Resampled:
    """A sheet with other images, and other seeds, many times: the same draws of images for all models.

    Attributes:
        iou: model → (R, K), in each of R draws the mean over the drawn seeds.
    """

    sheet: Sheet
    iou: Mapping[str, Floats]

    def miou(self, model: str) -> Floats:
        """(R,)"""
        return self.iou[model][:, self.sheet.present].mean(axis=1)


def resample(sheet: Sheet, resamples: int = RESAMPLES, seed: int = 0) -> Resampled | None:
    """Draw groups of images, the same ones for all models, and seeds; None for a single group."""
    if sheet.groups == 1:
        return None
    weights = draws(sheet.groups, resamples, seed)
    drawn = {}
    for k, (model, parts) in enumerate(sheet.parts.items()):
        seeds = len(parts)
        which = draws(seeds, resamples, seed + 1 + k) / seeds if seeds > 1 else np.ones((resamples, 1))
        drawn[model] = np.einsum("srk,rs->rk", resampled_iou(parts, weights), which)
    return Resampled(sheet, drawn)


def scope(sheet: Sheet) -> str:
    """What intervals of this sheet cover, in words."""
    if sheet.groups == 1:
        return ONE_GROUP
    several = [len(parts) > 1 for parts in sheet.parts.values()]
    if not any(several):
        return IMAGES_ONLY
    if all(several):
        return IMAGES_AND_SEEDS
    names = ", ".join(model for model, parts in sheet.parts.items() if len(parts) > 1)
    return f"{IMAGES_ONLY}, except for {names}, where seeds are resampled too"


def mean_iou_table(sheet: Sheet, drawn: Resampled | None) -> pd.DataFrame:
    """mIoU of each model: the mean over its seeds, its interval, and each seed.

    Returns:
        Rows are models, best first; columns miou, low, high, seeds (list of each seed's mIoU), why.
    """
    rows = {}
    for model in sheet.parts:
        value = float(sheet.miou(model).mean())
        interval = percentile_interval(value, drawn.miou(model)) if drawn else _none(value, ONE_GROUP)
        each = [round(float(v), 4) for v in sheet.miou(model)]
        rows[model] = [value, interval.low, interval.high, each, interval.why]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["miou", "low", "high", "seeds", "why"])
    return table.rename_axis("model").sort_values("miou", ascending=False, kind="stable")


def pairwise_table(sheet: Sheet, drawn: Resampled | None, level: float = LEVEL) -> pd.DataFrame:
    """The primary result of a comparison: differences of mIoU between all pairs, with simultaneous intervals.

    Returns:
        A row a pair, the better model first: better, worse, difference, low, high, separable (the interval leaves
        out 0), flips (share of resamples in which the order flips), why.
    """
    order = sorted(sheet.parts, key=lambda model: -sheet.miou(model).mean())
    pairs = list(combinations(order, 2))
    if not pairs:
        raise ValueError("one model is no comparison; evaluate another one into the same store")
    values = np.array([sheet.miou(a).mean() - sheet.miou(b).mean() for a, b in pairs])
    table = pd.DataFrame(pairs, columns=["better", "worse"]).assign(difference=values)
    if drawn is None:
        return table.assign(low=np.nan, high=np.nan, separable=False, flips=np.nan, why=ONE_GROUP)
    differences = np.stack([drawn.miou(a) - drawn.miou(b) for a, b in pairs], axis=1)
    low, high = simultaneous_intervals(values, differences, level)
    flips = [flip_share(v, d) for v, d in zip(values, differences.T, strict=True)]
    return table.assign(low=low, high=high, separable=(low > 0) | (high < 0), flips=flips, why="")


def class_table(sheet: Sheet, drawn: Resampled | None, model: str) -> pd.DataFrame:
    """IoU of each class of one model, exploratory: iou, low, high, images, why. The mean over seeds."""
    values = sheet.iou(model).mean(axis=0)
    rows = []
    for k, name in enumerate(sheet.classes):
        why = "not in these images" if not sheet.images[k] else ONE_GROUP if drawn is None else ""
        why = why or (FEW_IMAGES if sheet.images[k] < FEW else "")
        if drawn is None or why:
            interval = _none(values[k], why)
        else:
            interval = percentile_interval(values[k], drawn.iou[model][:, k])
        rows.append([name, interval.value, interval.low, interval.high, int(sheet.images[k]), why])
    return pd.DataFrame(rows, columns=["class", "iou", "low", "high", "images", "why"]).set_index("class")


def not_separable(sheet: Sheet, drawn: Resampled | None, level: float = LEVEL) -> pd.DataFrame:
    """Which models cannot be told from the best one, class by class: what a table sets in bold. Exploratory.

    Returns:
        bool, rows classes, columns models. Nothing is True for a class without intervals, see `class_table`.
    """
    models = list(sheet.parts)
    table = pd.DataFrame(False, index=pd.Index(sheet.classes, name="class"), columns=models)
    if drawn is None:
        return table
    for k, name in enumerate(sheet.classes):
        if sheet.images[k] < FEW:
            continue
        values = np.array([sheet.iou(model)[:, k].mean() for model in models])
        best = int(values.argmax())
        differences = np.stack([drawn.iou[models[best]][:, k] - drawn.iou[model][:, k] for model in models], axis=1)
        low, _ = simultaneous_intervals(values[best] - values, differences, level)
        table.loc[name] = low <= 0
    return table


def _none(value: float, why: str) -> Interval:
    return Interval(float(value), float("nan"), float("nan"), why)
