"""From pixels to counts, from counts to measures, from measures to comparisons.

confusion    label maps → confusion matrix; rows are targets, columns predictions
measures     counts → IoU, Dice, precision, recall, accuracy, and the conventions of averaging
boundary     boundary IoU
surface      surface distances: between the outlines of two regions
calibration  confidence against accuracy
bootstrap    confidence intervals by resampling images
comparison   several models on the same images
"""

from seglab.metrics.boundary import boundary_counts, boundary_iou_per_class
from seglab.metrics.calibration import BINS, FIXED_POINT, calibration_counts, expected_calibration_error
from seglab.metrics.confusion import Counts, confusion_matrix, pair_counts
from seglab.metrics.measures import (
    Absent,
    Score,
    conventions,
    conventions_of,
    dice_per_class,
    frequency_weighted_iou,
    iou,
    iou_of_image,
    iou_per_class,
    mean_iou,
    mean_iou_per_batch,
    mean_iou_per_image,
    parts,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)
from seglab.metrics.surface import surface_distances

__all__ = [
    "BINS", "FIXED_POINT", "Absent", "Counts", "Score", "boundary_counts", "boundary_iou_per_class",
    "calibration_counts", "confusion_matrix", "conventions", "conventions_of", "dice_per_class",
    "expected_calibration_error", "frequency_weighted_iou", "iou", "iou_of_image", "iou_per_class", "mean_iou",
    "mean_iou_per_batch", "mean_iou_per_image", "pair_counts", "parts", "pixel_accuracy", "precision_per_class",
    "recall_per_class", "surface_distances",
]  # fmt: skip
