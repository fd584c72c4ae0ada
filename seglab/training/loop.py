"""`fit`: from a model and a data set to trained weights and a history.

    model = load_model("unet_mini", weights=None)
    history = fit(model, load_dataset("toytown", "train"), load_dataset("toytown", "val"))

The same code runs on a CPU, on GPUs and on several machines (`torchrun … -m seglab train …`). Model, data and `Recipe`
decide a run: the same three give the same weights, interrupted or not, to the last bit on the same processor with the
same number of threads.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from seglab._utils.folders import claim
from seglab.data.dataset import SegmentationDataset
from seglab.data.transforms import eval_transform, normalize
from seglab.inference.tiles import score_strips, tiles
from seglab.masks.argmax import to_mask
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.models.adapters import Mask2FormerModel, SegModel, upsample
from seglab.models.spec import Criterion
from seglab.training.batches import Batches, Pairs
from seglab.training.recipe import Recipe
from seglab.training.runs import Row, Run, identity, is_run, table
from seglab.training.steps import LossModule, State, augment, make_criterion, train_epoch


def fit(
    model: SegModel, train: SegmentationDataset, val: SegmentationDataset, recipe: Recipe | None = None,
    out: str | Path | None = None, *, on_epoch: Callable[[pd.DataFrame], None] | None = None, progress: bool = True,
    workers: int = 0, start: str = "", force: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Train a model and validate it after every epoch; afterwards it has its best weights, and is in `eval()`.

    Predictions are made at the resolution of the training: `model.short` becomes the short side of the crops, or, at
    native resolution, `model.tile` becomes their size.

    Args:
        out: folder for the files of `runs`, from which an interrupted run continues; None writes no files.
        on_epoch: called with the history after every epoch, for instance `live_chart(model.classes)`.
        workers: processes that load images; 0 loads them in this one, in memory if they fit. The result is the same.
        start: name of the initial weights, for `run.json`; a run continues only from the same.
        force: also write into a folder with other files, see `folders.claim`, or with weights but no state.

    Returns:
        The history, one row for each epoch: loss (training), val_loss, miou, pixel_accuracy, lr, seconds, and the IoU
        of each class under its name, all measured without void: at `recipe.size`, or in tiles of that size at native
        resolution. The highest miou selects the weights.

    Raises:
        ValueError: classes that differ, fewer images than a batch, a NaN or infinite loss; a folder with another run,
            with a damaged one or with other files, in use by another process, or that cannot be written to.
    """
    recipe, accelerator = recipe or Recipe(), _accelerator(model)
    rank, world = accelerator.process_index, accelerator.num_processes
    _check(model, train, val, recipe, world)
    quiet = rank > 0 or not progress
    with claim(out, "train", force, is_run) if out is not None and rank == 0 else nullcontext():
        model.short, model.tile = (None, recipe.size) if recipe.native else (min(recipe.size), None)
        state = State(model.to(accelerator.device).to(memory_format=torch.channels_last), recipe)
        run = Run(out, identity(model, train, val, start=start, processes=world, **asdict(recipe)), rank == 0)
        rows = run.resume(state, force)
        transform = partial(augment, recipe=recipe, favour=[train.classes.index(name) for name in recipe.favour])
        batches = Batches(train, transform, recipe.batch, recipe.seed, rank, world, workers, recipe.repeats)
        _train(state, run, rows, batches, val, recipe, accelerator, on_epoch, quiet)
        model.load_state_dict(run.best())
    model.eval()
    return table(rows)


def _train(
    state: State, run: Run, rows: list[Row], batches: Batches, val: SegmentationDataset, recipe: Recipe,
    accelerator: Accelerator, on_epoch: Callable[[pd.DataFrame], None] | None, quiet: bool,
) -> None:  # fmt: skip
    """Train the epochs after those of `rows`; adds a row for each, and saves it."""
    model, first, steps = state.model, len(rows), len(batches)
    criterion = make_criterion(recipe, batches.pairs, accelerator.device, not quiet)
    batches.balance(recipe.balance, not quiet)
    bar = tqdm(total=recipe.epochs * steps, initial=first * steps, unit="step", desc=model.spec.title, disable=quiet)
    for epoch in range(first, recipe.epochs):
        began = perf_counter()
        if epoch in (first, recipe.freeze):  # several processes must know which parameters have gradients
            if recipe.freeze:
                model.backbone.requires_grad_(epoch >= recipe.freeze)
            accelerator.free_memory()
            loss = accelerator.prepare_model(LossModule(model, criterion, recipe.precision))
        mean_loss, lr = train_epoch(state, loss, batches, recipe, epoch, accelerator, bar)
        counts, val_loss = validate(state.kept, val, recipe.size, criterion, accelerator, recipe.precision)
        row = _row(epoch, mean_loss, val_loss, counts, lr, perf_counter() - began, model)
        rows.append(row)
        run.save(state, rows, all(row["miou"] > earlier["miou"] for earlier in rows[:-1]))
        accelerator.wait_for_everyone()
        bar.set_postfix(loss=f"{mean_loss:.3f}", miou=f"{row['miou']:.3f}")
        if on_epoch and accelerator.is_main_process:
            on_epoch(table(rows))
    bar.close()
    if recipe.freeze:
        model.backbone.requires_grad_(True)


