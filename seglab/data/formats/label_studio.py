"""Label Studio (https://labelstud.io/guide/export), JSON: brush, polygon and ellipse labels of images."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import Card
from seglab.data.formats.objects import Annotated, Size, split_of
from seglab.data.formats.shapes import Mask, ellipse, polygon
from seglab.data.formats.tools import Reader
from seglab.data.images import IMAGE_SUFFIXES


def _parse(card: Card, path: Path, content: Any) -> Iterator[Annotated]:
    """The tasks; of several annotations of one task the ground truth, or else the latest, is read."""
    for task in content:
        valid = [a for a in task.get("annotations", task.get("completions", [])) if not a.get("was_cancelled")]
        valid.sort(key=lambda a: (bool(a.get("ground_truth")), a.get("updated_at") or ""))
        results = valid[-1]["result"] if valid else []
        # Labels may be a result of their own, with the id of the region.
        labels = {r["id"]: r["value"][r["type"]][0] for r in results
                  if r["type"].endswith("labels") and _has(r, r["type"])}  # fmt: skip
        areas = {r["id"]: r for r in results if r.get("id") in labels and _has(r, "rle", "radiusX", "points")}
        if degrees := next((r["image_rotation"] for r in areas.values() if r.get("image_rotation")), 0):
            raise ValueError(
                f"{path}: task {task['id']} was annotated on an image rotated by {degrees}°; rotate the file instead"
            )
        yield Annotated(
            _image_name(task["data"]), path,
            next(((r["original_height"], r["original_width"]) for r in areas.values()), None),
            tuple((labels[key], partial(_area, r["value"])) for key, r in areas.items()),
            tuple(r["type"] for r in results if r.get("id") not in areas),
            split_of(path.relative_to(card.root), name=True), done=bool(valid),
        )  # fmt: skip


def _has(result: dict[str, Any], *keys: str) -> bool:
    return any(result["value"].get(key) for key in keys)


def _image_name(data: dict[str, Any]) -> str:
    """The path in a task's data: an upload, a URL, or a local file, /data/local-files/?d=PATH."""
    for value in filter(lambda value: isinstance(value, str), data.values()):
        url = urlsplit(value)
        name = parse_qs(url.query).get("d", [unquote(url.path)])[0]
        if Path(name).suffix.lower() in IMAGE_SUFFIXES:
            return name
    raise KeyError("image in the data of a task")


def _area(value: dict[str, Any], size: Size) -> Mask:
    """Polygons and ellipses are stated in percent of width and height."""
    if "rle" in value:
        return _brush(value["rle"]).reshape(*size, 4)[..., 3] > 0
    scale = np.array([size[1], size[0]]) / 100
    if "points" in value:
        return polygon(value["points"] * scale, size)
    x, y, horizontal, vertical = [value[key] for key in ("x", "y", "radiusX", "radiusY")] * np.tile(scale, 2)
    return ellipse(x, y, horizontal, vertical, size, value.get("rotation", 0))


def _brush(code: list[int]) -> NDArray[np.uint8]:
    """The bytes of an RGBA image, run-length coded as in github.com/thi-ng/umbrella, packages/rle-pack.

    A head of 52 bits: how many values (32), bits per value − 1 (5), bits of four run lengths − 1 (4 each). Then blocks:
    1 bit (repeated value or a sequence), 2 bits (which run length), the length − 1, one value or all of them.
    """
    bits = "".join(f"{byte:08b}" for byte in code)
    position = 0

    def read(count: int) -> int:
        nonlocal position
        position += count
        return int(bits[position - count : position], 2)

    total, width = read(32), read(5) + 1
    lengths = [read(4) + 1 for _ in range(4)]
    values: list[NDArray[np.uint8]] = []
    done = 0
    while done < total:
        repeated = read(1)
        length = read(lengths[read(2)]) + 1
        block = [read(width)] * length if repeated else [read(width) for _ in range(length)]
        values.append(np.array(block, np.uint8))
        done += length
    return np.concatenate(values)


KEYS = frozenset({"data", "result", "original_width", "original_height"})
READER = Reader("label_studio", KEYS, _parse)
recognise, entries = READER.recognise, READER.entries
