"""What the tests of masks share."""

import pytest


@pytest.fixture(scope="session")
def tf():
    return pytest.importorskip("tensorflow", reason="TensorFlow comes with the `test` extra")
