"""VGG Image Annotator."""

from dataclasses import replace

import pytest
from helpers.annotated import rows, save_images, save_json

from seglab.data.formats import via

SHAPE = {"name": "polygon", "all_points_x": [0, 2, 2, 0], "all_points_y": [0, 0, 1, 1]}


def region(shape=SHAPE, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def write(path, **images):
    return save_json(path, {f"{n}.png9": {"filename": f"{n}.png", "size": 9, "regions": r} for n, r in images.items()})


def test_the_classes_are_values_of_an_attribute(tmp_path):
    save_images(tmp_path, "train/a.png", "val/a.png")
    circle = {"name": "circle", "cx": 4, "cy": 2, "r": 1}
    ellipse = {"name": "ellipse", "cx": 1, "cy": 3, "rx": 1, "ry": 0.5, "theta": 0}
    write(tmp_path / "train/via.json", a=[region(kind="leaf"), region(circle, kind="stone")])
    # Version 1 numbers the regions; checkboxes store which options are on.
    boxes = {"1": region(ellipse, kind={"leaf": True, "stone": False}), "2": region({"name": "rect"}, kind="leaf")}
    save_json(tmp_path / "val/via.json", {"_via_img_metadata": {"k": {"filename": "a.png", "regions": boxes}}})
    proposal = via.recognise(tmp_path)
    assert proposal.question is None
    assert (proposal.card.names, proposal.card.annotations) == (("background", "leaf", "stone"), "*/via.json")
    assert "Without pixels, and left out: rect 1." in proposal.evidence
    first, second = via.entries(proposal.card)
    assert [(first.id, first.split), (second.id, second.split)] == [("train/a", "train"), ("val/a", "val")]
    assert rows(first) == ["111000", "111020", "000222", "000020"]
    assert rows(second) == ["000000", "000000", "000000", "111000"]


def test_regions_without_attributes_belong_to_the_only_class(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path / "via.json", a=[region(kind="leaf", old="leaf"), region()])
    proposal = via.recognise(tmp_path)
    assert proposal.card.labels == {"": "leaf"}
    assert "Regions without attribute old: 1, read as leaf." in proposal.evidence
    assert rows(via.entries(proposal.card)[0])[0] == "111000"
    with pytest.raises(ValueError, match=r"via.json: label '' is not among the classes"):
        via.entries(replace(proposal.card, labels={}))


def test_no_attributes_at_all(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path / "via.json", a=[region()])
    assert via.recognise(tmp_path).card.names == ("background", "object")


def test_several_attributes_are_a_question(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path / "via.json", a=[region(kind="car", occluded="yes"), region(kind="car", occluded="no")])
    proposal = via.recognise(tmp_path)
    options = proposal.question.options
    assert options["kind"] == {"names": ("background", "car"), "labels": {}}
    assert options["occluded"]["names"] == ("background", "no", "yes")
    assert rows(via.entries(replace(proposal.card, **options["kind"]))[0])[0] == "111000"
    with pytest.raises(ValueError, match=r"via.json: a region is both car and yes; leave one of them out of names:"):
        via.entries(replace(proposal.card, names=("background", "car", "yes")))


def test_errors_and_other_files(tmp_path):
    save_json(tmp_path / "other.json", {"a": {"filename": "a.png"}})
    assert via.recognise(tmp_path) is None
    save_images(tmp_path, "a.png")
    write(tmp_path / "via.json", a=[region(kind="leaf")], b=[])
    card = via.recognise(tmp_path).card
    with pytest.raises(ValueError, match=r"via.json: image 'b.png' is not below"):
        via.entries(card)
    write(tmp_path / "via.json", a=[region({"name": "polygon", "all_points_x": [1]}, kind="leaf")])
    with pytest.raises(ValueError, match=r"via.json: a.png: an object cannot be drawn .'all_points_y'"):
        via.entries(card)[0].target((4, 6))
