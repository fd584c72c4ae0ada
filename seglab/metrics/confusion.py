"""Confusion counts: how many pixels of each target class were predicted as each class."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels
from seglab.masks.arrays import as_torch

Counts = NDArray[np.int64]


def confusion_matrix(pred: Any, target: Any, num_classes: int, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """The number of pixels of each target class that were predicted as each class: rows targets, columns predictions.

    This is the convention of scikit-learn; void pixels of the target are ignored, as in PASCAL VOC and Cityscapes.

    Args:
        pred: integer array or tensor of any shape, values 0 … K − 1; any value where the target is void.
        target: the same shape, values 0 … K − 1 or `ignore_index`.
        num_classes: the number K of classes, background included.

    Returns:
        int64 (K, K) on the CPU. Adds up over images.

    Raises:
        ValueError: the shapes differ, values are not integers, or labels are outside the classes.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes={num_classes}; expected at least 1")
    p, t = _label_maps(pred, target)
    if p.dtype == t.dtype == torch.uint8 and num_classes <= 256 and 0 <= ignore_index <= 255:
        table = pair_counts(p, t)  # every uint8 label has a row and a column, so labels are checked after counting
        table[ignore_index] = 0
        labels = torch.arange(256)
        check_labels(labels, num_classes, "the target", ignore_index, pixels=table.sum(1))
        check_labels(labels, num_classes, "the prediction", None, pixels=table.sum(0))
        return table[:num_classes, :num_classes].contiguous()
    p, t = p.flatten().to(torch.int64), t.flatten().to(torch.int64)
    labelled = t != ignore_index
    p, t = p[labelled], t[labelled]
    check_labels(t, num_classes, "the target", ignore_index)
    check_labels(p, num_classes, "the prediction", None)
    return torch.bincount(t * num_classes + p, minlength=num_classes**2).reshape(num_classes, num_classes).cpu()


def pair_counts(pred: Any, target: Any) -> Tensor:
    """The number of pixels with each pair of labels, void included: int64 (256, 256) on the CPU, rows are targets.

    The store keeps these counts of each image. `pred` and `target` are uint8 arrays or tensors of one shape; for
    other dtypes and for shapes that differ it raises a ValueError.
    """
    p, t = _label_maps(pred, target)
    if not p.dtype == t.dtype == torch.uint8:
        raise ValueError(f"pair_counts counts uint8 label maps; got {p.dtype} and {t.dtype}")
    index = t.flatten().to(torch.int32).mul_(256).add_(p.flatten())
    tables, bins = 1, 256 * 256
    if index.numel() >= 1 << 17 and index.device.type == "cpu":
        # Neighbouring pixels mostly fall into one bin, and each increment waits for the one before. Counting into four
        # tables in turn avoids most of these waits.
        tables, whole_rows = 4, index[: index.numel() // 1024 * 1024].view(-1, 1024)
        whole_rows.add_(torch.arange(1024, dtype=torch.int32) % tables * bins)
    return torch.bincount(index, minlength=tables * bins).view(tables, 256, 256).sum(0).cpu()


def _label_maps(pred: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Prediction and target as integer tensors of one shape."""
    p, t = as_torch(pred), as_torch(target)
    if p.shape != t.shape:
        raise ValueError(
            f"the prediction has shape {tuple(p.shape)} and the target {tuple(t.shape)}; bring the prediction to the "
            "target's size (to_mask(scores, size=…)), never the target to the prediction's"
        )
    for name, labels in (("prediction", p), ("target", t)):
        if labels.is_floating_point() or labels.is_complex():
            raise ValueError(f"the {name} is {labels.dtype}; expected integer class indices (an argmax of scores?)")
    return p, t
