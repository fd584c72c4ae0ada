"""The inside of a model: its blocks and their connections, costs, activations and receptive fields.

Everything is measured on a forward or backward pass of the module itself, so it works for every architecture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seglab._utils.environment import device_of
from seglab.models.adapters import SegModel
from seglab.models.cost import count_parameters


@dataclass(frozen=True)
class Flow:
    """The blocks of a model and their connections.

    Attributes:
        blocks: one row a block, indexed by name, in the order of execution: kind, channels, height, width, params,
            macs. An output that is a list of N vectors instead of a feature map has height N and width 0.
        edges: (from, to) by name, where no other block lies between the two. "image" is the input.
        size: (h, w) of the input.
    """

    blocks: pd.DataFrame
    edges: tuple[tuple[str, str], ...]
    size: tuple[int, int]


def flow(model: SegModel, size: tuple[int, int], blocks: Sequence[str]) -> Flow:
    """Run an image through a model and measure some of its blocks.

    Args:
        size: (h, w) of the image.
        blocks: paths below `model.net`; a wildcard matches one part of a path (`"encoder.*"`). No block may lie inside
            another one.

    Raises:
        ValueError: no block matches a pattern, a block lies inside another, or the output of one is neither a feature
            map nor a sequence.
    """
    chosen = _select(model.net, blocks)
    images = torch.zeros(1, 3, *size, device=device_of(model), requires_grad=True)
    with _recorded(chosen) as runs, torch.enable_grad():
        start = images * 1  # a node of the graph, unlike a leaf
        model.eval()(start)
    outputs: dict[str, list[Tensor]] = {}
    for name, tensors in runs:
        outputs.pop(name, None)  # of a block that runs several times the last run counts
        outputs[name] = tensors
    nodes = {start.grad_fn: "image"}
    nodes |= {value.grad_fn: name for name, values in outputs.items() for value in values if value.grad_fn}
    edges = [(source, name) for name, values in outputs.items() for source in _sources(values, nodes) if source != name]
    counted = cost_by_block(model, size, list(chosen))
    rows = [(name, type(chosen[name]).__name__, *_shape(values, size)) for name, values in outputs.items()]
    table = pd.DataFrame(rows, columns=["name", "kind", "channels", "height", "width"]).set_index("name")
    return Flow(table.join(counted), tuple(edges), size)


def cost_by_block(model: SegModel, size: tuple[int, int], blocks: Sequence[str]) -> pd.DataFrame:
    """Costs of blocks, chosen as for `flow`: columns params and macs (as in `cost`), a row a block, "the rest" last."""
    chosen = _select(model.net, blocks)
    images = torch.zeros(1, 3, *size, device=device_of(model))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(images)
    flops = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    prefix = f"{type(model).__name__}.net"
    rows = {name: (count_parameters(module), flops.get(f"{prefix}.{name}", 0) // 2) for name, module in chosen.items()}
    rest = np.array([count_parameters(model), flops["Global"] // 2]) - np.sum(list(rows.values()), axis=0)
    table = pd.DataFrame.from_dict(rows | {"the rest": rest.tolist()}, orient="index", columns=["params", "macs"])
    return table.rename_axis("name")


def receptive_field(model: SegModel, images: Tensor, at: tuple[float, float] = (0.5, 0.5)) -> Tensor:
    """The effective receptive field (Luo et al. 2016) of one position of the scores.

    Args:
        images: float (B,3,h,w), normalised; more images give a smoother field.
        at: the position, as fractions of height and width.

    Returns:
        float32 (h,w) ≥ 0, scaled to a sum of 1: |∂ s / ∂ pixel|, averaged over images and colours, where s is the sum
        of the scores of all classes at the position with random signs.
    """
    images = images.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        scores = model.eval()(images)
        row, column = (min(int(f * side), side - 1) for f, side in zip(at, scores.shape[-2:], strict=True))
        signs = torch.randn(scores.shape[1], generator=torch.Generator().manual_seed(0)).to(scores.device)
        (gradient,) = torch.autograd.grad(signs @ scores[:, :, row, column].sum(0), images)
    field = gradient.abs().mean(dim=(0, 1)).cpu()
    return field / field.sum()


def receptive_field_side(field: Tensor) -> float:
    """Side in pixels of the square around the centroid of a receptive field (h,w) that contains 95 % of its sum."""
    height, width = field.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centroid = (field * y).sum(), (field * x).sum()
    distance = torch.maximum((y - centroid[0]).abs(), (x - centroid[1]).abs()).flatten()
    order = distance.argsort()
    reached = torch.searchsorted(field.flatten()[order].cumsum(0), torch.tensor(0.95))
    return float(2 * distance[order][min(int(reached), len(order) - 1)] + 1)


def activations(model: SegModel, images: Tensor, blocks: Sequence[str]) -> dict[str, Tensor]:
    """Block → its output, for normalised images (B,3,h,w). Blocks are chosen as for `flow`."""
    with _recorded(_select(model.net, blocks)) as runs, torch.no_grad():
        model.eval()(images)
    outputs: dict[str, Tensor] = {}
    for name, tensors in runs:
        outputs.setdefault(name, tensors[0].detach())  # of a block that runs several times the first run counts
    return outputs


@contextmanager
def replace_inputs(model: SegModel, changes: Mapping[str, Callable[..., tuple[Any, ...]]]) -> Iterator[None]:
    """Inside the context, change the inputs of some blocks, for example to zero out a skip connection.

    Args:
        changes: path below `model.net` → a function of the block's inputs that returns a tuple of as many.

    Raises:
        ValueError: there is no such block.
    """
    blocks = {name: _select(model.net, [name])[name] for name in changes}  # all names are checked before any hook
    with ExitStack() as hooks:
        for name, block in blocks.items():
            hook = lambda _, inputs, change=changes[name]: change(*inputs)  # noqa: E731
            hooks.enter_context(block.register_forward_pre_hook(hook))
        yield


def _select(net: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Path → module. A wildcard matches one part of a path, not several with dots."""
    modules = dict(net.named_modules())
    chosen: dict[str, nn.Module] = {}
    for pattern in patterns:
        depth = pattern.count(".")
        found = {n: m for n, m in modules.items() if n and n.count(".") == depth and fnmatchcase(n, pattern)}
        if not found:
            children = ", ".join(name for name, _ in net.named_children())
            raise ValueError(f"{type(net).__name__} has no block {pattern!r}; its blocks are {children}")
        chosen |= found
    for name in chosen:
        if outer := [other for other in chosen if name.startswith(f"{other}.")]:
            raise ValueError(f"{name!r} lies inside {outer[0]!r}; choose one of them")
    return chosen


