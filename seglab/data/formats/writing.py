"""Writers: label maps as COCO run lengths or COCO panoptic (https://cocodataset.org/#format-data).

`formats.coco` and `formats.panoptic` read the same pixels back. Each class of an image is one segment, as in COCO-Stuff
(Caesar et al. 2018); where objects are known, each object is one. `iscrowd` is 1 for a segment of a countable class
(`ClassSet.things`) whose objects are not known: COCO's mark for a group of objects.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from seglab._utils.paths import replacing
from seglab.data.card_values import VOID
from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.labels import check_labels
from seglab.data.palette import Color

Json = dict[str, Any]
_VOID_ID = IGNORE_INDEX + 1


class LabelMap(NamedTuple):
    """A label map to write.

    Attributes:
        image: file name of its image, relative to the folder of the images, with "/" between folders.
        mask: integer (H,W), class indices; 255 is void.
        instance: integer (H,W), 0 for stuff, else the number of the object; None where objects are not known.
    """

    image: str
    mask: Tensor
    instance: Tensor | None = None


def write_coco(file: Path, maps: Iterable[LabelMap], classes: ClassSet) -> None:
    """Write label maps as run lengths in one COCO file, which pycocotools, CVAT, FiftyOne and Datumaro open.

    An annotation has the compressed run lengths, `area` and `bbox` of a segment. `category_id` is the class index + 1,
    since some tools take 0 for no class. Void pixels are a category of their own, "void", which is listed only where it
    occurs. Memory does not grow with the number of annotations.

    Without a `dataset.yaml` the reader puts a class named "background" first, and takes "ignore" and "void" for void.

    Args:
        file: the JSON file; it is replaced when the new one is complete, and missing folders are created.
        maps: one for each image.

    Raises:
        ValueError: a label outside the class set, a mask that is not (H,W), instances of another shape, or void pixels
            beside a class that is named "void".
    """
    images: list[Json] = []
    categories = _categories(classes)
    _write(file, _annotations(maps, classes, images, categories), {"images": images, "categories": categories})


def write_panoptic(file: Path, maps: Iterable[LabelMap], classes: ClassSet) -> None:
    """Write label maps as COCO panoptic: PNG files of segment ids in a folder named like the JSON file, and this file.

    The id of a pixel is R + 256 G + 65536 B; 0 is void. The JSON file is written after all PNG files.

    Args:
        file: the JSON file, such as annotations/panoptic_val.json; the PNG files are in annotations/panoptic_val/.
            Each file is replaced when the new one is complete, and missing folders are created.
        maps: one for each image.

    Raises:
        ValueError: a label outside the class set, a mask that is not (H,W), instances of another shape, or two images
            whose names differ only in their suffix.
    """
    images: list[Json] = []
    _write(file, _panoptic(file.with_suffix(""), maps, classes, images),
           {"images": images, "categories": _categories(classes)})  # fmt: skip


WRITERS = {"coco": write_coco, "panoptic": write_panoptic}


def annotation_file(folder: Path, format: str, subset: str) -> Path:
    """annotations/instances_SUBSET.json or annotations/panoptic_SUBSET.json, where CVAT and Datumaro look for it."""
    return folder / "annotations" / f"{'instances' if format == 'coco' else format}_{subset}.json"


def _annotations(
    maps: Iterable[LabelMap], classes: ClassSet, images: list[Json], categories: list[Json]
) -> Iterator[Json]:
    """The annotations of a COCO file. Each image is added to `images`, and void to `categories` once it occurs."""
    number = 0
    for image, keys in _checked(maps, classes, images):
        for segment in _segments(keys, classes)[0]:
            number += 1
            if segment["category_id"] == _VOID_ID and len(categories) == len(classes):
                if VOID in classes.names:
                    name = image["file_name"]
                    raise ValueError(f"{name} has void pixels, and {classes.name!r} a class named 'void'; rename it")
                categories.append(_category(IGNORE_INDEX, VOID, classes.void_color, False))
            yield {**segment, "id": number, "image_id": image["id"]}


def _panoptic(folder: Path, maps: Iterable[LabelMap], classes: ClassSet, images: list[Json]) -> Iterator[Json]:
    """The annotation of each image, after its PNG file is written. The image is added to `images`."""
    written = set()
    for image, keys in _checked(maps, classes, images):
        name = PurePosixPath(image["file_name"]).with_suffix(".png").as_posix()
        if name in written:
            raise ValueError(f"{folder / name} would hold the segments of two images; rename one of the images")
        written.add(name)
        segments, ids = _segments(keys, classes)
        ids[keys == IGNORE_INDEX] = 0
        rgb = np.ascontiguousarray(
            ids.astype("<u4", order="C")[..., None].view(np.uint8)[..., :3]
        )  # the lowest byte is red
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name) as part:
            Image.fromarray(rgb).save(part, format="PNG")
        stated = [{key: value for key, value in segment.items() if key != "segmentation"}
                  for segment in segments if segment["category_id"] != _VOID_ID]  # fmt: skip
        yield {"image_id": image["id"], "file_name": name, "segments_info": stated}


def _checked(
    maps: Iterable[LabelMap], classes: ClassSet, images: list[Json]
) -> Iterator[tuple[Json, NDArray[np.integer[Any]]]]:
    """Each image, which is added to `images`, and the key of each pixel (H,W): class index + 256 · object."""
    for number, (name, mask, instance) in enumerate(maps, 1):
        if mask.ndim != 2 or mask.numel() == 0 or (instance is not None and instance.shape != mask.shape):
            shapes = " and ".join(str(tuple(array.shape)) for array in (mask, instance) if array is not None)
            raise ValueError(f"{name}: {shapes}; expected a mask of shape (H, W), and instances of the same shape")
        check_labels(mask, classes, name)
        keys = mask.cpu().numpy()
        if instance is not None:
            keys = np.where(keys == IGNORE_INDEX, IGNORE_INDEX, keys + 256 * instance.cpu().numpy().astype(np.int64))
        images.append({"id": number, "file_name": name, "height": mask.shape[0], "width": mask.shape[1]})
        yield images[-1], keys


def _segments(keys: NDArray[np.integer[Any]], classes: ClassSet) -> tuple[list[Json], NDArray[np.uint32]]:
    """The segments of an image in the order of their keys, void included; and each pixel's segment (H,W), from 1."""
    from pycocotools import mask as coco_mask

    columns = keys.T.ravel()  # COCO's runs go down the columns
    borders = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    starts, ends = np.append(0, borders), np.append(borders, columns.size)
    found, numbers = np.unique(columns[starts], return_inverse=True)
    segments = []
    for number, key in enumerate(found.tolist()):
        instance, label = divmod(key, 256)
        own = np.stack([starts, ends], axis=1)[numbers == number].ravel()
        counts = np.trim_zeros(np.diff(own, prepend=0, append=columns.size), "b")  # outside, inside, outside, …
        code = coco_mask.frPyObjects({"size": list(keys.shape), "counts": counts.tolist()}, *keys.shape)
        countable = label != IGNORE_INDEX and classes.names[label] in classes.things
        segments.append({
            "id": number + 1, "category_id": label + 1, "iscrowd": int(countable and not instance),
            "area": int(coco_mask.area(code)), "bbox": coco_mask.toBbox(code).tolist(),
            "segmentation": {"size": list(keys.shape), "counts": code["counts"].decode("ascii")},
        })  # fmt: skip
    return segments, np.repeat(numbers.astype(np.uint32) + 1, ends - starts).reshape(keys.T.shape).T


def _categories(classes: ClassSet) -> list[Json]:
    return [_category(label, name, color, name in classes.things)
            for label, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True))]  # fmt: skip


def _category(label: int, name: str, color: Color, thing: bool) -> Json:
    return {"id": label + 1, "name": name, "isthing": int(thing), "color": list(color)}


def _write(file: Path, annotations: Iterable[Json], others: Mapping[str, list[Json]]) -> None:
    """A JSON file of lists, one element a line. `annotations` come first, since they fill the other lists."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part, part.open("w", encoding="ascii", newline="\n") as out:
        before = "{"
        for key, elements in {"annotations": annotations, **others}.items():
            out.write(f'{before}"{key}": [')
            for number, element in enumerate(elements):
                out.write(f"{',' * (number > 0)}\n{json.dumps(element)}")
            before = "],\n"
        out.write("]}\n")
