"""Boundary IoU (Cheng, Girshick, Dollár, Berg & Kirillov 2021): counts and measure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels
from seglab.masks.arrays import as_torch
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
    p, t = as_torch(pred), as_torch(target)
    if p.shape != t.shape or p.ndim != 2:
        raise ValueError(f"expected two masks (H, W) of one size; got {tuple(p.shape)} and {tuple(t.shape)}")
    distance = max(1, round(width * float(np.hypot(*p.shape))))
    labelled = t != ignore_index
    check_labels(t[labelled], num_classes, "the target", ignore_index)
    check_labels(p[labelled], num_classes, "the prediction", ignore_index)
    t, p = (m.short().where(labelled, -1) for m in (t, p))  # −1: void, a region of no class
    t, p = (m.where(_near_boundary(m, distance) & (m != ignore_index), -1) for m in (t, p))
    parts = t.where(t == p, -1), t, p
    return np.stack([_pixels(m, num_classes) for m in parts], axis=1)


def _near_boundary(labels: Tensor, distance: int) -> Tensor:
    """Whether each pixel of labels ≥ −1, (H, W), lies within `distance` of another region: bool (H, W).

    There the window around the pixel holds different labels. The outside of the image is a region with label −2.
    """

    def of_window(extreme: Callable[..., NDArray[np.int16]]) -> NDArray[np.int16]:
        options = {"size": 2 * distance + 1, "mode": "constant", "cval": -2}
        return extreme(extreme(labels.numpy(), axis=0, **options), axis=1, **options)

    return torch.from_numpy(of_window(maximum_filter1d) != of_window(minimum_filter1d))


def _pixels(labels: Tensor, num_classes: int) -> Counts:
    """int64 (K,): the pixels of each label 0 … K−1 in labels ≥ −1."""
    return torch.bincount((labels + 1).flatten(), minlength=num_classes + 1)[1 : num_classes + 1].numpy()


def boundary_iou_per_class(counts: ArrayLike) -> NDArray[np.float64]:
    """Boundary IoU from (K, 3) `boundary_counts`: float64 (K,), 0–1, NaN for a class without boundary pixels."""
    return iou(counts)
