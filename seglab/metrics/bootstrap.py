"""How far a number would move with other images: the bootstrap, on counts.

Images are drawn again with replacement; or groups of images where some were recorded together, since two frames of one
drive say less than two drives. All models get the same draws, so that what is hard for all of them drops out of a
difference. Every draw sums counts and divides then: a ratio of sums over a fixed set of classes, as the number itself
(Efron & Tibshirani 1993).

With n things to draw from, n − 1 are drawn: n of them would make the spread too small by the factor (n − 1) / n, which
hardly matters for a thousand images, and much for three seeds or two drives (Rao & Wu 1988).

`parts` are counts (…, G, K, 3), for each group and class, see `metrics.parts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from seglab.metrics.confusion import Counts
from seglab.metrics.measures import iou

Floats = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 1000
FEW = 10  # groups, or images that show a class: what a spread can hardly be told from


def draws(count: int, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each of `count` things is drawn in each resample: (resamples, count), rows sum to `count` − 1.

    The same numbers on every machine and with every version of NumPy: they come from raw bits.

    Raises:
        ValueError: fewer than two things to draw from, or no resample.
    """
    if count < 2 or resamples < 1:
        raise ValueError(f"{resamples} resamples of {count}; expected at least one, of at least two things")
    bits = np.random.PCG64(seed).random_raw(resamples * (count - 1))
    which = (bits % count).astype(np.int64).reshape(resamples, count - 1)
    index = which + count * np.arange(resamples)[:, None]
    return np.bincount(index.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)


def resampled_iou(parts: Counts, weights: Floats) -> Floats:
    """IoU of each class in each resample: (…, G, K, 3) parts and (R, G) weights → (…, R, K).

    The sums are of integers below 2⁵³ and so exact. Where a draw holds nothing of a class, the class keeps the value
    that it has over all images: the set of classes stays what it is.
    """
    *models, groups, classes, _ = parts.shape
    flat = parts.reshape(*models, groups, classes * 3).astype(np.float64)
    drawn = iou((weights @ flat).reshape(*models, len(weights), classes, 3))
    return np.where(np.isnan(drawn), iou(parts.sum(axis=-3))[..., None, :], drawn)


@dataclass(frozen=True)
class Estimate:
    """A number, and how it moves: an IoU, a mean of them, or a difference of two models.

    Attributes:
        seeds: for each model in it, (S,) what each of its trainings gives.
        drawn: (R,) what it is in each resample.
        groups: how many groups of images it rests on.
    """

    seeds: tuple[Floats, ...]
    drawn: Floats
    groups: int

    @property
    def value(self) -> float:
        """The number itself: the mean over the trainings."""
        return float(sum(seeds.mean() for seeds in self.seeds))

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference of two numbers on the same draws."""
        seeds = *self.seeds, *(-theirs for theirs in other.seeds)
        return Estimate(seeds, self.drawn - other.drawn, min(self.groups, other.groups))

    @property
    def flips(self) -> float:
        """The share of resamples with the other sign; 0 itself counts half."""
        against = self.drawn < 0 if self.value > 0 else self.drawn > 0
        return float(np.mean(against + 0.5 * (self.drawn == 0)))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of its variance, whose sources are images and seeds (Satterthwaite 1946)."""
        total = float(self.drawn.var(ddof=1))
        sources = [(float(seeds.var(ddof=1)) / len(seeds), len(seeds) - 1) for seeds in self.seeds if len(seeds) > 1]
        images = max(total - sum(variance for variance, _ in sources), 0.0)
        sources.append((images, self.groups - 1))
        weighed = sum(variance**2 / freedom for variance, freedom in sources)
        return sum(variance for variance, _ in sources) ** 2 / weighed if weighed else float(self.groups - 1)


def intervals(estimates: Sequence[Estimate], level: float = LEVEL) -> tuple[Floats, Floats]:
    """Intervals for several numbers that hold all at once with probability `level`: the max-T method.

    Each number is measured in its own standard error. The intervals are as many of these wide as the largest deviation
    among all numbers stays within in `level` of the resamples (Westfall & Young 1993; Hothorn, Bretz & Westfall 2008).

    That many are for normal numbers; Student's t says how many it takes where the standard error itself is uncertain,
    and one number never gets fewer than t gives it: few groups have too short intervals otherwise (Hesterberg 2015).
    A handful of groups cannot show how rare the largest deviation is, either: Bonferroni's bound stands in for it.

    Returns:
        Low and high ends, (P,) each, for P numbers.
    """
    values, freedom = np.array([[e.value, e.freedom] for e in estimates]).T
    drawn = np.stack([estimate.drawn for estimate in estimates], axis=1)
    error = drawn.std(axis=0, ddof=1)
    deviation = np.abs(drawn - values)
    largest = np.divide(deviation, error, out=np.zeros_like(deviation), where=error > 0).max(axis=1)
    tail = (1 - level) / 2
    beyond = np.minimum(ndtr(-np.quantile(largest, level)), np.where(freedom < FEW - 1, tail / len(estimates), tail))
    reach = error * -stdtrit(freedom, beyond)
    return values - reach, values + reach
