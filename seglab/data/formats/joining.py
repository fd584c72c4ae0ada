"""Images and the masks that belong to them, by the placeholders that their patterns have in common."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seglab.data.card import Card
from seglab.data.formats.entries import matches, regex

Key = tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """An image and its masks, relative to the data set's folder.

    Attributes:
        masks: files; none for an image without annotation.
        classes: the {class} of each mask, "" without that placeholder.
        values: the placeholders of the image.
    """

    image: str
    masks: tuple[str, ...]
    classes: tuple[str, ...]
    values: Mapping[str, str]


def join(images: str, masks: str, files: Iterable[str]) -> list[Pair]:
    """The images that fit the pattern `images`, in the order of `files`, each with the files that fit `masks`.

    Files that fit both patterns are masks. A mask "2011_03_car.png" of "{id}_{class}.png" belongs to the image with the
    longest id at its beginning.
    """
    files = list(files)
    pattern = regex(images)
    found = {path: match.groupdict() for path in files if (match := pattern.fullmatch(path))}
    shared = sorted(pattern.groupindex.keys() & regex(masks).groupindex.keys())
    keys = {tuple(values[name] for name in shared) for values in found.values()}
    lengths = sorted({len(values.get("id") or "") for values in found.values()}, reverse=True)
    several = "{id}" in masks and is_separate(masks)
    patterns = [regex(masks, length) for length in lengths] if several else [regex(masks)]
    paths: dict[Key, list[tuple[str, str]]] = defaultdict(list)
    taken = set()
    for path in files:
        for mask in patterns:
            match = mask.fullmatch(path)
            key = tuple(match[name] for name in shared) if match else ()
            if match and (not several or key in keys):
                paths[key].append((path, match.groupdict().get("class") or ""))
                taken.add(path)
                break
    pairs = []
    for path, values in found.items():
        mine = paths.get(tuple(values[name] for name in shared), []) if path not in taken else []
        if path not in taken:
            pairs.append(Pair(path, tuple(p for p, _ in mine), tuple(c for _, c in mine), values))
    return pairs


def pairs_of(card: Card, suffixes: tuple[str, ...] = ("",)) -> list[Pair]:
    """The images with one of these suffixes that fit the card's pattern, with their masks, in the order of their paths.

    Raises:
        ValueError: the card states no patterns, or two masks fit one image where one is meant.
    """
    root = card.root
    if not card.images or not card.masks:
        raise ValueError(
            f"{root}: the card states no images: or no masks:; state both as patterns, such as images/{{id}}.jpg"
        )
    images = {path for path, _ in matches(root, card.images) if path.name.lower().endswith(suffixes)}
    files = sorted(images | {path for path, _ in matches(root, card.masks)})
    pairs = join(card.images, card.masks, [path.relative_to(root).as_posix() for path in files])
    for pair in pairs:
        if len(pair.masks) > 1 and not is_separate(card.masks):
            raise ValueError(f"{root}: {pair.image} has two masks, {pair.masks[0]} and {pair.masks[1]}; keep one")
    return pairs


def is_separate(masks: str) -> bool:
    """Whether a pattern of masks means several files for an image: one for each class or object."""
    return "{class}" in masks or "*" in masks.removesuffix(".*")
