"""The known data sets on disk: for each, a function that lists its pairs of image and mask; and how a pair is read.

A reader takes the data set's folder and a split, and returns a `Record` for each image, in a fixed order, without
opening an image. The void label of each data set becomes 255 when a record is read.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglab._utils.errors import unknown
from seglab.data.classes import CITYSCAPES_IDS, CLASS_SETS, IGNORE_INDEX, ClassSet
from seglab.data.dataset import Arrays, Record
from seglab.data.images import files_in, open_image, read_image
from seglab.data.labels import check_mask, check_pair, check_translation, read_mask, relabel
from seglab.data.toytown import scene as toytown

# SegNet's label maps of CamVid: the eleven classes, then one label for all unlabelled pixels.
_CAMVID = {**{i: i for i in range(11)}, 11: IGNORE_INDEX}
_MEMBRANE = {0: 0, 255: 1}
_TRIMAP = {1: 1, 2: 0, 3: IGNORE_INDEX}  # pet, background, and a border that may be either
# The COCO categories of the 20 VOC classes, in VOC's order; 0 stands for background.
_COCO_TO_VOC = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
_COCO_NAMES = (
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog",
    "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
_STACKS = {"image": "train-volume.tif", "label": "train-labels.tif"}  # of the ISBI 2012 challenge


def read_pair(
    image: Path, mask: Path, classes: ClassSet, labels: Mapping[int, int] | None = None, upright: bool = False
) -> Arrays:
    """Read and check an image and its mask; `labels` translates raw labels to class indices."""
    pixels, target = read_image(image, upright), read_mask(mask, classes)
    check_pair(pixels, target, image)
    if labels is not None:
        return pixels, relabel(target, labels, mask, classes), None
    check_mask(target, classes, mask)
    return pixels, target, None


def camvid(folder: Path, split: str) -> list[Record]:
    """`CamVid/train.txt` lists pairs below a root `/SegNet/`; a file's first six characters name its drive."""
    records = []
    for line in _lines(folder / "CamVid" / f"{split}.txt"):
        image, mask = (folder / path.removeprefix("/SegNet/") for path in line.split())
        records.append(_record(image.stem, image, mask, "street", _CAMVID, group=image.stem[:6]))
    return records


