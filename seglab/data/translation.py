"""Translation between class sets: which class of one corresponds to which class of another."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX, ClassSet

# What the same thing is called elsewhere, where the names differ. None: no counterpart although the names
# agree or `"*"` would give one. `"*"`: what every other class becomes. Street groups follow SegNet's own
# reduction of CamVid's 32 classes to 11.
_COUNTERPARTS: dict[tuple[str, str], dict[str, str | None]] = {
    ("voc", "street"): {"person": "pedestrian", "bicycle": "bicyclist", "motorbike": "bicyclist", "bus": "car"},
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
    """How the classes of one set read in another. Many to one; visible as a table.

    Attributes:
        indices: for each class of `source` its index in `target`, None where it has no counterpart.
    """

    source: ClassSet
    target: ClassSet
    indices: tuple[int | None, ...]

    @property
    def without_counterpart(self) -> tuple[str, ...]:
        """Source classes that map to nothing: predicted, they become *other* and count as an error."""
        return tuple(n for n, i in zip(self.source.names, self.indices, strict=True) if i is None)

    @property
    def never_named(self) -> tuple[str, ...]:
        """Target classes that nothing maps to: the source has no word for them."""
        return tuple(n for i, n in enumerate(self.target.names) if i not in self.indices)

    def table(self) -> pd.DataFrame:
        """One row a source class with its counterpart, "–" where it has none."""
        into = ["–" if i is None else self.target.names[i] for i in self.indices]
        return pd.DataFrame({self.source.name: self.source.names, self.target.name: into})


def translate(source: ClassSet, target: ClassSet, pairs: Mapping[str, str | None] | None = None) -> Translation:
    """Translate one class set into another, by name.

    Args:
        pairs: counterparts of your own, source name → target name (None: no counterpart); by default
            the ones known for these two sets. Equal names correspond without being listed.

    Raises:
        ValueError: a name in `pairs` belongs to neither set.
    """
    given = _COUNTERPARTS.get((source.name, target.name), {}) if pairs is None else pairs
    for name in given:
        if name != "*":
            source.index(name)

    def counterpart(name: str) -> int | None:
        word = given[name] if name in given else name if name in target.names else given.get("*")
        return None if word is None else target.index(word)

    return Translation(source, target, tuple(counterpart(name) for name in source.names))


def translation_table(own: ClassSet, classes: ClassSet) -> Tensor:
    """Own class → its counterpart in other classes, 255 where there is none: uint8 (256,), to be indexed by a mask."""
    table = torch.full((256,), IGNORE_INDEX, dtype=torch.uint8)
    for label, target in enumerate(translate(own, classes).indices):
        if target is not None:
            table[label] = target
    return table


def in_classes(mask: Tensor, own: ClassSet, classes: ClassSet) -> Tensor:
    """A mask uint8 (H,W) in other classes than its own; 255 where there is no counterpart."""
    if own.names == classes.names:
        return mask
    return translation_table(own, classes)[mask.long()]
