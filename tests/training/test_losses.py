"""The losses: compared with other libraries where those are correct, computed by hand, and by their properties."""

import math
from functools import partial

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from seglab.training.losses import LOSSES, class_weights, criterion, cross_entropy, dice, focal, lovasz

EVERY = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def scene(seed=0, batch=2, classes=5, height=6, width=7, void=True, dtype=torch.float32):
    """Random logits and labels of classes 0 … K−2 (the last one is absent), with a stripe of void."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, height, width, generator=rng, dtype=dtype)
    target = torch.randint(0, classes - 1, (batch, height, width), generator=rng)
    if void:
        target[:, :2] = 255
    return logits.requires_grad_(), target


# --- compared with other libraries ----------------------------------------------------------------------------------


def test_cross_entropy_equals_torch():
    logits, target = scene()
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0])
    torch.testing.assert_close(cross_entropy(logits, target), F.cross_entropy(logits, target, ignore_index=255))
    expected = F.cross_entropy(logits, target, weights, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, target, weights), expected)


def test_lovasz_equals_smp():
    logits, target = scene()
    torch.testing.assert_close(
        lovasz(logits, target), smp.losses.LovaszLoss("multiclass", ignore_index=255)(logits, target)
    )


def test_dice_equals_smp_except_for_the_mean():
    """smp divides the sum over the classes present by the number of all classes."""
    logits, target = scene()
    theirs = smp.losses.DiceLoss("multiclass", ignore_index=255)(logits, target)
    torch.testing.assert_close(dice(logits, target), theirs * 5 / 4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_equals_its_formula(gamma):
    """smp's focal loss is one sigmoid a class, and NaN without a label: no oracle."""
    logits, target = scene(void=False)
    p = logits.softmax(1).gather(1, target[:, None])
    torch.testing.assert_close(focal(logits, target, gamma=gamma), (-((1 - p) ** gamma) * p.log()).mean())


def test_focal_without_gamma_is_cross_entropy():
    logits, target = scene()
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0])
    torch.testing.assert_close(focal(logits, target, weights, gamma=0), cross_entropy(logits, target, weights))


# --- by hand ------------------------------------------------------------------------------------------------------


def two_pixels():
    """Two pixels and two classes: the first is class 0 with p = ¾, the second class 1 with p = ½."""
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]]).T.reshape(1, 2, 1, 2)
    return logits, torch.tensor([[[0, 1]]])


def test_by_hand():
    logits, target = two_pixels()
    assert float(cross_entropy(logits, target)) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    weighted = (3 * math.log(4 / 3) + 1 * math.log(2)) / 4
    assert float(cross_entropy(logits, target, torch.tensor([3.0, 1.0]))) == pytest.approx(weighted)
    assert float(focal(logits, target)) == pytest.approx((math.log(4 / 3) / 16 + math.log(2) / 4) / 2)
    # class 0: p = ¾, ½, g = 1, 0 → 2·¾/(1¼+1); class 1: p = ¼, ½, g = 0, 1 → 2·½/(¾+1)
    assert float(dice(logits, target)) == pytest.approx(1 - (2 / 3 + 4 / 7) / 2)
    # class 0: errors ½ (false), ¼ (true): Jaccard loss ½ then 1 → ¼+⅛; class 1: errors ½ (true), ¼: 1 then 1 → ½
    assert float(lovasz(logits, target)) == pytest.approx((0.375 + 0.5) / 2)


@EVERY
def test_certain_and_correct_predictions_have_no_loss(loss):
    _, target = scene(void=False)
    logits = 50.0 * F.one_hot(target, 5).movedim(-1, 1).float()
    assert float(loss(logits, target)) == pytest.approx(0, abs=1e-6)


def test_lovasz_of_certain_predictions_is_one_minus_iou():
    target = torch.tensor([[[0, 0, 0, 1]]])
    pred = torch.tensor([[[0, 0, 1, 1]]])  # IoU 2/3 and 1/2
    logits = 50.0 * F.one_hot(pred, 2).movedim(-1, 1).float()
    assert float(lovasz(logits, target)) == pytest.approx((1 / 3 + 1 / 2) / 2)


# --- properties ---------------------------------------------------------------------------------------------------


