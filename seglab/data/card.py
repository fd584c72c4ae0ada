"""The card of a data set, `dataset.yaml`: where images and labels lie, and what the labels mean.

A superset of Ultralytics' `data.yaml` (`names`, `path`, `train`, `val`). Every key is optional where the format of the
data states it already. Patterns are relative to `path`, with placeholders in braces:

    {id}      the part of the path that an image and its mask have in common; it may contain "/"
    {number}  a number in place of {id}; leading zeros are ignored
    {group}   a folder name in front of the id; images of one group belong together
    {split}   the split, a folder name or part of one
    {class}   a class name, where each class has a file of its own
    *         any characters but "/": several files, whose union is taken
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from seglab._utils.errors import unknown
from seglab.data.card_values import PARSERS, VOID, kind, text
from seglab.data.classes import CLASS_SETS, IGNORE_INDEX, ClassSet
from seglab.data.palette import Color, voc_colors

CARD = "dataset.yaml"
# Names of data sets that seglab knows; a test compares them with `DATASETS`.
RESERVED = ("toytown", "camvid", "voc", "coco", "membrane", "pets", "cityscapes", "photographs", "nuclei", "folder")
_VOID_COLORS = ((0, 0, 0), (224, 224, 192), *voc_colors(256))  # the first one that no class has
_GENERIC = ("data", "dataset", "datasets", "export")
_ULTRALYTICS = ("train", "val", "test", "nc", "download", "roboflow")  # further keys of its data.yaml


@dataclass(frozen=True)
class Card:
    """What `dataset.yaml` states. Keys of the file equal the fields, except `path` for `root`.

    Attributes:
        root: folder that all patterns are relative to.
        names: K class names; their position is the class index.
        name: of the data set in tables and stores; by default the name of the folder.
        format: how annotations are stored, a module of `seglab.data.formats`.
        colors: class name or "void" → (red, green, blue); RGB masks are decoded with these.
        images, masks, annotations, void: patterns. `void`: masks that are 0 where an image is not evaluated.
        labels: raw value, or label of an annotation tool → class index, class name, or "void".
        threshold: values ≥ threshold are class 1, the others class 0.
        divide: instance ids: the class is value // divide.
        reduce_zero: 0 is void, and class k is stored as k + 1.
        unannotated: an image without annotation is all "background" (class 0), or left out ("skip").
        overlaps: the class where objects overlap: that of the "last" one, of the "smallest" one, or "void".
        orientation: masks have the pixels as the image file stores them, or "upright", after its EXIF orientation.
        size: masks have the size of their images ("equal"), or another one and are upsampled (nearest-exact).
        range: the image values that become 0 and 255.
        bands: indices of the one or three bands of an image that are read.
        splits: split → pattern or list file of its ids; or fractions, with "seed" and "by": "group" or "image".
        groups: a regular expression with one group, searched in each id, or the path of a CSV with columns id, group.
    """

    root: Path
    names: tuple[str, ...] = ()
    name: str = ""
    format: str = "masks"
    colors: Mapping[str, Color] = field(default_factory=dict)
    images: str = ""
    masks: str = ""
    annotations: str = ""
    void: str = ""
    labels: Mapping[int | str, int | str] = field(default_factory=dict)
    threshold: float | None = None
    divide: int | None = None
    reduce_zero: bool = False
    unannotated: str = "background"
    overlaps: str = "last"
    orientation: str = "stored"
    size: str = "equal"
    range: tuple[float, float] | None = None
    bands: tuple[int, ...] | None = None
    splits: Mapping[str, Any] = field(default_factory=dict)
    groups: str = ""

    @property
    def title(self) -> str:
        """The name of the data set: as stated, or that of its folder ("data" is left out: shapes/data → "shapes")."""
        folder = self.root.resolve()
        while folder.name.lower() in _GENERIC and folder.parent.name:
            folder = folder.parent
        known = folder.name.lower() in (*RESERVED, *CLASS_SETS)
        return self.name or ("own-" if known else "") + (folder.name or "data")

    def classes(self) -> ClassSet:
        """The class set of the data, named after it."""
        background = 0 if self.names and self.names[0].strip("_ ").lower() == "background" else None
        free = iter([c for c in voc_colors(256)[background is None :] if c not in self.colors.values()])
        colors = tuple(self.colors[name] if name in self.colors else next(free) for name in self.names)
        void = self.colors.get(VOID) or next(c for c in _VOID_COLORS if c not in colors)
        return ClassSet(self.title, self.names, colors, background=background, void_color=void)


@dataclass(frozen=True)
class Question:
    """A choice that the data leave open.

    Attributes:
        text: the question.
        options: answer → changes of the card.
    """

    text: str
    options: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Proposal:
    """A card for a folder, and why.

    Attributes:
        evidence: sentences that name the files and values behind the proposal.
        question: what the user has to decide, where the data leave it open.
    """

    card: Card
    evidence: tuple[str, ...] = ()
    question: Question | None = None


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can unfold without end, and without keys that are stated twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"alias *{self.peek_event().anchor} is not read; write the value itself")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [getattr(key, "value", None) for key, _ in node.value]
        if repeated := next((key for key in keys if isinstance(key, str) and keys.count(key) > 1), None):
            raise yaml.YAMLError(f"key {repeated!r} is stated twice, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; a ValueError where it is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError, AttributeError, LookupError, TypeError) as error:
        # The last three come from the constructors of values such as `!!timestamp 99` and `!!bool maybe`.
        found = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read as YAML ({found}); correct it there") from None


KEYS = {"path" if f.name == "root" else f.name: f.name for f in fields(Card)}


def read_card(path: str | Path) -> Card:
    """Read a `dataset.yaml`, or that of a folder.

    A `data.yaml` of Ultralytics is one, too: `train`, `val` and `test` are read as splits, and without other keys the
    format is "yolo", whose names get "background" in front.

    Raises:
        ValueError: no such file, not YAML, an unknown key, a value of another type, an unknown choice.
    """
    path = Path(path) / CARD if Path(path).is_dir() else Path(path)
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; seglab datasets --inspect {path.parent} --write writes it") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds {kind(content)}; expected keys, as names: [background, leaf]")
    for key in content:
        if key not in (*KEYS, *_ULTRALYTICS):
            raise unknown(f"key in {path}", key, KEYS)
    values: dict[str, Any] = {}
    for key, name in KEYS.items():
        if content.get(key) is None:  # an empty key has its default
            continue
        try:
            values[name] = PARSERS[name](content[key]) if name != "root" else path.parent / text(content[key])
        except ValueError as error:
            raise ValueError(f"{path}: {key}: {error}") from None
    root = values.setdefault("root", path.parent)
    if not root.is_dir():
        raise ValueError(f"{path}: path: {root} is no folder; remove path: if the data lie beside {path.name}")
    if content.get("nc") not in (None, len(values.get("names", ()))):
        raise ValueError(f"{path}: nc: is {content['nc']}, and names: has {len(values.get('names', ()))}; correct one")
    top = {split: content[split] for split in ("train", "val", "test") if content.get(split)}
    if top and not values.keys() & {"format", "images", "masks", "annotations"}:
        foreground = tuple(name for name in values.get("names", ()) if name != "background")
        values |= {"format": "yolo", "names": ("background", *foreground),
                   "labels": values.get("labels") or dict(enumerate(values.get("names", ())))}  # fmt: skip
    try:
        values["splits"] = {**PARSERS["splits"](top), **values.get("splits", {})}
        card = Card(**values)
        _check(card)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return card


def card_text(card: Card, folder: Path | None = None) -> str:
    """The card as YAML, without fields that have their default value; `read_card` returns the same card.

    Args:
        folder: where the file will lie; by default beside the data, in `card.root`.
    """
    stated: dict[str, Any] = {}
    if folder is not None and folder.resolve() != card.root.resolve():
        stated["path"] = str(card.root.resolve())
    for entry in fields(Card):
        value = getattr(card, entry.name)
        default = entry.default if entry.default_factory is MISSING else entry.default_factory()
        if entry.name != "root" and value != default:
            stated[entry.name] = _plain(value, entry.name)
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _plain(value: Any, key: str) -> Any:
    """A value as YAML has it: lists instead of tuples, colours as "#rrggbb"."""
    if key == "colors":
        return {name: "#{:02x}{:02x}{:02x}".format(*color) for name, color in value.items()}
    if isinstance(value, Mapping):
        return {name: _plain(item, "") for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _check(card: Card) -> None:
    """What concerns several keys, and names that cannot be used."""
    if card.names:
        for key, names in (("colors", card.colors), ("labels", [v for v in card.labels.values() if type(v) is str])):
            if wrong := next((name for name in names if name not in (*card.names, VOID)), None):
                raise unknown(f"class under {key}:", wrong, (*card.names, VOID))
    for value, index in card.labels.items():
        if isinstance(index, int) and index != IGNORE_INDEX and not 0 <= index < max(len(card.names), 1):
            raise ValueError(
                f"labels: has {value}: {index}; expected a class name, an index 0…{len(card.names) - 1}, or void"
            )
    if card.name.lower() in (*RESERVED, *CLASS_SETS):
        raise ValueError(f"name: {card.name!r} is a data set or class set that seglab knows; choose another")
    if card.groups and not card.groups.endswith(".csv"):
        try:
            count = re.compile(card.groups).groups
        except re.error as error:
            raise ValueError(f"groups: {card.groups!r} is no regular expression ({error})") from None
        if count != 1:
            raise ValueError(f"groups: {card.groups!r} has {count} groups in brackets; expected one, as '^(.+?)_'")
