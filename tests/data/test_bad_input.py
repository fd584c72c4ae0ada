"""Damaged and hostile cards, annotation files and folders: one sentence about the file, no hang, nothing written."""

import json
import os
import re
import socket
import time

import numpy as np
import pytest
from helpers.annotated import SQUARE, save_images, save_json
from helpers.own import save_pair
from typer.testing import CliRunner

from seglab import load_dataset
from seglab.__main__ import app

PLAIN = 'names: [a, b]\nimages: "images/{id}.png"\nmasks: "masks/{id}.png"\n'
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12))
# Name → the text of dataset.yaml, and what the message says.
CARDS = {
    "not YAML": ("names: [a, b", "cannot be read as YAML"),
    "tab": ("names:\n\t- a", "cannot be read as YAML"),
    "null byte": ("names: [a\0]", "cannot be read as YAML"),
    "billion laughs": (f"{LAUGHS}names: *a11", r"alias \*a0 is not read; write the value itself"),
    "itself": ("names: &n [a, *n]", r"alias \*n is not read"),
    "deep": ("names: " + "[" * 5000 + "]" * 5000, "cannot be read as YAML"),
    "another tag": ("names: !!python/object/apply:os.system [ls]", "cannot be read as YAML"),
    "a list": ("- a\n- b", "holds list; expected keys"),
    "empty": ("", "holds NoneType; expected keys"),
    "unknown key": (f"{PLAIN}nmaes: [a]", "unknown key in .*'nmaes'; did you mean 'names'"),
    "twice": (f"{PLAIN}names: [c]", "key 'names' is stated twice"),
    "names as text": ("names: leaf", "names: has 'leaf' .str.; expected a list"),
    "name as number": ("names: [1, 2]", "names: has 1 .int.; expected a text"),
    "name twice": ("names: [a, a]", "names: has 'a' twice"),
    "control characters": ('names: [a, "\\e[31mred"]', r"class name '\\x1b\[31mred' with control characters; rename"),
    "gaps": ("names: {0: a, 2: b}", "names: has the indices 0, 2; expected 0 to 1"),
    "many": ("names: [" + ", ".join(f"c{k}" for k in range(300)) + "]", "more than 254 classes"),
    "colour": ("names: [a]\ncolors: {a: [1, 2, 300]}", "colors: has .*expected a colour"),
    "colour of nobody": ("names: [a]\ncolors: {b: [1, 2, 3]}", "unknown class under colors: 'b'"),
    "label": (f"{PLAIN}labels: {{7: c}}", "unknown class under labels: 'c'"),
    "label out of range": (f"{PLAIN}labels: {{7: 5}}", "labels: has 7: 5; expected a class name"),
    "range": (f"{PLAIN}range: [5, 5]", "range: has .*expected two numbers"),
    "not a number": (f"{PLAIN}range: [0, .nan]", "range: has nan .float.; expected a number"),
    "threshold": (f"{PLAIN}threshold: high", "threshold: has 'high'"),
    "bands": (f"{PLAIN}bands: [0, 1]", "bands: has 2 indices; expected one or three"),
    "divide": (f"{PLAIN}divide: 0", "divide: has 0 .int.; expected a whole number from 1 on"),
    "format": ("names: [a]\nformat: coc", "unknown choice 'coc'; did you mean 'coco'"),
    "fractions": (f"{PLAIN}splits: {{train: 0.9, val: 0.9}}", "fractions that sum to 1.8"),
    "groups": (f"{PLAIN}groups: '(('", "groups: .* is no regular expression"),
    "path": (f"{PLAIN}path: gone", "path: .*gone is no folder"),
    "pattern": (PLAIN.replace("images/{id}", "pictures/{id}"), "0 images fit pictures/{id}.png"),
    "outside": (f"{PLAIN}splits: {{val: ../../../etc/passwd}}", "splits: val.*unknown image|unknown image in"),
}  # fmt: skip


def files_of(folder):
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def refused(folder, words, load):
    """`load` raises one sentence within five seconds, and writes nothing."""
    before, start = files_of(folder), time.monotonic()
    with pytest.raises(ValueError, match=words) as caught:
        load()
    assert time.monotonic() - start < 5 and files_of(folder) == before
    message = str(caught.value)
    assert len(message) < 700 and "\n" not in message and not re.search(r"[\x00-\x1f]", message)
    return message


