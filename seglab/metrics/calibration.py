"""Calibration: confidence compared with accuracy, as counts that add up over images."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.metrics.confusion import Counts
from seglab.metrics.measures import Score, ratio

FIXED_POINT = 1 << 16  # confidences are summed as integers in units of 1/65536, so that sums are exact
BINS = 15  # of confidence


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
    return Score(float(ratio(gap, pixels.sum())), sentence)
