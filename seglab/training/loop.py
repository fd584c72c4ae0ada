"""The training loop: from a model and a data set to weights, and to a history that says how it went.

    model = load_model("unet_mini", weights=None)
    history = fit(model, load_dataset("toytown", "train"), load_dataset("toytown", "val"))

The same code runs on a CPU, a GPU, several GPUs and several machines (`torchrun … -m seglab train …`), by way of
Hugging Face accelerate. A run is decided by its model, its data and its `Recipe`: the same three give the same
weights, to the last bit on the same processor with the same number of threads, interrupted or not.
"""

import math
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from seglab.data.dataset import SegmentationDataset
from seglab.data.transforms import eval_transform, normalize
from seglab.masks.argmax import to_mask
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.models.adapters import Mask2FormerModel, SegModel, upsample
from seglab.models.spec import Criterion
from seglab.training.batches import Batches, Pairs
from seglab.training.losses import class_weights, criterion
from seglab.training.recipe import Recipe, augment, learning_rate, make_optimizer
from seglab.training.runs import Row, Run, State, identity, table


def fit(
    model: SegModel,
    train: SegmentationDataset,
    val: SegmentationDataset,
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    *,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
    progress: bool = True,
    workers: int = 0,
    start: str = "",
) -> pd.DataFrame:
    """Train a model, validate it after every epoch, and leave it with its best weights, in `eval()`.

    Args:
        model: from `load_model`; its classes are those of the data.
        out: folder for `best.safetensors`, `last.safetensors`, `history.csv`, `run.json` and the state from which an
            interrupted run goes on when it is started again; several processes all have to see it. None keeps
            nothing.
        on_epoch: called with the history after every epoch, for instance `live_chart(model.classes)`.
        workers: processes that load images; 0 loads them in this one and keeps them in memory. The result is the same.
        start: what the model's weights were when it came, for `run.json`; a run goes on only from the same.

    Returns:
        The history, one row an epoch: loss (training), val_loss, miou, pixel_accuracy, lr, seconds, and the IoU of
        each class under its name. Measures as `metrics` gives them, at `recipe.size`, void ignored. Weights are
        chosen by `miou`, never by a loss.

    Raises:
        ValueError: classes that differ, fewer images than a batch, a folder that holds another run, a loss that is
            no longer finite.
    """
    recipe = recipe or Recipe()
    accelerator = _accelerator(model)
    device, rank, world = accelerator.device, accelerator.process_index, accelerator.num_processes
    _check(model, train, val, recipe, world)
    half = recipe.precision == "bfloat16"
    model.short = min(recipe.size)
    model.to(device).to(memory_format=torch.channels_last)
    average = get_ema_multi_avg_fn(recipe.ema)
    averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True) if recipe.ema else None
    state = State(model, make_optimizer(model, recipe), averaged)
    known = identity(model, train, val, start=start, processes=world, **asdict(recipe))
    run = Run(out, known, accelerator.is_main_process)
    rows = run.resume(state)

    transform = partial(augment, recipe=recipe, favour=[train.classes.index(name) for name in recipe.favour])
    batches = Batches(train, transform, recipe.batch, recipe.seed, rank, world, workers)
    done, total = len(rows), recipe.epochs * len(batches)
    loss = _criterion(recipe, batches.pairs, device, progress and rank == 0)
    bar = tqdm(total=total, initial=done * len(batches), unit="step", desc=model.spec.title,
               disable=not (progress and rank == 0))  # fmt: skip
    for epoch in range(done, recipe.epochs):
        began, losses, frozen = perf_counter(), [], epoch < recipe.freeze
        if epoch in (done, recipe.freeze):  # several processes have to know which parameters they wait for
            if recipe.freeze:
                _hold(model, frozen)
            accelerator.free_memory()
            step = accelerator.prepare_model(_Loss(model, loss, half))
        model.train()
        if frozen:
            model.backbone.eval()  # BatchNorm's averages, too
        for i, (images, targets) in enumerate(batches.of(epoch)):
            lr = learning_rate(model, recipe, (epoch * len(batches) + i + 0.5) / total)
            for group in state.optimizer.param_groups:
                group["lr"] = lr
            images = normalize(images.to(device, memory_format=torch.channels_last))
            value = step(images, targets.to(device))
            state.optimizer.zero_grad(set_to_none=True)
            accelerator.backward(value)
            if recipe.clip:
                accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
            state.optimizer.step()
            if averaged:
                averaged.update_parameters(model)
            losses.append(value.detach())
            bar.update()
        broadcast(list(state.kept.buffers()))  # what BatchNorm has averaged: each process saw other images
        mean_loss = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
        if not math.isfinite(mean_loss):
            highest = learning_rate(model, recipe, recipe.warmup)
            raise ValueError(f"the loss is {mean_loss} in epoch {epoch + 1}; try a lower learning rate than {highest}")
        counts, val_loss = validate(state.kept, val, recipe.size, loss, accelerator, half)
        row = _row(epoch, mean_loss, val_loss, counts, lr, perf_counter() - began, model)
        better = all(row["miou"] > earlier["miou"] for earlier in rows)
        rows.append(row)
        run.save(state, rows, better)
        accelerator.wait_for_everyone()
        bar.set_postfix(loss=f"{mean_loss:.3f}", miou=f"{row['miou']:.3f}")
        if on_epoch and rank == 0:
            on_epoch(table(rows))
    bar.close()
    if recipe.freeze:
        _hold(model, False)
    model.load_state_dict(run.best())
    model.eval()
    return table(rows)


