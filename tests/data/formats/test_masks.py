"""Label maps in files: how they are recognised and read, on tiny folders with hand-computed pixels."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from seglab.data.card import Card
from seglab.data.formats import masks
from seglab.data.formats.entries import fitted, to_labels
from seglab.data.formats.pixels import read_pixels
from seglab.data.own import entries_of

GRADIENT = (np.arange(48 * 3).reshape(6, 8, 3) + 60).astype(np.uint8)  # 48 colours, (H, W) = (6, 8)
MASK = np.zeros((6, 8), np.uint8)
MASK[1:3, 2:6] = 1  # 8 pixels
MASK[4, :] = 2  # 8 pixels


def save(path, array, **options):
    """Write an array as an image, by its suffix, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path, **options)


def folder_with(root, pairs, image=GRADIENT, mask=MASK):
    """Images and masks at these pairs of paths; each image is brighter than the one before."""
    for number, (image_path, mask_path) in enumerate(pairs):
        save(root / image_path, image + np.uint8(number))
        save(root / mask_path, mask)
    return root


def counts(entry, size=(6, 8)):
    values, pixels = np.unique(entry.target(size), return_counts=True)
    return dict(zip(values.tolist(), pixels.tolist(), strict=True))


NAMES = {
    "folders": ("images/{}.png", "masks/{}.png", "images/{id}.png", "masks/{id}.png"),
    "bmp": ("img/{}.bmp", "gt/{}.bmp", "img/{id}.bmp", "gt/{id}.bmp"),
    "gif masks": ("photos/{}.jpg", "labels/{}.gif", "photos/{id}.jpg", "labels/{id}.gif"),
    "suffix in one folder": ("{}.jpg", "{}_seg.png", "{id}.jpg", "{id}_seg.png"),
    "one suffix, one format": ("{}.png", "{}-mask.png", "{id}.png", "{id}-mask.png"),
    "two words": ("{}_image.png", "{}_label.png", "{id}_image.png", "{id}_label.png"),
    "beginnings": ("x/img_{}.png", "y/mask_{}.png", "x/img_{id}.png", "y/mask_{id}.png"),
    "Cityscapes": ("leftImg8bit/{}_leftImg8bit.png", "gtFine/{}_gtFine_labelIds.png",
                   "leftImg8bit/{id}_leftImg8bit.png", "gtFine/{id}_gtFine_labelIds.png"),
    "folders in a folder": ("export/v2/images/{}.png", "export/v2/annotations/{}.png",
                            "export/v2/images/{id}.png", "export/v2/annotations/{id}.png"),
    "depth differs": ("images/{}.png", "annotations/trimaps/{}.png", "images/{id}.png", "annotations/trimaps/{id}.png"),
    "one folder an image": ("x/{}/image.png", "x/{}/mask.png", "x/{id}/image.png", "x/{id}/mask.png"),
}  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_pairs_by_names(tmp_path, names):
    image, mask, images, patterns = NAMES[names]
    ids = ["aa07_01", "b_2", "c35"]
    folder_with(tmp_path, [(image.format(i), mask.format(i)) for i in ids])
    proposal = masks.recognise(tmp_path)
    assert (proposal.card.images, proposal.card.masks) == (images, patterns)
    entries = masks.entries(proposal.card)
    assert [entry.id for entry in entries] == ids
    assert all(counts(entry) == {0: 32, 1: 8, 2: 8} for entry in entries)
    assert proposal.card.names == ("class_0", "class_1", "class_2")
    assert "names of the classes are stated nowhere" in " ".join(proposal.evidence)


def test_pairs_by_numbers(tmp_path):
    folder_with(tmp_path, [(f"images/frame{n}.png", f"masks/seg_{n:04d}.png") for n in (1, 2, 12)])
    card = masks.recognise(tmp_path).card
    assert (card.images, card.masks) == ("images/frame{number}.png", "masks/seg_{number}.png")
    assert [entry.id for entry in masks.entries(card)] == ["1", "12", "2"]


SPLITS = {
    "split in folder": ("images/{split}/{}.png", "masks/{split}/{}.png", ("train", "val"), ("train", "val")),
    "folder in split": ("{split}/images/{}.png", "{split}/masks/{}.png", ("train", "valid"), ("train", "val")),
    "SegNet": ("{split}/{}.png", "{split}annot/{}.png", ("train", "test"), ("train", "test")),
    "labels beside": ("{split}/{}.png", "{split}_labels/{}_L.png", ("training", "validation"), ("train", "val")),
    "within a folder": ("{split}/{}.jpg", "{split}/{}_mask.png", ("train", "valid", "test"), ("train", "val", "test")),
}  # fmt: skip


