"""Stacks of images: TIFF files with several pages, and NIfTI volumes. Each page or slice is one image.

Slices of a NIfTI volume run along its axis of the largest voxel spacing, the last one of several; a slice (x, y) is
read as an image of y rows and x columns.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry, Labels, fields, fitted, listing, to_labels
from seglab.data.formats.joining import pairs_of
from seglab.data.formats.meaning import explain
from seglab.data.formats.pairing import pairings
from seglab.data.formats.pixels import describe_range
from seglab.data.formats.raw import TIFF, grey, integers, tiff_shape, tiff_values
from seglab.data.formats.tables import find
from seglab.data.formats.values import count

_NIFTI = (".nii", ".nii.gz")


def recognise(folder: Path) -> Proposal | None:
    """A card for TIFF stacks or NIfTI volumes that their names pair; None without such pairs.

    Raises:
        ValueError: NIfTI without nibabel; masks that cannot be read as labels.
    """
    files = [path for path in listing(folder, (*TIFF, *_NIFTI))
             if path.lower().endswith(_NIFTI) or tiff_shape(folder / path)[0] > 1]  # fmt: skip
    candidates = [c for c in pairings(files) if c.kind == "maps"]
    if not candidates:
        return None
    best = candidates[0]
    paths = [(folder / pair.masks[0], folder / pair.image) for pair in best.pairs]
    pages = [partial(_loaded, masks, page) for masks, _ in paths for page in range(_pages(masks))]
    found = explain(count(pages), find(folder))
    found.evidence.insert(0, f"{len(paths)} stacks {best.images} have masks {best.masks}, with {len(pages)} pages.")
    describe_range([np.array([(v := volume(image)).min(), v.max()]) for _, image in paths[:20]], found)
    found.changes["unannotated"] = "skip"
    if best.lonely:
        found.note(f"{len(best.lonely)} stacks without masks are left out, such as {best.lonely[0]}.")
    if len(paths) > 1:
        found.note("The pages of a stack are one group.", groups=r"^(.+)/\d+$")
    return found.proposal(Card(folder, format="volumes", images=best.images, masks=best.masks))


def _loaded(path: Path, page: int) -> tuple[NDArray[Any], bool]:
    return integers(volume(path)[page], f"{path}, page {page}"), False


def entries(card: Card) -> list[Entry]:
    """The pages of the stacks that fit the card's patterns, in the order of paths and pages.

    Raises:
        ValueError: no stack fits; a stack and its masks differ in the number of pages or their size.
    """
    found = []
    for pair in pairs_of(card):
        if not pair.masks and card.unannotated == "skip":
            continue
        split, name = fields(pair.values)
        image, masks = card.root / pair.image, tuple(card.root / mask for mask in pair.masks)
        count = _pages(image)
        if masks and _pages(masks[0]) != count:
            raise ValueError(
                f"{image}: {count} pages, and its masks {masks[0].name} have {_pages(masks[0])}; pair them by name"
            )
        for page in range(count):
            key = f"{name}/{page:0{len(str(count - 1))}d}".lstrip("/")
            target = partial(_target, masks, page, card)
            found.append(Entry(key, split, partial(_page, image, page), target, (image, *masks)))
    if not found:
        raise ValueError(f"{card.root}: no stack {card.images} with masks {card.masks}; correct the patterns")
    return found


def _page(path: Path, page: int) -> NDArray[Any]:
    return volume(path)[page]


def _target(masks: Sequence[Path], page: int, card: Card, size: tuple[int, int]) -> Labels:
    if not masks:
        return np.zeros(size, np.uint8)
    name, (values, _) = f"{masks[0]}, page {page}", _loaded(masks[0], page)
    if values.ndim == 3 and not card.colors:
        values = grey(values, name)
    return fitted(to_labels(values, card, name), size, card, name)


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(_NIFTI)


def _pages(path: Path) -> int:
    return len(volume(path)) if _is_nifti(path) else tiff_shape(path)[0]


def volume(path: Path) -> NDArray[Any]:
    """All values of a stack: (pages, H, W) or (pages, H, W, bands). The last four that were read are kept.

    Raises:
        ValueError: a file that cannot be read, or another number of dimensions.
    """
    return _volume(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(4)
def _volume(path: Path, _: int) -> NDArray[Any]:
    values = _nifti(path) if _is_nifti(path) else tiff_values(path)
    if not _is_nifti(path) and tiff_shape(path)[0] == 1:
        values = values[None]
    if values.ndim not in (3, 4):
        raise ValueError(f"{path}: an array of shape {values.shape}; a stack is (pages, height, width)")
    return values


def _nifti(path: Path) -> NDArray[Any]:
    try:
        import nibabel
    except ImportError:
        raise ValueError(f"{path}: NIfTI files need the package nibabel; install it: pip install nibabel") from None
    try:
        image: Any = nibabel.load(path)
        values, zooms = np.asarray(image.dataobj), image.header.get_zooms()
    except Exception as error:  # nibabel raises errors of many types for damaged files
        raise ValueError(f"{path}: cannot be read as NIfTI ({error}); copy or save it again") from error
    values = values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values
    if values.ndim != 3:
        raise ValueError(f"{path}: {values.ndim} dimensions, {values.shape}; save one volume (x, y, z) a file")
    axis = max(range(3), key=lambda k: (round(float(zooms[k]), 4), k))
    return np.moveaxis(values, axis, 0).transpose(0, 2, 1)
