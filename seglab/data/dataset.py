"""One form for all data sets: `Record` (a pair on disk), `Sample` (a pair in memory) and `SegmentationDataset`."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from seglab._utils.hashing import FileHashes
from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.data.labels import about_0_255

Arrays = tuple[Tensor, Tensor, Tensor | None]  # image, target and instance of a `Sample`


@dataclass(frozen=True)
class Record:
    """An image and its mask on disk.

    Bytes of a file name that are not UTF-8 are escaped in `id` and `group` ("caf\\udce9"), so that both can be stored.
    """

    id: str  # unique within the data set
    group: str  # the same for images recorded together (a drive, a city); the id where images are independent
    files: tuple[Path, ...]  # every file that `read` opens; none where the pair is drawn
    read: Callable[[], Arrays]

    def __post_init__(self) -> None:
        for key in ("id", "group"):
            object.__setattr__(self, key, getattr(self, key).encode(errors="backslashreplace").decode())


Reader = Callable[[Path, str], list[Record]]


@dataclass(frozen=True)
class Sample:
    """An image with its ground truth.

    Attributes:
        image: uint8 (3,H,W).
        target: uint8 (H,W), class indices; 255 is void.
        id, group: as in `Record`.
        instance: int32 (H,W), 0 for stuff, else the number of the object; None where objects are not labelled.
    """

    image: Tensor
    target: Tensor
    id: str
    group: str
    instance: Tensor | None = None


@dataclass(frozen=True, eq=False)
class SegmentationDataset(torch.utils.data.Dataset[Sample]):
    """Images with their targets. An index reads one pair from disk, or draws it.

    Attributes:
        name: as given to `load_dataset`.
        split: None for a folder without splits.
        root: the data set's folder, to which file names are relative; None where scenes are drawn.
        description: the card of one's own data as text, as far as it decides images and labels; empty otherwise.

    Raises:
        ValueError: there are no records.
    """

    name: str
    split: str | None
    classes: ClassSet
    records: tuple[Record, ...]
    root: Path | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.records:
            raise ValueError(f"data set {self.name!r} ({self.split}) holds no images in {self.root}")

    @property
    def title(self) -> str:
        """Name and split, as "camvid val"."""
        return f"{self.name} {self.split}" if self.split else self.name

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each image; the bootstrap resamples groups."""
        return tuple(record.group for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        image, target, instance = record.read()
        return Sample(image, target, record.id, record.group, instance)

    def subset(self, indices: Sequence[int]) -> "SegmentationDataset":
        """The same data set with only these images, in this order."""
        return replace(self, records=tuple(self.records[i] for i in indices))

    def check(self, progress: bool = True) -> None:
        """Read every pair.

        Raises:
            ValueError: lists the files that cannot be used, at most ten, with the reasons; or all masks hold only 0
                and 255.
        """
        problems, pixels = [], torch.zeros(256, dtype=torch.int64)
        for index in tqdm(range(len(self)), desc=f"checking {self.name}", unit="image", disable=not progress):
            try:
                pixels += self[index].target.flatten().bincount(minlength=256)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            shown = "\n  ".join(problems[:10] + ["…"] * (len(problems) > 10))
            raise ValueError(f"{len(problems)} of {len(self)} images in {self.name!r} cannot be used:\n  {shown}")
        if not self.description and len(self.classes) > 1 and pixels.nonzero().flatten().tolist() == [0, IGNORE_INDEX]:
            raise ValueError(f"all masks of {self.name!r} hold nothing but 0 and 255: {about_0_255(self.classes)}")

    def fingerprint(self, progress: bool = False, hashes: FileHashes | None = None) -> str:
        """SHA-256 of the content of this split, the same on every machine; it differs if a byte differs.

        It is the hash of the listing that `sha256sum` prints for all files, sorted by their POSIX paths below the
        data set's folder, after the description. For drawn scenes, which have no files, the arrays are hashed instead.
        `hashes` keeps the hashes of the files, so that a later change is noticed.
        """
        hashes = hashes or FileHashes()
        total = hashlib.sha256(self.description.encode())
        if self.root is None:
            for i in tqdm(range(len(self)), desc=f"hashing {self.name}", unit="image", disable=not progress):
                sample = self[i]
                for array in (sample.image, sample.target):
                    digest = hashlib.sha256(array.numpy().tobytes()).hexdigest()
                    total.update(f"{digest}  {sample.id} {tuple(array.shape)}\n".encode())
            return total.hexdigest()
        paths = {path.relative_to(self.root).as_posix(): path for record in self.records for path in record.files}
        for name in tqdm(sorted(paths), desc=f"hashing {self.name}", unit="file", disable=not progress):
            total.update(os.fsencode(f"{hashes.add(paths[name])}  {name}\n"))
        return total.hexdigest()
