"""COCO and COCO panoptic files: what is written is read back, by seglab's readers and by independent decoders."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.annotated import save_images
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from seglab.data.classes import ClassSet
from seglab.data.formats import coco, panoptic
from seglab.data.formats.writing import LabelMap, annotation_file, write_coco, write_panoptic
from seglab.data.palette import voc_colors

READERS = {"coco": (write_coco, coco), "panoptic": (write_panoptic, panoptic)}
CLASSES = ClassSet("abc", ("road", "sign", "car"), voc_colors(4)[1:], things=frozenset({"car"}))
MAP = torch.tensor([[0, 2, 255], [2, 2, 0]])


def class_set(count: int) -> ClassSet:
    names = tuple(f"c{i}" for i in range(count))
    return ClassSet("random", names, voc_colors(count + 1)[1:], things=frozenset(names[::2]))


@st.composite
def label_maps(draw):
    """One to three label maps of any small size, with void, single pixels and absent classes, and the class set."""
    classes = class_set(draw(st.sampled_from([1, 2, 3, 20, 254])))
    label = st.sampled_from([*range(min(len(classes), 4)), len(classes) - 1, 255])
    maps = []
    for _ in range(draw(st.integers(1, 3))):
        height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
        flat = draw(st.lists(label, min_size=height * width, max_size=height * width))
        maps.append(torch.tensor(flat, dtype=torch.uint8).reshape(height, width))
    maps[0][0, 0] = 0  # data with void only are not recognised
    return maps, classes


def opened(file: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(file)


def box(mask: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def named(maps: list[torch.Tensor]) -> list[LabelMap]:
    return [LabelMap(f"{i}.png", mask) for i, mask in enumerate(maps)]


@pytest.mark.parametrize("format", READERS)
@settings(max_examples=40, deadline=None)
@given(label_maps())
def test_the_readers_return_the_same_pixels_and_classes(format, drawn):
    maps, classes = drawn
    write, reader = READERS[format]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for item in named(maps):
            save_images(root, f"images/{item.image}", size=tuple(item.mask.shape))
        write(annotation_file(root, format, "default"), named(maps), classes)
        card = reader.recognise(root).card
        assert card.names == classes.names
        found = [entry.target(tuple(mask.shape)) for entry, mask in zip(reader.entries(card), maps, strict=True)]
    assert [target.tolist() for target in found] == [mask.tolist() for mask in maps]


@settings(max_examples=40, deadline=None)
@given(label_maps())
@example(([torch.full((3, 2), 255)], class_set(2)))
def test_pycocotools_decodes_the_same_pixels(drawn):
    maps, classes = drawn
    with tempfile.TemporaryDirectory() as folder:
        write_coco(Path(folder, "a.json"), named(maps), classes)
        index = opened(Path(folder, "a.json"))
    for number, mask in enumerate(maps, 1):
        decoded, covered = np.full(mask.shape, -1), np.zeros(mask.shape, int)
        for annotation in index.loadAnns(index.getAnnIds([number])):
            inside = index.annToMask(annotation)
            covered += inside
            assert (annotation["area"], annotation["bbox"]) == (inside.sum(), box(inside))
            # The same characters that pycocotools writes for these pixels.
            same = coco_mask.encode(np.asfortranarray(inside))["counts"].decode()
            assert annotation["segmentation"]["counts"] == same
            decoded[inside > 0] = annotation["category_id"] - 1
        assert (covered == 1).all()
        assert decoded.tolist() == mask.tolist()
    listed = [category["id"] for category in index.loadCats(index.getCatIds())]
    assert listed == [*range(1, len(classes) + 1), *[256] * any(255 in mask for mask in maps)]


@settings(max_examples=40, deadline=None)
@given(label_maps())
@example(([torch.full((3, 2), 255)], class_set(2)))
def test_panoptic_files_decode_to_the_same_pixels(drawn):
    """Decoded as panopticapi does: id = R + 256 G + 65536 B; id 0 has no segment, each other id has exactly one."""
    maps, classes = drawn
    with tempfile.TemporaryDirectory() as folder:
        write_panoptic(Path(folder, "a.json"), named(maps), classes)
        content = json.loads(Path(folder, "a.json").read_text())
        for mask, annotation in zip(maps, content["annotations"], strict=True):
            with Image.open(Path(folder, "a", annotation["file_name"])) as image:
                red, green, blue = np.moveaxis(np.array(image).astype(int), -1, 0)
            ids = red + 256 * green + 65536 * blue
            decoded = np.full(mask.shape, 255)
            for segment in annotation["segments_info"]:
                inside = ids == segment["id"]
                assert (segment["area"], segment["bbox"]) == (inside.sum(), box(inside))
                decoded[inside] = segment["category_id"] - 1
            assert sorted({*ids.flat} - {0}) == [segment["id"] for segment in annotation["segments_info"]]
            assert decoded.tolist() == mask.tolist()


def test_a_coco_file_by_hand(tmp_path):
    """Runs go down the columns: 0 2 | 2 2 | void 0."""
    write_coco(tmp_path / "new" / "a.json", [LabelMap("d/x.jpg", MAP)], CLASSES)
    content = json.loads((tmp_path / "new" / "a.json").read_text())
    assert content["images"] == [{"id": 1, "file_name": "d/x.jpg", "height": 2, "width": 3}]
    assert [category["name"] for category in content["categories"]] == ["road", "sign", "car", "void"]
    assert content["categories"][2] == {"id": 3, "name": "car", "isthing": 1, "color": list(CLASSES.colors[2])}
    road, car, void = content["annotations"]
    for annotation, runs in ((road, [0, 1, 4, 1]), (car, [1, 3, 2]), (void, [4, 1, 1])):
        packed = coco_mask.frPyObjects({"size": [2, 3], "counts": runs}, 2, 3)
        assert annotation.pop("segmentation") == {"size": [2, 3], "counts": packed["counts"].decode()}
    assert road == {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 2, "bbox": [0, 0, 3, 2]}
    assert car == {"id": 2, "image_id": 1, "category_id": 3, "iscrowd": 1, "area": 3, "bbox": [0, 0, 2, 2]}
    assert void == {"id": 3, "image_id": 1, "category_id": 256, "iscrowd": 0, "area": 1, "bbox": [2, 0, 1, 1]}


def test_known_objects_are_segments_of_their_own(tmp_path):
    instance = torch.tensor([[0, 70_000, 7], [7, 70_000, 0]], dtype=torch.int32)  # 7 is void in the first row
    write_coco(tmp_path / "a.json", [LabelMap("x.jpg", MAP, instance)], CLASSES)
    index = opened(tmp_path / "a.json")
    cars = index.loadAnns(index.getAnnIds(catIds=[3]))
    assert [(car["iscrowd"], index.annToMask(car).tolist()) for car in cars] == [
        (0, [[0, 0, 0], [1, 0, 0]]), (0, [[0, 1, 0], [0, 1, 0]]),
    ]  # fmt: skip
    (void,) = index.loadAnns(index.getAnnIds(catIds=[256]))
    assert void["area"] == 1
    write_panoptic(tmp_path / "b.json", [LabelMap("x.jpg", MAP, instance)], CLASSES)
    (annotation,) = json.loads((tmp_path / "b.json").read_text())["annotations"]
    assert [(segment["category_id"], segment["iscrowd"]) for segment in annotation["segments_info"]] == [
        (1, 0), (3, 0), (3, 0),
    ]  # fmt: skip
    with Image.open(tmp_path / "b" / "x.png") as image:
        assert image.getpixel((2, 0)) == (0, 0, 0)


def test_more_segments_than_one_byte_counts(tmp_path):
    instance = torch.arange(300).reshape(15, 20)
    write_panoptic(tmp_path / "a.json", [LabelMap("x.jpg", torch.full((15, 20), 2), instance)], CLASSES)
    with Image.open(tmp_path / "a" / "x.png") as image:
        assert image.getpixel((19, 14)) == (300 - 256, 1, 0)


@pytest.mark.parametrize("write", [write_coco, write_panoptic])
@pytest.mark.parametrize(
    ("item", "message"),
    [
        (LabelMap("x.jpg", MAP[None]), r"x.jpg: \(1, 2, 3\); expected a mask of shape \(H, W\)"),
        (LabelMap("x.jpg", MAP, MAP[:1]), r"x.jpg: \(2, 3\) and \(1, 3\); .*instances of the same shape"),
        (LabelMap("x.jpg", MAP[:0]), r"x.jpg: \(0, 3\); expected a mask"),
        (LabelMap("x.jpg", MAP + 1), r"x.jpg has labels 3 \(3 pixels\), 256 \(1 pixel\) outside the 3 classes"),
    ],
    ids=["shape", "instances", "empty", "labels"],
)
def test_an_error_leaves_the_old_file(tmp_path, write, item, message):
    file = tmp_path / "a.json"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        write(file, [LabelMap("good.jpg", MAP), item], CLASSES)
    assert file.read_text(encoding="utf-8") == "old"


def test_names_that_cannot_be_written(tmp_path):
    void = ClassSet("abc", ("road", "sign", "void"), voc_colors(3))
    write_coco(tmp_path / "a.json", [LabelMap("x.jpg", MAP.clamp(max=2))], void)
    with pytest.raises(ValueError, match=r"x.jpg has void pixels, and 'abc' a class named 'void'; rename it"):
        write_coco(tmp_path / "a.json", [LabelMap("x.jpg", MAP)], void)
    with pytest.raises(ValueError, match=r"x.png would hold the segments of two images; rename one"):
        write_panoptic(tmp_path / "a.json", [LabelMap("x.jpg", MAP), LabelMap("x.tif", MAP)], CLASSES)
