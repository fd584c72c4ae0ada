"""Reading images of any kind as uint8 (3,H,W).

An image that cannot be read exactly is refused with a ValueError: the file, what was found, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

# Includes formats that some builds of Pillow cannot read, so that such files raise an error instead of being skipped.
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".heic", ".heif"}
Source = str | Path | Image.Image | bytes
Picture = Source | NDArray[Any] | Tensor


def read_image(source: Source, upright: bool = True) -> Tensor:
    """Read an image as uint8 (3,H,W) RGB in 0–255.

    Grey and palette images become RGB, transparent pixels are blended with white, 16-bit values are scaled by
    255/65535, and only the first page of an animation or a stack is read.

    Args:
        source: a path, the bytes of a file, or a PIL image.
        upright: rotate the image by its EXIF orientation, as viewers do. Published data sets are read with False,
            because their masks have the pixels as stored.

    Raises:
        ValueError: the file is missing, damaged, no image, a possible decompression bomb, or its values have no
            obvious meaning in 0–255.
    """
    name, image = decode(source)
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image, name)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())


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
        if not path.exists():
            _read_bytes(path)  # raises an error with a suggestion
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        paths += files
    stems = [path.stem for path in paths]
    if repeated := sorted({stem for stem in stems if stems.count(stem) > 1}):
        same = ", ".join(str(path) for path in paths if path.stem == repeated[0])
        raise ValueError(f"several images are named {repeated[0]!r} ({same}); their results would overwrite each other")
    return paths


def decode(source: Source) -> tuple[str, Image.Image]:
    """A name for error messages, and the image with all its pixels decoded."""
    name = "the image" if isinstance(source, Image.Image | bytes) else str(source)
    content = _read_bytes(Path(source)) if isinstance(source, str | Path) else source
    try:
        image = Image.open(BytesIO(content)) if isinstance(content, bytes) else content
        image.load()
    except Image.DecompressionBombError as error:
        limit = f"PIL.Image.MAX_IMAGE_PIXELS ({Image.MAX_IMAGE_PIXELS})"
        raise ValueError(f"{name}: declares more pixels than twice {limit}; raise it if you trust the file") from error
    except UnidentifiedImageError as error:
        start = content[:16] if isinstance(content, bytes) else b""
        raise ValueError(f"{name}: not an image that Pillow reads (it begins with {start!r}); save as PNG") from error
    except Exception as error:  # decoders raise errors of many types for damaged bytes
        raise ValueError(f"{name}: damaged or cut off ({error}); copy or download it again") from error
    return name, image


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
        raise ValueError(f"{name}: values from {low} to {high} ({values.dtype}); save it with 8 or 16 bits per channel")
    if values.dtype.itemsize > 2 and 0 < high < 256:
        raise ValueError(f"{name}: values from {low} to {high} in 32 bits; save it with 8 bits, or it would be black")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
