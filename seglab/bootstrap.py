"""How far a number would move with other images: the bootstrap, on counts.

Images are drawn again, as many as there are, with replacement; or groups of images where some were recorded together,
since two frames of one drive say less than two drives. All models get the same draws, so that what is hard for all of
them drops out of a difference. Every draw sums counts and divides then: a ratio of sums over a fixed set of classes,
as the number itself (Efron & Tibshirani 1993).

`parts` are counts (…, G, K, 3): for each group and class, pixels that are hit, of the target, and predicted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEVEL = 0.95
RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A value and what it might have been with other images.

    Attributes:
        low, high: ends of the interval; NaN where there is none.
        why: the sentence that stands in place of an interval.
    """

    value: float
    low: float
    high: float
    why: str = ""


def draws(groups: int, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each group is drawn in each resample: (resamples, groups), rows sum to `groups`.

    The same numbers on every machine and with every version of NumPy: they come from raw bits.
    """
    if groups < 1 or resamples < 1:
        raise ValueError(f"{groups} groups and {resamples} resamples; expected at least one of each")
    bits = np.random.PCG64(seed).random_raw(resamples * groups)
    which = (bits % groups).astype(np.int64).reshape(resamples, groups)
    index = which + groups * np.arange(resamples)[:, None]
    return np.bincount(index.ravel(), minlength=resamples * groups).reshape(resamples, groups).astype(np.float64)


def iou(parts: ArrayLike) -> Floats:
    """IoU from (…, K, 3) parts: (…, K), NaN where a class is in neither target nor prediction."""
    hits, target, pred = np.moveaxis(np.asarray(parts, np.float64), -1, 0)
    union = target + pred - hits
    return np.divide(hits, union, out=np.full(union.shape, np.nan), where=union > 0)


def resampled_iou(parts: Counts, weights: Floats) -> Floats:
    """IoU of each class in each resample: (…, G, K, 3) parts and (R, G) weights → (…, R, K).

    The sums are of integers below 2⁵³ and so exact. Where a draw holds nothing of a class, the class keeps the value
    that it has over all images: the set of classes stays what it is.
    """
    *models, groups, classes, _ = parts.shape
    flat = parts.reshape(*models, groups, classes * 3).astype(np.float64)
    drawn = iou((weights @ flat).reshape(*models, len(weights), classes, 3))
    return np.where(np.isnan(drawn), iou(parts.sum(axis=-3))[..., None, :], drawn)


def percentile_interval(value: float, drawn: Floats, level: float = LEVEL) -> Interval:
    """The middle `level` of the resamples."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def simultaneous_intervals(values: Floats, drawn: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Intervals for several numbers that hold all at once with probability `level`: the max-T method.

    Each number is measured in its own standard error; the interval is as many of them wide as the largest deviation
    among all numbers needs in `level` of the resamples (Westfall & Young 1993; Hothorn, Bretz & Westfall 2008).

    Args:
        values: (P,), and `drawn` (R, P), the same numbers in each resample.

    Returns:
        Low and high ends, (P,) each.
    """
    error = drawn.std(axis=0, ddof=1)
    deviation = np.abs(drawn - values)
    largest = np.divide(deviation, error, out=np.zeros_like(deviation), where=error > 0).max(axis=1)
    reach = np.quantile(largest, level) * error
    return values - reach, values + reach


def flip_share(difference: float, drawn: Floats) -> float:
    """Share of the resamples in which the order of two models flips; a tie counts half."""
    against = drawn < 0 if difference > 0 else drawn > 0
    return float(np.mean(against + 0.5 * (drawn == 0)))
