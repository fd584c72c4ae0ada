"""The models that the tests of this folder share."""

import pytest
import torch

from seglab.models.loading import load_model


@pytest.fixture(scope="module")
def untrained():
    """name → an untrained model for the two classes of `membrane`, built once; a test that changes it takes a copy."""
    models = {}

    def build(name):
        if name not in models:
            torch.manual_seed(0)
            models[name] = load_model(name, weights=None, classes="membrane", device="cpu")
        return models[name]

    return build
