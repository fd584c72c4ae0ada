"""From pixels to counts, from counts to measures.

Everything here is computed from one small table: how many pixels of target class t were called p. Rows
are targets, columns predictions, void is left out. The table adds up exactly over images and machines,
and each measure is a few lines over it. A measure is a `Score`: a float that knows its convention.

Where a model has words that the target's classes lack, the table has one more column, *other*: pixels that
were called something which is none of the K classes. They are errors, and no class of their own.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.metrics.confusion import confusion_matrix

Absent = Literal["skip"] | float


class Score(float):
    """A number and the convention it was computed under.

    >>> s = mean_iou([[3, 1], [0, 4]]); round(s, 3), s.convention
    (0.775, 'mIoU: over the data set, absent classes skipped, void ignored, background counted')
    """

    convention: str

    def __new__(cls, value: float, convention: str) -> "Score":
        score = super().__new__(cls, value)
        score.convention = convention
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return Score, (float(self), self.convention)


def parts(confmat: ArrayLike | Tensor) -> NDArray[Any]:
    """What all measures of a class follow from: pixels that are hit, of the target, and predicted.

    Args:
        confmat: (…, K, K) counts, or (…, K, K+1) where predictions may be none of the K classes.

    Returns:
        (…, K, 3), of the same type. Adds up over images.
    """
    table = _table(confmat)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    return np.stack([hits, table.sum(-1), table.sum(-2)[..., : table.shape[-2]]], axis=-1)


def _table(confmat: ArrayLike | Tensor) -> NDArray[Any]:
    table = np.asarray(confmat)
    if table.ndim < 2 or table.shape[-1] - table.shape[-2] not in (0, 1):
        raise ValueError(f"a table of counts is (K, K), rows targets, columns predictions; got shape {table.shape}")
    return table


def _parts(confmat: ArrayLike | Tensor) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.moveaxis(parts(confmat).astype(np.float64), -1, 0))


def ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """top / bottom, NaN where there is nothing to divide by: an absent class has no quality, not quality 0."""
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom > 0)


def iou_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Intersection over union (Jaccard index): hits / (target + prediction − hits).

    Args:
        confmat: (K, K) counts, or (…, K, K) for many at once.

    Returns:
        float64 (…, K), 0–1; NaN for a class that is in neither target nor prediction.
    """
    return iou(parts(confmat))


def iou_of_image(pred: Any, target: Any, num_classes: int) -> NDArray[np.float64]:
    """IoU of each class on one image, NaN where neither side shows it: (K,).

    Args:
        pred: uint8 (H, W). What lies outside the classes (255: none of them) is an error, unless the target is void.
        target: uint8 (H, W), 255 is void.
    """
    said = torch.as_tensor(pred).clamp(max=num_classes)
    return iou_per_class(confusion_matrix(said, target, num_classes + 1))[:num_classes]


def iou(parts: ArrayLike) -> NDArray[np.float64]:
    """IoU from (…, K, 3) `parts`: float64 (…, K), NaN for a class that is in neither target nor prediction."""
    hits, target, pred = np.moveaxis(np.asarray(parts, np.float64), -1, 0)
    return ratio(hits, target + pred - hits)


def dice_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Dice coefficient (F1): 2 · hits / (target + prediction) = 2 IoU / (1 + IoU). float64 (…, K), NaN if absent."""
    hits, target, pred = _parts(confmat)
    return ratio(2 * hits, target + pred)


def precision_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Of the pixels given this class, the share that have it. float64 (…, K), NaN if never predicted."""
    hits, _, pred = _parts(confmat)
    return ratio(hits, pred)


