"""Data as people have it, made by hand: names, line ends, paths and layouts that resemble those of real exports."""

import json

import numpy as np
import pytest
from helpers.annotated import save_images, save_json
from PIL import Image

from seglab import CLASS_SETS
from seglab.data.classes import CITYSCAPES_IDS
from seglab.data.inspection import answered, inspect
from seglab.data.own import load_card

MASK = np.array([[0, 0, 1, 1, 2, 2]] * 4, np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
LEAF = [0, 0, 2, 0, 2, 4, 0, 4]  # columns 0 and 1


def save(path, array=NOISE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def read(folder, answer=None):
    """Id → the rows of its target, as text; void is "."."""
    dataset = load_card(answered(inspect(folder), answer))
    return {s.id: ["".join("." if v == 255 else str(v) for v in row) for row in s.target.tolist()] for s in dataset}


def coco(folder, names, path="annotations.json", **changes):
    images = [{"id": k, "file_name": name, "height": 4, "width": 6} for k, name in enumerate(names)]
    annotations = [{"id": k, "image_id": k, "category_id": 9, "segmentation": [LEAF]} for k in range(len(names))]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 9, "name": "leaf"}]}
    return save_json(folder / path, content | changes)


@pytest.mark.parametrize("image", [".jpeg", ".JPG", ".tif", ".webp", ".PNG"])
@pytest.mark.parametrize("mask", [".png", ".tif", ".webp", ".PNG", ".bmp"])
def test_suffixes_of_images_and_masks(tmp_path, image, mask):
    for name in "ab":
        save(tmp_path / f"images/{name}{image}")
        if mask == ".webp":  # a WebP file has three channels
            save(tmp_path / f"masks/{name}{mask}", np.repeat(MASK[..., None], 3, axis=2), lossless=True)
        else:
            save(tmp_path / f"masks/{name}{mask}", MASK)
    assert read(tmp_path) == {"a": ["001122"] * 4, "b": ["001122"] * 4}


@pytest.mark.parametrize("name", ["Straße 1", "日本語", "foto (kopie)", "a.b.c", "naïve & co"])
def test_names_of_any_language(tmp_path, name):
    save(tmp_path / f"masken/images/{name}.png")
    save(tmp_path / f"masken/masks/{name}.png", MASK)
    assert read(tmp_path) == {name: ["001122"] * 4}
    save_images(tmp_path / "coco", f"bilder/{name}.png")
    coco(tmp_path / "coco", [f"bilder/{name}.png"])
    assert read(tmp_path / "coco") == {name: ["110000"] * 4}


@pytest.mark.parametrize(
    "name",
    ["/home/x/photos/img.png", "C:\\Users\\x\\img.png", "..\\images\\img.png", "./img.png", "file:///data/img.png"],
)
def test_paths_of_another_machine(tmp_path, name):
    save_images(tmp_path, "images/img.png")
    coco(tmp_path, [name])
    assert read(tmp_path) == {"img": ["110000"] * 4}


def test_files_of_windows(tmp_path):
    """Byte order marks, and lines that end with a carriage return."""
    save_images(tmp_path, "coco/a.png")
    path = coco(tmp_path / "coco", ["a.png"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b", ", b",\r\n"))
    assert read(tmp_path / "coco") == {"a": ["110000"] * 4}
    save_images(tmp_path, "yolo/images/a.png")
    (tmp_path / "yolo/labels").mkdir()
    (tmp_path / "yolo/labels/a.txt").write_bytes(b"\xef\xbb\xbf0 0 0 0.166667 0 0.166667 0.75 0 0.75\r\n")
    (tmp_path / "yolo/data.yaml").write_bytes(b"\xef\xbb\xbftrain: images\r\nval: images\r\nnames: [leaf]\r\n")
    assert read(tmp_path / "yolo") == {"a": ["110000"] * 4}
    colors = np.array([(9, 9, 9), (1, 2, 3), (4, 5, 6)], np.uint8)
    save(tmp_path / "rgb/images/a.png")
    save(tmp_path / "rgb/masks/a.png", colors[MASK])
    (tmp_path / "rgb/class_dict.csv").write_bytes(b"\xef\xbb\xbfname,r,g,b\r\nsky,9,9,9\r\nsea,1,2,3\r\nsand,4,5,6\r\n")
    assert read(tmp_path / "rgb") == {"a": ["001122"] * 4}


def test_an_empty_list_of_annotations(tmp_path):
    save_images(tmp_path, "a.png")
    coco(tmp_path, ["a.png"], annotations=[])
    with pytest.raises(ValueError, match="holds no annotations that are recognised"):
        inspect(tmp_path)


def test_images_that_are_listed_twice(tmp_path):
    save_images(tmp_path, "a.png")
    images = [{"id": k, "file_name": "a.png", "height": 4, "width": 6} for k in (0, 0, 1)]
    right = {"id": 5, "image_id": 1, "category_id": 9, "segmentation": [[5, 0, 6, 0, 6, 4, 5, 4]]}
    left = {"id": 5, "image_id": 0, "category_id": 9, "segmentation": [LEAF]}
    coco(tmp_path, ["a.png"], images=images, annotations=[left, right])
    assert read(tmp_path) == {"a": ["110001"] * 4}


