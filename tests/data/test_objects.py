"""The width of objects in label maps."""

import numpy as np
import pytest
import torch

from seglab.data.objects import object_widths


def widths(labels):
    return object_widths(torch.from_numpy(np.asarray(labels, np.uint8)))


@pytest.mark.parametrize("width", [2, 3, 4, 5, 10])
def test_strips_of_known_width(width):
    """Exact for an even width, 1/w more for an odd one; in both directions."""
    target = np.zeros((60, 200), np.uint8)
    target[20 : 20 + width] = 1
    expected = width if width % 2 == 0 else width + 1 / width
    assert widths(target)[1] == pytest.approx(expected)
    assert widths(target.T)[1] == pytest.approx(expected)


def test_an_object_at_the_border_of_the_image_is_not_thinner():
    target = np.zeros((40, 60), np.uint8)
    target[:5] = 1  # the visible half of a strip: its distances are 1 to 5 from one side only
    assert widths(target)[1] == pytest.approx(4 * (3 - 0.5))


def test_the_median_object_of_each_class():
    """Three strips of widths 2, 4 and 20; void ends an object and has no width; specks do not count."""
    target = np.zeros((100, 80), np.uint8)
    target[5:7], target[20:24], target[40:60] = 1, 1, 1
    target[70:76], target[76:90] = 2, 255
    target[98, ::7] = 1
    found = widths(target)
    assert found[1] == pytest.approx(4) and found[2] == pytest.approx(6) and set(found) == {0, 1, 2}


def test_one_class_has_no_width():
    assert widths(np.ones((20, 20))) == {} and widths(np.full((9, 9), 255)) == {}