def recall_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Of the pixels that have this class, the share given it. float64 (…, K), NaN if not in the target."""
    hits, target, _ = _parts(confmat)
    return ratio(hits, target)


def pixel_accuracy(confmat: ArrayLike | Tensor) -> Score:
    """Share of labelled pixels that are right, 0–1; NaN without pixels. Large classes decide it."""
    return _accuracy(parts(confmat))


def mean_iou(confmat: ArrayLike | Tensor, absent: Absent = "skip", background: int | None = None) -> Score:
    """Mean over classes of the IoU of summed counts.

    Args:
        confmat: (K, K) counts of the whole data set.
        absent: what a class in neither target nor prediction counts: "skip" leaves it out of the mean.
        background: index of a class to leave out of the mean; its pixels remain as errors of others.

    Returns:
        0–1; NaN where no class is left to average.
    """
    return _averaged("over the data set", iou_per_class(confmat)[None], absent, background)


def mean_iou_per_image(
    confmats: ArrayLike | Tensor | Sequence[Any], absent: Absent = "skip", background: int | None = None
) -> Score:
    """Mean over images of each image's own mean over classes, from (N, K, K) counts, one table an image."""
    return _averaged("mean of images", iou_per_class(np.asarray(confmats)), absent, background)


def mean_iou_per_batch(
    confmats: ArrayLike | Tensor | Sequence[Any], batch: int, absent: Absent = "skip", background: int | None = None
) -> Score:
    """Mean over batches of `batch` consecutive images: what averaging inside a validation loop gives."""
    return _averaged(f"mean of batches of {batch}", _batches(parts(np.asarray(confmats)), batch), absent, background)


def conventions(confmats: ArrayLike | Tensor, batch: int = 8, background: int | None = None) -> pd.DataFrame:
    """The same predictions under every convention in use, side by side.

    Args:
        confmats: (N, K, K) counts, one table an image.
        batch: images a batch, for the means of batches.
        background: index of the background class, if the set has one; adds the rows without it.

    Returns:
        DataFrame with columns value (0–1) and convention, one row a convention.
    """
    tables = np.asarray(confmats)
    if tables.ndim != 3 or len(tables) == 0:
        raise ValueError(f"conventions needs (N, K, K) counts, one table an image, N ≥ 1; got shape {tables.shape}")
    return conventions_of(parts(tables), batch, background)


def conventions_of(parts: ArrayLike, batch: int = 8, background: int | None = None) -> pd.DataFrame:
    """`conventions` from (N, K, 3) `parts`, which are much smaller than tables where there are many classes."""
    counts = np.asarray(parts)
    ways = {"over the data set": iou(counts.sum(0))[None], "mean of images": iou(counts),
            f"mean of batches of {batch}": _batches(counts, batch)}  # fmt: skip
    options: list[Absent] = ["skip", 0.0, 1.0]
    scores = [_accuracy(counts.sum(0))]
    for without in (None, background) if background is not None else (None,):
        scores += [_averaged(over, values, a, without) for over, values in ways.items() for a in options]
    return pd.DataFrame({"value": [float(s) for s in scores], "convention": [s.convention for s in scores]})


def _accuracy(parts: NDArray[Any]) -> Score:
    hits, target, _ = parts.sum(axis=-2).astype(np.float64)
    return Score(float(ratio(hits, target)), "pixel accuracy: over the data set, void ignored, background counted")


def _batches(parts: NDArray[Any], batch: int) -> NDArray[np.float64]:
    """IoU of each batch of consecutive images: (N, K, 3) → (⌈N / batch⌉, K)."""
    if batch < 1:
        raise ValueError(f"batch={batch}; expected at least 1 image")
    return iou(np.array([parts[i : i + batch].sum(0) for i in range(0, len(parts), batch)]))


def _averaged(over: str, values: NDArray[np.float64], absent: Absent, background: int | None) -> Score:
    """The mean over rows of each row's mean over classes: float64 (N, K), NaN for a class that is absent."""
    values = values if background is None else np.delete(values, background, axis=-1)
    rows = np.array([_mean(row, absent) for row in values])
    return Score(_mean(rows, "skip"), _sentence(over, absent, background))


def _mean(values: NDArray[np.float64], absent: Absent) -> float:
    values = values[~np.isnan(values)] if absent == "skip" else np.where(np.isnan(values), absent, values)
    return float(values.mean()) if values.size else float("nan")


def _sentence(over: str, absent: Absent, background: int | None) -> str:
    gone = "skipped" if absent == "skip" else f"counted as {absent:g}"
    back = "background counted" if background is None else "background left out of the mean"
    return f"mIoU: {over}, absent classes {gone}, void ignored, {back}"
