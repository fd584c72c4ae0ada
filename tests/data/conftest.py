"""Fixtures of the tests of data."""

from collections.abc import Iterator

import numpy as np
import pytest
from helpers.server import Server, serving
from PIL import Image


@pytest.fixture
def picture() -> Image.Image:
    """2 high, 3 wide: red, green, blue; black, grey, white."""
    rows = [[(255, 0, 0), (0, 255, 0), (0, 0, 255)], [(0, 0, 0), (128, 128, 128), (255, 255, 255)]]
    return Image.fromarray(np.array(rows, np.uint8))


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server
