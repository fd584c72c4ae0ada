"""The fast path from images to scores: the same model, computed faster.

BatchNorm is folded into the convolution before it, and feature maps lie in memory with channels last.
`precision="bfloat16"` computes most of the network with eight significant bits. On a CPU the forward pass may run on
another runtime than torch, see `runtimes.choice`.
"""

from collections.abc import Iterable, Sequence
from copy import copy, deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.transforms.v2 import functional as F

from seglab._utils.environment import device_of
from seglab._utils.errors import unknown
from seglab.inference.runtimes import choice
from seglab.inference.runtimes.session import Session
from seglab.models.adapters import SegModel

PRECISIONS = ("float32", "bfloat16")
MAX_ASPECT = 40  # longer side : shorter side; a line of pixels, resized by its short side, would be millions long


def network_size(size: tuple[int, int], short: int | tuple[int, int] | None) -> tuple[int, int]:
    """The network's input size for an image of `size` (H, W), see `SegModel.short`.

    The short side becomes `short` pixels; None keeps both sides, and (h, w) is that size for every image.

    Raises:
        ValueError: the longer side is more than 40 times as long as the shorter one.

    >>> network_size((375, 500), 520)
    (520, 693)
    """
    if isinstance(short, tuple):
        return short
    height, width = size
    if short is None or short == min(size):
        return height, width
    if max(size) > MAX_ASPECT * min(size):
        raise ValueError(
            f"an image of {height} × {width} pixels is too long: at the model's size it would be {short} wide and"
            f" {short * max(size) // min(size)} long; cut it into pieces at most {MAX_ASPECT} times as long as wide"
        )
    long = int(short * max(size) / min(size))  # rounded down, as in torchvision
    return (short, long) if height <= width else (long, short)


class FastModel:
    """A copy of a model on the fast path; the model itself stays as it is.

    With `precision="bfloat16"` it runs under autocast; its scores are float32 nevertheless.

    Attributes:
        runtime: of `choice.RUNTIMES`.
        session: the model on another runtime; None as long as torch computes.
        expected: about how many images will follow, which decides whether "auto" compares runtimes.

    Raises:
        ValueError: the precision or the runtime is unknown; the runtime is not installed, or needs a model with
            float32 weights on a CPU; the model cannot be copied.
    """

    def __init__(self, model: SegModel, precision: str = "float32", runtime: str = choice.TORCH) -> None:
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        self.precision, self.short, self.colors = precision, model.short, (model.mean, model.std)
        self.model = fused(model).to(memory_format=torch.channels_last)
        self.device, self.dtype = device_of(model), _dtype_of(model)
        self.runtime = choice.checked(runtime, choice.usable(model))
        self.session: Session | None = None
        self.expected, self._settled = 1, 0  # images, and those for which the runtime was decided

    @property
    def batch(self) -> int:
        """Images or tiles in one forward pass where none is stated: 8, and 1 on a CPU, whose caches are small."""
        return 1 if self.device.type == "cpu" else 8

    def twin(self) -> "FastModel":
        """A copy with the same weights, for another thread: a module may keep something while it computes."""
        other = copy(self)
        if self.session is None:
            other.model = deepcopy(self.model, {id(weight): weight for weight in self.model.parameters()})
        else:
            other.session = self.session.twin()
        return other

    @property
    def used(self) -> str:
        """The runtime that computes, with its version: "openvino 2026.4.1"; torch without one, as in old stores."""
        return choice.TORCH if self.session is None else choice.titled(self.session.name)

    @torch.inference_mode()
    def settle(self, images: Iterable[Tensor]) -> None:
        """Decide on the runtime by means of real images, uint8 (3,H,W); the first call of a model does it otherwise.

        While torch computes, "auto" is decided again once more images are expected.

        Raises:
            ValueError: the model cannot be computed by the runtime that was asked for, or its masks differ.
        """
        if self.runtime == choice.TORCH or self.session is not None or self._settled >= self.expected:
            return
        self._settled = self.expected
        batches = [self._batch(image[None]) for image in images]
        if self.runtime == choice.AUTO:
            self.session = choice.fastest(self.model, self.precision, batches, self._torch, self.expected)
        else:
            self.session = choice.session(self.runtime, self.model, self.precision, batches, self._torch)

    def size_of(self, images: Tensor) -> tuple[int, int]:
        """The network's input size (h, w) for images (…,H,W)."""
        return network_size((images.shape[-2], images.shape[-1]), self.short)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B,3,H,W) → scores float32 (B,K,h',w') at the head's output stride, on the model's device.

        Images are resized (bilinear, antialiased) as uint8 before they are normalised.
        """
        self.settle(images[:1])
        batch = self._batch(images)
        return self._torch(batch, self.precision) if self.session is None else self.session(batch)

    def _torch(self, batch: Tensor, precision: str) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return self.model(batch).float()

    def _batch(self, images: Tensor) -> Tensor:
        """uint8 (B,3,H,W) → the network's input: (B,3,h,w), normalised."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected uint8 images (B,3,H,W), found {images.dtype} {tuple(images.shape)}")
        layout = torch.channels_last if self.session is None else torch.contiguous_format  # as each takes it
        images = images.to(self.device).contiguous(memory_format=layout)
        size = self.size_of(images)
        if size != tuple(images.shape[-2:]):
            images = F.resize(images, list(size), antialias=True)
        return _normalized(images, *self.colors).to(self.dtype)


