"""Label Studio."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.annotated import rows, save_images, save_json

from seglab.data.formats import label_studio


def result(kind, label, id="r1", **value):
    size = {"original_width": 6, "original_height": 4, "image_rotation": 0}
    return {"id": id, "type": kind, "to_name": "image", "from_name": "label", **size, "value": {**value, kind: [label]}}


def task(results, image="/data/upload/1/a1b2c3d4-a.png", id=1, **more):
    return {"id": id, "data": {"image": image}, "annotations": [{"result": results, "was_cancelled": False}], **more}


# In percent of 6 × 4: x from 0 to 3, y from 0 to 1.
POLYGON = result("polygonlabels", "Leaf", points=[[0, 0], [50, 0], [50, 25], [0, 25]])


def packed(*blocks) -> list[int]:
    """Run lengths of 8-bit values; a block is (how many, value) or a list of values."""
    bits = f"{sum(b[0] if isinstance(b, tuple) else len(b) for b in blocks):032b}{7:05b}" + "".join(
        f"{size - 1:04b}" for size in (3, 4, 8, 16)
    )
    for block in blocks:
        if isinstance(block, tuple):
            bits += f"1{2:02b}{block[0] - 1:08b}{block[1]:08b}"
        else:
            bits += f"0{0:02b}{len(block) - 1:03b}" + "".join(f"{value:08b}" for value in block)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_brushes_and_polygons_without_the_prefix_of_uploads(tmp_path):
    save_images(tmp_path, "images/a.png")
    # Four channels a pixel, of which the last counts: 11 transparent pixels, one opaque, 12 transparent.
    brush = result("brushlabels", "Soil", id="r2", format="rle", rle=packed((44, 0), [255, 255, 255, 9], (48, 0)))
    box = result("rectanglelabels", "Leaf", id="r3", x=0, y=0, width=9, height=9)
    path = save_json(tmp_path / "project.json", [task([POLYGON, brush, box])])
    proposal = label_studio.recognise(tmp_path)
    assert proposal.card.names == ("background", "Leaf", "Soil")
    assert "Without pixels, and left out: rectanglelabels 1." in proposal.evidence
    (entry,) = label_studio.entries(proposal.card)
    assert entry.files == (tmp_path / "images/a.png", path)
    assert rows(entry) == ["111100", "111102", "000000", "000000"]


def test_brushes_equal_the_decoder_of_the_sdk():
    values = label_studio._brush(packed((3, 7), [1, 2], (200, 255)))
    assert values.tolist() == [7, 7, 7, 1, 2] + [255] * 200
    assert values.dtype == np.uint8


def test_labels_as_results_of_their_own_and_ellipses(tmp_path):
    save_images(tmp_path, "a.png")
    value = {"x": 50, "y": 25, "radiusX": 100 / 6 * 2, "radiusY": 25, "rotation": 90}
    region = {**result("labels", "Leaf", **value), "type": "ellipse"}
    save_json(tmp_path / "project.json", [task([region, result("labels", "Leaf", **value)])])
    (entry,) = label_studio.entries(label_studio.recognise(tmp_path).card)
    assert rows(entry) == ["000100", "001110", "000100", "000100"]


def test_the_ground_truth_of_several_annotations_or_the_latest(tmp_path):
    save_images(tmp_path, "a.png")

    def annotated(label, **more):
        return {"result": [{**POLYGON, "value": {**POLYGON["value"], "polygonlabels": [label]}}], **more}

    late, early = annotated("late", updated_at="2026-02-01"), annotated("early", updated_at="2026-01-01")
    save_json(tmp_path / "p.json", [task([], annotations=[late, early, annotated("no", was_cancelled=True)])])
    assert label_studio.recognise(tmp_path).card.names == ("background", "late")
    save_json(tmp_path / "p.json", [task([], annotations=[annotated("truth", ground_truth=True), late])])
    assert label_studio.recognise(tmp_path).card.names == ("background", "truth")


def test_tasks_without_annotation_are_a_question(tmp_path):
    save_images(tmp_path, "a.png", "b.png", "c.png")
    tasks = [task([POLYGON], "a.png"), task([], "b.png"), task([], "c.png", annotations=[])]
    save_json(tmp_path / "p.json", tasks)
    proposal = label_studio.recognise(tmp_path)
    assert "1 image without annotation, such as c.png" in proposal.question.text
    assert [entry.id for entry in label_studio.entries(replace(proposal.card, unannotated="skip"))] == ["a", "b"]


@pytest.mark.parametrize(
    "name",
    ["/data/local-files/?d=photos/my%20leaf.png", "s3://bucket/my%20leaf.png", "https://host/x/my%20leaf.png?token=1"],
)
def test_images_by_url(tmp_path, name):
    save_images(tmp_path, "photos/my leaf.png")
    save_json(tmp_path / "p.json", [task([POLYGON], name)])
    (entry,) = label_studio.entries(label_studio.recognise(tmp_path).card)
    assert entry.id == "my leaf"


def test_errors_name_the_file(tmp_path):
    save_images(tmp_path, "a.png")
    path = save_json(tmp_path / "p.json", [task([POLYGON])])
    card = label_studio.recognise(tmp_path).card
    save_json(path, [task([{**POLYGON, "image_rotation": 90}])])
    with pytest.raises(ValueError, match=r"p.json: task 1 was annotated on an image rotated by 90°"):
        label_studio.entries(card)
    save_json(path, [task([result("brushlabels", "Leaf", format="rle", rle=packed((8, 0)))])])
    with pytest.raises(ValueError, match=r"p.json: a.png: an object cannot be drawn"):
        label_studio.entries(card)[0].target((4, 6))
    save_json(path, [task([POLYGON], "text")])
    with pytest.raises(ValueError, match=r"p.json: not as the format 'label_studio' has it .no 'image in the data"):
        label_studio.entries(card)
