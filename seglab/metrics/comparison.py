"""From counts to tables: models compared in one class set on the same images, with confidence intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.metrics.bootstrap import FEW, LEVEL, RESAMPLES, Estimate, Floats, draws, intervals, resampled_iou
from seglab.metrics.confusion import Counts
from seglab.metrics.measures import iou

ONE_GROUP = "one clip: no interval"
FEW_IMAGES = f"in fewer than {FEW} images: no interval"
ABSENT = "not in these images"
IMAGES_ONLY = "covers test images, not retraining"
IMAGES_AND_SEEDS = "covers test images and training seeds"
NO_INTERVAL = float("nan"), float("nan")


@dataclass(frozen=True, eq=False)
class GroupedCounts:
    """Counts of several models on the same images; a ValueError if their shapes differ in G or K.

    Attributes:
        parts: model → int64 (S, G, K, 3): true positives, target pixels and predicted pixels for each of S training
            seeds, G groups of images and K classes; see `metrics.parts`.
        classes: names of the K classes.
        images: (K,) number of images whose target contains each class.
    """

    parts: Mapping[str, Counts]
    classes: tuple[str, ...]
    images: NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes, classes = {parts.shape[1:] for parts in self.parts.values()}, len(self.classes)
        if len(shapes) != 1 or next(iter(shapes))[1:] != (classes, 3) or self.images.shape != (classes,):
            raise ValueError(
                f"parts of shapes (S, *{sorted(shapes)}), images of shape {self.images.shape}; expected"
                f" (S, G, {classes}, 3), the same G for all models, and ({classes},)"
            )

    @property
    def groups(self) -> int:
        """The number G of groups of images."""
        return int(next(iter(self.parts.values())).shape[1])

    @cached_property
    def groups_of_class(self) -> NDArray[np.int64]:
        """(K,) the number of groups whose target contains each class."""
        return np.count_nonzero(next(iter(self.parts.values()))[0, :, :, 1], axis=0)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(K,) whether the target contains the class in any image: the classes over which every mean is taken."""
        return np.asarray(self.images > 0)

    @cached_property
    def iou(self) -> Mapping[str, Floats]:
        """Model → (S, K) IoU over all images, for each seed."""
        return {model: iou(parts.sum(axis=1)) for model, parts in self.parts.items()}

    def miou(self, model: str) -> Floats:
        """(S,) the mean over the `present` classes, for each seed."""
        return self.iou[model][:, self.present].mean(axis=1)

    def why(self, k: int) -> str:
        """The reason why class `k` has no interval; empty if it has one."""
        few = FEW_IMAGES if self.images[k] < FEW else ONE_GROUP if self.groups_of_class[k] == 1 else ""
        return ABSENT if not self.images[k] else ONE_GROUP if self.groups == 1 else few


@dataclass(frozen=True, eq=False)
class Resampled:
    """The IoU of grouped counts in R resamples of groups and seeds; all models share the resamples of groups.

    Attributes:
        iou: model → (R, K), in each resample the mean over the resampled seeds.
    """

    grouped: GroupedCounts
    iou: Mapping[str, Floats]

    def miou(self, model: str) -> Estimate:
        """The mean over the `present` classes."""
        resampled = self.iou[model][:, self.grouped.present].mean(axis=1)
        return Estimate((self.grouped.miou(model),), resampled, self.grouped.groups)

    def class_iou(self, model: str, k: int) -> Estimate:
        """The IoU of class `k`, based on the groups that contain it."""
        return Estimate((self.grouped.iou[model][:, k],), self.iou[model][:, k], int(self.grouped.groups_of_class[k]))


def resample(grouped: GroupedCounts, resamples: int = RESAMPLES, seed: int = 0) -> Resampled | None:
    """Resample groups of images, the same for all models, and the training seeds of each; None for a single group."""
    if grouped.groups == 1:
        return None
    weights = draws(grouped.groups, resamples, seed)
    resampled = {}
    for k, (model, parts) in enumerate(grouped.parts.items()):
        seeds = len(parts)
        of_seeds = draws(seeds, resamples, seed + 1 + k) / (seeds - 1) if seeds > 1 else np.ones((resamples, 1))
        resampled[model] = np.einsum("srk,rs->rk", resampled_iou(parts, weights), of_seeds)
    return Resampled(grouped, resampled)


