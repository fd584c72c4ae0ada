"""Class sets."""

import json
from dataclasses import replace

import numpy as np
import pytest
from torchvision.models.segmentation import FCN_ResNet50_Weights

from seglab.data.classes import CLASS_SETS, ClassSet, class_set_fields, class_set_from
from seglab.data.palette import voc_colors
from seglab.data.translation import translate

SIZES = {
    "voc": 21, "street": 11, "cityscapes": 19, "ade20k": 150, "membrane": 2, "pets": 2, "photographs": 7, "nuclei": 3
}  # fmt: skip


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": ("a", "a")}, "twice"),
        ({"names": ("a",)}, "1 names but 2 colours"),
        ({"names": (), "colors": ()}, "0 classes"),
        ({"colors": ((0, 0, 0), "red;background:url(//x)")}, "each colour must"),
        ({"colors": ((0, 0, 0), (0, 0, 256))}, "each colour must"),
        ({"colors": ((0, 0, 0), (0, 0, 1.5))}, "each colour"),
        ({"colors": ((0, 0, 0), (0, True, 1))}, "each colour"),
        ({"void_color": "black"}, "each colour must"),
        ({"colors": None}, "each colour must"),
        ({"names": ("a", "b\x1b[2J")}, "printable"),
        ({"names": ("a", "")}, "printable"),
        ({"names": ("a", 5)}, "printable"),
        ({"names": "ab"}, "printable"),
        ({"name": None}, "printable"),
        ({"name": "x" * 201}, "printable"),
        ({"background": 2}, "background is 2"),
        ({"background": "a"}, "background is 'a'"),
        ({"things": 5}, "printable"),
        ({"hatches": (1,)}, "hatches must"),
        ({"hatches": (1, "/")}, "hatches must"),
        ({"ignore_index": 1}, "expected 2 to 255"),
    ],
)
def test_impossible_class_sets_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(ClassSet("x", ("a", "b"), ((0, 0, 0), (1, 1, 1))), **changes)


def test_colours_become_plain_integers():
    made = ClassSet("x", ("a",), (tuple(np.array([1, 2, 255], np.uint8)),), void_color=(np.uint8(0), 0, 0))
    assert made.colors == ((1, 2, 255),) and made.void_color == (0, 0, 0)
    assert json.loads(json.dumps(class_set_fields(made)))["colors"] == [[1, 2, 255]]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "street",
        [1],
        {},
        {"name": "a", "names": ["a"]},
        {"name": "a", "names": ["a"], "colors": [[0, 0, 0]], "things": [[]]},
        {"name": "a", "names": ["a"], "colors": [[0, 0, 0]], "things": {}},
        {"name": "a", "names": {"a": 1}, "colors": [], "things": []},
        {"name": [], "names": [["a"]], "colors": 3, "things": []},
        class_set_fields(CLASS_SETS["pets"]) | {"x": 1},
    ],
)
def test_stored_class_sets_from_elsewhere_are_checked_as_a_whole(stored):
    with pytest.raises(ValueError, match="class set"):
        class_set_from(stored)


def test_numbers_of_numpy_are_numbers():
    colors = tuple(tuple(color) for color in np.array([(0, 0, 0), (1, 2, 3)], np.uint8))
    assert ClassSet("x", ("a", "b"), colors, background=np.int64(1)).table()["color"].tolist() == ["#000000", "#010203"]


def test_the_table_marks_things_and_background():
    table = CLASS_SETS["voc"].table()
    assert table.loc[0, "kind"] == "background"
    assert table.loc[15].tolist() == ["person", "#c08080", "thing"]
