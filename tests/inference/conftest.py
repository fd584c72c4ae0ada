"""The model that the tests of this folder share."""

import pytest

from seglab import load_model


@pytest.fixture(scope="session")
def model():
    return load_model("unet_mini:toytown", device="cpu")
