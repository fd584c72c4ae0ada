"""Images with objects, as annotation tools list them, and their entries."""

import os.path
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglab.data.card import VOID, Card
from seglab.data.classes import IGNORE_INDEX
from seglab.data.formats.entries import Entry, Labels, check_size, fitted, matches
from seglab.data.formats.shapes import Mask, paint
from seglab.data.images import IMAGE_SUFFIXES

Label = str | int
Size = tuple[int, int]
Draw = Callable[[Size], Mask]  # (H, W) → the pixels of one object
_SPLIT = re.compile(r"(train|test|val)(?:ing|id|idation)?\d*", re.IGNORECASE)
BACKGROUND = re.compile(r"[_ ]*background[_ ]*", re.IGNORECASE)
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts this before the name of an uploaded file


@dataclass(frozen=True)
class Annotated:
    """An image as an annotation file lists it.

    Attributes:
        image: the file, or its name as the annotation states it, which may have folders in front; "a.*" has any suffix.
        source: the annotation file.
        size: (H, W) as the annotation states it.
        objects: the label of each object, and a function that returns its pixels; later objects cover earlier ones.
        others: the kind of each annotation that has no pixels: box, point, tag.
        split: as the annotation states it; "" for that of the image's folder.
        done: an image without objects was annotated, and holds none.
        embedded: returns the image where the annotation file holds it.
        files: others that the objects are read from.
        covered: every pixel belongs to an object.

    Raises:
        ValueError: an image without a name, or a size that is not two positive whole numbers.
    """

    image: str | Path
    source: Path
    size: Size | None = None
    objects: tuple[tuple[Label, Draw], ...] = ()
    others: tuple[str, ...] = ()
    split: str = ""
    done: bool = False
    embedded: Callable[[], NDArray[Any]] | None = None
    files: tuple[Path, ...] = ()
    covered: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.image, str | Path):
            raise ValueError(f"{self.source}: {self.image!r} is no name of an image; write it as a text")
        if self.size and not all(type(side) is int and side > 0 for side in self.size):
            raise ValueError(
                f"{self.source}: image {str(self.image)!r} has height {self.size[0]!r} and width {self.size[1]!r};"
                " write two whole numbers of pixels"
            )


def split_of(path: Path, name: bool = False) -> str:
    """The split that a relative path states, "train", "val", "test", or "": that of its nearest folder.

    Args:
        name: the words of the file name count too, as in "instances_val2017.json".
    """
    words = [*(re.split(r"[_.\-]", path.stem) if name else ()), *path.parent.parts[::-1]]
    return next((match[1].lower() for word in words if (match := _SPLIT.fullmatch(word))), "")


def class_index(label: Label, card: Card, source: Path) -> int:
    """The class index of a label, or 255: as `labels` of the card states, otherwise by its name.

    Raises:
        ValueError: the card does not explain the label.
    """
    meaning = card.labels.get(label, label)
    if label in card.labels and meaning in (VOID, IGNORE_INDEX):
        return IGNORE_INDEX
    if label in card.labels and isinstance(meaning, int) and 0 <= meaning < len(card.names):
        return meaning
    if meaning in card.names:
        return card.names.index(str(meaning))
    raise ValueError(
        f"{source}: label {meaning!r} is not among the classes of the card ({', '.join(card.names)}); add it under"
        f" names:, or under labels: with its class, as {meaning}: {card.names[-1] if card.names else VOID}"
    )


def background_of(card: Card) -> int:
    """The class of pixels without an object: the one named background, or void where no class is."""
    return next((i for i, name in enumerate(card.names) if BACKGROUND.fullmatch(name)), IGNORE_INDEX)


def image_files(card: Card) -> dict[Path, dict[str, str]]:
    """The images below the card's folder, or those that fit its pattern, with the values of its placeholders."""
    masks = {path for path, _ in matches(card.root, card.masks)} if card.masks else set()
    found = matches(card.root, card.images or "{id}.*")
    return {path: values for path, values in found if path.suffix.lower() in IMAGE_SUFFIXES and path not in masks}


