"""From counts to tables: pure functions, which know nothing of models or files.

What is compared is a `GroupedCounts`: the counts of several models on the same images, in one vocabulary, per group.
"""

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
NONE = float("nan"), float("nan")


@dataclass(frozen=True, eq=False)
class GroupedCounts:
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
        shapes, classes = {parts.shape[1:] for parts in self.parts.values()}, len(self.classes)
        if len(shapes) != 1 or next(iter(shapes))[1:] != (classes, 3) or self.images.shape != (classes,):
            raise ValueError(
                f"parts of shapes (S, *{sorted(shapes)}), images of shape {self.images.shape}; expected"
                f" (S, G, {classes}, 3), the same G for all models, and ({classes},)"
            )

    @property
    def groups(self) -> int:
        """How many groups of images there are."""
        return int(next(iter(self.parts.values())).shape[1])

    @cached_property
    def shown(self) -> NDArray[np.int64]:
        """(K,) how many groups show each class."""
        counted: NDArray[np.int64] = (next(iter(self.parts.values()))[0, :, :, 1] > 0).sum(axis=0)
        return counted

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(K,) the fixed set of classes: those that the targets show."""
        present: NDArray[np.bool_] = self.images > 0
        return present

    @cached_property
    def iou(self) -> Mapping[str, Floats]:
        """Model → (S, K) over all images, for each seed."""
        return {model: iou(parts.sum(axis=1)) for model, parts in self.parts.items()}

    def miou(self, model: str) -> Floats:
        """(S,) the mean over the classes that the targets show, for each seed."""
        return self.iou[model][:, self.present].mean(axis=1)

    def why(self, k: int) -> str:
        """The sentence that stands in place of an interval for a class; empty where it gets one."""
        few = FEW_IMAGES if self.images[k] < FEW else ONE_GROUP if self.shown[k] == 1 else ""
        return ABSENT if not self.images[k] else ONE_GROUP if self.groups == 1 else few


@dataclass(frozen=True, eq=False)
class Resampled:
    """A grouped with other images, and other seeds, many times: the same draws of images for all models.

    Attributes:
        iou: model → (R, K), in each of R draws the mean over the drawn seeds.
    """

    grouped: GroupedCounts
    iou: Mapping[str, Floats]

    def miou(self, model: str) -> Estimate:
        """The mean over the classes that the targets show."""
        drawn = self.iou[model][:, self.grouped.present].mean(axis=1)
        return Estimate((self.grouped.miou(model),), drawn, self.grouped.groups)

    def class_iou(self, model: str, k: int) -> Estimate:
        """One class; it rests on the groups that show it."""
        return Estimate((self.grouped.iou[model][:, k],), self.iou[model][:, k], int(self.grouped.shown[k]))


def resample(grouped: GroupedCounts, resamples: int = RESAMPLES, seed: int = 0) -> Resampled | None:
    """Draw groups of images, the same ones for all models, and seeds; None for a single group."""
    if grouped.groups == 1:
        return None
    weights = draws(grouped.groups, resamples, seed)
    drawn = {}
    for k, (model, parts) in enumerate(grouped.parts.items()):
        each, seeds = resampled_iou(parts, weights), len(parts)
        which = draws(seeds, resamples, seed + 1 + k) / (seeds - 1) if seeds > 1 else np.ones((resamples, 1))
        drawn[model] = np.einsum("srk,rs->rk", each, which)
    return Resampled(grouped, drawn)


def scope(grouped: GroupedCounts) -> str:
    """What intervals of this grouped cover, in words."""
    if grouped.groups == 1:
        return ONE_GROUP
    several = [model for model, parts in grouped.parts.items() if len(parts) > 1]
    if len(several) == len(grouped.parts):
        return IMAGES_AND_SEEDS
    return f"{IMAGES_ONLY}, except for {', '.join(several)}, where seeds are resampled too" if several else IMAGES_ONLY


def mean_iou_table(grouped: GroupedCounts, drawn: Resampled | None) -> pd.DataFrame:
    """mIoU of each model: the mean over its seeds, its interval, and each seed.

    Returns:
        Rows are models, best first; columns miou, low, high, seeds (list of each seed's mIoU), why (in place of an
        interval).
    """
    rows = {}
    for model in grouped.parts:
        each = grouped.miou(model)
        low, high = _within(drawn.miou(model)) if drawn else NONE
        why = "" if drawn else ONE_GROUP
        rows[model] = [float(each.mean()), low, high, [round(float(value), 4) for value in each], why]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["miou", "low", "high", "seeds", "why"])
    return table.rename_axis("model").sort_values("miou", ascending=False, kind="stable")


def pairwise_table(grouped: GroupedCounts, drawn: Resampled | None, level: float = LEVEL) -> pd.DataFrame:
    """The primary result of a comparison: differences of mIoU between all pairs, with simultaneous intervals.

    Returns:
        A row a pair, the better model first: better, worse, difference, low, high, separable (the interval leaves
        out 0), flips (share of resamples in which the order flips), why (in place of an
        interval).

    Raises:
        ValueError: there is only one model.
    """
    order = sorted(grouped.parts, key=lambda model: -grouped.miou(model).mean())
    pairs = list(combinations(order, 2))
    if not pairs:
        raise ValueError(f"{order[0]} alone is no comparison; evaluate another model into the same store")
    differences = [float(grouped.miou(a).mean() - grouped.miou(b).mean()) for a, b in pairs]
    table = pd.DataFrame(pairs, columns=["better", "worse"]).assign(difference=differences)
    if drawn is None:
        return table.assign(low=np.nan, high=np.nan, separable=False, flips=np.nan, why=ONE_GROUP)
    estimates = [drawn.miou(a) - drawn.miou(b) for a, b in pairs]
    low, high = intervals(estimates, level)
    separable, flips = (low > 0) | (high < 0), [estimate.flips for estimate in estimates]
    return table.assign(low=low.clip(-1), high=high.clip(max=1), separable=separable, flips=flips, why="")


def class_table(grouped: GroupedCounts, drawn: Resampled | None, model: str) -> pd.DataFrame:
    """IoU of each class of one model, exploratory: iou (the mean over seeds), low, high, images, why.

    Its intervals hold one by one, not all at once.
    """
    rows = []
    for k, value in enumerate(grouped.iou[model].mean(axis=0)):
        why = grouped.why(k)
        low, high = _within(drawn.class_iou(model, k)) if drawn and not why else NONE
        rows.append([float(value), low, high, int(grouped.images[k]), why])
    index = pd.Index(grouped.classes, name="class")
    return pd.DataFrame(rows, index=index, columns=["iou", "low", "high", "images", "why"])


def not_separable(grouped: GroupedCounts, drawn: Resampled | None, level: float = LEVEL) -> pd.DataFrame:
    """Which models cannot be told from the best one, class by class: what a table sets in bold. Exploratory.

    Within a class the intervals of all pairs hold at once, so that which model happens to be best does not matter.

    Returns:
        bool, rows classes, columns models. Nothing is True for a class without intervals, see `class_table`.
    """
    models = list(grouped.parts)
    table = pd.DataFrame(False, index=pd.Index(grouped.classes, name="class"), columns=models)
    if drawn is None or len(models) == 1:
        return table
    for k in (k for k in range(len(grouped.classes)) if not grouped.why(k)):
        found = {model: drawn.class_iou(model, k) for model in models}
        best, *others = sorted(models, key=lambda model: -found[model].value)
        low, _ = intervals([found[a] - found[b] for a, b in combinations([best, *others], 2)], level)
        table.loc[grouped.classes[k], [best, *others]] = [
            True,
            *(low[: len(others)] <= 0),
        ]  # pairs with the best: first
    return table


def _within(estimate: Estimate) -> tuple[float, float]:
    """The interval of an IoU, which cannot lie outside 0–1."""
    (low,), (high,) = intervals([estimate])
    return max(float(low), 0.0), min(float(high), 1.0)
