"""Label maps in files, stacks and parquet as tools leave them: the pixels of each class, by an independent decoder."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from seglab.data.formats import masks, parquet, volumes
from seglab.data.formats.pixels import read_pixels
from seglab.data.own import entries_of

VOC = [
    "_background_",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv/monitor",
]
STREET = [
    "Sky",
    "Building",
    "Column_Pole",
    "Road",
    "Sidewalk",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
]
# Kind → the reader, the answer to its question ("" where none may be open), and names where the data have none.
KINDS = {
    "05-voc-tree-npy": (masks, "", None),
    "07-cvat-segmentation-mask": (masks, "", None),
    "11-roboflow-png-masks": (masks, "", None),
    "12-rgb-class-dict": (masks, "", None),
    "13-camvid-kaggle": (masks, "class", None),
    "14-binary-0-255": (masks, "", ["membrane", "cell"]),
    "16-drive-tif-gif": (masks, "training/1st_manual/{id}_manual1.gif", ["background", "vessel"]),
    "17-one-file-per-object": (masks, "", ["background", "nucleus"]),
    "18-one-file-per-class": (masks, "", None),
    "19-16-bit-instance-ids": (masks, "class × 1000 + object", VOC),
    "20-tiff-stacks": (volumes, "", ["membrane", "cell"]),
    "21-mat-labels": (masks, "", VOC),
    "22-npy-labels": (masks, "", VOC),
    "24-hf-parquet": (parquet, "", None),
    "25-multispectral-tif": (masks, "", ["water", "field", "wood"]),
    "26-16-bit-grey": (masks, "", ["membrane", "cell"]),
    "27-exif-rotated/masks-drawn-stored": (masks, "", ["ground", "sky"]),
    "27-exif-rotated/masks-drawn-upright": (masks, "", ["ground", "sky"]),
    "28-huge-aerial": (masks, "", ["water", "field", "road"]),
    "29-nnunet": (masks, "", None),
    "30-nifti": (volumes, "", None),
    "31-mmseg-reduce-zero": (masks, "void", STREET),
    "34-jpeg-binary-masks": (masks, "", ["membrane", "cell"]),
}  # fmt: skip


@pytest.fixture
def wild(real_data):
    folder = real_data / "wild"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: it holds the 34 kinds of data that the readers are tested with")
    return folder


def folder_of(wild, kind):
    name, _, part = kind.partition("/")
    if name == "30-nifti":
        pytest.importorskip("nibabel", reason="NIfTI needs nibabel: pip install nibabel")
    return wild / name / "data" / part, json.loads((wild / name / "truth.json").read_text())["pixels"]


def card_of(reader, folder, answer):
    """The proposed card, with this answer to its question; no other question may be open."""
    proposal = reader.recognise(folder)
    assert proposal.evidence
    assert (proposal.question is not None) == bool(answer)
    changes = proposal.question.options[answer] if answer else {}
    return replace(proposal.card, **changes)


def class_pixels(entry, card, names, size=None):
    labels = entry.target(size or read_pixels(entry.image, card).shape[:2])
    assert labels.dtype == np.uint8
    values, counts = np.unique(labels, return_counts=True)
    return {("void" if v == 255 else names[v]): int(n) for v, n in zip(values, counts, strict=True)}


def expected_pixels(pixels):
    """The counts of truth.json; it holds other facts, too."""
    facts = ("orientation", "outside the field of view", "distinct values in the jpg")
    return {name: n for name, n in pixels.items() if isinstance(n, int) and n and name not in facts}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_class_has_its_pixels(wild, kind):
    reader, answer, names = KINDS[kind]
    folder, truth = folder_of(wild, kind)
    card = card_of(reader, folder, answer)
    assert names is None or len(names) >= len(card.names)
    found = Counter(
        tuple(sorted(class_pixels(entry, card, names or card.names).items())) for entry in reader.entries(card)
    )
    if kind.startswith("27"):
        part = kind.rpartition("-")[2]
        truth = {name: pixels for name, pixels in truth.items() if name.startswith(part)}
    if kind.startswith("05"):
        truth = {name: pixels for name, pixels in truth.items() if ".npy" not in name}
    expected = Counter(tuple(sorted(expected_pixels(pixels).items())) for pixels in truth.values())
    if kind.startswith("28"):
        assert not expected - found  # only the large image is counted
    else:
        assert found == expected


def test_void_masks_and_the_choice_of_masks(wild):
    folder, truth = folder_of(wild, "16-drive-tif-gif")
    proposal = masks.recognise(folder)
    assert list(proposal.question.options) == [
        "training/1st_manual/{id}_manual1.gif, not evaluated where training/mask/{id}_training_mask.gif is 0",
        "training/1st_manual/{id}_manual1.gif",
        "training/mask/{id}_training_mask.gif",
    ]
    for entry in entries_of(proposal.card):
        labels = entry.target((584, 565))
        assert (labels == 255).sum() == truth[entry.id]["outside the field of view"]
        assert len(entry.files) == 3


def test_numpy_arrays_of_a_voc_tree(wild):
    folder, truth = folder_of(wild, "05-voc-tree-npy")
    card = replace(masks.recognise(folder).card, masks="SegmentationClassNpy/{id}.npy")
    for entry in masks.entries(card):
        expected = next(pixels for name, pixels in truth.items() if name.startswith(f"{entry.id}.npy"))
        assert class_pixels(entry, card, card.names) == expected


@pytest.mark.slow
def test_colours_are_classes_in_the_order_of_their_pixels(wild):
    folder, truth = folder_of(wild, "15-colour-masks-named-jpg")
    card = card_of(masks, folder, "")
    assert list(card.colors.values()) == [(0, 0, 0), (61, 61, 245), (250, 50, 83), (61, 245, 61), (255, 204, 51)]
    for entry in masks.entries(card):
        pixels = truth[entry.id]
        expected = {name: n for color, n in pixels["most"] for name, c in card.colors.items() if list(c) == color}
        found = class_pixels(entry, card, card.names, tuple(pixels["image size"]))
        assert {name: n for name, n in found.items() if name in expected} == expected


def test_masks_of_half_the_size(wild):
    folder, truth = folder_of(wild, "32-mask-of-half-size")
    card = card_of(masks, folder, "upsample")
    for entry in masks.entries(card):
        height, width = read_pixels(entry.image, card).shape[:2]
        half = class_pixels(entry, card, VOC, (height // 2, width // 2))
        assert half == expected_pixels(truth[entry.id])
        whole = class_pixels(entry, card, VOC, (height, width))
        assert whole.keys() == half.keys() and sum(whole.values()) == height * width
    refused = replace(card, size="equal")
    with pytest.raises(
        ValueError, match=r"338 × 500 pixels .height × width., its mask 169 × 250; state size: upsample"
    ):
        masks.entries(refused)[0].target((338, 500))


def test_sixteen_bit_images_are_visible(wild):
    for kind, means in (("26-16-bit-grey", (100, 160)), ("25-multispectral-tif", (20, 200))):
        folder, _ = folder_of(wild, kind)
        card = card_of(masks, folder, "")
        for entry in masks.entries(card):
            pixels = read_pixels(entry.image, card)
            assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
            assert means[0] < pixels.mean() < means[1]