@pytest.mark.parametrize("name", CARDS)
def test_cards(tmp_path, name):
    text, words = CARDS[name]
    save_pair(tmp_path, "a", [[0, 1]])
    (tmp_path / "dataset.yaml").write_text(text, encoding="utf-8")
    message = refused(tmp_path, words, lambda: [load_dataset(tmp_path, split) for split in (None, "train", "val")])
    assert "dataset.yaml" in message or str(tmp_path) in message
    if load_fails(tmp_path):
        done = CliRunner().invoke(app, ["datasets", "--check", str(tmp_path)])
        assert done.exit_code == 1 and "✗" in done.output and "Traceback" not in done.output


def load_fails(folder):
    try:
        load_dataset(folder)
    except ValueError:
        return True
    return False


def test_labels_of_masks_are_numbers(tmp_path):
    save_pair(tmp_path, "a", [[0, 1]])
    (tmp_path / "dataset.yaml").write_text(f"{PLAIN}labels: {{seven: a, 1: b}}")
    words = r"a.png: values that labels: in the card does not list: 0 \(1 pixels\)"
    refused(tmp_path, words, lambda: everything(tmp_path))


IMAGE = {"id": 1, "file_name": "a.png", "height": 4, "width": 6}
ITEM = {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [SQUARE]}
CATEGORY = {"id": 7, "name": "leaf"}
# Name → changes of a COCO file, and what the message says.
FILES = {
    "two images of one id": ({"images": [IMAGE, {**IMAGE, "file_name": "b.png"}]}, "'a.png' and 'b.png' have one id"),
    "two categories of one id": ({"categories": [CATEGORY, {"id": 7, "name": "sea"}]}, "'leaf' and 'sea' have one id"),
    "missing image": ({"images": [IMAGE, {**IMAGE, "id": 2, "file_name": "c.png"}]}, r"image 'c.png' is not below"),
    "one point": ({"annotations": [{**ITEM, "segmentation": [[1, 1]]}]}, "no pixels"),
    "no name": ({"categories": [{"id": 7}]}, "no 'name'"),
    "a number": ({"images": 5}, "not as the format 'coco' has it|no annotations that are recognised"),
    "text as size": ({"images": [{**IMAGE, "height": "4"}]}, "has height '4' and width 6; write two whole numbers"),
    "negative size": ({"images": [{**IMAGE, "width": -6}]}, "has height 4 and width -6; write two whole"),
    "huge size": ({"images": [{**IMAGE, "height": 10**9, "width": 10**9}]}, "the image is 4 × 6 pixels .*1000000000"),
    "not a number": ({"annotations": [{**ITEM, "segmentation": [[float("nan")] * 8]}]}, "an object cannot be drawn"),
    "infinite": ({"annotations": [{**ITEM, "segmentation": [[float("inf")] * 8]}]}, "an object cannot be drawn"),
    "huge coordinates": ({"annotations": [{**ITEM, "segmentation": [[1e300] * 8]}]}, "an object cannot be drawn"),
    "text as points": ({"annotations": [{**ITEM, "segmentation": [["a"] * 8]}]}, "an object cannot be drawn"),
    "huge run lengths": (
        {"annotations": [{**ITEM, "segmentation": {"size": [10**9, 10**9], "counts": [0, 10**18]}}]}, "run lengths for",
    ),
    "control characters": ({"categories": [{"id": 7, "name": "\x1b[31mred"}]}, r"class name '\\x1b\[31mred' with"),
    "list as name": ({"images": [{**IMAGE, "file_name": ["a.png"]}]}, r"\['a.png'\] is no name of an image"),
    "null": ({"annotations": None}, "not as the format|no annotations that are recognised"),
}  # fmt: skip


def everything(folder):
    return [sample.id for sample in load_dataset(folder)]


@pytest.mark.parametrize("name", FILES)
def test_annotation_files(tmp_path, name):
    save_images(tmp_path, "a.png", "b.png")
    changes, words = FILES[name]
    save_json(tmp_path / "x.json", {"images": [IMAGE], "annotations": [ITEM], "categories": [CATEGORY]} | changes)
    if words == "no pixels":  # an area of less than three points is empty, as other annotations that have no pixels
        assert int(load_dataset(tmp_path)[0].target.sum()) == 0
    else:
        assert str(tmp_path) in refused(tmp_path, words, lambda: everything(tmp_path))


@pytest.mark.parametrize(
    "text",
    ['{"images": [{"id"', "[" * 100_000, "\xff\xfe", "1" * 5000, "", '{"images": NaN, "annotations": []}', "null"],
    ids=["cut off", "deep", "bytes", "digits", "empty", "NaN", "null"],
)
def test_json_that_cannot_be_read(tmp_path, text):
    save_images(tmp_path, "a.png")
    (tmp_path / "x.json").write_text(text, encoding="latin-1")
    refused(tmp_path, "holds no annotations that are recognised", lambda: everything(tmp_path))
    names = {"format": "coco", "annotations": "x.json", "names": ["background", "leaf"]}
    save_json(tmp_path / "dataset.yaml", names)
    assert "x.json" in refused(tmp_path, r"x.json(: damaged or no JSON| has the keys)", lambda: everything(tmp_path))