@EVERY
def test_gradient(loss):
    logits, target = scene(batch=1, classes=3, height=3, width=3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


@EVERY
def test_without_a_labelled_pixel_loss_and_gradient_are_zero(loss):
    logits, target = scene()
    value = loss(logits, torch.full_like(target, 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@EVERY
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), fraction=st.floats(0, 1))
def test_void_does_not_matter(loss, seed, fraction):
    """Predictions at void pixels change neither the loss nor the gradient at those pixels."""
    logits, target = scene(seed)
    rng = torch.Generator().manual_seed(seed)
    void = torch.rand(target.shape, generator=rng) < fraction
    target = target.masked_fill(void, 255)
    other = torch.where((target == 255)[:, None], 100 * torch.randn(logits.shape, generator=rng), logits.detach())
    value = loss(logits, target)
    value.backward()
    assert math.isfinite(value.item())
    assert loss(other, target).item() == pytest.approx(value.item(), rel=1e-5, abs=1e-7)
    assert not logits.grad.movedim(1, -1)[target == 255].any()


@EVERY
@settings(max_examples=20)
@given(order=st.permutations(range(5)))
def test_the_order_of_classes_does_not_matter(loss, order):
    logits, target = scene(void=False)
    renamed = torch.tensor([order.index(c) for c in range(5)])[target]
    assert loss(logits[:, list(order)], renamed).item() == pytest.approx(loss(logits, target).item(), rel=1e-5)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    logits, target = scene()
    half = logits.detach().to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(half, target)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(loss(half.float(), target)), rel=1e-6)


@pytest.mark.parametrize("scale", [1e4, 1e30])
@pytest.mark.parametrize("loss", [*LOSSES.values(), partial(focal, gamma=0.5)], ids=[*LOSSES, "focal, γ=½"])
def test_extreme_logits_stay_finite(loss, scale):
    logits, target = scene()
    huge = (scale * logits).detach().requires_grad_()
    value = loss(huge, target)
    value.backward()
    assert value.isfinite()
    assert huge.grad.isfinite().all()


@EVERY
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_any_integer_labels(loss, dtype):
    logits, target = scene()
    assert torch.equal(loss(logits, target.to(dtype)), loss(logits, target))


# --- what is refused ----------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("label", [5, 254, -1])
def test_labels_outside_the_classes_are_listed(loss, label):
    logits, target = scene()
    target[0, 3, 3] = label
    with pytest.raises(ValueError, match=rf"label {label} \(\d+ pixels?\) outside the 5 classes \(0…4; void is 255\)"):
        loss(logits, target)


@EVERY
def test_another_size_is_refused(loss):
    logits, target = scene()
    with pytest.raises(ValueError, match="do not fit together"):
        loss(logits, target[:, 1:])


# --- recipes ------------------------------------------------------------------------------------------------------


def test_a_sum_of_losses():
    logits, target = scene()
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0])
    expected = cross_entropy(logits, target, weights) + dice(logits, target)
    torch.testing.assert_close(criterion("ce + dice", weights=weights)(logits, target), expected)
    torch.testing.assert_close(
        criterion("ce", weights.tolist())(logits, target), cross_entropy(logits, target, weights)
    )
    torch.testing.assert_close(criterion()(logits, target), cross_entropy(logits, target))


def test_invalid_sums_are_refused():
    with pytest.raises(ValueError, match="unknown loss 'dicee'; did you mean 'dice'"):
        criterion("ce+dicee")
    with pytest.raises(ValueError, match="'dice\\+lovasz' takes no class weights"):
        criterion("dice+lovasz", weights=[1.0, 2.0])


# --- class weights ------------------------------------------------------------------------------------------------


def test_class_weights_by_hand():
    assert class_weights([10, 30, 60], "inverse").tolist() == pytest.approx([100 / 30, 100 / 90, 100 / 180])
    assert class_weights([10, 30, 60], "median").tolist() == pytest.approx([3.0, 1.0, 0.5])
    # per image: class 2 is half of the one image in which it occurs; frequencies 0.25, 0.5, 0.5
    assert class_weights([[25, 75, 0], [25, 25, 50]], "median").tolist() == pytest.approx([2.0, 1.0, 1.0])


@pytest.mark.parametrize("how", ["inverse", "median"])
def test_class_weights_without_a_pixel(how):
    weights = class_weights([0, 10, 90], how)
    assert weights.isfinite().all()
    assert weights[0] == weights[1] > weights[2]
    assert class_weights([0, 0, 0], how).tolist() == [1, 1, 1]
    assert class_weights([7, 7, 7], how).tolist() == pytest.approx([1, 1, 1])


def test_class_weights_refuse():
    with pytest.raises(ValueError, match="did you mean 'median'"):
        class_weights([1, 2], "medium")
    with pytest.raises(ValueError, match="finite and not negative"):
        class_weights([1, -2])
