"""`Recipe`, without importing torch: the options of `seglab train` are built from it."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from seglab._utils.errors import unknown

if TYPE_CHECKING:
    from seglab.models.adapters import SegModel

# Highest learning rates for training from scratch: with AdamW, with SGD, and with AdamW for some families.
LEARNING_RATE, SGD_RATE = 2e-3, 0.05
LEARNING_RATES = {"SegFormer": 1e-3, "Mask2Former": 5e-4}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training besides the model and the data. The defaults suit the minis.

    Raises:
        ValueError: a value outside its range, or an unknown name.
    """

    epochs: Annotated[int, "Passes over the training images."] = 20
    batch: Annotated[int, "Images per step, in each process."] = 8
    repeats: Annotated[int, "Crops of each training image in an epoch."] = 1
    size: Annotated[tuple[int, int], "Height and width in pixels of crops; see --resolution."] = (192, 256)
    resolution: Annotated[
        str,
        "fit: images are resized to cover a crop, and validated at its size; native: they are not resized, but"
        " validated and predicted in tiles of its size.",
    ] = "fit"
    scale: Annotated[tuple[float, float], "Range of the random zoom, relative to that resolution."] = (0.75, 1.5)
    flip: Annotated[float, "Probability of a horizontal flip."] = 0.5
    jitter: Annotated[float, "Largest relative change of brightness, contrast and saturation."] = 0.2
    favour: Annotated[tuple[str, ...], "Rare classes; half of the crops contain one of them. Repeatable."] = ()
    balance: Annotated[float, "How much more often images with rare classes are drawn: 0 not at all, 1 fully."] = 0.0
    optimizer: Annotated[str, "adamw (Loshchilov & Hutter 2019), or sgd with momentum 0.9."] = "adamw"
    lr: Annotated[float | None, "Highest learning rate; by default the usual one of the model's family."] = None
    backbone_lr: Annotated[float, "Learning rate of the backbone, as a fraction of that of the other layers."] = 1.0
    weight_decay: Annotated[float, "Decay of the weights; biases and the scales of norms have none."] = 0.01
    warmup: Annotated[float, "Fraction of the steps in which the learning rate rises linearly from 0."] = 0.05
    power: Annotated[float, "Exponent of the decay after the warm-up, (1 − progress)^power (Chen et al. 2017)."] = 0.9
    clip: Annotated[float, "Largest norm of the gradient; 0 for no limit."] = 5.0
    ema: Annotated[float, "Decay per step of averaged weights, which are validated and kept; 0 for none."] = 0.0
    freeze: Annotated[int, "Number of first epochs in which the backbone is frozen."] = 0
    loss: Annotated[str, "ce, focal, dice, lovasz, or a sum such as ce+dice."] = "ce"
    weights: Annotated[str, "Class weights: none, median or inverse frequency; their square root is used."] = "none"
    precision: Annotated[str, "float32, or bfloat16 (autocast; the weights stay in float32)."] = "float32"
    seed: Annotated[int, "Seed of all random numbers."] = 0

    @property
    def native(self) -> bool:
        """Whether images keep their resolution, in crops of the training and in tiles of predictions."""
        return self.resolution == "native"

    def __post_init__(self) -> None:
        from seglab.inference.fast import PRECISIONS
        from seglab.training.losses import criterion

        for names, low, high, expected in (
            ("epochs batch repeats", 1, math.inf, "at least 1"),
            ("jitter backbone_lr weight_decay power clip freeze seed", 0, math.inf, "0 or more"),
            ("flip balance", 0, 1, "from 0 to 1"),
            ("warmup ema", 0, math.nextafter(1, 0), "from 0 to below 1"),
        ):
            for name in names.split():
                if not low <= getattr(self, name) <= high:
                    raise ValueError(f"{name}={getattr(self, name)} in a recipe; expected {expected}")
        choices = {"optimizer": ("adamw", "sgd"), "precision": PRECISIONS, "weights": ("none", "median", "inverse"),
                   "resolution": ("fit", "native")}  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        criterion(self.loss, None if self.weights == "none" else ())  # raises an error for an unknown loss
        for field in fields(self):  # JSON and the command line have lists
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))


def learning_rate(model: "SegModel", recipe: Recipe, progress: float) -> float:
    """Linear warm-up, then polynomial decay; `progress` goes from 0 to 1 over the whole run."""
    default = SGD_RATE if recipe.optimizer == "sgd" else LEARNING_RATES.get(model.spec.family, LEARNING_RATE)
    highest = default if recipe.lr is None else recipe.lr
    if progress < recipe.warmup:
        return highest * progress / recipe.warmup
    return highest * (1 - (progress - recipe.warmup) / (1 - recipe.warmup)) ** recipe.power
