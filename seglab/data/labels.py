"""Reading and writing images and masks: exact values, and one sentence for whatever is wrong with a file.

Images become uint8 (3,H,W). Masks keep the numbers that the file holds: a palette PNG is read as
indices, never as colours. Whatever cannot be read faithfully is refused with a ValueError that names the
file, what was found and what to do.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.images import Source, decode


def read_mask(source: Source, classes: ClassSet | None = None) -> Tensor:
    """Read the raw labels of a mask, uint8 (H,W): 8- and 1-bit grey as they are, palettes as indices.

    Args:
        classes: with a class set, the error about a mask of colours can say whether they are its colours.

    Raises:
        ValueError: the file holds colours, lossy values, or labels above 255, or cannot be read at all.
    """
    name, image = decode(source)
    if image.format == "JPEG":
        raise ValueError(f"{name}: a JPEG changes values a little, so its labels are not exact; save masks as PNG")
    if image.mode in ("1", "L", "P"):
        return torch.from_numpy(np.array(image).astype(np.uint8))
    values = np.array(image)
    if values.ndim == 2 and np.issubdtype(values.dtype, np.integer):
        if values.min() < 0 or values.max() > 255:
            raise ValueError(
                f"{name}: labels from {values.min()} to {values.max()}; a mask holds labels from 0 to 255"
                " (is this an instance map or a depth map?)"
            )
        return torch.from_numpy(values.astype(np.uint8))
    raise ValueError(f"{name}: expected one label a pixel, found mode {image.mode}. {_about_colors(image, classes)}")


def write_mask(path: str | Path | BinaryIO, mask: Tensor, classes: ClassSet, about: str = "") -> None:
    """Write a mask, integer (H,W), as a PNG of class indices with the classes' palette: `read_mask` gives it back.

    Args:
        about: how it was made; the file keeps it beside its pixels, as the text "seglab".
    """
    image = Image.fromarray(mask.cpu().numpy().astype(np.uint8))
    image.putpalette(classes.palette.tobytes())
    texts = PngInfo()
    if about:
        texts.add_text("seglab", about)
    image.save(path, format="PNG", pnginfo=texts)


def mask_from_colors(source: Source, classes: ClassSet) -> Tensor:
    """Translate a mask of colours to labels: uint8 (H,W), the void colour becomes 255.

    Raises:
        ValueError: some pixels have a colour that the class set does not have; the error counts them.
    """
    name, image = decode(source)
    codes = _color_codes(image)
    table = {_code(classes.void_color): IGNORE_INDEX} | {_code(c): i for i, c in enumerate(classes.colors)}
    found, inverse = np.unique(codes, return_inverse=True)
    strange = np.array([code not in table for code in found])
    if strange.any():
        pixels = int(strange[inverse].sum())
        raise ValueError(
            f"{name}: {pixels} pixels have a colour that class set {classes.name!r} does not have, such as"
            f" #{found[strange][0]:06x}; smooth edges and JPEG blur colours, draw masks without either"
        )
    labels = np.array([table[int(code)] for code in found], np.uint8)
    return torch.from_numpy(labels[inverse].reshape(codes.shape))


def check_mask(mask: Tensor, classes: ClassSet, path: str | Path) -> None:
    """Make sure that every label is a class index or 255 (void).

    Raises:
        ValueError: lists the labels that `classes` does not have with their pixel counts, and recognises
            the two usual reasons: a binary mask saved as 0/255, and labels that count from one. A mask of
            0 and 255 alone is refused for a set of two classes, where it would make the second class void.
    """
    counts = _label_counts(mask)
    if len(classes) == 2 and set(counts) == {0, 255}:
        raise ValueError(f"{path}: {about_0_255(classes)}")
    foreign = {label: n for label, n in counts.items() if len(classes) <= label != IGNORE_INDEX}
    if foreign:
        hint = "Give labels={raw: index, …} to translate them, or another class set."
        if list(foreign) == [len(classes)]:
            hint = (
                f"Do the labels count from 1? Then give labels={{1: 0, …, {len(classes)}: {len(classes) - 1}, 0: 255}}."
            )
        raise ValueError(
            f"{path}: {_listed(foreign)} not in class set {classes.name!r}"
            f" (0–{len(classes) - 1}, and 255 for void). {hint}"
        )


def relabel(mask: Tensor, labels: Mapping[int, int], path: str | Path) -> Tensor:
    """Translate raw labels to class indices, uint8 (H,W) → uint8 (H,W).

    Args:
        labels: raw label → class index or 255, for every raw label that may occur.

    Raises:
        ValueError: the mask holds labels that `labels` does not mention; it lists them with pixel counts.
    """
    foreign = {label: n for label, n in _label_counts(mask).items() if label not in labels}
    if foreign:
        known = ", ".join(str(label) for label in sorted(labels))
        raise ValueError(f"{path}: {_listed(foreign)} without a meaning here; the known ones are {known}")
    table = np.zeros(256, np.uint8)
    table[list(labels)] = list(labels.values())
    return torch.from_numpy(table[mask.numpy()])


def check_pair(image: Tensor, target: Tensor, name: str | Path) -> None:
    """Make sure that image (3,H,W) and target (H,W) cover the same pixels."""
    size, expected = tuple(target.shape), tuple(image.shape[-2:])
    if size != expected:
        turned = size == expected[::-1]
        hint = "one of them ignores the EXIF orientation of the photograph" if turned else "pair them by file name"
        raise ValueError(f"{name}: the image is {_by(expected)} pixels (height × width), its mask {_by(size)}; {hint}")


def about_0_255(classes: ClassSet) -> str:
    """What to do about masks that hold nothing but 0 and 255."""
    return (
        "a binary mask saved as 0/255. Here 255 means void, so only"
        f" {classes.names[0]!r} would ever be counted. Give labels={{0: 0, 255: 1}} if 255 is {classes.names[1]!r},"
        " or labels={0: 0, 255: 255} if those pixels really are void."
    )


def _about_colors(image: Image.Image, classes: ClassSet | None) -> str:
    """A guess at what a mask of several channels is, and what to do about it."""
    rgb = np.array(image.convert("RGB"))
    if (rgb == rgb[..., :1]).all():
        return "All channels are equal: save it as 8-bit grey (PIL mode L)."
    codes = np.unique(_color_codes(image))
    ours = {_code(c) for c in (*classes.colors, classes.void_color)} if classes else set()
    if classes and ours.issuperset(codes.tolist()):
        return (
            f"All of its {len(codes)} colours belong to class set {classes.name!r}:"
            " seglab.data.labels.mask_from_colors translates them."
        )
    return f"It has {len(codes)} distinct colours: save class indices as a palette or 8-bit grey PNG."


def _color_codes(image: Image.Image) -> NDArray[np.int64]:
    """Each pixel's 0xRRGGBB, (H,W)."""
    rgb = np.array(image.convert("RGB")).astype(np.int64)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def _code(color: Iterable[int]) -> int:
    red, green, blue = color
    return red << 16 | green << 8 | blue


