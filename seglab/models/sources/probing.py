"""Forward passes that show the output stride of a network, and which input sizes it takes.

They are computed on tensors with shapes and without values, as in `cost`; on zeros where the network cannot do that.
"""

import math
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from seglab.models.adapters import SegModel

_DIVISORS = (1, 8, 16, 32, 64)


def probe(model: SegModel, exact: tuple[int, int] | None = None) -> int:
    """Set the divisor of a model's input size, or its one possible size, and return its output stride.

    Sizes that are multiples of 1, 8, … and of no larger number are tried. A network that takes none of them gets
    images of `model.short`, where that is one size already, else of `exact`.

    Raises:
        ValueError: the network gives no scores (B,K,h',w') for any of these sizes, or a number of classes that differs.
    """
    spec = model.spec
    one = model.short if isinstance(model.short, tuple) else None
    for divisor in () if one else _DIVISORS:
        model.spec = replace(spec, divisor=divisor)
        found = _stride(model, (128 + divisor, 128 + 3 * divisor))
        if isinstance(found, int):
            return found
    model.spec = spec
    if size := one or exact:
        model.short, found = size, _stride(model, size)
        if isinstance(found, int):
            return found
    raise ValueError(
        f"{model.label} gives no scores (B,K,h',w') for the {len(model.classes)} classes and images of"
        f" {'any size that was tried' if size is None else f'{size[0]}×{size[1]} pixels'}: {found}"
    )


def _stride(model: SegModel, size: tuple[int, int]) -> int | Exception:
    """The output stride for images of a size; an error of the network, or one of scores that do not follow the size."""
    try:
        scores = _scores(deepcopy(model).to("meta"), size)
    except Exception:  # of the network: whichever
        try:
            scores = _scores(model, size)
        except Exception as error:
            return error
    stride = round(size[0] / scores.shape[-2])
    exact = all(
        side // stride <= n <= math.ceil(side / stride) for side, n in zip(size, scores.shape[-2:], strict=True)
    )
    return stride if exact else ValueError(f"its scores have the size {tuple(scores.shape[-2:])} for images of {size}")


@torch.no_grad()
def _scores(model: SegModel, size: tuple[int, int]) -> Tensor:
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    return model(torch.zeros(1, 3, *size, device=device))
