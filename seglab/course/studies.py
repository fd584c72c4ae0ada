"""Results of longer studies, stored in `data/results/`: notebooks show them without data, training or network.

`data/results/README.md` lists the files and the scripts in `benchmarks/studies/` that write them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from seglab._utils.errors import unknown
from seglab._utils.paths import share_dir
from seglab.evaluation.results import Results
from seglab.metrics.measures import mean_iou
from seglab.models.weights.zoo import stored_counts


def results_dir() -> Path:
    """The folder of the stored results; a ValueError where seglab was installed without it."""
    share = share_dir()
    if share is None:
        raise ValueError("the stored results were not installed; install seglab from its folder: pip install .")
    return share / "data" / "results"


def stored_class_pixels() -> pd.DataFrame:
    """Numbers of pixels in street data sets: a row per data set and split, a column per class, and void."""
    return pd.read_csv(results_dir() / "class_pixels.csv", index_col=0)


def stored_history(run: str) -> pd.DataFrame:
    """The history of a stored training, as `fit` returns it; a ValueError for an unknown name lists the stored ones."""
    return pd.read_csv(_run_file(run, "csv"), index_col="epoch")


def stored_run(run: str) -> dict[str, Any]:
    """Command, recipe, minutes, machine and best epoch of a stored training; errors as in `stored_history`."""
    return json.loads(_run_file(run, "json").read_text(encoding="utf-8"))


def _run_file(run: str, suffix: str) -> Path:
    folder = results_dir() / "histories"
    path = folder / f"{run}.{suffix}"
    if not path.is_file():
        raise unknown("stored training", run, sorted(p.stem for p in folder.glob("*.csv")))
    return path


def stored_losses() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study of losses, `benchmarks/studies/losses.py`: a U-Net mini on Toytown, several seeds per loss.

    Returns:
        histories: index loss, seed, split, epoch; columns train_loss, val_loss, miou, pixel_accuracy, and the IoU of
            each class under its name. Every epoch on `val`; the epoch with the best mIoU there on `test`.
        counts: index loss, seed, target; a column per predicted class. Each run's rows are its `test` confusion matrix.
    """
    histories = pd.read_csv(results_dir() / "losses.csv", index_col=["loss", "seed", "split", "epoch"])
    return histories, pd.read_csv(results_dir() / "losses_counts.csv", index_col=["loss", "seed", "target"])


def stored_coverage() -> tuple[pd.DataFrame, pd.Series]:
    """The study of intervals, `benchmarks/studies/interval_coverage.py`: two minis on many small Toytown test sets.

    Returns:
        sets: a row per test set and quantity: n (scenes in the set), set, what, value, low, high.
        truth: what → the same quantity on all scenes. `what` is a model, for its mIoU, or "difference" of the two.
    """
    truth = pd.read_csv(results_dir() / "coverage_truth.csv", index_col="what")["value"]
    return pd.read_csv(results_dir() / "coverage.csv"), truth


def stored_small_data() -> tuple[pd.DataFrame, dict[str, Any]]:
    """The study of small data, `benchmarks/studies/small_data.py`: minis trained on few and on many images.

    Returns:
        table: index model, data, images, augmented, seed, split ("train" holds the images of the training); columns
            steps, miou, pixel_accuracy, the IoU of each class (NaN for classes of the other data set), minutes.
        facts: command, total minutes, machine.
    """
    keys = ["model", "data", "images", "augmented", "seed", "split"]
    table, facts = results_dir() / "small_data.csv", results_dir() / "small_data.json"
    return pd.read_csv(table, index_col=keys), json.loads(facts.read_text(encoding="utf-8"))


def stored_transfer() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study of pretrained weights, `benchmarks/studies/transfer.py`: a U-Net on few and on many photographs.

    Returns:
        counts: index start, images, seed, target; a column per predicted class. Each run's rows are its confusion
            matrix on the photographs' `val`. `start` is scratch, imagenet, frozen or released.
        curves: index start, images, seed, updates; columns loss, val_loss, miou, measured in the course of each run.
    """
    keys = ["start", "images", "seed"]
    counts = pd.read_csv(results_dir() / "transfer.csv", index_col=[*keys, "target"])
    return counts, pd.read_csv(results_dir() / "transfer_curves.csv", index_col=[*keys, "updates"])


def stored_architectures() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study of architectures, `benchmarks/studies/architectures.py`: six minis with equal recipes and MACs.

    The learning rates differ, and Mask2Former has its own loss. A study that is not finished has fewer rows.

    Returns:
        counts: index model, seed, weather, adapted, target; a column per predicted class. The rows of each model, seed,
            weather and `adapted` (whether BatchNorm has the statistics of that weather) are a `test` confusion matrix.
        runs: index model, lr, seed, a row per training; columns steps, loss, val_miou, gmacs, mparams, minutes. Seed
            100 belongs to the search for a learning rate.
    """
    counts, runs = results_dir() / "architectures.csv", results_dir() / "architectures_runs.csv"
    indexed = pd.read_csv(counts, index_col=["model", "seed", "weather", "adapted", "target"])
    return indexed, pd.read_csv(runs, index_col=["model", "lr", "seed"])


def miou_of_architectures() -> pd.Series:
    """mIoU of each training of `stored_architectures`: index model, seed, weather, adapted; order as stored."""
    counts, _ = stored_architectures()
    levels = ["model", "seed", "weather", "adapted"]
    return counts.groupby(level=levels, sort=False)[list(counts)].apply(mean_iou).astype(float).rename("miou")


def over_seeds(values: pd.Series, level: float = 0.95) -> pd.DataFrame:
    """Mean over the trainings of each group, with an interval of Student's t for the mean of all trainings.

    Args:
        values: one per training; `seed` is a level of its index, and the others name the groups.
        level: confidence of the interval, from 0 to 1.

    Returns:
        Columns mean, low, high; NaN ends where a group has one training. With three trainings the interval is the mean
        ± 2.5 standard deviations, which assumes that trainings are normally distributed.
    """
    groups = values.groupby([name for name in values.index.names if name != "seed"], sort=False)
    mean, count = groups.mean(), groups.count()
    half = t.ppf((1 + level) / 2, count - 1) * groups.std() / np.sqrt(count)
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})


def camvid_test_path() -> Path:
    """The store that `benchmarks/studies/camvid_test.py` fills; it is missing where CamVid could not be downloaded."""
    return results_dir() / "camvid_test.sqlite"


def real_streets() -> pd.DataFrame:
    """The CamVid minis on `val`, which chose their epoch, and on `test`, which papers report on.

    Returns:
        index model, best on `val` first; columns val and test (mIoU), low, high (95 % interval of `test`, with drives
        resampled). Where `test` was not measured, its column holds the words "not measured here", and the ends are NaN.
    """
    table = Results.open(stored_counts("camvid")).summary()[["miou"]].rename(columns={"miou": "val"})
    if not camvid_test_path().is_file():
        return table.assign(test="not measured here", low=np.nan, high=np.nan)
    measured = Results.open(camvid_test_path()).summary()[["miou", "low", "high"]]
    return table.join(measured.rename(columns={"miou": "test"}))
