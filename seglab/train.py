"""The training loop: from a model and a data set to weights, and to a history that says how it went.

    history = fit(load_model("unet_mini"), load_dataset("toytown", "train"), load_dataset("toytown", "val"))

The same code runs on a CPU, a GPU, several GPUs and several machines (`torchrun … -m seglab train …`), by way of
Hugging Face accelerate. A run is decided by its model, its data and its `Recipe`: the same three give the same
weights, to the last bit on the same machine with the same number of threads, interrupted or not.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from seglab.adapters import Mask2FormerModel, SegModel, enlarge
from seglab.checkpoints import read_checkpoint, save_model
from seglab.data import SegmentationDataset
from seglab.errors import unknown
from seglab.losses import Criterion, class_weights, criterion
from seglab.masks import to_mask
from seglab.metrics import confusion_matrix, iou_per_class, mean_iou, pixel_accuracy
from seglab.transforms import Joint, eval_transform, normalize, train_transform

# Where a family learns well from scratch; AdamW.
LEARNING_RATES = {"SegFormer": 1e-3, "Mask2Former": 5e-4}
LEARNING_RATE = 2e-3
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training besides the model and the data. The defaults train a mini decently.

    Attributes:
        epochs: passes over the training images.
        batch: images a step, in each process.
        size: (H, W) of the crops, and of the images that are validated.
        scale: range of the zoom; at 1 an image just covers `size`.
        flip: probability of a mirror image.
        jitter: largest relative change of brightness, contrast and saturation.
        favour: class names; every second crop is laid around one of their pixels.
        optimizer: "adamw" (Loshchilov & Hutter 2019) or "sgd" with momentum 0.9.
        lr: learning rate at its highest; None takes the one that suits the model's family.
        weight_decay: of all weights with more than one dimension.
        warmup: share of the steps in which the learning rate rises linearly from 0.
        power: after that it falls as (1 − progress) ** power (Chen et al. 2017).
        clip: largest norm of the gradient; 0 for no limit.
        ema: decay a step of the averaged weights that are validated and kept; 0 for none.
        freeze: epochs in which the backbone stays as it is.
        loss: names from `losses.LOSSES`, joined by "+".
        weights: class weights, "none", "median" or "inverse" (see `losses.class_weights`), to the power of 0.5.
        precision: "float32" or "bfloat16" (autocast; weights stay in float32).
        seed: of every random number.
    """

    epochs: int = 20
    batch: int = 8
    size: tuple[int, int] = (192, 256)
    scale: tuple[float, float] = (0.75, 1.5)
    flip: float = 0.5
    jitter: float = 0.2
    favour: tuple[str, ...] = ()
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float = 0.01
    warmup: float = 0.05
    power: float = 0.9
    clip: float = 5.0
    ema: float = 0.0
    freeze: int = 0
    loss: str = "ce"
    weights: str = "none"
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(f"a training needs at least one epoch and one image a batch: {self.epochs}, {self.batch}")
        for name, known in {"optimizer": ("adamw", "sgd"), "precision": PRECISIONS,
                            "weights": ("none", "median", "inverse")}.items():  # fmt: skip
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        for field in fields(self):  # JSON has lists only
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))


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
) -> pd.DataFrame:
    """Train a model, validate it after every epoch, and leave it with its best weights, in `eval()`.

    Args:
        model: from `load_model`; its classes are those of the data.
        out: folder for `best.safetensors`, `last.safetensors`, `history.csv`, `run.json` and the state from which an
            interrupted run goes on when it is started again. None keeps nothing.
        on_epoch: called with the history after every epoch, for instance `live_chart(model.classes)`.
        workers: processes that load images; 0 loads them in this one and keeps them in memory.

    Returns:
        The history, one row an epoch: loss (training), val_loss, miou, pixel_accuracy, lr, seconds, and the IoU of
        each class under its name. Measures as `metrics` gives them, at `recipe.size`, void ignored. Weights are
        chosen by `miou`, never by a loss.

    Raises:
        ValueError: classes that differ, fewer images than a batch, a folder that holds another run.
    """
    recipe = recipe or Recipe()
    _check(model, train, val, recipe)
    unused = DistributedDataParallelKwargs(find_unused_parameters=isinstance(model, Mask2FormerModel))
    accelerator = Accelerator(kwargs_handlers=[unused])
    rank, world = accelerator.process_index, accelerator.num_processes
    half = recipe.precision == "bfloat16"
    model.to(accelerator.device).to(memory_format=torch.channels_last)
    loss = _criterion(recipe, train, accelerator.device)
    optimizer = _optimizer(model, recipe)
    averaged = (
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True) if recipe.ema else None
    )
    store = _Store(out, _identity(model, train, val, recipe, world), accelerator.is_main_process)
    state = _State(model, optimizer, averaged)
    rows = store.resume(state)
    best = max((row["miou"] for row in rows), default=-1.0)
    kept = _copy(state.kept) if out is None else None

    batches = _Batches(train, recipe, rank, world, workers)
    total = recipe.epochs * len(batches)
    step = accelerator.prepare_model(_Loss(model, loss, half))
    bar = tqdm(total=total, initial=len(rows) * len(batches), unit="step", desc=model.spec.title,
               disable=not (progress and accelerator.is_main_process))  # fmt: skip
    for epoch in range(len(rows), recipe.epochs):
        start = perf_counter()
        model.train()
        if recipe.freeze:
            _freeze(model, epoch < recipe.freeze)
            if epoch == recipe.freeze and world > 1:
                step = accelerator.prepare_model(_Loss(model, loss, half))  # it has to learn of the released parameters
        losses = []
        for i, (images, targets) in enumerate(batches.of(epoch)):
            lr = _learning_rate(model, recipe, (epoch * len(batches) + i) / total)
            for group in optimizer.param_groups:
                group["lr"] = lr
            images = images.to(accelerator.device, non_blocking=True, memory_format=torch.channels_last)
            value = step(images, targets.to(accelerator.device, non_blocking=True))
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(value)
            if recipe.clip:
                accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            if averaged:
                averaged.update_parameters(model)
            losses.append(value.detach())
            bar.update()
        counts, val_loss = validate(state.kept, val, recipe.size, loss, accelerator, half)
        rows.append(_row(epoch, torch.stack(losses).mean().item(), val_loss, counts, lr, perf_counter() - start, model))
        bar.set_postfix(loss=f"{rows[-1]['loss']:.3f}", miou=f"{rows[-1]['miou']:.3f}")
        better = rows[-1]["miou"] > best
        best = max(best, rows[-1]["miou"])
        if better and kept is not None:
            kept = _copy(state.kept)
        store.save(state, rows, better)
        accelerator.wait_for_everyone()
        if on_epoch and accelerator.is_main_process:
            on_epoch(_history(rows))
    bar.close()
    model.load_state_dict(kept if kept is not None else store.best())
    model.eval()
    return _history(rows)


