"""Training a U-Net mini on two cores: seglab's loop against the one that everybody writes.

    python benchmarks/training.py

Both take batches of 8 Toytown scenes at 192×256, the same augmentation, the same model and cross-entropy, and AdamW.
They take turns: five steps of one, five of the other. What `fit` does differently: images and weights in the
channels_last layout, scenes kept in memory as uint8 after the first epoch and normalised as a batch, labels that travel
as uint8, and with bfloat16 autocast. What it does on top, and what is counted: gradient clipping, a learning rate for
every step, and after each turn the validation of one image.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import perf_counter

import pandas as pd
import torch
from common import header, show
from torch.utils.data import DataLoader, Dataset

from seglab import load_dataset, load_model
from seglab.data.dataset import Record, SegmentationDataset
from seglab.data.transforms import normalize, train_transform
from seglab.training.loop import fit
from seglab.training.losses import cross_entropy
from seglab.training.recipe import Recipe

SIZE, BATCH, STEPS, TURNS = (192, 256), 8, 5, 8
RECIPE = Recipe(epochs=TURNS + 1, batch=BATCH, size=SIZE)
SCENES = load_dataset("toytown", "train").subset(range(BATCH * STEPS))


class Scenes(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A data set as a training script has it: read, augment, normalise, labels as int64."""

    def __init__(self, scenes: SegmentationDataset) -> None:
        self.scenes = scenes
        self.transform = train_transform(SIZE, RECIPE.scale, RECIPE.flip, RECIPE.jitter)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        sample = self.scenes[index]
        image, target = self.transform(sample.image, sample.target)
        return normalize(image), target.long()


def plain_loop(scenes: SegmentationDataset) -> Callable[[], float]:
    """Runs an epoch of five steps; returns the seconds it took."""
    torch.manual_seed(0)
    model = load_model("unet_mini", weights=None, device="cpu").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(Scenes(scenes), batch_size=BATCH, shuffle=True, drop_last=True)

    def epoch() -> float:
        start = perf_counter()
        for images, targets in loader:
            loss = model.loss(images, targets, cross_entropy)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        return perf_counter() - start

    return epoch


def in_memory(scenes: SegmentationDataset) -> SegmentationDataset:
    """The same scenes, not drawn anew each time they are read."""

    def keep(record: Record) -> Record:
        arrays = record.read()
        return replace(record, read=lambda: arrays)

    return replace(scenes, records=tuple(keep(record) for record in scenes.records))


def compare(precision: str) -> pd.DataFrame:
    """Images a second of the plain loop, of the plain loop with its scenes in memory, and of `fit`."""
    loops = {"plain": plain_loop(SCENES), "plain, scenes in memory": plain_loop(in_memory(SCENES))}
    seconds: dict[str, list[float]] = {name: [] for name in loops}

    def take_turns(history: pd.DataFrame) -> None:
        for name, loop in loops.items():
            seconds[name].append(loop())

    torch.manual_seed(0)
    model, val = load_model("unet_mini", weights=None, device="cpu"), load_dataset("toytown", "val").subset([0])
    history = fit(model, SCENES, val, replace(RECIPE, precision=precision), on_epoch=take_turns, progress=False)
    seconds[f"seglab, {precision}"] = history["seconds"].to_list()
    medians = {name: median(times[1:]) for name, times in seconds.items()}  # the first turn only warms up
    ours = medians[f"seglab, {precision}"]
    table = {name: [BATCH * STEPS / taken, 1e3 * taken / STEPS, taken / ours] for name, taken in medians.items()}
    return pd.DataFrame(table, index=["images a second", "ms a step", "times ours"]).T


if __name__ == "__main__":
    os.environ["ACCELERATE_USE_CPU"] = "true"  # here it is about processors
    header()
    for precision in ("float32", "bfloat16"):
        show(f"U-Net mini, batches of {BATCH} at 192×256, fit in {precision}", compare(precision))
