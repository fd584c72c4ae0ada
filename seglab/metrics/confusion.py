"""Confusion counts: how many pixels of each target class were predicted as each class."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels

Counts = NDArray[np.int64]


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
        table = pair_counts(p, t)  # every uint8 label has a row and a column, so labels are checked after counting
        table[ignore_index] = 0
        labels = torch.arange(256)
        check_labels(labels, num_classes, "the target", ignore_index, pixels=table.sum(1))
        check_labels(labels, num_classes, "the prediction", None, pixels=table.sum(0))
    else:
        p, t = p.flatten().to(torch.int64), t.flatten().to(torch.int64)
        counted = t != ignore_index
        p, t = p[counted], t[counted]
        check_labels(t, num_classes, "the target", ignore_index)
        check_labels(p, num_classes, "the prediction", None)
        side = num_classes
        table = torch.bincount(t * side + p, minlength=side * side).reshape(side, side).cpu()
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
