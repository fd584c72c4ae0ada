"""What a U-Net learns from few images: the study behind notebook 06.

    python benchmarks/studies/small_data.py        about half an hour on one core; goes on where it was interrupted

A U-Net mini is trained from scratch on 10, on 50 and on all 1200 training scenes of Toytown at 96×128, and on 10
without augmentation; and where `SEGLAB_DATA` has the membrane set, on 2, 5 and all of its training slices. Beside it an
FCN mini, on 10 scenes and on all. Every training takes the same number of steps: few images come round more often. The
seed decides the first weights, the crops, and the choice of the few images. The last weights are evaluated, because
choosing an epoch would need labelled images, too.

- `data/results/small_data.csv`: for each training a row on its own images (at most 50 of them, split "train") and one
  on images that it never saw (split "test");
- `data/results/small_data.json`: command, machine, minutes.
"""

import argparse
import json
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from seglab import CLASS_SETS, load_dataset, load_model
from seglab.course.studies import results_dir
from seglab.data.dataset import SegmentationDataset
from seglab.data.transforms import to_batch
from seglab.masks.argmax import to_mask
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

EPOCH = 1200  # images; few are repeated until they are as many
TOYTOWN = Recipe(epochs=2, batch=4, size=(96, 128), loss="dice", precision="bfloat16")
RECIPES = {
    "toytown": TOYTOWN,
    "membrane": replace(TOYTOWN, size=(128, 128), scale=(3.0, 5.0)),  # crops of slices of 384 to 640 pixels
}
NOT_AUGMENTED = {"scale": (1.0, 1.0), "flip": 0.0, "jitter": 0.0}
ALL = 0
Run = tuple[str, str, int, bool, int]  # model, data, images, augmented, seed
SETTINGS = [
    ("unet_mini", "toytown", 10, False), ("unet_mini", "toytown", 10, True), ("unet_mini", "toytown", 50, True),
    ("unet_mini", "toytown", ALL, True), ("fcn_mini", "toytown", 10, True), ("fcn_mini", "toytown", ALL, True),
    ("unet_mini", "membrane", 2, True), ("unet_mini", "membrane", 5, True), ("unet_mini", "membrane", ALL, True),
]  # fmt: skip
SEEDS = 2
KEYS = ["model", "data", "images", "augmented", "seed"]
NAMES = [*CLASS_SETS["street"].names, *CLASS_SETS["membrane"].names]


@lru_cache
def images_of(data: str, split: str) -> SegmentationDataset:
    """All images of a split, read once.

    Raises:
        ValueError: they are not here; nothing is downloaded.
    """
    size = {"size": TOYTOWN.size} if data == "toytown" else {}
    dataset = load_dataset(data, split, download=False, **size)
    return replace(dataset, records=tuple(replace(r, read=partial(tuple, r.read())) for r in dataset.records))


def runs() -> list[Run]:
    """Seed by seed, so that an unfinished study has as many of each; without data that are not here."""
    found = []
    for model, data, images, augmented in SETTINGS:
        try:
            total = len(images_of(data, "train"))
        except ValueError as error:
            print(f"{data} is left out: {error}")
        else:
            found.append((model, data, images or total, augmented))
    return [(*setting, seed) for seed in range(SEEDS) for setting in found]


def train(run: Run, folder: Path) -> pd.DataFrame:
    """One training: its rows of the table."""
    name, data, images, augmented, seed = run
    everything, unseen = images_of(data, "train"), images_of(data, "test" if data == "toytown" else "val")
    few = everything.subset([(seed * images + i) % len(everything) for i in range(images)])
    recipe = replace(RECIPES[data], seed=seed, **({} if augmented else NOT_AUGMENTED))
    out = folder / f"{name}-{data}-{images}-{'augmented' if augmented else 'plain'}-{seed}"
    torch.manual_seed(seed)
    model = load_model(name, weights=None, classes=few.classes, device="cpu")
    again = few.subset([i % images for i in range(EPOCH)])
    fit(model, again, unseen.subset(range(4)), recipe, out, progress=False)  # its validation decides nothing here
    last = load_model(out / "last.safetensors", device="cpu")
    said = json.loads((out / "run.json").read_text(encoding="utf-8"))
    common = dict(zip(KEYS, run, strict=True)) | {"steps": recipe.epochs * EPOCH // recipe.batch}
    rows = []
    for split, evaluated in (("train", few.subset(range(min(images, 50)))), ("test", unseen)):
        counts = count(last, evaluated)
        row = {"split": split, "miou": float(mean_iou(counts)), "pixel_accuracy": float(pixel_accuracy(counts))}
        rows.append(common | row | dict(zip(few.classes.names, iou_per_class(counts).tolist(), strict=True)))
    table = pd.DataFrame(rows).assign(minutes=said["minutes"])
    return table.reindex(columns=[*KEYS, "split", "steps", "miou", "pixel_accuracy", *NAMES, "minutes"])


@torch.inference_mode()
def count(model: torch.nn.Module, dataset: SegmentationDataset) -> torch.Tensor:
    """Counts over a data set, in float32 and at the size of its images: int64 (K, K)."""
    total = torch.zeros(len(dataset.classes), len(dataset.classes), dtype=torch.int64)
    for i in range(0, len(dataset), 10):
        samples = [dataset[k] for k in range(i, min(i + 10, len(dataset)))]
        targets = torch.stack([sample.target for sample in samples])
        masks = to_mask(model(to_batch([sample.image for sample in samples])), size=targets.shape[-2:])
        total += confusion_matrix(masks, targets, len(dataset.classes))
    return total


def finished(path: Path) -> set[Run]:
    return set(pd.read_csv(path)[KEYS].itertuples(index=False, name=None)) if path.exists() else set()


def add(path: Path, rows: pd.DataFrame) -> None:
    """Put the rows of a run into the stored table, in their order."""
    if path.exists():
        before = pd.read_csv(path)
        again = (before[KEYS] == rows[KEYS].iloc[0]).all(axis=1)
        rows = pd.concat([before[~again], rows], ignore_index=True)
    rows = rows.sort_values(KEYS, kind="stable")
    unfinished = path.with_suffix(".part")
    rows.to_csv(unfinished, index=False, float_format="%.5f", lineterminator="\n")
    unfinished.replace(path)


def note(path: Path, run_json: Path) -> None:
    """What the whole study took, and where."""
    minutes = pd.read_csv(path).query("split == 'test'")["minutes"].sum()
    machine = json.loads(run_json.read_text(encoding="utf-8"))["machine"]
    command = "python benchmarks/studies/small_data.py"
    facts = {"command": command, "minutes": round(float(minutes), 1), "machine": machine}
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/small_data"), help="folder for unfinished runs")
    folder = parser.parse_args().runs
    torch.set_num_threads(1)  # the last bits depend on it
    path = results_dir() / "small_data.csv"
    there = finished(path)
    todo = [run for run in runs() if run not in there]
    for run in tqdm(todo, desc="small data", unit="run", disable=not todo):
        add(path, train(run, folder))
        note(path, max(folder.glob("*/run.json"), key=lambda file: file.stat().st_mtime))
    table = pd.read_csv(path)
    print(table.pivot_table("miou", KEYS[:4], "split", ["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