# What is minimised, and by whom ---------------------------------------------------------------------------------------


class _Loss(nn.Module):
    """A model's loss as a forward pass: several processes synchronise their gradients only there."""

    def __init__(self, model: SegModel, loss: Criterion, half: bool) -> None:
        super().__init__()
        self.model, self.loss, self.bf16 = model, loss, half

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model.loss(images, targets, self.loss)


def _criterion(recipe: Recipe, train: SegmentationDataset, device: torch.device) -> Criterion:
    if recipe.weights == "none":
        return criterion(recipe.loss)
    counts = np.stack([np.bincount(train[i].target.numpy().ravel(), minlength=256) for i in range(len(train))])
    weights = class_weights(counts[:, : len(train.classes)], recipe.weights) ** 0.5
    return criterion(recipe.loss, weights.to(device))


def _optimizer(model: SegModel, recipe: Recipe) -> torch.optim.Optimizer:
    """Biases and the scales of norms are not decayed: they do not make a model simpler."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9, fused=True)
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def _learning_rate(model: SegModel, recipe: Recipe, progress: float) -> float:
    """Linear warm-up, then polynomial decay; `progress` goes from 0 to 1 over the whole run."""
    highest = recipe.lr if recipe.lr is not None else LEARNING_RATES.get(model.spec.family, LEARNING_RATE)
    if progress < recipe.warmup:
        return highest * (progress / recipe.warmup + 1e-3)
    return highest * (1 - (progress - recipe.warmup) / (1 - recipe.warmup)) ** recipe.power


def _freeze(model: SegModel, frozen: bool) -> None:
    """Hold the backbone still, its BatchNorm averages included, or release it."""
    for parameter in model.backbone_parameters():
        parameter.requires_grad_(not frozen)
    model.backbone.train(not frozen)


# Batches --------------------------------------------------------------------------------------------------------------


class _Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Image and target, transformed; what was read is kept in memory as uint8 where that is asked for."""

    def __init__(self, dataset: SegmentationDataset, transform: Joint, keep: bool) -> None:
        self.dataset, self.transform, self.keep = dataset, transform, keep
        self.read: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index in self.read:
            return self.transform(*self.read[index])
        sample = self.dataset[index]
        if self.keep:
            self.read[index] = sample.image, sample.target
        return self.transform(sample.image, sample.target)


