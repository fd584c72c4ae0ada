"""Images that occur more than once: within a data set, and in two."""

import hashlib
from collections import Counter, defaultdict
from pathlib import Path

from seglab._utils.hashing import sha256_file
from seglab.data.dataset import Record, SegmentationDataset
from seglab.data.images import IMAGE_SUFFIXES

Owned = tuple[int, Record]  # position of the data set, and its record


def duplicates(*datasets: SegmentationDataset) -> list[list[Owned]]:
    """Records of equal images: of files with equal bytes, or of equal pixels where one file holds several images.

    A file is hashed only if another one has its size. Drawn scenes have no files and are left out.
    """
    owned = [(k, record) for k, dataset in enumerate(datasets) for record in dataset.records if record.files]
    uses = Counter((k, record.files[0]) for k, record in owned)
    sizes: dict[int, list[Owned]] = defaultdict(list)
    equal: dict[str, list[Owned]] = defaultdict(list)
    for k, record in owned:
        path = record.files[0]
        if uses[k, path] == 1 and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            sizes[path.stat().st_size].append((k, record))
        elif path.is_file():
            image = record.read()[0]
            equal[f"{tuple(image.shape)} {hashlib.sha256(image.numpy().tobytes()).hexdigest()}"].append((k, record))
    for some in sizes.values():
        for item in some if len(some) > 1 else ():
            equal[sha256_file(item[1].files[0])].append(item)
    return [some for some in equal.values() if len(some) > 1]


def shared_images(a: SegmentationDataset, b: SegmentationDataset) -> list[tuple[Path, Path]]:
    """The images that two data sets share, as pairs of files of `a` and of `b`."""
    pairs = []
    for some in duplicates(a, b):
        first, second = ([record.files[0] for k, record in some if k == owner] for owner in (0, 1))
        if first and second:
            pairs.append((first[0], second[0]))
    return pairs


def check_no_shared_images(train: SegmentationDataset, val: SegmentationDataset) -> None:
    """Raise a ValueError that names the files if training and validation data share an image."""
    pairs = shared_images(train, val)
    if pairs:
        a, b = pairs[0]
        files = str(a) if a == b else f"{a} and {b}"
        raise ValueError(
            f"{len(pairs)} images are in the training and in the validation data, such as {files}, so that scores would"
            " be too high; remove one of each pair, or choose other splits"
        )
