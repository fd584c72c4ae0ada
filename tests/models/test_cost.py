"""Costs of a model, compared with counting by hand and with published tables."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model_weights

from seglab import CLASS_SETS
from seglab.models.adapters import wrap
from seglab.models.cost import cost, count_parameters
from seglab.models.loading import load_model
from seglab.models.registry import MODELS

MEMBRANE = CLASS_SETS["membrane"]
FLOAT = 4  # bytes


def chain():
    """3 → 8 → 8 → 2 channels, the last one at half the size."""
    return wrap(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1, stride=2)), MEMBRANE)


def test_by_hand():
    counted = cost(chain(), (10, 12))
    assert counted.size == (10, 12)
    assert counted.params == (3 * 9 * 8 + 8) + (8 * 2 + 2)
    assert counted.macs == 120 * 3 * 9 * 8 + 30 * 8 * 2
    assert counted.flops == 2 * counted.macs


def test_memory_by_hand():
    """At the peak the ReLU reads 8 channels and writes 8, while the image and its padded copy are still alive."""
    model = chain()
    weights = FLOAT * ((3 * 9 * 8 + 8) + (8 * 2 + 2))
    assert cost(model, (10, 12)).peak_bytes == weights + FLOAT * 120 * (3 + 3 + 8 + 8)
    model.net[1].inplace = True  # then the peak is at the last convolution
    assert cost(model, (10, 12)).peak_bytes == weights + FLOAT * 120 * (3 + 3 + 8) + FLOAT * 30 * 2


class Kept(nn.Module):
    """Keeps its intermediate tensors until the end, or frees them."""

    def __init__(self, keep):
        super().__init__()
        self.keep = keep

    def forward(self, x):
        kept = []
        for _ in range(5):
            x = x + 1
            kept.append(x)
            if not self.keep:
                kept.clear()
        return x[:, :2]


def test_freed_memory_is_counted_once():
    assert cost(wrap(Kept(True), MEMBRANE), (10, 10)).peak_bytes == FLOAT * 300 * (2 + 5)
    assert cost(wrap(Kept(False), MEMBRANE), (10, 10)).peak_bytes == FLOAT * 300 * (2 + 2)


def test_a_model_whose_operations_depend_on_values():
    class DependsOnValues(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) if x.sum() == 0 else x

    assert cost(wrap(DependsOnValues(3, 2, 1), MEMBRANE), (10, 10)).macs == 600


@pytest.mark.parametrize(
    ("name", "params", "gmacs", "aux"),
    [("deeplabv3_resnet50", 39.6, 168.7, 65 * 65 * (1024 * 256 * 9 + 256 * 21)),
     ("lraspp_mobilenet_v3_large", 3.2, 2.1, 0)],
)  # fmt: skip
def test_published_costs(name, params, gmacs, aux):
    """torchvision's table includes the auxiliary head: its multiply-accumulates are counted by hand here."""
    published = get_model_weights(name).DEFAULT.meta
    model = load_model(name, weights=None, classes="voc", device="meta")  # nothing is computed
    counted = cost(model, (520, 520))
    assert (round(counted.params / 1e6, 1), round(counted.macs / 1e9, 1)) == (params, gmacs)
    assert sum(p.numel() for p in model.parameters()) == published["num_params"]
    assert (counted.macs + aux) / 1e9 == pytest.approx(published["_ops"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in MODELS if n.endswith("_mini")])
def test_every_mini_can_be_counted(name):
    model = load_model(name, weights=None, device="cpu").train()
    model.net.eval()
    modes = [module.training for module in model.modules()]
    small, large = cost(model, (64, 96)), cost(model, (128, 192))
    assert small.params == large.params == count_parameters(model) <= 1.9e6
    assert 3 * small.macs < large.macs
    assert small.peak_bytes < large.peak_bytes
    assert [module.training for module in model.modules()] == modes
    assert cost(model, (64, 96)) == small


def test_a_matrix_product_by_hand():
    class Mix(nn.Module):
        def forward(self, x):
            flat = x.flatten(2)  # (1, 3, 80)
            return (flat.transpose(1, 2) @ flat)[:, None].expand(1, 2, 80, 80)

    assert cost(wrap(Mix(), MEMBRANE), (8, 10)).macs == 80 * 3 * 80


def test_counting_leaves_no_gradient():
    model = chain()
    cost(model, (8, 8))
    assert all(p.grad is None for p in model.parameters())
    assert torch.is_grad_enabled()
