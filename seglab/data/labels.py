"""Label maps: read and write them, translate raw labels and colours, and the one check of labels.

Masks keep the numbers that the file holds: a palette PNG is read as indices, never as colours.
"""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.images import Source, decode, enough_memory

LOSSY = frozenset({"JPEG", "MPO", "AVIF", "HEIF", "JPEG2000"})  # some store exact values too, without saying so
_LOSSLESS = frozenset({  # compressions of TIFF and WebP
    "raw", "tiff_ccitt", "group3", "group4", "tiff_lzw", "tiff_adobe_deflate", "tiff_raw_16", "packbits",
    "tiff_deflate", "lzma", "zstd", "VP8L",
})  # fmt: skip


def read_mask(source: Source, classes: ClassSet | None = None) -> Tensor:
    """Read the raw labels of a mask, uint8 (H,W): 8- and 1-bit grey as they are, palettes as indices.

    Args:
        classes: only for the error about an RGB mask, which then states whether its colours are those of this set.

    Raises:
        ValueError: the file cannot be read, is compressed with loss, holds colours, or holds labels outside 0–255.
    """
    name, image = decode(source)
    _check_exact(image, name)
    with enough_memory(name):
        values = stored_values(image)
        if image.mode not in ("1", "L", "P"):
            if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer):
                hint = _about_colors(image, classes)
                raise ValueError(f"{name}: expected one label per pixel, found mode {image.mode}. {hint}")
            if (low := values.min()) < 0 or values.max() > 255:
                found = f"labels from {low} to {values.max()}"
                raise ValueError(f"{name}: {found}; a mask holds 0 to 255 (is this an instance map or a depth map?)")
        return torch.from_numpy(values.astype(np.uint8))


