"""What pretrained weights are worth, and whether to freeze them: the study behind notebook 08.

    python benchmarks/studies/transfer.py    about an hour on one core; goes on where it was interrupted

A U-Net on EfficientNet-Lite0 is trained on 100, on 500 and on all training photographs, in four ways:

- "scratch": every weight is random at first;
- "imagenet": the encoder starts from ImageNet weights, and everything is trained from the first update;
- "frozen": the same start; the encoder never changes, and its BatchNorm keeps its running averages;
- "released": the same start; the encoder is frozen for the first quarter of the updates and is then trained, too.

The decoder is always random at first. All trainings have the same number of updates, batch, crop size, augmentation,
loss and schedule; few images come round more often. The seed decides the first weights, the crops, and the choice of
the few images, so trainings with the same seed and images differ in nothing but the way. The last weights are
evaluated, because choosing an epoch would need labelled images, too.

No learning rate is tuned on these trainings: random weights have the usual one, and a pretrained encoder that of the
recipe of the bundled weights (`data/zoo/recipes.toml`).

- `data/results/transfer.csv`: the confusion matrix of each training on the photographs' `val`, at their own size;
- `data/results/transfer_curves.csv`: four times in each training, loss and mIoU on every eighth photograph of `val`,
  resized to the size of the crops;
- `data/results/transfer.json`: command, machine, minutes.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, count, islice
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm.auto import tqdm

from seglab import load_dataset, load_model, predict
from seglab._utils.environment import cpu_name, versions
from seglab._utils.paths import replacing
from seglab.course.studies import results_dir
from seglab.data.classes import ClassSet
from seglab.data.dataset import SegmentationDataset
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import mean_iou
from seglab.models.adapters import SegModel
from seglab.models.checkpoints import copy_weights
from seglab.models.weights.imagenet import encoder_state
from seglab.training.batches import Batches
from seglab.training.loop import validate
from seglab.training.recipe import Recipe
from seglab.training.steps import LossModule, State, augment, make_criterion, train_epoch

UPDATES = 32  # in each of the four parts of a training, which the recipe counts as its epochs
RECIPE = Recipe(epochs=4, batch=8, size=(96, 128), loss="ce+dice", weights="median", balance=0.7, lr=2e-3)
WAYS = {
    "scratch": RECIPE,
    "imagenet": replace(RECIPE, backbone_lr=0.15),
    "frozen": replace(RECIPE, freeze=RECIPE.epochs),
    "released": replace(RECIPE, backbone_lr=0.15, freeze=1),
}
IMAGES, SEEDS = (100, 500, None), 3  # None: all
KEYS = ["start", "images", "seed"]
Run = tuple[str, int, int]


@lru_cache
def images_of(split: str) -> SegmentationDataset:
    """All photographs of a split, read once."""
    dataset = load_dataset("photographs", split, download=False)
    return replace(dataset, records=tuple(replace(r, read=partial(tuple, r.read())) for r in dataset.records))


def chosen(seed: int, images: int) -> SegmentationDataset:
    """The first training photographs in the random order of a seed, so that 100 are among the 500."""
    dataset = images_of("train")
    return dataset.subset(torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed)).tolist()[:images])


@dataclass
class Parts:
    """Batches in parts of `UPDATES`, however many images there are."""

    stream: Iterator[tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return UPDATES

    def of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(self.stream, UPDATES)


def untrained(start: str, classes: ClassSet, seed: int) -> SegModel:
    """The model before the first update; its decoder follows from the seed alone."""
    torch.manual_seed(seed)
    model = load_model("unet_lite", None, classes, device="cpu")
    if start != "scratch":
        copy_weights(encoder_state(), model.backbone)
    return model.to(memory_format=torch.channels_last)


def train(
    start: str, images: SegmentationDataset, val: SegmentationDataset, seed: int
) -> tuple[SegModel, pd.DataFrame]:
    """One training: the model after the last update, and a row for each part."""
    recipe = replace(WAYS[start], seed=seed)
    model = untrained(start, images.classes, seed)
    model.short = min(recipe.size)
    accelerator, state = Accelerator(cpu=True), State(model, recipe)
    batches = Batches(images, partial(augment, recipe=recipe, favour=[]), recipe.batch, seed)
    batches.balance(recipe.balance)
    criterion = make_criterion(recipe, batches.pairs, accelerator.device, progress=False)
    loss, bar = LossModule(model, criterion, recipe.precision), tqdm(disable=True)
    parts, rows = Parts(chain.from_iterable(map(batches.of, count()))), []
    for part in range(recipe.epochs):
        model.backbone.requires_grad_(part >= recipe.freeze)
        mean_loss, _ = train_epoch(state, loss, parts, recipe, part, accelerator, bar)
        counts, val_loss = validate(model, val, recipe.size, criterion, accelerator)
        row = {"updates": (part + 1) * UPDATES, "loss": mean_loss, "val_loss": val_loss}
        rows.append(row | {"miou": float(mean_iou(counts))})
    return model.eval(), pd.DataFrame(rows)


def counts_of(model: SegModel, dataset: SegmentationDataset) -> Tensor:
    """Counts of the masks that `predict` gives, at the size of each image: int64 (K, K)."""
    samples = (dataset[i] for i in range(len(dataset)))
    return sum(confusion_matrix(predict(model, s.image).mask, s.target, len(dataset.classes)) for s in samples)


def results(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of both tables from one training."""
    (start, images, seed), val = run, images_of("val")
    model, history = train(start, chosen(seed, images), val.subset(range(0, len(val), 8)), seed)
    names, key = val.classes.names, dict(zip(KEYS, run, strict=True))
    counts = pd.DataFrame(counts_of(model, val).numpy(), columns=names).assign(target=names, **key)
    return counts[[*KEYS, "target", *names]], history.assign(**key)[[*KEYS, *history.columns]]


def runs() -> list[Run]:
    """Seed by seed, so that an unfinished study has as many of each way."""
    total = len(images_of("train"))
    return [(start, n or total, seed) for seed in range(SEEDS) for n in IMAGES for start in WAYS]


def finished(path: Path) -> set[Run]:
    return set(pd.read_csv(path)[KEYS].itertuples(index=False, name=None)) if path.exists() else set()


def add(path: Path, rows: pd.DataFrame) -> None:
    """Put the rows of a training into a stored table, in their order."""
    if path.exists():
        before = pd.read_csv(path)
        rows = pd.concat([before[~(before[KEYS] == rows[KEYS].iloc[0]).all(axis=1)], rows], ignore_index=True)
    with replacing(path) as unfinished:
        rows.sort_values(KEYS, kind="stable").to_csv(unfinished, index=False, float_format="%.5f", lineterminator="\n")


def note(path: Path, minutes: float) -> None:
    """Add the minutes of a training to those of the study, and say where it ran."""
    before = json.loads(path.read_text(encoding="utf-8"))["minutes"] if path.exists() else 0.0
    machine = {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions()}
    command = "python benchmarks/studies/transfer.py"
    facts = {"command": command, "minutes": round(before + minutes, 1), "machine": machine}
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)  # the last bits depend on it
    counts, curves = results_dir() / "transfer.csv", results_dir() / "transfer_curves.csv"
    todo = [run for run in runs() if run not in finished(counts)]
    for run in tqdm(todo, desc="transfer", unit="training", disable=not todo):
        began = perf_counter()
        matrix, history = results(run)
        add(curves, history)
        add(counts, matrix)  # last: a training is finished when its counts are stored
        note(counts.with_suffix(".json"), (perf_counter() - began) / 60)


if __name__ == "__main__":
    main()
