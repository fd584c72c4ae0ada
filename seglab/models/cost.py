"""What a model costs: parameters, multiply-adds, memory. Counted, not timed: the same on every machine.

Conventions, because tables differ in them:

- parameters: those that `eval()` uses, so without an auxiliary head;
- MACs: multiply-accumulates of one image through convolutions and matrix products; FLOPs are twice as many. What
  torchvision publishes as "GFLOPS" are MACs, auxiliary head included;
- memory: weights plus the largest sum of tensors that are alive at one moment of a forward pass of one image, itself
  included, in float32. Workspaces inside the libraries' kernels and Python itself come on top.
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
    """Counts for one image.

    Attributes:
        size: (h, w) of the network's input that they are for.
        params: parameters that are used.
        macs: multiply-accumulates.
        peak_bytes: weights and live tensors at the worst moment.
    """

    size: tuple[int, int]
    params: int
    macs: int
    peak_bytes: int

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-accumulate is two."""
        return 2 * self.macs


def cost(model: SegModel, size: tuple[int, int]) -> Cost:
    """Count one forward pass in `eval()`, on tensors that have shapes and no values: nothing is computed.

    A model of one's own whose operations depend on values is run once, on a black image.

    Args:
        model: left as it is.
        size: (h, w) of the network's input.
    """
    try:
        return _counted(deepcopy(model).to("meta").eval(), size)
    except (RuntimeError, ValueError):
        return _counted(deepcopy(model).eval(), size)


@torch.no_grad()
def _counted(model: SegModel, size: tuple[int, int]) -> Cost:
    with FlopCounterMode(display=False) as flops, _Alive() as memory:
        model(torch.zeros(1, 3, *size, device=device_of(model)))
    num_bytes = sum(w.numel() * w.element_size() for w in model.parameters())
    return Cost(size, count_parameters(model), flops.get_total_flops() // 2, num_bytes + memory.peak)


def count_parameters(model: torch.nn.Module) -> int:
    """Parameters, without those of an auxiliary head, which only training uses."""
    return sum(p.numel() for name, p in model.named_parameters() if "aux_classifier" not in name)


class _Alive(TorchDispatchMode):
    """Follows every tensor that an operation makes, until nobody holds it any more."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._hold(value.untyped_storage())
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key, num_bytes = storage._cdata, storage.nbytes()
        if key in self.seen:  # a view, or the result of an operation in place
            return
        self.seen.add(key)
        self.now += num_bytes
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, key, num_bytes)

    def _release(self, key: int, num_bytes: int) -> None:
        self.seen.discard(key)
        self.now -= num_bytes
