"""Translation between class sets: the class of one set that corresponds to each class of another."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

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
        pairs: counterparts where names differ, source name → target name (None: no counterpart); by default those
            that seglab lists for these two sets.

    Raises:
        ValueError: a name in `pairs` is not in its set.
    """
    given = _COUNTERPARTS.get((source.name, target.name), {}) if pairs is None else pairs
    for name in given:
        if name != "*":
            source.index(name)

    def counterpart(name: str) -> int | None:
        found = given.get(name, name if name in target.names else given.get("*"))
        return None if found is None else target.index(found)

    return Translation(source, target, tuple(counterpart(name) for name in source.names))


def translation_table(own: ClassSet, classes: ClassSet) -> Tensor:
    """uint8 (256,), to be indexed by a mask: own class → its counterpart in `classes`, 255 where there is none."""
    indices = [IGNORE_INDEX if index is None else index for index in translate(own, classes).indices]
    return torch.tensor(indices + [IGNORE_INDEX] * (256 - len(indices)), dtype=torch.uint8)


def in_classes(mask: Tensor, own: ClassSet, classes: ClassSet) -> Tensor:
    """A mask uint8 (H,W) translated from its own classes to `classes`; 255 where there is no counterpart."""
    return mask if own.names == classes.names else translation_table(own, classes)[mask.long()]
