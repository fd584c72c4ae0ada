"""YOLO segmentation."""

from dataclasses import replace

import pytest
from helpers.annotated import rows, save_images

from seglab.data.formats import yolo

# x from 1 to 3 of 6, y from 0 to 1 of 4; with six decimals, 0.166667 · 6 is 1.000002 and 0.333333 · 6 is 1.999998.
LINE = "1 0.166667 0 0.333333 0 0.333333 0.25 0.166667 0.25\n"


def write(root, text, *names, yaml="path: .\ntrain: images/train\nval: images/val\nnames:\n  0: leaf\n  1: stone\n"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if yaml:
        (root / "data.yaml").write_text(yaml, encoding="utf-8")


def test_polygons_and_images_without_a_text_file(tmp_path):
    save_images(tmp_path, "images/train/a.png", "images/train/b.png", "images/val/c.png")
    write(tmp_path, LINE, "labels/train/a.txt")
    write(tmp_path, LINE + "\n0 0.5 0.5 0.1 0.1\n", "labels/val/c.txt")
    proposal = yolo.recognise(tmp_path)
    assert proposal.card.names == ("background", "leaf", "stone")
    assert proposal.card.labels == {0: "leaf", 1: "stone"}
    assert proposal.question is None
    assert {"Without pixels, and left out: box 1.", "Splits: train 2, val 1.", "data.yaml: 2 class names."} <= {
        *proposal.evidence
    }
    first, second, third = yolo.entries(proposal.card)
    assert [(e.id, e.split) for e in (first, second, third)] == [
        ("train/a", "train"), ("train/b", "train"), ("val/c", "val"),
    ]  # fmt: skip
    assert rows(first) == rows(third) == ["022000", "022000", "000000", "000000"]
    assert rows(second) == ["000000"] * 4
    assert first.files == (tmp_path / "images/train/a.png", tmp_path / "labels/train/a.txt")
    assert [entry.id for entry in yolo.entries(replace(proposal.card, unannotated="skip"))] == ["train/a", "val/c"]


def test_roboflow_has_the_split_first_and_names_as_a_list(tmp_path):
    save_images(tmp_path, "valid/images/a.rf.0a.png")
    write(tmp_path, LINE, "valid/labels/a.rf.0a.txt", yaml="val: ../valid/images\nnames: ['leaf', 'stone']\n")
    (entry,) = yolo.entries(yolo.recognise(tmp_path).card)
    assert (entry.id, entry.split) == ("a.rf.0a", "val")


def test_classes_txt_instead_of_a_yaml_file(tmp_path):
    save_images(tmp_path, "images/a.png")
    write(tmp_path, LINE, "labels/a.txt", yaml="")
    assert yolo.recognise(tmp_path) is None
    (tmp_path / "classes.txt").write_text("leaf\nstone\n", encoding="utf-8")
    assert yolo.recognise(tmp_path).card.names == ("background", "leaf", "stone")


def test_without_labels_the_foreground_names_are_meant(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path, LINE, "a.txt")
    card = replace(yolo.recognise(tmp_path).card, labels={})
    assert rows(yolo.entries(card)[0])[0] == "022000"


def test_boxes_only_are_not_recognised(tmp_path):
    save_images(tmp_path, "images/a.png")
    write(tmp_path, "0 0.5 0.5 0.1 0.1\n", "labels/a.txt")
    assert yolo.recognise(tmp_path) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.1 0.2 0.3 0.4 0.5", "line 1: 5 coordinates from 0.1 to 0.5; expected a class index and pairs x y in 0–1"),
        ("0 10 20 30 20 30 40", "line 1: 6 coordinates from 10.0 to 40.0"),
        ("leaf 0.1 0.2", "line 1: 'leaf 0.1 0.2' has other words than numbers"),
        ("7" + LINE[1:], "label 7 is not among the classes of the card"),
    ],
)
def test_errors_name_file_and_line(tmp_path, line, message):
    save_images(tmp_path, "images/a.png", "images/b.png")
    write(tmp_path, LINE, "labels/a.txt")
    card = yolo.recognise(tmp_path).card
    write(tmp_path, line, "labels/b.txt")
    with pytest.raises(ValueError, match=rf"labels/b.txt(, |: ){message}"):
        yolo.entries(card)


def test_a_text_file_without_an_image(tmp_path):
    save_images(tmp_path, "images/a.png")
    write(tmp_path, LINE, "labels/a.txt", "labels/b.txt")
    with pytest.raises(ValueError, match=r"labels/b.txt: image 'images/b\.\*' is not below .*\(1 of 2 listed images"):
        yolo.entries(yolo.recognise(tmp_path).card)
