"""Photographs of other packages are found by name."""

import numpy as np
import pytest
from skimage import data

from seglab.data.images import read_image
from seglab.data.photographs import photograph


def test_photographs_of_both_packages():
    assert np.array_equal(read_image(photograph("chelsea.png")), data.chelsea().transpose(2, 0, 1))
    assert read_image(photograph("grace_hopper.jpg")).shape == (3, 600, 512)
    with pytest.raises(ValueError, match=r"neither scikit-image nor matplotlib has a photograph 'dog\.png'"):
        photograph("dog.png")