@torch.inference_mode()
def validate(
    model: SegModel, val: SegmentationDataset, size: tuple[int, int], loss: Criterion, accelerator: Accelerator,
    precision: str = "float32", batch: int = 8,
) -> tuple[Tensor, float]:  # fmt: skip
    """Confusion counts int64 (K,K) of a data set, rows are targets, and the mean loss of its images.

    Images have `size`, or keep theirs where the model predicts in tiles. Each process evaluates its own images. The
    loss of Mask2Former is NaN, because its scores are not logits.
    """
    model.eval()
    if model.tile:
        return _validate_in_tiles(model, val, model.tile, loss, accelerator, precision, batch)
    pairs, device = Pairs(val, eval_transform(size)), accelerator.device
    mine = range(accelerator.process_index, len(val), accelerator.num_processes)
    counts = torch.zeros(len(val.classes), len(val.classes), dtype=torch.int64)
    sums = torch.zeros(2, dtype=torch.float64)  # loss, images
    for images, targets in DataLoader(pairs, batch, sampler=mine, generator=torch.Generator()):
        images = normalize(images.to(device, memory_format=torch.channels_last), model.mean, model.std)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            scores = model(images).float()
        counts += confusion_matrix(to_mask(scores, size=size).cpu(), targets, len(val.classes))
        if not isinstance(model, Mask2FormerModel):
            for s, t in zip(scores, targets.to(device), strict=True):
                sums += torch.tensor([loss(upsample(s[None], t[None]), t[None]).item(), 1.0], dtype=torch.float64)
    return _reduced(counts, sums, accelerator)


def _validate_in_tiles(
    model: SegModel, val: SegmentationDataset, tile: tuple[int, int], loss: Criterion, accelerator: Accelerator,
    precision: str, batch: int,
) -> tuple[Tensor, float]:  # fmt: skip
    """`validate` of a model for native resolution: of the masks that `predict` gives, and a loss of a few rows each."""
    num_classes, device = len(val.classes), accelerator.device
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    sums = torch.zeros(2, dtype=torch.float64)  # loss, images

    def score(images: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return model(normalize(images.to(device, memory_format=torch.channels_last), model.mean, model.std)).float()

    for index in range(accelerator.process_index, len(val), accelerator.num_processes):
        sample = val[index]
        height, width = sample.target.shape
        boxes = tiles((height, width), tile)
        for rows, scores in score_strips(score, sample.image, boxes, num_classes, batch):
            target = sample.target[rows]
            counts += confusion_matrix(scores.argmax(0).to(torch.uint8), target, num_classes)
            if not isinstance(model, Mask2FormerModel):
                part = len(target) / height
                sums += torch.tensor([part * loss(scores[None], target[None]).item(), part], dtype=torch.float64)
    return _reduced(counts, sums, accelerator)


def _reduced(counts: Tensor, sums: Tensor, accelerator: Accelerator) -> tuple[Tensor, float]:
    """The counts and the mean loss over all processes."""
    counts, sums = (accelerator.reduce(part.to(accelerator.device)).cpu() for part in (counts, sums.float()))
    return counts, float(sums[0] / sums[1]) if sums[1] else float("nan")


def _accelerator(model: SegModel) -> Accelerator:
    """The device and process group of this process and those that torchrun started with it."""
    started = int(os.environ.get("WORLD_SIZE", 1))
    # Without cpu=True, several processes on processors would not find each other, and each would train its own model.
    cpu = started > 1 and (not torch.accelerator.is_available() or torch.backends.mps.is_available())
    unused = DistributedDataParallelKwargs(find_unused_parameters=isinstance(model, Mask2FormerModel))
    accelerator = Accelerator(cpu=cpu, kwargs_handlers=[unused])
    if accelerator.num_processes != started:
        raise ValueError(f"{started} processes were started and {accelerator.num_processes} found each other")
    return accelerator


def _check(model: SegModel, train: SegmentationDataset, val: SegmentationDataset, recipe: Recipe, world: int) -> None:
    for dataset in (train, val):
        if dataset.classes.names != model.classes.names:
            found = f"the model has {model.classes.name!r} classes and {dataset.name!r} has {dataset.classes.name!r}"
            remedy = f"load_model({model.spec.name!r}, weights=None, classes=train.classes)"
            raise ValueError(f"{found}; make the model for them: {remedy}")
    if len(train) * recipe.repeats < recipe.batch * world:
        batches = f"{recipe.batch}" if world == 1 else f"{recipe.batch} in each of {world} processes"
        raise ValueError(f"{len(train)} training images do not fill one batch of {batches}; choose a smaller batch")


def _row(epoch: int, loss: float, val_loss: float, counts: Tensor, lr: float, seconds: float, model: SegModel) -> Row:
    measures = {"loss": loss, "val_loss": val_loss, "miou": float(mean_iou(counts)),
                "pixel_accuracy": float(pixel_accuracy(counts)), "lr": lr, "seconds": seconds}  # fmt: skip
    return {"epoch": epoch + 1} | measures | dict(zip(model.classes.names, iou_per_class(counts).tolist(), strict=True))
