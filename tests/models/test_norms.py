"""BatchNorm replaced by GroupNorm or SyncBatchNorm."""

import copy

import pytest
import torch
from torch import nn

from seglab.models.loading import load_model
from seglab.models.norms import with_norm
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
