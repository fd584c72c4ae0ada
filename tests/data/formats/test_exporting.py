"""Data sets as folders of images and annotations, which `load_dataset` reads back."""

import pytest
import torch
from helpers.own import save_pair

from seglab import load_dataset
from seglab.data.classes import ClassSet
from seglab.data.formats.exporting import export


def same(first, second) -> bool:
    """Whether two data sets have equal classes, images and label maps in the same order."""
    a, b = first.classes, second.classes
    classes = (a.names, a.colors, a.void_color, a.background) == (b.names, b.colors, b.void_color, b.background)
    pairs = zip(first, second, strict=True)
    return classes and all(torch.equal(p.image, q.image) and torch.equal(p.target, q.target) for p, q in pairs)


@pytest.mark.parametrize("format", ["coco", "panoptic"])
def test_two_splits_in_one_folder(tmp_path, format):
    splits = {split: load_dataset("toytown", split, size=(32, 48)).subset([3, 5]) for split in ("train", "val")}
    for dataset in splits.values():
        export(dataset, tmp_path / "out", format, progress=False)
    assert all(same(load_dataset(tmp_path / "out", split), dataset) for split, dataset in splits.items())
    with pytest.raises(ValueError, match=r"_train.json exists already and is kept; choose another folder"):
        export(splits["train"], tmp_path / "out", format)
    other = "coco" if format == "panoptic" else "panoptic"
    with pytest.raises(ValueError, match=r"dataset.yaml exists already and is kept; choose another folder"):
        export(splits["train"], tmp_path / "out", other)


@pytest.mark.parametrize("format", ["coco", "panoptic"])
def test_your_own_data(tmp_path, format):
    """Void, a mask of void only, the background after another class, a name that other tools use for void."""
    save_pair(tmp_path / "mine", "a", [[0, 1, 255], [2, 0, 1]])
    save_pair(tmp_path / "mine", "b/c", [[255, 255]])
    card = 'names: [leaf, background, ignore]\nimages: "images/{id}.png"\nmasks: "masks/{id}.png"\n'
    (tmp_path / "mine" / "dataset.yaml").write_text(card + "colors: {leaf: '#00ff00', void: '#123456'}", "utf-8")
    mine = load_dataset(tmp_path / "mine")
    export(mine, tmp_path / "out", format, progress=False)
    assert same(load_dataset(tmp_path / "out"), mine)
    assert (tmp_path / "out" / "images" / "default" / "b" / "c.png").is_file()


def test_what_cannot_be_exported(tmp_path):
    with pytest.raises(ValueError, match=r"unknown format 'cocoo'; did you mean 'coco'\?"):
        export(load_dataset("toytown", "val"), tmp_path, "cocoo")
    save_pair(tmp_path, "a", [[0, 1]])
    void = ClassSet("abc", ("road", "void"), ((1, 1, 1), (2, 2, 2)))
    dataset = load_dataset("folder", root=tmp_path, classes=void)
    with pytest.raises(ValueError, match=r"'abc' has a class named 'void', which dataset.yaml takes for void pixels"):
        export(dataset, tmp_path / "out")