def test_two_images_of_one_id_are_refused(tmp_path):
    save_images(tmp_path, "a.png", "b.png")
    images = [{"id": 3, "file_name": name, "height": 4, "width": 6} for name in ("a.png", "b.png")]
    coco(tmp_path, [], images=images, annotations=[{"image_id": 3, "category_id": 9, "segmentation": [LEAF]}])
    with pytest.raises(ValueError, match=r"annotations.json: images 'a.png' and 'b.png' have one id, 3; give each its"):
        inspect(tmp_path)


def test_a_link_to_the_images(tmp_path):
    save_images(tmp_path, "elsewhere/a.png")
    coco(tmp_path / "export", ["a.png"])
    (tmp_path / "export/images").symlink_to(tmp_path / "elsewhere")
    assert read(tmp_path / "export") == {"a": ["110000"] * 4}


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientations_of_images_with_objects(tmp_path, orientation):
    """An annotation tool shows the image upright: the object is drawn there, and the image is read upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.full((8, 16, 3), 230, np.uint8)
    save(tmp_path / "a.jpg", stored, exif=exif)
    height, width = (16, 8) if orientation > 4 else (8, 16)
    images = [{"id": 0, "file_name": "a.jpg", "height": height, "width": width}]
    coco(tmp_path, ["a.jpg"], images=images)
    card = inspect(tmp_path).card
    # Only the size tells stored from upright, so orientations that keep it are upright as tools show them.
    assert card.orientation == "upright"
    sample = load_card(card)[0]
    assert sample.target.shape == (height, width) == sample.image.shape[1:]
    assert sample.target[:4, :2].all() and int(sample.target.sum()) == 8


def cityscapes(root, mask="labelIds", ids=None, city="aachen"):
    for split in ("train", "val"):
        name = f"{city}_000000_{split}"
        save(root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
        start = root / f"gtFine/{split}/{city}/{name}_gtFine"
        labels = np.array([[7, 26, 0, 33, 4, 7]] * 4, np.uint8) if ids is None else ids
        save(start.with_name(f"{start.name}_{mask}.png"), labels)
        instances = np.where(labels < 24, labels, labels.astype(np.uint16) * 1000 + 1).astype(np.uint16)
        save(start.with_name(f"{start.name}_instanceIds.png"), instances)
        train = np.array([CITYSCAPES_IDS[int(v)] for v in labels.flat], np.uint8).reshape(labels.shape)
        save(start.with_name(f"{start.name}_labelTrainIds.png"), train)
        save(start.with_name(f"{start.name}_color.png"), np.repeat(labels[..., None], 3, axis=2) * 5)
        save_json(start.with_name(f"{start.name}_polygons.json"), {"imgHeight": 4, "imgWidth": 6, "objects": []})


@pytest.mark.parametrize("cities", [["aachen"], ["aachen", "bonn", "ulm"]])
def test_a_cityscapes_tree(tmp_path, cities):
    for city in cities:
        cityscapes(tmp_path, city=city)
    proposal = inspect(tmp_path)
    assert proposal.question is None
    assert proposal.card.names == CLASS_SETS["cityscapes"].names
    assert proposal.card.masks.endswith("_gtFine_labelIds.png")
    found = load_card(proposal.card)
    assert len(found) == 2 * len(cities)
    # Road 0, car 13, unlabelled and static void, bicycle 18.
    assert all(s.target[0].tolist() == [0, 13, 255, 18, 255, 0] for s in found)
    assert {len(load_card(proposal.card, split)) for split in ("train", "val")} == {len(cities)}


def test_instance_ids_are_never_taken_for_classes(tmp_path):
    cityscapes(tmp_path)
    for path in tmp_path.rglob("*_label*Ids.png"):
        path.unlink()
    for path in tmp_path.rglob("*_color.png"):
        path.unlink()
    with pytest.raises(ValueError, match="holds no annotations that are recognised"):
        inspect(tmp_path)


def test_training_ids_of_cityscapes(tmp_path):
    cityscapes(tmp_path)
    for path in tmp_path.rglob("*_labelIds.png"):
        path.unlink()
    card = answered(inspect(tmp_path), None if inspect(tmp_path).question is None else "1")
    assert card.masks.endswith("_labelTrainIds.png")
    assert load_card(card)[0].target[0].tolist() == [0, 13, 255, 18, 255, 0]


def test_two_data_sets_in_one_folder_are_a_question(tmp_path):
    for part in ("masks-drawn-stored", "masks-drawn-upright"):
        save(tmp_path / part / "images/a.png")
        save(tmp_path / part / "masks/a.png", MASK if part.endswith("stored") else MASK[:, ::-1].copy())
    proposal = inspect(tmp_path)
    assert proposal.question.text == "2 folders hold images and masks of their own. Which one is the data set?"
    assert list(proposal.question.options) == ["masks-drawn-stored", "masks-drawn-upright"]
    assert read(tmp_path, "1") == {"a": ["001122"] * 4} and read(tmp_path, "2") == {"a": ["221100"] * 4}
    assert not any("not read" in sentence for sentence in proposal.evidence)


def test_a_voc_tree_with_palettes(tmp_path):
    for name in ("2007_1", "2007_2"):
        save(tmp_path / f"JPEGImages/{name}.jpg")
        palette = Image.fromarray(np.where(MASK == 2, 255, MASK).astype(np.uint8))
        palette.putpalette([v for color in CLASS_SETS["voc"].colors for v in color])
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        palette.save(tmp_path / f"SegmentationClass/{name}.png")
        objects = Image.fromarray((MASK > 0).astype(np.uint8))
        objects.putpalette([0, 0, 0, 128, 0, 0])
        (tmp_path / "SegmentationObject").mkdir(exist_ok=True)
        objects.save(tmp_path / f"SegmentationObject/{name}.png")
    assert read(tmp_path) == {name: ["0011.."] * 4 for name in ("2007_1", "2007_2")}


def test_cvat_segmentation_mask(tmp_path):
    colors = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
    save(tmp_path / "JPEGImages/a.jpg")
    save(tmp_path / "SegmentationClass/a.png", colors[MASK])
    save(tmp_path / "SegmentationObject/a.png", colors[MASK])
    rows = ["# label:color_rgb:parts:actions", "background:0,0,0::", "cat:250,50,83::", "dog:51,221,255::"]
    (tmp_path / "labelmap.txt").write_text("\n".join(rows))
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/default.txt").write_text("a\n")
    assert read(tmp_path) == {"a": ["001122"] * 4}
    assert inspect(tmp_path).card.names == ("background", "cat", "dog")


def test_mmsegmentation_and_ade20k(tmp_path):
    for split in ("training", "validation"):
        save(tmp_path / f"images/{split}/ADE_{split}_1.jpg")
        save(tmp_path / f"annotations/{split}/ADE_{split}_1.png", MASK)
        save(tmp_path / f"mm/img_dir/{split[:5]}/a.jpg")
        save(tmp_path / f"mm/ann_dir/{split[:5]}/a.png", MASK)
    assert list(read(tmp_path / "mm", "void").values()) == [["..0011"] * 4] * 2
    assert list(read(tmp_path / "mm", "class").values()) == [["001122"] * 4] * 2


def test_camvid_with_a_class_table(tmp_path):
    colors = np.array([(0, 0, 0), (64, 128, 64), (192, 0, 128)], np.uint8)
    for split in ("train", "val"):
        save(tmp_path / f"{split}/0001TP.png")
        save(tmp_path / f"{split}_labels/0001TP_L.png", colors[MASK])
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nVoid,0,0,0\nAnimal,64,128,64\nArchway,192,0,128\n")
    assert set(map(tuple, read(tmp_path, "void").values())) == {("..0011",) * 4}


def test_label_maps_of_16_bits_and_flipped_arrays(tmp_path):
    save(tmp_path / "a/images/x.png")
    save(tmp_path / "a/masks/x.png", MASK.astype(np.uint16))
    save(tmp_path / "b/images/x.png")
    (tmp_path / "b/masks").mkdir()
    np.save(tmp_path / "b/masks/x.npy", MASK.astype(np.uint16)[:, ::-1])
    save(tmp_path / "c/images/x.png")
    (tmp_path / "c/masks").mkdir()
    np.save(tmp_path / "c/masks/x.npy", np.asfortranarray(MASK))
    found = [read(tmp_path / part) for part in "abc"]
    assert found == [{"x": ["001122"] * 4}, {"x": ["221100"] * 4}, {"x": ["001122"] * 4}]


def test_a_void_mask_of_colours_is_refused(tmp_path):
    for kind, array in (("images", NOISE), ("masks", MASK), ("fov", NOISE)):
        save(tmp_path / kind / "a.png", array)
    text = 'names: [a, b, c]\nimages: "images/{id}.png"\nmasks: "masks/{id}.png"\nvoid: "fov/{id}.png"'
    (tmp_path / "dataset.yaml").write_text(text)
    from seglab import load_dataset

    with pytest.raises(ValueError, match=r"fov/a.png: the mask holds colours"):
        load_dataset(tmp_path)[0]
    coco(tmp_path, ["a.png"])
    card = {"format": "coco", "annotations": "annotations.json", "images": "images/{id}.png", "void": "fov/{id}.png"}
    (tmp_path / "dataset.yaml").write_text(json.dumps(card | {"names": ["background", "leaf"]}))
    with pytest.raises(ValueError, match=r"fov/a.png: the mask holds colours"):
        load_dataset(tmp_path)[0]
