"""Your own data: from a card to a `SegmentationDataset`, whatever format the annotations have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from seglab._utils.errors import unknown
from seglab.data.card import Card, card_text
from seglab.data.card_values import FORMATS
from seglab.data.classes import IGNORE_INDEX
from seglab.data.dataset import Arrays, Record, SegmentationDataset
from seglab.data.formats.entries import Entry, Labels, Target, listing
from seglab.data.formats.joining import join
from seglab.data.formats.pixels import read_pixels
from seglab.data.formats.raw import inside
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
    entries: list[Entry] = _with_voids(card, reader_of(card.format).entries(card))
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
    records = (Record(e.id, groups[e.id], e.files, partial(read_entry, e, card)) for e in entries)
    # What decides the labels belongs to the fingerprint; the name and the splits do not decide them.
    described = card_text(replace(card, name="", splits={}, groups=""))
    return SegmentationDataset(card.title, split, card.classes(), tuple(records), card.root, described)


def read_entry(entry: Entry, card: Card) -> Arrays:
    """Read and check an image and its label map."""
    name = entry.image if isinstance(entry.image, Path) else entry.id
    pixels = read_pixels(entry.image, card, name)
    target = torch.from_numpy(np.array(entry.target((pixels.shape[0], pixels.shape[1]))))
    image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    check_pair(image, target, name)
    check_labels(target, len(card.names), name)
    return image, target, None


def _with_voids(card: Card, entries: list[Entry]) -> list[Entry]:
    """The entries, void where the files of the card's pattern `void` are 0.

    Raises:
        ValueError: an image without such a file.
    """
    if not card.void:
        return entries
    pairs = join(card.images or "{id}.*", card.void, listing(card.root))
    masks = {card.root / pair.image: tuple(card.root / mask for mask in pair.masks) for pair in pairs}
    voids = {entry.id: masks.get(entry.files[0], ()) for entry in entries}
    if missing := [name for name, files in voids.items() if not files]:
        raise ValueError(
            f"{card.root}: {len(missing)} images, such as {missing[0]!r}, have no file {card.void}; correct void: in"
            " the card, or add the files"
        )
    return [replace(e, target=partial(_evaluated, e.target, voids[e.id], card), files=(*e.files, *voids[e.id]))
            for e in entries]  # fmt: skip


def _evaluated(target: Target, voids: Sequence[Path], card: Card, size: tuple[int, int]) -> Labels:
    labels = target(size)
    for path in voids:
        labels = np.where(inside(path, size, card), labels, np.uint8(IGNORE_INDEX))
    return labels
