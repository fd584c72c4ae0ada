"""What is changed in the libraries' networks."""

import pytest
from torch import nn

from seglab.models.registry import MODELS


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_batch_norm_adapts_within_tens_of_steps(untrained, name):
    """torchvision's MobileNetV3 would keep 99 % of its old averages in each step."""
    assert all(m.momentum >= 0.1 for m in untrained(name).modules() if isinstance(m, nn.BatchNorm2d))
