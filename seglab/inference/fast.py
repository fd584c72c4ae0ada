"""From images to scores: at the size that a model was made for, by the fast path.

The fast path is the same model made quicker, not another one: BatchNorm is folded into the convolution before it,
and maps lie in memory with channels last. `precision="bfloat16"` computes most of it with eight bits of mantissa.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.transforms.v2 import functional as F

from seglab._utils.environment import device_of
from seglab._utils.errors import unknown
from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from seglab.models.adapters import SegModel

PRECISIONS = ("float32", "bfloat16")
LONGEST = 40  # times as long as wide; a line of pixels, its width brought to hundreds, would be millions long


def network_size(size: tuple[int, int], short: int | None) -> tuple[int, int]:
    """The size at which the network sees an image: its short side becomes `short`, the other one follows.

    Args:
        size: (H, W) of the image.
        short: None leaves the image as it is.

    Raises:
        ValueError: the image is more than 40 times as long as wide.

    >>> network_size((375, 500), 520)
    (520, 693)
    """
    height, width = size
    if short is None or short == min(size):
        return height, width
    if max(size) > LONGEST * min(size):
        raise ValueError(
            f"an image of {height} × {width} pixels is too long: at the model's size it would be {short} wide and"
            f" {short * max(size) // min(size)} long; cut it into pieces at most {LONGEST} times as long as wide"
        )
    long = int(short * max(size) / min(size))  # cut off, as torchvision does
    return (short, long) if height <= width else (long, short)


class FastModel:
    """A model on the fast path. The model itself is left as it is.

    Args:
        precision: "float32", or "bfloat16": autocast where the model supports it, scores come back as float32.

    Raises:
        ValueError: an unknown precision.
    """

    def __init__(self, model: SegModel, precision: str = "float32") -> None:
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        self.precision = precision
        self.model = fused(model).to(memory_format=torch.channels_last)
        self.device, self.dtype = device_of(model), _dtype_of(model)
        self.short = model.short

    def twin(self) -> "FastModel":
        """Another one on the same weights, for another thread: a module may keep something while it computes."""
        return deepcopy(self, {id(weight): weight for weight in self.model.parameters()})

    def size_of(self, images: Tensor) -> tuple[int, int]:
        """(h, w) at which the network sees these images (…,H,W)."""
        return network_size((images.shape[-2], images.shape[-1]), self.short)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B,3,H,W) → scores float32 (B,K,h',w') on the grid of the model's head, on its device.

        Images are brought to the model's size with antialiasing (bilinear), as uint8, before they are normalised.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected uint8 images (B,3,H,W), found {images.dtype} {tuple(images.shape)}")
        images = images.to(self.device).contiguous(memory_format=torch.channels_last)
        size = self.size_of(images)
        if size != tuple(images.shape[-2:]):
            images = F.resize(images, list(size), antialias=True)
        batch = _normalized(images).to(self.dtype)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            scores = self.model(batch)
        return scores.float()


def _dtype_of(module: nn.Module) -> torch.dtype:
    """That of its weights, as `model.half()` may have left them."""
    return next((weight.dtype for weight in module.parameters() if weight.is_floating_point()), torch.float32)


def _normalized(images: Tensor) -> Tensor:
    """`transforms.normalize` of uint8 (B,3,H,W) to the last bit, with channels last, in a quarter of its time.

    A row of an image is one vector of 3W numbers, so that nothing has to be transposed.
    """
    rows = images.permute(0, 2, 3, 1).contiguous()
    mean, std = (torch.tensor(v, device=images.device).repeat(rows.shape[2]) for v in (IMAGENET_MEAN, IMAGENET_STD))
    batch = rows.flatten(2).float().div_(255).sub_(mean).div_(std)
    return batch.view(rows.shape).permute(0, 3, 1, 2)


def fused(model: SegModel) -> SegModel:
    """A copy for `eval()`, in which every BatchNorm that follows a convolution is folded into it.

    w' = w · γ/√(σ²+ε) and b' = (b − μ) · γ/√(σ²+ε) + β. Which follow one is seen in a forward pass; where a
    convolution's output is used by anything else as well, the copy would differ, and the model is left unfused.

    Raises:
        ValueError: the model cannot be copied, since it keeps something that has no copy.
    """
    try:
        own = deepcopy(model).eval()
    except Exception as error:  # a lock, a tensor with its gradient's history, …
        raise ValueError(
            f"{model.label} cannot be copied, and what predicts is a copy: {error}. Does a module keep what it computed"
            " in training, or a lock? Let it forget that first"
        ) from error
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images = images.to(device_of(model), _dtype_of(model))
    with torch.no_grad():  # inference_mode would make weights that nothing but it can use
        try:
            before, pairs = _followed(deepcopy(own), images)
        except Exception:  # it takes no image of this size, or none: a real one will tell
            return own
        folded = deepcopy(own)
        for conv, norm in pairs:
            both: tuple[Any, Any] = folded.get_submodule(conv), folded.get_submodule(norm)
            _set(folded, conv, fuse_conv_bn_eval(*both))
            _set(folded, norm, nn.Identity())
        apart = (deepcopy(folded)(images) - before).abs().max()  # a copy: what a module keeps of a pass must not travel
    return folded if apart <= 1e-3 * before.abs().max() else own


def _followed(model: nn.Module, images: Tensor) -> tuple[Tensor, list[tuple[str, str]]]:
    """Scores, and (convolution, BatchNorm) by name where the one's output is the other's input, once in that pass."""
    made: dict[int, str] = {}
    alive: list[Tensor] = []  # an id is unique only while its tensor lives
    pairs: list[tuple[str, str]] = []
    calls: list[str] = []

    def look(name: str, module: nn.Module, given: Tensor, result: Tensor) -> None:
        calls.append(name)
        if isinstance(module, nn.Conv2d):
            made[id(result)] = name
            alive.append(result)
        elif id(given) in made and module.running_mean is not None:
            pairs.append((made[id(given)], name))

    kinds = nn.Conv2d, nn.BatchNorm2d
    named = [(name, module) for name, module in model.named_modules() if type(module) in kinds]
    hooks = [
        module.register_forward_hook(lambda m, given, result, name=name: look(name, m, given[0], result))
        for name, module in named
    ]
    try:
        scores = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return scores, [pair for pair in pairs if calls.count(pair[0]) == calls.count(pair[1]) == 1]


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
