"""Class sets, their palettes and their translations."""

from dataclasses import replace

import numpy as np
import pytest
from torchvision.models.segmentation import FCN_ResNet50_Weights

from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.palette import SAFE_11, SAFE_21, VISIONS, min_distance, simulate_cvd, voc_colors
from seglab.data.translation import translate

SIZES = {"voc": 21, "street": 11, "cityscapes": 19, "ade20k": 150, "membrane": 2, "pets": 2}


def test_sizes_and_fixed_colours():
    assert {name: len(c) for name, c in CLASS_SETS.items()} == SIZES
    for name, classes in CLASS_SETS.items():
        assert classes.name == name
        assert len(set(classes.colors)) == len(classes)
        assert classes.palette.shape == (256, 3)


def test_voc_names_and_colours_are_the_official_ones():
    voc = CLASS_SETS["voc"]
    theirs = FCN_ResNet50_Weights.DEFAULT.meta["categories"]
    assert [n.strip("_") for n in theirs] == list(voc.names)
    # From the VOC devkit's own table.
    assert voc.colors[1] == (128, 0, 0)
    assert voc.colors[15] == (192, 128, 128)
    assert voc.colors[20] == (0, 64, 128)
    assert len(set(voc_colors(256))) == 256


def test_cityscapes_colours_are_the_official_ones():
    """As torchvision's data set lists them, in the order of the train ids."""
    from torchvision.datasets import Cityscapes

    official = {c.train_id: c for c in Cityscapes.classes if 0 <= c.train_id < 19}
    ours = CLASS_SETS["cityscapes"]
    assert [official[i].name for i in range(19)] == list(ours.names)
    assert [official[i].color for i in range(19)] == list(ours.colors)


def test_street_shares_the_colours_of_cityscapes():
    street, city = CLASS_SETS["street"], CLASS_SETS["cityscapes"]
    into = translate(street, city)
    same = [street.colors[i] == city.colors[j] for i, j in enumerate(into.indices) if street.names[i] != "bicyclist"]
    assert all(same)


# Colour vision ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("palette", "least"), [(SAFE_11, 19), (SAFE_21, 11)])
def test_safe_palettes_stay_apart(palette, least, vision):
    """CIEDE2000; about 10 is seen at a glance. The official VOC palette falls to below 3."""
    assert min_distance(palette, vision) > least
    assert min(min_distance(CLASS_SETS["voc"].colors, v) for v in VISIONS) < 3


@pytest.mark.parametrize("name", SIZES)
def test_every_set_has_a_safe_palette(name):
    safe = CLASS_SETS[name].safe()
    looks = list(zip(safe.colors, safe.hatches, strict=True))
    assert len(set(looks)) == len(safe)
    for pattern in set(safe.hatches):
        colours = [c for c, h in looks if h == pattern]
        if len(colours) > 1:
            assert min(min_distance(colours, v) for v in VISIONS) > 11


def test_simulation_by_what_is_known():
    """Greys stay grey for everybody; red and green come close without green cones; blue and yellow do not."""
    grey = np.array([[90, 90, 90], [200, 200, 200]], np.uint8)
    for vision in VISIONS:
        assert np.abs(simulate_cvd(grey, vision).astype(int) - grey).max() <= 1
    red_green, blue_yellow = [(200, 60, 40), (110, 120, 20)], [(40, 60, 200), (220, 210, 60)]
    assert min_distance(red_green, "deuteranopia") < 0.5 * min_distance(red_green)
    assert min_distance(blue_yellow, "deuteranopia") > 0.8 * min_distance(blue_yellow)
    with pytest.raises(ValueError, match="unknown kind of vision 'deuteranopa'; did you mean 'deuteranopia'"):
        simulate_cvd(grey, "deuteranopa")


# Class sets -------------------------------------------------------------------------------------------


def test_unknown_class_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown street class 'pedestrain'; did you mean 'pedestrian'"):
        CLASS_SETS["street"].index("pedestrain")


@pytest.mark.parametrize(("changes", "words"), [
    ({"names": ("a", "a")}, "twice"), ({"names": ("a",)}, "1 names but 2 colours"),
    ({"names": (), "colors": ()}, "0 classes"),
])  # fmt: skip
def test_impossible_class_sets_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(ClassSet("x", ("a", "b"), ((0, 0, 0), (1, 1, 1))), **changes)


def test_table_says_what_is_countable():
    table = CLASS_SETS["voc"].table()
    assert table.loc[0, "kind"] == "background"
    assert table.loc[15].tolist() == ["person", "#c08080", "thing"]


# Translations -----------------------------------------------------------------------------------------


def test_cityscapes_into_street():
    into = translate(CLASS_SETS["cityscapes"], CLASS_SETS["street"])
    named = dict(into.table().itertuples(index=False))
    assert named["sidewalk"] == "pavement"
    assert named["rider"] == "bicyclist"
    assert into.without_counterpart == ("train",)
    assert into.never_named == ()


def test_voc_knows_no_road():
    into = translate(CLASS_SETS["voc"], CLASS_SETS["street"])
    assert {"sky", "road", "building"} <= set(into.never_named)
    assert "sheep" in into.without_counterpart


def test_what_is_no_object_is_background_to_voc():
    into = translate(CLASS_SETS["ade20k"], CLASS_SETS["voc"])
    named = dict(into.table().itertuples(index=False))
    assert named["wall"] == "background"
    assert named["airplane"] == "aeroplane"
    assert named["animal"] == "–"  # a cat? a cow? nobody can say


@pytest.mark.parametrize("a", SIZES)
@pytest.mark.parametrize("b", SIZES)
def test_every_listed_pair_names_real_classes_and_equal_names_agree(a, b):
    into = translate(CLASS_SETS[a], CLASS_SETS[b])
    if a == b:
        assert into.indices == tuple(range(len(CLASS_SETS[a])))
    for name, index in zip(into.source.names, into.indices, strict=True):
        if name in into.target.names and index is not None:
            assert into.target.names[index] == name


def test_pairs_of_ones_own():
    membrane, pets = CLASS_SETS["membrane"], CLASS_SETS["pets"]
    assert translate(membrane, pets, {"cell": "pet"}).indices == (None, 1)
    with pytest.raises(ValueError, match="unknown membrane class 'cel'"):
        translate(membrane, pets, {"cel": "pet"})
    with pytest.raises(ValueError, match="unknown pets class 'dog'"):
        translate(membrane, pets, {"cell": "dog"})
