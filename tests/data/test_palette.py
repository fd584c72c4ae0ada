"""Colours and colour-vision deficiency."""

import numpy as np
import pytest

from seglab.data.classes import CLASS_SETS
from seglab.data.palette import SAFE_11, SAFE_21, VISIONS, min_distance, simulate_cvd


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("palette", "least"), [(SAFE_11, 19), (SAFE_21, 11)])
def test_safe_palettes_are_distinct_in_every_vision(palette, least, vision):
    """CIEDE2000; 10 is clear at a glance. The official VOC palette falls to below 3."""
    assert min_distance(palette, vision) > least
    assert min(min_distance(CLASS_SETS["voc"].colors, v) for v in VISIONS) < 3


@pytest.mark.parametrize("name", CLASS_SETS)
def test_every_set_has_a_safe_palette(name):
    safe = CLASS_SETS[name].safe()
    looks = list(zip(safe.colors, safe.hatches, strict=True))
    assert len(set(looks)) == len(safe)
    for pattern in set(safe.hatches):
        colours = [c for c, h in looks if h == pattern]
        if len(colours) > 1:
            assert min(min_distance(colours, v) for v in VISIONS) > 11


def test_simulated_vision_has_the_known_properties():
    """Greys stay grey for everybody; red and green come close without green cones; blue and yellow do not."""
    grey = np.array([[90, 90, 90], [200, 200, 200]], np.uint8)
    for vision in VISIONS:
        assert np.abs(simulate_cvd(grey, vision).astype(int) - grey).max() <= 1
    red_green, blue_yellow = [(200, 60, 40), (110, 120, 20)], [(40, 60, 200), (220, 210, 60)]
    assert min_distance(red_green, "deuteranopia") < 0.5 * min_distance(red_green)
    assert min_distance(blue_yellow, "deuteranopia") > 0.8 * min_distance(blue_yellow)
    with pytest.raises(ValueError, match="unknown kind of vision 'deuteranopa'; did you mean 'deuteranopia'"):
        simulate_cvd(grey, "deuteranopa")
