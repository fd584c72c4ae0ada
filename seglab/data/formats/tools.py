"""Formats of annotation tools: how their files are recognised and read, and the card that they suggest."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from seglab.data.card import VOID, Card, Proposal
from seglab.data.card_values import check_name
from seglab.data.classes import IGNORE_INDEX
from seglab.data.formats import pixels
from seglab.data.formats.entries import Entry, matches
from seglab.data.formats.findings import Findings, listed, number
from seglab.data.formats.objects import (
    BACKGROUND,
    Annotated,
    assemble,
    background_of,
    by_image,
    common_start,
    image_files,
)  # fmt: skip
from seglab.data.images import IMAGE_SUFFIXES

_SAMPLED, _DEPTH = 50, 6  # elements of a list or object that are looked at, and how deep
_VOID = re.compile(r"[_ ]*(ignored?|void|don'?t ?care)[_ ]*", re.IGNORECASE)
_WITH_EXIF = frozenset({".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"})


def content_of(path: Path) -> Any:
    """The content of a JSON file, the root of an XML file, or the text of another one. The last four are kept.

    Raises:
        ValueError: the file is damaged.
    """
    state = path.stat()
    return _content(path, state.st_mtime_ns, state.st_size)


@lru_cache(4)
def _content(path: Path, _changed: int, _size: int) -> Any:
    kind = path.suffix[1:].upper()
    try:
        if kind == "XML":
            return ElementTree.parse(path).getroot()
        text = path.read_text(encoding="utf-8-sig", errors="strict" if kind == "JSON" else "replace")
        return json.loads(text) if kind == "JSON" else text
    except (ValueError, RecursionError, ElementTree.ParseError) as error:
        raise ValueError(f"{path}: damaged or no {kind} ({error}); export it again") from error


def keys_of(content: Any, depth: int = _DEPTH) -> frozenset[str]:
    """The keys in the first elements of a JSON value, of all levels, or the first tags of XML: a format's signature."""
    if isinstance(content, ElementTree.Element):
        return frozenset({content.tag, *(child.tag for child in content)})
    if depth == 0 or not isinstance(content, dict | list):
        return frozenset()
    parts = islice(content.values() if isinstance(content, dict) else content, _SAMPLED)
    own = frozenset(islice(content, _SAMPLED)) if isinstance(content, dict) else frozenset()
    return own.union(*(keys_of(part, depth - 1) for part in parts if isinstance(part, dict | list)))


@lru_cache(maxsize=1 << 16)
def _keys(path: Path, changed: int, size: int) -> frozenset[str]:
    try:
        return keys_of(_content(path, changed, size))
    except ValueError:
        return frozenset()


def recognised(
    root: Path, keys: Set[str], absent: Set[str] = frozenset(), pattern: str = "{id}.json", damaged: bool = False
) -> list[Path]:
    """The files that fit a pattern and have all of these keys and none of the absent ones, sorted.

    Args:
        damaged: a file that cannot be read is an error; otherwise it is left out.
    """
    found = []
    for path, _ in matches(root, pattern):
        if damaged:
            content_of(path)
        present = _keys(path, path.stat().st_mtime_ns, path.stat().st_size) if keys else frozenset()
        if keys <= present and not absent & present:
            found.append(path)
    return found


@contextmanager
def of_format(path: Path, name: str) -> Iterator[None]:
    """Errors of a reader about missing or wrong values, as one sentence about the file."""
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}: not as the format {name!r} has it ({found}); export it again") from error


def pattern_of(root: Path, files: Sequence[Path]) -> str:
    """One pattern for these files; it differs from their paths only between two of the characters "/_-."."""
    names = [path.relative_to(root).as_posix() for path in files]
    if len(names) == 1:
        return names[0]
    start = names[0][: common_start(min(names), max(names))]
    start = start[: max(map(start.rfind, "/_-.")) + 1]
    ends = [name[len(start) :][::-1] for name in names]
    end = ends[0][: common_start(min(ends), max(ends))][::-1]
    end = end[min(i for i in map(end.find, "/_-.") if i >= 0) :]
    middles = [name[len(start) : len(name) - len(end)] for name in names]
    return f"{start}{'{id}' if any('/' in middle for middle in middles) else '*'}{end}"


def _no_classes(_folder: Path, _files: list[Path], _found: Findings) -> None:
    """The classes are the labels of the objects."""


