"""Surface distances: how far the outline of a predicted region lies from that of the target, in pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from seglab.data.classes import IGNORE_INDEX


def surface_distances(
    pred: Any, target: Any, class_index: int, ignore_index: int = IGNORE_INDEX
) -> NDArray[np.float64]:
    """Distance of each outline pixel of one mask to the nearest outline pixel of the other, in both directions.

    Their mean is the average symmetric surface distance, their maximum the Hausdorff distance, their 95th percentile
    HD95 (Taha & Hanbury 2015). An outline pixel of a region has a neighbour above, below, left or right of it that is
    outside the region; the border of the image is not an outline. Where the target is void, both masks are empty.

    Args:
        pred, target: integer (H, W), labels of one image.
        class_index: the class whose region is compared.

    Returns:
        float64 (N,), pixels (Euclidean); empty where the class has no outline in one of the two masks.

    Raises:
        ValueError: the shapes differ or are not (H, W).
    """
    p, t = np.asarray(pred), np.asarray(target)
    if p.shape != t.shape or p.ndim != 2:
        raise ValueError(f"expected two masks (H, W) of one size; got {p.shape} and {t.shape}")
    labelled = t != ignore_index
    ours, theirs = (_outline((m == class_index) & labelled) for m in (p, t))
    if not ours.any() or not theirs.any():
        return np.empty(0)
    return np.concatenate([distance_transform_edt(~theirs)[ours], distance_transform_edt(~ours)[theirs]])


def _outline(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a region with a 4-neighbour outside it."""
    return region & ~binary_erosion(region, border_value=1)
