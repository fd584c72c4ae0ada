"""Measurements: class sets are translated, images and groups are those of all models."""

import numpy as np
import pytest
from helpers.stores import VOID, fill, labelled, masks, spoilt
from sklearn import metrics as sk

from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.evaluation.measurements import MODELS_AS_TRAINED
from seglab.evaluation.results import Results


def index(classes, *names):
    return [VOID if name == "void" else CLASS_SETS[classes].index(name) for name in names]


def row(classes, *names):
    return np.array([[index(classes, *names)]], np.uint8)


def test_predictions_in_other_classes_are_mapped_after_the_argmax(tmp_path):
    """Eight pixels of a street, and the predictions of a model with VOC's classes."""
    target = row("street", "car", "car", "car", "pedestrian", "bicyclist", "road", "sky", "void")
    pred = row("voc", "car", "bus", "dog", "person", "motorbike", "car", "background", "person")
    fill(tmp_path / "s.sqlite", "voc", target, pred, own="voc")
    results = Results.open(tmp_path / "s.sqlite")
    assert results.evaluated == ["car", "pedestrian", "bicyclist"]
    assert results.measurements.unnamed == [
        name for name in CLASS_SETS["street"].names if name not in results.evaluated
    ]
    confusion = results.confusion("voc")
    assert list(confusion.columns) == ["car", "pedestrian", "bicyclist", "other"]
    assert confusion.to_numpy().tolist() == [[2, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]  # road and sky are void
    assert results.iou_table()["voc"].tolist() == pytest.approx([2 / 3, 1, 1, 8 / 9])
    assert results.summary()["pixel_accuracy"]["voc"] == pytest.approx(4 / 5)  # the dog is an error
    assert MODELS_AS_TRAINED in results.convention()
    assert "void because a model lacks the class: sky, building" in results.convention()
    counts = results.counts
    assert set(counts["pred"]) == {"car", "bus", "dog", "person", "motorbike", "background"}  # the model's own classes
    assert counts.loc[counts["target"] == "void", "pred"].tolist() == ["person"]


def test_class_that_one_model_lacks_is_void_for_all(tmp_path):
    path = tmp_path / "s.sqlite"
    target = row("street", "car", "car", "road", "road", "pedestrian")
    fill(path, "street", target, row("street", "car", "road", "road", "car", "pedestrian"))
    fill(path, "voc", target, row("voc", "car", "car", "car", "dog", "person"), own="voc")
    results = Results.open(path)
    assert results.confusion("street").to_numpy()[:, [0, 1, 3]].tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    table = results.iou_table()
    assert table.loc["car"].tolist() == [1 / 2, 1]
    assert table.loc["mean"].tolist() == [3 / 4, 1]
    alone = results.select("street")
    assert alone.measurements.unnamed == []
    assert alone.iou_table()["street"]["road"] == 1 / 3
    assert MODELS_AS_TRAINED not in alone.convention()


def test_models_that_share_no_class_with_the_data(tmp_path):
    fill(tmp_path / "s.sqlite", "cells", row("street", "car", "road"), row("membrane", "cell", "cell"), own="membrane")
    with pytest.raises(ValueError, match="cells share no class of toys test"):
        Results.open(tmp_path / "s.sqlite").summary()


def test_predicted_255_is_an_error(tmp_path):
    target = row("street", "car", "car", "road", "void")
    fill(tmp_path / "s.sqlite", "unsure", target, row("street", "car", "void", "road", "void"))
    results = Results.open(tmp_path / "s.sqlite")
    confusion = results.confusion("unsure")
    assert confusion.loc["car", "other"] == 1
    assert confusion.to_numpy().sum() == 3
    assert results.iou_table()["unsure"][["car", "road", "mean"]].tolist() == [1 / 2, 1, 3 / 4]


def test_custom_class_set_is_read_back(tmp_path):
    own = ClassSet("fields", ("soil", "wheat", "weed"), ((1, 2, 3),) * 3, background=0)
    target = np.array([[[0, 1, 2, 0]]], np.uint8)
    fill(tmp_path / "s.sqlite", "farmer", target, np.array([[[0, 1, 1, 2]]], np.uint8), classes=own)
    results = Results.open(tmp_path / "s.sqlite")
    assert results.classes.names == own.names
    assert results.classes.background == 0
    assert results.iou_table()["farmer"].tolist() == pytest.approx([1 / 2, 1 / 2, 0, 1 / 3])
    kept = results.conventions()["farmer"]
    assert kept.filter(like="background left out").filter(like="data set, absent classes skipped").tolist() == [1 / 4]


def test_background_index_when_earlier_classes_are_void(tmp_path):
    """The last class is the background, and the model lacks the first."""
    data = ClassSet("yard", ("tree", "pet", "ground"), ((1, 2, 3),) * 3, background=2)
    pets = ClassSet("short", ("pet", "ground"), ((1, 2, 3),) * 2)
    target = np.array([[[0, 2, 2, 1, 1]]], np.uint8)
    fill(tmp_path / "s.sqlite", "dog", target, np.array([[[1, 1, 1, 1, 0]]], np.uint8), classes=data, own=pets)
    results = Results.open(tmp_path / "s.sqlite")
    assert results.evaluated == ["pet", "ground"]
    without = results.conventions()["dog"].filter(like="background left out").filter(like="set, absent classes skipped")
    assert without.tolist() == [1 / 2]


def test_only_images_finished_by_all_models_count(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(6)
    fill(path, "first", targets, spoilt(targets), images=[0, 1, 2, 3, 4, 5])
    fill(path, "second", targets, spoilt(targets, seed=5), images=[1, 2, 5])
    results = Results.open(path)
    assert results.images.index.tolist() == [1, 2, 5]
    assert "toys test: 3 of 6 images" in results.convention()
    t, p = labelled(spoilt(targets)[[1, 2, 5]], targets[[1, 2, 5]])
    assert results.summary()["pixel_accuracy"]["first"] == pytest.approx(sk.accuracy_score(t, p))
    assert results.data_table()["images"]["void"] == 3
    assert set(results.per_image()["id"]) == {"image 1", "image 2", "image 5"}
    assert results.confusion("first").to_numpy().sum() == len(t)
    assert "toys test: 6 images" in results.select("first").convention()
    fill(path, "third", targets, spoilt(targets), images=[])
    with pytest.raises(ValueError, match="no image of toys test is finished by all of first, second, third"):
        Results.open(path).summary()


def test_images_of_one_group_are_resampled_together(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(20)
    for name, groups in (("a", ["north", "south", "east", "west"] * 5), ("b", None)):
        fill(tmp_path / f"{name}.sqlite", "m", targets, spoilt(targets), groups=groups)
    grouped, single = (Results.open(tmp_path / f"{name}.sqlite") for name in "ab")
    assert grouped.grouped.parts["m"].shape == (1, 4, 11, 3)
    assert (grouped.grouped.parts["m"][0, 2] == single.grouped.parts["m"][0, 2::4].sum(axis=0)).all()
    assert grouped.summary()["miou"]["m"] == single.summary()["miou"]["m"]
    assert "20 images in 4 groups" in grouped.convention()
    fill(path, "m", targets, spoilt(targets), groups=["one clip"] * 20)
    table = Results.open(path).summary()
    assert table["why"].tolist() == ["one clip: no interval"]
    assert table["low"].isna().all()


def test_convention_names_models_trained_or_chosen_on_the_data(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(12)
    fill(path, "fair", targets, spoilt(targets), **{"trained on": "toys train 9 ab", "chosen on": "toys val 9 ab"})
    assert "no claim" not in Results.open(path).convention()
    fill(path, "keen", targets, spoilt(targets), **{"trained on": "toys train 9 ab", "chosen on": "toys test 9 ab"})
    fill(path, "unfair", targets, spoilt(targets), **{"trained on": "toys test 9 ab", "chosen on": None})
    note = Results.open(path).convention()
    assert "weights chosen on toys test, which supports no claim about them: keen" in note
    assert "; trained on toys test, which supports no claim about them: unfair" in note


def test_memory_with_many_classes(tmp_path):
    """ADE20K's 150 classes: the counts of an image are (150, 3), not (150, 151)."""
    targets = masks(60, 150, size=(24, 32))
    fill(tmp_path / "s.sqlite", "m", targets, spoilt(targets, 0.3, 150), classes="ade20k")
    results = Results.open(tmp_path / "s.sqlite")
    t, p = labelled(spoilt(targets, 0.3, 150), targets)
    theirs = sk.jaccard_score(t, p, labels=range(150), average=None)
    assert results.iou_table()["m"].iloc[:-1].tolist() == pytest.approx(theirs)
    assert {parts.shape for parts in results.parts.values()} == {(60, 150, 3)}
    assert len(results.conventions()) == 11
