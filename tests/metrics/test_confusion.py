"""Confusion counts: against torchmetrics and scikit-learn, and by property."""

import warnings

import numpy as np
import pytest
import torch
from helpers.strategies import prediction_and_target
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassConfusionMatrix

from seglab.metrics.confusion import confusion_matrix, pair_counts


@settings(max_examples=200)
@given(prediction_and_target())
def test_counts_agree_with_torchmetrics_and_scikit_learn(case):
    pred, target, classes = case
    ours = confusion_matrix(pred, target, classes)
    assert ours.dtype == torch.int64
    labelled = target != 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn about empty inputs
        if target.numel():
            theirs = MulticlassConfusionMatrix(classes, ignore_index=255)(pred.long(), target.long())
            assert torch.equal(ours, theirs)
        if labelled.any():
            theirs = sk.confusion_matrix(target[labelled], pred[labelled], labels=list(range(classes)))
            assert (ours.numpy() == theirs).all()


@settings(max_examples=50)
@given(prediction_and_target(), st.integers(0, 2**31))
def test_counts_do_not_depend_on_pixel_order_class_order_or_void(case, seed):
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
    rng = np.random.default_rng(1)
    pred, target = (torch.from_numpy(rng.integers(0, 5, (6, 10, 10), np.uint8)) for _ in range(2))
    total = sum(confusion_matrix(p, t, 5) for p, t in zip(pred, target, strict=True))
    assert torch.equal(confusion_matrix(pred, target, 5), total)


@pytest.mark.parametrize("pixels", [1 << 16, 1 << 17, (1 << 17) + 1023])
def test_large_images_are_counted_like_small_ones(pixels):
    rng = np.random.default_rng(2)
    pred, target = (torch.from_numpy(rng.integers(0, 256, pixels, np.uint8)) for _ in range(2))
    expected = torch.bincount(target.long() * 256 + pred.long(), minlength=256 * 256).reshape(256, 256)
    assert torch.equal(pair_counts(pred, target), expected)


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


@pytest.mark.parametrize(("pred", "target", "message"), [
    (np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8), "bring the prediction to the target's size"),
    (np.zeros((2, 2)), np.zeros((2, 2), np.uint8), "an argmax of scores"),
    (np.zeros((2, 2), np.uint8), np.array([[0, 4], [0, 0]], np.uint8), r"target has label 4 \(1 pixel\).*count from 1"),
    (np.array([[0, 9], [0, 0]], np.uint8), np.zeros((2, 2), np.uint8), r"prediction has label 9 \(1 pixel\)"),
    (np.zeros((2, 2), np.int64), np.array([[0, -1], [0, 0]]), r"target has label -1 \(1 pixel\)"),
])  # fmt: skip
def test_invalid_masks_raise(pred, target, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(pred, target, 4)


def test_binary_mask_saved_as_0_255_is_detected():
    with pytest.raises(ValueError, match="0/255"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.array([[0, 255], [255, 0]], np.uint8), 2, ignore_index=254)