def _accelerator(model: SegModel) -> Accelerator:
    """This process, and those that torchrun started beside it."""
    started = int(os.environ.get("WORLD_SIZE", 1))
    # Without being told, accelerate would let several processes on processors train one model each.
    cpu = started > 1 and (not torch.accelerator.is_available() or torch.backends.mps.is_available())
    unused = DistributedDataParallelKwargs(find_unused_parameters=isinstance(model, Mask2FormerModel))
    accelerator = Accelerator(cpu=cpu, kwargs_handlers=[unused])
    if accelerator.num_processes != started:
        raise ValueError(f"{started} processes were started and {accelerator.num_processes} found each other")
    return accelerator


class _Loss(nn.Module):
    """A model's loss as a forward pass: several processes synchronise their gradients only there."""

    def __init__(self, model: SegModel, loss: Criterion, half: bool) -> None:
        super().__init__()
        self.model, self.loss, self.bf16 = model, loss, half

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model.loss(images, targets, self.loss)


def _criterion(recipe: Recipe, pairs: Pairs, device: torch.device, progress: bool) -> Criterion:
    if recipe.weights == "none":
        return criterion(recipe.loss)
    indices = tqdm(range(len(pairs)), desc="counting classes", unit="image", disable=not progress)
    counts = np.stack([np.bincount(pairs.read(i)[1].numpy().ravel(), minlength=256) for i in indices])
    weights = class_weights(counts[:, : len(pairs.dataset.classes)], recipe.weights) ** 0.5
    return criterion(recipe.loss, weights.to(device))


def _hold(model: SegModel, still: bool) -> None:
    """Hold the backbone's weights still, or release them."""
    for parameter in model.backbone_parameters():
        parameter.requires_grad_(not still)


@torch.inference_mode()
def validate(
    model: SegModel,
    val: SegmentationDataset,
    size: tuple[int, int],
    loss: Criterion,
    accelerator: Accelerator,
    half: bool = False,
    batch: int = 8,
) -> tuple[Tensor, float]:
    """Counts over a data set, and the mean loss of its images. Each process counts its own images, once each.

    Returns:
        int64 (K, K), rows are targets; and the loss (NaN for Mask2Former, whose scores are no logits).
    """
    model.eval()
    rank, world = accelerator.process_index, accelerator.num_processes
    pairs = Pairs(val, eval_transform(size))
    mine = range(rank, len(val), world)
    counts = torch.zeros(len(val.classes), len(val.classes), dtype=torch.int64)
    sums = torch.zeros(2, dtype=torch.float64)
    for start in range(0, len(mine), batch):
        read = [pairs[i] for i in mine[start : start + batch]]
        images, targets = (torch.stack(part) for part in zip(*read, strict=True))
        images = normalize(images.to(accelerator.device, memory_format=torch.channels_last))
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            scores = model(images).float()
        counts += confusion_matrix(to_mask(scores, size=size).cpu(), targets, len(val.classes))
        if not isinstance(model, Mask2FormerModel):
            targets = targets.to(accelerator.device)
            for s, t in zip(scores, targets, strict=True):
                sums += torch.tensor([loss(upsample(s[None], t[None]), t[None]).item(), 1.0], dtype=torch.float64)
    counts, sums = (accelerator.reduce(part.to(accelerator.device)).cpu() for part in (counts, sums.float()))
    return counts, float(sums[0] / sums[1]) if sums[1] else float("nan")


def _check(model: SegModel, train: SegmentationDataset, val: SegmentationDataset, recipe: Recipe, world: int) -> None:
    for dataset in (train, val):
        if dataset.classes.names != model.classes.names:
            raise ValueError(
                f"the model names {model.classes.name!r} classes and {dataset.name!r} has {dataset.classes.name!r}; "
                f"make the model for them: load_model({model.spec.name!r}, weights=None, classes=train.classes)"
            )
    if len(train) < recipe.batch * world:
        batches = f"{recipe.batch}" if world == 1 else f"{recipe.batch} in each of {world} processes"
        raise ValueError(f"{len(train)} training images do not fill one batch of {batches}; take a smaller batch")


def _row(epoch: int, loss: float, val_loss: float, counts: Tensor, lr: float, seconds: float, model: SegModel) -> Row:
    measures = {"loss": loss, "val_loss": val_loss, "miou": float(mean_iou(counts)),
                "pixel_accuracy": float(pixel_accuracy(counts)), "lr": lr, "seconds": seconds}  # fmt: skip
    return {"epoch": epoch + 1} | measures | dict(zip(model.classes.names, iou_per_class(counts).tolist(), strict=True))
