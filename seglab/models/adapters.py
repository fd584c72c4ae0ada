"""Adapters: one form for the models of every library.

A model of torchvision returns a dict at the size of its input, one of transformers an object at a quarter of it, one
of smp a tensor if the sides are divisible by 32. A `SegModel` holds such a module, unchanged, as `net` and gives it
one form: batch (B,3,h,w) → low-resolution scores (B,K,h',w') at the stride of its head. `registry` lists the models;
`wrap` adapts a module of your own.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglab._utils.environment import device_of
from seglab.data.classes import IGNORE_INDEX, ClassSet, class_set
from seglab.data.labels import check_labels
from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD, normalize
from seglab.models.spec import Criterion, ModelSpec

AUX_WEIGHT = 0.5  # weight of the auxiliary head's loss, as in torchvision's reference training


class SegModel(nn.Module, ABC):
    """A segmentation model of any library.

    Attributes:
        net: the library's own module; `net.state_dict()` has the library's own keys.
        classes: the K classes of its scores.
        spec: its row in `MODELS`.
        norm: "group" or "sync" where `with_norm` has replaced its BatchNorm.
        logits: whether a softmax of its scores gives probabilities.
        label: its name in comparisons, as `unet_mini:camvid`.
        facts: what is known about its weights: the metadata of its checkpoint, or source and licence of published
            weights; empty for an untrained model.
        short: short side in pixels to which `predict` and `evaluate` resize an image; None keeps the image's size, and
            (h, w) is the only size that the network takes. `fit` sets it to the short side of its crops, and
            checkpoints store it.
        mean, std: of each channel (RGB, 0–1), for the normalisation of images; by default those of ImageNet.
        tile: (H, W) of the tiles in which `predict` and `evaluate` process an image unless they are given others; None
            for the whole image at once. `fit` sets it for a training at native resolution, and checkpoints store it.
    """

    net: Any
    logits = True

    def __init__(self, net: nn.Module, classes: ClassSet, spec: ModelSpec) -> None:
        super().__init__()
        self.net, self.classes, self.spec = net, classes, spec
        self.norm: str | None = None
        self.label = spec.name
        self.facts: Mapping[str, Any] = {}
        self.short: int | tuple[int, int] | None = None
        self.mean: tuple[float, ...] = IMAGENET_MEAN
        self.std: tuple[float, ...] = IMAGENET_STD
        self.tile: tuple[int, int] | None = None
        self._untrained_head: Tensor | None = None  # random weights of the head, where only the backbone is trained

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B,3,h,w) → float scores (B,K,h',w') at the stride of the head.

        Interpolated (bilinear, `align_corners=False`) to (h,w) they equal the output of the library's own model.

        Raises:
            ValueError: in `eval()`, while the head still has its random weights beside a pretrained backbone.
        """
        if self._untrained_head is not None and not self.training:
            if torch.equal(self._head_weight(), self._untrained_head):
                raise ValueError(
                    f"{self.label} cannot predict yet: its encoder is trained, its decoder is not. Fine-tune it"
                    f" (seglab train {self.label} --data DATA), or load a checkpoint of such a training"
                )
            self._untrained_head = None
        return self.heads(images)[0]

    def mark_untrained(self) -> None:
        """Make `forward` raise in `eval()` until the weights of the head have changed; now they are random."""
        self._untrained_head = self._head_weight()

    def _head_weight(self) -> Tensor:
        return [p for p in self.head_parameters() if p.ndim > 1][-1].detach().cpu().clone()

    @abstractmethod
    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores (B,K,h',w') of the main head and, in `train()`, of the auxiliary head; None where there is none."""

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion) -> Tensor:
        """The scalar that training minimises: criterion(main head) + 0.5 · criterion(auxiliary head).

        Scores are upsampled to the size of `targets` first.

        Args:
            images: float (B,3,h,w), normalised.
            targets: integer (B,H,W), 255 for void.
            criterion: logits (B,K,H,W), targets (B,H,W) → scalar, see `losses.criterion`.
        """
        main, aux = self.heads(images)
        loss = criterion(upsample(main, targets), targets)
        return loss if aux is None else loss + AUX_WEIGHT * criterion(upsample(aux, targets), targets)

    def _check_batch(self, images: Tensor) -> None:
        """A ValueError where BatchNorm could not train on this batch."""
        if self.training and len(images) == 1 and _batch_norm_after_global_pooling(self.net):
            raise ValueError(
                f"{self.spec.title} cannot train on a batch of one: its global pooling leaves one pixel an image, and"
                " BatchNorm needs two values a channel. Use two images, or GroupNorm: with_norm(model, 'group')"
            )

    def preprocess(self, image: Tensor) -> Tensor:
        """uint8 (3,H,W) or (B,3,H,W) → float32 (B,3,H,W) of the same size, normalised, on the device of the model."""
        if image.dtype != torch.uint8 or image.ndim not in (3, 4) or image.shape[-3] != 3:
            raise ValueError(
                f"expected a uint8 image (3,H,W) or (B,3,H,W), got {image.dtype} {tuple(image.shape)};"
                " image.permute(2, 0, 1) brings an image (H,W,3) to this form"
            )
        batch = image if image.ndim == 4 else image[None]
        return normalize(batch.to(device_of(self)), self.mean, self.std)

    @property
    def normalisation(self) -> dict[str, list[float]]:
        """Mean and standard deviation for the identity of a measurement; empty where they are those of ImageNet."""
        if (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD):
            return {}
        return {"mean": list(self.mean), "std": list(self.std)}

    @property
    def backbone(self) -> nn.Module:
        """The part that is usually pretrained on ImageNet, and frozen in the first epochs of fine-tuning."""
        if not self.spec.backbone:
            raise ValueError(f"the backbone of {self.spec.title} is unknown; name it: wrap(…, backbone='encoder')")
        return self.net.get_submodule(self.spec.backbone)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Parameters of the backbone."""
        return list(self.backbone.parameters())

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters outside the backbone."""
        backbone = set(self.backbone.parameters())
        return [p for p in self.parameters() if p not in backbone]


class TorchvisionModel(SegModel):
    """FCN, DeepLabV3 and LR-ASPP of torchvision, without the interpolation at their end."""

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        self._check_batch(images)
        features = self.net.backbone(images)
        main = self.net.classifier(features.get("out", features))  # LR-ASPP's head takes low and high features
        if not (self.training and self.spec.has_aux and self.net.aux_classifier is not None):
            return main, None
        return main, self.net.aux_classifier(features["aux"])


class PlainModel(SegModel):
    """A module whose output already is scores: U-Net, SegFormer, or one of your own.

    Images are padded at the right and at the bottom to multiples of `spec.divisor`, with zeros, which are the mean
    colour. The scores are cropped accordingly. With two classes, one channel of logits x is enough, as smp's models for
    one foreground class have it: the scores are 0 and x, whose softmax is the sigmoid of x.
    """

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        self._check_batch(images)
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % self.spec.divisor, 0, -height % self.spec.divisor))
        output = self.net(padded)
        is_dict = isinstance(output, Mapping) and "out" in output
        output = output[0] if isinstance(output, tuple) and not hasattr(output, "logits") else output
        main = output["out"] if is_dict else getattr(output, "logits", output)
        if isinstance(main, Tensor) and main.ndim == 4 and main.shape[1] == 1 and len(self.classes) == 2:
            main = torch.cat([torch.zeros_like(main), main], dim=1)
        aux = output.get("aux") if is_dict and self.training else None
        expected = images.shape[0], len(self.classes)  # not len(images), which torch.export takes for a constant
        if not isinstance(main, Tensor) or main.ndim != 4 or main.shape[:2] != expected or not main.numel():
            found = tuple(main.shape) if isinstance(main, Tensor) else type(main).__name__
            raise ValueError("expected scores ({},{},h',w') from {}, got {}".format(*expected, self.spec.title, found))
        rows = -(-height * main.shape[-2] // padded.shape[-2])  # rounded up, in a form that torch.export can write
        columns = -(-width * main.shape[-1] // padded.shape[-1])
        return main[..., :rows, :columns], aux if aux is None else aux[..., :rows, :columns]


class Mask2FormerModel(SegModel):
    """Mask2Former, which classifies masks instead of pixels: each query predicts a class and a mask."""

    logits = False

    def heads(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        output = self.net(images)
        return semantic_scores(output.class_queries_logits, output.masks_queries_logits), None

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion | None = None) -> Tensor:
        """Its own loss (Cheng et al. 2022): each mask of the target is matched to one query and compared with it.

        `criterion` is not used. Void pixels belong to no mask. Images without a labelled pixel are left out; if all
        are, the loss is a zero with a gradient. Matching runs in float32, under autocast too.
        """
        check_labels(targets, self.classes, "the target")
        labelled = (targets != IGNORE_INDEX).flatten(1).any(dim=1)
        if not labelled.any():
            return 0 * self.heads(images)[0].sum()
        images, targets = images[labelled], targets[labelled]
        labels = [target[target != IGNORE_INDEX].unique().long() for target in targets]
        masks = [(target == label[:, None, None]).float() for target, label in zip(targets, labels, strict=True)]
        output = self.net(images, output_auxiliary_logits=True)
        keys = ("masks_queries_logits", "class_queries_logits")
        with torch.autocast(images.device.type, enabled=False):
            # The last decoder layer and the earlier ones: all are trained with the same masks.
            last, *earlier = [{key: layer[key].float() for key in keys} for layer in (output, *output.auxiliary_logits)]
            truth = {"mask_labels": masks, "class_labels": labels}
            return self.net.get_loss(self.net.get_loss_dict(**last, **truth, auxiliary_predictions=earlier))


def semantic_scores(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Semantic scores of Mask2Former (Cheng et al. 2022): the sum over the queries of p(class) · p(mask).

    Args:
        class_logits: (B,Q,K+1), the class of each query; the last one is "no object".
        mask_logits: (B,Q,h,w), the mask of each query.

    Returns:
        Scores (B,K,h,w) ≥ 0. Their argmax is the prediction; they are neither logits nor probabilities.
    """
    return torch.einsum("bqk,bqhw->bkhw", class_logits.softmax(dim=-1)[..., :-1], mask_logits.sigmoid())