def stored_values(image: Image.Image) -> NDArray[Any]:
    """The numbers that a file stores: (H,W), or (H,W,bands) for colours.

    Pillow scales grey with fewer than 8 bits to 0–255 and inverts TIFF files whose 0 is white. For label maps both are
    undone.

    Args:
        image: as `data.images.decode` returns it.
    """
    values = np.array(image)
    raw, *other = image.info.get("raw") or ("",)
    if image.mode not in ("1", "L", "I") or not isinstance(raw, str):
        return values
    brightest = {"1": 1, "L": 255, "I": 65535}[image.mode]  # that Pillow scales the brightest stored grey to
    stored = other[0] if image.format == "PPM" and other else 3 if ";2" in raw else 15 if ";4" in raw else brightest
    if raw.partition(";")[2].rstrip("R").endswith("I"):
        values = brightest - values.astype(np.int32)
    return values if stored == brightest else (values.astype(np.int64) * stored + brightest // 2) // brightest


def is_lossy(image: Image.Image) -> bool:
    """Whether the file of a decoded image may hold other values than were saved: its compression loses some."""
    return image.format in LOSSY or _compression(image) not in _LOSSLESS


def _compression(image: Image.Image) -> str:
    return image.info.get("compression", "") if image.format in ("TIFF", "WEBP") else "raw"


def _check_exact(image: Image.Image, name: str) -> None:
    if is_lossy(image):
        kind = image.format if image.format in LOSSY else f"{image.format} with {_compression(image)}"
        raise ValueError(f"{name}: {kind} compression changes values, so its labels are not exact; save masks as PNG")


def write_mask(path: str | Path | BinaryIO, mask: Tensor, classes: ClassSet, about: str = "") -> None:
    """Write a mask, integer (H,W), as a PNG of class indices with the classes' palette; `read_mask` returns it.

    Args:
        about: a text about its origin, stored in the file under the key "seglab".
    """
    image = Image.fromarray(mask.cpu().numpy().astype(np.uint8))
    image.putpalette(classes.palette.tobytes())
    texts = PngInfo()
    if about:
        texts.add_text("seglab", about)
    image.save(path, format="PNG", pnginfo=texts)


def mask_from_colors(source: Source, classes: ClassSet) -> Tensor:
    """Translate an RGB mask to labels, uint8 (H,W); the void colour becomes 255.

    Raises:
        ValueError: some pixels have a colour that is not in the class set; the message counts them.
    """
    name, image = decode(source)
    _check_exact(image, name)
    colors = color_codes([classes.void_color, *classes.colors]).tolist()
    labels = dict(zip(colors, [IGNORE_INDEX, *range(len(classes))], strict=True))
    codes = color_codes(image.convert("RGB"))
    found, inverse = np.unique(codes, return_inverse=True)
    foreign = np.array([code not in labels for code in found])
    if foreign.any():
        raise ValueError(
            f"{name}: {foreign[inverse].sum()} pixels have a colour that is not in class set {classes.name!r}, such as"
            f" #{found[foreign][0]:06x}; anti-aliasing and JPEG blur colours, so save masks without either"
        )
    return torch.from_numpy(np.array([labels[code] for code in found], np.uint8)[inverse].reshape(codes.shape))


def check_labels(
    labels: Tensor,
    classes: ClassSet | int,
    name: str | Path,
    ignore_index: int | None = IGNORE_INDEX,
    pixels: Tensor | None = None,
) -> None:
    """Raise a ValueError unless each label is a class index, 0 … K−1, or `ignore_index` (void).

    The message lists the other labels with their pixel counts, and suggests the usual causes. On a GPU, this check
    replaces a device-side assertion that reports neither the label nor the line.

    Args:
        labels: integers of any shape.
        classes: a class set, or the number K of classes.
        name: what holds the labels, for the message: a path, "the target", "the prediction".
        ignore_index: None where void is not allowed.
        pixels: the number of pixels of each entry of `labels`, where labels are counted already; by default 1.
    """
    count = classes if isinstance(classes, int) else len(classes)
    if labels.dtype in (torch.uint16, torch.uint32, torch.uint64):  # torch compares none of these
        labels = labels.long()
    if pixels is None and labels.numel():
        low, high = torch.stack(torch.aminmax(labels)).tolist()
        if low >= 0 and high < count:  # one pass over the pixels suffices
            return
    outside = (labels < 0) | (labels >= count)
    if ignore_index is not None:
        outside &= labels != ignore_index
    if pixels is not None:
        outside &= pixels > 0
    if not outside.any():
        return
    zero = bool(((labels == 0) if pixels is None else (labels == 0) & (pixels > 0)).any())
    if pixels is None:
        found, pixels = labels[outside].unique(return_counts=True)
    else:
        found, pixels = labels[outside], pixels[outside]
    if found.tolist() == [255]:
        hint = "Is it a binary mask saved as 0/255? Or is 255 void, and ignore_index=255 is missing?"
    elif found.tolist() == [count]:
        start = f"0 occurs too, so are there {count + 1} classes? Then add the missing one. Or is 0 void, and d" * zero
        translation = f"{{1: 0, …, {count}: {count - 1}, 0: 255}}"
        hint = f"{start or 'D'}o the labels count from 1? Then translate the mask with labels={translation}."
    else:
        hint = "Are they labels of another class set? Use it, or translate the mask with labels={raw: index, …}."
    of_set = "" if isinstance(classes, int) else f" of {classes.name!r}"
    void = "" if ignore_index is None else f"; void is {ignore_index}"
    listed = _listed(dict(zip(found.tolist(), pixels.tolist(), strict=True)))
    raise ValueError(
        f"{name} has {listed} outside the {count} class{'es' * (count > 1)}{of_set} (0…{count - 1}{void}). {hint}"
    )


def check_mask(mask: Tensor, classes: ClassSet, path: str | Path) -> None:
    """`check_labels` of a mask from a file, uint8 (H,W).

    Raises:
        ValueError: a label outside the class set; for a set of two classes also a mask of only 0 and 255, which is
            a binary mask saved as 0/255, and would make every pixel of the second class void.
    """
    pixels = mask.flatten().bincount(minlength=256)
    if len(classes) == 2 and pixels.nonzero().flatten().tolist() == [0, 255]:
        raise ValueError(f"{path}: {about_0_255(classes)}")
    check_labels(torch.arange(256), classes, path, pixels=pixels)


def check_translation(labels: Mapping[int, int], classes: ClassSet) -> None:
    """Raise a ValueError unless `labels` translates raw labels, 0–255, to class indices or 255.

    A pixel of an index without a class would be counted nowhere: it is neither a class nor void.
    """
    for raw, target in labels.items():
        if not isinstance(raw, Integral) or not 0 <= raw <= 255:
            raise ValueError(f"labels= has the raw label {raw!r}; expected whole numbers from 0 to 255")
        if not isinstance(target, Integral) or target not in (*range(len(classes)), IGNORE_INDEX):
            raise ValueError(
                f"labels= translates {raw} to {target!r}, which is no class of {classes.name!r}; expected an index from"
                f" 0 to {len(classes) - 1}, or {IGNORE_INDEX} for void"
            )


def relabel(mask: Tensor, labels: Mapping[int, int], path: str | Path, classes: ClassSet) -> Tensor:
    """Translate raw labels to class indices, uint8 (H,W) → uint8 (H,W).

    Args:
        labels: raw label → index in `classes` or 255, for every raw label that may occur.

    Raises:
        ValueError: the mask holds labels that `labels` does not list; the message gives their pixel counts. Or `labels`
            leads to no class, see `check_translation`.
    """
    check_translation(labels, classes)
    pixels = enumerate(mask.flatten().bincount(minlength=256).tolist())
    missing = {label: n for label, n in pixels if n and label not in labels}
    if missing:
        listed = ", ".join(str(label) for label in sorted(labels))
        lists = f"labels={{raw: index, …}} lists only {listed}"
        raise ValueError(f"{path} has {_listed(missing)}, but {lists}; add the class index of each, or 255 for void")
    table = np.zeros(256, np.uint8)
    table[list(labels)] = list(labels.values())
    return torch.from_numpy(table[mask.numpy()])


def check_pair(image: Tensor, target: Tensor, name: str | Path) -> None:
    """Raise a ValueError unless image (3,H,W) and target (H,W) have the same height and width."""
    size, expected = tuple(target.shape), tuple(image.shape[-2:])
    if size != expected:
        turned = size == expected[::-1]
        hint = "one of them ignores the EXIF orientation of the photograph" if turned else "pair them by file name"
        image_size, mask_size = (" × ".join(map(str, shape)) for shape in (expected, size))
        raise ValueError(f"{name}: the image is {image_size} pixels (height × width), its mask {mask_size}; {hint}")


def about_0_255(classes: ClassSet) -> str:
    """The remedy for masks that hold only 0 and 255."""
    return (
        "a binary mask saved as 0/255. In seglab 255 means void, so only"
        f" {classes.names[0]!r} would be counted. Give labels={{0: 0, 255: 1}} if 255 is {classes.names[1]!r},"
        " or labels={0: 0, 255: 255} if those pixels really are void."
    )


def _about_colors(image: Image.Image, classes: ClassSet | None) -> str:
    """What a mask with several channels probably is, and the remedy."""
    rgb = np.array(image.convert("RGB"))
    if (rgb == rgb[..., :1]).all():
        return "All channels are equal: save it as 8-bit grey (PIL mode L)."
    codes = np.unique(color_codes(rgb))
    if classes and np.isin(codes, color_codes([*classes.colors, classes.void_color])).all():
        remedy = "seglab.data.labels.mask_from_colors translates them."
        return f"All of its {len(codes)} colours belong to class set {classes.name!r}: {remedy}"
    return f"It has {len(codes)} distinct colours: save class indices as a palette or 8-bit grey PNG."


def color_codes(rgb: Any) -> NDArray[np.int64]:
    """Colours (…,3) → 0xRRGGBB (…)."""
    channels = np.asarray(rgb).astype(np.int64)
    return channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]


def _listed(pixels: Mapping[int, int]) -> str:
    """`{12: 3, 13: 1}` → `"labels 12 (3 pixels), 13 (1 pixel)"`; at most ten labels."""
    first = ", ".join(f"{label} ({n} pixel{'s' * (n > 1)})" for label, n in list(pixels.items())[:10])
    more = f" and {len(pixels) - 10} more" if len(pixels) > 10 else ""
    return f"label{'s' * (len(pixels) > 1)} {first}{more}"
