"""Your own data as a data set: classes, ids, fingerprints, void masks; and `load_dataset` with a path."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.own import leaves, save_pair
from PIL import Image

from seglab import CLASS_SETS, DATASETS, load_dataset
from seglab.data.card import read_card
from seglab.data.card_values import FORMATS
from seglab.data.loading import DataSelection, classes_of, evaluation_split, is_path, title_of
from seglab.data.own import load_card, reader_of, splits_of


def test_each_format_has_a_reader():
    for name in FORMATS:
        assert callable(reader_of(name).recognise) and callable(reader_of(name).entries)


def test_a_folder_or_its_card_is_a_data_set(tmp_path):
    folder = leaves(tmp_path / "leaves")
    dataset = load_dataset(folder)
    assert dataset.name == "leaves" and dataset.classes.names == ("background", "leaf") and dataset.split is None
    assert dataset.ids == dataset.groups == ("a", "b", "c", "d")
    sample = dataset[0]
    assert sample.image.shape == (3, 2, 3) and sample.image.dtype == torch.uint8
    assert sample.target.tolist() == [[0, 0, 1], [0, 1, 1]]
    dataset.check(progress=False)
    again = load_dataset(str(folder / "dataset.yaml"))
    assert again.fingerprint() == dataset.fingerprint()


def test_splits_and_the_split_for_evaluation(tmp_path):
    folder = leaves(tmp_path / "leaves", card="splits: {train: [a, b], val: [c], test: [d]}")
    assert load_dataset(folder, "train").ids == ("a", "b") and splits_of(read_card(folder)) == ("train", "val", "test")
    assert evaluation_split(str(folder)) == "test" and DataSelection(str(folder)).load().ids == ("d",)
    with pytest.raises(ValueError, match=r"has no split 'vall': its splits are train, val, test; .*splits: \{train"):
        load_dataset(folder, "vall")


def test_without_splits_everything_is_evaluated(tmp_path):
    folder = leaves(tmp_path / "leaves")
    assert evaluation_split(str(folder)) is None and len(DataSelection(str(folder), images=3).load()) == 3
    with pytest.raises(ValueError, match="has no split 'val': it has none"):
        load_dataset(folder, "val")


def test_the_fingerprint_changes_with_what_decides_the_labels(tmp_path):
    folder = leaves(tmp_path / "leaves")
    before = load_dataset(folder).fingerprint()
    leaves(folder, card="name: others\nsplits: {train: 1}")
    assert load_dataset(folder).fingerprint() == before
    leaves(folder, card="labels: {0: 1, 1: 0}")
    assert load_dataset(folder).fingerprint() != before


def test_names_of_known_data_sets_are_not_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("coco", "mine"):
        leaves(Path(name))
    assert not any(is_path(name) for name in DATASETS) and not is_path("toytown:night") and not is_path("camvit")
    assert (
        is_path("mine") and is_path("./coco") and is_path("gone/leaves") and is_path("x.yaml") and is_path(Path("coco"))
    )
    assert load_dataset("./coco").name == "own-coco" and title_of("./coco") == "own-coco"
    assert title_of("coco") == DATASETS["coco"].title
    assert load_dataset("./coco").classes.names == ("background", "leaf")  # leaves do not become cars


@pytest.mark.parametrize("option", [{"root": "."}, {"size": (3, 4)}, {"labels": {0: 1}}])
def test_options_of_other_data_sets_have_no_meaning(tmp_path, option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} has no meaning for"):
        load_dataset(leaves(tmp_path), **option)


def test_a_class_set_that_disagrees_is_refused(tmp_path):
    folder = leaves(tmp_path / "leaves")
    with pytest.raises(ValueError, match="has the classes background, leaf, and 'voc' has background, aeroplane"):
        load_dataset(folder, classes="voc")
    assert load_dataset(folder, classes=load_dataset(folder).classes).classes.names == ("background", "leaf")


def test_the_classes_of_a_data_set_are_those_of_a_model(tmp_path):
    folder = str(leaves(tmp_path / "leaves"))
    assert classes_of(folder, ("background", "leaf")).name == "leaves"
    assert classes_of("voc", CLASS_SETS["voc"].names) is CLASS_SETS["voc"]
    with pytest.raises(ValueError, match="has the classes background, leaf, and the model sky, road"):
        classes_of(folder, ("sky", "road"))
    with pytest.raises(ValueError, match="unknown data set 'camvit'"):
        classes_of("camvit", ("sky",))


def test_equal_names_in_two_splits_are_told_apart(tmp_path):
    for split in ("train", "val"):
        for kind, array in (("images", np.zeros((2, 3, 3), np.uint8)), ("masks", np.ones((2, 3), np.uint8))):
            (tmp_path / kind / split).mkdir(parents=True)
            Image.fromarray(array).save(tmp_path / kind / split / "a.png")
    text = 'names: [a, b]\nimages: "images/{split}/{id}.png"\nmasks: "masks/{split}/{id}.png"'
    (tmp_path / "dataset.yaml").write_text(text)
    dataset = load_dataset(tmp_path)
    assert dataset.ids == ("train/a", "val/a") and load_dataset(tmp_path, "val").ids == ("val/a",)


def test_a_pair_of_two_sizes_is_refused_with_its_file(tmp_path):
    folder = leaves(tmp_path / "leaves")
    Image.new("RGB", (5, 2)).save(folder / "images" / "b.png")
    with pytest.raises(ValueError, match=r"b\.png.*2 × 5.*2 × 3"):
        load_dataset(folder)[1]


def test_a_label_that_is_no_class_is_refused_with_its_file(tmp_path):
    folder = leaves(tmp_path / "leaves")
    save_pair(folder, "b", [[0, 0, 1], [0, 7, 1]])
    with pytest.raises(ValueError, match=r"b\.png has label 7 \(1 pixel\)"):
        load_dataset(folder)[1]


def test_pixels_outside_the_area_of_evaluation_are_void(tmp_path):
    folder = leaves(tmp_path / "leaves", card='void: "fov/{id}.png"')
    (folder / "fov").mkdir()
    for name in "abcd":
        Image.fromarray(np.array([[0, 255, 255], [255, 255, 0]], np.uint8)).save(folder / "fov" / f"{name}.png")
    assert load_dataset(folder)[0].target.tolist() == [[255, 0, 1], [0, 1, 255]]


def test_a_void_mask_of_a_coco_file(tmp_path):
    from helpers.annotated import SQUARE, save_images, save_json

    save_images(tmp_path, "i/a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "categories": [{"id": 7, "name": "leaf"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "segmentation": [SQUARE]}],
    }
    save_json(tmp_path / "a.json", content)
    text = 'format: coco\nnames: [background, leaf]\nannotations: a.json\nimages: "i/{id}.png"\nvoid: "fov/{id}.png"'
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"1 images, such as 'a', have no file fov/\{id\}\.png"):
        load_dataset(tmp_path)
    (tmp_path / "fov").mkdir()
    inside = np.zeros((4, 6), np.uint8)
    inside[:3] = 1
    Image.fromarray(inside).save(tmp_path / "fov" / "a.png")
    target = load_dataset(tmp_path)[0].target
    assert (target[3] == 255).all() and (target[:3] < 2).all() and (target[1:3, 1:3] == 1).any()


def test_a_missing_folder_is_named():
    with pytest.raises(ValueError, match=r"^gone/leaves: no such folder"):
        load_dataset("gone/leaves")
    with pytest.raises(ValueError, match=r"^gone/leaves\.yaml: no such file"):
        load_dataset("gone/leaves.yaml")


def test_a_card_needs_classes(tmp_path):
    folder = leaves(tmp_path)
    (folder / "dataset.yaml").write_text('images: "images/{id}.png"\nmasks: "masks/{id}.png"')
    with pytest.raises(ValueError, match=r"states no classes; add them, as names: \[background, leaf\]"):
        load_card(read_card(folder))


def test_what_a_card_leaves_out_follows_from_the_files(tmp_path):
    folder = leaves(tmp_path / "leaves")
    (folder / "dataset.yaml").write_text("name: autumn\nsplits: {train: [a], val: [b]}")
    dataset = load_dataset(folder, "train")
    assert dataset.name == "autumn" and dataset.ids == ("a",) and len(dataset.classes) == 2
