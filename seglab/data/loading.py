"""Load a data set by its name: find it in the data folder, download and verify it if it is missing; or your own.

    ds = load_dataset("camvid", "val")
    sample = ds[0]          # sample.image uint8 (3,H,W), sample.target uint8 (H,W), 255 = void
    ds = load_dataset("~/leaves", "train")  # a folder as an annotation tool exported it, or its dataset.yaml

The data folder is `data/`, or the value of the environment variable `SEGLAB_DATA`. Toytown is drawn and needs no files.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from seglab._utils.download import fetch, human, unpack
from seglab._utils.errors import unknown
from seglab._utils.paths import working_root
from seglab.data import readers
from seglab.data.card import CARD
from seglab.data.catalogue import DATASETS, DatasetSpec, Download
from seglab.data.classes import CLASS_SETS, ClassSet, class_set
from seglab.data.dataset import SegmentationDataset
from seglab.data.inspection import find_card
from seglab.data.own import load_card, splits_of
from seglab.data.toytown import scene as toytown


def load_dataset(
    name: str | Path,
    split: str | None = None,
    root: str | Path | None = None,
    *,
    download: bool = True,
    size: tuple[int, int] | None = None,
    classes: ClassSet | str | None = None,
    labels: Mapping[int, int] | None = None,
) -> SegmentationDataset:
    """A data set by its name in `DATASETS`, or your own.

    Args:
        name: a key of `DATASETS`; Toytown in another weather, as `"toytown:night"`; or a path (`"./leaves"`): a
            dataset.yaml, or a folder with one. A folder without one is inspected (see `inspection.inspect`).
        split: by default the first of the data set's splits; for `"folder"` the name of a subfolder, or None; for a
            path a split of the card or the layout, or None for all images.
        root: the data folder, by default `data_root()`; for `"folder"` the folder with images/ and masks/.
        download: whether to download missing data; if False, missing data raises an error.
        size: (H, W) of Toytown's scenes.
        classes: for `"folder"`: a `ClassSet` or its key in `CLASS_SETS`. For a path, names other than those of the card
            are an error.
        labels: for `"folder"`: raw label → class index or 255, where masks do not hold class indices.

    Raises:
        ValueError: an unknown name or split, an option of another data set, or files that are missing or not as
            expected. The content of images and masks is checked when they are read; `check()` reads them all.
    """
    if is_path(name):
        return _load_own(name, split, {"root": root, "size": size, "labels": labels}, classes)
    name = str(name)
    kind, _, weather = name.partition(":")
    if kind not in DATASETS or (weather and kind != "toytown"):
        raise unknown("data set", name, DATASETS)
    options = {"size": (size, "toytown"), "classes": (classes, "folder"), "labels": (labels, "folder")}
    for option, (value, owner) in options.items():
        if value is not None and kind != owner:
            raise ValueError(f"{option} belongs to {owner!r} and has no meaning for {kind!r}")
    if kind == "folder":
        if root is None or classes is None:
            raise ValueError("load_dataset('folder', …) needs root=DIR with images/ and masks/, and classes=ClassSet")
        root, classes = Path(root), class_set(classes)
        records = readers.images_and_masks(root, split, classes, labels)
        return SegmentationDataset("folder", split, classes, tuple(records), root)

    spec = DATASETS[kind]
    split = next(iter(spec.splits)) if split is None else split
    if split not in spec.splits:
        raise unknown(f"split of {kind}", split, spec.splits)
    if kind == "toytown":
        scenes = readers.toytown_scenes(split, weather or "clear", size or toytown.SIZE)
        return SegmentationDataset(name, split, CLASS_SETS[spec.classes], tuple(scenes))
    return _read(name, spec, split, install(spec, Path(root) if root else data_root(), download))


def is_path(name: str | Path) -> bool:
    """Whether this is a path, not a name: it has a separator or the suffix of YAML, or is an existing folder.

    A name in `DATASETS` is a name; `"./coco"` is the folder beside it.
    """
    if isinstance(name, Path):
        return True
    if name.partition(":")[0] in DATASETS:
        return False
    return (
        name.startswith((".", "~"))
        or name.endswith((".yaml", ".yml"))
        or "/" in name
        or os.sep in name
        or os.path.isdir(name)  # noqa: PTH112  (False for a name that is too long for a path)
    )


def _load_own(
    path: str | Path, split: str | None, others: Mapping[str, object], classes: ClassSet | str | None
) -> SegmentationDataset:
    if wrong := [key for key, value in others.items() if value is not None]:
        raise ValueError(
            f"{wrong[0]} has no meaning for {path}: the card {CARD} describes your own data; state it there"
        )
    card = find_card(path)
    if classes is not None and (given := class_set(classes)).names != card.names:
        raise ValueError(
            f"{path} has the classes {', '.join(card.names)}, and {given.name!r} has {', '.join(given.names)};"
            " leave the class set out"
        )
    return load_card(card, split)


def data_root() -> Path:
    """The data folder: `SEGLAB_DATA` if set, else `data/` in the checkout or in the current directory."""
    given = os.environ.get("SEGLAB_DATA")
    return Path(given).expanduser() if given else working_root() / "data"


def install(spec: DatasetSpec, root: Path, download: bool = True) -> Path:
    """The folder of a data set below `root`, downloaded if it is missing.

    Archives are unpacked and verified in a temporary folder, which is then moved into place: a folder that exists is
    complete. Until then archives are kept in `root/downloads`.

    Raises:
        ValueError: the folder is missing and may not or cannot be downloaded, or the downloaded files are not the
            expected data set.
    """
    folder = root / spec.folder
    if folder.is_dir():
        return folder
    if not spec.downloads:
        raise ValueError(f"{spec.title} is not in {folder}. It cannot be downloaded from here: {spec.by_hand}.")
    total = human(sum(d.num_bytes for d in spec.downloads))
    if not download:
        raise ValueError(f"{spec.title} is not in {folder}; allow the download ({total}), or give its folder (root=…)")
    base = install(DATASETS[spec.base], root) if spec.base else None
    archives = root / "downloads"
    archives.mkdir(parents=True, exist_ok=True)
    with FileLock(archives / f"{folder.name}.lock"):  # the processes of a distributed run call this at the same time
        if not folder.is_dir():
            print(f"{spec.title} is downloaded to {folder}: about {total}, once. Licence: {spec.licence}")
            _install(spec, folder, archives, base)
    return folder


def _install(spec: DatasetSpec, folder: Path, archives: Path, base: Path | None) -> None:
    paths = [_fetch(item, archives) for item in spec.downloads]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archives) as temporary:
        staged = Path(temporary) / folder.name
        try:
            for item, path in zip(spec.downloads, paths, strict=True):
                if item.member is None:
                    shutil.copy(path, staged)
                else:
                    unpack(path, staged / item.into, item.member)
            if spec.prepare:
                spec.prepare(staged, *[base] * bool(base))
            for split in spec.splits:
                _verify(spec, split, staged)
        except ValueError as error:
            remedy = f"To download again, remove {', '.join(path.name for path in paths)} from {archives}."
            raise ValueError(f"{spec.title} was not installed: {error}. {remedy}") from error
        staged.replace(folder)
    for path in paths:
        path.unlink()


def _fetch(item: Download, archives: Path) -> Path:
    """Download from the first address that works."""
    failures = []
    for url in (item.url, *item.mirrors):
        try:
            return fetch(url, archives / Path(item.url).name, item.hash, num_bytes=item.num_bytes)
        except ValueError as error:
            failures.append(error)
    raise failures[0]


def _verify(spec: DatasetSpec, split: str, folder: Path) -> None:
    """Raise a ValueError unless a split has all published files and, where it is listed, the published fingerprint."""
    dataset = _read(spec.folder, spec, split, folder)
    missing = [path for record in dataset.records for path in record.files if not path.is_file()]
    count, fingerprint = spec.splits[split], spec.fingerprints.get(split)
    if missing or len(dataset) != count:
        raise ValueError(f"{split} should hold {count} images and has {len(dataset)}; {len(missing)} files are missing")
    if fingerprint and dataset.fingerprint(progress=True) != fingerprint:
        raise ValueError(f"the files of {split} are not those that were published: their fingerprint differs")


def _read(name: str, spec: DatasetSpec, split: str, folder: Path) -> SegmentationDataset:
    assert spec.reader is not None
    return SegmentationDataset(name, split, CLASS_SETS[spec.classes], tuple(spec.reader(folder, split)), folder)


def local_datasets() -> list[str]:
    """Names of the data sets in the data folder; without Toytown, which is drawn."""
    return [name for name, spec in DATASETS.items() if spec.folder and (data_root() / spec.folder).is_dir()]


@dataclass(frozen=True)
class DataSelection:
    """A data set, or its first images, to evaluate on; name, root and classes as for `load_dataset`."""

    name: str
    split: str | None = None  # by default evaluation_split(name)
    images: int | None = None  # only the first so many; by default all
    root: str | None = None
    classes: str | None = None

    def load(self) -> SegmentationDataset:
        split = self.split or evaluation_split(self.name)
        dataset = load_dataset(self.name, split, self.root, classes=self.classes)
        return dataset if self.images is None else dataset.subset(range(min(self.images, len(dataset))))


def classes_of(name: str, expected: tuple[str, ...]) -> ClassSet:
    """The classes of a data set; raises ValueError if their names are not the expected ones, such as a model's."""
    known = DATASETS.get(name.partition(":")[0])
    if known is None and not is_path(name):
        raise unknown("data set", name, DATASETS)
    classes = find_card(name).classes() if known is None else class_set(known.classes)
    if classes.names != expected:
        raise ValueError(f"{name} has the classes {', '.join(classes.names)}, and the model {', '.join(expected)}")
    return classes


def title_of(name: str) -> str:
    """The title of a known data set; the name of one's own."""
    known = DATASETS.get(name.partition(":")[0])
    return find_card(name).title if known is None else known.title


def evaluation_split(name: str) -> str | None:
    """The split for evaluation: test of Toytown and nuclei, else val or None; test or val of your own data."""
    if is_path(name):
        splits = splits_of(find_card(name))
        return next((split for split in ("test", "val") if split in splits), None)
    spec = DATASETS.get(name.partition(":")[0])
    if spec is None:
        raise unknown("data set", name, DATASETS)
    return "test" if name.startswith(("toytown", "nuclei")) else "val" if "val" in spec.splits else None
