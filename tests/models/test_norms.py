"""BatchNorm replaced by GroupNorm or SyncBatchNorm, and adapted to other images."""

import copy

import pytest
import torch
from torch import nn

from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from seglab.models.adapters import wrap
from seglab.models.loading import load_model
from seglab.models.norms import adapted, with_norm
from seglab.models.registry import MODELS


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_group_norm_replaces_every_batch_norm(untrained, name):
    model = copy.deepcopy(untrained(name))
    batch_norms = {n: m for n, m in model.named_modules() if type(m) is nn.BatchNorm2d}
    for module in batch_norms.values():
        nn.init.normal_(module.weight)
    changed = with_norm(model, "group")
    assert changed is model
    assert changed.norm == "group"
    for path, before in batch_norms.items():
        after = model.get_submodule(path)
        assert isinstance(after, nn.GroupNorm)
        assert torch.equal(after.weight, before.weight)
        assert after.num_channels // after.num_groups >= 4


def test_sync_norm():
    model = load_model("unet_mini", weights=None, norm="sync", device="cpu")
    assert not any(type(m) is nn.BatchNorm2d for m in model.modules())
    assert any(isinstance(m, nn.SyncBatchNorm) for m in model.modules())
    with pytest.raises(ValueError, match="unknown kind of norm 'grup'; did you mean 'group'"):
        with_norm(model, "grup")


def test_adapted_statistics_are_those_of_the_images():
    """Two batches of two constant grey images: the mean and the variance of each are known."""
    model = wrap(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(1.0), nn.Conv2d(3, 11, 1)), "street")
    before = copy.deepcopy(model.state_dict())
    values = torch.tensor([0, 102, 51, 255], dtype=torch.uint8)  # 0, 0.4, 0.2, 1
    copied = adapted(model, values[:, None, None, None].expand(4, 3, 1, 2), batch=2)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    norm = copied.net[0]
    torch.testing.assert_close(norm.running_mean, (0.4 - mean) / std)  # 0.2 and 0.6
    # Four values a batch, two of each: sum of squares 4 · 0.2² and 4 · 0.4², each over 4 − 1
    torch.testing.assert_close(norm.running_var, (4 * 0.04 / 3 + 4 * 0.16 / 3) / 2 / std**2)
    assert norm.momentum == 0.1
    assert not any(module.training for module in copied.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert (model.label, copied.label) == ("Sequential", "Sequential, adapted")


def test_adapted_pools_globally_and_leaves_weights(untrained):
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    model = untrained("deeplabv3_mini")
    copied = adapted(model, images, batch=2)  # batches of 3 and 2: one image alone would raise an error
    for (name, weight), (_, other) in zip(model.named_parameters(), copied.named_parameters(), strict=True):
        assert torch.equal(weight, other), name
    assert not torch.equal(model(model.preprocess(images)), copied(copied.preprocess(images)))


def test_a_model_without_batch_norm_is_not_changed_by_adapting(untrained):
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    model = with_norm(copy.deepcopy(untrained("unet_mini")), "group")
    assert torch.equal(model(model.preprocess(images)), adapted(model, images)(model.preprocess(images)))


@pytest.mark.parametrize(("count", "batch"), [(1, 8), (4, 1)])
def test_adapting_needs_two_images(untrained, count, batch):
    with pytest.raises(ValueError, match=f"with {count} images in batches of {batch}; pass two images or more"):
        adapted(untrained("unet_mini"), torch.zeros(count, 3, 32, 32, dtype=torch.uint8), batch)
