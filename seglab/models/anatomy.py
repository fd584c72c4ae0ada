"""Looking inside a model: which blocks it has, what flows between them, what they cost, what they see.

Everything is measured on a real forward or backward pass of the module itself; nothing here knows an architecture.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from seglab.models.adapters import SegModel
from seglab.models.cost import count_parameters


@dataclass(frozen=True)
class Flow:
    """How an image runs through a model.

    Attributes:
        blocks: a row a block, in the order in which they run: name, kind, channels, height, width, params, macs. What
            is no map but a list of vectors has their number as height, and a width of 0.
        edges: (from, to) by name; where nothing else lies between them. "image" is where it begins.
    """

    blocks: pd.DataFrame
    edges: tuple[tuple[str, str], ...]
    size: tuple[int, int]


def flow(model: SegModel, size: tuple[int, int], blocks: Sequence[str]) -> Flow:
    """Run an image through a model and look at some of its blocks.

    Args:
        size: (h, w) of the image.
        blocks: paths below `model.net`, with wildcards for a name between dots (`"encoder.*"`); none inside another.

    Raises:
        ValueError: a pattern that no block has, a block inside another, or one that gives no map or sequence.
    """
    chosen = _chosen(model.net, blocks)
    outputs: dict[str, list[Tensor]] = {}

    def look(name: str, result: Any) -> None:
        outputs.pop(name, None)  # of a block that runs several times the last one counts
        outputs[name] = _tensors(result)

    images = torch.zeros(1, 3, *size, device=next(model.parameters()).device, requires_grad=True)
    with _hooked(chosen, look), torch.enable_grad():
        begin = images * 1  # a node of the graph, to be found again
        model.eval()(begin)
    nodes = {begin.grad_fn: "image"}
    nodes |= {value.grad_fn: name for name, values in outputs.items() for value in values if value.grad_fn}
    edges = [(source, name) for name, values in outputs.items() for source in _sources(values, nodes) if source != name]
    counted = cost_by_block(model, size, list(chosen))
    rows = [(name, type(chosen[name]).__name__, *_shape(_main(values), size)) for name, values in outputs.items()]
    table = pd.DataFrame(rows, columns=["name", "kind", "channels", "height", "width"]).set_index("name")
    return Flow(table.join(counted), tuple(edges), size)


def cost_by_block(model: SegModel, size: tuple[int, int], blocks: Sequence[str]) -> pd.DataFrame:
    """What parts of a model cost: params, macs (conventions as in `cost`), a row a part; "the rest" last.

    Args:
        blocks: as for `flow`.
    """
    chosen = _chosen(model.net, blocks)
    images = torch.zeros(1, 3, *size, device=next(model.parameters()).device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(images)
    flops = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    prefix = f"{type(model).__name__}.net"
    rows = {name: (count_parameters(module), flops.get(f"{prefix}.{name}", 0) // 2) for name, module in chosen.items()}
    rest = np.array([count_parameters(model), flops["Global"] // 2]) - np.sum(list(rows.values()), axis=0)
    table = pd.DataFrame.from_dict(rows | {"the rest": rest.tolist()}, orient="index", columns=["params", "macs"])
    return table.rename_axis("name")


def receptive_field(model: SegModel, images: Tensor, at: tuple[float, float] = (0.5, 0.5)) -> Tensor:
    """The effective receptive field (Luo et al. 2016): how strongly each pixel moves the scores of one place.

    Args:
        images: float (B,3,h,w), normalised; the more, the smoother.
        at: the place, as shares of height and width.

    Returns:
        float32 (h,w) ≥ 0, scaled to a sum of 1: the mean over images and colours of |∂ scores / ∂ pixel|, where the
        scores of all classes at the place are summed with random signs.
    """
    images = images.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        scores = model.eval()(images)
        row, column = (min(int(share * side), side - 1) for share, side in zip(at, scores.shape[-2:], strict=True))
        signs = torch.randn(scores.shape[1], generator=torch.Generator().manual_seed(0)).to(scores.device)
        (signs @ scores[:, :, row, column].sum(0)).backward()
    assert images.grad is not None
    model.zero_grad(set_to_none=True)
    field = images.grad.abs().mean(dim=(0, 1)).cpu()
    return field / field.sum()


def receptive_field_side(field: Tensor) -> float:
    """How wide a receptive field is: the side in pixels of the square around its middle that holds 95 % of it."""
    height, width = field.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    middle = (field * y).sum(), (field * x).sum()
    distance = torch.maximum((y - middle[0]).abs(), (x - middle[1]).abs()).flatten()
    order = distance.argsort()
    reached = torch.searchsorted(field.flatten()[order].cumsum(0), torch.tensor(0.95))
    return float(2 * distance[order][min(int(reached), len(order) - 1)] + 1)


def activations(model: SegModel, images: Tensor, blocks: Sequence[str]) -> dict[str, Tensor]:
    """What some blocks give for these images, by name; blocks as for `flow`."""
    found: dict[str, Tensor] = {}

    def look(name: str, result: Any) -> None:
        found.setdefault(name, _tensors(result)[0])

    with _hooked(_chosen(model.net, blocks), look), torch.no_grad():
        model.eval()(images)
    return {name: value.detach() for name, value in found.items()}


@contextmanager
def replace_inputs(model: SegModel, changes: Mapping[str, Callable[..., tuple[Any, ...]]]) -> Iterator[None]:
    """While it lasts, some blocks are given something else: a skip connection that is silent, or lets no gradient back.

    Args:
        changes: path below `model.net` → a function that takes the block's inputs and returns as many.

    Raises:
        ValueError: there is no such block.
    """
    blocks = {name: _chosen(model.net, [name])[name] for name in changes}  # all of them before any is touched
    with _lasting(
        block.register_forward_pre_hook(lambda _m, given, change=changes[name]: change(*given))
        for name, block in blocks.items()
    ):
        yield


def _chosen(net: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Modules by path; a wildcard stands for one name, not for several with dots."""
    modules = dict(net.named_modules())
    chosen: dict[str, nn.Module] = {}
    for pattern in patterns:
        depth = pattern.count(".")
        found = {n: m for n, m in modules.items() if n and n.count(".") == depth and fnmatchcase(n, pattern)}
        if not found:
            children = ", ".join(name for name, _ in net.named_children())
            raise ValueError(f"{type(net).__name__} has no block {pattern!r}; it begins with {children}")
        chosen |= found
    for name in chosen:
        if inside := [other for other in chosen if name.startswith(f"{other}.")]:
            raise ValueError(f"{name!r} lies inside {inside[0]!r}; choose one of them")
    return chosen


