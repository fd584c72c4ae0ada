"""Your own data: from a card to a `SegmentationDataset`, whatever format the annotations have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from numpy.typing import NDArray

from seglab._utils.errors import unknown
from seglab.data.card import Card, card_text
from seglab.data.card_values import FORMATS
from seglab.data.classes import IGNORE_INDEX
from seglab.data.dataset import Arrays, Record, SegmentationDataset
from seglab.data.formats.entries import Entry, fitted
from seglab.data.formats.joining import join
from seglab.data.formats.pixels import read_pixels
from seglab.data.formats.raw import load
from seglab.data.labels import check_labels, check_pair
from seglab.data.splits import entry_groups, split_entries


def reader_of(name: str) -> ModuleType:
    """The module of `seglab.data.formats` that reads a format; it has `recognise` and `entries`."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return import_module(f"seglab.data.formats.{name}")


def entries_of(card: Card) -> list[Entry]:
    """All images of the data with their annotations, not read yet, in a fixed order.

    Raises:
        ValueError: no image, two images of one id, or what the format refuses.
    """
    entries: list[Entry] = reader_of(card.format).entries(card)
    if not entries:
        raise ValueError(f"{card.root} holds no images as the card describes them; compare it with the files there")
    if repeated := [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]:
        # The same name in two splits is usual; the split makes it unique.
        entries = [replace(e, id=f"{e.split}/{e.id}") if e.split and e.id in repeated else e for e in entries]
    ids = Counter(entry.id for entry in entries)
    if repeated := [name for name, count in ids.items() if count > 1]:
        same = ", ".join(str(entry.files[0]) for entry in entries if entry.id == repeated[0])
        raise ValueError(
            f"{card.root}: {len(repeated)} ids occur more than once, such as {repeated[0]!r} ({same}); state a pattern"
            " whose {id} is unique as images: in the card"
        )
    return entries


def load_card(card: Card, split: str | None = None) -> SegmentationDataset:
    """The images of a split, or all images of the data.

    Raises:
        ValueError: no classes, a split that the data do not have, or what `entries_of` refuses. The content of images
            and masks is checked when they are read.
    """
    if not card.names:
        raise ValueError(f"{card.root}: the card states no classes; add them, as names: [background, leaf]")
    entries = entries_of(card)
    groups = entry_groups(card, entries)
    if split is not None:
        splits = split_entries(card, entries)
        if not splits.get(split):
            known = f"its splits are {', '.join(splits)}" if splits else "it has none"
            raise ValueError(
                f"{card.title} ({card.root}) has no split {split!r}: {known}; name one of them, or state others in the"
                " card, as splits: {train: 0.8, val: 0.2}"
            )
        entries = splits[split]
    return _dataset(card, entries, groups, split)


def splits_of(card: Card) -> tuple[str, ...]:
    """The splits that have images."""
    return tuple(name for name, entries in split_entries(card, entries_of(card)).items() if entries)


def _dataset(card: Card, entries: Sequence[Entry], groups: Mapping[str, str], split: str | None) -> SegmentationDataset:
    voids = _void_masks(card, entries)
    records = tuple(
        Record(entry.id, groups[entry.id], (*entry.files, *filter(None, [voids.get(entry.id)])),
               partial(read_entry, entry, card, voids.get(entry.id)))
        for entry in entries
    )  # fmt: skip
    # What decides the labels belongs to the fingerprint; the name and the splits do not decide them.
    described = card_text(replace(card, name="", splits={}, groups=""))
    return SegmentationDataset(card.title, split, card.classes(), records, card.root, described)


def read_entry(entry: Entry, card: Card, void: Path | None = None) -> Arrays:
    """Read and check an image and its label map."""
    pixels = read_pixels(entry.image, card, name=entry.image if isinstance(entry.image, Path) else entry.id)
    size = (pixels.shape[0], pixels.shape[1])
    target = torch.from_numpy(entry.target(size).copy())
    image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    name = entry.image if isinstance(entry.image, Path) else entry.id
    check_pair(image, target, name)
    check_labels(target, len(card.names), name)
    if void is not None:
        evaluated = torch.from_numpy(fitted((_grey(void) > 0).astype("uint8"), size, card, void))
        target[evaluated == 0] = IGNORE_INDEX
    return image, target, None


def _grey(path: Path) -> NDArray[Any]:
    values, _ = load(path)
    return values if values.ndim == 2 else values.max(axis=2)


def _void_masks(card: Card, entries: Sequence[Entry]) -> dict[str, Path]:
    """Id → the file that is 0 where the image is not evaluated, by the card's pattern. Format masks reads it itself.

    Raises:
        ValueError: an image without such a file.
    """
    if not card.void or card.format == "masks":
        return {}
    files = [path.relative_to(card.root).as_posix() for path in sorted(card.root.rglob("*")) if path.is_file()]
    pairs = {card.root / pair.image: pair.masks for pair in join(card.images or "{id}.*", card.void, files)}
    found = {entry.id: pairs.get(entry.files[0], ()) for entry in entries}
    if missing := [name for name, masks in found.items() if len(masks) != 1]:
        raise ValueError(
            f"{card.root}: {len(missing)} images, such as {missing[0]!r}, have no file {card.void}; correct void: in"
            " the card, or add the files"
        )
    return {name: card.root / masks[0] for name, masks in found.items()}