def scope(grouped: GroupedCounts) -> str:
    """The sources of variation that the intervals cover, as a sentence."""
    if grouped.groups == 1:
        return ONE_GROUP
    several = [model for model, parts in grouped.parts.items() if len(parts) > 1]
    if len(several) == len(grouped.parts):
        return IMAGES_AND_SEEDS
    return f"{IMAGES_ONLY}, except for {', '.join(several)}, where seeds are resampled too" if several else IMAGES_ONLY


def mean_iou_table(grouped: GroupedCounts, resampled: Resampled | None) -> pd.DataFrame:
    """mIoU of each model with its 95 % confidence interval, one row per model, best first.

    Columns: miou (mean over seeds), low, high, seeds (list of each seed's mIoU), why (the reason for no interval).
    """
    rows = {}
    for model in grouped.parts:
        each = grouped.miou(model)
        low, high = _interval(resampled.miou(model)) if resampled else NO_INTERVAL
        seeds = [round(float(value), 4) for value in each]
        rows[model] = [float(each.mean()), low, high, seeds, "" if resampled else ONE_GROUP]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["miou", "low", "high", "seeds", "why"])
    return table.rename_axis("model").sort_values("miou", ascending=False, kind="stable")


def pairwise_table(grouped: GroupedCounts, resampled: Resampled | None, level: float = LEVEL) -> pd.DataFrame:
    """The primary result of a comparison: differences of mIoU between all pairs, with simultaneous intervals.

    Returns:
        One row per pair: better, worse (models), difference, low, high, separable (the interval excludes 0), flips
        (fraction of resamples with the opposite order), why (the reason for no interval).

    Raises:
        ValueError: there is only one model.
    """
    order = sorted(grouped.parts, key=lambda model: -grouped.miou(model).mean())
    pairs = list(combinations(order, 2))
    if not pairs:
        raise ValueError(f"{order[0]} alone is no comparison; evaluate another model into the same store")
    differences = [float(grouped.miou(a).mean() - grouped.miou(b).mean()) for a, b in pairs]
    table = pd.DataFrame(pairs, columns=["better", "worse"]).assign(difference=differences)
    if resampled is None:
        return table.assign(low=np.nan, high=np.nan, separable=False, flips=np.nan, why=ONE_GROUP)
    estimates = [resampled.miou(a) - resampled.miou(b) for a, b in pairs]
    low, high = intervals(estimates, level)
    table = table.assign(low=low.clip(-1), high=high.clip(max=1), separable=(low > 0) | (high < 0))
    return table.assign(flips=[estimate.flips for estimate in estimates], why="")


def class_table(grouped: GroupedCounts, resampled: Resampled | None, model: str) -> pd.DataFrame:
    """IoU of each class of one model, one row per class. Exploratory: its 95 % intervals are not simultaneous.

    Columns: iou (mean over seeds), low, high, images (that contain the class), why (the reason for no interval).
    """
    rows = []
    for k, value in enumerate(grouped.iou[model].mean(axis=0)):
        why = grouped.why(k)
        low, high = _interval(resampled.class_iou(model, k)) if resampled and not why else NO_INTERVAL
        rows.append([float(value), low, high, int(grouped.images[k]), why])
    return pd.DataFrame(rows, pd.Index(grouped.classes, name="class"), ["iou", "low", "high", "images", "why"])


def not_separable(grouped: GroupedCounts, resampled: Resampled | None, level: float = LEVEL) -> pd.DataFrame:
    """For each class, the best model and those not significantly different from it (bold in a table). Exploratory.

    Returns bool, rows classes, columns models; all False for a class without intervals, see `class_table`. The
    intervals of all pairs in a class are simultaneous, so they allow for choosing the best model from the same data.
    """
    models = list(grouped.parts)
    table = pd.DataFrame(False, index=pd.Index(grouped.classes, name="class"), columns=models)
    if resampled is None or len(models) == 1:
        return table
    for k in (k for k in range(len(grouped.classes)) if not grouped.why(k)):
        found = {model: resampled.class_iou(model, k) for model in models}
        best, *others = sorted(models, key=lambda model: -found[model].value)
        low, _ = intervals([found[a] - found[b] for a, b in combinations([best, *others], 2)], level)
        table.loc[grouped.classes[k], [best, *others]] = [True, *(low[: len(others)] <= 0)]  # its pairs are the first
    return table


def _interval(estimate: Estimate) -> tuple[float, float]:
    """The confidence interval of an IoU, clipped to 0–1."""
    (low,), (high,) = intervals([estimate])
    return max(float(low), 0.0), min(float(high), 1.0)
