"""How many of the 95 % intervals contain the truth? The study behind notebook 04.

    python benchmarks/studies/interval_coverage.py     about a quarter of an hour on two cores; resumes when interrupted

Two minis are trained for a minute on Toytown at 96×128. Both are evaluated on a large pool of scenes of no split: their
value on all of it is the truth. The pool is cut into test sets of 30 and of 100 scenes, 500 of each, and every test set
gives an interval for each model's mIoU and for their difference, as `Results` does. The study counts the intervals that
contain the truth.

- `data/results/coverage.csv`: a row a test set and number: n images, set, what, value, low, high;
- `data/results/coverage_truth.csv`: the same numbers on the whole pool.
"""

import argparse
import multiprocessing
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from seglab import load_dataset, load_model
from seglab.course.studies import results_dir, stored_coverage
from seglab.data.classes import CLASS_SETS
from seglab.data.toytown import scene as toytown
from seglab.inference.fast import FastModel
from seglab.masks.argmax import to_mask
from seglab.metrics.bootstrap import intervals
from seglab.metrics.comparison import GroupedCounts, resample
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import parts
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

SIZE = (96, 128)
SIZES, SETS = (30, 100), 500
FIRST, POOL = 1_000_000, max(SIZES) * SETS  # the pool's first seed and its number of scenes
CHUNK, BATCH = 1000, 25  # scenes a file, and a forward pass
MODELS = ("unet_mini", "lraspp_mini")
STREET = CLASS_SETS["street"]
RECIPE = Recipe(epochs=6, batch=8, size=SIZE, weights="median", precision="bfloat16")


def train(name: str, folder: Path) -> None:
    """A short training of a mini, which is done once."""
    torch.manual_seed(0)
    model = load_model(name, weights=None, classes=STREET, device="cpu")
    scenes, others = (load_dataset("toytown", split, size=SIZE) for split in ("train", "val"))
    fit(model, scenes.subset(range(600)), others.subset(range(75)), RECIPE, folder / name)


@lru_cache
def quick(name: str, folder: Path) -> FastModel:
    return FastModel(load_model(folder / name / "best.safetensors", device="cpu"))


@torch.inference_mode()
def count_chunk(task: tuple[int, Path]) -> None:
    """Parts of some scenes, see `metrics.parts`: int32 (models, CHUNK, K, 3), into a file."""
    chunk, folder = task
    torch.set_num_threads(1)
    tables = np.zeros((len(MODELS), CHUNK, len(STREET), len(STREET)), np.int32)
    for start in range(0, CHUNK, BATCH):
        scenes = [toytown.scene(FIRST + chunk * CHUNK + start + i, SIZE) for i in range(BATCH)]
        images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
        for m, name in enumerate(MODELS):
            masks = to_mask(quick(name, folder)(images), size=SIZE)
            for i, (mask, scene) in enumerate(zip(masks, scenes, strict=True)):
                tables[m, start + i] = confusion_matrix(mask, torch.from_numpy(scene.target), len(STREET))
    unfinished = folder / f"{chunk}.part"
    with unfinished.open("wb") as file:
        np.save(file, parts(tables).astype(np.int32))
    unfinished.replace(parts_file(chunk, folder))


def parts_file(chunk: int, folder: Path) -> Path:
    return folder / f"parts-{chunk:03}.npy"


def pool(folder: Path, scenes: int, jobs: int) -> NDArray[np.int64]:
    """(models, scenes, K, 3), the missing ones are counted first."""
    for name in MODELS:
        train(name, folder)
    chunks = range(-(-scenes // CHUNK))
    todo = [(chunk, folder) for chunk in chunks if not parts_file(chunk, folder).exists()]
    if todo:
        with multiprocessing.get_context("spawn").Pool(jobs) as workers:
            finished = workers.imap_unordered(count_chunk, todo)
            for _ in tqdm(
                finished, desc="pool", unit="thousand scenes", total=len(chunks), initial=len(chunks) - len(todo)
            ):
                pass
    return np.concatenate([np.load(parts_file(c, folder)) for c in chunks], axis=1).astype(np.int64)


def grouped(counts: NDArray[np.int64]) -> GroupedCounts:
    shown = (counts[0, :, :, 1] > 0).sum(axis=0)
    return GroupedCounts({name: p[None] for name, p in zip(MODELS, counts, strict=True)}, STREET.names, shown)


def row(counts: NDArray[np.int64], seed: int) -> dict[str, list[float]]:
    """What one test set says: value, low, high of each model's mIoU and of their difference."""
    drawn = resample(grouped(counts), seed=seed)
    assert drawn is not None
    first, second = (drawn.miou(name) for name in MODELS)
    found = {MODELS[0]: first, MODELS[1]: second, "difference": first - second}
    return {what: [e.value, *np.ravel(intervals([e]))] for what, e in found.items()}


def study(counts: NDArray[np.int64]) -> tuple[pd.DataFrame, pd.Series]:
    """All test sets that the pool gives, and the truth."""
    whole = grouped(counts)
    values = [float(whole.miou(name)[0]) for name in MODELS]
    truth = dict(zip([*MODELS, "difference"], [*values, values[0] - values[1]], strict=True))
    rows = []
    for n in SIZES:
        for k in tqdm(range(min(SETS, counts.shape[1] // n)), desc=f"{n} images", unit="set"):
            found = row(counts[:, k * n : (k + 1) * n], seed=k)
            rows += [(n, k, what, *numbers) for what, numbers in found.items()]
    return pd.DataFrame(rows, columns=["n", "set", "what", "value", "low", "high"]), pd.Series(truth, name="value")


def coverage(table: pd.DataFrame, truth: pd.Series) -> pd.DataFrame:
    """Share of the intervals that hold the truth, and how wide they are: rows what and n."""
    true = table["what"].map(truth)
    found = table.assign(holds=(table["low"] <= true) & (true <= table["high"]), width=table["high"] - table["low"])
    kept = {"sets": ("set", "size"), "holds": ("holds", "mean"), "width": ("width", "mean")}
    return found.groupby(["what", "n"], sort=False).agg(**kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that evaluate scenes")
    parser.add_argument("--scenes", type=int, default=POOL, help="size of the pool")
    parser.add_argument("--runs", type=Path, default=Path("runs/coverage"), help="folder of the finished counts")
    parser.add_argument("--again", action="store_true", help="also if its tables are there")
    given = parser.parse_args()
    stored = results_dir() / "coverage.csv", results_dir() / "coverage_truth.csv"
    if given.again or not all(path.exists() for path in stored):
        table, truth = study(pool(given.runs, given.scenes, given.jobs))
        table.to_csv(stored[0], index=False, float_format="%.5f", lineterminator="\n")
        truth.to_csv(stored[1], index_label="what", float_format="%.5f", lineterminator="\n")
    table, truth = stored_coverage()
    print(truth.round(3).to_string(), coverage(table, truth).round(3).to_string(), sep="\n\n")


if __name__ == "__main__":
    main()
