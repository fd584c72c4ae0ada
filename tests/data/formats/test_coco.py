"""COCO instances."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.annotated import rows, save_images, save_json
from pycocotools import mask as coco_mask

from seglab.data.formats import coco

CATEGORIES = [{"id": 3, "name": "leaf"}, {"id": 90, "name": "stone"}]
# Column by column: 5 pixels outside, then a ring of 3 × 3 with a hole: rows 1–3, columns 1–3.
RING = {"size": [4, 6], "counts": [5, 3, 1, 1, 1, 1, 1, 3, 8]}
LEFT, RIGHT = [0, 0, 1, 0, 1, 4, 0, 4], [4, 0, 6, 0, 6, 2, 4, 2]  # column 0; columns 4–5 of rows 0–1


def image(id, name, **more):
    return {"id": id, "file_name": name, "height": 4, "width": 6, **more}


def annotation(image, category, segmentation, **more):
    return {"image_id": image, "category_id": category, "segmentation": segmentation, **more}


def write(root, images, annotations, categories=CATEGORIES, name="annotations/instances_default.json"):
    return save_json(root / name, {"images": images, "annotations": annotations, "categories": categories})


def test_categories_with_gaps_parts_and_holes(tmp_path):
    save_images(tmp_path, "images/batch1/a.png", "images/batch1/b.png")
    # `b` is annotated first, and its objects are in two places of the file.
    write(
        tmp_path,
        [image(7, "batch1/b.png"), image(2, "batch1/a.png")],
        [annotation(7, 90, RING), annotation(2, 3, [LEFT, RIGHT]), annotation(7, 3, [LEFT])],
    )
    proposal = coco.recognise(tmp_path)
    assert proposal.card.names == ("background", "leaf", "stone")
    assert proposal.card.annotations == "annotations/instances_default.json"
    assert proposal.evidence == ("annotations/instances_default.json: 2 images with 3 objects (leaf 2, stone 1).",)
    first, second = coco.entries(proposal.card)
    assert (first.id, second.id) == ("a", "b")
    assert first.files == (tmp_path / "images/batch1/a.png", tmp_path / "annotations/instances_default.json")
    assert rows(first) == ["100011", "100011", "100000", "100000"]
    assert rows(second) == ["100000", "122200", "120200", "122200"]


def test_compressed_run_lengths_and_crowds(tmp_path):
    save_images(tmp_path, "a.png")
    crowd = np.zeros((4, 6), np.uint8)
    crowd[2:, 3:] = 1
    code = coco_mask.encode(np.asfortranarray(crowd))
    code["counts"] = code["counts"].decode()
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, code, iscrowd=1)])
    (entry,) = coco.entries(coco.recognise(tmp_path).card)
    assert rows(entry) == ["000000", "000000", "000111", "000111"]


@pytest.mark.parametrize(("overlaps", "expected"), [("last", "122200"), ("smallest", "111200"), ("void", "1..200")])
def test_overlaps(tmp_path, overlaps, expected):
    save_images(tmp_path, "a.png")
    small, large = [0, 1, 3, 1, 3, 2, 0, 2], [1, 0, 4, 0, 4, 3, 1, 3]
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [small]), annotation(1, 90, [large])])
    (entry,) = coco.entries(replace(coco.recognise(tmp_path).card, overlaps=overlaps))
    assert rows(entry)[1] == expected


def test_images_without_annotation_are_background_or_left_out(tmp_path):
    save_images(tmp_path, "a.png", "b.png")
    write(tmp_path, [image(1, "a.png"), image(2, "b.png")], [annotation(1, 3, [LEFT])])
    proposal = coco.recognise(tmp_path)
    assert proposal.question is None
    assert "1 image without annotation, such as b.png." in proposal.evidence
    assert rows(coco.entries(proposal.card)[1]) == ["000000"] * 4
    assert [entry.id for entry in coco.entries(replace(proposal.card, unannotated="skip"))] == ["a"]


def test_splits_from_the_names_of_annotation_files(tmp_path):
    save_images(tmp_path, "train2017/a.png", "val2017/a.png")
    for split in ("train", "val"):
        name = f"annotations/instances_{split}2017.json"
        write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])], name=name)
        save_json(tmp_path / f"annotations/captions_{split}2017.json", {"annotations": [{"caption": "a leaf"}]})
    keys = [annotation(1, 3, [LEFT], keypoints=[1, 2, 2])]
    write(tmp_path, [image(1, "a.png")], keys, name="annotations/person_keypoints_val2017.json")
    proposal = coco.recognise(tmp_path)
    assert proposal.card.annotations == "annotations/instances_*.json"
    assert "Splits: train 1, val 1." in proposal.evidence
    found = {(entry.id, entry.split, entry.image) for entry in coco.entries(proposal.card)}
    assert found == {(f"{s}2017/a", s, tmp_path / f"{s}2017/a.png") for s in ("train", "val")}


def test_objects_of_one_image_in_several_files_are_united(tmp_path):
    save_images(tmp_path, "images/a.png")
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])], CATEGORIES[:1], "leaf.json")
    write(tmp_path, [image(5, "a.png")], [annotation(5, 1, [RIGHT])], [{"id": 1, "name": "stone"}], "stone.json")
    (entry,) = coco.entries(coco.recognise(tmp_path).card)
    assert rows(entry)[0] == "100022"
    assert len(entry.files) == 3


def test_roboflow_adds_a_category_for_the_project(tmp_path):
    save_images(tmp_path, "valid/a.png")
    categories = [{"id": 0, "name": "plants", "supercategory": "none"},
                  {"id": 1, "name": "leaf", "supercategory": "plants"}]  # fmt: skip
    write(tmp_path, [image(1, "a.png")], [annotation(1, 1, [LEFT])], categories, "valid/_annotations.coco.json")
    proposal = coco.recognise(tmp_path)
    assert proposal.card.names == ("background", "leaf")
    assert "Category 'plants' is the project (Roboflow), no class." in proposal.evidence
    assert coco.entries(proposal.card)[0].split == "val"


def test_a_background_and_an_ignored_category_of_the_file(tmp_path):
    save_images(tmp_path, "a.png")
    categories = [*CATEGORIES, {"id": 1, "name": "_background_"}, {"id": 2, "name": "ignore"}]
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT]), annotation(1, 2, [RIGHT])], categories)
    card = coco.recognise(tmp_path).card
    assert (card.names, card.labels) == (("_background_", "leaf", "stone"), {"ignore": "void"})
    assert rows(coco.entries(card)[0])[0] == "1000.."


def test_boxes_have_no_pixels(tmp_path):
    save_images(tmp_path, "a.png")
    boxes = [annotation(1, 3, [], bbox=[0, 0, 2, 2]), annotation(1, 90, [], bbox=[0, 0, 2, 2])]
    write(tmp_path, [image(1, "a.png")], boxes)
    assert coco.recognise(tmp_path) is None
    write(tmp_path, [image(1, "a.png")], [*boxes, annotation(1, 3, [LEFT])])
    assert "Without pixels, and left out: box 2." in coco.recognise(tmp_path).evidence


def test_other_json_files_are_not_recognised(tmp_path):
    save_json(tmp_path / "package.json", {"name": "a", "images": []})
    (tmp_path / "damaged.json").write_text('{"images": [', encoding="utf-8")
    assert coco.recognise(tmp_path) is None


def test_a_panoptic_file_with_the_same_categories_comes_first(tmp_path):
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])])
    segments = [{"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 1, "category_id": 3}]}]
    write(tmp_path, [image(1, "a.png")], segments, name="panoptic.json")
    assert coco.recognise(tmp_path) is None


def test_names_of_the_card_decide(tmp_path):
    """Labels can be renamed and united; without a background class, the remaining pixels are void."""
    save_images(tmp_path, "a.png")
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT]), annotation(1, 90, [RIGHT])])
    card = replace(coco.recognise(tmp_path).card, names=("plant",), labels={"leaf": "plant", "stone": 0})
    assert rows(coco.entries(card)[0])[0] == "0...00"
    with pytest.raises(ValueError, match=r"instances_default.json: label 'stone' is not among the classes .*\(plant\)"):
        coco.entries(replace(card, labels={"leaf": "plant"}))


def test_an_image_of_another_size(tmp_path):
    save_images(tmp_path, "a.png", size=(8, 12))
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])])
    card = coco.recognise(tmp_path).card
    with pytest.raises(ValueError, match=r"a.png.*8 × 12 pixels .*4 × 6"):
        coco.entries(card)[0].target((8, 12))
    assert rows(coco.entries(replace(card, size="upsample"))[0], (8, 12)) == ["110000000000"] * 8


@pytest.mark.parametrize(
    ("images", "annotations", "message"),
    [
        ([image(1, "b.png")], [annotation(1, 3, [LEFT])], r"image 'b.png' is not below .*\(1 of 1 .*copy the images"),
        ([image(1, "a.png")], [annotation(1, 4, [LEFT])], "category 4, which is not listed; add it"),
        ([image(1, "a.png")], [annotation(9, 3, [LEFT])], r"images that are not listed \(1, such as id 9\); add them"),
        ([{"id": 1}], [annotation(1, 3, [LEFT])], "no 'file_name'.*export it again"),
    ],
    ids=["image", "category", "image_id", "key"],
)
def test_errors_name_the_file_and_the_remedy(tmp_path, images, annotations, message):
    save_images(tmp_path, "a.png")
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])])
    card = coco.recognise(tmp_path).card
    write(tmp_path, images, annotations)
    with pytest.raises(ValueError, match=rf"instances_default.json: .*{message}"):
        coco.entries(card)


@pytest.mark.parametrize(
    "code",
    [{"size": [6, 4], "counts": [0, 24]}, {"size": [4, 6], "counts": [1, 2]}, [5, 5]],
    ids=["other size", "too few pixels", "no polygon"],
)
def test_objects_that_cannot_be_drawn(tmp_path, code):
    save_images(tmp_path, "a.png")
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, code)])
    (entry,) = coco.entries(coco.recognise(tmp_path).card)
    with pytest.raises(ValueError, match=r"instances_default.json: a.png: an object cannot be drawn \(.*correct it"):
        entry.target((4, 6))


def test_a_damaged_file_and_a_file_of_another_format(tmp_path):
    save_images(tmp_path, "a.png")
    path = write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])])
    card = coco.recognise(tmp_path).card
    with pytest.raises(ValueError, match=r"no file captions.json has the keys of format 'coco'.*correct annotations:"):
        coco.entries(replace(card, annotations="captions.json"))
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    with pytest.raises(ValueError, match=r"instances_default.json: damaged or no JSON .*export it again"):
        coco.entries(card)


def test_two_files_that_fit_a_name_equally_well(tmp_path):
    save_images(tmp_path, "images/a.png", "previews/a.png")
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])])
    proposal = coco.recognise(tmp_path)
    assert "may be" in proposal.evidence[-1]
    with pytest.raises(ValueError, match=r"'a.png' may be .* give the pattern of the images in the card, as images: "):
        coco.entries(proposal.card)
    (entry,) = coco.entries(replace(proposal.card, images="images/{id}.*"))
    assert entry.image == tmp_path / "images/a.png"


def test_files_that_state_different_sizes(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path, [image(1, "a.png")], [annotation(1, 3, [LEFT])], name="a.json")
    write(tmp_path, [{**image(1, "a.png"), "height": 9}], [annotation(1, 3, [LEFT])], name="b.json")
    (entry,) = coco.entries(coco.recognise(tmp_path).card)
    with pytest.raises(ValueError, match=r"a.json: a.png: the annotation files state 4 × 6 and 9 × 6 pixels"):
        entry.target((4, 6))


def test_run_lengths_that_cover_the_images_leave_no_background(tmp_path):
    save_images(tmp_path, "a.png", "b.png")
    images = [image(1, "a.png"), image(2, "b.png")]
    whole = [annotation(1, 3, {"size": [4, 6], "counts": [0, 20, 4]}, area=20),
             annotation(1, 90, {"size": [4, 6], "counts": [20, 4]}, area=4)]  # fmt: skip
    write(tmp_path, images, [*whole, annotation(2, 3, {"size": [4, 6], "counts": [0, 24]}, area=24)])
    card = coco.recognise(tmp_path).card
    assert card.names == ("leaf", "stone")
    assert rows(coco.entries(card)[0]) == ["000001"] * 4
    write(tmp_path, images, [*whole, annotation(2, 3, {"size": [4, 6], "counts": [0, 23, 1]}, area=23)])
    assert coco.recognise(tmp_path).card.names == ("background", "leaf", "stone")
