"""Data sets: what there is, where it lies, and one form for all of them.

    ds = load_dataset("camvid", "val")
    sample = ds[0]          # sample.image uint8 (3,H,W), sample.target uint8 (H,W), 255 = void

Data lies in the folder that the environment variable `SEGLAB_DATA` names, by default in `data/`. What is
missing is downloaded when it is first asked for; Toytown is drawn and needs neither.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from seglab._utils.download import fetch, human, unpack
from seglab._utils.errors import unknown
from seglab._utils.paths import project_root
from seglab.data import readers
from seglab.data.catalogue import DATASETS, DatasetSpec, Download
from seglab.data.classes import CLASS_SETS, ClassSet, class_set
from seglab.data.dataset import SegmentationDataset
from seglab.data.toytown import scene as toytown


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


def local_datasets() -> list[str]:
    """Names of the data sets that lie in the data folder; Toytown, which is drawn, lies nowhere."""
    from seglab.data.catalogue import DATASETS

    return [name for name, spec in DATASETS.items() if spec.folder and (data_root() / spec.folder).is_dir()]


@dataclass(frozen=True)
class DataSelection:
    """A data set of a plan.

    Attributes:
        name: as for `load_dataset`.
        split: by default the one to be judged on.
        images: only the first so many.
        root: where it lies; for "folder" the one with images/ and masks/.
        classes: class set of "folder".
    """

    name: str
    split: str | None = None
    images: int | None = None
    root: str | None = None
    classes: str | None = None

    def load(self) -> SegmentationDataset:
        """The data set itself."""
        split = self.split or evaluation_split(self.name)
        dataset = load_dataset(self.name, split, self.root, classes=self.classes)
        return dataset if self.images is None else dataset.subset(range(min(self.images, len(dataset))))


def evaluation_split(name: str) -> str | None:
    """The split that a data set is judged on: its test split where seglab draws it, else val where there is one."""
    spec = DATASETS.get(name.partition(":")[0])
    if spec is None:
        raise unknown("data set", name, DATASETS)
    return "test" if name.startswith("toytown") else "val" if "val" in spec.splits else None