def _hooked(chosen: dict[str, nn.Module], look: Any) -> AbstractContextManager[None]:
    return _lasting(
        module.register_forward_hook(lambda _m, _given, result, name=name: look(name, result))
        for name, module in chosen.items()
    )


@contextmanager
def _lasting(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Hooks that are set now and gone afterwards."""
    handles = list(hooks)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(result: Any) -> list[Tensor]:
    """The maps that a block gives: a tensor, or those in a tuple, a dict or an output object."""
    if isinstance(result, Tensor):
        return [result]
    inside = result.values() if isinstance(result, dict) else result if isinstance(result, tuple | list) else ()
    return [tensor for item in inside for tensor in _tensors(item) if tensor.ndim >= 3]


def _main(values: Sequence[Tensor]) -> Tensor:
    """Of several tensors that a block gives, the first map."""
    return next((value for value in values if value.ndim == 4), values[0])


def _shape(value: Tensor, size: tuple[int, int]) -> tuple[int, int, int]:
    """(channels, height, width) of a map (1,C,h,w), or of a sequence (1,h·w,C) of an image of this size.

    (channels, number, 0) of a list of vectors that is no such sequence: (1,N,C), or (N,1,C) as some libraries have it.
    """
    if value.ndim == 4:
        return value.shape[1], value.shape[2], value.shape[3]
    if value.ndim != 3:
        raise ValueError(f"a block gives a tensor of shape {tuple(value.shape)}; expected a map or a sequence")
    number, channels = max(value.shape[:2]), value.shape[2]
    stride = max(round((size[0] * size[1] / number) ** 0.5), 1)
    height, width = -(-size[0] // stride), -(-size[1] // stride)
    return (channels, height, width) if height * width == number else (channels, number, 0)


def _sources(values: Sequence[Tensor], nodes: dict[Any, str]) -> list[str]:
    """The blocks whose outputs these were computed from, without any block in between, in the order of the graph."""
    found: dict[str, None] = {}
    waiting = [parent for value in values if value.grad_fn for parent, _ in value.grad_fn.next_functions]
    seen = set()
    while waiting:
        parent = waiting.pop(0)
        if parent is None or parent in seen:
            continue
        seen.add(parent)
        if parent in nodes:
            found[nodes[parent]] = None
        else:
            waiting += [grand for grand, _ in parent.next_functions]
    return list(found)
