"""Translations between class sets."""

import pytest

from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.palette import voc_colors
from seglab.data.translation import read_mapping, translate


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


def test_known_sets_without_a_list_correspond_by_equal_names_as_before():
    """Committed counts were mapped before there were synonyms."""
    for a, b in [("voc", "photographs"), ("photographs", "voc"), ("photographs", "ade20k"), ("voc", "pets")]:
        into = translate(CLASS_SETS[a], CLASS_SETS[b])
        equal = [b_names.index(n) if n in (b_names := CLASS_SETS[b].names) else None for n in CLASS_SETS[a].names]
        assert list(into.indices) == equal


def test_other_vocabularies_correspond_by_synonyms():
    own = ClassSet("own", ("Sidewalk", "road, route", "traffic_sign", "cyclist", "person", "lamp"), voc_colors(6))
    named = dict(translate(own, CLASS_SETS["street"]).table().itertuples(index=False))
    assert named == {"Sidewalk": "pavement", "road, route": "road", "traffic_sign": "sign", "cyclist": "bicyclist",
                     "person": "pedestrian", "lamp": "–"}  # fmt: skip
    both = ClassSet("both", ("person", "pedestrian", "sidewalk", "Road"), voc_colors(4))
    assert translate(CLASS_SETS["street"], both).table()["both"].tolist() == [
        "–", "–", "–", "Road", "sidewalk", "–", "–", "–", "–", "pedestrian", "–",
    ]  # fmt: skip


def test_pairs_of_your_own_count_more_than_lists_and_synonyms():
    own = ClassSet("own", ("sidewalk", "person", "lamp"), voc_colors(3))
    into = translate(own, CLASS_SETS["street"], {"sidewalk": None, "lamp": "pole"})
    assert into.table()["street"].tolist() == ["–", "pedestrian", "pole"]
    city = translate(CLASS_SETS["cityscapes"], CLASS_SETS["street"], {"train": "car"})
    assert dict(city.table().itertuples(index=False))["train"] == "car"
    assert dict(city.table().itertuples(index=False))["sidewalk"] == "pavement"


def test_a_mapping_is_read_from_yaml_and_csv(tmp_path):
    expected = {"sidewalk": "pavement", "lamp": None, "*": "building"}
    for name, text in (("m.yaml", "sidewalk: pavement\nlamp:\n'*': building\n"),
                       ("m.csv", "sidewalk,pavement\n\nlamp,\n*, building\n")):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert read_mapping(tmp_path / name) == expected
    for name, text, problem in (
        ("a.csv", "sidewalk,pavement,x\n", "has 3 columns; expected two names"),
        ("b.yaml", "- sidewalk\n", "expected pairs of class names"),
        ("c.yaml", "no: 1\n", "expected pairs of class names"),
        ("d.yaml", "", "expected pairs of class names"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=problem):
            read_mapping(tmp_path / name)
    with pytest.raises(ValueError, match="there is no mapping"):
        read_mapping(tmp_path / "none.csv")
