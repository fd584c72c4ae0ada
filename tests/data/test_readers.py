"""The files of each data set: small copies written by the tests, and the real ones where they are installed."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.files import make_camvid, write_image
from PIL import Image
from skimage.draw import polygon2mask
from torchvision.datasets import Cityscapes, VOCSegmentation

from seglab import CLASS_SETS, DATASETS, load_dataset
from seglab.data.classes import CITYSCAPES_IDS, ClassSet
from seglab.data.readers import _COCO_TO_VOC, coco_target, membrane_from_stacks

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools with NumPy 2
BINARY = ClassSet("binary", ("ground", "cell"), ((0, 0, 0), (255, 255, 255)))


def test_your_own_folder(tmp_path):
    write_image(tmp_path / "images" / "b.jpg")
    write_image(tmp_path / "masks" / "b.png", [[0, 1, 2, 3, 10, 255]] * 4)
    write_image(tmp_path / "images" / "a.png", size=(3, 3))
    write_image(tmp_path / "masks" / "a.tif", np.eye(3))
    (tmp_path / "images" / ".DS_Store").write_bytes(b"")
    (tmp_path / "images" / "notes.txt").write_text("")
    dataset = load_dataset("folder", root=tmp_path, classes="street")
    assert dataset.ids == dataset.groups == ("a", "b") and dataset.split is None
    assert dataset[0].target.tolist() == np.eye(3).tolist() and dataset[1].target[0, 5] == 255
    dataset.check(progress=False)


def test_a_folder_with_splits(tmp_path):
    for split, name in (("train", "a"), ("val", "b")):
        write_image(tmp_path / "images" / split / f"{name}.png")
        write_image(tmp_path / "masks" / split / f"{name}.png", np.zeros((4, 6)))
    assert load_dataset("folder", "val", root=tmp_path, classes=BINARY).ids == ("b",)
    with pytest.raises(ValueError, match=r"holds no images; it has folders.*: train, val"):
        load_dataset("folder", root=tmp_path, classes=BINARY)
    with pytest.raises(ValueError, match=r"images/test is missing"):
        load_dataset("folder", "test", root=tmp_path, classes=BINARY)


def test_files_without_a_partner_are_listed(tmp_path):
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.png")
    for name in "bcd":
        write_image(tmp_path / "masks" / f"{name}.png", np.zeros((4, 6)))
    with pytest.raises(ValueError, match=r"2 files have no partner: images/a\.png, masks/d\.png"):
        load_dataset("folder", root=tmp_path, classes=BINARY)


def test_two_images_of_one_name_are_refused(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    write_image(tmp_path / "images" / "a.jpg")
    with pytest.raises(ValueError, match="several images named 'a'"):
        load_dataset("folder", root=tmp_path, classes=BINARY)


def test_binary_masks_saved_as_0_255(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    write_image(tmp_path / "masks" / "a.png", [[0, 0, 0, 255, 255, 255]] * 4)
    with pytest.raises(ValueError, match=r"a\.png: a binary mask saved as 0/255"):
        load_dataset("folder", root=tmp_path, classes=BINARY)[0]
    with pytest.raises(ValueError, match="translates 255 to 2, which is no class of 'binary'"):  # before a mask is read
        load_dataset("folder", root=tmp_path, classes=BINARY, labels={0: 0, 255: 2})
    translated = load_dataset("folder", root=tmp_path, classes=BINARY, labels={0: 0, 255: 1})
    assert translated[0].target[0].tolist() == [0, 0, 0, 1, 1, 1]
    many_classes = load_dataset("folder", root=tmp_path, classes="voc")
    with pytest.raises(ValueError, match="all masks of 'folder' hold nothing but 0 and 255"):
        many_classes.check(progress=False)


def test_a_mask_without_the_exif_orientation_of_its_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_image(tmp_path / "images" / "a.jpg", exif=exif)
    write_image(tmp_path / "masks" / "a.png", np.zeros((4, 6)))
    with pytest.raises(ValueError, match=r"a\.jpg: the image is 6 × 4.*its mask 4 × 6.*EXIF"):
        load_dataset("folder", root=tmp_path, classes="voc")[0]


def test_camvid(tmp_path):
    make_camvid(tmp_path / "camvid" / "CamVid", {"train": 2})
    dataset = load_dataset("camvid", root=tmp_path)
    sample = dataset[1]
    assert (sample.id, sample.group) == ("Seq05VD_f00001", "Seq05V") and dataset.split == "train"
    assert sample.target.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 255]]
    with pytest.raises(ValueError, match=r"test\.txt is missing: this copy of the data set is incomplete"):
        load_dataset("camvid", "test", root=tmp_path)


def test_cityscapes(tmp_path):
    with pytest.raises(ValueError, match=r"not in .*cityscapes\. It cannot be downloaded from here: register at"):
        load_dataset("cityscapes", root=tmp_path)
    name = tmp_path / "cityscapes" / "{}" / "val" / "ulm" / "ulm_000000_000019_{}.png"
    write_image(Path(str(name).format("leftImg8bit", "leftImg8bit")), size=(2, 17))
    write_image(Path(str(name).format("gtFine", "gtFine_labelIds")), np.arange(34).reshape(2, 17))
    sample = load_dataset("cityscapes", "val", root=tmp_path)[0]
    assert (sample.id, sample.group) == ("ulm_000000_000019", "ulm")
    assert sample.target.flatten().tolist() == [CITYSCAPES_IDS[i] for i in range(34)]


def test_cityscapes_train_ids_are_the_official_ones():
    official = {c.id: 255 if c.train_id < 0 else c.train_id for c in Cityscapes.classes if c.id >= 0}
    assert official == CITYSCAPES_IDS
    names = {c.train_id: c.name for c in Cityscapes.classes if 0 <= c.train_id < 255}
    assert tuple(names[i] for i in range(19)) == CLASS_SETS["cityscapes"].names


def test_pets(tmp_path):
    folder = tmp_path / "oxford-iiit-pet"
    write_image(folder / "images" / "Abyssinian_1.jpg", size=(1, 3))
    write_image(folder / "annotations" / "trimaps" / "Abyssinian_1.png", [[1, 2, 3]])
    (folder / "annotations" / "trainval.txt").write_text("Abyssinian_1 1 1 1\n")
    sample = load_dataset("pets", root=tmp_path)[0]
    assert sample.id == sample.group == "Abyssinian_1"
    assert sample.target.tolist() == [[1, 0, 255]] and CLASS_SETS["pets"].names == ("background", "pet")


def test_membrane_is_split_in_numeric_order(tmp_path):
    for i in range(12):
        write_image(tmp_path / "membrane" / "image" / f"{i}.png")
        write_image(tmp_path / "membrane" / "label" / f"{i}.png", [[0, 0, 0, 255, 255, 255]] * 4)
    train, val = (load_dataset("membrane", split, root=tmp_path) for split in ("train", "val"))
    assert train.ids == tuple(map(str, range(9))) and val.ids == ("9", "10", "11")
    assert train[0].target[0].tolist() == [0, 0, 0, 1, 1, 1] and set(train.groups + val.groups) == {"stack"}


def test_membrane_stacks_become_slices(tmp_path):
    pages = [Image.new("L", (512, 512), 8 * i) for i in range(30)]
    stacks = tmp_path / "ISBI-2012-challenge"
    stacks.mkdir()
    for name in ("train-volume.tif", "train-labels.tif", "test-volume.tif"):
        pages[0].save(stacks / name, save_all=True, append_images=pages[1:])
    membrane_from_stacks(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "label"]
    values = [np.unique(np.array(Image.open(tmp_path / "label" / f"{i}.png"))).tolist() for i in range(30)]
    assert values == [[8 * i] for i in range(30)]


def test_other_stacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no train-volume\.tif"):
        membrane_from_stacks(tmp_path)
    Image.new("L", (512, 512)).save(tmp_path / "train-volume.tif")
    with pytest.raises(ValueError, match="expected 30 pages of 512 × 512 grey, found 1"):
        membrane_from_stacks(tmp_path)


def square(top: int, left: int, side: int) -> list[float]:
    """A polygon along pixel borders."""
    return [left, top, left + side, top, left + side, top + side, left, top + side]


def test_coco_objects_are_rasterised():
    objects = [{"category_id": 3, "segmentation": [square(1, 2, 3), square(6, 6, 2)]}]  # a car in two parts
    expected = np.zeros((10, 12), np.uint8)
    expected[1:4, 2:5] = expected[6:8, 6:8] = 7
    assert coco_target(objects, (10, 12)).tolist() == expected.tolist()


def test_coco_overlaps_are_void_also_within_a_class():
    first, second = [{"category_id": c, "segmentation": [square(0, left, 4)]} for c, left in ((1, 0), (18, 2))]
    assert coco_target([first, second], (4, 6))[0].tolist() == [15, 15, 255, 255, 12, 12]
    assert coco_target([first, second | {"category_id": 1}], (4, 6))[0].tolist() == [15, 15, 255, 255, 15, 15]


@pytest.mark.parametrize("compressed", [False, True])
def test_coco_run_lengths_count_like_polygons(compressed):
    # Column by column: 3 outside, 2 inside, 3 outside, of a picture 4 high and 2 wide.
    code = {"counts": [3, 2, 3], "size": [4, 2]}
    if compressed:
        from pycocotools import mask as coco_mask

        code = coco_mask.frPyObjects(code, 4, 2)
    target = coco_target([{"category_id": 17, "segmentation": code, "iscrowd": 1}], (4, 2))
    assert target.tolist() == [[0, 8], [0, 0], [0, 0], [8, 0]]


def test_no_objects_is_background():
    assert coco_target([], (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_coco_keeps_images_without_objects_and_leaves_out_other_classes(tmp_path):
    folder = tmp_path / "coco"
    images = [{"id": i, "file_name": f"{i:012}.jpg"} for i in (7, 3)]
    giraffe = {"image_id": 3, "category_id": 25, "segmentation": [square(0, 0, 4)]}
    (folder / "annotations").mkdir(parents=True)
    for image in images:
        write_image(folder / "val2017" / image["file_name"])
    content = json.dumps({"images": images, "annotations": [giraffe]})
    (folder / "annotations" / "instances_val2017.json").write_text(content)
    dataset = load_dataset("coco", root=tmp_path)
    assert dataset.ids == ("000000000003", "000000000007") and not dataset[0].target.any()


def test_data_of_ones_own_is_not_taken_for_coco(tmp_path):
    """Its category 3 is a leaf; in COCO 3 is a car."""
    content = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "leaf"}, {"id": 200, "name": "x"}]}
    (tmp_path / "coco/annotations").mkdir(parents=True)
    (tmp_path / "coco/annotations/instances_val2017.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"instances_val2017.json: category 3 is 'leaf', and 'car' in COCO"):
        load_dataset("coco", root=tmp_path)


def test_coco_categories_have_the_names_of_voc(real_data):
    content = json.loads((real_data / "coco" / "annotations" / "instances_val2017.json").read_text())
    names = {c["id"]: c["name"] for c in content["categories"]}
    other = {"airplane": "aeroplane", "dining table": "diningtable", "motorcycle": "motorbike",
             "potted plant": "pottedplant", "couch": "sofa", "tv": "tvmonitor"}  # fmt: skip
    ours = [other.get(names[i], names[i]) for i in _COCO_TO_VOC[1:]]
    assert tuple(ours) == CLASS_SETS["voc"].names[1:]


def test_coco_agrees_with_another_rasteriser(real_data):
    content = json.loads((real_data / "coco" / "annotations" / "instances_val2017.json").read_text())
    dataset = load_dataset("coco", root=real_data)
    agree = total = 0
    for sample in (dataset[i] for i in range(0, len(dataset), 4)):
        size, target = tuple(sample.target.shape), np.zeros(sample.target.shape, np.uint8)
        covered = np.zeros(size, int)
        for item in content["annotations"]:
            if item["image_id"] == int(sample.id) and item["category_id"] in _COCO_TO_VOC:
                parts = [np.array(p).reshape(-1, 2)[:, ::-1] - 0.5 for p in item["segmentation"]]
                inside = np.any([polygon2mask(size, part) for part in parts], axis=0)
                target[inside] = _COCO_TO_VOC.index(item["category_id"])
                covered += inside
        target[covered > 1] = 255
        marked = (target > 0) | (sample.target.numpy() > 0)
        agree, total = agree + (target == sample.target.numpy())[marked].sum(), total + marked.sum()
    assert total > 100_000 and agree / total > 0.96  # they differ along outlines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "split"),
    [("camvid", "train"), ("camvid", "val"), ("voc", "train"), ("voc", "val"), ("coco", "val"),
     ("membrane", "train"), ("membrane", "val")],
)  # fmt: skip
def test_every_real_pair_can_be_used(real_data, name, split):
    dataset = load_dataset(name, split, root=real_data, download=False)
    dataset.check(progress=False)
    assert len(set(dataset.ids)) == len(dataset)
    labels = set().union(*(sample.target.unique().tolist() for sample in dataset.subset(range(4))))
    assert len(labels - {255}) > 1


def test_camvid_is_the_published_one(real_data):
    train, val = (load_dataset("camvid", split, root=real_data) for split in ("train", "val"))
    assert (len(train), len(val)) == (367, 101)
    assert {"train": train.fingerprint(), "val": val.fingerprint()} == DATASETS["camvid"].fingerprints
    assert set(train.groups) == {"0001TP", "0006R0", "0016E5"} and set(val.groups) == {"0016E5"}


def test_voc_agrees_with_torchvision(real_data):
    ours = load_dataset("voc", "val", root=real_data)
    theirs = VOCSegmentation(real_data, year="2012", image_set="val", download=False)
    assert len(ours) == len(theirs)
    for i in range(0, len(ours), 10):
        image, target = theirs[i]
        assert np.array_equal(ours[i].image.permute(1, 2, 0), image) and np.array_equal(ours[i].target, target)
