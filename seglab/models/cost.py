"""Costs of a model: parameters, multiply-accumulates, memory. They are counted, so every machine gives the same.

Published tables follow different conventions. Those used here:

- parameters are those that `eval()` uses, so without an auxiliary head;
- MACs are the multiply-accumulates of one image in convolutions and matrix products; FLOPs are twice as many.
  torchvision's published "GFLOPS" are MACs, with the auxiliary head;
- memory is the weights plus the largest sum of tensors that are alive at one moment of a forward pass of one image, in
  float32, with the image. Workspaces inside the libraries' kernels and Python itself are not counted.
"""

import weakref
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from seglab._utils.environment import device_of
from seglab.models.adapters import SegModel


@dataclass(frozen=True)
class Cost:
    """Counts for one image."""

    size: tuple[int, int]  # (h, w) of the network's input
    params: int  # parameters
    macs: int  # multiply-accumulates
    peak_bytes: int  # weights and live tensors at the peak

    @property
    def flops(self) -> int:
        """Number of floating-point operations: two for each multiply-accumulate."""
        return 2 * self.macs


def cost(model: SegModel, size: tuple[int, int]) -> Cost:
    """Count one forward pass in `eval()`, on tensors that have shapes and no values: nothing is computed.

    A module whose operations depend on values is run once on zeros instead. The model is not changed.

    Args:
        size: (h, w) of the network's input.
    """
    try:
        return _counted(deepcopy(model).to("meta").eval(), size)
    except (RuntimeError, ValueError, AssertionError):  # the last one: a program of TorchScript
        return _counted(deepcopy(model).eval(), size)


@torch.no_grad()
def _counted(model: SegModel, size: tuple[int, int]) -> Cost:
    with FlopCounterMode(display=False) as flops, LiveMemory() as memory:
        model(torch.zeros(1, 3, *size, device=device_of(model)))
    num_bytes = sum(w.numel() * w.element_size() for w in model.parameters())
    return Cost(size, count_parameters(model), flops.get_total_flops() // 2, num_bytes + memory.peak)


def count_parameters(model: torch.nn.Module) -> int:
    """Number of parameters, without those of an auxiliary head, which only training uses."""
    return sum(p.numel() for name, p in model.named_parameters() if "aux_classifier" not in name)


class LiveMemory(TorchDispatchMode):
    """Follows every tensor that an operation makes until it is freed: bytes alive now, and their `peak` so far."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, num_bytes = storage._cdata, storage.nbytes()
        if key in self.known:  # a view, or the result of an in-place operation
            return
        self.known.add(key)
        self.now += num_bytes
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, key, num_bytes)

    def _release(self, key: int, num_bytes: int) -> None:
        self.known.discard(key)
        self.now -= num_bytes
