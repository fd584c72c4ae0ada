"""What was read of a data set: pixels of each class, sizes, values, groups and duplicates, and what looks wrong."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm.auto import tqdm

from seglab.data.classes import IGNORE_INDEX
from seglab.data.dataset import Record, SegmentationDataset
from seglab.data.duplicates import duplicates
from seglab.data.formats.pixels import sizes as stored_size
from seglab.data.formats.raw import TIFF, tiff_shape
from seglab.data.images import IMAGE_SUFFIXES
from seglab.data.objects import object_widths

WIDTHS = ["class", "width", "rows", "columns"]  # columns of `DataCheck.widths`
MEASURED = 20  # images in which the widths of objects are measured, evenly spaced
_DARK, _VOID = 127, 0.5  # a largest value, and a fraction of void pixels, that are worth a warning


@dataclass(frozen=True)
class DataCheck:
    """What `check_data` found.

    Attributes:
        classes: class or "void" → number of images with it, pixels, fraction of all pixels.
        facts: subject → sentence: images, sizes, values, groups, objects.
        warnings: sentences about what looks wrong, each with a remedy.
        problems: one sentence for each image that cannot be used.
        sizes: (H, W) → number of images.
        widths: a row for each class in each of some images: class, width (`objects.object_widths`), and the height and
            width of the image as rows and columns. Background is left out.
    """

    classes: pd.DataFrame
    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    sizes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    widths: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=WIDTHS))


@dataclass
class _Seen:
    """Sums over the images that were read."""

    pixels: Tensor | None = None  # int64 (256,)
    images: Tensor | None = None  # int64 (256,), images with each label
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    low: int = 255
    high: int = 0
    instances: list[bool] = field(default_factory=list)
    widths: list[tuple[str, float, int, int]] = field(default_factory=list)  # rows of `DataCheck.widths`
    problems: list[str] = field(default_factory=list)


def check_data(
    dataset: SegmentationDataset, splits: Mapping[str, SegmentationDataset] | None = None, progress: bool = True
) -> DataCheck:
    """Read every pair of a data set, and compare its splits.

    Args:
        splits: the data sets of the splits, to find images and groups that are in several.
    """
    seen = _read_all(dataset, progress)
    splits = splits or {}
    total = max(1, int(seen.pixels.sum())) if seen.pixels is not None else 1
    rows = {}
    for index, name in [*enumerate(dataset.classes.names), (IGNORE_INDEX, "void")]:
        counts = (
            (0, 0) if seen.pixels is None or seen.images is None else (int(seen.images[index]), int(seen.pixels[index]))
        )
        rows[name] = {"images": counts[0], "pixels": counts[1], "fraction": counts[1] / total}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")
    groups = len(set(dataset.groups))
    facts = {
        "images": f"{len(dataset)}, in {groups} group{'s' * (groups != 1)}",
        "splits": ", ".join(f"{name} {len(part)}" for name, part in splits.items()) or "none",
        "sizes": ", ".join(f"{h} × {w} ({n})" for (h, w), n in seen.sizes.most_common(5)) + " (height × width)",
        "values": f"{seen.low}–{seen.high} of 0–255",
    }
    widths = pd.DataFrame(seen.widths, columns=WIDTHS)
    if len(widths):
        thinnest = widths.groupby("class")["width"].median().nsmallest(5)
        listed = ", ".join(f"{name} {width:.1f}" for name, width in thinnest.items())
        facts["objects"] = f"median width in pixels: {listed}"
    if len(seen.sizes) > 5:
        facts["sizes"] += f", and {len(seen.sizes) - 5} others"
    warnings = [*_about_classes(table, seen), *_about_images(dataset, seen), *_about_splits(dataset, splits)]
    return DataCheck(table, facts, tuple(warnings), tuple(seen.problems), dict(seen.sizes), widths)


def _read_all(dataset: SegmentationDataset, progress: bool) -> _Seen:
    seen, step = _Seen(), -(-len(dataset) // MEASURED)
    for index in tqdm(range(len(dataset)), desc=f"checking {dataset.name}", unit="image", disable=not progress):
        try:
            sample = dataset[index]
        except (ValueError, OSError) as error:
            seen.problems.append(str(error))
            continue
        pixels = sample.target.flatten().bincount(minlength=256)
        seen.pixels = pixels if seen.pixels is None else seen.pixels + pixels
        present = (pixels > 0).long()
        seen.images = present if seen.images is None else seen.images + present
        seen.sizes[sample.target.shape[0], sample.target.shape[1]] += 1
        seen.low, seen.high = min(seen.low, int(sample.image.min())), max(seen.high, int(sample.image.max()))
        seen.instances.append(_looks_like_instances(sample.target))
        if index % step == 0:
            names, size = dataset.classes.names, (sample.target.shape[0], sample.target.shape[1])
            seen.widths += [(names[label], width, *size) for label, width in object_widths(sample.target).items()
                            if label != dataset.classes.background]  # fmt: skip
    return seen


def _looks_like_instances(target: Tensor) -> bool:
    """Whether the labels above 0 are 1 to n, n ≥ 4, and each is one connected region, as numbers of objects are."""
    from scipy.ndimage import label

    values = target.numpy()
    found = [int(value) for value in np.unique(values) if value not in (0, IGNORE_INDEX)]
    return len(found) >= 4 and found == [*range(1, len(found) + 1)] and all(label(values == v)[1] == 1 for v in found)


def _about_classes(table: pd.DataFrame, seen: _Seen) -> list[str]:
    warnings = []
    used = table.drop(index="void")
    if unused := list(used.index[used["pixels"] == 0]):
        listed = ", ".join(unused[:10]) + (", …" if len(unused) > 10 else "")
        warnings.append(f"No pixel has class {listed}; check names: and labels:, or remove the class.")
    if (void := float(table["fraction"]["void"])) > _VOID:
        warnings.append(f"{void:.0%} of the pixels are void; check labels: of the card.")
    if sum(seen.instances) > len(seen.instances) / 2:
        warnings.append(
            "In most masks the labels are 1 to n, one connected region each, as if they numbered objects;"
            " state what they mean as labels:, or divide: for class · divide + object."
        )
    return warnings


def _about_images(dataset: SegmentationDataset, seen: _Seen) -> list[str]:
    warnings = []
    if seen.sizes and seen.high <= _DARK:
        warnings.append(
            f"The images use only 0 to {seen.high} of 0 to 255 and look dark; state the values that become 0 and 255 as"
            " range: in the card."
        )
    files = list(dict.fromkeys(r.files[0] for r in dataset.records if r.files and _is_image(r.files[0])))
    rotated = [path for path in files if _is_rotated(path)]
    if rotated:
        warnings.append(
            f"{len(rotated)} images have an EXIF orientation, such as {rotated[0].name}; look at the contact sheet, and"
            " state orientation: upright if masks lie beside the objects."
        )
    uses = Counter(record.files[0] for record in dataset.records if record.files)
    several = [(path, *tiff_shape(path)[:2]) for path in files if path.suffix.lower() in TIFF and uses[path] == 1]
    for what, wide in (("pages", [p for p in several if p[1] > 1]), ("bands", [p for p in several if p[2] > 3])):
        if wide:
            count = wide[0][1 if what == "pages" else 2]
            warnings.append(
                f"{len(wide)} images have more {what} than are used, such as {wide[0][0].name} with {count}; bands: in"
                " the card states which are read."
            )
    return warnings


def _is_rotated(path: Path) -> bool:
    try:
        return stored_size(path)[1] != 1
    except ValueError:  # listed under problems
        return False


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _about_splits(dataset: SegmentationDataset, splits: Mapping[str, SegmentationDataset]) -> list[str]:
    warnings = []
    if equal := duplicates(dataset):
        warnings.append(f"{len(equal)} images occur more than once: {_files([record for _, record in equal[0]])}.")
    for (a, first), (b, second) in combinations(splits.items(), 2):
        shared = [some for some in duplicates(first, second) if len({owner for owner, _ in some}) == 2]
        if shared:
            files = _files([record for _, record in shared[0]])
            warnings.append(f"{a} and {b} share {len(shared)} images: {files}; training refuses them.")
    where: dict[str, set[str]] = defaultdict(set)
    for name, part in splits.items():
        for group in part.groups:
            where[group].add(name)
    if straddling := sorted(group for group, names in where.items() if len(names) > 1):
        listed = ", ".join(straddling[:5]) + (", …" if len(straddling) > 5 else "")
        warnings.append(f"{len(straddling)} groups are in several splits ({listed}): their images are not independent.")
    if splits and (rest := len(set(dataset.ids) - {name for part in splits.values() for name in part.ids})):
        warnings.append(f"{rest} images are in no split.")
    return warnings


def _files(records: Sequence[Record]) -> str:
    return ", ".join(dict.fromkeys(record.files[0].name if len(record.files) else record.id for record in records))
