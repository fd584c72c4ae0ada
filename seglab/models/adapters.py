"""Adapters: one form for the models of every library.

A model of torchvision returns a dict at the size of its input, one of transformers an object at a quarter of it, one
of smp a tensor if the sides are divisible by 32. A `SegModel` holds such a module, unchanged, as `net` and gives it
one form: batch (B,3,h,w) → scores (B,K,h',w') on the grid on which its head works. Which models there are is said in
`models.py`; this file would be the same for one of your own (`wrap`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab.data.classes import IGNORE_INDEX, ClassSet, class_set
from seglab.data.labels import check_labels
from seglab.data.transforms import normalize
from seglab.models.spec import Criterion, ModelSpec

AUX_WEIGHT = 0.5  # of the auxiliary head's loss, as in torchvision's own recipe


class SegModel(nn.Module, ABC):
    """What every model can do, whichever library it comes from.

    Attributes:
        net: the library's own module; `net.state_dict()` has the library's own keys.
        classes: the K classes of its scores.
        spec: what is known about it.
        norm: "group" or "sync" where `with_norm` has replaced its BatchNorm.
        label: how a comparison names it, as `unet_mini:camvid`.
        facts: what its checkpoint says of its training, or what is known of its published weights; empty where there
            are none.
        short: short side in pixels to which `predict` and `evaluate` resize an image; None keeps the image's size.
            `fit` sets it to the short side of its crops, and checkpoints store it.
    """

    net: Any

    def __init__(self, net: nn.Module, classes: ClassSet, spec: ModelSpec) -> None:
        super().__init__()
        self.net, self.classes, self.spec = net, classes, spec
        self.norm: str | None = None
        self.label = spec.name
        self.facts: Mapping[str, Any] = {}
        self.short: int | None = None
        self._drawn: Tensor | None = None  # weights of the head before it was trained, where only the backbone is

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B,3,h,w) → scores (B,K,h',w') at the head's own stride.

        Interpolated (bilinear, `align_corners=False`) to (h,w) they are what the library's own model returns.

        Raises:
            ValueError: in `eval()`, where only the backbone was ever trained.
        """
        if self._drawn is not None and not self.training:
            if torch.equal(self._head_weight(), self._drawn):
                raise ValueError(
                    f"{self.label} cannot predict yet: its encoder is trained, its decoder is not. Fine-tune it"
                    f" (seglab train {self.label} --data DATA), or load a checkpoint of such a training"
                )
            self._drawn = None
        return self.heads(images)[0]

    def mark_untrained(self) -> None:
        """Refuse to predict until the head has learned something, in whatever way: so far it is random."""
        self._drawn = self._head_weight()

    def _head_weight(self) -> Tensor:
        return [p for p in self.head_parameters() if p.ndim > 1][-1].detach().cpu().clone()

    @abstractmethod
    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores of the main head and, in training mode, of the auxiliary one where there is one."""

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion) -> Tensor:
        """What training minimises: criterion(main head) + 0.5 · criterion(auxiliary head), at the size of `targets`.

        Args:
            images: float (B,3,h,w), normalised.
            targets: integer (B,H,W), 255 for void.
            criterion: (logits (B,K,H,W), target (B,H,W)) → scalar, see `losses.criterion`.
        """
        main, aux = self.heads(images)
        loss = criterion(upsample(main, targets), targets)
        return loss if aux is None else loss + AUX_WEIGHT * criterion(upsample(aux, targets), targets)

    def preprocess(self, image: Tensor) -> Tensor:
        """uint8 (3,H,W) or (B,3,H,W) → float32 (B,3,H,W), normalised as ImageNet is, at its own size, on my device."""
        if image.dtype != torch.uint8 or image.ndim not in (3, 4) or image.shape[-3] != 3:
            raise ValueError(
                f"expected a uint8 image (3,H,W) or (B,3,H,W), got {image.dtype} {tuple(image.shape)};"
                " an image (H,W,3) is brought to this form by image.permute(2, 0, 1)"
            )
        batch = image if image.ndim == 4 else image[None]
        return normalize(batch.to(next(self.parameters()).device))

    @property
    def backbone(self) -> nn.Module:
        """The part that is usually pretrained on ImageNet: what is frozen in the first epochs of a fine-tuning."""
        if not self.spec.backbone:
            raise ValueError(
                f"nobody said which part of {self.spec.title} is its backbone: wrap(…, backbone='encoder')"
            )
        return self.net.get_submodule(self.spec.backbone)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """The parameters of the backbone."""
        return list(self.backbone.parameters())

    def head_parameters(self) -> list[nn.Parameter]:
        """All other parameters."""
        backbone = set(self.backbone.parameters())
        return [p for p in self.parameters() if p not in backbone]


class TorchvisionModel(SegModel):
    """FCN, DeepLabV3 and LR-ASPP of torchvision, without the interpolation at their end."""

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.training and len(images) == 1 and _normalises_single_pixels(self.net):
            raise ValueError(
                f"{self.spec.title} cannot train on a batch of one: its global pooling leaves one pixel an image, and"
                " BatchNorm needs two values to compare. Take two images, or GroupNorm: with_norm(model, 'group')"
            )
        features = self.net.backbone(images)
        main = self.net.classifier(features.get("out", features))  # the head of LR-ASPP takes low and high features
        if not (self.training and self.spec.has_aux and self.net.aux_classifier is not None):
            return main, None
        return main, self.net.aux_classifier(features["aux"])


class PlainModel(SegModel):
    """A module whose output already is scores: U-Net, SegFormer, one of your own.

    Where `spec.divisor` asks for it, images are padded on the right and at the bottom with zeros, the mean colour, and
    the scores cropped back.
    """

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % self.spec.divisor, 0, -height % self.spec.divisor))
        output = self.net(padded)
        named = isinstance(output, Mapping) and "out" in output
        main = output["out"] if named else getattr(output, "logits", output)
        aux = output.get("aux") if named and self.training else None
        asked = len(images), len(self.classes)
        if not isinstance(main, Tensor) or main.ndim != 4 or main.shape[:2] != asked or not main.numel():
            found = tuple(main.shape) if isinstance(main, Tensor) else type(main).__name__
            raise ValueError(f"expected scores ({asked[0]},{asked[1]},h',w') from {self.spec.title}, got {found}")
        rows = math.ceil(height * main.shape[-2] / padded.shape[-2])
        columns = math.ceil(width * main.shape[-1] / padded.shape[-1])
        return main[..., :rows, :columns], aux if aux is None else aux[..., :rows, :columns]


class Mask2FormerModel(SegModel):
    """Mask2Former: queries that each name a class and paint a mask, instead of a class for each pixel."""

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        output = self.net(images)
        return semantic_scores(output.class_queries_logits, output.masks_queries_logits), None

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion | None = None) -> Tensor:
        """Its own loss (Cheng et al. 2022): each mask of the target is matched with one query, and those compared.

        `criterion` is not used. Void is nobody's mask, and an image without a label is left out; if all are, the loss
        is a zero with a gradient. Matching runs in float32 under autocast too.
        """
        check_labels(targets, self.classes, "the target")
        labelled = (targets != IGNORE_INDEX).flatten(1).any(dim=1)
        if not labelled.any():
            return 0 * self.heads(images)[0].sum()
        images, targets = images[labelled], targets[labelled]
        labels = [target.unique() for target in targets]
        labels = [found[found != IGNORE_INDEX].long() for found in labels]
        masks = [(target == found[:, None, None]).float() for target, found in zip(targets, labels, strict=True)]
        output = self.net(images, output_auxiliary_logits=True)
        keys = ("masks_queries_logits", "class_queries_logits")
        with torch.autocast(images.device.type, enabled=False):
            # The decoder's last layer, and those before it, which learn from the same masks.
            last, *earlier = [{key: layer[key].float() for key in keys} for layer in (output, *output.auxiliary_logits)]
            losses = self.net.get_loss_dict(
                **last, mask_labels=masks, class_labels=labels, auxiliary_predictions=earlier
            )
            return self.net.get_loss(losses)


def semantic_scores(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """What Mask2Former's queries say together about each pixel.

    Args:
        class_logits: (B,Q,K+1), each query's class; the last one is "nothing".
        mask_logits: (B,Q,h,w), each query's mask.

    Returns:
        Scores (B,K,h,w): for each class the sum over the queries of p(class) · p(mask). They are to be compared with
        each other; they are neither logits nor probabilities.
    """
    return torch.einsum("bqk,bqhw->bkhw", class_logits.softmax(dim=-1)[..., :-1], mask_logits.sigmoid())


def upsample(scores: Tensor, targets: Tensor) -> Tensor:
    """Scores (B,K,h',w') → (B,K,H,W), the size of `targets` (B,H,W)."""
    return F.interpolate(scores, size=targets.shape[-2:], mode="bilinear", align_corners=False)


def wrap(
    module: nn.Module,
    classes: str | ClassSet,
    title: str = "",
    backbone: str = "",
    divisor: int = 1,
    short: int | None = None,
) -> SegModel:
    """Bring a module of one's own to the common form.

    Args:
        module: images (B,3,h,w) → scores (B,K,h',w'), or a dict that has them as "out", or an object that has them
            as `logits`.
        classes: its K classes, or their key in `CLASS_SETS`.
        title: how tables call it; by default the name of its type.
        backbone: the path of its pretrained part, where that is to be frozen.
        divisor: what the sides of its input have to be multiples of.
        short: the short side that images are brought to; None leaves them as they are.
    """
    name = title or type(module).__name__
    spec = ModelSpec(name, name, "own", "own", None, _own, PlainModel, backbone, divisor=divisor)
    model = PlainModel(module, class_set(classes), spec)
    model.short = short
    return model.eval()


def _own(num_classes: int, aux: bool) -> nn.Module:
    raise ValueError("a module of your own is built by you; seglab only wraps it")


def _normalises_single_pixels(net: nn.Module) -> bool:
    """Whether a BatchNorm that learns comes after a global pooling, as in DeepLab's image-level branch."""
    branches = [list(module) for module in net.modules() if isinstance(module, nn.Sequential)]
    return any(
        any(isinstance(m, nn.AdaptiveAvgPool2d) for m in branch)
        and any(isinstance(m, nn.BatchNorm2d) and m.training for m in branch)
        for branch in branches
    )
