"""What a folder holds: every format is tried by its signature, and the card that describes the data is proposed."""

from collections.abc import Iterable
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from seglab._utils.errors import unknown
from seglab.data.card import CARD, Card, Proposal, Question, read_card
from seglab.data.card_values import FORMATS
from seglab.data.formats.entries import listing
from seglab.data.own import entries_of, reader_of
from seglab.data.splits import DIVISION, TRAIN, entry_groups

_LOOKED_FOR = (
    "JSON of COCO, labelme, Label Studio, VIA or Supervisely; XML of CVAT; YOLO text files with data.yaml; Parquet;"
    " TIFF stacks or NIfTI volumes; and images beside masks of equal names"
)
_MINIMAL = 'names: [background, leaf]; images: "raw/{id}.jpg"; masks: "masks/{id}_mask.png"'


def inspect(folder: str | Path) -> Proposal:
    """The card that the files of a folder suggest, with the evidence, and a question where they leave a choice open.

    Raises:
        ValueError: no such folder, or nothing that a format recognises; the message shows a minimal card.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; name the one that holds the images and their annotations")
    found: dict[str, Proposal] = {}
    refused: list[str] = []
    for name in FORMATS:
        try:
            if proposal := reader_of(name).recognise(folder):
                found[name] = proposal
        except ValueError as error:  # files of this format, which cannot be used
            refused.append(str(error))
    if refused and not found:
        raise ValueError(refused[0])
    if not found:
        raise ValueError(
            f"{folder} holds no annotations that are recognised (looked for {_LOOKED_FOR}); write {folder / CARD} with"
            f" three lines such as {_MINIMAL}"
        )
    found = {name: _with_images(proposal, found.get("masks")) for name, proposal in found.items()}
    proposals = [_with_splits(proposal) for proposal in _independent(found).values()]
    proposals[0] = replace(proposals[0], evidence=(*proposals[0].evidence, *(f"Left out: {text}." for text in refused)))
    if len(proposals) == 1:
        return proposals[0]
    options = {label: changes for proposal in proposals for label, changes in _options(proposal).items()}
    first = proposals[0]
    evidence = tuple(f"{proposal.card.format}: {line}" for proposal in proposals for line in proposal.evidence)
    question = Question("Several annotations are there; which ones are the ground truth?", options)
    return Proposal(first.card, evidence, question)


def answered(proposal: Proposal, answer: str | None = None) -> Card:
    """The proposed card, with the chosen option of its question.

    Args:
        answer: an option, its number from 1 on, or the beginning of one.

    Raises:
        ValueError: the question is open, or no or several options fit the answer.
    """
    question = proposal.question
    if question is None:
        if answer is not None:
            raise ValueError(f"{answer!r} answers no question: the files of {proposal.card.root} leave none open")
        return proposal.card
    options = list(question.options)
    if answer is None:
        raise ValueError(
            f"{proposal.card.root}: {question.text} {numbered(options)}; choose with: seglab datasets --inspect"
            f" {proposal.card.root} --write --answer 1"
        )
    chosen = [o for k, o in enumerate(options, 1) if answer.lower() == o.lower() or answer == str(k)] or [
        option for option in options if option.lower().startswith(answer.lower())
    ]
    if len(chosen) != 1:
        raise unknown("answer", answer, options)
    return replace(proposal.card, **question.options[chosen[0]])


def numbered(options: Iterable[str]) -> str:
    """`"1: void, 2: leaf"`."""
    return ", ".join(f"{k}: {option}" for k, option in enumerate(options, 1))


@lru_cache(8)
def _inspected(folder: Path, _state: int) -> Proposal:
    return inspect(folder)


def _found_in(folder: Path) -> Card:
    """The card of a folder by its files; they are inspected once for each of their states."""
    stats = [(name, (folder / name).stat()) for name in listing(folder)]
    return answered(_inspected(folder, hash(tuple((name, s.st_mtime_ns, s.st_size) for name, s in stats))))


def find_card(path: str | Path) -> Card:
    """The card of a folder or file; a folder without one is inspected, once for each state of its files.

    Raises:
        ValueError: as `read_card` and `inspect`; or the folder leaves a question open.
    """
    path = Path(path).expanduser()
    if path.is_dir() and not (path / CARD).is_file():
        return _found_in(path)
    if not path.exists() and path.suffix not in (".yaml", ".yml"):
        raise ValueError(f"{path}: no such folder; name the one that holds your data, or its {CARD}")
    card = read_card(path)
    if card.names:
        return card
    proposed = _found_in(card.root)  # what the card leaves out follows from the files
    stated = {f.name: getattr(card, f.name) for f in fields(Card) if f.name not in _unstated(card)}
    return replace(proposed, **stated)


def _unstated(card: Card) -> set[str]:
    default = Card(card.root)
    return {f.name for f in fields(Card) if getattr(card, f.name) == getattr(default, f.name)} - {"root"}


def _independent(found: dict[str, Proposal]) -> dict[str, Proposal]:
    """Without proposals whose files a more specific format reads, too: PNG files of COCO panoptic."""
    kept: dict[str, Proposal] = {}
    read: set[Path] = set()
    for name, proposal in found.items():
        files = _files(proposal)
        if not kept or not files or not files <= read:
            kept[name] = proposal
        read |= files
    return kept


def _with_images(proposal: Proposal, masks: Proposal | None) -> Proposal:
    """With the images of the masks' proposal, where images and masks have equal names and are mixed up otherwise."""
    card = proposal.card
    if masks is None or card.images or _files(proposal):
        return proposal
    other = replace(proposal, card=replace(card, images=masks.card.images))
    return other if _files(other) else proposal


def _files(proposal: Proposal) -> set[Path]:
    try:
        return {path for entry in entries_of(proposal.card) for path in entry.files}
    except ValueError:  # its question is open, or the error is reported when it is chosen
        return set()


def _options(proposal: Proposal) -> dict[str, dict[str, Any]]:
    """One option for a proposal, or one for each answer of its question."""
    card = proposal.card
    base = {f.name: getattr(card, f.name) for f in fields(Card)}
    label = f"{card.format} ({', '.join(filter(None, (card.annotations, card.masks))) or 'found by content'})"
    if proposal.question is None:
        return {label: base}
    return {f"{label}: {option}": base | dict(changes) for option, changes in proposal.question.options.items()}


def _with_splits(proposal: Proposal) -> Proposal:
    """Where the layout has no validation split, four fifths of the groups are for training and one for validation."""
    card = proposal.card
    try:
        entries = entries_of(card)
        groups = entry_groups(card, entries)
    except ValueError:
        return proposal
    layout = {entry.split for entry in entries}
    pool = [groups[entry.id] for entry in entries if entry.split in TRAIN]
    if card.splits or "val" in layout or len(pool) < 2:
        return proposal
    splits, unit = dict(DIVISION), "groups"
    if len(set(pool)) < 2:
        splits["by"], unit = "image", "images, which are of one group and resemble each other,"
    kind = "no split" if layout <= {""} else "no validation split"
    sentence = (
        f"There is {kind}: 80 % of the {unit} are for training, 20 % for validation; correct splits: if you have one."
    )
    return replace(proposal, card=replace(card, splits=splits), evidence=(*proposal.evidence, sentence))