def upsample(scores: Tensor, targets: Tensor) -> Tensor:
    """Scores (B,K,h',w') → (B,K,H,W), bilinear, at the size of `targets` (B,H,W)."""
    return F.interpolate(scores, size=targets.shape[-2:], mode="bilinear", align_corners=False)


class Function(nn.Module):
    """A function in the form of a module.

    Its weights cannot be seen. Its one buffer, from `version` or else random, takes their part in the identity of a
    measurement, so that counts of another version or of another process are never continued.
    """

    def __init__(self, function: Callable[[Tensor], Any], version: str | None) -> None:
        super().__init__()
        self.function = function
        token = os.urandom(32) if version is None else hashlib.sha256(version.encode()).digest()
        self.register_buffer("token", torch.tensor(list(token), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Any:
        return self.function(images)


def wrap(
    module: nn.Module | Callable[[Tensor], Any],
    classes: str | ClassSet,
    title: str = "",
    backbone: str = "",
    divisor: int = 1,
    short: int | tuple[int, int] | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    version: str | None = None,
) -> SegModel:
    """Adapt a module or a function of your own.

    Args:
        module: normalised images (B,3,h,w) → scores (B,K,h',w'), or a dict with scores as "out", an object with scores
            as `logits`, or a tuple with scores first.
        classes: its K classes, or their key in `CLASS_SETS`.
        title: its name in tables; by default the name of its type.
        backbone: path of its pretrained part, which training can freeze.
        divisor: the sides of its input have to be multiples of this.
        short: short side in pixels to which images are resized; None keeps the image's size, and (h, w) is that size.
        mean, std: of each channel (RGB, 0–1), which images are normalised with; by default those of ImageNet.
        version: of a function, whose weights cannot be compared: counts in a store are continued for the same version
            only, and without one only within this process.
    """
    name = title or (module.__class__.__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", ""))
    if not callable(module) or isinstance(module, type):
        raise ValueError(f"expected a module or a function of images, found {module!r:.100}")
    name, net = name or type(module).__name__, module if isinstance(module, nn.Module) else Function(module, version)
    spec = ModelSpec(name, name, "own", "own", None, _build_own, PlainModel, backbone, divisor=divisor)
    model = PlainModel(net, class_set(classes), spec)
    model.short, model.mean, model.std = short, tuple(mean), tuple(std)
    return model.eval()


def _build_own(num_classes: int, aux: bool) -> nn.Module:
    raise ValueError("seglab cannot build a module of your own; build it and call wrap(module, classes)")


def _batch_norm_after_global_pooling(net: nn.Module) -> bool:
    """Whether a BatchNorm in `train()` follows a global pooling, as in DeepLabV3's image-level branch."""
    branches = [list(module) for module in net.modules() if isinstance(module, nn.Sequential)]
    return any(
        any(isinstance(m, nn.AdaptiveAvgPool2d) for m in branch)
        and any(isinstance(m, nn.BatchNorm2d) and m.training for m in branch)
        for branch in branches
    )
