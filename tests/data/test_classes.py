"""Class sets."""

import json
from dataclasses import replace

import numpy as np
import pytest
from torchvision.models.segmentation import FCN_ResNet50_Weights

from seglab.data.classes import CLASS_SETS, ClassSet, class_set_fields
from seglab.data.palette import voc_colors
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


def test_street_has_the_colours_of_cityscapes():
    street, city = CLASS_SETS["street"], CLASS_SETS["cityscapes"]
    into = translate(street, city)
    same = [street.colors[i] == city.colors[j] for i, j in enumerate(into.indices) if street.names[i] != "bicyclist"]
    assert all(same)


def test_an_unknown_class_name_suggests_a_similar_one():
    with pytest.raises(ValueError, match="unknown street class 'pedestrain'; did you mean 'pedestrian'"):
        CLASS_SETS["street"].index("pedestrain")


@pytest.mark.parametrize(("changes", "words"), [
    ({"names": ("a", "a")}, "twice"), ({"names": ("a",)}, "1 names but 2 colours"),
    ({"names": (), "colors": ()}, "0 classes"), ({"names": ("a", 1)}, "has the name 1; expected a text"),
    ({"background": 2}, r"background 2; expected 0…1"), ({"things": frozenset("c")}, "no class 'c', which things="),
    *(({"colors": (wrong, (0, 0, 0))}, "has colour .*; expected red, green and blue") for wrong in (
        "red", (0, 0), (0, 0, 0, 0), (0, 0, 256), (0, -1, 0), (0.5, 0, 0), (0, 0, "0"), None,
        ("0;background:url(//example.org)", 0, 0))),
    ({"void_color": (0, 0, "0")}, "has colour"),
])  # fmt: skip
def test_impossible_class_sets_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(ClassSet("x", ("a", "b"), ((0, 0, 0), (1, 1, 1))), **changes)


def test_colours_become_plain_integers():
    made = ClassSet("x", ("a",), (np.array([1, 2, 255], np.uint8),), void_color=[0, 0, 0])
    assert made.colors == ((1, 2, 255),) and made.void_color == (0, 0, 0)
    assert json.loads(json.dumps(class_set_fields(made)))["colors"] == [[1, 2, 255]]


def test_the_table_marks_things_and_background():
    table = CLASS_SETS["voc"].table()
    assert table.loc[0, "kind"] == "background"
    assert table.loc[15].tolist() == ["person", "#c08080", "thing"]
