"""Joint transforms of image and mask, and normalisation of uint8 images to a batch.

A transform maps an image uint8 (3,H,W) and its target uint8 (H,W) to an image and a target of the same types, with
the same random parameters for both. Images are interpolated; a target takes the label at the centre of each new pixel
(`nearest-exact`). Padding is void in the target and a mean colour in the image. Random numbers come from torch's
global generator, as in `torchvision.transforms.v2`: `torch.manual_seed` repeats a run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from seglab._utils.errors import checked_size
from seglab.data.classes import IGNORE_INDEX

Joint = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# Mean and standard deviation of the ImageNet training images, RGB in 0–1; pretrained backbones expect them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def train_transform(
    size: tuple[int, int],
    scale: tuple[float, float] = (0.5, 2.0),
    flip: float = 0.5,
    jitter: float = 0.3,
    mean: Sequence[float] = IMAGENET_MEAN,
    favour: Sequence[int] = (),
) -> Joint:
    """Augmentation for training: random scale, crop, horizontal flip and colour, then padding to `size`.

    Args:
        size: (H, W) of the result.
        scale: range of the scale factor.
        flip: probability of a horizontal flip.
        jitter: largest relative change of brightness, contrast and saturation; 0 for none.
        mean: colour (RGB, 0–1) of the padding.
        favour: class indices, for rare classes: half of the crops contain a random pixel of one of them.
    """
    size = checked_size(size)
    color = v2.ColorJitter(jitter, jitter, jitter)  # before the padding, which keeps the mean colour
    steps = RandomScale(scale), RandomCrop(size, favour), v2.RandomHorizontalFlip(flip), color, RandomPad(size, mean)
    return Jointly(steps)


def eval_transform(size: tuple[int, int] | None = None) -> Joint:
    """For evaluation: resize to `size` (H, W); None changes nothing."""
    return Jointly([v2.Identity() if size is None else Resize(checked_size(size))])


def normalize(images: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """uint8 (…,3,H,W) in 0–255 → float32 (…,3,H,W): scaled to 0–1, minus `mean`, divided by `std`."""
    if images.dtype != torch.uint8 or images.ndim < 3 or images.shape[-3] != 3:
        found = f"{images.dtype} {tuple(images.shape)}"
        raise ValueError(f"normalize expects uint8 images (…,3,H,W) in 0–255, found {found}")
    return F.normalize(images.float() / 255, list(mean), list(std))


def to_batch(
    images: Sequence[Tensor], mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> Tensor:
    """Images uint8 (3,H,W) of one size → a normalised batch, float32 (B,3,H,W)."""
    sizes = sorted({tuple(image.shape[-2:]) for image in images})
    if len(sizes) != 1:
        raise ValueError(f"a batch needs images of one size, found {sizes or 'none'}; use eval_transform(size)")
    return normalize(torch.stack(list(images)), mean, std)


class Jointly(v2.Compose):
    """A sequence of v2 transforms of an image and its target, with plain tensors as input and output."""

    def forward(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if image.shape[-2:] != target.shape:
            raise ValueError(f"image {tuple(image.shape)} and target {tuple(target.shape)} differ in height or width")
        pair = super().forward(tv_tensors.Image(image), tv_tensors.Mask(target))
        return pair[0].as_subclass(Tensor), pair[1].as_subclass(Tensor)


class Resize(v2.Transform):
    """Resize to `size` (H, W): images bilinear with antialiasing, masks nearest-exact.

    v2's own resize of masks (`nearest`) samples up to half a pixel of the smaller image away from the image's samples.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        size = params.get("size", self.size)
        if isinstance(inpt, tv_tensors.Mask):
            return tv_tensors.Mask(interpolate(inpt.as_subclass(Tensor)[None, None], size, mode="nearest-exact")[0, 0])
        return F.resize(inpt, list(size), antialias=True)


class RandomScale(Resize):
    """Resize by a random factor, the same for height and width."""

    def __init__(self, scale: tuple[float, float]) -> None:
        super().__init__((0, 0))
        self.scale = scale

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, Any]:
        low, high = self.scale
        factor = low + (high - low) * torch.rand(()).item()
        height, width = flat_inputs[0].shape[-2:]
        return {"size": (max(1, round(height * factor)), max(1, round(width * factor)))}


class RandomCrop(v2.Transform):
    """Crop at most `size` (H, W) at a random position; half of the crops contain a pixel of a favoured class."""

    def __init__(self, size: tuple[int, int], favour: Sequence[int] = ()) -> None:
        super().__init__()
        self.size, self.favour = size, tuple(favour)

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, Any]:
        target = next(t for t in flat_inputs if isinstance(t, tv_tensors.Mask)).as_subclass(Tensor)
        height, width = (min(want, have) for want, have in zip(self.size, target.shape, strict=True))
        top, left = _below(target.shape[0] - height + 1), _below(target.shape[1] - width + 1)
        present = [c for c in self.favour if (target == c).any()]
        if present and torch.rand(()) < 0.5:
            pixels = (target == present[_below(len(present))]).nonzero()
            y, x = pixels[_below(len(pixels))].tolist()
            # A random position of the pixel in the crop, as far as the borders of the image allow.
            top = min(max(y - _below(height), 0), target.shape[0] - height)
            left = min(max(x - _below(width), 0), target.shape[1] - width)
        return {"top": top, "left": left, "height": height, "width": width}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        return F.crop(inpt, **params)


class RandomPad(v2.Transform):
    """Pad to at least `size` (H, W): void in masks, the mean colour in images."""

    def __init__(self, size: tuple[int, int], mean: Sequence[float] = IMAGENET_MEAN) -> None:
        super().__init__()
        self.size, self.color = size, [round(255 * value) for value in mean]

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, Any]:
        missing = [max(0, want - have) for want, have in zip(self.size, flat_inputs[0].shape[-2:], strict=True)]
        top, left = (_below(n + 1) for n in missing)
        return {"padding": [left, top, missing[1] - left, missing[0] - top]}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        fill = IGNORE_INDEX if isinstance(inpt, tv_tensors.Mask) else self.color
        return F.pad(inpt, params["padding"], fill=fill)


def _below(n: int) -> int:
    """A random integer, 0 ≤ result < n."""
    return int(torch.randint(n, ()))