def _label_counts(mask: Tensor) -> dict[int, int]:
    """Label → pixels, for the labels that occur."""
    counts = np.bincount(mask.numpy().ravel(), minlength=256)
    return {int(label): int(counts[label]) for label in counts.nonzero()[0]}


def _listed(counts: Mapping[int, int]) -> str:
    """`{12: 3, 13: 1}` → `"labels 12 (3 pixels), 13 (1 pixel)"`, at most ten of them."""
    words = [f"{label} ({n} pixel{'s' * (n > 1)})" for label, n in list(counts.items())[:10]]
    more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
    return f"label{'s' * (len(counts) > 1)} {', '.join(words)}{more}"


def _by(size: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in size)


def check_labels(target: Tensor, num_classes: int) -> None:
    """Raise a ValueError that names the labels which are neither void nor one of `num_classes` classes.

    Without it a GPU stops at such a label with an assertion that names neither the label nor the line.
    """
    strange = (target < 0) | (target >= num_classes) & (target != IGNORE_INDEX)
    if strange.any():
        found = target[strange].unique()[:8].tolist()
        raise ValueError(
            f"labels {found} are neither void ({IGNORE_INDEX}) nor one of the {num_classes} classes"
            f" 0 … {num_classes - 1}; is the mask from another class set?"
        )


def labels_outside(name: str, labels: list[int], num_classes: int, ignore_index: int) -> ValueError:
    hint = ""
    if name == "target" and labels == [255]:
        hint = "; a binary mask saved as 0/255, or void that is not 255 here? pass the ignore_index of the data"
    elif labels == [num_classes]:
        hint = "; do the labels start at 1 instead of 0?"
    return ValueError(
        f"the {name} has labels {labels[:10]} outside 0 … {num_classes - 1} (void is {ignore_index}){hint}"
    )
