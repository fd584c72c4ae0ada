"""Inspection of a folder: evidence, the proposed card, and questions."""

import pytest
from helpers.annotated import SQUARE, save_images, save_json
from helpers.own import leaves, save_pair

from seglab.data.card import card_text, read_card
from seglab.data.inspection import answered, find_card, inspect


@pytest.fixture
def plain(tmp_path):
    """images/ and masks/ with labels 0 to 2."""
    for k in range(5):
        save_pair(tmp_path / "plain", f"p{k}", [[0, 1, 2], [0, 1, k % 3]])
    return tmp_path / "plain"


def coco(folder):
    names = [f"p{k}.png" for k in range(5)]
    content = {
        "images": [{"id": k, "file_name": name, "height": 2, "width": 3} for k, name in enumerate(names)],
        "categories": [{"id": 7, "name": "leaf"}],
        "annotations": [{"id": k, "image_id": k, "category_id": 7, "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]]}
                        for k in range(5)],
    }  # fmt: skip
    return save_json(folder / "annotations.json", content)


def test_images_and_masks(plain):
    proposal = inspect(plain)
    assert proposal.question is None and proposal.card.format == "masks" and len(proposal.card.names) == 3
    assert proposal.card.images == "images/{id}.png" and proposal.card.masks == "masks/{id}.png"
    assert proposal.card.splits == {"train": 0.8, "val": 0.2, "seed": 0}
    assert any("80 %" in sentence for sentence in proposal.evidence) and len(proposal.evidence) >= 2


def test_the_pages_of_a_stack_are_one_group(tmp_path):
    import numpy as np
    import tifffile

    from seglab.data.checking import check_data
    from seglab.data.own import load_card

    volume = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    for name, array in (("train-volume", volume), ("train-labels", (volume > 99).astype(np.uint8))):
        tifffile.imwrite(tmp_path / f"{name}.tif", array, photometric="minisblack")
    proposal = inspect(tmp_path)
    assert proposal.card.splits["by"] == "image" and "resemble each other" in proposal.evidence[-1]
    dataset = load_card(proposal.card)
    assert len(dataset) == 6 and set(dataset.groups) == {"train"}
    assert not check_data(dataset, progress=False).warnings


def test_a_layout_with_splits_keeps_them(tmp_path):
    for split in ("train", "val"):
        for k in range(3):
            for kind in ("images", "masks"):
                save_pair(tmp_path / "raw", f"{split}{k}", [[0, 1, 1], [0, 0, 1]])
                (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
                (tmp_path / "raw" / kind / f"{split}{k}.png").rename(tmp_path / kind / split / f"{split}{k}.png")
    assert inspect(tmp_path).card.splits == {}


def test_two_annotations_are_a_question(plain):
    coco(plain)
    proposal = inspect(plain)
    assert proposal.question is not None
    options = list(proposal.question.options)
    assert [option.partition(" ")[0] for option in options] == ["coco", "masks"]
    assert {sentence.partition(":")[0] for sentence in proposal.evidence} == {"coco", "masks"}
    assert answered(proposal, "masks").names == inspect_names(plain) and answered(proposal, "1").format == "coco"
    with pytest.raises(ValueError, match=r"ground truth\? 1: coco .*, 2: masks .*--answer 1"):
        answered(proposal)
    with pytest.raises(ValueError, match="unknown answer 'png'"):
        answered(proposal, "png")


def inspect_names(folder):
    return answered(inspect(folder), "2").names


def test_files_that_a_specific_format_reads_are_no_second_proposal(tmp_path):
    save_images(tmp_path, "a.png", "b.png")
    for name in "ab":
        shape = {"label": "leaf", "points": [SQUARE[k : k + 2] for k in (0, 2, 4, 6)], "shape_type": "polygon"}
        content = {"version": "5", "flags": {}, "shapes": [shape], "imagePath": f"{name}.png", "imageData": None,
                   "imageHeight": 4, "imageWidth": 6}  # fmt: skip
        save_json(tmp_path / f"{name}.json", content)
    proposal = inspect(tmp_path)
    assert proposal.card.format == "labelme" and proposal.question is None


def test_an_answer_without_a_question_is_refused(plain):
    with pytest.raises(ValueError, match="'1' answers no question"):
        answered(inspect(plain), "1")


def test_a_damaged_file_beside_good_annotations_is_evidence(plain):
    path = coco(plain)
    path.write_text(path.read_text().replace('"category_id": 7', '"category_id": 8'))
    proposal = inspect(plain)
    assert proposal.card.format == "masks"
    assert "Left out: " in proposal.evidence[-1] and "annotations.json" in proposal.evidence[-1]


def test_nothing_recognised_shows_what_was_looked_for_and_a_card(tmp_path):
    save_images(tmp_path, "a.png")
    with pytest.raises(ValueError, match=r"holds no annotations.*COCO, labelme.*dataset\.yaml.*names: \[background"):
        inspect(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        inspect(tmp_path / "gone")


def test_a_card_is_preferred_to_inspection(plain):
    found = find_card(plain)
    assert found == inspect(plain).card
    (plain / "dataset.yaml").write_text(card_text(found).replace("names:", "name: mine\nnames:"))
    assert find_card(plain).name == "mine" and find_card(plain / "dataset.yaml") == read_card(plain)


def test_a_folder_without_a_card_is_inspected_once_for_each_state(plain, monkeypatch):
    from seglab import load_dataset
    from seglab.data import inspection

    calls = []

    def counted(folder):
        calls.append(folder)
        return inspect(folder)

    monkeypatch.setattr(inspection, "inspect", counted)
    assert len(load_dataset(plain, "train")) + len(load_dataset(plain, "val")) == 5
    assert calls == [plain]
    save_pair(plain, "p5", [[0, 1, 2], [0, 1, 3]])
    assert len(load_dataset(plain).classes) == 4 and calls == [plain, plain]


def test_a_folder_with_an_open_question_is_not_loaded(plain):
    from seglab import load_dataset

    coco(plain)
    with pytest.raises(ValueError, match="ground truth"):
        load_dataset(plain)
    assert len(load_dataset(leaves(plain, ["p0"]))) == 5
