"""Supervisely."""

import base64
import zlib
from io import BytesIO

import numpy as np
import pytest
from helpers.annotated import rows, save_images, save_json
from PIL import Image

from seglab.data.formats import supervisely


def bitmap(title, array, origin):
    file = BytesIO()
    Image.fromarray(np.asarray(array)).save(file, "PNG")
    data = base64.b64encode(zlib.compress(file.getvalue())).decode()
    return {"classTitle": title, "geometryType": "bitmap", "bitmap": {"data": data, "origin": origin}}


def polygon(title, exterior, *interior):
    points = {"exterior": exterior, "interior": interior}
    return {"classTitle": title, "geometryType": "polygon", "points": points}


def write(path, objects):
    return save_json(path, {"description": "", "tags": [], "size": {"height": 4, "width": 6}, "objects": objects})


def meta(root, *titles):
    classes = [{"title": title, "shape": "any", "color": "#0A0B0C"} for title in titles]
    save_json(root / "meta.json", {"classes": classes, "tags": []})


HOLE = polygon("plate", [[0, 0], [3, 0], [3, 3], [0, 3]], [[1, 1], [2, 1], [2, 2], [1, 2]])


def test_bitmaps_at_their_origin_and_polygons_with_holes(tmp_path):
    save_images(tmp_path, "ds0/img/a.png", "ds1/img/a.png", "ds1/img/b.jpg")
    meta(tmp_path, "plate", "cell")
    # RGBA: the last channel is the mask. The second one reaches beyond the image, and is grey.
    opaque = np.zeros((2, 2, 4), np.uint8)
    opaque[0, :, 3] = opaque[1, 1, 3] = 255
    box = {"classTitle": "cell", "geometryType": "rectangle", "points": {}}
    write(tmp_path / "ds0/ann/a.png.json", [HOLE, bitmap("cell", opaque, [3, 1]), box])
    write(tmp_path / "ds1/ann/a.png.json", [bitmap("cell", np.full((3, 3), 255, np.uint8), [5, 2])])
    write(tmp_path / "ds1/ann/b.json", [])  # the name as in earlier exports
    proposal = supervisely.recognise(tmp_path)
    assert proposal.card.names == ("background", "plate", "cell")
    assert proposal.card.colors["cell"] == (10, 11, 12)
    assert proposal.question is None
    assert "Without pixels, and left out: rectangle 1." in proposal.evidence
    entries = supervisely.entries(proposal.card)
    assert [entry.id for entry in entries] == ["ds0/img/a", "ds1/img/a", "ds1/img/b"]
    assert rows(entries[0]) == ["111100", "100220", "100120", "111100"]
    assert rows(entries[1]) == ["000000", "000000", "000002", "000002"]


def test_images_without_a_json_file_are_a_question(tmp_path):
    save_images(tmp_path, "ds0/img/a.png", "ds0/img/b.png")
    write(tmp_path / "ds0/ann/a.png.json", [HOLE])
    proposal = supervisely.recognise(tmp_path)
    assert proposal.card.names == ("background", "plate")
    assert "1 image without annotation, such as ds0/img/b.png" in proposal.question.text


def test_errors_and_other_files(tmp_path):
    meta(tmp_path, "plate")
    assert supervisely.recognise(tmp_path) is None
    save_images(tmp_path, "ds0/img/a.png")
    path = write(tmp_path / "ds0/ann/a.png.json", [HOLE])
    card = supervisely.recognise(tmp_path).card
    damaged = bitmap("plate", [[True]], [0, 0])
    damaged["bitmap"]["data"] = damaged["bitmap"]["data"][:40]
    write(path, [damaged])
    with pytest.raises(ValueError, match=r"a.png.json: a.png: an object cannot be drawn"):
        supervisely.entries(card)[0].target((4, 6))
    write(path, [HOLE])
    write(tmp_path / "ds0/ann/b.png.json", [HOLE])
    with pytest.raises(ValueError, match=r"b.png.json: image 'b.png' is not below"):
        supervisely.entries(card)
