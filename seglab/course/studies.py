"""Results that travel with the workbook: tables in `data/results/`, so that a notebook needs no data to show them.

`class_pixels.csv` is made by

    for name, split in (("toytown", "train"), ("camvid", "train"), ("camvid", "val")):
        store_class_pixels(load_dataset(name, split))
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from seglab._utils.errors import unknown
from seglab._utils.paths import share_dir
from seglab.data.dataset import SegmentationDataset


def results_dir() -> Path:
    """Where the stored tables lie."""
    share = share_dir()
    if share is None:
        raise ValueError("the stored results were not installed; install seglab from its folder: pip install .")
    return share / "data" / "results"


def class_pixels(dataset: SegmentationDataset, progress: bool = True) -> pd.Series:
    """Pixels of each class, and of void, over a whole data set. int64, by class name."""
    counts = np.zeros(256, np.int64)
    for i in tqdm(range(len(dataset)), desc=f"counting {dataset.name}", unit="image", disable=not progress):
        counts += np.bincount(dataset[i].target.numpy().ravel(), minlength=256)
    classes = dataset.classes
    named = dict(zip(classes.names, counts[: len(classes)].tolist(), strict=True))
    return pd.Series(named | {"void": int(counts[classes.ignore_index])}, name=f"{dataset.name} {dataset.split}")


def stored_class_pixels() -> pd.DataFrame:
    """Counted pixels of street data sets: one row a data set and split, one column a class, and void."""
    return pd.read_csv(results_dir() / "class_pixels.csv", index_col=0)


def stored_history(run: str) -> pd.DataFrame:
    """The history of a stored training, as `train.fit` returns it; `data/results/README.md` lists the runs."""
    return pd.read_csv(_run_file(run, "csv"), index_col="epoch")


def stored_run(run: str) -> dict[str, Any]:
    """What a stored training was: its command, recipe, minutes, machine and best epoch."""
    facts: dict[str, Any] = json.loads(_run_file(run, "json").read_text(encoding="utf-8"))
    return facts


def store_run(folder: Path, run: str, command: str) -> None:
    """Keep the history of a finished training, and the command that it came from, under a name."""
    target = results_dir() / "histories"
    target.mkdir(parents=True, exist_ok=True)
    facts = {"command": command} | json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (target / f"{run}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    history = pd.read_csv(folder / "history.csv", index_col="epoch")
    history.to_csv(target / f"{run}.csv", float_format="%.6g", lineterminator="\n")


def _run_file(run: str, suffix: str) -> Path:
    folder = results_dir() / "histories"
    path = folder / f"{run}.{suffix}"
    if not path.is_file():
        raise unknown("stored training", run, sorted(p.stem for p in folder.glob("*.csv")))
    return path


def store_class_pixels(dataset: SegmentationDataset) -> None:
    """Count a data set and put its row into the stored table."""
    path = results_dir() / "class_pixels.csv"
    row = class_pixels(dataset)
    table = stored_class_pixels().drop(index=row.name, errors="ignore") if path.exists() else pd.DataFrame()
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([table, row.to_frame().T]).sort_index().to_csv(path, index_label="dataset", lineterminator="\n")


def stored_losses() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study of losses that `benchmarks/losses.py` made: a U-Net mini on Toytown, several seeds a loss.

    Returns:
        histories: index loss, seed, split, epoch; columns train_loss, val_loss, miou, pixel_accuracy, and the IoU of
            each class under its name. Each epoch on `val`; the epoch with the best mIoU there on `test`.
        counts: index loss, seed, target; a column for each predicted class: how many pixels of `test`. The rows of
            one run are its confusion matrix.
    """
    keys = ["loss", "seed", "split", "epoch"]
    histories = pd.read_csv(results_dir() / "losses.csv", index_col=keys)
    return histories, pd.read_csv(results_dir() / "losses_counts.csv", index_col=["loss", "seed", "target"])


def stored_coverage() -> tuple[pd.DataFrame, pd.Series]:
    """The study of intervals that `benchmarks/interval_coverage.py` made: two minis on many small scenes of Toytown.

    Returns:
        sets: a row a test set and number: n (scenes in the set), set, what, value, low, high.
        truth: what → the same number on all scenes. `what` is a model, whose mIoU it is, or "difference" of the two.
    """
    folder = results_dir()
    truth = pd.read_csv(folder / "coverage_truth.csv", index_col="what")["value"]
    return pd.read_csv(folder / "coverage.csv"), truth


def stored_small_data() -> tuple[pd.DataFrame, dict[str, Any]]:
    """The study of small data that `benchmarks/small_data.py` made: minis trained on few and on many images.

    Returns:
        table: index model, data, images, augmented, seed, split; columns steps, miou, pixel_accuracy, the IoU of
            each class under its name (NaN for classes of the other data set), minutes. Split "train" are images that
            were trained on, "test" others.
        facts: command, minutes in all, machine.
    """
    folder, keys = results_dir(), ["model", "data", "images", "augmented", "seed", "split"]
    facts: dict[str, Any] = json.loads((folder / "small_data.json").read_text(encoding="utf-8"))
    return pd.read_csv(folder / "small_data.csv", index_col=keys), facts