@dataclass(frozen=True)
class Reader:
    """A format whose files list images with objects.

    Attributes:
        format: its name.
        keys, absent: keys that its files have at some level, and keys that none of them has.
        parse: a card, a file and its content → the images that it lists.
        classes: adds to findings what the files (a list, from which it may remove some) state about classes.
        pattern: of the files, where the card states none.
        per_image: each image has a file of its own, and images without one belong to the data, too.
        background: pixels without an object, if there are any, are of a class "background", which comes first;
            otherwise void.
        ask: whether images without annotation are background is a question.
    """

    format: str
    keys: frozenset[str]
    parse: Callable[[Card, Path, Any], Iterable[Annotated]]
    absent: frozenset[str] = frozenset()
    classes: Callable[[Path, list[Path], Findings], None] = _no_classes
    pattern: str = "{id}.json"
    per_image: bool = False
    background: bool = True
    ask: bool = True

    def recognise(self, folder: Path) -> Proposal | None:
        """The card that the files of this format suggest, with the evidence; None where no object has pixels."""
        files, found = recognised(folder, self.keys, self.absent, self.pattern), Findings()
        if files:
            self.classes(folder, files, found)
        if not files:
            return None
        names = found.changes.pop("names", ())
        pattern = "" if self.per_image else pattern_of(folder, files)
        card = replace(Card(folder, format=self.format, annotations=pattern), **found.changes)
        return self._proposal(card, self._listed(card), names, found)

    def entries(self, card: Card) -> list[Entry]:
        """The images that the files list, with their annotations, not read yet.

        Raises:
            ValueError: no file of this format, a damaged one, a missing image, or an unknown label.
        """
        files = image_files(card)
        background = background_of(card) if self.background else IGNORE_INDEX
        return assemble(card, by_image(card, self._listed(card), files, self.per_image), files, background)

    def _listed(self, card: Card) -> list[Annotated]:
        pattern = card.annotations or self.pattern
        items: list[Annotated] = []
        files = recognised(card.root, self.keys, self.absent, pattern, damaged=True)
        for path in files:
            with of_format(path, self.format):
                items += self.parse(card, path, content_of(path))
        if not files:
            raise ValueError(
                f"{card.root}: no file {pattern} has the keys of format {self.format!r}"
                f" ({', '.join(sorted(self.keys))}); correct annotations: or format: in the card"
            )
        return items

    def _proposal(
        self, card: Card, items: Sequence[Annotated], names: Iterable[str], stated: Findings
    ) -> Proposal | None:
        """`names`, in the order of the format; other labels of objects follow, sorted."""
        texts = Counter(str(card.labels.get(label, label)) for item in items for label, _ in item.objects)
        if not texts:
            return None
        sources = list(dict.fromkeys(item.source.relative_to(card.root).as_posix() for item in items))
        where = sources[0] if len(sources) == 1 else f"{len(sources)} files such as {sources[0]}"
        classes = list(dict.fromkeys([*names, *sorted(texts)]))
        for name in classes:
            check_name(name, str(items[0].source))
        voids = [name for name in classes if _VOID.fullmatch(name)]
        rest = self.background and not all(item.covered for item in items)
        first = [name for name in classes if BACKGROUND.fullmatch(name)][:1] or ["background"] * rest
        classes = [*first, *(name for name in classes if name not in (*voids, *first))]
        card = replace(card, names=tuple(classes), labels={**card.labels, **dict.fromkeys(voids, VOID)})
        found = Findings(questions=stated.questions)
        kinds = listed({name or "none": n for name, n in texts.most_common()})
        found.note(f"{where}: {number(len(items), 'image')} with {number(texts.total(), 'object')} ({kinds}).")
        if others := Counter(kind for item in items for kind in item.others):
            found.note(f"Without pixels, and left out: {listed(dict(others.most_common()))}.")
        if set(voids) - {VOID}:
            found.note(f"Pixels of {', '.join(voids)} are void.")
        try:
            self._about_images(card, items, found)
        except ValueError as error:
            return Proposal(card, (*found.evidence, *stated.evidence, f"{error}."))
        found.evidence += stated.evidence
        return found.proposal(card)

    def _about_images(self, card: Card, items: Sequence[Annotated], found: Findings) -> None:
        """Fields, evidence and a question about the images, their splits, and those without annotation."""
        files = image_files(card)
        images = by_image(card, items, files, self.per_image)
        splits = Counter(entry.split for entry in assemble(card, images, files, 0))
        pixels.describe([path for path in images if path.suffix.lower() in IMAGE_SUFFIXES], found)
        _orientation(images, found)
        if set(splits) != {""}:
            found.note(f"Splits: {listed({name or 'none': n for name, n in splits.most_common()})}.")
        if bare := [path for path, of in images.items() if not any(item.objects or item.done for item in of)]:
            subject = f"{number(len(bare), 'image')} without annotation, such as {bare[0].relative_to(card.root)}"
            found.note(f"{subject}.")
            options = {"They show background only": "background", "They are not annotated yet: leave them out": "skip"}
            if self.ask:
                found.ask(f"{subject}: what are they?", {k: {"unannotated": v} for k, v in options.items()})


def _orientation(images: Mapping[Path, Sequence[Annotated]], found: Findings) -> None:
    """ "stored" or "upright", and a sentence where images have an EXIF orientation: annotation tools apply it."""
    rotated, stored = [], 0
    for path, items in images.items():
        size, orientation = pixels.sizes(path) if path.suffix.lower() in _WITH_EXIF else ((0, 0), 1)
        if orientation != 1:
            rotated.append(path)
            stored += any(item.size == size != pixels.turned(size, orientation) for item in items)
    if rotated:
        reason = "the sizes in the annotation fit the stored images" if stored else "annotation tools show them upright"
        sentence = f"{number(len(rotated), 'image')} with an EXIF orientation, such as {rotated[0].name}: {reason}."
        found.note(sentence, orientation="stored" if stored else "upright")
