"""Tables of classes that tools write beside masks."""

import pytest

from seglab.data.formats import tables

COLORS = {"sky": (1, 2, 3), "car": (4, 5, 6)}
FILES = {
    "labelmap.txt": ("# label:color_rgb:parts:actions\nsky:1,2,3::\ncar:4,5,6:wheel:drive\n", COLORS),
    "class_dict.csv": ("name,r,g,b\nsky,1, 2,3\ncar, 4,5 ,6\n\n", COLORS),
    "label_colors.csv": ("Class,Red,Green,Blue\nsky,1,2,3\ncar,4,5,6\n", COLORS),
    "label_colors.txt": ("1 2 3\tsky\n4 5 6\t\tcar\n", COLORS),
    "class_names.txt": ("__ignore__\nsky\ncar\n", {}),
    "classes.txt": ("\ufeffsky\r\ncar\r\n", {}),
    "_classes.csv": ("Pixel Value, Class\n0, sky\n1, car\n", {}),
    "id2label.json": ('{"1": "car", "0": "sky"}', {}),
    "dataset.json": ('{"labels": {"sky": 0, "car": 1}, "numTraining": 1}', {}),
    "classes.json": ('["sky", "car"]', {}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("folder", ["", "train/"])
def test_tables(tmp_path, name, folder):
    text, colors = FILES[name]
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / name).write_text(text, encoding="utf-8")
    found = tables.find(tmp_path)
    assert (found.names, dict(found.colors)) == (("sky", "car"), colors)
    assert found.labels() == (("sky", "car"), {})


def test_tables_with_values(tmp_path):
    (tmp_path / "_classes.csv").write_text("Pixel Value, Class\n3, sky\n7, car\n")
    assert tables.find(tmp_path).labels() == (("sky", "car"), {3: 0, 7: 1})
    (tmp_path / "_classes.csv").write_text("Pixel Value, Class\n0, sky\n1, ignore\n2, car\n")
    found = tables.find(tmp_path)
    assert found.labels(found.void) == (("sky", "car"), {0: 0, 1: "void", 2: 1})


BROKEN = {
    "class_dict.csv": ("name,r,g,b\nsky,1,2\n", "'1,2' of class 'sky' is no colour"),
    "labelmap.txt": ("sky:1,2,300::\n", "'1,2,300' of class 'sky' is no colour"),
    "class_names.txt": ("sky\ncar\nsky\n", "class 'sky' is listed twice"),
    "label_colors.txt": ("1 2 3 sky\n1 2 3 car\n", r"'sky' and 'car' have one colour, \(1, 2, 3\)"),
    "_classes.csv": ("Pixel Value, Class\nx, sky\n", "'x' is no whole number"),
    "id2label.json": ("{", "not JSON"),
    "dataset.json": ('{"labels": {"whole": [1, 2], "core": 2}}', "labels lists regions, which overlap"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables(tmp_path, name):
    text, message = BROKEN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        tables.find(tmp_path)


def test_tables_that_differ(tmp_path):
    for folder, text in (("train", "a\nb\n"), ("valid", "a\nc\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "classes.txt").write_text(text)
    with pytest.raises(ValueError, match="list different classes; keep one of them"):
        tables.find(tmp_path)