class Finder:
    """Files by the names that annotations state, whatever folders or upload prefixes stand before them."""

    def __init__(self, root: Path, files: Iterable[Path]):
        self.root = root
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        for path in files:
            for name in (path.name, f"{path.stem}.*"):
                self.by_name[name].append(path)

    def find(self, name: str | Path, source: Path, split: str = "") -> Path | None:
        """The file that has most folders in common with the name; then the split; then the folders of `source`.

        Raises:
            ValueError: two files fit equally well.
        """
        if isinstance(name, Path):
            return name
        parts = PurePosixPath(name.replace("\\", "/")).parts or ("",)
        candidates = self.by_name.get(parts[-1]) or self.by_name.get(_UPLOAD.sub("", parts[-1])) or []
        there = source.relative_to(self.root)

        def closeness(path: Path) -> tuple[int, bool, int]:
            here = path.relative_to(self.root)
            same_split = split_of(here) == (split or split_of(there, name=True))
            shared = common_start(here.parts[-2::-1], parts[-2::-1])
            return shared, same_split, common_start(here.parent.parts, there.parent.parts)

        best = sorted(candidates, key=closeness, reverse=True)
        if len(best) > 1 and closeness(best[0]) == closeness(best[1]):
            raise ValueError(
                f"{source}: image {name!r} may be {best[0]} or {best[1]}; give the pattern of the images in the card,"
                f" as images: {best[0].parent.relative_to(self.root) / '{id}.*'}"
            )
        return best[0] if best else None


def common_start(first: Sequence[str], second: Sequence[str]) -> int:
    """How many elements (or characters) two sequences have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def by_image(
    card: Card, listed: Sequence[Annotated], files: Collection[Path], unlisted: bool
) -> dict[Path, list[Annotated]]:
    """The images of `files` that are listed, and what the annotation files state about each, in the order of paths.

    Args:
        unlisted: images that no annotation file lists, in the folders of those listed, belong to the data too.

    Raises:
        ValueError: a listed image is missing, or two files fit its name.
    """
    finder = Finder(card.root, files)
    found: dict[Path, list[Annotated]] = defaultdict(list)
    missing = []
    for item in listed:
        path = finder.find(item.image, item.source, item.split) or (item.source if item.embedded else None)
        if path is None:
            missing.append(item)
        else:
            found[path].append(item)
    if missing:
        raise ValueError(
            f"{missing[0].source}: image {str(missing[0].image)!r} is not below {card.root} ({len(missing)} of"
            f" {len(listed)} listed images are missing); copy the images there, or remove them from the annotation file"
        )
    folders = {path.parent for path in found}
    rest: dict[Path, list[Annotated]] = {p: [] for p in files if unlisted and p.parent in folders and p not in found}
    return dict(sorted((found | rest).items()))


def assemble(
    card: Card, found: Mapping[Path, Sequence[Annotated]], files: Mapping[Path, Mapping[str, str]], background: int
) -> list[Entry]:
    """Entries of images as `by_image` found them; what several annotation files list for one image is united.

    Args:
        files: as from `image_files`.
        background: the class of pixels without an object.

    Raises:
        ValueError: the card does not explain a label.
    """
    base = Path(os.path.commonpath([path.parent for path in found])) if found else card.root
    entries = []
    for path, items in found.items():
        objects = [(class_index(label, card, item.source), draw) for item in items for label, draw in item.objects]
        if card.unannotated == "skip" and not objects and not any(item.done for item in items):
            continue
        name = f"{items[0].source}: {path.name}" if items else str(path)
        sizes = list(dict.fromkeys(item.size for item in items if item.size))
        embedded = next((item.embedded for item in items if item.embedded and path not in files), None)
        stated = [files.get(path, {}).get("split"), *(item.split for item in items)]
        split = next(filter(None, stated), None) or split_of(path.relative_to(card.root))
        read = (path, *(file for item in items for file in (item.source, *item.files)))
        target = partial(_target, card, name, objects, background, sizes)
        key = path.relative_to(base).with_suffix("").as_posix()
        entries.append(Entry(key, split, embedded or path, target, tuple(dict.fromkeys(read))))
    return entries


def _target(card: Card, name: str, objects: list[tuple[int, Draw]], rest: int, sizes: list[Size], size: Size) -> Labels:
    """The label map of an image of this size, drawn in the size that the annotation states."""
    stated = sizes[0] if sizes else size
    if len(sizes) > 1:
        both = " and ".join(f"{height} × {width}" for height, width in sizes)
        raise ValueError(f"{name}: the annotation files state {both} pixels (height × width); correct one of them")
    check_size(stated, size, card, name)
    if np.prod(stated, dtype=float) > 2 * (Image.MAX_IMAGE_PIXELS or np.inf):
        raise ValueError(
            f"{name}: the annotation states {stated[0]} × {stated[1]} pixels; correct its height and width"
        )
    try:
        labels = paint(((label, draw(stated)) for label, draw in objects), stated, card.overlaps, rest)
    except Exception as error:  # decoders raise errors of many types for damaged data
        raise ValueError(f"{name}: an object cannot be drawn ({error}); correct it in the annotation tool") from error
    return fitted(labels, size, card, name)
