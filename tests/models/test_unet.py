"""U-Net: its shapes, and the use of each of its parts."""

import pytest
import torch

from seglab.models.unet import UNet


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (33, 50), (31, 17)])
def test_output_has_the_size_of_the_input(size):
    net = UNet(5, width=4).eval()
    assert net(torch.randn(2, 3, *size)).shape == (2, 5, *size)


def test_feature_maps_of_the_encoder():
    features = UNet(5, width=4).encode(torch.randn(1, 3, 32, 48))
    assert [tuple(m.shape[1:]) for m in features] == [(64, 2, 3), (32, 4, 6), (16, 8, 12), (8, 16, 24), (4, 32, 48)]


def test_number_of_parameters():
    """29 M parameters at the paper's width (31 M with its 2×2 up-convolutions), and 1.8 M at a quarter of it."""
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(UNet(2)) == pytest.approx(28.9e6, rel=0.01)
    assert count(UNet(11, width=16)) < 1.9e6


def test_every_parameter_has_a_gradient():
    net = UNet(5, width=4)
    net(torch.randn(2, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad.any() for name, p in net.named_parameters() if p.ndim == 4)


def test_skip_connections_preserve_location():
    """With the bottleneck zeroed out, the output still changes where the image changes."""
    torch.manual_seed(0)
    net = UNet(5, width=4, depth=2).eval()
    net.encoder[-1].register_forward_hook(lambda *_: torch.zeros_like(_[2]))
    a = torch.randn(1, 3, 32, 32)
    b = a.clone()
    b[..., :8, :8] += 1
    changed = (net(a) != net(b)).any(dim=1)[0]
    assert changed[:8, :8].float().mean() > 0.8  # a ReLU may hide some
    assert not changed[24:, 24:].any()
