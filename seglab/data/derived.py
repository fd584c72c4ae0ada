"""Data sets that are made from published ones: photographs from VOC 2012 and SBD, nuclei from BBBC038.

Each function is the `prepare` of a row of `DATASETS`: it writes `images/SPLIT/ID` and `masks/SPLIT/ID.png` and removes
the unpacked downloads. `photographs.txt` and `nuclei.txt` beside this file list the split and the id of each image.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from seglab.data.classes import CLASS_SETS, IGNORE_INDEX
from seglab.data.images import open_image

_VOC, _SEVEN = CLASS_SETS["voc"].names, CLASS_SETS["photographs"].names
# Label of VOC → one of seven classes; the other classes are void, as are VOC's outlines.
VOC_TO_PHOTOGRAPHS = np.array(
    [_SEVEN.index(name) if name in _SEVEN else IGNORE_INDEX for name in _VOC] + [IGNORE_INDEX] * (256 - len(_VOC)),
    np.uint8,
)
LARGEST_SHORT = 320  # pixels; nuclei in larger images are reduced to this short side


def photographs(folder: Path, voc: Path) -> None:
    """Seven classes of VOC 2012, with short sides of 192.

    The mask of an image is VOC's where VOC has one, else SBD's (Hariharan et al. 2011), which has no void outlines.
    Images and masks are reduced twice, to 208 and to 192, because the bundled weights were trained on such images: with
    the same libraries the files are the same, byte for byte.

    Args:
        folder: holds `cls/`, SBD's files ID.mat.
        voc: VOC 2012 as the data set "voc" has it.

    Raises:
        ValueError: VOC lacks an image, or neither VOC nor SBD has its mask.
    """
    for split, name in _listed("photographs"):
        photo, mask = voc / "JPEGImages" / f"{name}.jpg", voc / "SegmentationClass" / f"{name}.png"
        matlab = folder / "cls" / f"{name}.mat"
        if not photo.is_file() or not (mask.is_file() or matlab.is_file()):
            raise ValueError(
                f"{photo} or its mask is missing: VOC 2012 is incomplete in {voc}. Move that folder away, so that it is"
                " downloaded"
            )
        write_photograph(folder, split, photo, open_image(mask) if mask.is_file() else _sbd(matlab))
    shutil.rmtree(folder / "cls")


def write_photograph(folder: Path, split: str, photo: Path, labels: Image.Image) -> None:
    """Write one pair of `photographs`; `labels` holds VOC's labels in the size of the photograph."""
    with open_image(photo) as opened:
        first = io.BytesIO()
        _reduced(opened.convert("RGB"), 208, Resampling.LANCZOS).save(first, "JPEG", quality=88)
    image = _reduced(Image.open(first), 192, Resampling.BICUBIC)
    small = _reduced(_reduced(labels, 208, Resampling.NEAREST), 192, Resampling.NEAREST)
    mask = Image.fromarray(VOC_TO_PHOTOGRAPHS[np.asarray(small)])
    image.save(_path(folder, "images", split, f"{photo.stem}.jpg"), "JPEG", quality=85)
    mask.save(_path(folder, "masks", split, f"{photo.stem}.png"))


def nuclei(folder: Path) -> None:
    """Micrographs of BBBC038 (Caicedo et al. 2019) with background, nucleus and boundary.

    The boundary is the outermost pixel of each nucleus, where it touches background or another nucleus by an edge. It
    is found before an image with a short side above 320 pixels is reduced to 320. The bundled weights were trained on
    files whose reduced images may differ from these in the filter (here bicubic); masks and other images are the same.

    Args:
        folder: holds `stage1_train/` and `stage1_test/` with `ID/images/ID.png`, and the run-length codes of their
            nuclei, `stage1_train_labels.csv` and `stage1_solution.csv`.

    Raises:
        ValueError: an image or its nuclei are missing.
    """
    downloads = set(folder.iterdir())
    tables = (pd.read_csv(folder / name) for name in ("stage1_train_labels.csv", "stage1_solution.csv"))
    codes = pd.concat(tables).groupby("ImageId")["EncodedPixels"].agg(list)
    found = {path.stem[:12]: path for path in folder.glob("stage1_t*/*/images/*.png")}
    for split, name in _listed("nuclei"):
        if name not in found or found[name].stem not in codes:
            raise ValueError(f"the archives hold no image {name}…, or no nuclei of it")
        with open_image(found[name]) as opened:
            image = opened.convert("RGB")
        mask = Image.fromarray(nuclei_target(codes[found[name].stem], (image.height, image.width)))
        if min(image.size) > LARGEST_SHORT:
            image = _reduced(image, LARGEST_SHORT, Resampling.BICUBIC)
            mask = _reduced(mask, LARGEST_SHORT, Resampling.NEAREST)
        image.save(_path(folder, "images", split, f"{name}.png"))
        mask.save(_path(folder, "masks", split, f"{name}.png"))
    for path in downloads:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def nuclei_target(codes: list[str], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Run-length codes of nuclei → uint8 (H,W): 0 background, 1 nucleus, 2 boundary.

    Args:
        codes: for each nucleus "start length start length …"; pixels are numbered from 1, column by column.
        size: (H, W).
    """
    from skimage.segmentation import find_boundaries

    numbers = np.zeros(size[0] * size[1], np.int32)
    for number, code in enumerate(codes, start=1):
        for start, length in np.array(code.split(), int).reshape(-1, 2):
            numbers[start - 1 : start - 1 + length] = number
    objects = numbers.reshape(size, order="F")
    boundary = find_boundaries(objects, connectivity=1, mode="inner")
    return np.where(boundary, 2, objects > 0).astype(np.uint8)


def _listed(name: str) -> Iterator[tuple[str, str]]:
    """(split, id) of each image of a data set."""
    for line in Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8").splitlines():
        split, _, image = line.partition(" ")
        yield split, image


def _sbd(path: Path) -> Image.Image:
    """The label map in a file of SBD."""
    from scipy.io import loadmat

    return Image.fromarray(loadmat(path)["GTcls"][0]["Segmentation"][0])


def _reduced(image: Image.Image, short: int, filter: Resampling) -> Image.Image:
    """An image with another short side; the long side is rounded."""
    scale = short / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), filter)


def _path(folder: Path, *parts: str) -> Path:
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
