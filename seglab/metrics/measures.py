"""From counts to measures: IoU, Dice, precision, recall, pixel accuracy, and the conventions of averaging IoU.

`confmat` is a confusion matrix: the number of pixels of target class t (row) that were predicted as class p (column),
without void. Confusion matrices add up exactly over images and machines; every measure follows from their sum. A model
with classes that the target lacks has a (K, K+1) matrix: the last column, *other*, holds pixels predicted as none of
the K classes. These pixels are errors; *other* is not a class.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.masks.arrays import as_torch
from seglab.metrics.confusion import confusion_matrix

Matrices = ArrayLike | Tensor | Sequence[Any]  # (N, K, K) counts, one confusion matrix per image
Absent = Literal["skip"] | float  # the value of a class in neither target nor prediction, or "skip"


class Score(float):
    """A number that carries the convention under which it was computed; it survives pickling.

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
    """The counts from which every measure of a class follows: true positives, target pixels, predicted pixels.

    Args:
        confmat: (…, K, K) counts, or (…, K, K+1) with the column *other*.

    Returns:
        (…, K, 3), the dtype of the counts. Adds up over images. A ValueError if `confmat` has another shape.
    """
    table = np.asarray(confmat)
    if table.ndim < 2 or table.shape[-1] - table.shape[-2] not in (0, 1):
        raise ValueError(f"a confusion matrix is (K, K), rows targets, columns predictions; got shape {table.shape}")
    true_positives = np.diagonal(table, axis1=-2, axis2=-1)
    return np.stack([true_positives, table.sum(-1), table.sum(-2)[..., : table.shape[-2]]], axis=-1)


def _columns(parts: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """True positives, target pixels and predicted pixels, (…, K) each, from (…, K, 3) `parts`."""
    return tuple(np.moveaxis(np.asarray(parts, np.float64), -1, 0))


def ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """top / bottom, NaN where `bottom` is 0: the quality of an absent class is undefined, not 0."""
    return np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom > 0)


def iou(parts: ArrayLike) -> NDArray[np.float64]:
    """IoU from (…, K, 3) `parts`: float64 (…, K), 0–1, NaN for a class in neither target nor prediction."""
    true_positives, target, pred = _columns(parts)
    return ratio(true_positives, target + pred - true_positives)


def iou_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Intersection over union (Jaccard 1901), TP / (TP + FP + FN), the measure of PASCAL VOC (Everingham et al. 2010).

    Args:
        confmat: (K, K) counts, or (…, K, K) for several matrices at once.

    Returns:
        float64 (…, K), 0–1; NaN for a class in neither target nor prediction.
    """
    return iou(parts(confmat))


def iou_of_image(pred: Any, target: Any, num_classes: int) -> NDArray[np.float64]:
    """IoU of each class on one image: float64 (K,), 0–1, NaN for a class in neither target nor prediction.

    Args:
        pred: uint8 (H, W). Labels of `num_classes` and more (255 included) are errors wherever the target is not void.
        target: uint8 (H, W), values 0 … K − 1, or 255 for void.
    """
    pred = as_torch(pred).clamp(max=num_classes)
    return iou_per_class(confusion_matrix(pred, target, num_classes + 1))[:num_classes]


def dice_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Dice coefficient (Dice 1945), F1 score: 2 TP / (2 TP + FP + FN) = 2 IoU / (1 + IoU); like `iou_per_class`."""
    true_positives, target, pred = _columns(parts(confmat))
    return ratio(2 * true_positives, target + pred)


def precision_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """TP / (TP + FP): float64 (…, K), 0–1, NaN for a class that is never predicted."""
    true_positives, _, pred = _columns(parts(confmat))
    return ratio(true_positives, pred)


def recall_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """TP / (TP + FN), class accuracy in Long et al. 2015: float64 (…, K), 0–1, NaN for a class not in the target."""
    true_positives, target, _ = _columns(parts(confmat))
    return ratio(true_positives, target)


def pixel_accuracy(confmat: ArrayLike | Tensor) -> Score:
    """Fraction of labelled pixels that are correct (Long et al. 2015), from (K, K) counts: 0–1, NaN without pixels."""
    return _accuracy(parts(confmat))


def frequency_weighted_iou(confmat: ArrayLike | Tensor) -> Score:
    """Mean IoU weighted by the target pixels of each class (Long et al. 2015), from (K, K) counts: 0–1, or NaN."""
    values, (_, target, _) = iou_per_class(confmat), _columns(parts(confmat))
    convention = "frequency-weighted IoU: over the data set, weighted by target pixels, void ignored"
    return Score(float(ratio(np.nansum(values * target, keepdims=True), target.sum(keepdims=True))[0]), convention)


