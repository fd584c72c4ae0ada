"""A small batch to train on, and values that make untrained models differ from pixel to pixel."""

import torch
from torch import nn

VOID = 255


def half_striped(batch=2, size=64, seed=0):
    """float (B,3,size,size): noise in the left half, target 0; stripes in the right half, target 1; void at the top."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, size, size, generator=rng)
    images[..., size // 2 :] = images[..., :1, size // 2 :] + 1
    target = torch.zeros(batch, size, size, dtype=torch.long)
    target[..., size // 2 :] = 1
    target[:, :4] = VOID
    return images, target


def random_statistics(net):
    """Random BatchNorm statistics: with the initial ones an untrained model has equal scores everywhere."""
    rng = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=rng))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=rng))
    return net
