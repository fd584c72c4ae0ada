"""Replace BatchNorm by GroupNorm or SyncBatchNorm, or adapt its statistics to other images."""

from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seglab._utils.errors import unknown
from seglab.models.adapters import SegModel

Module = TypeVar("Module", bound=nn.Module)


def with_norm(model: Module, kind: str) -> Module:
    """Replace every BatchNorm of a model in place, and return the model. Learned scales and shifts are kept.

    Args:
        kind: "group" for GroupNorm (Wu & He 2018), whose statistics are those of one image, so that it works with any
            batch size; "sync" for SyncBatchNorm, whose statistics are those of the images of all processes.

    Raises:
        ValueError: another kind.
    """
    if kind == "sync":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    elif kind == "group":
        for parent in list(model.modules()):
            for name, child in parent.named_children():
                if type(child) is nn.BatchNorm2d:  # a subclass may do more than normalise
                    setattr(parent, name, _group_norm(child))
    else:
        raise unknown("kind of norm", kind, ("group", "sync"))
    if isinstance(model, SegModel):
        model.norm = kind
    return model


@torch.no_grad()
def adapted(model: SegModel, images: Tensor, batch: int = 8) -> SegModel:
    """A copy of a model whose BatchNorm has the running statistics of these images; no labels are used.

    Against a distribution shift that changes the statistics of the features, such as night or fog (Schneider et al.
    2020, arXiv:2006.16971; Nado et al. 2020, arXiv:2006.10963). The old statistics are discarded. The new ones are the
    plain mean over batches of each batch's mean and unbiased variance. Weights do not change; dropout stays off.
    A model without BatchNorm predicts as before.

    Args:
        images: uint8 (N,3,H,W), at the size at which the model predicts; they should not be those that it is
            evaluated on.
        batch: least number of images in a batch. The images are divided into as many batches of nearly equal size as
            this allows.

    Returns:
        The copy, in `eval()`, with ", adapted" at the end of its label.

    Raises:
        ValueError: fewer than two images or `batch` below 2; images of another type or shape.
    """
    if len(images) < 2 or batch < 2:
        raise ValueError(
            f"BatchNorm cannot be adapted with {len(images)} images in batches of {batch}; pass two images or more, as"
            " uint8 (N,3,H,W), and a batch of two or more"
        )
    model = deepcopy(model).eval()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean instead of a moving average
        norm.train()
    for part in images.tensor_split(max(1, len(images) // batch)):
        model(model.preprocess(part))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.label = f"{model.label}, adapted"
    return model.eval()


def _group_norm(norm: nn.BatchNorm2d) -> nn.GroupNorm:
    """At most 32 groups of at least four channels: of a 1×1 feature map, a group of one channel leaves only zeros."""
    channels = norm.num_features
    groups = max((g for g in (2, 4, 8, 16, 32) if channels % g == 0 and channels // g >= 4), default=1)
    group = nn.GroupNorm(groups, channels, eps=norm.eps, affine=norm.affine)
    if norm.affine:
        group.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    return group.to(norm.weight.device if norm.affine else "cpu").train(norm.training)
