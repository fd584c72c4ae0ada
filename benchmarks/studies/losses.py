"""What each loss does to a training, all else equal: the study behind notebook 07.

    python benchmarks/studies/losses.py            about three quarters of an hour on two cores; goes on where it was
                                                   interrupted

A U-Net mini is trained from scratch on Toytown at 96×128, once for each loss and seed. The seed decides the first
weights and every crop, so runs of one seed differ in nothing but the loss, or in the number of epochs. The
weights of the epoch with the best mIoU on `val` are tried on `test`.

Two tables come out of it:

- `data/results/losses.csv`: a row for each run and epoch, and one for each run on `test`;
- `data/results/losses_counts.csv`: the confusion matrix of each run on `test`; rows are targets, columns predictions.

Each run has one thread to itself, so its numbers do not depend on how many run side by side.
"""

import argparse
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from seglab import load_dataset, load_model
from seglab.course.studies import results_dir
from seglab.data.dataset import Record, SegmentationDataset
from seglab.data.transforms import normalize
from seglab.masks.argmax import to_mask
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

SIZE = (96, 128)
TRAIN, VAL = 600, 75  # scenes
BASE = Recipe(epochs=10, batch=8, size=SIZE, precision="bfloat16")
SHORT = {
    "ce": BASE,
    "ce, weighted": replace(BASE, weights="median"),  # the square root of median frequency
    "focal": replace(BASE, loss="focal"),  # γ = 2, no weights
    "dice": replace(BASE, loss="dice"),
    "lovasz": replace(BASE, loss="lovasz"),
    "ce+dice": replace(BASE, loss="ce+dice"),
}
# Is it the loss, or is it time? The schedule is stretched with the epochs.
LONG = {f"{name}, twice as long": replace(recipe, epochs=2 * recipe.epochs) for name, recipe in SHORT.items()}
LOSSES = SHORT | LONG
SEEDS = dict.fromkeys(SHORT, 3) | dict.fromkeys(LONG, 1) | {"ce": 5, "ce, twice as long": 2}
KEYS, COUNTED = ["loss", "seed", "split", "epoch"], ["loss", "seed", "target"]
Run = tuple[str, int]


def runs() -> list[Run]:
    """Seed by seed, so that an unfinished study has as many of each loss."""
    return [(name, seed) for seed in range(max(SEEDS.values())) for name in LOSSES if seed < SEEDS[name]]


@lru_cache
def scenes(split: str, count: int) -> SegmentationDataset:
    """The first scenes of a split, drawn once."""
    drawn = load_dataset("toytown", split, size=SIZE).subset(range(count))

    def keep(record: Record) -> Record:
        arrays = record.read()
        return replace(record, read=lambda: arrays)

    return replace(drawn, records=tuple(keep(record) for record in drawn.records))


def train(run: Run, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One training: the rows of the first table, and those of the second."""
    (name, seed), (train, val) = run, (scenes("train", TRAIN), scenes("val", VAL))
    torch.manual_seed(seed)
    model = load_model("unet_mini", weights=None, classes="street", device="cpu")
    recipe = replace(LOSSES[name], seed=seed)
    out = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    history = fit(model, train, val, recipe, out, progress=False).reset_index()
    best = int(history.loc[history["miou"].idxmax(), "epoch"])
    counts = count(model, scenes("test", 300))
    names = model.classes.names
    tested = {"epoch": best, "miou": float(mean_iou(counts)), "pixel_accuracy": float(pixel_accuracy(counts))}
    tested |= dict(zip(names, iou_per_class(counts).tolist(), strict=True))
    rows = pd.concat([history.assign(split="val"), pd.DataFrame([tested]).assign(split="test")])
    rows = rows.assign(loss=name, seed=seed, train_loss=rows["loss"])
    table = pd.DataFrame(counts.numpy(), columns=names).assign(loss=name, seed=seed, target=names)
    return rows[[*KEYS, "train_loss", "val_loss", "miou", "pixel_accuracy", *names]], table[[*COUNTED, *names]]


@torch.inference_mode()
def count(model: torch.nn.Module, dataset: SegmentationDataset) -> torch.Tensor:
    """Counts over a data set, in float32: int64 (K, K)."""
    total = torch.zeros(len(dataset.classes), len(dataset.classes), dtype=torch.int64)
    for i in range(0, len(dataset), 10):
        samples = [dataset[k] for k in range(i, min(i + 10, len(dataset)))]
        scores = model(normalize(torch.stack([s.image for s in samples])))
        total += confusion_matrix(to_mask(scores), torch.stack([s.target for s in samples]), len(dataset.classes))
    return total


def finished(path: Path) -> set[Run]:
    return set(pd.read_csv(path)[["loss", "seed"]].itertuples(index=False, name=None)) if path.exists() else set()


def add(path: Path, rows: pd.DataFrame) -> None:
    """Put the rows of a run into a stored table, in their order."""
    if path.exists():
        before = pd.read_csv(path)
        again = (before["loss"] == rows["loss"].iloc[0]) & (before["seed"] == rows["seed"].iloc[0])
        rows = pd.concat([before[~again], rows])
    rows = rows.sort_values(["loss", "seed"], kind="stable")
    unfinished = path.with_suffix(".part")
    rows.to_csv(unfinished, index=False, float_format="%.5f", lineterminator="\n")
    unfinished.replace(path)


def one_thread() -> None:
    torch.set_num_threads(1)


def trained(task: tuple[Run, Path]) -> tuple[Run, pd.DataFrame, pd.DataFrame]:
    return (task[0], *train(*task))


def results(todo: list[Run], folder: Path, jobs: int) -> Iterator[tuple[Run, pd.DataFrame, pd.DataFrame]]:
    if not todo:
        return
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=one_thread) as pool:
        yield from pool.imap_unordered(trained, [(run, folder) for run in todo])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("losses", nargs="*", default=list(LOSSES), help="only these")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8), help="trainings side by side")
    parser.add_argument("--runs", type=Path, default=Path("runs/losses"), help="folder for unfinished runs")
    given = parser.parse_args()
    histories, counts = results_dir() / "losses.csv", results_dir() / "losses_counts.csv"
    there = finished(histories) & finished(counts)
    todo = [run for run in runs() if run[0] in given.losses and run not in there]
    bar = tqdm(total=len(todo), desc="losses", unit="run", disable=not todo)
    for run, rows, table in results(todo, given.runs, given.jobs):
        add(histories, rows)
        add(counts, table)
        bar.set_postfix_str(f"{run[0]}, seed {run[1]}")
        bar.update()
    bar.close()
    table = pd.read_csv(histories).query("split == 'test'")
    shown = table.groupby("loss", sort=False)[["miou", "pixel_accuracy", "pole", "sign"]].agg(["mean", "min", "max"])
    print(shown.round(3).to_string())


if __name__ == "__main__":
    main()
