"""The value of each key of a card: checked, and converted from the types of YAML.

Each parser raises a ValueError that begins with what was found; `read_card` puts the file and the key in front.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from seglab._utils.errors import unknown
from seglab.data.palette import Color, hex_colors

VOID = "void"  # name of the ignored label in `labels` and `colors`
# The modules of `seglab.data.formats` that read annotations; the most specific signatures come first.
FORMATS = (
    "panoptic", "coco", "label_studio", "via", "supervisely", "labelme", "cvat", "yolo", "parquet", "volumes", "masks",
)  # fmt: skip
CHOICES = {
    "format": FORMATS, "unannotated": ("background", "skip"), "overlaps": ("last", "smallest", "void"),
    "orientation": ("stored", "upright"), "size": ("equal", "upsample"),
}  # fmt: skip


def kind(value: Any) -> str:
    """A value as messages quote it."""
    return f"{value!r} ({type(value).__name__})" if isinstance(value, str | int | float) else type(value).__name__


def _of(value: Any, fits: bool, expected: str) -> Any:
    """The value where it fits; otherwise a ValueError about what was found and expected."""
    if not fits:
        raise ValueError(f"has {kind(value)}; expected {expected}")
    return value


def text(value: Any) -> str:
    """A text; a ValueError for a value of another type."""
    return str(_of(value, isinstance(value, str), "a text, in quotes where YAML takes it for something else"))


def check_name(name: str, where: str = "names:") -> None:
    """Raise a ValueError for a class name with control characters, which would change what a terminal shows."""
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name):
        raise ValueError(f"{where} has the class name {name!r} with control characters; rename the class")


def _number(value: Any) -> float:
    number: float = _of(value, type(value) in (int, float) and math.isfinite(value), "a number")
    return number


def _whole(value: Any, least: int = 0) -> int:
    return int(_of(value, type(value) is int and value >= least, f"a whole number from {least} on"))


def _choice(key: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if text(value) not in CHOICES[key]:
            raise unknown("choice", value, CHOICES[key])
        return str(value)

    return parse


def _mapping(value: Any) -> dict[Any, Any]:
    return dict(_of(value, isinstance(value, dict), "keys with values, as {a: b}"))


def _list(value: Any) -> list[Any]:
    return list(_of(value, isinstance(value, list), "a list, as [a, b]"))


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):  # Ultralytics: {0: a, 1: b}
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            raise ValueError(f"has the indices {', '.join(map(str, value))}; expected 0 to {len(value) - 1}")
        value = [value[index] for index in range(len(value))]
    names = tuple(text(name) for name in _list(value))
    for name in names:
        check_name(name, "names")
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"has {repeated!r} twice; give each class its own name")
    if "" in names or VOID in names or len(names) > 254:
        raise ValueError("has an empty name" if "" in names else "has more than 254 classes" if VOID not in names else
                         "has 'void', which stands for ignored pixels; leave it out, and state the value of void under"
                         " labels: or its colour under colors:")  # fmt: skip
    return names


def _colors(value: Any) -> dict[str, Color]:
    return {text(name): _color(color) for name, color in _mapping(value).items()}


def _color(value: Any) -> Color:
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return hex_colors(value[1:])[0]
    if isinstance(value, list) and len(value) == 3 and all(type(v) is int and 0 <= v <= 255 for v in value):
        return value[0], value[1], value[2]
    raise ValueError(f"has {value!r}; expected a colour, as '#ff8000' (in quotes) or [255, 128, 0]")


def _labels(value: Any) -> dict[int | str, int | str]:
    for part in (item for pair in _mapping(value).items() for item in pair):
        _of(part, type(part) in (int, str), "value: class, as {0: background, 255: void}")
    return dict(value)


def _range(value: Any) -> tuple[float, float]:
    low, high = [_number(item) for item in _list(value)] if len(_list(value)) == 2 else (0, 0)
    if low >= high:
        raise ValueError(f"has {value}; expected two numbers that become 0 and 255, as [0, 4095]")
    return low, high


def _bands(value: Any) -> tuple[int, ...]:
    bands = tuple(_whole(item) for item in _list(value))
    if len(bands) not in (1, 3):
        raise ValueError(f"has {len(bands)} indices; expected one or three, counted from 0, as [2, 1, 0]")
    return bands


def _splits(value: Any) -> dict[str, Any]:
    splits: dict[str, Any] = {}
    for name, item in _mapping(value).items():
        if text(name) == "seed":
            splits[name] = _whole(item)
        elif isinstance(item, int | float) and not 0 < _number(item) <= 1:
            raise ValueError(f"has {name}: {item}; a fraction is above 0 and at most 1")
        else:
            texts = item if isinstance(item, list) else [item]
            splits[name] = item if isinstance(item, int | float) else [text(part) for part in texts]
            splits[name] = splits[name][0] if isinstance(item, str) else splits[name]
    fractions = [item for name, item in splits.items() if isinstance(item, float | int) and name != "seed"]
    if sum(fractions) > 1 + 1e-9:
        raise ValueError(f"has fractions that sum to {sum(fractions):g}; expected at most 1")
    if splits.get("by", "group") not in ("group", "image"):
        raise ValueError(f"has by: {splits['by']}; expected group or image")
    return splits


PARSERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("name", "images", "masks", "annotations", "void", "groups"), text),
    **{key: _choice(key) for key in CHOICES},
    "names": _names, "colors": _colors, "labels": _labels, "threshold": _number, "divide": lambda v: _whole(v, 1),
    "reduce_zero": lambda v: _of(v, isinstance(v, bool), "true or false"),
    "range": _range, "bands": _bands, "splits": _splits,
}  # fmt: skip
