"""Recipe: everything that decides a training besides the model and the data."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from seglab._utils.errors import unknown
from seglab.data.transforms import train_transform
from seglab.models.adapters import SegModel
from seglab.training.losses import criterion

# What a family learns well with from scratch: by AdamW, and by SGD.
LEARNING_RATES = {"SegFormer": 1e-3, "Mask2Former": 5e-4}
LEARNING_RATE, SGD_RATE = 2e-3, 0.05
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
        for name, ok, expected in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("freeze", self.freeze >= 0, "0 or more epochs"),
            ("ema", 0 <= self.ema < 1, "from 0 to below 1"),
            ("warmup", 0 <= self.warmup < 1, "from 0 to below 1"),
            ("seed", self.seed >= 0, "0 or more"),
        ):
            if not ok:
                raise ValueError(f"{name}={getattr(self, name)} in a recipe; expected {expected}")
        for name, known in {"optimizer": ("adamw", "sgd"), "precision": PRECISIONS,
                            "weights": ("none", "median", "inverse")}.items():  # fmt: skip
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        criterion(self.loss, None if self.weights == "none" else ())  # raises where it does not know them
        for field in fields(self):  # JSON has lists only
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))


def make_optimizer(model: SegModel, recipe: Recipe) -> torch.optim.Optimizer:
    """Biases and the scales of norms are not decayed: they do not make a model simpler."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9)  # fused, it fails when frozen weights are released
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def learning_rate(model: SegModel, recipe: Recipe, progress: float) -> float:
    """Linear warm-up, then polynomial decay; `progress` goes from 0 to 1 over the whole run."""
    usual = SGD_RATE if recipe.optimizer == "sgd" else LEARNING_RATES.get(model.spec.family, LEARNING_RATE)
    highest = usual if recipe.lr is None else recipe.lr
    if progress < recipe.warmup:
        return highest * progress / recipe.warmup
    return highest * (1 - (progress - recipe.warmup) / (1 - recipe.warmup)) ** recipe.power


def augment(image: Tensor, target: Tensor, recipe: Recipe, favour: list[int]) -> tuple[Tensor, Tensor]:
    """At a scale of 1 the image just covers the crop."""
    cover = max(recipe.size[0] / image.shape[1], recipe.size[1] / image.shape[2])
    scale = recipe.scale[0] * cover, recipe.scale[1] * cover
    return train_transform(recipe.size, scale, recipe.flip, recipe.jitter, favour=favour)(image, target)
