"""The bootstrap on counts: how much an IoU would vary with other images (Efron & Tibshirani 1993).

Groups of images are resampled with replacement: images recorded together, such as frames of one drive, are dependent
and form a group. All models share the resamples (a paired comparison), so what is hard for all of them cancels in a
difference. Each resample sums counts before it divides, like the IoU of the data set itself. From n groups, n − 1 are
drawn (Rao & Wu 1988); with n draws the variance would be too small by the factor (n − 1) / n: much for few groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from seglab.metrics.confusion import Counts
from seglab.metrics.measures import iou

Floats = NDArray[np.float64]
LEVEL, RESAMPLES = 0.95, 1000  # confidence level, number of resamples
FEW = 10  # with fewer groups, or fewer images that show a class, a spread cannot be estimated reliably


def draws(count: int, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each of `count` groups is drawn in each resample: (resamples, count), rows sum to `count` − 1.

    The numbers are computed from raw bits, so they are the same on every machine and with every version of NumPy.

    Raises:
        ValueError: fewer than two groups to draw from, or no resample.
    """
    if count < 2 or resamples < 1:
        raise ValueError(f"{resamples} resamples of {count} groups; expected one or more, of at least two groups")
    bits = np.random.PCG64(seed).random_raw(resamples * (count - 1))
    which = (bits % count).astype(np.int64).reshape(resamples, count - 1)
    index = which + count * np.arange(resamples)[:, None]
    return np.bincount(index.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)


def resampled_iou(parts: Counts, weights: Floats) -> Floats:
    """IoU of each class in each resample, from (…, G, K, 3) `metrics.parts` and (R, G) `draws`: (…, R, K), 0–1.

    Sums are of integers below 2⁵³, so float64 is exact. A class absent from a resample keeps its IoU over all images,
    so that every resample averages the same classes; the result is NaN only for classes absent from all images.
    """
    *models, groups, classes, _ = parts.shape
    flat = parts.reshape(*models, groups, classes * 3).astype(np.float64)
    resampled = iou((weights @ flat).reshape(*models, len(weights), classes, 3))
    return np.where(np.isnan(resampled), iou(parts.sum(axis=-3))[..., None, :], resampled)


@dataclass(frozen=True)
class Estimate:
    """An IoU, a mean of IoUs, or a difference of two models, with its values in the resamples.

    Attributes:
        seeds: for each model involved, its value for each of S training seeds, (S,); negative for a subtracted model.
        resampled: (R,) the value in each resample.
        groups: number of groups of images behind the value.
    """

    seeds: tuple[Floats, ...]
    resampled: Floats
    groups: int

    @property
    def value(self) -> float:
        """The estimate: the mean over training seeds."""
        return float(sum(seeds.mean() for seeds in self.seeds))

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference: both sides are taken from the same resamples."""
        seeds = *self.seeds, *(-theirs for theirs in other.seeds)
        return Estimate(seeds, self.resampled - other.resampled, min(self.groups, other.groups))

    @property
    def flips(self) -> float:
        """Fraction of resamples whose sign is opposite to that of the value; a resample with value 0 counts half."""
        against = self.resampled < 0 if self.value > 0 else self.resampled > 0
        return float(np.mean(against + 0.5 * (self.resampled == 0)))

    @property
    def degrees_of_freedom(self) -> float:
        """Effective degrees of freedom of the variance, whose sources are images and seeds (Satterthwaite 1946)."""
        sources = [(float(seeds.var(ddof=1)) / len(seeds), len(seeds) - 1) for seeds in self.seeds if len(seeds) > 1]
        of_seeds = sum(variance for variance, _ in sources)
        sources.append((max(float(self.resampled.var(ddof=1)) - of_seeds, 0.0), self.groups - 1))  # images: the rest
        weighted = sum(variance**2 / degrees for variance, degrees in sources)
        return sum(variance for variance, _ in sources) ** 2 / weighted if weighted else float(self.groups - 1)


def intervals(estimates: Sequence[Estimate], level: float = LEVEL) -> tuple[Floats, Floats]:
    """Simultaneous confidence intervals: with probability `level`, all of them contain their true values.

    The max-T method (Westfall & Young 1993; Hothorn, Bretz & Westfall 2008): each deviation of a resample is divided by
    the standard error of its estimate; every interval has the same half-width in standard errors, the `level` quantile
    of the largest absolute deviation over all estimates. This quantile is too small for few groups (Hesterberg 2015).
    So Student's t with the same tail probability replaces it; it is at least the half-width of a single t interval
    and, below `FEW` − 1 degrees of freedom, at least that of Bonferroni's correction.

    Returns:
        Lower and upper ends, (P,) each, for P estimates.
    """
    values, degrees = np.array([[e.value, e.degrees_of_freedom] for e in estimates]).T
    resampled = np.stack([estimate.resampled for estimate in estimates], axis=1)
    error = resampled.std(axis=0, ddof=1)
    deviation = np.abs(resampled - values)
    largest = np.divide(deviation, error, out=np.zeros_like(deviation), where=error > 0).max(axis=1)
    tail = (1 - level) / 2
    beyond = np.minimum(ndtr(-np.quantile(largest, level)), np.where(degrees < FEW - 1, tail / len(estimates), tail))
    half_width = error * -stdtrit(degrees, beyond)
    return values - half_width, values + half_width
