"""Frozen backbones and class weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.tiny_training import TINY, equal, run, small, snapshot, town

from seglab.training import steps
from seglab.training.loop import fit
from seglab.training.losses import criterion
from seglab.training.recipe import Recipe, learning_rate
from seglab.training.steps import augment


@pytest.mark.slow
def test_freeze_and_release():
    """The backbone's weights and BatchNorm averages stay for two epochs; the head is trained from the first on."""
    model = small()
    initial, backbone, head = snapshot(model.backbone), [], []
    model.zero_grad()
    model.loss(
        torch.rand(2, 3, 32, 48), torch.zeros(2, 32, 48).long(), criterion("ce")
    ).backward()  # gradients from before

    def record(_):
        backbone.append(snapshot(model.backbone))
        head.append(snapshot(model.net.decoder))

    fit(model, town(), town("val", 2), replace(TINY, freeze=2, ema=0.5), progress=False, on_epoch=record)
    assert equal(backbone[0], initial)
    assert equal(backbone[1], initial)
    assert not any(torch.equal(backbone[2][key], initial[key]) for key in initial)
    assert not equal(head[0], head[1])
    assert all(p.requires_grad for p in model.parameters())
    run(replace(TINY, freeze=9), model)
    assert all(p.requires_grad for p in model.parameters())


def test_weights_by_hand():
    """The square root of median frequency over the training labels without void."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "criterion", lambda name, weights=None: seen.append(weights) or criterion(name, weights))
        run(replace(TINY, epochs=1, weights="median"))
    counts = np.stack([np.bincount(town()[i].target.flatten(), minlength=256)[:11] for i in range(8)]).astype(float)
    frequency = counts.sum(0) / ((counts > 0) * counts.sum(1, keepdims=True)).sum(0)
    np.testing.assert_allclose(seen[-1], np.sqrt(np.nanmedian(frequency) / frequency), rtol=1e-6)


def coordinates(height, width):
    """An image whose first two channels are the row and the column of a pixel, and a target that is the row."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, rows]).to(torch.uint8), rows.to(torch.uint8)


def test_crops_at_native_resolution_keep_their_pixels():
    recipe = replace(TINY, resolution="native", scale=(1.0, 1.0), flip=0.0, jitter=0.0)
    tops = set()
    for _ in range(8):
        image, target = augment(*coordinates(200, 250), recipe, [])
        assert image.shape == (3, 32, 48) and torch.equal(image[0], target)
        assert (image[0].diff(dim=0) == 1).all() and (image[1].diff(dim=1) == 1).all()
        tops.add(int(image[0, 0, 0]))
    assert len(tops) > 3
    image, target = augment(*coordinates(20, 250), recipe, [])  # a smaller image is padded
    assert image.shape == (3, 32, 48) and (target == 255).sum() == 12 * 48
    image, _ = augment(*coordinates(200, 250), replace(recipe, scale=(0.5, 0.5)), [])
    assert image.shape == (3, 32, 48) and image[0].int().diff(dim=0).float().mean() == pytest.approx(2, abs=0.1)
    fitted, _ = augment(*coordinates(200, 250), replace(recipe, resolution="fit"), [])
    assert fitted[1].int().diff(dim=1).float().mean() == pytest.approx(250 / 48, abs=0.3)


def test_native_crops_contain_favoured_classes():
    image, target = coordinates(200, 250)
    target = (torch.arange(200 * 250).view(200, 250) == 30_000).to(torch.uint8)  # one pixel of class 1
    recipe = replace(TINY, resolution="native", scale=(1.0, 1.0))
    hits = sum(int(augment(image, target, recipe, [1])[1].eq(1).any()) for _ in range(40))
    assert 10 <= hits <= 35


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_backbone_has_its_own_learning_rate(optimizer):
    """Each parameter is in one group; only those with several dimensions are decayed."""
    model, recipe = small(), Recipe(optimizer=optimizer, backbone_lr=0.25, weight_decay=0.1)
    groups = steps.make_optimizer(model, recipe).param_groups
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(map(id, model.parameters()))
    backbone = set(model.backbone_parameters())
    for group in groups:
        assert {p in backbone for p in group["params"]} == {group["factor"] == 0.25}
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.1}
    assert {group["factor"] for group in groups} == {1.0, 0.25}


def test_the_learning_rate_of_the_backbone_is_a_fraction():
    """The rates of the optimizer in the last step."""
    recipe, rates = replace(TINY, epochs=1, backbone_lr=0.25, lr=0.01), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", lambda self: rates.append([g["lr"] for g in self.param_groups]))
        model, _ = small(), run(recipe)
    last = learning_rate(model, recipe, 3.5 / 4)
    assert sorted(rates[-1]) == pytest.approx([last / 4, last / 4, last, last])
    assert len(rates) == 4
