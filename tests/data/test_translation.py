"""Translations between class sets."""

import pytest

from seglab.data.classes import CLASS_SETS
from seglab.data.translation import translate


def test_cityscapes_into_street():
    into = translate(CLASS_SETS["cityscapes"], CLASS_SETS["street"])
    named = dict(into.table().itertuples(index=False))
    assert named["sidewalk"] == "pavement"
    assert named["rider"] == "bicyclist"
    assert into.without_counterpart == ("train",)
    assert into.never_named == ()


def test_voc_has_no_counterpart_of_road():
    into = translate(CLASS_SETS["voc"], CLASS_SETS["street"])
    assert {"sky", "road", "building"} <= set(into.never_named)
    assert "sheep" in into.without_counterpart


def test_other_classes_of_ade20k_are_background_in_voc():
    into = translate(CLASS_SETS["ade20k"], CLASS_SETS["voc"])
    named = dict(into.table().itertuples(index=False))
    assert named["wall"] == "background"
    assert named["airplane"] == "aeroplane"
    assert named["animal"] == "–"  # it may be any of the animals of VOC


@pytest.mark.parametrize("a", CLASS_SETS)
@pytest.mark.parametrize("b", CLASS_SETS)
def test_every_listed_pair_names_real_classes_and_equal_names_agree(a, b):
    into = translate(CLASS_SETS[a], CLASS_SETS[b])
    if a == b:
        assert into.indices == tuple(range(len(CLASS_SETS[a])))
    for name, index in zip(into.source.names, into.indices, strict=True):
        if name in into.target.names and index is not None:
            assert into.target.names[index] == name


def test_your_own_pairs():
    membrane, pets = CLASS_SETS["membrane"], CLASS_SETS["pets"]
    assert translate(membrane, pets, {"cell": "pet"}).indices == (None, 1)
    with pytest.raises(ValueError, match="unknown membrane class 'cel'"):
        translate(membrane, pets, {"cel": "pet"})
    with pytest.raises(ValueError, match="unknown pets class 'dog'"):
        translate(membrane, pets, {"cell": "dog"})
