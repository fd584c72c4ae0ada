"""The images of each split, and the group of each image, as a card states them."""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seglab._utils.errors import unknown
from seglab.data.card import Card
from seglab.data.formats.entries import Entry, regex

# What `splits` is where neither the card nor the layout divides the images.
DIVISION: dict[str, Any] = {"train": 0.8, "val": 0.2, "seed": 0}
TRAIN = ("", "train", "training")  # splits of the layout whose images fractions divide


def split_entries(card: Card, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Split → its entries, in the order of `entries`. Images of no split are in none of the lists.

    A split of the card replaces that of the layout. Fractions divide the images which the layout has in "train" or in
    no split, whole groups at a time, in an order that depends only on the seed and the names of the groups.

    Raises:
        ValueError: a list or pattern fits no image, or there are fewer groups than fractions.
    """
    splits: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        splits[entry.split].append(entry)
    stated = {name: value for name, value in card.splits.items() if name not in ("seed", "by")}
    fractions = {name: float(value) for name, value in stated.items() if isinstance(value, int | float)}
    if fractions:
        pool = [entry for entry in entries if entry.split in TRAIN]
        for name in TRAIN:
            splits.pop(name, None)
        splits |= _divided(card, pool, fractions)
    index = _Index(card, entries)
    for name, value in stated.items():
        if name not in fractions:
            chosen = index.chosen(value if isinstance(value, list) else [value], name)
            splits[name] = [entry for entry in entries if entry.id in chosen]
    splits.pop("", None)
    return dict(splits)


def entry_groups(card: Card, entries: Sequence[Entry]) -> dict[str, str]:
    """Id → group: by the card's regular expression or CSV, or its placeholder {group}. By default each image is
    independent and has its id, and the pages of a stack have the name of the stack.

    Raises:
        ValueError: an id that the expression does not fit or the CSV does not list.
    """
    if card.groups.endswith(".csv"):
        return _listed_groups(card, entries)
    if card.groups:
        found = {entry.id: re.search(card.groups, entry.id) for entry in entries}
        if missing := [name for name, match in found.items() if match is None or match[1] is None]:
            raise ValueError(
                f"groups: {card.groups!r} does not fit {len(missing)} of {len(entries)} ids, such as {missing[0]!r};"
                " correct the expression in the card"
            )
        return {name: match[1] for name, match in found.items() if match is not None}
    if card.format == "volumes":  # pages of a stack resemble each other
        return {entry.id: entry.id.rpartition("/")[0] or entry.id for entry in entries}
    if "{group}" in card.images:
        return {entry.id: entry.id.partition("/")[0] for entry in entries}
    return {entry.id: entry.id for entry in entries}


def _listed_groups(card: Card, entries: Sequence[Entry]) -> dict[str, str]:
    path = card.root / card.groups
    rows = _rows(path)
    if not rows or not {"id", "group"} <= rows[0].keys():
        raise ValueError(
            f"{path}: expected the columns id and group, found {', '.join(rows[0]) if rows else 'no rows'}"
        )
    index = _Index(card, entries)
    groups = {name: row["group"] for row in rows for name in index.chosen([row["id"]], "groups", optional=True)}
    if missing := [entry.id for entry in entries if entry.id not in groups]:
        raise ValueError(
            f"{path}: lacks {len(missing)} of {len(entries)} ids, such as {missing[0]!r}; add their groups"
        )
    return groups


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); groups: in the card names this file") from None


def _divided(card: Card, entries: Sequence[Entry], fractions: Mapping[str, float]) -> dict[str, list[Entry]]:
    """Groups in a random order, each to the split that lacks most of its images."""
    by_image = card.splits.get("by", "group") == "image"
    group_of = {entry.id: entry.id for entry in entries} if by_image else entry_groups(card, entries)
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[group_of[entry.id]].append(entry)
    if len(groups) < len(fractions):
        raise ValueError(
            f"splits: {len(fractions)} fractions need at least as many groups, and {len(entries)} images have"
            f" {len(groups)}; add images, state other groups:, or by: image"
        )
    seed = card.splits.get("seed", 0)
    order = sorted(groups, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest())
    splits: dict[str, list[Entry]] = {name: [] for name in fractions}
    # The remainder, where fractions sum to less than 1, is a split that is not kept.
    targets = {**fractions, "": max(0.0, 1 - sum(fractions.values()))}
    chosen: dict[str, list[str]] = {name: [] for name in targets}
    # Each split gets one group first, so that none is empty.
    first = dict(zip(fractions, order, strict=False))
    for name, group in first.items():
        chosen[name].append(group)
    for group in order[len(first) :]:
        lacking = {
            name: part * len(entries) - sum(len(groups[g]) for g in chosen[name]) for name, part in targets.items()
        }
        chosen[max(lacking, key=lambda name: lacking[name])].append(group)
    for name in fractions:
        members = {entry.id for group in chosen[name] for entry in groups[group]}
        splits[name] = [entry for entry in entries if entry.id in members]
    return splits


class _Index:
    """Entries by what a list file or a pattern may call them."""

    def __init__(self, card: Card, entries: Sequence[Entry]) -> None:
        self.card, self.paths = card, {entry.id: _image_path(card, entry) for entry in entries}
        self.names: dict[str, set[str]] = defaultdict(set)
        for name, path in self.paths.items():
            for text in {name, path, path.rpartition(".")[0] or path}:
                parts = text.split("/")
                for start in range(len(parts)):
                    self.names["/".join(parts[start:])].add(name)

    def chosen(self, items: Iterable[str], split: str, optional: bool = False) -> set[str]:
        """The ids that these items stand for: list files, folders, patterns, ids, or paths of images.

        Raises:
            ValueError: an item that fits no image, or several where one is meant.
        """
        ids: set[str] = set()
        for item in items:
            path = self.card.root / item
            if path.is_file() and path.suffix.lower() in (".txt", ".lst", ".csv"):
                found = set().union(*(self._one(line, f"{path}") for line in _lines(path)))
            elif "{" in item or "*" in item:
                compiled = regex(item)
                found = {
                    name for name, file in self.paths.items() if compiled.fullmatch(file) or compiled.fullmatch(name)
                }
            elif path.is_dir():
                folder = path.resolve().relative_to(self.card.root.resolve()).as_posix() + "/"
                found = {name for name, file in self.paths.items() if file.startswith(folder)}
            else:
                found = self._one(item, f"splits: {split}", optional)
            if not found and not optional:
                raise ValueError(
                    f"splits: {split}: {item!r} fits no image below {self.card.root}; correct it in the card"
                )
            ids |= found
        return ids

    def _one(self, text: str, where: str, optional: bool = False) -> set[str]:
        """The image of a line: its id or path, alone or followed by that of the mask."""
        root = self.card.root.resolve().as_posix() + "/"
        for name in dict.fromkeys((text, *text.split()[:1])):
            name = name.replace("\\", "/").removeprefix(root).removeprefix("./").removeprefix("/")
            found = {name} if name in self.paths else self.names.get(name, set())
            if len(found) > 1:
                raise ValueError(f"{where}: {name!r} may be {' or '.join(sorted(found)[:2])}; write the id in full")
            if found:
                return set(found)
        if optional:
            return set()
        raise ValueError(f"{self.card.root}: {unknown(f'image in {where}', text, list(self.paths)[:5])}")


def _image_path(card: Card, entry: Entry) -> str:
    path = entry.image if isinstance(entry.image, Path) else None
    return path.relative_to(card.root).as_posix() if path and path.is_relative_to(card.root) else entry.id


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no list of names ({error}); write one id a line") from None
