"""COCO panoptic."""

import numpy as np
import pytest
from helpers.annotated import rows, save_images, save_json
from PIL import Image

from seglab.data.formats import coco, panoptic

CATEGORIES = [{"id": 1, "name": "person", "isthing": 1}, {"id": 200, "name": "rug", "isthing": 0}]
# Segments 3 and 7 + 256 · 5 are persons, 65536 is a rug.
IDS = np.array([[0, 3, 3, 1287, 1287, 65536]] * 4)


def write(root, segments, name="annotations/panoptic_val2017.json", ids=IDS):
    image = {"id": 5, "file_name": "a.png", "height": 4, "width": 6}
    bare = {"id": 6, "file_name": "b.png", "height": 4, "width": 6}
    listed = [{"id": id, "category_id": category} for id, category in segments.items()]
    annotations = [{"image_id": 5, "file_name": "a.png", "segments_info": listed}]
    path = save_json(root / name, {"images": [image, bare], "annotations": annotations, "categories": CATEGORIES})
    png = path.with_suffix("") / "a.png"
    png.parent.mkdir(exist_ok=True)
    Image.fromarray(np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)).save(png)
    save_images(root, "val2017/a.png", "val2017/b.png")


def test_segments_become_classes_and_id_0_is_void(tmp_path):
    """Images and masks have the same names here, and both are PNG files."""
    write(tmp_path, {3: 1, 1287: 1, 65536: 200})
    proposal = panoptic.recognise(tmp_path)
    assert proposal.card.names == ("person", "rug")
    assert proposal.card.masks == "annotations/panoptic_val2017/a.png"
    assert any("Pixels of id 0 are void" in sentence for sentence in proposal.evidence)
    first, second = panoptic.entries(proposal.card)
    assert (first.id, first.split, first.image) == ("a", "val", tmp_path / "val2017/a.png")
    assert tmp_path / "annotations/panoptic_val2017/a.png" in first.files
    assert rows(first) == [".00001"] * 4
    assert rows(second) == ["......"] * 4
    assert coco.recognise(tmp_path) is None


def test_segments_that_the_json_file_lacks(tmp_path):
    write(tmp_path, {3: 1, 65536: 200})
    entry = panoptic.entries(panoptic.recognise(tmp_path).card)[0]
    with pytest.raises(ValueError, match=r"a.png has segment 1287, and 8 pixels of segments that segments_info lacks"):
        entry.target((4, 6))


def test_a_missing_mask(tmp_path):
    write(tmp_path, {3: 1})
    card = panoptic.recognise(tmp_path).card
    (tmp_path / "annotations/panoptic_val2017/a.png").unlink()
    with pytest.raises(ValueError, match=r"panoptic_val2017.json: a.png is not below .* copy the PNG files there"):
        panoptic.entries(card)


def test_a_json_file_without_masks_is_not_recognised(tmp_path):
    annotation = {"image_id": 1, "file_name": "a.png", "segments_info": []}
    save_json(tmp_path / "a.json", {"images": [], "annotations": [annotation], "categories": []})
    assert panoptic.recognise(tmp_path) is None
