"""The steps of one epoch, and what they need: state, optimizer, augmentation, criterion."""

import math
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from seglab.data.transforms import Jointly, RandomCrop, normalize, train_transform
from seglab.models.adapters import SegModel
from seglab.models.spec import Criterion
from seglab.training.batches import Batches, Pairs
from seglab.training.losses import class_weights, criterion
from seglab.training.recipe import Recipe, learning_rate


class State:
    """What changes during a training, besides the history: weights, optimizer, averaged weights."""

    def __init__(self, model: SegModel, recipe: Recipe) -> None:
        self.model, self.optimizer = model, make_optimizer(model, recipe)
        average = get_ema_multi_avg_fn(recipe.ema)
        self.averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True) if recipe.ema else None

    @property
    def kept(self) -> SegModel:
        """The model that is validated and saved: the averaged one where there is one."""
        return self.model if self.averaged is None else cast(SegModel, self.averaged.module)

    def dump(self) -> dict[str, Any]:
        """The state of each part, for `torch.save`."""
        return {name: part.state_dict() for name, part in vars(self).items() if part is not None}

    def load(self, saved: dict[str, Any]) -> None:
        """Restore what `dump` returned."""
        for name, part in vars(self).items():
            if part is not None:
                part.load_state_dict(saved[name])


def make_optimizer(model: SegModel, recipe: Recipe) -> torch.optim.Optimizer:
    """Biases and the scales of norms have no weight decay, because they do not make a model more complex.

    The `factor` of each group multiplies the learning rate; the backbone has groups of its own where it is not 1.
    """
    parts = {1.0: list(model.parameters())}
    if recipe.backbone_lr != 1:
        parts = {1.0: model.head_parameters(), recipe.backbone_lr: model.backbone_parameters()}
    groups = [
        {"params": [p for p in part if (p.ndim > 1) == decayed], "factor": factor,
         "weight_decay": recipe.weight_decay if decayed else 0.0}
        for factor, part in parts.items() for decayed in (True, False)
    ]  # fmt: skip
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9)  # fused=True fails once frozen weights are released
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def augment(image: Tensor, target: Tensor, recipe: Recipe, favour: list[int]) -> tuple[Tensor, Tensor]:
    """`train_transform` of a recipe; its scale is relative to that at which the image just covers the crop, or to 1."""
    (height, width), (low, high) = recipe.size, recipe.scale
    if recipe.native:  # cut out first what becomes the crop, because resizing a whole large image takes long
        factor = low + (high - low) * torch.rand(()).item()
        window = math.ceil(height / factor), math.ceil(width / factor)
        image, target = Jointly([RandomCrop(window, favour)])(image, target)
        low = high = factor
    else:
        cover = max(height / image.shape[1], width / image.shape[2])
        low, high = low * cover, high * cover
    return train_transform(recipe.size, (low, high), recipe.flip, recipe.jitter, favour=favour)(image, target)


def make_criterion(recipe: Recipe, pairs: Pairs, device: torch.device, progress: bool) -> Criterion:
    """The loss of a recipe, with class weights from the pixels of the training data where it asks for them."""
    if recipe.weights == "none":
        return criterion(recipe.loss)
    weights = class_weights(pairs.count_pixels(progress), recipe.weights) ** 0.5
    return criterion(recipe.loss, weights.to(device))


class LossModule(nn.Module):
    """A model's loss as a forward pass: several processes synchronise their gradients only in one."""

    def __init__(self, model: SegModel, loss: Criterion, precision: str) -> None:
        super().__init__()
        self.model, self.loss, self.precision = model, loss, precision

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.model.loss(images, targets, self.loss)


def train_epoch(
    state: State, loss: nn.Module, batches: Batches, recipe: Recipe, epoch: int, accelerator: Accelerator, bar: tqdm
) -> tuple[float, float]:
    """A step of the optimizer for each batch of an epoch; returns the mean loss and the last learning rate.

    Raises:
        ValueError: the mean loss is NaN or infinite.
    """
    model = state.model.train()
    if epoch < recipe.freeze:
        model.backbone.eval()  # BatchNorm's running averages are frozen, too
    losses = []
    for i, (images, targets) in enumerate(batches.of(epoch)):
        lr = learning_rate(model, recipe, (epoch * len(batches) + i + 0.5) / (recipe.epochs * len(batches)))
        for group in state.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        images = normalize(images.to(accelerator.device, memory_format=torch.channels_last), model.mean, model.std)
        value = loss(images, targets.to(accelerator.device))
        state.optimizer.zero_grad(set_to_none=True)
        accelerator.backward(value)
        if recipe.clip:
            accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
        state.optimizer.step()
        if state.averaged:
            state.averaged.update_parameters(model)
        losses.append(value.detach())
        bar.update()
    broadcast(list(state.kept.buffers()))  # BatchNorm's running averages: each process has averaged other images
    mean = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
    if not math.isfinite(mean):
        highest = learning_rate(model, recipe, recipe.warmup)
        raise ValueError(f"the loss is {mean} in epoch {epoch + 1}; try a lower learning rate than {highest}")
    return mean, lr
