"""Names, splits and classes of annotated images."""

from pathlib import Path

import pytest
from helpers.annotated import save_json

from seglab.data.card import Card
from seglab.data.formats.objects import Finder, background_of, class_index, split_of
from seglab.data.formats.tools import keys_of, pattern_of, recognised

ROOT = Path("root")


@pytest.mark.parametrize(
    ("path", "split"),
    [("train/images/a.png", "train"), ("images/Validation/a.png", "val"), ("valid/a.png", "val"), ("a.png", ""),
     ("val2017/a.png", "val"), ("train/test/a.png", "test"), ("trains/a.png", ""), ("images/train_1.png", "")],
)  # fmt: skip
def test_splits_of_folders(path, split):
    assert split_of(Path(path)) == split


@pytest.mark.parametrize(
    ("path", "split"),
    [("annotations/instances_val2017.json", "val"), ("train/test.json", "test"),
     ("train/_annotations.coco.json", "train"), ("instances-training.json", "train"), ("contest.json", "")],
)  # fmt: skip
def test_splits_of_annotation_files(path, split):
    assert split_of(Path(path), name=True) == split


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [("a.png", "annotations/val.json", "val/a.png"), ("train/a.png", "annotations/val.json", "train/a.png"),
     ("C:\\data\\train\\a.png", "x.json", "train/a.png"), ("a.png", "extra/x.json", "extra/deep/a.png"),
     ("0a1b2c3d-a.png", "val/x.json", "val/a.png"), ("b.png", "x.json", None), ("", "x.json", None)],
)  # fmt: skip
def test_the_file_that_a_name_means(name, source, found):
    finder = Finder(ROOT, [ROOT / path for path in ("train/a.png", "val/a.png", "extra/deep/a.png")])
    assert finder.find(name, ROOT / source) == (ROOT / found if found else None)


@pytest.mark.parametrize(
    ("label", "index"), [("leaf", 1), ("tree", 1), ("old", 0), (7, 255), ("__ignore__", 255), ("masked", 255)]
)
def test_labels_to_classes(label, index):
    labels = {"tree": "leaf", "old": 0, 7: "void", "__ignore__": "void", "masked": 255}
    assert class_index(label, Card(ROOT, ("background", "leaf"), labels=labels), ROOT) == index


@pytest.mark.parametrize("label", ["stone", 3, "far"])
def test_a_label_that_the_card_does_not_explain(label):
    with pytest.raises(
        ValueError, match=r"a.json: label .* is not among the classes of the card .background, leaf.; add"
    ):
        class_index(label, Card(ROOT, ("background", "leaf"), labels={"far": 9}), Path("a.json"))


def test_pixels_without_an_object():
    assert background_of(Card(ROOT, ("leaf", "_Background_"))) == 1
    assert background_of(Card(ROOT, ("leaf", "stone"))) == 255


@pytest.mark.parametrize(
    ("names", "pattern"),
    [(["a/b.json"], "a/b.json"), (["train/x.json", "val/x.json"], "*/x.json"), (["a.json", "b.json"], "*.json"),
     (["i/instances_test.json", "i/instances_train.json"], "i/instances_*.json"),
     (["a/b/x.json", "x/x.json"], "{id}/x.json"), (["m/1_pan.png", "m/11_pan.png"], "m/*_pan.png")],
)  # fmt: skip
def test_one_pattern_for_several_files(names, pattern):
    assert pattern_of(ROOT, [ROOT / name for name in names]) == pattern


def test_signatures_are_keys_of_all_levels(tmp_path):
    assert keys_of([{"a": [{"b": 1}]}, {"c": {"d": [1, 2]}}]) == {"a", "b", "c", "d"}
    path = save_json(tmp_path / "x.json", {"a": {"b": 1}})
    assert recognised(tmp_path, {"a", "b"}) == [path]
    assert recognised(tmp_path, {"a"}, {"b"}) == []
    save_json(path, {"a": {"changed": 1}})
    assert recognised(tmp_path, {"a", "b"}) == []
