"""Surface distances: by hand, and against all pairs of outline pixels."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.spatial.distance import cdist
from skimage.metrics import hausdorff_distance
from skimage.segmentation import find_boundaries

from seglab.metrics.surface import surface_distances


def test_a_moved_square_by_hand():
    target, pred = np.zeros((2, 9, 12), np.uint8)
    target[2:5, 2:5] = pred[2:5, 4:7] = 1
    found = np.sort(surface_distances(pred, target, 1))
    # Eight outline pixels each; the columns that are 2 pixels away in both directions, and those that coincide.
    assert found.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, *[2] * 6]
    assert surface_distances(target, target, 1).max() == 0


def test_agrees_with_all_pairs_and_with_scikit_image():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pred, target = (binary_dilation(rng.random((14, 17)) < 0.02, iterations=2).astype(np.uint8) for _ in range(2))
        outlines = [find_boundaries(np.pad(m, 1, mode="edge"), mode="inner")[1:-1, 1:-1] for m in (pred, target)]
        if not (outlines[0].any() and outlines[1].any()):
            continue
        pairs = cdist(*(np.argwhere(outline) for outline in outlines))
        found = surface_distances(pred, target, 1)
        np.testing.assert_allclose(np.sort(found), np.sort(np.concatenate([pairs.min(1), pairs.min(0)])))
        assert found.max() == pytest.approx(hausdorff_distance(*outlines))


def test_a_missing_class_has_no_distance_and_void_belongs_to_no_region():
    target, pred = np.zeros((2, 6, 6), np.uint8)
    pred[1:3, 1:3] = 1
    assert surface_distances(pred, target, 1).size == 0
    target[1:3, 1:3], target[4], pred[4] = 1, 255, 1
    assert surface_distances(pred, target, 1).max() == 0
    with pytest.raises(ValueError, match="one size"):
        surface_distances(pred, target[:3], 1)