@pytest.mark.parametrize("names", SPLITS)
def test_folders_of_splits(tmp_path, names):
    image, mask, folders, splits = SPLITS[names]
    pairs = [
        (image.replace("{split}", s).format(i), mask.replace("{split}", s).format(i)) for s in folders for i in "ab"
    ]
    folder_with(tmp_path, pairs)
    card = masks.recognise(tmp_path).card
    assert card.images == image.replace("{}", "{id}") and card.masks == mask.replace("{}", "{id}")
    entries = masks.entries(card)
    assert {entry.split for entry in entries} == set(splits)
    assert len({entry.id for entry in entries}) == len(pairs)  # the ids are in two splits, so the split is part of them
    assert all(counts(entry) == {0: 32, 1: 8, 2: 8} for entry in entries)


def test_files_that_are_left_out_are_named(tmp_path):
    folder_with(tmp_path, [("images/a.png", "masks/a.png"), ("old/images/b.png", "old/labels/b.png")])
    save(tmp_path / "SegmentationObject/a.png", MASK)
    evidence = masks.recognise(tmp_path).evidence
    assert any("other files are not read, such as old/images/b.png." in sentence for sentence in evidence)


def test_errors_name_the_masks(tmp_path):
    folder_with(tmp_path, [("images/a.png", "masks/a.png")], mask=np.kron(GRADIENT, np.ones((2, 2, 1), np.uint8)) // 2)
    save(tmp_path / "masks/a.png", np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8))
    with pytest.raises(ValueError, match=r"masks/\{id\}.png: the masks hold 400 colours"):
        masks.recognise(tmp_path)
    (tmp_path / "masks/a.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"masks/a.png: not an image that Pillow reads"):
        masks.recognise(tmp_path)


def test_one_split_is_no_split(tmp_path):
    folder_with(tmp_path, [(f"train/images/{i}.png", f"train/masks/{i}.png") for i in "ab"])
    save(tmp_path / "test/images/c.png", GRADIENT)
    card = masks.recognise(tmp_path).card
    assert (card.images, card.masks) == ("train/images/{id}.png", "train/masks/{id}.png")
    assert [(entry.id, entry.split) for entry in masks.entries(card)] == [("a", ""), ("b", "")]


def test_nested_folders_are_part_of_ids_and_groups(tmp_path):
    places = ["bern/1", "bern/2", "graz/1"]
    folder_with(tmp_path, [(f"images/{i}.png", f"masks/{i}.png") for i in places])
    card = masks.recognise(tmp_path).card
    assert (card.images, card.masks, card.groups) == ("images/{group}/{id}.png", "masks/{group}/{id}.png", "^([^/]+)/")
    assert [entry.id for entry in masks.entries(card)] == places


def test_ids_with_folders_in_a_card(tmp_path):
    folder_with(tmp_path, [(f"images/{i}.png", f"masks/{i}_m.png") for i in ("a", "x/b", "x/y/c")])
    card = Card(tmp_path, ("0", "1", "2"), images="images/{id}.png", masks="masks/{id}_m.png")
    assert [entry.id for entry in masks.entries(card)] == ["a", "x/b", "x/y/c"]


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    folder_with(tmp_path, [("images/a.png", "masks/a.png"), (".cache/images/b.png", ".cache/masks/b.png")])
    (tmp_path / "images/._a.png").write_bytes(b"")
    (tmp_path / "images/Thumbs.db").write_bytes(b"")
    assert [entry.id for entry in masks.entries(masks.recognise(tmp_path).card)] == ["a"]


@pytest.mark.parametrize("paths", [[], ["a.png", "b.png"], ["images/a.png", "other/b.png"]])
def test_folders_without_pairs_are_not_recognised(tmp_path, paths):
    for path in paths:
        save(tmp_path / path, GRADIENT)
    assert masks.recognise(tmp_path) is None


def test_voc_lists_are_splits(tmp_path):
    folder_with(tmp_path, [(f"JPEGImages/{i}.jpg", f"SegmentationClass/{i}.png") for i in "ab"])
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    card = masks.recognise(tmp_path).card
    assert card.splits == {"train": "ImageSets/Segmentation/train.txt", "val": "ImageSets/Segmentation/val.txt"}


def test_one_file_a_class(tmp_path):
    save(tmp_path / "images/a_1.png", GRADIENT)
    save(tmp_path / "images/a_12.png", GRADIENT)
    road, car = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    road[3:], car[2:4, :2] = 255, 255  # 24 and 4 pixels, 2 of them in both
    save(tmp_path / "masks/a_1_road.png", road)
    save(tmp_path / "masks/a_1_parked_car.png", car)
    save(tmp_path / "masks/a_12_road.png", road)
    proposal = masks.recognise(tmp_path)
    assert proposal.card.masks == "masks/{id}_{class}.png"
    assert proposal.card.names == ("background", "parked_car", "road")
    first, second = masks.entries(proposal.card)
    assert (first.id, second.id) == ("a_1", "a_12")
    assert counts(first) == {0: 22, 1: 2, 2: 24}  # road is the last
    assert counts(second) == {0: 24, 2: 24}
    smallest, void = (replace(proposal.card, overlaps=overlaps) for overlaps in ("smallest", "void"))
    assert counts(masks.entries(smallest)[0]) == {0: 22, 1: 4, 2: 22}
    assert counts(masks.entries(void)[0]) == {0: 22, 1: 2, 2: 22, 255: 2}
    with pytest.raises(ValueError, match=r"a_1_parked_car.png is of class 'parked_car', which names: does not list"):
        masks.entries(replace(proposal.card, names=("background", "road")))


def test_one_folder_a_class(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.png", GRADIENT)
        save(tmp_path / f"masks/water/{name}.png", (MASK == 1).astype(np.uint8) * 255)
        save(tmp_path / f"masks/wood/{name}.png", (MASK == 2).astype(np.uint8) * 255)
    card = masks.recognise(tmp_path).card
    assert (card.masks, card.names) == ("masks/{class}/{id}.png", ("background", "water", "wood"))
    assert [counts(entry) for entry in masks.entries(card)] == [{0: 32, 1: 8, 2: 8}] * 2


def test_one_file_an_object(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"images/{name}.png", GRADIENT)
        for number in (1, 2):
            save(tmp_path / f"masks/{name}_{number}.png", (number == MASK).astype(np.uint8) * 255)
    card = masks.recognise(tmp_path).card
    assert (card.masks, card.names) == ("masks/{id}_*.png", ("background", "object"))
    assert [counts(entry) for entry in masks.entries(card)] == [{0: 32, 1: 16}] * 2


def test_images_without_masks_are_a_question(tmp_path):
    folder_with(tmp_path, [("images/a.png", "masks/a.png"), ("images/b.png", "masks/b.png")])
    save(tmp_path / "images/c.png", GRADIENT)
    proposal = masks.recognise(tmp_path)
    assert list(proposal.question.options) == ["left out", "background"]
    assert [entry.id for entry in masks.entries(proposal.card)] == ["a", "b"]
    filled = replace(proposal.card, **proposal.question.options["background"])
    assert counts(masks.entries(filled)[2]) == {0: 48}


def test_two_annotations_of_the_same_images_are_a_question(tmp_path):
    folder_with(tmp_path, [(f"images/{i}.png", f"1st_manual/{i}.png") for i in "ab"])
    for name in "ab":
        save(tmp_path / f"2nd_manual/{name}.png", (MASK > 0).astype(np.uint8) * 255)
    proposal = masks.recognise(tmp_path)
    assert list(proposal.question.options) == ["1st_manual/{id}.png", "2nd_manual/{id}.png"]
    second = replace(proposal.card, **proposal.question.options["2nd_manual/{id}.png"])
    assert counts(masks.entries(second)[0]) == {0: 32, 1: 16}
    first = replace(second, **proposal.question.options["1st_manual/{id}.png"])
    assert counts(masks.entries(first)[0]) == {0: 32, 1: 8, 2: 8}


def test_a_field_of_view_is_void_outside(tmp_path):
    folder_with(
        tmp_path, [(f"images/{i}.png", f"manual/{i}.gif") for i in "ab"], mask=(MASK > 0).astype(np.uint8) * 255
    )
    view = np.full((6, 8), 255, np.uint8)
    view[:, :2] = 0  # 12 pixels, 2 of them vessel (row 4)
    for name in "ab":
        save(tmp_path / f"mask/{name}_mask.gif", view)
    proposal = masks.recognise(tmp_path)
    assert (proposal.card.masks, proposal.card.void) == ("manual/{id}.gif", "mask/{id}_mask.gif")
    assert counts(entries_of(proposal.card)[0]) == {0: 22, 1: 14, 255: 12}
    (tmp_path / "mask/b_mask.gif").unlink()
    with pytest.raises(ValueError, match=r"1 images, such as 'b', have no file mask/\{id\}_mask.gif; correct void:"):
        entries_of(proposal.card)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("drawn", ["stored", "upright"])
def test_orientations(tmp_path, orientation, drawn):
    """The mask marks the dark pixels of the image, on the stored or on the upright pixels."""
    stored = np.full((16, 24, 3), 230, np.uint8)
    stored[:8, :8] = 20
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "images").mkdir()
    Image.fromarray(stored).save(tmp_path / "images/a.jpg", exif=exif, quality=95)
    dark = (stored[..., 0] < 128).astype(np.uint8)
    if drawn == "upright":
        flip, turns = {2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, 3), 7: (1, 3), 8: (0, 1)}[orientation]
        dark = np.rot90(np.fliplr(dark) if flip else dark, turns)
    save(tmp_path / "masks/a.png", np.ascontiguousarray(dark))
    proposal = masks.recognise(tmp_path)
    assert f"1 with orientation {orientation}" in " ".join(proposal.evidence)
    if orientation < 5:  # height and width are equal, so the sizes do not tell
        assert list(proposal.question.options) == ["upright", "stored"]
        card = replace(proposal.card, **proposal.question.options[drawn])
    else:
        assert proposal.question is None
        card = proposal.card
    assert card.orientation == drawn
    entry = masks.entries(card)[0]
    image = read_pixels(entry.image, card)
    assert ((image[..., 0] < 128) == entry.target(image.shape[:2])).all()
    if orientation >= 5:
        wrong = replace(card, orientation="upright" if drawn == "stored" else "stored")
        other = masks.entries(wrong)[0]
        with pytest.raises(ValueError, match=f"state orientation: {drawn}"):
            other.target(read_pixels(other.image, wrong).shape[:2])