def test_entities_of_xml_that_unfold(tmp_path):
    save_images(tmp_path, "a.png")
    entities = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    text = f'<!DOCTYPE x [<!ENTITY a0 "lol">{entities}]><annotations><image name="&a11;"/></annotations>'
    (tmp_path / "x.xml").write_text(text)
    refused(tmp_path, "holds no annotations that are recognised", lambda: everything(tmp_path))
    card = {"format": "cvat", "annotations": "x.xml", "names": ["background", "leaf"]}
    save_json(tmp_path / "dataset.yaml", card)
    refused(tmp_path, "x.xml: damaged or no XML", lambda: everything(tmp_path))


@pytest.mark.parametrize(
    ("line", "words"),
    [("0 0 0 nan 0 1 1", "labels/a.txt, line 1: 6 coordinates"), ("0 0 0 inf 0 1 1", "line 1: 6 coordinates"),
     ("0.5 0 0 1 0 1 1 ", "line 1: 6 coordinates"), ("-1 0 0 1 0 1 1", "label -1 is not among"),
     ("nan 0 0 1 0 1 1", "line 1: 6 coordinates"), ("0 0 0 1 0", "holds no annotations")],
)  # fmt: skip
def test_text_files_of_yolo(tmp_path, line, words):
    save_images(tmp_path, "images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text(line)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [leaf]\n")
    refused(tmp_path, words, lambda: everything(tmp_path))


def test_circular_links_pipes_and_sockets(tmp_path, monkeypatch):
    for k in range(2):
        save_pair(tmp_path, f"p{k}", [[0, 1, 1]])
    (tmp_path / "images/again").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "folder.json").mkdir()
    for name in (
        "pipe.json",
        "images/pipe.png",
        "masks/pipe.png",
        "classes.txt",
        "data.yaml",
        "labels.txt",
        "x.parquet",
    ):
        os.mkfifo(tmp_path / name)
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.json")
        before = files_of(tmp_path)
        assert everything(tmp_path) == ["p0", "p1"]
        assert files_of(tmp_path) == before


def test_names_of_classes_with_markup_are_kept(tmp_path):
    save_images(tmp_path, "a.png")
    name = "<script>alert(1)</script> & {{x}} 'leaf'"
    content = {"images": [IMAGE], "annotations": [ITEM], "categories": [{"id": 7, "name": name}]}
    save_json(tmp_path / "x.json", content)
    assert load_dataset(tmp_path).classes.names == ("background", name)
    done = CliRunner().invoke(app, ["datasets", "--inspect", str(tmp_path), "--write"])
    assert done.exit_code == 0 and load_dataset(tmp_path / "dataset.yaml").classes.names == ("background", name)


def test_coordinates_outside_of_the_image_are_cut_off(tmp_path):
    save_images(tmp_path, "a.png")
    shape = [-1000, -1000, 2, -1000, 2, 9000, -1000, 9000]
    content = {"images": [IMAGE], "annotations": [{**ITEM, "segmentation": [shape]}], "categories": [CATEGORY]}
    save_json(tmp_path / "x.json", content)
    assert load_dataset(tmp_path)[0].target.tolist() == [[1, 1, 0, 0, 0, 0]] * 4


def test_a_mask_that_states_a_huge_size(tmp_path):
    save_pair(tmp_path, "a", [[0, 1]])
    np.lib.format.open_memmap(tmp_path / "masks/b.npy", mode="w+", dtype=np.uint8, shape=(1, 1))
    header = (tmp_path / "masks/b.npy").read_bytes().replace(b"(1, 1), }         ", b"(10**9, 10**9), } ")
    (tmp_path / "masks/b.npy").write_bytes(header.replace(b"(10**9, 10**9)", b"(999999,99999)"))
    save_pair(tmp_path / "x", "b", [[0, 1]])
    (tmp_path / "dataset.yaml").write_text(PLAIN.replace("masks/{id}.png", "masks/{id}.npy"))
    (tmp_path / "x/images/b.png").rename(tmp_path / "images/b.png")
    card = json.dumps({"names": ["a", "b"], "images": "images/b.png", "masks": "masks/b.npy"})
    (tmp_path / "dataset.yaml").write_text(card)
    refused(tmp_path, "masks/b.npy", lambda: everything(tmp_path))
