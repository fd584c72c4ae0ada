"""Class sets: the classes of a model or a data set, with their names and colours.

A label map is an array of class indices, and a `ClassSet` maps index → name → colour. Index 255 is void everywhere
inside seglab: a pixel without a label, which no metric counts.
"""

from collections.abc import Sized
from dataclasses import asdict, dataclass, fields, replace
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
        ValueError: a name occurs twice, the numbers of names and colours differ, K is not 1–254, or a value is not of
            the type above. Class sets also come with files from elsewhere: a colour is never more than three numbers,
            and a name is at most 200 printable characters.
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
        if problem := _problem(self):
            raise ValueError(f"class set {self.name!r:.200}: {problem}")
        # Plain integers: colours are written into JSON and into the style attributes of a page.
        object.__setattr__(self, "colors", tuple(tuple(map(int, color)) for color in self.colors))
        object.__setattr__(self, "void_color", tuple(map(int, self.void_color)))

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


def _problem(classes: ClassSet) -> str | None:
    """What is wrong with the values of a class set."""
    count = len(classes.names) if isinstance(classes.names, Sized) else 0
    texts = all(isinstance(t, tuple | list | frozenset) for t in (classes.names, classes.things))
    texts = texts and all(_is_name(text) for text in (classes.name, *classes.names, *classes.things))
    lists = all(isinstance(t, tuple | list) for t in (classes.colors, classes.hatches))
    if not texts:
        return "its name, names and things must be texts of 1 to 200 printable characters"
    if not 1 <= count <= 254:
        return f"it has {count} classes; 1 to 254 fit a uint8 label map"
    if len(set(classes.names)) != count:
        return "it names a class twice"
    if not lists or not all(map(_is_color, (classes.void_color, *classes.colors))):
        return "each colour must be three whole numbers from 0 to 255, as (128, 64, 128)"
    if len(classes.colors) != count:
        return f"{count} names but {len(classes.colors)} colours"
    if not (classes.background is None or _is_whole(classes.background, count - 1)):
        return f"background is {classes.background!r}; expected a class index, 0 to {count - 1}, or None"
    if len(classes.hatches) not in (0, count) or not all(_is_whole(hatch, 255) for hatch in classes.hatches):
        return "hatches must hold one whole number from 0 to 255 for each class, or nothing"
    if not (_is_whole(classes.ignore_index, 255) and classes.ignore_index >= count):
        return f"ignore_index is {classes.ignore_index!r}; expected {count} to 255"
    return None


def _is_whole(value: object, highest: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(0 <= value <= highest)


def _is_color(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 3 and all(_is_whole(part, 255) for part in value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 200 and value.isprintable()


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


def class_set_from(stored: object) -> ClassSet:
    """The inverse of `class_set_fields`, also after JSON has turned tuples into lists.

    Raises:
        ValueError: other fields, or values that are impossible, see `ClassSet`.
    """
    known = {field.name for field in fields(ClassSet)}
    if not isinstance(stored, dict) or not {"name", "names", "colors", "things"} <= stored.keys() <= known:
        found = ", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
        raise ValueError(f"a class set has the fields {', '.join(sorted(known))}; found {found:.200}")
    values = {key: _tuples(value) for key, value in stored.items()}
    if isinstance(values["things"], tuple) and all(isinstance(thing, str) for thing in values["things"]):
        values["things"] = frozenset(values["things"])
    return ClassSet(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def known_class_set(name: str, names: list[str], background: int | None) -> ClassSet:
    """The class set of this name in `CLASS_SETS` if it has these classes; else a new one in VOC colours."""
    known = CLASS_SETS.get(name)
    if known is not None and list(known.names) == names:
        return known
    return ClassSet(name, tuple(names), voc_colors(len(names)), background=background)
