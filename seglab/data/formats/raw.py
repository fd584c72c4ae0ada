"""The values that a file holds, unscaled: masks of every kind of file, and the pixels of images with any number type.

TIFF files are described by tifffile, since Pillow refuses many of them; Pillow decodes what tifffile cannot decompress.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from seglab.data.card import Card
from seglab.data.formats.entries import Labels, fitted, to_labels
from seglab.data.images import decode, open_image, turned_upright
from seglab.data.labels import is_lossy, stored_values

Source = Path | bytes
TIFF = frozenset({".tif", ".tiff"})
_LABEL_NAMES = ("segmentation", "label", "mask", "gt", "groundtruth", "annotation", "inst")  # of arrays in MATLAB files


def read_raw(source: Source, card: Card, name: str | Path = "") -> Labels:
    """Read a mask and translate its values: class indices uint8 (H, W), as the file stores them.

    Raises:
        ValueError: not a mask; values or colours that the card does not explain; a lossy file without `threshold`.
    """
    values, lossy = load(source)
    name = name or (source if isinstance(source, Path) else "the mask")
    if lossy and card.threshold is None:
        raise ValueError(
            f"{name}: lossy compression (such as JPEG) changed the values of this mask; state threshold: 128 if it has"
            " two classes, else save masks as PNG"
        )
    if values.ndim == 3 and not card.colors:
        values = grey(values, name)
    return to_labels(values, card, name)


def grey(values: NDArray[Any], name: str | Path) -> NDArray[Any]:
    """One of three equal channels."""
    if np.ptp(values, axis=2).max(initial=0):
        raise ValueError(f"{name}: the mask holds colours; state the colour of each class under colors: in the card")
    return values[..., 0]


def inside(path: Path, size: tuple[int, int], card: Card) -> NDArray[np.bool_]:
    """The pixels of a binary mask, bool (H, W): above 0, or from the threshold (128 in a lossy file).

    Raises:
        ValueError: not a mask, a mask of colours, or one of another size than its image.
    """
    values, lossy = load(path)
    values = grey(values, path) if values.ndim == 3 else values
    threshold = card.threshold if card.threshold is not None else 128 if lossy else 1
    return fitted((values >= threshold).astype(np.uint8), size, card, path) > 0


def load(source: Source) -> tuple[NDArray[Any], bool]:
    """The values of a mask, and whether a lossy file holds them: integers (H, W), or colours uint8 (H, W, 3).

    Palettes are read as indices. Three channels of a lossy file that are nearly equal are read as one.

    Raises:
        ValueError: damaged, not a mask, several pages, partly transparent, or numbers with fractions.
    """
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if suffix in (".npy", ".mat"):
        assert isinstance(source, Path)
        return integers(_plane(read_array(source) if suffix == ".npy" else _matlab(source)), source), False
    if suffix in TIFF and not _pillow_decodes(source):
        return integers(_plane(tiff_values(source)), source if isinstance(source, Path) else "the mask"), False
    name, image = decode(source)
    if (pages := getattr(image, "n_frames", 1)) > 1:
        raise ValueError(f"{name}: {pages} pages; a mask has one (format: volumes reads TIFF stacks)")
    lossy = is_lossy(image)
    if image.mode in ("LA", "RGBA", "PA"):
        image = _opaque(image, name)
    values = stored_values(image.convert("RGB") if image.mode in ("YCbCr", "CMYK") else image)
    if values.ndim == 3:
        return (values[..., 1] if lossy and np.ptp(values, axis=2).max(initial=0) <= 8 else values), lossy
    return integers(values, name), lossy


def _opaque(image: Image.Image, name: str) -> Image.Image:
    alpha = np.asarray(image.getchannel("A"))
    if not np.isin(alpha, (0, 255)).all():
        raise ValueError(f"{name}: partly transparent pixels have no definite class; save the mask without opacity")
    if image.mode == "PA":
        image = image.convert("RGBA")
    black = Image.new("RGBA" if image.mode == "RGBA" else "LA", image.size)
    return Image.composite(image, black, image.getchannel("A")).convert("RGB" if image.mode == "RGBA" else "L")


def integers(values: NDArray[Any], name: str | Path) -> NDArray[Any]:
    """Labels (H, W) as integers, also from floats without fractions; colours uint8 (H, W, 3) unchanged."""
    whole = values.astype(np.int64) if values.dtype.kind == "f" and np.isfinite(values).all() else values
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[2] == 3 and values.dtype == np.uint8):
        raise ValueError(f"{name}: an array of shape {values.shape}; a mask is (height, width), one label per pixel")
    if whole.dtype.kind not in "iub" or (values.dtype.kind == "f" and (whole != values).any()):
        raise ValueError(
            f"{name}: {values.dtype} values that are no whole numbers; are they probabilities? Save labels"
        )
    return whole.astype(np.uint8) if whole.dtype.kind == "b" else whole


def _plane(values: NDArray[Any]) -> NDArray[Any]:
    """(1, H, W) or (H, W, 1) → (H, W)."""
    single = [axis for axis in (0, 2) if values.ndim == 3 and values.shape[axis] == 1]
    return values.squeeze(single[0]) if single else values


def read_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file, read when it is used; a ValueError for a damaged file."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read as a NumPy array ({error}); save it with numpy.save") from error


def _matlab(path: Path) -> NDArray[Any]:
    """The one label map among the arrays of a MATLAB file, in structures too (SBD: `GTcls.Segmentation`)."""
    from scipy.io import loadmat

    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=True)
    except NotImplementedError as error:
        raise ValueError(f"{path}: a MATLAB 7.3 file; save it in MATLAB with save(…, '-v7')") from error
    except Exception as error:  # scipy raises errors of many types for damaged files
        raise ValueError(f"{path}: cannot be read as a MATLAB file ({error}); copy or save it again") from error
    arrays: dict[str, NDArray[Any]] = {}

    def collect(value: Any, name: str) -> None:
        kinds = getattr(getattr(value, "dtype", None), "names", None)
        if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 0:
            collect(value.item(), name)
        elif kinds:
            for kind in kinds:
                collect(value[kind], f"{name}.{kind}")
        elif isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind in "iubf" and min(value.shape) > 1:
            arrays[name] = value

    for key, value in content.items():
        if not key.startswith("__"):
            collect(value, key)
    named = [key for key in arrays if key.rpartition(".")[2].lower().startswith(_LABEL_NAMES)]
    chosen = list(arrays) if len(arrays) == 1 else named
    if len(chosen) != 1:
        found = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "none"
        raise ValueError(f"{path}: expected one array of labels (height, width), found {found}; save only the labels")
    return arrays[chosen[0]]


def tiff_values(source: Source) -> NDArray[Any]:
    """All values of a TIFF file as stored: (H, W), (H, W, bands), (pages, H, W) or (pages, H, W, bands)."""
    import tifffile

    name = source if isinstance(source, Path) else "the image"
    try:
        with tifffile.TiffFile(BytesIO(source) if isinstance(source, bytes) else source) as file:
            series = file.series[0]
            values, axes = series.asarray(), series.axes
    except Exception as error:  # tifffile raises errors of many types for damaged files
        if "imagecodecs" not in str(error):
            raise ValueError(f"{name}: cannot be read as TIFF ({error}); copy or save it again") from error
        values, axes = _pillow_pages(source, f"{name}: {error}"), ""
    for axis in "SC":  # samples and channels are bands, last
        if axis in axes and values.ndim > 2:
            return np.moveaxis(values, axes.index(axis), -1)
    return values


def _pillow_pages(source: Source, problem: str) -> NDArray[Any]:
    try:
        with open_image(source) as image:
            pages = np.stack([np.asarray(page) for page in ImageSequence.Iterator(image)])
            return pages if len(pages) > 1 else pages[0]
    except Exception as error:  # Pillow cannot decompress it either
        raise ValueError(f"{problem}: install it, or save the file without compression") from error


def tiff_shape(source: Source) -> tuple[int, int, np.dtype[Any]]:
    """Pages, bands and number type of a TIFF file, from its header; (0, 0, uint8) for a damaged file."""
    import tifffile

    try:
        with tifffile.TiffFile(BytesIO(source) if isinstance(source, bytes) else source) as file:
            sizes = dict(zip(file.series[0].axes, file.series[0].shape, strict=True))
            dtype = np.dtype(file.series[0].dtype)
    except Exception:  # the reader of the pixels reports what is wrong
        return 0, 0, np.dtype(np.uint8)
    bands = sizes.get("S", 1) * sizes.get("C", 1)
    return int(np.prod([n for axis, n in sizes.items() if axis not in "YXSC"])), bands, dtype


def _pillow_decodes(source: Source) -> bool:
    try:
        with open_image(source) as image:
            return image.mode in ("1", "L", "P", "RGB", "I;16") and getattr(image, "n_frames", 1) == 1
    except Exception:  # the caller reports a file that neither library reads
        return False


def pixel_values(source: Source, upright: bool = False) -> NDArray[Any]:
    """The values of an image as stored, of any number type: (H, W) or (H, W, bands); palettes as RGB.

    Args:
        upright: rotate by the EXIF orientation.

    Raises:
        ValueError: a file that cannot be read, or damaged.
    """
    suffix = source.suffix.lower() if isinstance(source, Path) else ""
    if suffix == ".npy":
        assert isinstance(source, Path)
        return read_array(source)
    if suffix in TIFF and not _pillow_decodes(source):
        values = tiff_values(source)
        pages, bands, _ = tiff_shape(source)
        return np.moveaxis(values, 0, -1) if pages > 1 and bands == 1 and values.ndim == 3 else values
    _, image = decode(source)
    orientation = turned_upright if upright else lambda picture: picture
    if _sixteen_bit_colors(source):
        planes = [np.asarray(orientation(_with_byte(source, end)).convert("RGB"), np.uint16) for end in "BL"]
        return planes[0] << 8 | planes[1]
    image = orientation(image)
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "1", "RGBA", "LA"):
        image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
    return np.asarray(image)


def _sixteen_bit_colors(source: Source) -> bool:
    """Whether this is a PNG of 16-bit colours, of which Pillow decodes only the upper bytes."""
    head = source[:26] if isinstance(source, bytes) else _head(source)
    return head.startswith(b"\x89PNG") and head[24] == 16 and head[25] in (2, 6)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(26)


def _with_byte(source: Source, end: str) -> Image.Image:
    """A 16-bit PNG decoded as if its numbers were big-endian ("B": the upper bytes) or little-endian ("L")."""
    image: Any = open_image(source)
    image.tile = [image.tile[0]._replace(args=image.tile[0].args[:-1] + end)]
    image.load()
    return image
