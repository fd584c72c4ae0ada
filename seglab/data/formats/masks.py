"""Label maps in files: plain folders, VOC trees, class tables, nnU-Net, MMSegmentation, one file a class or an object.

Images and masks are PNG, JPEG, TIFF, GIF, BMP, WebP, NumPy or MATLAB files that their names pair.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seglab.data.card import VOID, Card, Proposal
from seglab.data.classes import CITYSCAPES_IDS, CLASS_SETS, IGNORE_INDEX
from seglab.data.formats import pixels
from seglab.data.formats.entries import SPLITS, Entry, Labels, fields, fitted, listing
from seglab.data.formats.findings import Findings
from seglab.data.formats.joining import Pair, is_separate, pairs_of
from seglab.data.formats.meaning import explain
from seglab.data.formats.pairing import Pairing, is_area, pairings, role
from seglab.data.formats.raw import TIFF, inside, load, read_raw, tiff_shape
from seglab.data.formats.shapes import paint
from seglab.data.formats.tables import VOID_NAMES, ClassTable, find
from seglab.data.formats.values import Values, count
from seglab.data.images import IMAGE_SUFFIXES

SUFFIXES = (*sorted(IMAGE_SUFFIXES), ".npy", ".mat")
_LISTS = "ImageSets/Segmentation"  # of PASCAL VOC
_IDS = "_labelIds.png"  # of Cityscapes
_FIELDS = [f.name for f in dataclasses.fields(Card) if f.name not in ("root", "name", "format", "splits")]


def recognise(folder: Path) -> Proposal | None:
    """A card for a folder with images and masks that their names pair; None without such pairs.

    Raises:
        ValueError: masks that cannot be read as labels.
    """
    files = listing(folder, SUFFIXES)
    candidates = [c for c in pairings(files) if _is_labels(folder, c)]
    if not candidates:
        return None
    # Beside the ids, Cityscapes has the same labels as training ids and as colours.
    best = next((c for c in candidates if c.masks.endswith(_IDS)), candidates[0])
    found = _described(folder, best)
    parts = [c for c in candidates if _apart(c, best)]
    asked = {path for c in parts for pair in c.pairs for path in (pair.image, *pair.masks)}
    if parts:
        cards = [
            _described(folder, c).proposal(Card(folder, images=c.images, masks=c.masks)).card for c in (best, *parts)
        ]
        options = {c.images.partition("/")[0]: {k: getattr(c, k) for k in _FIELDS} for c in cards}
        found.ask(f"{len(cards)} folders hold images and masks of their own. Which one is the data set?", options)
    elif not best.masks.endswith(_IDS):
        asked = _others(folder, best, candidates[1:], found)
    _left([path for path in files if path not in asked], best, candidates, found)
    if best.lonely:
        found.ask(
            f"{len(best.lonely)} images have no mask, such as {best.lonely[0]}. Are they left out, or all background?",
            {"left out": {"unannotated": "skip"}, "background": {"unannotated": "background"}},
        )
    return found.proposal(Card(folder, images=best.images, masks=best.masks))


def _described(folder: Path, pairing: Pairing) -> Findings:
    """What the masks and images of one pairing show."""
    masks = [folder / mask for pair in pairing.pairs for mask in pair.masks]
    table, found = find(folder), Findings()
    if pairing.kind == "maps":
        counted = count(masks)
        try:
            found = _cityscapes(counted) if pairing.masks.endswith(_IDS) else Findings()
            found = found if found.changes else explain(counted, table, "ann_dir" in pairing.masks.split("/"))
        except ValueError as error:
            raise ValueError(f"{folder / pairing.masks}: {error}") from error
    else:
        _several(pairing, table, found)
    found.evidence.insert(0, f"{len(pairing.pairs)} images {pairing.images} have masks {pairing.masks}.")
    _lists(folder, found)
    _sizes(folder, pairing.pairs, found)
    pixels.describe([folder / pair.image for pair in pairing.pairs], found)
    if "{group}" in pairing.images:
        found.note("The images of a folder are one group.", groups="^([^/]+)/")
    return found


def _cityscapes(values: Values) -> Findings:
    """The classes of Cityscapes where masks hold its ids (7 to 33 are evaluated), as cityscapesScripts has them."""
    found, classes = Findings(), CLASS_SETS["cityscapes"]
    if (
        not values.colors
        and set(values.numbers) <= {-1, IGNORE_INDEX, *CITYSCAPES_IDS}
        and max(values.numbers, default=0) >= 7
    ):
        labels = {label: VOID if k == IGNORE_INDEX else k for label, k in CITYSCAPES_IDS.items()}
        sentence = f"The masks hold the ids of Cityscapes: {len(classes)} of them are classes, the others are void."
        colors = dict(zip(classes.names, classes.colors, strict=True))
        found.note(sentence, names=classes.names, labels=labels, colors=colors)
    return found


def _apart(other: Pairing, best: Pairing) -> bool:
    """Whether another folder beside that of a pairing holds images and masks under equal names."""
    first, second = best.images.partition("/")[0], other.images.partition("/")[0]
    expected = [p.replace(f"{first}/", f"{second}/", 1) for p in (best.images, best.masks)]
    return first != second and best.masks.startswith(f"{first}/") and [other.images, other.masks] == expected


def _is_labels(folder: Path, pairing: Pairing) -> bool:
    """Whether the masks of a pairing are label maps: by their names, or since they hold few values, the images many."""
    pair = pairing.pairs[0]
    image, mask = folder / pair.image, folder / pair.masks[0]
    if re.search("panoptic|instanceIds", pairing.masks) or (
        image.suffix.lower() in (".npy", ".mat") and pairing.likely < 2
    ):
        return False
    if {image.suffix.lower(), mask.suffix.lower()} <= TIFF and tiff_shape(mask)[0] > 1:
        return False  # a stack
    if pairing.likely >= 2 or role(pairing.masks) == "mask":
        return True
    try:
        different = [len(np.unique(load(path)[0])) for path in (mask, image)]
    except ValueError:
        return False
    return different[0] <= 64 and 4 * different[0] <= different[1]


def _several(pairing: Pairing, table: ClassTable | None, found: Findings) -> None:
    """The classes of masks of one class or one object a file."""
    if pairing.kind == "objects":
        sentence = "Each mask is one object; the name of its class is stated nowhere, so replace it under names:."
        found.note(sentence, names=("background", "object"))
        return
    stated = sorted({name for pair in pairing.pairs for name in pair.classes})
    if table is None or not set(stated) <= set(table.names):
        background = [name for name in stated if name.strip("_ ").lower() == "background"] or ["background"]
        void = [name for name in stated if name.lower() in VOID_NAMES]
        names = (*background, *(name for name in stated if name not in (*background, *void)))
        found.note("Pixels of no class are background.", names=names)
    else:
        found.changes["names"] = table.names
    found.note(f"Each mask is one class: {', '.join(stated)}.")


def _lists(folder: Path, found: Findings) -> None:
    lists = {path.stem: f"{_LISTS}/{path.name}" for path in sorted((folder / _LISTS).glob("*.txt"))}
    if splits := {SPLITS[stem.lower()]: path for stem, path in lists.items() if stem.lower() in SPLITS}:
        found.note(f"{_LISTS} lists the splits {', '.join(splits)}.", splits=splits)


def _sizes(folder: Path, pairs: Sequence[Pair], found: Findings) -> None:
    """`orientation` and `size`, as the sizes of images and masks state them."""
    kinds = Counter[str]()
    rotated = Counter[int]()
    for pair in pairs[:: -(-len(pairs) // 500) or 1]:
        size, orientation = pixels.sizes(folder / pair.image)
        suffix = Path(pair.masks[0]).suffix.lower()
        mask = (
            load(folder / pair.masks[0])[0].shape[:2] if suffix == ".mat" else pixels.sizes(folder / pair.masks[0])[0]
        )
        upright = pixels.turned(size, orientation)
        rotated[orientation] += orientation != 1
        if mask != size and mask != upright:
            kinds["size"] += 1
        elif size != upright:
            kinds["stored" if mask == size else "upright"] += 1
    number = sum(rotated.values())
    if number:
        listed = ", ".join(f"{n} with orientation {k}" for k, n in sorted(rotated.items()) if n)
        found.evidence.append(f"{number} images have an EXIF orientation other than 1: {listed}.")
    fitting = [kind for kind in ("stored", "upright") if kinds[kind]]
    if len(fitting) == 1:
        found.note(f"The sizes of masks fit the {fitting[0]} images.", orientation=fitting[0])
    elif number:
        text = "Some masks fit the stored images and others the upright ones." if fitting else ""
        found.ask(
            f"{text} Were the masks drawn on the images as stored, or upright as viewers show them?".strip(),
            {kind: {"orientation": kind} for kind in ("upright", "stored")},
        )
    if kinds["size"]:
        found.ask(
            f"{kinds['size']} masks have another size than their image. Are they to be upsampled (nearest-exact)?",
            {"upsample": {"size": "upsample"}, "refuse them": {"size": "equal"}},
        )


def _others(folder: Path, best: Pairing, candidates: Sequence[Pairing], found: Findings) -> set[str]:
    """Ask which are the masks where images have others (a field of view, a second annotation); return all of them."""
    ours = {mask for pair in best.pairs for mask in pair.masks}
    meanings: dict[str, dict[str, Any]] = {best.masks: {}}
    areas: list[str] = []
    for other in candidates:
        theirs = {mask for pair in other.pairs for mask in pair.masks}
        masks = _same_ids(best.images, other)
        if other.likely < 2 or not masks or theirs & ours or {best.kind, other.kind} != {"maps"}:
            continue
        ours |= theirs
        values = count([folder / mask for mask in sorted(theirs)])
        meanings[masks] = explain(values, find(folder)).changes
        if len(values.numbers) == 2 and not values.colors and is_area(masks, best.images):
            areas.append(masks)
    if len(meanings) == 1:
        return set()
    options: dict[str, dict[str, Any]] = {}
    for void in (*areas, ""):
        for masks, changes in meanings.items():
            if not (void and masks in areas):
                label = f"{masks}, not evaluated where {void} is 0" if void else masks
                options[label] = {**changes, "masks": masks, "void": void}
    found.ask("The images have several masks. Which hold the classes?", options)
    return ours


def _left(files: Sequence[str], best: Pairing, candidates: Sequence[Pairing], found: Findings) -> None:
    """State which files no pattern explains, so that none is lost without notice."""
    used = {path for pair in best.pairs for path in (pair.image, *pair.masks)} | set(best.lonely)
    others = {mask for other in candidates for pair in other.pairs for mask in pair.masks} & set(files)
    left = [path for path in files if path not in used | others]
    if left:
        found.evidence.append(f"{len(left)} other files are not read, such as {left[0]}.")
    if unused := sorted(others - used):
        found.evidence.append(f"{len(unused)} files of other masks are not read, such as {unused[0]}.")


def _same_ids(images: str, other: Pairing) -> str:
    """The masks of another pairing with the ids of the pattern `images`; "" for other images."""
    (start, _, end), (other_start, _, other_end) = (p.partition("{id}") for p in (images, other.images))
    if "{id}" in end or not start.startswith(other_start) or not end.endswith(other_end):
        return ""
    within = f"{start[len(other_start) :]}{{id}}{end[: len(end) - len(other_end)]}"
    return other.masks.replace("{id}", within)


def entries(card: Card) -> list[Entry]:
    """The images that fit the card's patterns, with their masks, in the order of their paths.

    Raises:
        ValueError: no image fits; two masks fit one image; a name of a class that is not in the card.
    """
    root, every = card.root, pairs_of(card, SUFFIXES)
    pairs = [pair for pair in every if pair.masks or card.unannotated == "background"]
    if not any(pair.masks for pair in pairs):
        raise ValueError(
            f"{root}: {len(every)} images fit {card.images}, and none has a mask {card.masks}; correct the patterns"
        )
    names = Counter(fields(pair.values)[1] for pair in pairs)
    found = []
    for pair in pairs:
        split, name = fields(pair.values)
        for label in pair.classes:
            if label and label not in card.names and label.lower() not in VOID_NAMES:
                raise ValueError(f"{root}: {pair.masks[0]} is of class {label!r}, which names: does not list; add it")
        masks = tuple(root / mask for mask in pair.masks)
        unique = f"{split}/{name}" if names[name] > 1 and split else name
        target = partial(_target, masks, pair.classes, card)
        found.append(Entry(unique, split, root / pair.image, target, (root / pair.image, *masks)))
    return found


def _target(masks: tuple[Path, ...], classes: tuple[str, ...], card: Card, size: tuple[int, int]) -> Labels:
    """Class indices of an image of this size (H, W)."""
    if masks and not is_separate(card.masks):
        return fitted(read_raw(masks[0], card), size, card, masks[0])
    painted = [(_index(label, card), inside(path, size, card)) for path, label in zip(masks, classes, strict=True)]
    return paint(painted, size, card.overlaps)


def _index(label: str, card: Card) -> int:
    return 1 if not label else card.names.index(label) if label in card.names else IGNORE_INDEX
