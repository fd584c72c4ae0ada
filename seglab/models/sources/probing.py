"""Forward passes that show the output stride of a network, and which input sizes it takes.

They are computed on tensors with shapes and without values, as in `cost`; on zeros where the network cannot do that.
"""

import math
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from seglab._utils.environment import device_of
from seglab.models.adapters import SegModel

_DIVISORS = (1, 8, 16, 32, 64)
_EVEN = (256, 384)  # a multiple of all of them


def probe(model: SegModel, exact: tuple[int, int] | None = None) -> int:
    """Set the divisor of a model's input size, or its one possible size, and return its output stride.

    Sizes that are multiples of 1, 8, … and of no larger number are tried. A network that takes none of them gets
    images of `model.short`, where that is one size already, else of `exact`.

    Raises:
        ValueError: the network gives no scores (B,K,h',w') for any of these sizes, or a number of classes that differs.
    """
    size = model.short if isinstance(model.short, tuple) else _EVEN
    found = _stride(model, size)
    if isinstance(found, Exception) and size == _EVEN and exact:
        model.short = size = exact
        found = _stride(model, size)
    if isinstance(found, Exception):
        raise ValueError(
            f"{model.label} gives no scores (B,K,h',w') for its {len(model.classes)} classes and images of"
            f" {size[0]}×{size[1]} pixels: {found}"
        )
    if size == _EVEN:
        spec = model.spec
        for divisor in _DIVISORS:
            model.spec = replace(spec, divisor=divisor)
            if _stride(model, (128 + divisor, 128 + 3 * divisor), found) == found:
                break
    return found


def _stride(model: SegModel, size: tuple[int, int], stride: int | None = None) -> int | Exception:
    """The output stride for images of a size; an error of the network, or one of scores that do not follow the size."""
    try:
        scores = _scores(deepcopy(model).to("meta"), size)
    except Exception:  # of the network: whichever
        try:
            scores = _scores(model, size)
        except Exception as error:
            return error
    height, width = scores.shape[-2:]
    stride = stride or max(1, round(size[0] / height))
    if all(side // stride <= n <= math.ceil(side / stride) for side, n in zip(size, (height, width), strict=True)):
        return stride
    return ValueError(f"its scores have the size {height}×{width} for images of {size[0]}×{size[1]}")


@torch.no_grad()
def _scores(model: SegModel, size: tuple[int, int]) -> Tensor:
    return model(torch.zeros(1, 3, *size, device=device_of(model)))
