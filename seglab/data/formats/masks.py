"""Label maps in files: plain folders, VOC trees, class tables, nnU-Net, MMSegmentation, one file a class or an object.

Images and masks are PNG, JPEG, TIFF, GIF, BMP, WebP, NumPy or MATLAB files that their names pair.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seglab.data.card import Card, Proposal
from seglab.data.classes import IGNORE_INDEX
from seglab.data.formats import pixels
from seglab.data.formats.entries import Entry, Labels, fields, fitted, listing, matches
from seglab.data.formats.findings import Findings
from seglab.data.formats.joining import Pair, join
from seglab.data.formats.meaning import explain
from seglab.data.formats.pairing import SPLITS, Pairing, is_area, pairings, role
from seglab.data.formats.raw import TIFF, grey, load, read_raw, tiff_shape
from seglab.data.formats.shapes import paint
from seglab.data.formats.tables import VOID_NAMES, ClassTable, find
from seglab.data.formats.values import Values, count
from seglab.data.images import IMAGE_SUFFIXES

SUFFIXES = (*sorted(IMAGE_SUFFIXES), ".npy", ".mat")
_LISTS = "ImageSets/Segmentation"  # of PASCAL VOC


def recognise(folder: Path) -> Proposal | None:
    """A card for a folder with images and masks that their names pair; None without such pairs.

    Raises:
        ValueError: masks that cannot be read as labels.
    """
    files = listing(folder, SUFFIXES)
    candidates = [c for c in pairings(files) if _is_labels(folder, c)]
    if not candidates:
        return None
    best = candidates[0]
    card = Card(folder, images=best.images, masks=best.masks)
    masks = [folder / mask for pair in best.pairs for mask in pair.masks]
    table = find(folder)
    counted = count(masks) if best.kind == "maps" else Values()
    found = Findings()
    if best.kind == "maps":
        try:
            found = explain(counted, table, void_is_zero="ann_dir" in best.masks.split("/"))
        except ValueError as error:
            raise ValueError(f"{folder / best.masks}: {error}") from error
    else:
        _several(best, table, found)
    found.evidence.insert(0, f"{len(best.pairs)} images {best.images} have masks {best.masks}.")
    _lists(folder, found)
    _sizes(folder, best.pairs, found)
    pixels.describe([folder / pair.image for pair in best.pairs], found)
    if "{group}" in best.images:
        found.changes["groups"] = "^([^/]+)/"
        found.evidence.append("The images of a folder are one group.")
    asked = _others(folder, best, candidates[1:], found)
    _left([path for path in files if path not in asked], best, candidates, found)
    if best.lonely:
        found.ask(
            f"{len(best.lonely)} images have no mask, such as {best.lonely[0]}. Are they left out, or all background?",
            {"left out": {"unannotated": "skip"}, "background": {"unannotated": "background"}},
        )
    return found.proposal(card)


def _is_labels(folder: Path, pairing: Pairing) -> bool:
    """Whether the masks of a pairing are label maps: by their names, or since they hold few values, the images many."""
    pair = pairing.pairs[0]
    image, mask = folder / pair.image, folder / pair.masks[0]
    if "panoptic" in pairing.masks.lower() or (image.suffix.lower() in (".npy", ".mat") and pairing.likely < 2):
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
        found.changes["names"] = ("background", "object")
        found.evidence.append(
            "Each mask is one object; the name of its class is stated nowhere, so replace it under names:."
        )
        return
    stated = sorted({name for pair in pairing.pairs for name in pair.classes})
    names = table.names if table is not None and set(stated) <= set(table.names) else None
    if names is None:
        background = [name for name in stated if name.strip("_ ").lower() == "background"] or ["background"]
        void = [name for name in stated if name.lower() in VOID_NAMES]
        names = (*background, *(name for name in stated if name not in (*background, *void)))
        found.evidence.append("Pixels of no class are background.")
    found.changes["names"] = names
    found.evidence.append(f"Each mask is one class: {', '.join(stated)}.")


def _lists(folder: Path, found: Findings) -> None:
    lists = {path.stem: f"{_LISTS}/{path.name}" for path in sorted((folder / _LISTS).glob("*.txt"))}
    splits = {SPLITS[stem.lower()]: path for stem, path in lists.items() if stem.lower() in SPLITS}
    if splits:
        found.changes["splits"] = splits
        found.evidence.append(f"{_LISTS} lists the splits {', '.join(splits)}.")


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
    told = [kind for kind in ("stored", "upright") if kinds[kind]]
    if len(told) == 1:
        found.changes["orientation"] = told[0]
        found.evidence.append(f"The sizes of masks fit the {told[0]} images.")
    elif number:
        text = "Some masks fit the stored images and others the upright ones." if told else ""
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
        values = count(folder / mask for mask in sorted(theirs))
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
        ValueError: no image fits; an image without its void mask; two masks fit one image; a name of a class that is
            not in the card.
    """
    root = card.root
    if not card.images or not card.masks:
        raise ValueError(
            f"{root}: the card states no images: or no masks:; state both as patterns, such as images/{{id}}.jpg"
        )
    files = [path.relative_to(root).as_posix() for path in _files(card)]
    pairs = [pair for pair in join(card.images, card.masks, files) if pair.masks or card.unannotated == "background"]
    if not any(pair.masks for pair in pairs):
        number = sum(1 for _ in matches(root, card.images))
        raise ValueError(
            f"{root}: {number} images fit {card.images}, and none has a mask {card.masks}; correct the patterns"
        )
    voids = {pair.image: pair.masks for pair in join(card.images, card.void, files)} if card.void else {}
    if missing := [pair.image for pair in pairs if card.void and not voids.get(pair.image)]:
        raise ValueError(
            f"{root}: {len(missing)} images, such as {missing[0]}, have no file {card.void}; correct void:"
        )
    names = Counter(fields(pair.values)[1] for pair in pairs)
    found = []
    for pair in pairs:
        split, name = fields(pair.values)
        if len(pair.masks) > 1 and "{class}" not in card.masks and "*" not in card.masks.removesuffix(".*"):
            raise ValueError(f"{root}: {pair.image} has two masks, {pair.masks[0]} and {pair.masks[1]}; keep one")
        for label in pair.classes:
            if label and label not in card.names and label.lower() not in VOID_NAMES:
                raise ValueError(f"{root}: {pair.masks[0]} is of class {label!r}, which names: does not list; add it")
        masks = tuple(root / mask for mask in pair.masks)
        void = tuple(root / mask for mask in voids.get(pair.image, ()))
        target = partial(_target, masks, pair.classes, void, card)
        unique = f"{split}/{name}" if names[name] > 1 and split else name
        found.append(Entry(unique, SPLITS.get(split.lower(), split), root / pair.image, target,
                           (root / pair.image, *masks, *void)))  # fmt: skip
    return found


