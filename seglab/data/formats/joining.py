"""Images and the masks that belong to them, by the placeholders that their patterns have in common."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seglab.data.formats.entries import regex

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
    several = "{id}" in masks and ("{class}" in masks or "*" in masks.removesuffix(".*"))
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
