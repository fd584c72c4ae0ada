"""Reading and writing images and masks: exact values, and one sentence for whatever is wrong with a file.

Images become uint8 (3,H,W). Masks keep the numbers that the file holds: a palette PNG is read as
indices, never as colours. Whatever cannot be read faithfully is refused with a ValueError that names the
file, what was found and what to do.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from seglab.classes import IGNORE_INDEX, ClassSet

# Also of files that only some installations of Pillow read: to be named and left out is better than to be overlooked.
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".heic", ".heif"}
)
Source = str | Path | Image.Image | bytes
Picture = Source | NDArray[Any] | Tensor


def read_image(source: Source, upright: bool = True) -> Tensor:
    """Read a photograph, whatever its flavour, as uint8 (3,H,W) RGB in 0–255.

    Grey and palette images become RGB; transparent pixels lie on white; 16-bit values are scaled by
    255/65535; of an animation or a stack the first picture is read.

    Args:
        source: a path, the bytes of a file, or a PIL image.
        upright: turn the image as its EXIF orientation says, as every viewer does. Published data sets
            are read with False: their masks were drawn on the grid that the file stores.

    Raises:
        ValueError: the file is missing, damaged, no image, too large to be trusted, or of a kind whose
            values have no obvious place in 0–255.
    """
    name, image = _decode(source)
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image, name)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())


def to_image(picture: Picture) -> Tensor:
    """Whatever holds a picture, as uint8 (3,H,W) RGB in 0–255: read by `read_image`, arrays and tensors likewise.

    Args:
        picture: a path, the bytes of a file, or a PIL image; or uint8 or uint16, (H,W), (H,W,C) or (C,H,W) with one,
            three or four channels (the fourth is opacity). Where both ends could be channels, they are last in an
            array, first in a tensor.

    Raises:
        ValueError: what `read_image` refuses; floats; a shape that is no picture's.
    """
    if isinstance(picture, str | Path | Image.Image | bytes):
        return read_image(picture)
    held = picture.detach().cpu() if isinstance(picture, Tensor) else np.asarray(picture)
    if str(held.dtype).removeprefix("torch.").lstrip("<>") not in ("uint8", "uint16", "u2"):
        raise ValueError(
            f"the image is {held.dtype}; expected uint8, 0–255 (for floats in 0–1: (image * 255).round(), then"
            f" {'.byte()' if isinstance(picture, Tensor) else '.astype(np.uint8)'})"
        )
    array = np.asarray(held)
    if array.ndim == 3:
        first, last = (array.shape[k] in (1, 3, 4) for k in (0, 2))
        if first and (isinstance(picture, Tensor) or not last):
            array = np.moveaxis(array, 0, -1)
        array = array[..., 0] if array.shape[-1] == 1 else array
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4))):
        raise ValueError(f"the image has shape {tuple(picture.shape)}; expected (H,W,3), (3,H,W) or (H,W)")
    if array.dtype.itemsize == 2:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return read_image(Image.fromarray(np.ascontiguousarray(array)))


def image_paths(given: Iterable[str | Path]) -> list[Path]:
    """The pictures that paths name: files as they are, of a folder all files with the suffix of an image, sorted.

    Raises:
        ValueError: a path that is not there, a folder without pictures, two pictures of one name.
    """
    paths: list[Path] = []
    for path in map(Path, given):
        if not path.exists():
            _read_bytes(path)  # says what is wrong
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        paths += inside
    stems = [path.stem for path in paths]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        where = ", ".join(str(path) for path in paths if path.stem == twice[0])
        raise ValueError(f"several pictures are named {twice[0]!r} ({where}); their results would overwrite each other")
    return paths


def read_mask(source: Source, classes: ClassSet | None = None) -> Tensor:
    """Read the raw labels of a mask, uint8 (H,W): 8- and 1-bit grey as they are, palettes as indices.

    Args:
        classes: with a class set, the error about a mask of colours can say whether they are its colours.

    Raises:
        ValueError: the file holds colours, lossy values, or labels above 255, or cannot be read at all.
    """
    name, image = _decode(source)
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


def slug(text: str) -> str:
    """A name as part of a path: `"toytown:night test"` → `"toytown-night-test"`."""
    return "".join(c if c.isalnum() or c in "._" else "-" for c in text).strip("-.") or "data"


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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what is to lie at `path`. Killed at any moment, this leaves the old file or the new one."""
    unfinished = path.with_name(path.name + ".part")
    yield unfinished
    unfinished.replace(path)


def mask_from_colors(source: Source, classes: ClassSet) -> Tensor:
    """Translate a mask of colours to labels: uint8 (H,W), the void colour becomes 255.

    Raises:
        ValueError: some pixels have a colour that the class set does not have; the error counts them.
    """
    name, image = _decode(source)
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


def _decode(source: Source) -> tuple[str, Image.Image]:
    """The name to use in errors, and the image with all its pixels decoded."""
    name = "the image" if isinstance(source, Image.Image | bytes) else str(source)
    file = source if isinstance(source, Image.Image) else BytesIO(_bytes_of(source))
    try:
        image = file if isinstance(file, Image.Image) else Image.open(file)
        image.load()
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name}: declares more pixels than twice PIL.Image.MAX_IMAGE_PIXELS ({Image.MAX_IMAGE_PIXELS});"
            " if you trust the file, raise that limit"
        ) from error
    except UnidentifiedImageError as error:
        start = file.getvalue()[:16] if isinstance(file, BytesIO) else b""
        raise ValueError(f"{name}: not an image that Pillow reads (it begins with {start!r}); save as PNG") from error
    except Exception as error:  # faced with damaged bytes, decoders raise whatever comes to them
        raise ValueError(f"{name}: damaged or cut off ({error}); copy or download it again") from error
    return name, image


def _bytes_of(source: str | Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else _read_bytes(Path(source))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.iterdir() if p.exists()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, siblings, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; the folder is {path.parent.resolve()}"
        raise ValueError(f"{path}: no such file{hint}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); a readable image file is needed") from error


def _to_8_bits(image: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit values to 8 bits, rounding to the nearest."""
    values = np.array(image)
    low, high = values.min(), values.max()
    if not np.issubdtype(values.dtype, np.integer) or low < 0 or high > 65535:
        raise ValueError(f"{name}: values from {low} to {high} ({values.dtype}); save it with 8 or 16 bits a channel")
    if values.dtype.itemsize > 2 and 0 < high < 256:
        raise ValueError(f"{name}: values from {low} to {high} in 32 bits; save it with 8 bits, or it would be black")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


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
            " seglab.files.mask_from_colors translates them."
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