def _files(card: Card) -> list[Path]:
    """All files that fit a pattern of the card, sorted, images only with a suffix that can be one."""
    found = {path for path, _ in matches(card.root, card.images) if path.name.lower().endswith(SUFFIXES)}
    return sorted(found.union(*({path for path, _ in matches(card.root, p)} for p in (card.masks, card.void) if p)))


def _target(
    masks: tuple[Path, ...], classes: tuple[str, ...], voids: tuple[Path, ...], card: Card, size: tuple[int, int]
) -> Labels:
    """Class indices of an image of this size (H, W)."""
    separate = "{class}" in card.masks or "*" in card.masks.removesuffix(".*")
    if not separate and masks:
        labels = fitted(read_raw(masks[0], card), size, card, masks[0])
    else:
        painted = [(_index(label, card), _inside(path, size, card)) for path, label in zip(masks, classes, strict=True)]
        labels = paint(painted, size, card.overlaps)
    for path in voids:
        labels = np.where(_inside(path, size, card), labels, np.uint8(IGNORE_INDEX))
    return labels


def _index(label: str, card: Card) -> int:
    if not label:
        return 1
    return card.names.index(label) if label in card.names else IGNORE_INDEX


def _inside(path: Path, size: tuple[int, int], card: Card) -> Any:
    """The pixels of a binary mask, bool (H, W): above 0, or from the threshold (128 in a lossy file)."""
    values, lossy = load(path)
    values = grey(values, path) if values.ndim == 3 else values
    threshold = card.threshold if card.threshold is not None else 128 if lossy else 1
    return fitted((values >= threshold).astype(np.uint8), size, card, path) > 0
