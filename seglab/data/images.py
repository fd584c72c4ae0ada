"""Reading images of any kind as uint8 (3,H,W).

An image that cannot be read exactly is refused with a ValueError: the file, what was found, and what to do.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

# Includes formats that some builds of Pillow cannot read, so that such files raise an error instead of being skipped.
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".heic", ".heif"}
# The only formats that are opened: Pillow knows others, and starts another program for PostScript, for example.
FORMATS = ("PNG", "JPEG", "MPO", "BMP", "TIFF", "WEBP", "GIF", "AVIF", "HEIF", "JPEG2000", "PPM")
Source = str | Path | Image.Image | bytes
Picture = Source | NDArray[Any] | Tensor
_STRIP = 1 << 20  # pixels that are converted at once, so that a large photograph is not in memory several times
_ORIENTATION = 0x0112  # EXIF tag
_TURNS = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), start=2))  # fmt: skip


def read_image(source: Source, upright: bool = True) -> Tensor:
    """Read an image as uint8 (3,H,W) RGB in 0–255.

    Grey and palette images become RGB, transparent pixels are blended with white, 16-bit values are scaled by
    255/65535, and only the first page of an animation or a stack is read.

    Args:
        source: a path, the bytes of a file, or a PIL image.
        upright: rotate the image by its EXIF orientation, as viewers do. Published data sets are read with False,
            because their masks have the pixels as stored.

    Raises:
        ValueError: the file is missing, damaged, no image, a possible decompression bomb, larger than the free memory,
            or its values have no obvious meaning in 0–255.
    """
    name, image = decode(source)
    with enough_memory(name):
        image = turned_upright(image) if upright else image
        if image.mode.startswith(("I", "F")):
            image = _to_8_bits(image, name)
        pixels = np.empty((3, image.height, image.width), np.uint8)
        step = max(1, _STRIP // image.width)
        for top in range(0, image.height, step):
            strip = image.crop((0, top, image.width, min(top + step, image.height)))
            pixels[:, top : top + step] = np.asarray(_to_rgb(strip)).transpose(2, 0, 1)
        return torch.from_numpy(pixels)


def to_image(picture: Picture) -> Tensor:
    """An image in any form as uint8 (3,H,W) RGB in 0–255.

    Args:
        picture: a path, the bytes of a file, or a PIL image, for `read_image`; or an array or tensor, uint8 or uint16,
            (H,W), (H,W,C) or (C,H,W) with C = 1, 3 or 4 (the fourth is opacity). Where both layouts fit, channels are
            last in an array and first in a tensor.

    Raises:
        ValueError: as `read_image`; and floats, or another shape.
    """
    if isinstance(picture, str | Path | Image.Image | bytes):
        return read_image(picture)
    is_tensor = isinstance(picture, Tensor)
    values = picture.detach().cpu() if isinstance(picture, Tensor) else np.asarray(picture)
    if str(values.dtype).removeprefix("torch.").lstrip("<>") not in ("uint8", "uint16", "u2"):
        remedy = f"for floats in 0–1: (image * 255).round(), then {'.byte()' if is_tensor else '.astype(np.uint8)'}"
        raise ValueError(f"the image is {values.dtype}; expected uint8, 0–255 ({remedy})")
    array = np.asarray(values)
    if array.ndim == 3:
        first, last = (array.shape[k] in (1, 3, 4) for k in (0, 2))
        if first and (is_tensor or not last):
            array = np.moveaxis(array, 0, -1)
        array = array[..., 0] if array.shape[-1] == 1 else array
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4))):
        raise ValueError(f"the image has shape {tuple(picture.shape)}; expected (H,W,3), (3,H,W) or (H,W)")
    if array.dtype.itemsize == 2:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return read_image(Image.fromarray(np.ascontiguousarray(array)))


def image_paths(given: Iterable[str | Path]) -> list[Path]:
    """The image files at these paths: a file itself, and for a folder its files with the suffix of an image, sorted.

    Raises:
        ValueError: a missing path, a folder without images, two images of one name.
    """
    paths: list[Path] = []
    for path in map(Path, given):
        if not path.is_dir():
            _check_is_file(path)
        files = files_in(path) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        paths += files
    repeated = min((stem for stem, count in Counter(path.stem for path in paths).items() if count > 1), default=None)
    if repeated is not None:
        same = ", ".join(str(path) for path in paths if path.stem == repeated)
        raise ValueError(f"several images are named {repeated!r} ({same}); their results would overwrite each other")
    return paths


def files_in(folder: Path) -> list[Path]:
    """The files of a folder with the suffix of an image, sorted; pipes and devices are left out."""
    with os.scandir(folder) as entries:
        paths = [folder / entry.name for entry in entries if entry.is_file()]
    return sorted((p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES), key=lambda path: path.name)


def open_image(source: Path | bytes) -> Image.Image:
    """An image of one of the `FORMATS` with its header (size, mode, EXIF), before its pixels are decoded.

    Raises:
        ValueError: the file is missing, no regular file, not an image of these formats, or its header is damaged.
    """
    if isinstance(source, Path):
        _check_is_file(source)
    with _explained(str(source) if isinstance(source, Path) else "the image", source):
        return _open(source)


def decode(source: Source) -> tuple[str, Image.Image]:
    """A name for error messages, and the image with all its pixels decoded; the checksums of a PNG are verified.

    `image.info["raw"]` is the layout of the pixels in the file, as Pillow calls it, and `image.info["compression"]`
    that of a TIFF or WebP file; `labels.stored_values` and `labels.is_lossy` use them.
    """
    name = "the image" if isinstance(source, Image.Image | bytes) else str(source)
    content = _read_bytes(Path(source)) if isinstance(source, str | Path) else source
    with _explained(name, content):
        if isinstance(content, Image.Image):
            content.load()
            return name, content
        image = _open(content)
        if image.format == "PNG":
            image.verify()  # decoding ignores wrong checksums; and a verified image has to be opened again
            image = _open(content)
        layout = image.tile[0].args if image.tile else ()
        image.info["raw"] = layout if isinstance(layout, tuple) else (layout,)
        if image.format == "WEBP" and isinstance(content, bytes):
            image.info["compression"] = _webp_compression(content)
        image.load()
    if image.mode == "LAB" and "LAB" not in image.info["raw"]:  # Pillow mixes up its planes
        raise ValueError(f"{name}: L*a*b* colours in separate planes; save it as RGB")
    return name, image


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF raises errors of many types; the pixels can be read nevertheless
        return 1
    return int(value) if value in range(1, 9) else 1


def turned_upright(image: Image.Image) -> Image.Image:
    """The image rotated and flipped by its EXIF orientation."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


@contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Raise a ValueError with a remedy where memory runs out."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{name}: larger than the free memory; make the image smaller, or free memory") from error


def _open(content: Path | bytes) -> ImageFile.ImageFile:
    Image.init()
    known = [kind for kind in FORMATS if kind in Image.OPEN]  # a build of Pillow may lack some
    return Image.open(BytesIO(content) if isinstance(content, bytes) else content, formats=known)


@contextmanager
def _explained(name: str, content: Source) -> Iterator[None]:
    """Turn an error of a decoder into a ValueError: what was found, and what to do."""
    try:
        with enough_memory(name):
            yield
    except Image.DecompressionBombError as error:
        limit = f"PIL.Image.MAX_IMAGE_PIXELS ({Image.MAX_IMAGE_PIXELS})"
        raise ValueError(f"{name}: declares more pixels than twice {limit}; raise it if you trust the file") from error
    except UnidentifiedImageError as error:
        start = content[:16] if isinstance(content, bytes) else b""
        raise ValueError(f"{name}: not an image that Pillow reads (it begins with {start!r}); save as PNG") from error
    except Exception as error:  # decoders raise errors of many types for damaged bytes
        if isinstance(error.__cause__, MemoryError):
            raise
        raise ValueError(f"{name}: damaged or cut off ({error}); copy or download it again") from error


def _webp_compression(content: bytes) -> str:
    """ "VP8" (lossy) or "VP8L" (lossless) by the name of the chunk with the pixels; "" of an animation."""
    place = 12  # after "RIFF", the size and "WEBP"
    while place + 8 <= len(content):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name.decode().strip()
        place += 8 + size + size % 2
    return ""


def _read_bytes(path: Path) -> bytes:
    _check_is_file(path)
    try:
        with enough_memory(str(path)):
            return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); a readable image file is needed") from error


def _check_is_file(path: Path) -> None:
    """Raise a ValueError about a missing file, with a suggestion, and about a folder, pipe or device."""
    if path.is_file():
        return
    if path.exists():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise ValueError(f"{path}: cannot be read, it is {kind}; an image file is needed")
    siblings = [p.name for p in path.parent.iterdir() if p.exists()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, siblings, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; the folder is {path.parent.resolve()}"
    raise ValueError(f"{path}: no such file{hint}")


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB of an image in any mode of 8 bits; what is transparent lies on white."""
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_8_bits(image: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit values to 8 bits, rounding to the nearest."""
    values = np.array(image)
    low, high = values.min(), values.max()
    if not np.issubdtype(values.dtype, np.integer) or low < 0 or high > 65535:
        raise ValueError(f"{name}: values from {low} to {high} ({values.dtype}); save it with 8 or 16 bits per channel")
    if values.dtype.itemsize > 2 and 0 < high < 256:
        raise ValueError(f"{name}: values from {low} to {high} in 32 bits; save it with 8 bits, or it would be black")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