def _dtype_of(module: nn.Module) -> torch.dtype:
    """The type of a module's floating-point weights, which `model.half()` changes."""
    return next((weight.dtype for weight in module.parameters() if weight.is_floating_point()), torch.float32)


def _normalized(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (B,3,H,W) → what `transforms.normalize` returns, to the last bit, in the same layout in memory.

    With channels last, a row of an image is one vector of 3W numbers: a quarter of the time of `transforms.normalize`.
    """
    if images.is_contiguous():
        shift, scale = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (mean, std))
        return images.float().div_(255).sub_(shift).div_(scale)
    rows = images.permute(0, 2, 3, 1).contiguous()
    shift, scale = (torch.tensor(values, device=images.device).repeat(rows.shape[2]) for values in (mean, std))
    batch = rows.flatten(2).float().div_(255).sub_(shift).div_(scale)
    return batch.view(rows.shape).permute(0, 3, 1, 2)


def fused(model: SegModel) -> SegModel:
    """A copy in `eval()` in which each BatchNorm that follows a convolution is folded into that convolution.

    w' = w · γ/√(σ²+ε) and b' = (b − μ) · γ/√(σ²+ε) + β. A forward pass shows the pairs. Where the output of a
    convolution is also used elsewhere, the scores of the folded copy differ, and the returned copy is not folded.

    Raises:
        ValueError: the model cannot be copied.
    """
    try:
        copy = deepcopy(model).eval()
    except Exception as error:  # a lock, or a tensor with the history of its gradient
        raise ValueError(
            f"{model.label} cannot be copied, and predictions are made with a copy: {error}. If a module keeps a lock"
            " or a tensor that it computed in training, delete that first"
        ) from error
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(device_of(copy), _dtype_of(copy))
    with torch.no_grad():  # weights made in inference_mode could be used in that mode only
        try:
            expected, pairs = _conv_norm_pairs(copy, images)
        except Exception:  # the model does not take images of this size; the real images show whether it works
            return copy
        folded = deepcopy(copy)
        for conv, norm in pairs:
            both: tuple[Any, Any] = folded.get_submodule(conv), folded.get_submodule(norm)
            folded.set_submodule(conv, fuse_conv_bn_eval(*both))
            folded.set_submodule(norm, nn.Identity())
        # The pass runs in another copy, because a module may keep something of it.
        difference = (deepcopy(folded)(images) - expected).abs().max()
    return folded if difference <= 1e-3 * expected.abs().max() else copy


def _conv_norm_pairs(model: nn.Module, images: Tensor) -> tuple[Tensor, list[tuple[str, str]]]:
    """The scores, and the names of each convolution and the BatchNorm of its output, where both run once."""
    probe = deepcopy(model)
    sources: dict[int, str] = {}  # id of a convolution's output → the convolution's name
    outputs: list[Tensor] = []  # held here, because an id is unique only while its tensor exists
    calls: list[str] = []
    pairs: list[tuple[str, str]] = []

    def record(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append(name)
        if isinstance(module, nn.Conv2d):
            sources[id(output)] = name
            outputs.append(output)
        elif id(inputs[0]) in sources and module.running_mean is not None:
            pairs.append((sources[id(inputs[0])], name))

    for name, module in probe.named_modules():
        if type(module) in (nn.Conv2d, nn.BatchNorm2d):
            module.register_forward_hook(partial(record, name))
    return probe(images), [pair for pair in pairs if calls.count(pair[0]) == calls.count(pair[1]) == 1]