def mean_iou(confmat: ArrayLike | Tensor, absent: Absent = "skip", background: int | None = None) -> Score:
    """Mean over classes of the IoU of a data set, from summed counts: the mIoU of PASCAL VOC and Cityscapes.

    Args:
        confmat: (K, K) counts of the whole data set.
        absent: the IoU of a class in neither target nor prediction; "skip" excludes it from the mean.
        background: index of a class to exclude from the mean; its pixels still count as errors of other classes.

    Returns:
        0–1, with its convention; NaN if no class is left to average.
    """
    return _mean_iou("over the data set", iou_per_class(confmat)[None], absent, background)


def mean_iou_per_image(confmats: Matrices, absent: Absent = "skip", background: int | None = None) -> Score:
    """Mean over images of each image's mIoU (Csurka et al. 2013), from (N, K, K) counts; the rest as in `mean_iou`."""
    return _mean_iou("mean of images", iou_per_class(np.asarray(confmats)), absent, background)


def mean_iou_per_batch(confmats: Matrices, batch: int, absent: Absent = "skip", background: int | None = None) -> Score:
    """Mean over batches of each batch's mIoU, from (N, K, K) counts: the average that many validation loops compute.

    A batch is `batch` consecutive images (a ValueError below 1); the last may be smaller. The rest as in `mean_iou`.
    """
    return _mean_iou(f"mean of batches of {batch}", _batches(parts(np.asarray(confmats)), batch), absent, background)


def conventions(confmats: Matrices, batch: int = 8, background: int | None = None) -> pd.DataFrame:
    """The same predictions under every common convention of averaging.

    Args:
        confmats: (N, K, K) counts, one matrix per image.
        batch: images per batch, for the means of batches.
        background: index of the background class; adds the rows without it. None if there is no such class.

    Returns:
        One row per convention, pixel accuracy first: value (0–1), convention (a sentence).

    Raises:
        ValueError: `confmats` is not (N, K, K) with N ≥ 1, or `batch` is less than 1.
    """
    tables = np.asarray(confmats)
    if tables.ndim != 3 or len(tables) == 0:
        raise ValueError(f"conventions needs (N, K, K) counts, one matrix per image, N ≥ 1; got shape {tables.shape}")
    return conventions_of(parts(tables), batch, background)


def conventions_of(parts: ArrayLike, batch: int = 8, background: int | None = None) -> pd.DataFrame:
    """`conventions` from (N, K, 3) `parts`, which are much smaller than confusion matrices of many classes."""
    counts = np.asarray(parts)
    levels = {"over the data set": iou(counts.sum(0))[None], "mean of images": iou(counts),
              f"mean of batches of {batch}": _batches(counts, batch)}  # fmt: skip
    options: list[Absent] = ["skip", 0.0, 1.0]
    scores = [_accuracy(counts.sum(0))]
    for excluded in (None, background) if background is not None else (None,):
        scores += [_mean_iou(over, values, absent, excluded) for over, values in levels.items() for absent in options]
    return pd.DataFrame({"value": [float(s) for s in scores], "convention": [s.convention for s in scores]})


def _accuracy(parts: NDArray[Any]) -> Score:
    true_positives, target, _ = parts.sum(axis=-2).astype(np.float64)
    convention = "pixel accuracy: over the data set, void ignored, background counted"
    return Score(float(ratio(true_positives, target)), convention)


def _batches(parts: NDArray[Any], batch: int) -> NDArray[np.float64]:
    """IoU of each batch of consecutive images: (N, K, 3) → (⌈N / batch⌉, K)."""
    if batch < 1:
        raise ValueError(f"batch={batch}; expected at least 1 image")
    return iou(np.array([parts[i : i + batch].sum(0) for i in range(0, len(parts), batch)]))


def _mean_iou(over: str, values: NDArray[np.float64], absent: Absent, background: int | None) -> Score:
    """The mean over rows of each row's mean over classes, from (N, K) IoU with NaN for absent classes."""
    values = values if background is None else np.delete(values, background, axis=-1)
    rows = np.array([_mean(row, absent) for row in values])
    gone = "skipped" if absent == "skip" else f"counted as {absent:g}"
    back = "background counted" if background is None else "background left out of the mean"
    return Score(_mean(rows, "skip"), f"mIoU: {over}, absent classes {gone}, void ignored, {back}")


def _mean(values: NDArray[np.float64], absent: Absent) -> float:
    values = values[~np.isnan(values)] if absent == "skip" else np.where(np.isnan(values), absent, values)
    return float(values.mean()) if values.size else float("nan")