@contextmanager
def _recorded(blocks: dict[str, nn.Module]) -> Iterator[list[tuple[str, list[Tensor]]]]:
    """Inside the context, append (name, tensors of its output) whenever a block has run."""
    runs: list[tuple[str, list[Tensor]]] = []
    with ExitStack() as hooks:
        for name, block in blocks.items():
            hook = lambda _, inputs, output, name=name: runs.append((name, _tensors(output)))  # noqa: E731
            hooks.enter_context(block.register_forward_hook(hook))
        yield runs


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of a block's output: a tensor, or those in a tuple, a dict or an output object of transformers."""
    if isinstance(output, Tensor):
        return [output]
    items = output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else ()
    return [tensor for item in items for tensor in _tensors(item) if tensor.ndim >= 3]


def _shape(outputs: Sequence[Tensor], size: tuple[int, int]) -> tuple[int, int, int]:
    """(channels, height, width) of the first feature map (1,C,h,w), or of a sequence (1,h·w,C) for an image of `size`.

    (channels, N, 0) of any other list of vectors, which is (1,N,C) or, in some libraries, (N,1,C).
    """
    output = next((tensor for tensor in outputs if tensor.ndim == 4), outputs[0])
    if output.ndim == 4:
        return output.shape[1], output.shape[2], output.shape[3]
    if output.ndim != 3:
        raise ValueError(f"the output of a block is {tuple(output.shape)}; expected a feature map or a sequence")
    number, channels = max(output.shape[:2]), output.shape[2]
    stride = max(round((size[0] * size[1] / number) ** 0.5), 1)
    height, width = -(-size[0] // stride), -(-size[1] // stride)
    return (channels, height, width) if height * width == number else (channels, number, 0)


def _sources(outputs: Sequence[Tensor], nodes: dict[Any, str]) -> list[str]:
    """The blocks that these outputs were computed from, without any block in between, in the order of the graph."""
    found: dict[str, None] = {}
    waiting = [node for output in outputs if output.grad_fn for node, _ in output.grad_fn.next_functions]
    visited = set()
    while waiting:
        node = waiting.pop(0)
        if node is None or node in visited:
            continue
        visited.add(node)
        if node in nodes:
            found[nodes[node]] = None
        else:
            waiting += [following for following, _ in node.next_functions]
    return list(found)
