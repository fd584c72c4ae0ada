"""Tables of classes that annotation tools write beside masks: names, colours, and the values that stand for them."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seglab.data.card import VOID
from seglab.data.card_values import check_name
from seglab.data.formats.entries import listing
from seglab.data.palette import Color

VOID_NAMES = frozenset({"void", "ignore", "ignored", "__ignore__", "unlabelled", "unlabeled", "don't care", "dontcare"})


@dataclass(frozen=True)
class ClassTable:
    """Classes as a file lists them.

    Attributes:
        path: the file.
        names: class names in the order of the file.
        colors: name → colour; empty where the file has none.
        values: name → value in the masks; empty where the position is the value.
    """

    path: Path
    names: tuple[str, ...]
    colors: Mapping[str, Color] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)

    @property
    def void(self) -> str:
        """The class whose name states that its pixels are not evaluated, or ""."""
        return next((name for name in self.names if name.strip("_ ").lower() in VOID_NAMES or name in VOID_NAMES), "")

    def labels(self, void: str = "") -> tuple[tuple[str, ...], dict[int, int | str]]:
        """The classes other than `void`, and value → class index or "void"; {} where each value is its index."""
        values = self.values or {name: index for index, name in enumerate(self.names)}
        names = tuple(name for name in self.names if name != void)
        labels: dict[int, int | str] = {value: names.index(n) if n in names else VOID for n, value in values.items()}
        return names, {} if all(value == index for value, index in labels.items()) else labels


def find(folder: Path) -> ClassTable | None:
    """The class table of a folder: a known file in it, or in a folder one or two levels below.

    Raises:
        ValueError: the file is there but has another content; or two tables differ.
    """
    readers = {
        "labelmap.txt": _labelmap, "class_dict.csv": _csv, "_classes.csv": _csv, "classes.csv": _csv,
        "label_colors.csv": _csv, "class_names.txt": _names, "classes.txt": _names, "labels.txt": _names,
        "label_colors.txt": _label_colors, "id2label.json": _json, "dataset.json": _json, "classes.json": _json,
    }  # fmt: skip
    files = sorted((path for path in listing(folder) if path.count("/") < 3), key=lambda path: path.count("/"))
    for name, reader in readers.items():
        paths = [folder / path for path in files if path.rpartition("/")[2] == name]
        tables = [reader(path) for path in paths]
        found = [table for table in tables if table is not None]
        contents = {(t.names, tuple(t.colors.items()), tuple(t.values.items())) for t in found}
        if len(contents) > 1:
            raise ValueError(f"{found[0].path} and {found[1].path} list different classes; keep one of them")
        if found:
            return _checked(found[0])
    return None


def _checked(table: ClassTable) -> ClassTable:
    for name in table.names:
        check_name(name, str(table.path))
    if repeated := sorted({name for name in table.names if table.names.count(name) > 1}):
        raise ValueError(f"{table.path}: class {repeated[0]!r} is listed twice; give each class one row")
    users: dict[Color, str] = {}
    for name, color in table.colors.items():
        if color in users:
            raise ValueError(
                f"{table.path}: {users[color]!r} and {name!r} have one colour, {color}; change one of them"
            )
        users[color] = name
    return table


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _colored(path: Path, rows: Sequence[tuple[str, Sequence[str]]]) -> ClassTable | None:
    """A table of names, each with the three parts of its colour; None without rows."""
    colors = {name: _color(parts, path, name) for name, parts in rows}
    return ClassTable(path, tuple(name for name, _ in rows), colors) if rows else None


def _labelmap(path: Path) -> ClassTable | None:
    """CVAT: `name:red,green,blue:parts:actions`."""
    rows = [line.split(":") for line in _lines(path) if not line.startswith("#")]
    return _colored(path, [(row[0], row[1].split(",")) for row in rows]) if all(len(row) > 1 for row in rows) else None


def _csv(path: Path) -> ClassTable | None:
    """Columns name, r, g, b (also red, green, blue); or Roboflow's `Pixel Value, Class`."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(_lines(path))]
    head = [cell.lower() for cell in rows[0]] if rows else []
    name = next((head.index(key) for key in ("name", "class", "class_name", "label") if key in head), None)
    channels = [[key for key in keys if key in head] for keys in (("r", "red"), ("g", "green"), ("b", "blue"))]
    if name is None:
        return None
    if all(channels):
        columns = [head.index(keys[0]) for keys in channels]
        return _colored(path, [(row[name], [row[k] for k in columns if k < len(row)]) for row in rows[1:]])
    value = next((head.index(key) for key in ("pixel value", "value", "id", "index") if key in head), None)
    if value is None:
        return None
    return ClassTable(path, tuple(r[name] for r in rows[1:]), values={r[name]: _int(r[value], path) for r in rows[1:]})


def _label_colors(path: Path) -> ClassTable | None:
    """CamVid: `64 128 64<tab>Animal`."""
    rows = [line.split(maxsplit=3) for line in _lines(path)]
    if any(len(row) < 4 or not all(part.isdigit() for part in row[:3]) for row in rows):
        return None
    return _colored(path, [(row[3], row[:3]) for row in rows])


def _names(path: Path) -> ClassTable | None:
    """One name a line; `__ignore__`, which labelme writes first, is no class."""
    names = tuple(line for line in _lines(path) if line != "__ignore__")
    return ClassTable(path, names) if names else None


def _json(path: Path) -> ClassTable | None:
    """nnU-Net's `dataset.json`, Hugging Face's `id2label.json`, or a list of names."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}); write it again") from error
    if path.name == "dataset.json":
        content = content.get("labels") if isinstance(content, dict) else None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return ClassTable(path, tuple(content))
    if not isinstance(content, dict) or not content:
        return None
    if any(isinstance(value, list) for value in content.values()):
        raise ValueError(f"{path}: labels lists regions, which overlap; masks need one value a class")
    if all(str(key).lstrip("-").isdigit() for key in content):  # value → name, as nnU-Net had it at first
        content = {name: int(value) for value, name in content.items()}
    if not all(isinstance(value, int) for value in content.values()):
        return None
    ordered = dict(sorted(content.items(), key=lambda item: item[1]))
    return ClassTable(path, tuple(ordered), values=ordered)


def _int(text: str, path: Path) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{path}: {text!r} is no whole number; write the value of the class in the masks") from None


def _color(parts: Sequence[str], path: Path, name: str) -> Color:
    try:
        red, green, blue = (int(part) for part in parts)
    except ValueError:
        red = green = blue = -1
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise ValueError(
            f"{path}: {','.join(parts)!r} of class {name!r} is no colour; write three numbers from 0 to 255"
        )
    return red, green, blue
