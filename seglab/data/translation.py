"""Translation between class sets: the class of one set that corresponds to each class of another."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from seglab.data.card import read_yaml
from seglab.data.classes import IGNORE_INDEX, ClassSet

# (source, target) → the counterpart of each source class; classes of equal names correspond without an entry.
# "*": the counterpart of all other classes. None: no counterpart, in spite of an equal name or "*". Groups of street
# classes follow SegNet's reduction of CamVid's 32 classes to 11.
_COUNTERPARTS: dict[tuple[str, str], dict[str, str | None]] = {
    ("voc", "street"): {"person": "pedestrian", "bicycle": "bicyclist", "motorbike": "bicyclist", "bus": "car"},
    ("photographs", "street"): {"person": "pedestrian"},
    ("street", "photographs"): {"pedestrian": "person", "bicyclist": None, "*": "background"},
    ("cityscapes", "photographs"): {"rider": "person", "*": "background"},
    ("ade20k", "photographs"): {"animal": None, "*": "background"},
    ("voc", "cityscapes"): {"motorbike": "motorcycle"},
    ("voc", "ade20k"): {
        "aeroplane": "airplane", "diningtable": "table", "motorbike": "minibike", "pottedplant": "plant",
        "tvmonitor": "television receiver",
    },
    ("street", "voc"): {"pedestrian": "person", "bicyclist": None, "*": "background"},
    ("street", "cityscapes"): {
        "pavement": "sidewalk", "tree": "vegetation", "sign": "traffic sign", "pedestrian": "person",
        "bicyclist": "rider",
    },
    ("street", "ade20k"): {"pavement": "sidewalk", "sign": "signboard", "pedestrian": "person", "bicyclist": "bicycle"},
    ("cityscapes", "street"): {
        "sidewalk": "pavement", "wall": "building", "traffic light": "sign", "traffic sign": "sign",
        "vegetation": "tree", "terrain": "tree", "person": "pedestrian", "rider": "bicyclist", "truck": "car",
        "bus": "car", "motorcycle": "bicyclist", "bicycle": "bicyclist",
    },
    ("cityscapes", "voc"): {"rider": "person", "motorcycle": "motorbike", "truck": None, "*": "background"},
    ("cityscapes", "ade20k"): {
        "traffic sign": "signboard", "vegetation": "tree", "terrain": "grass", "rider": "person",
        "motorcycle": "minibike",
    },
    ("ade20k", "street"): {
        "wall": "building", "grass": "tree", "sidewalk": "pavement", "path": "pavement", "person": "pedestrian",
        "plant": "tree", "palm": "tree", "house": "building", "skyscraper": "building", "hovel": "building",
        "tower": "building", "railing": "fence", "column": "pole", "streetlight": "pole", "signboard": "sign",
        "traffic light": "sign", "trade name": "sign", "bus": "car", "truck": "car", "van": "car",
        "minibike": "bicyclist", "bicycle": "bicyclist",
    },
    ("ade20k", "cityscapes"): {
        "tree": "vegetation", "plant": "vegetation", "palm": "vegetation", "grass": "terrain", "field": "terrain",
        "earth": "terrain", "path": "sidewalk", "house": "building", "skyscraper": "building", "hovel": "building",
        "tower": "building", "railing": "fence", "streetlight": "pole", "signboard": "traffic sign",
        "van": "car", "minibike": "motorcycle",
    },
    ("ade20k", "voc"): {
        "airplane": "aeroplane", "ship": "boat", "van": "car", "armchair": "chair", "swivel chair": "chair",
        "table": "diningtable", "minibike": "motorbike", "plant": "pottedplant", "television receiver": "tvmonitor",
        "crt screen": "tvmonitor", "monitor": "tvmonitor", "animal": None, "truck": None, "*": "background",
    },
}  # fmt: skip


# Names of one thing in different vocabularies. They correspond where `_COUNTERPARTS` lists nothing for two class sets.
SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("pavement", "sidewalk", "footpath", "footway", "side walk"),
    ("road", "street", "roadway", "route"),
    ("pedestrian", "person", "people", "human"),
    ("bicyclist", "cyclist", "rider"),
    ("bicycle", "bike", "cycle"),
    ("motorcycle", "motorbike", "minibike"),
    ("car", "auto", "automobile", "motorcar"),
    ("truck", "lorry", "motortruck"),
    ("bus", "autobus", "coach"),
    ("airplane", "aeroplane", "plane", "aircraft"),
    ("boat", "ship", "vessel"),
    ("sign", "traffic sign", "road sign", "signboard", "sign symbol"),
    ("traffic light", "traffic signal", "stoplight"),
    ("tree", "trees", "vegetation"),
    ("pole", "column pole", "post"),
    ("building", "edifice", "house"),
    ("grass", "lawn", "terrain"),
    ("sofa", "couch", "lounge"),
    ("table", "dining table", "diningtable"),
    ("potted plant", "pottedplant", "plant", "flora"),
    ("tv", "tvmonitor", "tv monitor", "television", "television receiver", "tv set"),
    ("background", "other", "none", "unlabeled", "unlabelled"),
)


@dataclass(frozen=True)
class Translation:
    """The counterpart of each class of `source` in `target`; several classes may have the same one.

    Attributes:
        indices: for each class of `source` the index of its counterpart, None where it has none.
    """

    source: ClassSet
    target: ClassSet
    indices: tuple[int | None, ...]

    @property
    def without_counterpart(self) -> tuple[str, ...]:
        """Source classes without a counterpart: where they are predicted, they become *other* and count as an error."""
        return tuple(n for n, i in zip(self.source.names, self.indices, strict=True) if i is None)

    @property
    def never_named(self) -> tuple[str, ...]:
        """Target classes that are not the counterpart of any source class."""
        return tuple(n for i, n in enumerate(self.target.names) if i not in self.indices)

    def table(self) -> pd.DataFrame:
        """One row per source class with its counterpart, "–" where it has none."""
        counterparts = ["–" if i is None else self.target.names[i] for i in self.indices]
        return pd.DataFrame({self.source.name: self.source.names, self.target.name: counterparts})


def translate(source: ClassSet, target: ClassSet, pairs: Mapping[str, str | None] | None = None) -> Translation:
    """Translate one class set into another, by name; classes of equal names correspond.

    Args:
        pairs: counterparts where names differ, source name → target name (None: no counterpart), "*" for all others,
            in addition to those that seglab lists for these two sets. Where it lists none, classes with names for the
            same thing (`SYNONYMS`) correspond, too.

    Raises:
        ValueError: a name in `pairs` is not in its set.
    """
    listed = _COUNTERPARTS.get((source.name, target.name))
    given = (listed or {}) | dict(pairs or {})
    synonyms = {} if listed else _synonyms(target)
    for name in given:
        if name != "*":
            source.index(name)

    def counterpart(name: str) -> int | None:
        others = (synonyms[each] for each in _parts(name) if each in synonyms)
        found = given.get(name, name if name in target.names else next(others, given.get("*")))
        return None if found is None else target.index(found)

    return Translation(source, target, tuple(counterpart(name) for name in source.names))


def _parts(name: str) -> list[str]:
    """The synonyms in a name, as "road, route" of ADE20K: in small letters, without underscores and hyphens."""
    plain = name.lower().replace("_", " ").replace("-", " ")
    return [" ".join(part.split()) for part in plain.split(",")]


def _synonyms(target: ClassSet) -> dict[str, str]:
    """Plain name → the target class of that name, or else the first one with a name for the same thing."""
    exact = {plain: name for name in reversed(target.names) for plain in reversed(_parts(name))}
    groups = {plain: group for group in SYNONYMS for plain in group}
    found = {each: exact[plain] for plain in reversed(exact) for each in reversed(groups.get(plain, ()))}
    return found | exact


def read_mapping(path: Path) -> dict[str, str | None]:
    """Counterparts from a file of one's own, source name → target name.

    It is YAML, as `sidewalk: pavement`, or CSV with two columns.

    An empty value means that a class has no counterpart; "*" stands for all classes that the file leaves out.

    Raises:
        ValueError: the file is missing or holds something else.
    """
    if not path.is_file():
        raise ValueError(f"there is no mapping {str(path)!r}; expected YAML or CSV with a pair of names a line")
    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
        if wrong := [row for row in rows if len(row) != 2]:
            raise ValueError(f"{path}: the line {','.join(wrong[0])!r} has {len(wrong[0])} columns; expected two names")
        pairs: object = dict(rows)
    else:
        pairs = read_yaml(path)
    return checked_mapping(pairs, str(path))


def checked_mapping(pairs: object, source: str) -> dict[str, str | None]:
    """Counterparts as plain values; a ValueError names `source` if these are none."""
    texts = isinstance(pairs, Mapping) and all(
        isinstance(key, str) and isinstance(value, str | None) for key, value in pairs.items()
    )
    if not isinstance(pairs, Mapping) or not pairs or not texts:
        raise ValueError(f"{source}: expected pairs of class names, as `sidewalk: pavement`; names like no in quotes")
    return {name: value or None for name, value in pairs.items()}


def relevant(pairs: Mapping[str, str | None] | None, source: ClassSet) -> dict[str, str | None] | None:
    """The pairs about classes of `source` and about all others ("*"); None where nothing is said about them."""
    found = {name: value for name, value in (pairs or {}).items() if name == "*" or name in source.names}
    return found or None


def translation_table(own: ClassSet, classes: ClassSet, pairs: Mapping[str, str | None] | None = None) -> Tensor:
    """uint8 (256,), to be indexed by a mask: own class → its counterpart in `classes`, 255 where there is none."""
    indices = [IGNORE_INDEX if index is None else index for index in translate(own, classes, pairs).indices]
    return torch.tensor(indices + [IGNORE_INDEX] * (256 - len(indices)), dtype=torch.uint8)


def in_classes(mask: Tensor, own: ClassSet, classes: ClassSet, pairs: Mapping[str, str | None] | None = None) -> Tensor:
    """A mask uint8 (H,W) translated from its own classes to `classes`; 255 where there is no counterpart."""
    return mask if own.names == classes.names else translation_table(own, classes, relevant(pairs, own))[mask.long()]