def test_masks_of_another_size(tmp_path):
    folder_with(tmp_path, [("images/a.png", "masks/a.png")], image=np.kron(GRADIENT, np.ones((2, 2, 1), np.uint8)))
    proposal = masks.recognise(tmp_path)
    assert list(proposal.question.options) == ["upsample", "refuse them"]
    assert counts(masks.entries(proposal.card)[0], (12, 16)) == {0: 128, 1: 32, 2: 32}


def test_upsampling_is_nearest_exact():
    card = Card("", size="upsample")
    labels = np.array([[0, 1, 2]], np.uint8)
    # (i + 0.5) · 3 / 7 = 0.2, 0.6, 1.1, 1.5, 1.9, 2.4, 2.8
    assert fitted(labels, (2, 7), card, "m")[1].tolist() == [0, 0, 1, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="masks of another aspect ratio are not upsampled"):
        fitted(np.zeros((10, 10), np.uint8), (40, 80), card, "m")
    with pytest.raises(
        ValueError, match=r"m: the image is 4 × 6 pixels .height × width., its mask 1 × 3; state size: upsample"
    ):
        fitted(labels, (4, 6), Card(""), "m")


def test_raw_values_are_translated_in_order():
    card = Card("", ("a", "b"), labels={0: "a", 7: 1, 9: "void"})
    assert to_labels(np.array([[0, 7, 9, 255, -1]]), card, "m").tolist() == [[0, 1, 255, 255, 255]]
    with pytest.raises(ValueError, match=r"m: values that labels: in the card does not list: 3 \(2 pixels\)"):
        to_labels(np.array([[0, 3, 3]]), card, "m")
    assert to_labels(np.array([[0, 1, 2, 255]]), Card("", ("a", "b"), reduce_zero=True), "m").tolist() == [
        [255, 0, 1, 255]
    ]
    assert to_labels(np.array([[0, 999, 1000, 1999]]), Card("", ("a", "b"), divide=1000), "m").tolist() == [
        [0, 0, 1, 1]
    ]
    assert to_labels(np.array([[0, 127, 128, 255]]), Card("", ("a", "b"), threshold=128), "m").tolist() == [
        [0, 0, 1, 1]
    ]