def voc(folder: Path, split: str) -> list[Record]:
    """PASCAL VOC: `ImageSets/Segmentation/train.txt` lists names."""
    return [
        _record(name, folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png", "voc")
        for name in _lines(folder / "ImageSets" / "Segmentation" / f"{split}.txt")
    ]


def coco(folder: Path, split: str) -> list[Record]:
    """COCO instances as VOC label maps; all images of the split, including those without any of the classes."""
    annotations = folder / "annotations" / f"instances_{split}2017.json"
    content = json.loads(_text(annotations))
    expected = dict(zip(_COCO_TO_VOC[1:], _COCO_NAMES, strict=True))
    for category in content.get("categories", ()):
        name, known = category["name"], expected.get(category["id"])
        if known not in (None, name):
            raise ValueError(
                f"{annotations}: category {category['id']} is {name!r}, and {known!r} in COCO; is this data of your"
                f" own? Then load it by its path: load_dataset({str(folder)!r})"
            )
    objects: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    for item in content["annotations"]:
        if item["category_id"] in _COCO_TO_VOC:
            objects[item["image_id"]].append({k: item[k] for k in ("category_id", "segmentation")})
    images = {image["id"]: folder / f"{split}2017" / image["file_name"] for image in content["images"]}
    return [
        Record(path.stem, path.stem, (path, annotations), partial(_read_coco, path, objects[image_id]))
        for image_id, path in sorted(images.items())
    ]


def coco_target(objects: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Tensor:
    """Rasterise COCO objects to VOC labels, uint8 (H,W), as torchvision's segmentation reference does.

    Crowds count like any object. A pixel of two objects is void, whatever their classes.

    Args:
        objects: `category_id` (COCO's) and `segmentation` (polygons, or a run-length code) of each.
        size: (H, W).
    """
    from pycocotools import mask as coco_mask

    target, covered = np.zeros(size, np.uint8), np.zeros(size, np.int64)
    for item in objects:
        shape = item["segmentation"]
        compressed = isinstance(shape, Mapping) and not isinstance(shape["counts"], list)
        code = shape if compressed else coco_mask.frPyObjects(shape, *size)
        inside = coco_mask.decode(code).reshape(*size, -1).any(axis=2)  # an object may have several polygons
        target[inside] = _COCO_TO_VOC.index(item["category_id"])
        covered += inside
    target[covered > 1] = IGNORE_INDEX
    return torch.from_numpy(target)


def membrane(folder: Path, split: str) -> list[Record]:
    """Slices `image/N.png`, `label/N.png` of one stack: train is the first three quarters, val the rest."""
    images = sorted((folder / "image").glob("*.png"), key=lambda path: int(path.stem))
    cut = len(images) * 3 // 4
    return [
        _record(path.stem, path, folder / "label" / path.name, "membrane", _MEMBRANE, group="stack")
        for path in (images[:cut] if split == "train" else images[cut:])
    ]


def membrane_from_stacks(folder: Path) -> None:
    """Convert the challenge's two TIFF stacks, anywhere below `folder`, to the PNG files that `membrane` reads.

    Raises:
        ValueError: a stack is missing, or is not 30 pages of 512 × 512 grey pixels.
    """
    stacks = {kind: sorted(folder.rglob(name)) for kind, name in _STACKS.items()}
    for kind, found in stacks.items():
        if not found:
            raise ValueError(f"the archive holds no {_STACKS[kind]}; is it the ISBI 2012 challenge?")
        (folder / kind).mkdir()
        with open_image(found[0]) as stack:
            pages = getattr(stack, "n_frames", 1)
            if (pages, stack.size, stack.mode) != (30, (512, 512), "L"):
                raise ValueError(f"{found[0].name}: expected 30 pages of 512 × 512 grey, found {pages} of {stack.size}")
            for page in range(pages):
                stack.seek(page)
                stack.save(folder / kind / f"{page}.png")
    for path in folder.iterdir():
        if path.name not in _STACKS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def cityscapes(folder: Path, split: str) -> list[Record]:
    """One folder of images per city, which is the group; the masks in `gtFine` have the same layout."""
    images = sorted((folder / "leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
    if not images:
        raise ValueError(f"{folder / 'leftImg8bit' / split} holds no */*_leftImg8bit.png; unpack leftImg8bit there")
    records = []
    for image in images:
        name, city = image.name.removesuffix("_leftImg8bit.png"), image.parent.name
        mask = folder / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
        records.append(_record(name, image, mask, "cityscapes", CITYSCAPES_IDS, group=city))
    return records


def pets(folder: Path, split: str) -> list[Record]:
    """Oxford-IIIT Pets: `annotations/trainval.txt` lists name, breed, species, number; masks are trimaps."""
    names = [line.split()[0] for line in _lines(folder / "annotations" / f"{split}.txt")]
    trimaps = folder / "annotations" / "trimaps"
    return [_record(n, folder / "images" / f"{n}.jpg", trimaps / f"{n}.png", "pets", _TRIMAP) for n in names]


def images_and_masks(
    folder: Path, split: str | None, classes: ClassSet, labels: Mapping[int, int] | None = None
) -> list[Record]:
    """Your own data: `images/` and `masks/`, or `images/SPLIT/` and `masks/SPLIT/`, paired by file name."""
    check_translation(labels or {}, classes)
    images, masks = (_by_stem(folder / kind / (split or "")) for kind in ("images", "masks"))
    alone = [path for stem, path in (images | masks).items() if (stem in images) != (stem in masks)]
    if alone:
        names = ", ".join(str(path.relative_to(folder)) for path in sorted(alone)[:5])
        raise ValueError(
            f"{folder}: {len(alone)} files have no partner: {names}{', …' * (len(alone) > 5)}."
            " An image and its mask have the same name up to the suffix (images/a.jpg, masks/a.png)."
        )
    return [
        Record(stem, stem, (path, masks[stem]), partial(read_pair, path, masks[stem], classes, labels, upright=True))
        for stem, path in sorted(images.items())
    ]


def toytown_scenes(split: str, weather: str, size: tuple[int, int]) -> list[Record]:
    """Street scenes drawn from their seeds, in one weather."""
    if weather not in toytown.WEATHERS:
        raise unknown("weather", weather, toytown.WEATHERS)
    ids = {f"{split}-{seed}": seed for seed in toytown.SPLITS[split]}
    return [Record(name, name, (), partial(_read_scene, seed, size, weather)) for name, seed in ids.items()]


def _read_scene(seed: int, size: tuple[int, int], weather: str) -> Arrays:
    scene = toytown.scene(seed, size=size, weather=weather)
    instance = torch.from_numpy(scene.instance.astype(np.int32))
    return torch.from_numpy(scene.image), torch.from_numpy(scene.target), instance


def _read_coco(path: Path, objects: Sequence[Mapping[str, Any]]) -> Arrays:
    image = read_image(path, upright=False)
    return image, coco_target(objects, (image.shape[1], image.shape[2])), None


def _record(
    name: str, image: Path, mask: Path, classes: str, labels: Mapping[int, int] | None = None, group: str = ""
) -> Record:
    return Record(name, group or name, (image, mask), partial(read_pair, image, mask, CLASS_SETS[classes], labels))


def _lines(path: Path) -> list[str]:
    return [line for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    if not path.is_file():
        raise ValueError(
            f"{path} is missing: this copy of the data set is incomplete. Add the file, choose another split, or"
            " remove the data set's folder so that it is downloaded again."
        )
    return path.read_text()


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder: stem → path."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing; images lie in images/, their masks in masks/, under equal names")
    paths = [path for path in files_in(folder) if path.name[0] != "."]
    if not paths:
        subfolders = sorted(path.name for path in folder.iterdir() if path.is_dir())
        hint = f"; it has folders, so name one as the split: {', '.join(subfolders)}" if subfolders else ""
        raise ValueError(f"{folder} holds no images{hint}")
    stem, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{folder} holds several images named {stem!r}; one image has one mask")
    return {path.stem: path for path in paths}
