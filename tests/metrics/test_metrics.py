"""Counts and measures: by hand, against torchmetrics and scikit-learn, and by property."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassCalibrationError, MulticlassConfusionMatrix, MulticlassJaccardIndex

from seglab.metrics.boundary import boundary_counts, boundary_iou_per_class
from seglab.metrics.calibration import calibration_counts, expected_calibration_error
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import (
    Score,
    conventions,
    dice_per_class,
    iou_per_class,
    mean_iou,
    mean_iou_per_batch,
    mean_iou_per_image,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)

NAN = float("nan")


@st.composite
def pairs(draw):
    """A prediction and a target with void, absent classes and, now and then, no pixels at all."""
    classes = draw(st.integers(2, 21))
    used = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes, unique=True))
    shape = draw(st.sampled_from([(0, 0), (1, 1), (3, 5), (16, 16), (33, 20)]))
    dice = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from([np.uint8, np.int64]))
    pred, target = (dice.choice(used, shape).astype(dtype) for _ in range(2))
    target[dice.random(shape) < draw(st.sampled_from([0, 0.2, 1.0]))] = 255
    agree = dice.random(shape) < 0.6
    pred[agree & (target != 255)] = target[agree & (target != 255)]
    return torch.from_numpy(pred), torch.from_numpy(target), classes


@settings(max_examples=200)
@given(pairs())
def test_counts_and_iou_agree_with_torchmetrics_and_scikit_learn(case):
    pred, target, classes = case
    ours = confusion_matrix(pred, target, classes)
    assert ours.dtype == torch.int64
    counted = target != 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn about empty inputs
        if target.numel():
            theirs = MulticlassConfusionMatrix(classes, ignore_index=255)(pred.long(), target.long())
            assert torch.equal(ours, theirs)
        if counted.any():
            labels = list(range(classes))
            t, p = target[counted].numpy(), pred[counted].numpy()
            assert (ours.numpy() == sk.confusion_matrix(t, p, labels=labels)).all()
            iou = iou_per_class(ours)
            present = ~np.isnan(iou)
            assert set(np.flatnonzero(present)) == set(t) | set(p)
            np.testing.assert_allclose(
                np.nan_to_num(iou), sk.jaccard_score(t, p, labels=labels, average=None, zero_division=0)
            )
            np.testing.assert_allclose(
                np.nan_to_num(dice_per_class(ours)), sk.f1_score(t, p, labels=labels, average=None, zero_division=0)
            )
            np.testing.assert_allclose(
                np.nan_to_num(precision_per_class(ours)),
                sk.precision_score(t, p, labels=labels, average=None, zero_division=0),
            )
            np.testing.assert_allclose(
                np.nan_to_num(recall_per_class(ours)),
                sk.recall_score(t, p, labels=labels, average=None, zero_division=0),
            )
            assert pixel_accuracy(ours) == pytest.approx(sk.accuracy_score(t, p))
            macro = MulticlassJaccardIndex(classes, average="macro", ignore_index=255)(pred.long(), target.long())
            assert mean_iou(ours) == pytest.approx(float(macro), abs=1e-6)
        else:
            assert np.isnan(mean_iou(ours))
            assert np.isnan(pixel_accuracy(ours))


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


@settings(max_examples=50)
@given(pairs(), st.integers(0, 2**31))
def test_counts_do_not_care_about_order_flips_names_or_void(case, seed):
    pred, target, classes = case
    base = confusion_matrix(pred, target, classes)
    assert torch.equal(confusion_matrix(pred.flip(0), target.flip(0), classes), base)
    order = np.random.default_rng(seed).permutation(classes)
    lut = np.arange(256)
    lut[:classes] = order
    renamed = confusion_matrix(torch.from_numpy(lut[pred.numpy()]), torch.from_numpy(lut[target.numpy()]), classes)
    assert torch.equal(renamed[order][:, order], base)
    more = torch.cat([target.flatten(), torch.full((9,), 255, dtype=target.dtype)])
    anything = torch.cat([pred.flatten(), torch.arange(9, dtype=pred.dtype) * 28])  # 0 … 224 where the target is void
    assert torch.equal(confusion_matrix(anything, more, classes), base)


def test_counts_add_up():
    dice = np.random.default_rng(1)
    pred, target = (torch.from_numpy(dice.integers(0, 5, (6, 10, 10), np.uint8)) for _ in range(2))
    parts = sum(confusion_matrix(p, t, 5) for p, t in zip(pred, target, strict=True))
    assert torch.equal(confusion_matrix(pred, target, 5), parts)


@pytest.mark.parametrize("ignore", [-100, -1, 0, 3, 255, 1000])
def test_any_ignore_index(ignore):
    target = torch.tensor([0, 1, 2, 3, 1])
    pred = torch.tensor([0, 1, 1, 3, 2])
    target = torch.where(target == 3, ignore, target) if ignore not in (0,) else target
    expected = np.zeros((4, 4), int)
    for t, p in zip(target.tolist(), pred.tolist(), strict=True):
        if t != ignore:
            expected[t, p] += 1
    assert confusion_matrix(pred, target, 4, ignore).tolist() == expected.tolist()


@pytest.mark.parametrize(("pred", "target", "words"), [
    (np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8), "bring the prediction to the target's size"),
    (np.zeros((2, 2)), np.zeros((2, 2), np.uint8), "an argmax of scores"),
    (np.zeros((2, 2), np.uint8), np.array([[0, 4], [0, 0]], np.uint8), r"target has label 4 \(1 pixel\).*count from 1"),
    (np.array([[0, 9], [0, 0]], np.uint8), np.zeros((2, 2), np.uint8), r"prediction has label 9 \(1 pixel\)"),
    (np.zeros((2, 2), np.int64), np.array([[0, -1], [0, 0]]), r"target has label -1 \(1 pixel\)"),
])  # fmt: skip
def test_bad_masks_are_refused(pred, target, words):
    with pytest.raises(ValueError, match=words):
        confusion_matrix(pred, target, 4)


def test_binary_mask_saved_as_0_255_is_noticed():
    with pytest.raises(ValueError, match="0/255"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.array([[0, 255], [255, 0]], np.uint8), 2, ignore_index=254)


# Conventions ------------------------------------------------------------------------------------------


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


def test_every_score_says_what_it_is():
    score = mean_iou_per_batch(np.ones((4, 3, 3), int), 2, absent=0, background=1)
    assert score.convention == (
        "mIoU: mean of batches of 2, absent classes counted as 0, void ignored, background left out of the mean"
    )
    again = pickle.loads(pickle.dumps(score))
    assert isinstance(again, Score)
    assert (again, again.convention) == (score, score.convention)


def test_a_pixel_is_not_an_image():
    with pytest.raises(ValueError, match=r"\(N, K, K\)"):
        conventions(np.ones((3, 3)))
    with pytest.raises(ValueError, match="rows targets"):
        mean_iou(np.ones((3, 5)))
    with pytest.raises(ValueError, match="at least 1 image"):
        mean_iou_per_batch(np.ones((3, 3, 3)), 0)


# Boundary IoU -------------------------------------------------------------------------------------------


def reference_boundary_iou(a: np.ndarray, b: np.ndarray, reach: int) -> float:
    """The paper's definition with another library's erosion."""
    from scipy.ndimage import binary_erosion

    square = np.ones((3, 3), bool)
    inner = [m & ~binary_erosion(m, square, iterations=reach, border_value=0) for m in (a, b)]
    return (inner[0] & inner[1]).sum() / (inner[0] | inner[1]).sum()


def test_boundary_iou_agrees_with_erosion():
    dice = np.random.default_rng(0)
    for _ in range(10):
        a, b = (np.kron(dice.integers(0, 2, (6, 8)), np.ones((15, 15))).astype(bool) for _ in range(2))
        b[:, 3:] = b[:, :-3]
        counts = boundary_counts(b.astype(np.uint8), a.astype(np.uint8), 2)
        reach = round(0.02 * np.hypot(*a.shape))
        assert boundary_iou_per_class(counts)[1] == pytest.approx(reference_boundary_iou(a, b, reach))


def test_boundary_iou_sees_what_iou_overlooks():
    """A large square with ragged edges: high IoU, low boundary IoU; void is not judged; absent is NaN."""
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


# Calibration ------------------------------------------------------------------------------------------


def test_calibration_agrees_with_torchmetrics_and_adds_up():
    torch.manual_seed(0)
    probs = (torch.randn(4, 5, 16, 16) * 2).softmax(1)
    target = torch.multinomial(probs.permute(0, 2, 3, 1).reshape(-1, 5), 1).reshape(4, 16, 16)
    target[torch.rand(4, 16, 16) < 0.1] = 255
    counts = calibration_counts(probs, target)
    theirs = MulticlassCalibrationError(5, n_bins=15, ignore_index=255)(probs, target)
    assert expected_calibration_error(counts) == pytest.approx(float(theirs), abs=1e-4)
    parts = sum(calibration_counts(p, t) for p, t in zip(probs, target, strict=True))
    assert (parts == counts).all()
    with pytest.raises(ValueError, match="need a softmax"):
        calibration_counts(torch.randn(5, 4, 4) * 9, target[0, :4, :4])


def test_calibration_by_hand():
    probs = torch.tensor([[[0.85, 0.85, 0.55]], [[0.15, 0.15, 0.45]]])
    counts = calibration_counts(probs, torch.tensor([[0, 1, 1]]), bins=10)
    assert counts[8].tolist() == [2, 1, 2 * round(0.85 * 65536)]
    assert counts[5].tolist() == [1, 0, round(0.55 * 65536)]
    assert expected_calibration_error(counts) == pytest.approx((abs(1 - 1.7) + 0.55) / 3, abs=1e-4)
