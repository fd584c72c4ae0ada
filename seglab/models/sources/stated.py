"""What a model from elsewhere states, and what a user has to state where it does not: classes, size, normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.palette import voc_colors
from seglab.models.adapters import SegModel

ORIGINAL = "original"  # the size of the image itself
Size = int | tuple[int, int] | str
_FLAGS = {
    "classes": ("--classes voc (or --classes 'sky,road,tree')", "classes='voc'"),
    "size": ("--input-size 512 (or --input-size original)", "size=512"),
    "mean": ("--mean 0.485 0.456 0.406", "mean=(0.485, 0.456, 0.406)"),
    "std": ("--std 0.229 0.224 0.225", "std=(0.229, 0.224, 0.225)"),
}  # field → how it is given, as an option of a command and as an argument of `load_model`


@dataclass(frozen=True)
class Stated:
    """What is known about a model; None where it is not.

    Attributes:
        classes: its K classes.
        size: short side in pixels to which images are resized, (h, w) for every image, or "original".
        mean, std: of each channel (RGB, 0–1).
        exact: (h, w) to use where the network turns out to take one size only.
    """

    classes: ClassSet | None = None
    size: Size | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    exact: tuple[int, int] | None = None

    def over(self, found: "Stated") -> "Stated":
        """Both together; what is given here counts more than what was found."""
        given = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        return replace(found, **given)

    def complete(self, source: str) -> "Stated":
        """The same; a ValueError lists everything that neither the source nor the user has stated."""
        if missing := [name for name in _FLAGS if getattr(self, name) is None]:
            options = " ".join(_FLAGS[name][0] for name in missing)
            arguments = ", ".join(_FLAGS[name][1] for name in missing)
            raise ValueError(
                f"{source} does not state its {', '.join(missing)}; state what it was trained with, for example"
                f" {options}, or load_model({source!r}, {arguments})"
            )
        return self

    @property
    def short(self) -> int | tuple[int, int] | None:
        """The value of `SegModel.short`."""
        return None if isinstance(self.size, str) else self.size


def stated(
    classes: str | ClassSet | None = None, size: Size | None = None, mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Stated:  # fmt: skip
    """What a user states; see `Stated`.

    Args:
        classes: a class set, its key in `CLASS_SETS`, or the names of the classes, separated by commas.
        size: also as a text, "512" or "384x512".

    Raises:
        ValueError: unknown classes, or a value that is not possible.
    """
    colors = {"mean": mean, "std": std}
    for name, values in colors.items():
        if values is not None and (len(values) != 3 or (name == "std" and min(values) <= 0)):
            raise ValueError(f"{name}={tuple(values)}; expected a number for each of the channels R, G, B (0 to 1)")
    shift, scale = (None if values is None else tuple(map(float, values)) for values in colors.values())
    return Stated(None if classes is None else classes_given(classes), _size(size), shift, scale)


def input_line(model: SegModel) -> str:
    """One sentence about the images that a model takes, and the scores that it gives."""
    size = "images keep their size" if model.short is None else f"images are resized to a short side of {model.short}"
    if isinstance(model.short, tuple):
        size = "images are resized to {}×{} pixels".format(*model.short)
    mean, std = (", ".join(f"{number:.3g}" for number in numbers) for numbers in (model.mean, model.std))
    stride = f"; output stride {model.facts['stride']}" if "stride" in model.facts else ""
    return f"{size}; normalised with the mean {mean} and the standard deviation {std}{stride}"


def classes_given(classes: str | ClassSet) -> ClassSet:
    """A class set, by its key in `CLASS_SETS` or from names that are separated by commas."""
    if isinstance(classes, ClassSet):
        return classes
    if classes in CLASS_SETS:
        return CLASS_SETS[classes]
    if "," not in classes:
        raise ValueError(
            f"unknown class set {classes!r}; expected one of {', '.join(CLASS_SETS)}, or the names of all classes in"
            " the order of their scores, as 'sky,road,tree'"
        )
    return named_classes("own", [name.strip() for name in classes.split(",")])


def named_classes(title: str, names: Sequence[str]) -> ClassSet:
    """The class set with these names in `CLASS_SETS`, else a new one, in VOC's colours.

    Names are compared without case, without synonyms behind a comma, and without spaces and underscores around them.
    """
    plain = [name.partition(",")[0].strip("_ ").lower() for name in names]
    known = [each for each in CLASS_SETS.values() if list(each.names) == plain]
    if known:
        return known[0]
    background = plain.index("background") if plain.count("background") == 1 else None
    return ClassSet(title, tuple(name.strip() for name in names), voc_colors(len(names)), background=background)


def _size(size: object) -> Size | None:
    """A size, also from a text or from a list of JSON; a ValueError where it is none."""
    if size is None or size == ORIGINAL:
        return None if size is None else ORIGINAL
    parts = size.split("x") if isinstance(size, str) else size if isinstance(size, tuple | list) else [size]
    sides = [int(text) for text in map(str, parts) if text.isdecimal() and int(text) > 0]
    if len(sides) != len(parts) or len(sides) not in (1, 2):
        raise ValueError(
            f"size={size!r}; expected the short side in pixels (512), height and width (384x512), or {ORIGINAL!r}"
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])