def test_cards_that_fit_no_file(tmp_path):
    folder_with(tmp_path, [("images/a.png", "masks/a.png")])
    card = Card(tmp_path, ("a", "b", "c"), images="images/{id}.png", masks="masks/{id}_x.png")
    with pytest.raises(
        ValueError, match=r"1 images fit images/{id}.png, and none has a mask masks/{id}_x.png; correct"
    ):
        masks.entries(card)
    with pytest.raises(ValueError, match="states no images: or no masks:"):
        masks.entries(Card(tmp_path, ("a",)))
    save(tmp_path / "masks/a.bmp", MASK)
    with pytest.raises(ValueError, match=r"images/a.png has two masks, masks/a.bmp and masks/a.png; keep one"):
        masks.entries(replace(card, masks="masks/{id}.*"))


def test_suffixes_may_differ(tmp_path):
    folder_with(
        tmp_path, [("images/a.png", "masks/a.png"), ("images/b.bmp", "masks/b.bmp"), ("images/c.jpg", "masks/c.gif")]
    )
    card = masks.recognise(tmp_path).card
    assert (card.images, card.masks) == ("images/{id}.*", "masks/{id}.*")
    assert [counts(entry) for entry in masks.entries(card)] == [{0: 32, 1: 8, 2: 8}] * 3


def test_entries_can_be_pickled(tmp_path):
    import pickle

    folder_with(tmp_path, [("images/a.png", "masks/a.png")])
    entry = masks.entries(masks.recognise(tmp_path).card)[0]
    assert counts(pickle.loads(pickle.dumps(entry))) == {0: 32, 1: 8, 2: 8}
