"""Boundary IoU (Cheng et al. 2021): counts and measure."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels
from seglab.metrics.confusion import Counts
from seglab.metrics.measures import ratio


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
    check_labels(t[t != -1], num_classes, "the target", ignore_index)
    check_labels(p[p != -1], num_classes, "the prediction", ignore_index)
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
    return ratio(both, target + pred - both)
