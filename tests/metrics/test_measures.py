"""Measures from counts: by hand, and against torchmetrics and scikit-learn."""

import pickle

import numpy as np
import pytest
from helpers.strategies import prediction_and_target
from hypothesis import given, settings
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassJaccardIndex

from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import (
    Score,
    conventions,
    dice_per_class,
    frequency_weighted_iou,
    iou_per_class,
    mean_iou,
    mean_iou_per_batch,
    mean_iou_per_image,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)

NAN = float("nan")


@settings(max_examples=200)
@given(prediction_and_target())
def test_measures_agree_with_torchmetrics_and_scikit_learn(case):
    pred, target, classes = case
    confmat = confusion_matrix(pred, target, classes)
    labelled = target != 255
    if not labelled.any():
        assert np.isnan(mean_iou(confmat))
        assert np.isnan(pixel_accuracy(confmat))
        return
    t, p = target[labelled].numpy(), pred[labelled].numpy()
    present = ~np.isnan(iou_per_class(confmat))
    assert set(np.flatnonzero(present)) == set(t) | set(p)
    oracles = {
        iou_per_class: sk.jaccard_score,
        dice_per_class: sk.f1_score,
        precision_per_class: sk.precision_score,
        recall_per_class: sk.recall_score,
    }
    for ours, theirs in oracles.items():
        expected = theirs(t, p, labels=list(range(classes)), average=None, zero_division=0)
        np.testing.assert_allclose(np.nan_to_num(ours(confmat)), expected)
    assert pixel_accuracy(confmat) == pytest.approx(sk.accuracy_score(t, p))
    macro = MulticlassJaccardIndex(classes, average="macro", ignore_index=255)(pred.long(), target.long())
    assert mean_iou(confmat) == pytest.approx(float(macro), abs=1e-6)


def test_iou_by_hand():
    #            pred: a  b  c
    confmat = np.array([[4, 1, 0],
                        [2, 3, 0],
                        [0, 0, 0]])  # fmt: skip
    np.testing.assert_allclose(iou_per_class(confmat), [4 / 7, 3 / 6, NAN])
    np.testing.assert_allclose(dice_per_class(confmat), [8 / 11, 6 / 9, NAN])
    assert mean_iou(confmat) == pytest.approx((4 / 7 + 1 / 2) / 2)
    assert mean_iou(confmat, absent=0) == pytest.approx((4 / 7 + 1 / 2) / 3)
    assert mean_iou(confmat, absent=1) == pytest.approx((4 / 7 + 1 / 2 + 1) / 3)
    assert mean_iou(confmat, background=0) == pytest.approx(1 / 2)
    assert pixel_accuracy(confmat) == pytest.approx(7 / 10)


def test_conventions_by_hand():
    """Two images of two classes; the second class is missing from the first image."""
    tables = np.array([[[8, 0], [0, 0]], [[1, 1], [1, 1]]])
    assert mean_iou(tables.sum(0)) == pytest.approx((9 / 11 + 1 / 3) / 2)
    assert mean_iou_per_image(tables) == pytest.approx((1 + 1 / 3) / 2)
    assert mean_iou_per_image(tables, absent=0) == pytest.approx((0.5 + 1 / 3) / 2)
    assert mean_iou_per_image(tables, absent=1) == pytest.approx((1.0 + 1 / 3) / 2)
    assert mean_iou_per_batch(tables, 2) == pytest.approx(mean_iou(tables.sum(0)))
    assert mean_iou_per_batch(tables, 1) == pytest.approx(mean_iou_per_image(tables))
    table = conventions(tables, batch=2, background=0)
    assert len(table) == 1 + 2 * 9
    assert table["convention"].is_unique
    assert table["value"].nunique() == 6


def test_each_score_carries_its_convention():
    score = mean_iou_per_batch(np.ones((4, 3, 3), int), 2, absent=0, background=1)
    assert score.convention == (
        "mIoU: mean of batches of 2, absent classes counted as 0, void ignored, background left out of the mean"
    )
    again = pickle.loads(pickle.dumps(score))
    assert isinstance(again, Score)
    assert (again, again.convention) == (score, score.convention)


def test_counts_of_another_shape_raise():
    with pytest.raises(ValueError, match=r"\(N, K, K\)"):
        conventions(np.ones((3, 3)))
    with pytest.raises(ValueError, match="rows targets"):
        mean_iou(np.ones((3, 5)))
    with pytest.raises(ValueError, match="at least 1 image"):
        mean_iou_per_batch(np.ones((3, 3, 3)), 0)


@given(prediction_and_target())
def test_frequency_weighted_iou_agrees_with_scikit_learn(case):
    pred, target, classes = case
    score = frequency_weighted_iou(confusion_matrix(pred, target, classes))
    labelled = target != 255
    if not labelled.any():
        assert np.isnan(score)
        return
    oracle = sk.jaccard_score(target[labelled].numpy(), pred[labelled].numpy(), average="weighted", zero_division=0)
    assert score == pytest.approx(oracle)
    assert score.convention.startswith("frequency-weighted IoU")


def test_frequency_weighted_iou_by_hand():
    assert frequency_weighted_iou([[90, 0], [10, 0]]) == pytest.approx(0.9 * 90 / 100)
