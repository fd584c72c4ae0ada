"""Replace BatchNorm by GroupNorm or SyncBatchNorm."""

from typing import TypeVar

from torch import nn

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


def _group_norm(norm: nn.BatchNorm2d) -> nn.GroupNorm:
    """At most 32 groups of at least four channels: of a 1×1 feature map, a group of one channel leaves only zeros."""
    channels = norm.num_features
    groups = max((g for g in (2, 4, 8, 16, 32) if channels % g == 0 and channels // g >= 4), default=1)
    group = nn.GroupNorm(groups, channels, eps=norm.eps, affine=norm.affine)
    if norm.affine:
        group.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    return group.to(norm.weight.device if norm.affine else "cpu").train(norm.training)
