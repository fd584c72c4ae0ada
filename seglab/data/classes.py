"""Class sets: the classes of a model or a data set, with their names and colours.

A label map is an array of class indices, and a `ClassSet` maps index → name → colour. Index 255 is void everywhere
inside seglab: a pixel without a label, which no metric counts.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab._utils.errors import unknown
from seglab.data.palette import SAFE_11, SAFE_21, Color, voc_colors

IGNORE_INDEX = 255
# Ids of Cityscapes → train ids (Cordts et al. 2016; cityscapesScripts); the other ids are not evaluated.
CITYSCAPES_IDS = dict.fromkeys(range(34), IGNORE_INDEX) | {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14,
    28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


@dataclass(frozen=True)
class ClassSet:
    """The classes of a label map, in the order of their indices.

    Attributes:
        name: key in `CLASS_SETS`, or a name of your own.
        names: K unique class names; the position of a name is its index.
        colors: K colours, RGB 0–255, the same in every figure.
        background: index of the class "none of the others", where the set has one.
        things: names of the countable classes; the others are stuff (Kirillov et al. 2019).
        void_color: colour of index 255.
        hatches: K stripe patterns (see `palette.hatch`); empty where colours suffice.

    Raises:
        ValueError: a name occurs twice, the numbers of names and colours differ, or K is not 1–254.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]
    background: int | None = None
    things: frozenset[str] = frozenset()
    void_color: Color = (0, 0, 0)
    hatches: tuple[int, ...] = ()
    ignore_index: int = IGNORE_INDEX

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"class set {self.name!r} names a class twice")
        if not 1 <= len(self.names) <= 254:
            raise ValueError(f"class set {self.name!r} has {len(self.names)} classes; 1 to 254 fit a uint8 label map")
        if len(self.colors) != len(self.names):
            raise ValueError(f"class set {self.name!r}: {len(self.names)} names but {len(self.colors)} colours")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of a class name; the ValueError about an unknown name lists the known ones."""
        if name not in self.names:
            raise unknown(f"{self.name} class", name, self.names)
        return self.names.index(name)

    @cached_property
    def palette(self) -> NDArray[np.uint8]:
        """uint8 (256, 3): label → RGB; 255 and labels that are no class have the void colour."""
        table = np.tile(np.array(self.void_color, np.uint8), (256, 1))
        table[: len(self)] = self.colors
        return table

    def safe(self) -> "ClassSet":
        """The same classes in colours that are distinct under the three common colour-vision deficiencies.

        Sets of more than 21 classes add stripes: two classes with one stripe pattern have different colours.
        """
        base = SAFE_11 if len(self) <= len(SAFE_11) else SAFE_21
        colors = tuple(base[i % len(base)] for i in range(len(self)))
        hatches = tuple(i // len(base) for i in range(len(self)))
        return replace(self, colors=colors, hatches=hatches)

    def table(self) -> pd.DataFrame:
        """One row per class: index, name, colour as #rrggbb, kind (background, thing or stuff)."""
        kinds = ["background" if i == self.background else "thing" if n in self.things else "stuff"
                 for i, n in enumerate(self.names)]  # fmt: skip
        colors = ["#{:02x}{:02x}{:02x}".format(*c) for c in self.colors]
        return pd.DataFrame({"name": self.names, "color": colors, "kind": kinds}).rename_axis("index")


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


_VOC_NAMES = _split(
    "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse,"
    " motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"
)
_PHOTOGRAPHS = _split("background, person, cat, dog, horse, cow, sheep")  # of VOC, in an order of their own
# Cordts et al. 2016: the 19 classes of the benchmark in the order of their train ids.
_CITYSCAPES: dict[str, Color] = {
    "road": (128, 64, 128), "sidewalk": (244, 35, 232), "building": (70, 70, 70), "wall": (102, 102, 156),
    "fence": (190, 153, 153), "pole": (153, 153, 153), "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0), "vegetation": (107, 142, 35), "terrain": (152, 251, 152),
    "sky": (70, 130, 180), "person": (220, 20, 60), "rider": (255, 0, 0), "car": (0, 0, 142),
    "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100), "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}  # fmt: skip
