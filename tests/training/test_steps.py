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