class _Batches:
    """The batches of each epoch: every process its share, in an order that seed and epoch decide alone."""

    KEPT = 4_000_000_000  # bytes of images and targets that may stay in memory

    def __init__(self, dataset: SegmentationDataset, recipe: Recipe, rank: int, world: int, workers: int) -> None:
        self.recipe, self.rank, self.world, self.workers = recipe, rank, world, workers
        self.count = len(dataset)
        favour = [dataset.classes.index(name) for name in recipe.favour]
        first = dataset[0].image
        keep = workers == 0 and 4 * first[0].numel() * self.count < self.KEPT
        self.pairs = _Pairs(dataset, _augmentation(recipe, favour), keep)

    def __len__(self) -> int:
        """Steps an epoch; what does not fill a batch in every process waits for another epoch."""
        return self.count // (self.recipe.batch * self.world)

    def of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images float (B,3,h,w) and targets uint8 (B,h,w)."""
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch))
        shares = order[: len(self) * self.world * self.recipe.batch].view(len(self), self.world, self.recipe.batch)
        # One seed an epoch and process, so that an interrupted run goes on with the same random numbers.
        torch.manual_seed((self.recipe.seed * 100_003 + epoch) * 1_009 + self.rank)
        loader: DataLoader[Any] = DataLoader(
            self.pairs, batch_sampler=shares[:, self.rank].tolist(), num_workers=self.workers
        )
        for images, targets in loader:
            yield normalize(images), targets


def _augmentation(recipe: Recipe, favour: Sequence[int]) -> Joint:
    def transform(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        cover = max(recipe.size[0] / image.shape[1], recipe.size[1] / image.shape[2])
        low, high = recipe.scale
        return train_transform(recipe.size, (low * cover, high * cover), recipe.flip, recipe.jitter, favour=favour)(
            image, target
        )

    return transform


# Validation -----------------------------------------------------------------------------------------------------------


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
    pairs = _Pairs(val, eval_transform(size), keep=False)
    mine = range(rank, len(val), world)
    counts = torch.zeros(len(val.classes), len(val.classes), dtype=torch.int64)
    sums = torch.zeros(2, dtype=torch.float64)
    for start in range(0, len(mine), batch):
        read = [pairs[i] for i in mine[start : start + batch]]
        images, targets = (torch.stack(part) for part in zip(*read, strict=True))
        images = normalize(images).to(accelerator.device, memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            scores = model(images).float()
        counts += confusion_matrix(to_mask(scores, size=size).cpu(), targets, len(val.classes))
        if not isinstance(model, Mask2FormerModel):
            targets = targets.to(accelerator.device)
            for s, t in zip(scores, targets, strict=True):
                sums += torch.tensor([loss(enlarge(s[None], t[None]), t[None]).item(), 1.0], dtype=torch.float64)
    counts, sums = (accelerator.reduce(part.to(accelerator.device)).cpu() for part in (counts, sums.float()))
    return counts, float(sums[0] / sums[1]) if sums[1] else float("nan")


def _row(
    epoch: int, loss: float, val_loss: float, counts: Tensor, lr: float, seconds: float, model: SegModel
) -> dict[str, float]:
    measures = {"loss": loss, "val_loss": val_loss, "miou": float(mean_iou(counts)),
                "pixel_accuracy": float(pixel_accuracy(counts)), "lr": lr, "seconds": seconds}  # fmt: skip
    return {"epoch": epoch + 1} | measures | dict(zip(model.classes.names, iou_per_class(counts).tolist(), strict=True))


def _history(rows: list[dict[str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows).set_index("epoch")


# Keeping and going on -------------------------------------------------------------------------------------------------


class _State:
    """What changes during a training, besides the history."""

    def __init__(self, model: SegModel, optimizer: torch.optim.Optimizer, averaged: AveragedModel | None) -> None:
        self.model, self.optimizer, self.averaged = model, optimizer, averaged

    @property
    def kept(self) -> SegModel:
        """The weights that are validated and kept: the averaged ones, where there are such."""
        return self.model if self.averaged is None else cast(SegModel, self.averaged.module)

    def dump(self) -> dict[str, Any]:
        averaged = self.averaged.state_dict() if self.averaged else None
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "averaged": averaged}

    def load(self, saved: Mapping[str, Any]) -> None:
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.averaged:
            self.averaged.load_state_dict(saved["averaged"])


class _Store:
    """A run's folder. `state.pt` is replaced in one step at the end of an epoch: it says how far the run has come."""

    def __init__(self, out: str | Path | None, identity: Mapping[str, Any], main: bool) -> None:
        self.folder = None if out is None else Path(out)
        self.identity, self.main = identity, main
        if self.folder and main:
            self.folder.mkdir(parents=True, exist_ok=True)

    def resume(self, state: _State) -> list[dict[str, float]]:
        """Go on where this run was left; returns its history so far."""
        if self.folder is None or not (self.folder / "state.pt").exists():
            return []
        saved = torch.load(self.folder / "state.pt", map_location="cpu", weights_only=True)
        there = json.loads(saved["identity"])
        differing = [key for key in self.identity if there.get(key) != json.loads(json.dumps(self.identity[key]))]
        if differing:
            said = "; ".join(f"{key}: {there.get(key)!r} there, {self.identity[key]!r} here" for key in differing)
            raise ValueError(f"{self.folder} holds another run ({said}); choose another folder, or remove it")
        state.load(saved)
        rows: list[dict[str, float]] = saved["rows"]
        return rows

    def save(self, state: _State, rows: list[dict[str, float]], better: bool) -> None:
        if self.folder is None or not self.main:
            return
        facts: dict[str, Any] = {"run": self.identity, "epoch": len(rows), "val": rows[-1]}
        for name in ("best", "last") if better else ("last",):
            save_model(state.kept, self.folder / f"{name}.safetensors", **facts)
        _replace(self.folder / "history.csv", lambda p: _history(rows).to_csv(p, lineterminator="\n"))
        run = {"run": self.identity, "epochs_done": len(rows), "minutes": sum(r["seconds"] for r in rows) / 60,
               "best": max(rows, key=lambda row: row["miou"]), "machine": _machine()}  # fmt: skip
        _replace(self.folder / "run.json", lambda p: p.write_text(json.dumps(run, indent=2) + "\n"))
        # Last: killed before this line, the epoch is repeated and gives the same files again.
        saved = state.dump() | {"rows": rows, "identity": json.dumps(self.identity)}
        _replace(self.folder / "state.pt", lambda p: torch.save(saved, p))

    def best(self) -> dict[str, Tensor]:
        assert self.folder is not None
        return {f"net.{key}": value for key, value in read_checkpoint(self.folder / "best.safetensors")[1].items()}


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    unfinished = path.with_name(path.name + ".part")
    write(unfinished)
    unfinished.replace(path)


