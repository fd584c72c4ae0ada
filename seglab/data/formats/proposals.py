"""The card that a list of annotated images suggests, with the evidence."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from seglab.data.card import VOID, Card, Proposal, Question
from seglab.data.formats import pixels
from seglab.data.formats.objects import BACKGROUND, Annotated, assemble, by_image, image_files
from seglab.data.images import IMAGE_SUFFIXES

_VOID = re.compile(r"[_ ]*(ignored?|void|don'?t ?care)[_ ]*", re.IGNORECASE)
_WITH_EXIF = frozenset({".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"})


def propose(
    card: Card,
    listed: Iterable[Annotated],
    names: Iterable[str] = (),
    evidence: Iterable[str] = (),
    background: bool = True,
    unlisted: bool = False,
    ask: bool = True,
) -> Proposal | None:
    """The card with names and void labels, and the evidence; None where no object has pixels.

    Args:
        card: root, format, patterns, and labels that are no names.
        names: class names in the order of the format; other labels of objects follow, sorted.
        background: the format leaves pixels without an object; a class for them comes first.
        unlisted: as for `assemble`.
        ask: whether images without annotation are background is a question.
    """
    items = list(listed)
    texts = Counter(str(card.labels.get(label, label)) for item in items for label, _ in item.objects)
    if not texts:
        return None
    classes = list(dict.fromkeys([*names, *sorted(texts)]))
    voids = [name for name in classes if _VOID.fullmatch(name)]
    first = [name for name in classes if BACKGROUND.fullmatch(name)][:1] or ["background"] * background
    classes = [*first, *(name for name in classes if name not in (*voids, *first))]
    card = replace(card, names=tuple(classes), labels={**card.labels, **dict.fromkeys(voids, VOID)})
    sources = list(dict.fromkeys(item.source.relative_to(card.root).as_posix() for item in items))
    where = sources[0] if len(sources) == 1 else f"{len(sources)} files such as {sources[0]}"
    sentences = [f"{where}: {_number(len(items), 'image')} with {_number(texts.total(), 'object')} ({_listed(texts)})."]
    if others := Counter(kind for item in items for kind in item.others):
        sentences.append(f"Without pixels, and left out: {_listed(others)}.")
    if set(voids) - {VOID}:
        sentences.append(f"Pixels of {', '.join(voids)} are void.")
    try:
        found = by_image(card, items, image_files(card), unlisted)
        splits = Counter(entry.split for entry in assemble(card, items, unlisted))
        changes, about_images = pixels.propose([path for path in found if path.suffix.lower() in IMAGE_SUFFIXES])
        orientation, about_orientation = _orientation(found)
    except ValueError as error:
        return Proposal(card, (*sentences, *evidence, f"{error}."))
    card = replace(card, orientation=orientation, **changes)
    sentences += [*about_images, *about_orientation]
    if set(splits) != {""}:
        sentences.append(f"Splits: {_listed(splits)}.")
    bare = [path for path, of in found.items() if not any(item.objects or item.done for item in of)]
    question = None
    if bare:
        subject = f"{_number(len(bare), 'image')} without annotation, such as {bare[0].relative_to(card.root)}"
        sentences.append(f"{subject}.")
        options = {"They show background only": "background", "They are not annotated yet: leave them out": "skip"}
        question = Question(f"{subject}: what are they?", {k: {"unannotated": v} for k, v in options.items()})
    return Proposal(card, (*sentences, *evidence), question if ask else None)


def _orientation(found: Mapping[Path, Sequence[Annotated]]) -> tuple[str, list[str]]:
    """ "stored" or "upright", and a sentence where images have an EXIF orientation: annotation tools apply it."""
    rotated, stored = [], 0
    for path, items in found.items():
        size, orientation = pixels.sizes(path) if path.suffix.lower() in _WITH_EXIF else ((0, 0), 1)
        if orientation != 1:
            rotated.append(path)
            stored += any(item.size == size != pixels.turned(size, orientation) for item in items)
    if not rotated:
        return "stored", []
    kind = "stored" if stored else "upright"
    reason = "the sizes in the annotation fit the stored images" if stored else "annotation tools show them upright"
    return kind, [f"{_number(len(rotated), 'image')} with an EXIF orientation, such as {rotated[0].name}: {reason}."]


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _listed(counts: Counter[str]) -> str:
    """`{"leaf": 3, "stone": 1}` → "leaf 3, stone 1"."""
    return ", ".join(f"{name or 'none'} {count}" for name, count in counts.most_common())
