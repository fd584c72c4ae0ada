"""Data sets: what there is, where it lies, and one form for all of them.

    ds = load_dataset("camvid", "val")
    sample = ds[0]          # sample.image uint8 (3,H,W), sample.target uint8 (H,W), 255 = void

Data lies in the folder that the environment variable `SEGLAB_DATA` names, by default in `data/`. What is
missing is downloaded when it is first asked for; Toytown is drawn and needs neither.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from tqdm.auto import tqdm

from seglab import readers, toytown
from seglab.catalogue import DATASETS, DatasetSpec, Download
from seglab.classes import CLASS_SETS, IGNORE_INDEX, ClassSet, class_set
from seglab.download import fetch, human, unpack
from seglab.errors import unknown
from seglab.files import about_0_255
from seglab.places import project_root
from seglab.readers import Record


@dataclass(frozen=True)
class Sample:
    """An image and what is to be seen on it.

    Attributes:
        image: uint8 (3,H,W).
        target: uint8 (H,W), class indices; 255 is void.
        id: names the image within its data set.
        group: what was recorded together (a drive, a city); the id where images are independent.
        instance: int32 (H,W), 0 for stuff, else the number of the object; None where nobody labelled objects.
    """

    image: Tensor
    target: Tensor
    id: str
    group: str
    instance: Tensor | None = None


@dataclass(frozen=True, eq=False)
class SegmentationDataset(torch.utils.data.Dataset[Sample]):
    """Images with their targets, read when asked for.

    Attributes:
        name: as given to `load_dataset`.
        split: None for a folder without splits.
        root: the data set's folder, below which its files are named; None where scenes are drawn.
    """

    name: str
    split: str | None
    classes: ClassSet
    records: tuple[Record, ...]
    root: Path | None = None

    def __post_init__(self) -> None:
        if not self.records:
            raise ValueError(f"data set {self.name!r} ({self.split}) holds no images in {self.root}")

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(record.id for record in self.records)

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each image; statistics resample these."""
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
            ValueError: names the files that cannot be used, at most ten of them, and why.
        """
        problems, seen = [], np.zeros(256, np.int64)
        for index in tqdm(range(len(self)), desc=f"checking {self.name}", unit="image", disable=not progress):
            try:
                seen += np.bincount(self[index].target.numpy().ravel(), minlength=256)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            shown = "\n  ".join(problems[:10] + ["…"] * (len(problems) > 10))
            raise ValueError(f"{len(problems)} of {len(self)} images in {self.name!r} cannot be used:\n  {shown}")
        if len(self.classes) > 1 and seen[0] and seen[IGNORE_INDEX] and not seen[1:IGNORE_INDEX].any():
            raise ValueError(f"all masks of {self.name!r} hold nothing but 0 and 255: {about_0_255(self.classes)}")

    def fingerprint(self, progress: bool = False) -> str:
        """sha256 of what this split holds: the same on every machine, another one if a byte differs.

        It is the hash of the listing that `sha256sum` prints for all files, sorted by their POSIX paths
        below the data set's folder. Scenes that are drawn have no files: their arrays are hashed instead.
        """
        total = hashlib.sha256()
        if self.root is None:
            for i in tqdm(range(len(self)), desc=f"hashing {self.name}", unit="image", disable=not progress):
                sample = self[i]
                for array in (sample.image, sample.target):
                    digest = hashlib.sha256(array.numpy().tobytes()).hexdigest()
                    total.update(f"{digest}  {sample.id} {tuple(array.shape)}\n".encode())
            return total.hexdigest()
        paths = {path.relative_to(self.root).as_posix(): path for record in self.records for path in record.files}
        for name in tqdm(sorted(paths), desc=f"hashing {self.name}", unit="file", disable=not progress):
            with paths[name].open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{digest}  {name}\n".encode())
        return total.hexdigest()


def load_dataset(
    name: str,
    split: str | None = None,
    root: str | Path | None = None,
    *,
    download: bool = True,
    size: tuple[int, int] | None = None,
    classes: ClassSet | str | None = None,
    labels: Mapping[int, int] | None = None,
) -> SegmentationDataset:
    """A data set by its name in `DATASETS`.

    Args:
        name: also `"toytown:night"` and the other weathers.
        split: by default the first of the data set's splits; for `"folder"` a subfolder, or none.
        root: where data lies (by default `data_root()`); for `"folder"` the folder with images/ and masks/.
        download: fetch what is missing; with False that is an error.
        size: (H, W) of Toytown's scenes.
        classes: for `"folder"`: a `ClassSet` or the name of one.
        labels: for `"folder"`: raw label → class index or 255, where masks hold something else than indices.

    Raises:
        ValueError: an unknown name or split, an option that does not belong to the data set, files that
            are missing or not as expected. What is wrong *inside* images and masks shows when they are
            read; `check()` reads them all.
    """
    kind, _, weather = name.partition(":")
    if kind not in DATASETS or (weather and kind != "toytown"):
        raise unknown("data set", name, DATASETS)
    _refuse("size", size, kind, "toytown")
    _refuse("classes", classes, kind, "folder")
    _refuse("labels", labels, kind, "folder")
    if kind == "folder":
        return _load_folder(split, root, classes, labels)

    spec = DATASETS[kind]
    split = next(iter(spec.splits)) if split is None else split
    if split not in spec.splits:
        raise unknown(f"split of {kind}", split, spec.splits)
    if kind == "toytown":
        scenes = readers.toytown_scenes(split, weather or "clear", size or toytown.SIZE)
        return SegmentationDataset(name, split, CLASS_SETS[spec.classes], tuple(scenes))
    folder = install(spec, Path(root) if root else data_root(), download)
    return _load(name, spec, split, folder)


def data_root() -> Path:
    """Where data lies: `SEGLAB_DATA` if set, else `data/` in the checkout or in the current directory."""
    given = os.environ.get("SEGLAB_DATA")
    return Path(given).expanduser() if given else (project_root() or Path.cwd()) / "data"


def install(spec: DatasetSpec, root: Path, download: bool = True) -> Path:
    """Have a data set's folder below `root`, downloading it if it is not there.

    It is unpacked beside its place, verified, and only then moved there, so a folder that exists is
    complete. Archives wait in `root/downloads` and are removed at the end.

    Raises:
        ValueError: the folder is missing and must not or cannot be downloaded, or what arrived is not
            the data set that is expected.
    """
    folder = root / spec.folder
    if folder.is_dir():
        return folder
    if not spec.downloads:
        raise ValueError(f"{spec.title} is not in {folder}. It cannot be downloaded from here: {spec.by_hand}.")
    total = human(sum(d.num_bytes for d in spec.downloads))
    if not download:
        raise ValueError(f"{spec.title} is not in {folder}; allow the download ({total}), or say where it is (root=…)")
    archives = root / "downloads"
    archives.mkdir(parents=True, exist_ok=True)
    with FileLock(archives / f"{folder.name}.lock"):  # several processes of one run ask at once
        if not folder.is_dir():
            print(f"{spec.title} is downloaded to {folder}: about {total}, once. Licence: {spec.licence}")
            _install(spec, folder, archives)
    return folder


def _install(spec: DatasetSpec, folder: Path, archives: Path) -> None:
    paths = [_fetch(item, archives) for item in spec.downloads]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archives) as temporary:
        staged = Path(temporary) / folder.name
        try:
            for item, path in zip(spec.downloads, paths, strict=True):
                unpack(path, staged / item.into, item.member)
            if spec.prepare:
                spec.prepare(staged)
            for split in spec.splits:
                _verify(spec, split, staged)
        except ValueError as error:
            names = ", ".join(path.name for path in paths)
            raise ValueError(
                f"{spec.title} was not installed: {error}. To download again, remove {names} from {archives}."
            ) from error
        staged.replace(folder)
    for path in paths:
        path.unlink()


def _fetch(item: Download, archives: Path) -> Path:
    """From the first address that works."""
    failures = []
    for url in (item.url, *item.mirrors):
        try:
            return fetch(url, archives / Path(item.url).name, item.hash, num_bytes=item.num_bytes)
        except ValueError as error:
            failures.append(error)
    raise failures[0]


def _verify(spec: DatasetSpec, split: str, folder: Path) -> None:
    """Make sure that a split is what was published: all files there, and where it is pinned, every byte."""
    dataset = _load(spec.folder, spec, split, folder)
    missing = [path for record in dataset.records for path in record.files if not path.is_file()]
    if missing or len(dataset) != spec.splits[split]:
        raise ValueError(
            f"{split} should hold {spec.splits[split]} images and has {len(dataset)}, {len(missing)} files are missing"
        )
    pinned = spec.fingerprints.get(split)
    if pinned and dataset.fingerprint(progress=True) != pinned:
        raise ValueError(f"the files of {split} are not those that were published: their fingerprint differs")


def _load(name: str, spec: DatasetSpec, split: str, folder: Path) -> SegmentationDataset:
    assert spec.reader is not None
    return SegmentationDataset(name, split, CLASS_SETS[spec.classes], tuple(spec.reader(folder, split)), folder)


def _load_folder(
    split: str | None, root: str | Path | None, classes: ClassSet | str | None, labels: Mapping[int, int] | None
) -> SegmentationDataset:
    if root is None or classes is None:
        raise ValueError("load_dataset('folder', …) needs root=DIR with images/ and masks/, and classes=ClassSet")
    classes = class_set(classes)
    records = readers.images_and_masks(Path(root), split, classes, labels)
    return SegmentationDataset("folder", split, classes, tuple(records), Path(root))


def _refuse(option: str, value: object, kind: str, owner: str) -> None:
    if value is not None and kind != owner:
        raise ValueError(f"{option} belongs to {owner!r} and means nothing for {kind!r}")