def _identity(
    model: SegModel, train: SegmentationDataset, val: SegmentationDataset, recipe: Recipe, world: int
) -> dict[str, Any]:
    """What has to be the same for two runs to be one."""

    def named(dataset: SegmentationDataset) -> str:
        files = f" {dataset.fingerprint()[:16]}" if dataset.root else ""
        return f"{dataset.name} {dataset.split} {len(dataset)}{files}"

    return {"model": model.spec.name, "norm": model.norm, "train": named(train), "val": named(val),
            "processes": world, **asdict(recipe)}  # fmt: skip


def _machine() -> dict[str, Any]:
    from seglab.system import cpu_name, versions

    return {"cpu": cpu_name(), "threads": torch.get_num_threads(), "versions": versions()}


def _copy(model: SegModel) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def _check(model: SegModel, train: SegmentationDataset, val: SegmentationDataset, recipe: Recipe) -> None:
    for dataset in (train, val):
        if dataset.classes.names != model.classes.names:
            raise ValueError(
                f"the model names {model.classes.name!r} classes and {dataset.name!r} has {dataset.classes.name!r}; "
                f"make the model for them: load_model({model.spec.name!r}, classes={dataset.classes.name!r})"
            )
    if len(train) < recipe.batch:
        raise ValueError(f"{len(train)} training images do not fill one batch of {recipe.batch}; take a smaller batch")


# Watching -------------------------------------------------------------------------------------------------------------


def live_chart(classes: Any) -> Callable[[pd.DataFrame], None]:
    """For `fit(on_epoch=…)` in a notebook: a chart of losses and mIoU that grows with every epoch."""
    from IPython.display import display

    from seglab import viz

    shown: list[Any] = []

    def show(history: pd.DataFrame) -> None:
        chart = viz.training(history, classes)
        if shown:
            shown[0].update(chart)
        else:
            shown.append(display(chart, display_id=True))

    return show
