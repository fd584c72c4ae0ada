"""Boundary IoU: against another library's erosion, and beside IoU."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from seglab.metrics.boundary import boundary_counts, boundary_iou_per_class
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class


def reference_boundary_iou(a: np.ndarray, b: np.ndarray, reach: int) -> float:
    """The paper's definition with another library's erosion."""
    square = np.ones((3, 3), bool)
    inner = [m & ~binary_erosion(m, square, iterations=reach, border_value=0) for m in (a, b)]
    return (inner[0] & inner[1]).sum() / (inner[0] | inner[1]).sum()


def test_boundary_iou_agrees_with_erosion():
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, b = (np.kron(rng.integers(0, 2, (6, 8)), np.ones((15, 15))).astype(bool) for _ in range(2))
        b[:, 3:] = b[:, :-3]
        counts = boundary_counts(b.astype(np.uint8), a.astype(np.uint8), 2)
        reach = round(0.02 * np.hypot(*a.shape))
        assert boundary_iou_per_class(counts)[1] == pytest.approx(reference_boundary_iou(a, b, reach))


def test_the_border_of_the_image_and_void_are_boundaries_of_each_class():
    """In 100 × 100 pixels they reach 3 pixels far. Void is a region that does not count."""
    target = np.zeros((100, 100), np.uint8)
    assert boundary_counts(target, target, 2).tolist() == [[100**2 - 94**2] * 3, [0] * 3]
    target[:, 50:] = 255
    frame = 100 * 50 - 94 * 44
    for kind in (np.uint8, np.int32, np.int64):
        assert boundary_counts(target.astype(kind), target.astype(kind), 2).tolist() == [[frame] * 3, [0] * 3]
    with pytest.raises(ValueError, match="the prediction has label 70000"):
        boundary_counts(np.where(target == 0, 70_000, 0), target, 2)


def test_boundary_iou_is_low_where_iou_is_high():
    """A large square with ragged edges: high IoU, low boundary IoU; void pixels are ignored; an absent class is NaN."""
    target = np.zeros((200, 200), np.uint8)
    target[20:180, 20:180] = 1
    pred = np.zeros_like(target)
    pred[24:176, 24:176] = 1
    iou = iou_per_class(confusion_matrix(pred, target, 3))
    boundary = boundary_iou_per_class(boundary_counts(pred, target, 3))
    assert iou[1] > 0.9
    assert boundary[1] < 0.4
    assert np.isnan(boundary[2])
    target[:100] = 255
    assert boundary_counts(pred, target, 3).sum() < boundary_counts(pred, np.where(target == 255, 0, target), 3).sum()
