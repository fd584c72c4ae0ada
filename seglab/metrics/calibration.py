"""Calibration: confidence compared with accuracy, as counts that add up over images."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.metrics.confusion import Counts
from seglab.metrics.measures import Score, ratio

FIXED_POINT = 1 << 16  # confidences are summed as integers in units of 1/65536, so that sums are exact
BINS = 15  # of confidence, as in Guo et al. 2017


def calibration_counts(probs: Tensor, target: Tensor, bins: int = BINS, ignore_index: int = IGNORE_INDEX) -> Counts:
    """Counts for a reliability diagram (Guo et al. 2017): pixels by confidence, the highest probability of a pixel.

    Args:
        probs: float (K, H, W) or (B, K, H, W), probabilities that sum to 1 over K.
        target: integer (H, W) or (B, H, W); pixels of `ignore_index` are not counted.
        bins: number of equal bins, ((m − 1) / bins, m / bins]; the first one includes 0.

    Returns:
        int64 (bins, 3): pixels, correct pixels, summed confidence in units of 1/65536. Adds up over images.

    Raises:
        ValueError: probs and target differ in size; probs outside 0–1 or NaN.
    """
    confidence, pred = probs.max(dim=-3)
    if pred.shape != target.shape:
        raise ValueError(f"probs are for {tuple(pred.shape)} pixels and the target has {tuple(target.shape)}")
    if confidence.numel() and not (float(confidence.min()) >= 0 and float(confidence.max()) <= 1 + 1e-4):
        raise ValueError("probs are not probabilities: values outside 0–1 (scores need a softmax first)")
    labelled = target != ignore_index
    values, correct = confidence[labelled].double(), (pred == target)[labelled]
    index = (values * bins).ceil().long().sub_(1).clamp_(0, bins - 1).cpu()
    fixed = (values * FIXED_POINT).round().long()
    counts = torch.zeros(bins, 3, dtype=torch.int64)
    for column, amounts in enumerate((torch.ones_like(fixed), correct.long(), fixed)):
        counts[:, column].index_add_(0, index, amounts.cpu())
    return counts.numpy()


def expected_calibration_error(counts: ArrayLike) -> Score:
    """ECE (Naeini et al. 2015): mean over bins of |accuracy − confidence|, weighted by pixels; 0–1, NaN without pixels.

    `counts` are int64 (bins, 3) from `calibration_counts`, summed over images.
    """
    pixels, correct, fixed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    gap = np.abs(correct - fixed / FIXED_POINT).sum()
    convention = f"ECE: {len(pixels)} equal bins of the highest probability, over the data set, void ignored"
    return Score(float(ratio(gap, pixels.sum())), convention)
