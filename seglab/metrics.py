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
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.classes import IGNORE_INDEX

Counts = NDArray[np.int64]
Absent = Literal["skip"] | float
FIXED_POINT = 1 << 16  # confidences are summed as integers in units of 1/65536, so that sums are exact
BINS = 15  # of confidence


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


# Counting -----------------------------------------------------------------------------------------------


def confusion_matrix(pred: Any, target: Any, num_classes: int, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """How many pixels of each target class were given each predicted class.

    Args:
        pred: integer array or tensor of any shape, values 0 … num_classes − 1. What it says where the
            target is void does not matter.
        target: the same shape, values 0 … num_classes − 1 or `ignore_index`.

    Returns:
        int64 (K, K) on the CPU; rows are targets, columns predictions; void pixels are not in it.

    Raises:
        ValueError: shapes that differ, floats, labels outside the classes (with the ids found).
    """
    if num_classes < 1:
        raise ValueError(f"num_classes={num_classes}")
    p, t = _label_maps(pred, target)
    if p.dtype == t.dtype == torch.uint8 and num_classes <= 256 and 0 <= ignore_index <= 255:
        table = pair_counts(p, t)  # uint8 cannot lie outside a table of 256 × 256: count first, look afterwards
    else:
        p, t = p.flatten().to(torch.int64), t.flatten().to(torch.int64)
        counted = t != ignore_index
        p, t = p[counted], t[counted]
        for name, labels in (("prediction", p), ("target", t)):
            if labels.numel() and (labels.min() < 0 or labels.max() >= num_classes):
                wrong = torch.unique(labels[(labels < 0) | (labels >= num_classes)]).tolist()
                raise _outside(name, wrong, num_classes, ignore_index)
        side = num_classes
        table = torch.bincount(t * side + p, minlength=side * side).reshape(side, side).cpu()
    if 0 <= ignore_index < len(table):
        table[ignore_index] = 0
    for name, totals in (("target", table.sum(1)), ("prediction", table.sum(0))):
        wrong = (torch.nonzero(totals[num_classes:]).flatten() + num_classes).tolist()
        if wrong:
            raise _outside(name, wrong, num_classes, ignore_index)
    return table[:num_classes, :num_classes].contiguous()


def pair_counts(pred: Any, target: Any) -> Tensor:
    """How many pixels have each pair of labels, void included: what the store keeps of an image.

    Args:
        pred, target: uint8 arrays or tensors of one shape.

    Returns:
        int64 (256, 256) on the CPU; rows are targets, columns predictions.
    """
    p, t = _label_maps(pred, target)
    if not p.dtype == t.dtype == torch.uint8:
        raise ValueError(f"pair_counts counts uint8 label maps; got {p.dtype} and {t.dtype}")
    index = t.flatten().to(torch.int32).mul_(256).add_(p.flatten())
    return _tally(index, 256 * 256).reshape(256, 256).cpu()


def _label_maps(pred: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors, of one shape and of integers."""
    p, t = torch.as_tensor(pred), torch.as_tensor(target)
    if p.shape != t.shape:
        raise ValueError(
            f"the prediction has shape {tuple(p.shape)} and the target {tuple(t.shape)}; bring the prediction to the "
            "target's size (to_mask(scores, size=…)), never the other way round"
        )
    for name, labels in (("prediction", p), ("target", t)):
        if labels.is_floating_point() or labels.is_complex():
            raise ValueError(f"the {name} is {labels.dtype}; expected integer class indices (an argmax of scores?)")
    return p, t


def _tally(index: Tensor, length: int, lanes: int = 4, row: int = 1024) -> Tensor:
    """`bincount` of int32 indices; overwrites them.

    Neighbouring pixels mostly belong into the same bin, and a counter that has just been written must be waited
    for. So large images are counted into several tables in turn.
    """
    whole = index.numel() // row * row
    if index.numel() < 1 << 17 or index.device.type != "cpu":
        return torch.bincount(index, minlength=length)
    index[:whole].view(-1, row).add_(torch.arange(row, dtype=torch.int32) % lanes * length)
    return torch.bincount(index, minlength=lanes * length).view(lanes, length).sum(0)


def _outside(name: str, labels: list[int], num_classes: int, ignore_index: int) -> ValueError:
    hint = ""
    if name == "target" and labels == [255]:
        hint = "; a binary mask saved as 0/255, or void that is not 255 here? pass the ignore_index of the data"
    elif labels == [num_classes]:
        hint = "; do the labels start at 1 instead of 0?"
    return ValueError(
        f"the {name} has labels {labels[:10]} outside 0 … {num_classes - 1} (void is {ignore_index}){hint}"
    )


# Per class ----------------------------------------------------------------------------------------------


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


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
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
    return _ratio(hits, target + pred - hits)


def dice_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Dice coefficient (F1): 2 · hits / (target + prediction) = 2 IoU / (1 + IoU). float64 (…, K), NaN if absent."""
    hits, target, pred = _parts(confmat)
    return _ratio(2 * hits, target + pred)


def precision_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Of the pixels given this class, the share that have it. float64 (…, K), NaN if never predicted."""
    hits, _, pred = _parts(confmat)
    return _ratio(hits, pred)


def recall_per_class(confmat: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Of the pixels that have this class, the share given it. float64 (…, K), NaN if not in the target."""
    hits, target, _ = _parts(confmat)
    return _ratio(hits, target)


# One number ---------------------------------------------------------------------------------------------


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
    return Score(float(_ratio(hits, target)), "pixel accuracy: over the data set, void ignored, background counted")


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


# Boundaries ---------------------------------------------------------------------------------------------


def boundary_counts(
    pred: Any, target: Any, num_classes: int, ignore_index: int = IGNORE_INDEX, width: float = 0.02
) -> Counts:
    """Counts for boundary IoU: only pixels of a class within a distance of its edge are compared.

    Cheng et al. 2021, "Boundary IoU". The distance is `width` times the image diagonal, at least one pixel,
    measured in king's moves; as there, the border of the image is an edge, too. A prediction is not judged
    where the target is void.

    Args:
        pred, target: integer (H, W).

    Returns:
        int64 (K, 3): intersection, boundary of the target, boundary of the prediction, in pixels. Adds up
        over images.
    """
    p, t = torch.as_tensor(pred), torch.as_tensor(target)
    if p.shape != t.shape or p.ndim != 2:
        raise ValueError(f"expected two masks (H, W) of one size; got {tuple(p.shape)} and {tuple(t.shape)}")
    reach = max(1, round(width * float(np.hypot(*p.shape))))
    judged = t != ignore_index
    # Void is another region, and belongs to no class; so is what lies outside of the image.
    t, p = (torch.where(judged, m.int(), -1) for m in (t, p))
    for name, labels in (("target", t), ("prediction", p)):
        if wrong := [k for k in labels.unique().tolist() if k not in (-1, ignore_index) and not 0 <= k < num_classes]:
            raise _outside(name, wrong, num_classes, ignore_index)
    t, p = (torch.where(_boundary(m, reach) & (m != ignore_index), m, -1) for m in (t, p))
    parts = t[t == p], t, p
    return np.stack([np.bincount(m[m >= 0].numpy(), minlength=num_classes) for m in parts], axis=1).astype(np.int64)


def _boundary(labels: Tensor, reach: int) -> Tensor:
    """The pixels of a label map (H, W), all labels ≥ -1, that lie within `reach` of another region: bool (H, W).

    A window around a pixel holds one region where its largest and its smallest label are the same, for all classes at
    once; what lies outside of the image is smaller than any label.
    """
    padded = F.pad(labels.float()[None, None], [reach] * 4, value=-2)

    def largest(maps: Tensor) -> Tensor:
        return F.max_pool2d(F.max_pool2d(maps, (1, 2 * reach + 1), 1), (2 * reach + 1, 1), 1)[0, 0]

    return largest(padded) != -largest(-padded)


def boundary_iou_per_class(counts: ArrayLike) -> NDArray[np.float64]:
    """Boundary IoU from (K, 3) `boundary_counts`: float64 (K,), NaN for a class in neither."""
    both, target, pred = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return _ratio(both, target + pred - both)


# Calibration --------------------------------------------------------------------------------------------


def calibration_counts(probs: Tensor, target: Tensor, bins: int = BINS, ignore_index: int = IGNORE_INDEX) -> Counts:
    """Counts for calibration: how sure the model was, and how often it was right.

    Args:
        probs: float (K, H, W) or (B, K, H, W), probabilities that sum to 1 over K.
        target: integer (H, W) or (B, H, W).
        bins: equal intervals of confidence; a confidence on a border belongs to the lower one.

    Returns:
        int64 (bins, 3): pixels, right ones, summed confidence in units of 1/65536. Adds up over images.
    """
    confidence, pred = probs.max(dim=-3)
    if pred.shape != target.shape:
        raise ValueError(f"probs are for {tuple(pred.shape)} pixels and the target has {tuple(target.shape)}")
    if confidence.numel() and not (float(confidence.min()) >= 0 and float(confidence.max()) <= 1 + 1e-4):
        raise ValueError("probs are not probabilities: values outside 0–1 (scores need a softmax first)")
    judged = target != ignore_index
    sure, right = confidence[judged].double(), (pred == target)[judged]
    which = (sure * bins).ceil().long().sub_(1).clamp_(0, bins - 1)
    fixed = (sure * FIXED_POINT).round().long()
    counts = torch.zeros(bins, 3, dtype=torch.int64)
    for column, weight in enumerate((torch.ones_like(fixed), right.long(), fixed)):
        counts[:, column].index_add_(0, which.cpu(), weight.cpu())
    return counts.numpy()


def expected_calibration_error(counts: ArrayLike) -> Score:
    """Mean distance between confidence and accuracy over bins, weighted by pixels (Naeini et al. 2015).

    Args:
        counts: int64 (bins, 3) from `calibration_counts`.
    """
    pixels, right, fixed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    gap = np.abs(right - fixed / FIXED_POINT).sum()
    sentence = f"ECE: {len(pixels)} equal bins of the highest probability, over the data set, void ignored"
    return Score(float(_ratio(gap, pixels.sum())), sentence)
