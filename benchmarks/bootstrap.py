"""A thousand resamples of 5,000 images × 21 classes, against the loop that everybody writes.

Both draw the same images, sum the counts of each class and divide; the answers are compared first.
"""

from time import perf_counter

import numpy as np
import pandas as pd
from common import header, milliseconds, show

from seglab.metrics.bootstrap import Floats, draws, resampled_iou
from seglab.metrics.comparison import GroupedCounts, pairwise_table, resample
from seglab.metrics.confusion import Counts
from seglab.metrics.measures import iou

RESAMPLES, IMAGES, CLASSES = 1000, 5000, 21


def images(quality: float, seed: int) -> Counts:
    """Counts of random images, as many classes each as a photograph has: int64 (N, K, 3)."""
    dice = np.random.default_rng(0)
    target = dice.integers(1000, 50_000, (IMAGES, CLASSES)) * (dice.random((IMAGES, CLASSES)) < 0.1)
    hits = np.random.default_rng(seed).binomial(target, quality)
    return np.stack([hits, target, hits], axis=-1)


def loop(parts: Counts, weights: Floats) -> Floats:
    which = [np.repeat(np.arange(IMAGES), row.astype(int)) for row in weights]
    return np.stack([iou(parts[chosen].sum(axis=0)) for chosen in which])


def main() -> None:
    header()
    parts = images(0.7, seed=1)
    weights = draws(IMAGES, RESAMPLES)
    np.testing.assert_allclose(resampled_iou(parts, weights), loop(parts, weights), rtol=1e-12)
    ours = {"draw": lambda: draws(IMAGES, RESAMPLES), "sum and divide": lambda: resampled_iou(parts, weights)}
    times = milliseconds({**ours, "loop over resamples": lambda: loop(parts, weights)}, rounds=3)
    table = pd.DataFrame({"ms": times})
    table.loc["draw, sum and divide"] = times["draw"] + times["sum and divide"]
    table["times ours"] = table["ms"] / table["ms"]["draw, sum and divide"]
    show(f"{RESAMPLES} resamples of {IMAGES} images × {CLASSES} classes", table)

    names = [f"model {i}" for i in range(6)]
    shown = (parts[..., 1] > 0).sum(axis=0)
    grouped = GroupedCounts({name: images(0.6 + 0.02 * i, seed=i)[None] for i, name in enumerate(names)},
                  tuple(map(str, range(CLASSES))), shown)  # fmt: skip
    start = perf_counter()
    pairs = pairwise_table(grouped, resample(grouped, RESAMPLES))
    print(f"\n{len(names)} models, {len(pairs)} pairs, all intervals at once: {perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