# CamVid (Brostow et al. 2009) in the eleven classes of SegNet (Badrinarayanan et al. 2017) and in their order; each has
# the colour of its Cityscapes counterpart.
_STREET: dict[str, Color] = {
    "sky": _CITYSCAPES["sky"], "building": _CITYSCAPES["building"], "pole": _CITYSCAPES["pole"],
    "road": _CITYSCAPES["road"], "pavement": _CITYSCAPES["sidewalk"], "tree": _CITYSCAPES["vegetation"],
    "sign": _CITYSCAPES["traffic sign"], "fence": _CITYSCAPES["fence"], "car": _CITYSCAPES["car"],
    "pedestrian": _CITYSCAPES["person"], "bicyclist": _CITYSCAPES["bicycle"],
}  # fmt: skip
# Zhou et al. 2017, SceneParse150: the first synonym of each class.
_ADE20K_NAMES = _split(
    "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth,"
    " door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug,"
    " field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column,"
    " signboard, chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path,"
    " stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, bookcase, blind,"
    " coffee table, toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, computer,"
    " swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning,"
    " streetlight, booth, television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator,"
    " ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything,"
    " swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank,"
    " trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce,"
    " vase, traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator,"
    " glass, clock, flag"
)

CLASS_SETS: dict[str, ClassSet] = {
    "voc": ClassSet("voc", _VOC_NAMES, voc_colors(21), background=0, things=frozenset(_VOC_NAMES[1:]),
                    void_color=(224, 224, 192)),
    "street": ClassSet("street", tuple(_STREET), tuple(_STREET.values()),
                       things=frozenset({"car", "pedestrian", "bicyclist"})),
    "cityscapes": ClassSet(
        "cityscapes", tuple(_CITYSCAPES), tuple(_CITYSCAPES.values()),
        things=frozenset({"person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"}),
    ),
    "ade20k": ClassSet("ade20k", _ADE20K_NAMES, voc_colors(151)[1:]),  # void is 0 and black in the original
    "membrane": ClassSet("membrane", ("membrane", "cell"), ((60, 20, 80), (250, 220, 140))),
    "pets": ClassSet("pets", ("background", "pet"), ((68, 84, 106), (244, 162, 97)), background=0,
                     things=frozenset({"pet"})),
    "photographs": ClassSet(
        "photographs", _PHOTOGRAPHS, tuple(voc_colors(21)[_VOC_NAMES.index(name)] for name in _PHOTOGRAPHS),
        background=0, things=frozenset(_PHOTOGRAPHS[1:]), void_color=(224, 224, 192),
    ),
    "nuclei": ClassSet("nuclei", ("background", "nucleus", "boundary"), ((24, 28, 48), (86, 180, 233), (240, 228, 66)),
                       background=0, things=frozenset({"nucleus"})),
}  # fmt: skip


def class_set(classes: str | ClassSet) -> ClassSet:
    """The class set of this key in `CLASS_SETS`; a `ClassSet` is returned unchanged."""
    if isinstance(classes, ClassSet):
        return classes
    if classes not in CLASS_SETS:
        raise unknown("class set", classes, CLASS_SETS)
    return CLASS_SETS[classes]


def class_set_fields(classes: ClassSet) -> dict[str, Any]:
    """The fields of a class set, for JSON."""
    return asdict(classes) | {"things": sorted(classes.things)}


def class_set_from(fields: dict[str, Any]) -> ClassSet:
    """The inverse of `class_set_fields`, also after JSON has turned tuples into lists."""
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    colors = tuple(tuple(color) for color in fields["colors"])
    return ClassSet(**fields | lists | {"colors": colors, "things": frozenset(fields["things"])})


def known_class_set(name: str, names: list[str], background: int | None) -> ClassSet:
    """The class set of this name in `CLASS_SETS` if it has these classes; else a new one in VOC colours."""
    known = CLASS_SETS.get(name)
    if known is not None and list(known.names) == names:
        return known
    return ClassSet(name, tuple(names), voc_colors(len(names)), background=background)
