"""Boundary IoU (Cheng, Girshick, Dollár, Berg & Kirillov 2021): counts and measure."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels
from seglab.metrics.confusion import Counts
from seglab.metrics.measures import iou


def boundary_counts(
    pred: Any, target: Any, num_classes: int, ignore_index: int = IGNORE_INDEX, width: float = 0.02
) -> Counts:
    """Counts for boundary IoU: of each class, only the pixels near its boundary.

    Args:
        pred, target: integer (H, W), values 0 … K − 1 or `ignore_index`. Where the target is void, both are void.
        width: maximum Chebyshev distance to the boundary, as a fraction of the image diagonal (at least one pixel).
            As in the paper, the border of the image is a boundary; so is the edge of a void region.

    Returns:
        int64 (K, 3), pixels: intersection, target boundary, predicted boundary. Adds up over images.

    Raises:
        ValueError: the shapes differ or are not (H, W), or labels are outside the classes.
    """
    p, t = torch.as_tensor(pred), torch.as_tensor(target)
    if p.shape != t.shape or p.ndim != 2:
        raise ValueError(f"expected two masks (H, W) of one size; got {tuple(p.shape)} and {tuple(t.shape)}")
    distance = max(1, round(width * float(np.hypot(*p.shape))))
    labelled = t != ignore_index
    t, p = (torch.where(labelled, m.int(), -1) for m in (t, p))  # −1: void, a region of no class
    check_labels(t[t != -1], num_classes, "the target", ignore_index)
    check_labels(p[p != -1], num_classes, "the prediction", ignore_index)
    t, p = (torch.where(_near_boundary(m, distance) & (m != ignore_index), m, -1) for m in (t, p))
    parts = t[t == p], t, p
    return np.stack([np.bincount(m[m >= 0].numpy(), minlength=num_classes) for m in parts], axis=1).astype(np.int64)


def _near_boundary(labels: Tensor, distance: int) -> Tensor:
    """Whether each pixel of labels ≥ −1, (H, W), lies within `distance` of another region: bool (H, W).

    There the window around the pixel holds different labels. The outside of the image is a region with label −2.
    """
    padded = F.pad(labels.float()[None, None], [distance] * 4, value=-2)

    def largest(batch: Tensor) -> Tensor:
        return F.max_pool2d(F.max_pool2d(batch, (1, 2 * distance + 1), 1), (2 * distance + 1, 1), 1)[0, 0]

    return largest(padded) != -largest(-padded)


def boundary_iou_per_class(counts: ArrayLike) -> NDArray[np.float64]:
    """Boundary IoU from (K, 3) `boundary_counts`: float64 (K,), 0–1, NaN for a class without boundary pixels."""
    return iou(counts)
