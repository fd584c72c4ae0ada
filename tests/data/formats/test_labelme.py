"""labelme."""

import base64
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from helpers.annotated import rows, save_images, save_json
from PIL import Image

from seglab.data.formats import labelme


def png(array) -> str:
    file = BytesIO()
    Image.fromarray(np.asarray(array)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **more}


def write(root, name, shapes, image="a.png", **more):
    stated = {"imagePath": image, "imageHeight": 4, "imageWidth": 6, "imageData": None}
    return save_json(root / name, {"version": "5.4", "shapes": shapes, **stated, **more})


def test_shapes_in_the_order_of_the_file(tmp_path):
    save_images(tmp_path, "a.png")
    shapes = [
        shape("leaf", [[0.9, 0], [3, 0], [3, 2], [0, 2]]),
        shape("__ignore__", [[2, 0], [3, 1]], "rectangle"),
        shape("stone", [[3, 2], [5, 3]], "mask", mask=png([[True, False, True], [True, True, True]])),
        shape("leaf", [[0, 3]], "point"),
    ]
    write(tmp_path, "a.json", shapes)
    proposal = labelme.recognise(tmp_path)
    assert proposal.card.names == ("background", "leaf", "stone")
    assert proposal.card.labels == {"__ignore__": "void"}
    assert proposal.evidence[1:] == ("Without pixels, and left out: point 1.", "Pixels of __ignore__ are void.")
    (entry,) = labelme.entries(proposal.card)
    assert rows(entry) == ["11..00", "11..00", "111202", "000222"]


def test_circles_and_rotated_rectangles(tmp_path):
    save_images(tmp_path, "a.png")
    circle, rectangle = (
        shape("a", [[1, 1], [1, 2]], "circle"),
        shape("b", [[4, 0], [5, 1], [4, 2], [3, 1]], "rectangle"),
    )
    write(tmp_path, "a.json", [circle, rectangle])
    assert rows(labelme.entries(labelme.recognise(tmp_path).card)[0]) == ["010020", "111222", "010020", "000000"]


def test_labels_txt_gives_the_order_and_images_lie_elsewhere(tmp_path):
    save_images(tmp_path, "train/images/a.png", "valid/images/a.png")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nstone\nleaf\n", encoding="utf-8")
    for split in ("train", "valid"):
        write(tmp_path, f"{split}/json/a.json", [shape("leaf", [[0, 0], [1, 0], [1, 1]])], "..\\images\\a.png")
    proposal = labelme.recognise(tmp_path)
    assert proposal.card.names == ("_background_", "stone", "leaf")
    assert [(entry.id, entry.split) for entry in labelme.entries(proposal.card)] == [
        ("train/images/a", "train"), ("valid/images/a", "val"),
    ]  # fmt: skip


def test_images_without_a_json_file_are_a_question(tmp_path):
    """A JSON file without shapes is an annotation: the image shows background only."""
    save_images(tmp_path, "a.png", "b.png", "c.png", "elsewhere/label.png")
    write(tmp_path, "a.json", [shape("leaf", [[0, 0], [1, 0], [1, 1]])])
    write(tmp_path, "b.json", [], "b.png")
    proposal = labelme.recognise(tmp_path)
    assert "1 image without annotation, such as c.png" in proposal.question.text
    changes = list(proposal.question.options.values())
    assert changes == [{"unannotated": "background"}, {"unannotated": "skip"}]
    found = [[entry.id for entry in labelme.entries(replace(proposal.card, **change))] for change in changes]
    assert found == [["a", "b", "c"], ["a", "b"]]


def test_an_embedded_image(tmp_path):
    write(tmp_path, "a.json", [shape("leaf", [[0, 0], [1, 0], [1, 1]])], imageData=png(np.full((4, 6), 7, np.uint8)))
    (entry,) = labelme.entries(labelme.recognise(tmp_path).card)
    assert entry.image().tolist() == [[[7, 7, 7]] * 6] * 4
    assert entry.files == (tmp_path / "a.json",)


@pytest.mark.parametrize(("stated", "orientation"), [((6, 4), "upright"), ((4, 6), "stored")])
def test_exif_orientations_follow_from_the_stated_size(tmp_path, stated, orientation):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    size = {"imageHeight": stated[0], "imageWidth": stated[1]}
    write(tmp_path, "a.json", [shape("leaf", [[0, 0], [1, 0], [1, 1]])], "a.jpg", **size)
    proposal = labelme.recognise(tmp_path)
    assert proposal.card.orientation == orientation
    assert any("EXIF orientation, such as a.jpg" in sentence for sentence in proposal.evidence)
    assert labelme.entries(proposal.card)[0].target(stated).sum() == 3


def test_errors_name_the_file(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path, "a.json", [shape("leaf", [[0, 0], [1, 0], [1, 1]])])
    card = labelme.recognise(tmp_path).card
    write(tmp_path, "b.json", [shape("leaf", [[0, 0]])], "b.png")
    with pytest.raises(ValueError, match=r"b.json: image 'b.png' is not below"):
        labelme.entries(card)
    write(tmp_path, "b.json", [{"label": "leaf"}], "a.png")
    with pytest.raises(ValueError, match=r"b.json: not as the format 'labelme' has it .no 'points'"):
        labelme.entries(card)
    write(tmp_path, "b.json", [shape("tree", [[0, 0]])], "a.png")
    with pytest.raises(
        ValueError, match=r"b.json: label 'tree' is not among the classes of the card .*add it under names:"
    ):
        labelme.entries(card)
