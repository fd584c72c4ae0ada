"""Models: which there are, and how one is made.

`MODELS` has every architecture in two sizes: the published ones, built by the libraries that publish them, and the
minis, made of the same libraries' classes with small widths, so that one trains in minutes on a laptop. How they come
to one form is the business of `adapters.py`; here is what each of them is made of.
"""

import math
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn

from seglab.adapters import Mask2FormerModel, ModelSpec, PlainModel, SegModel, TorchvisionModel, with_norm
from seglab.checkpoints import class_set_from, fill, read_checkpoint
from seglab.classes import CLASS_SETS, ClassSet, class_set
from seglab.errors import unknown
from seglab.unet import UNet
from seglab.weights import MASK2FORMER_SWIN_TINY, MINI, SEGFORMER_B0, UNET_RESNET34, ZOO, coco, zoo_path

DEFAULT = "default"  # the first weights of a model's row


def _torchvision(name: str, num_classes: int, aux: bool) -> nn.Module:
    """One of torchvision's six. Without `weights_backbone=None` it would download a backbone."""
    from torchvision.models import segmentation

    build = getattr(segmentation, name)
    return _brisk(build(weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=aux))


def _brisk(net: nn.Module) -> nn.Module:
    """Let BatchNorm's averages follow within tens of steps.

    torchvision's MobileNetV3 sets a momentum of 0.01: after a few hundred steps they still remember the start, and a
    model that has learned to train well predicts nonsense in `eval()`.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return net


def _small_resnet(layers: dict[str, str]) -> nn.Module:
    """torchvision's ResNet, dilated to stride 8, with two blocks a stage and 64, 128, 256, 256 channels: 0.4 M.

    Args:
        layers: stage → the name under which its features leave.
    """
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.resnet import Bottleneck, ResNet

    class SmallResNet(ResNet):
        def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
            return super()._make_layer(block, min(planes // 4, 64), *args, **kwargs)  # planes: 64, 128, 256, 512

    net = SmallResNet(Bottleneck, [2, 2, 2, 2], num_classes=1, replace_stride_with_dilation=[False, True, True])
    return IntermediateLayerGetter(net, layers)


def _fcn_mini(num_classes: int, aux: bool) -> nn.Module:
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    backbone = _small_resnet({"layer4": "out", "layer3": "aux"} if aux else {"layer4": "out"})
    return FCN(backbone, FCNHead(256, num_classes), FCNHead(256, num_classes) if aux else None)


def _deeplabv3_mini(num_classes: int, aux: bool) -> nn.Module:
    """Atrous rates 3, 6, 9: on maps of 24×32 torchvision's 12, 24, 36 would see mostly padding."""
    from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabV3
    from torchvision.models.segmentation.fcn import FCNHead

    backbone = _small_resnet({"layer4": "out", "layer3": "aux"} if aux else {"layer4": "out"})
    head = nn.Sequential(
        ASPP(256, (3, 6, 9), 64),
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, num_classes, 1),
    )
    return DeepLabV3(backbone, head, FCNHead(256, num_classes) if aux else None)


def _lraspp_mini(num_classes: int, aux: bool) -> nn.Module:
    """On MobileNetV3-Small: low features at stride 8, high ones at 16."""
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.mobilenetv3 import mobilenet_v3_small
    from torchvision.models.segmentation.lraspp import LRASPP

    features = mobilenet_v3_small(weights=None, dilated=True).features
    backbone = IntermediateLayerGetter(features, {"2": "low", "12": "high"})
    return _brisk(LRASPP(backbone, features[2].out_channels, features[12].out_channels, num_classes))


def _unet_resnet34(num_classes: int, aux: bool) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet34", encoder_weights=None, classes=num_classes)


def _unet_mini(num_classes: int, aux: bool) -> nn.Module:
    return UNet(num_classes, width=16)


def _segformer(num_classes: int, aux: bool, **widths: Any) -> nn.Module:
    """SegFormer; B0 is what transformers builds by default.

    transformers draws every weight with a standard deviation of 0.02, which suits a fine-tuning but hardly moves from
    scratch; convolutions are drawn as in the paper's own code (He et al. 2015).
    """
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    net = SegformerForSemanticSegmentation(SegformerConfig(**widths | {"num_labels": num_classes}))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    return net


def _mask2former(num_classes: int, aux: bool, swin: dict[str, Any], **widths: Any) -> nn.Module:
    """Mask2Former on a Swin transformer (Liu et al. 2021)."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(**swin | {"out_features": ["stage1", "stage2", "stage3", "stage4"]})
    config = Mask2FormerConfig(**widths | {"backbone_config": backbone, "num_labels": num_classes})
    return Mask2FormerForUniversalSegmentation(config)


_TINY_SWIN = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "drop_path_rate": 0.3}
_MINI_SWIN = {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "drop_path_rate": 0.0}
_mask2former_mini = partial(
    _mask2former, swin=_MINI_SWIN, hidden_dim=96, feature_size=96, mask_feature_size=96, num_attention_heads=6,
    encoder_layers=2, decoder_layers=4, encoder_feedforward_dim=192, dim_feedforward=192, num_queries=20,
    train_num_points=2048,
)  # fmt: skip
_segformer_mini = partial(
    _segformer, hidden_sizes=[32, 64, 112, 160], num_attention_heads=[1, 2, 4, 5], decoder_hidden_size=128,
    drop_path_rate=0.0,
)  # fmt: skip

MODELS: dict[str, ModelSpec] = {
    "fcn_resnet50": ModelSpec(
        "fcn_resnet50", "FCN, ResNet-50", "FCN", "torchvision", "voc",
        partial(_torchvision, "fcn_resnet50"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(135.009, 0.605),
        size=(520, 520), params=32_957_013, gmacs=142.7258),
    "fcn_resnet101": ModelSpec(
        "fcn_resnet101", "FCN, ResNet-101", "FCN", "torchvision", "voc",
        partial(_torchvision, "fcn_resnet101"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(207.711, 0.637),
        size=(520, 520), params=51_949_141, gmacs=222.7469),
    "deeplabv3_resnet50": ModelSpec(
        "deeplabv3_resnet50", "DeepLabV3, ResNet-50", "DeepLabV3", "torchvision", "voc",
        partial(_torchvision, "deeplabv3_resnet50"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(160.515, 0.664),
        size=(520, 520), params=39_638_869, gmacs=168.7312),
    "deeplabv3_resnet101": ModelSpec(
        "deeplabv3_resnet101", "DeepLabV3, ResNet-101", "DeepLabV3", "torchvision", "voc",
        partial(_torchvision, "deeplabv3_resnet101"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(233.217, 0.674),
        size=(520, 520), params=58_630_997, gmacs=248.7523),
    "deeplabv3_mobilenet_v3_large": ModelSpec(
        "deeplabv3_mobilenet_v3_large", "DeepLabV3, MobileNetV3-Large", "DeepLabV3", "torchvision", "voc",
        partial(_torchvision, "deeplabv3_mobilenet_v3_large"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(42.301, 0.603),
        size=(520, 520), params=11_025_477, gmacs=10.4364),
    "lraspp_mobilenet_v3_large": ModelSpec(
        "lraspp_mobilenet_v3_large", "LR-ASPP, MobileNetV3-Large", "LR-ASPP", "torchvision", "voc",
        partial(_torchvision, "lraspp_mobilenet_v3_large"), TorchvisionModel, "backbone",
        weights=coco(12.49, 0.579),
        size=(520, 520), params=3_221_538, gmacs=2.0862),
    "segformer_b0": ModelSpec(
        "segformer_b0", "SegFormer-B0", "SegFormer", "transformers", "ade20k",
        _segformer, PlainModel, "segformer", weights=SEGFORMER_B0,
        size=(512, 512), params=3_752_694, gmacs=8.3878),
    "mask2former_swin_tiny": ModelSpec(
        "mask2former_swin_tiny", "Mask2Former, Swin-Tiny", "Mask2Former", "transformers", "ade20k",
        partial(_mask2former, swin=_TINY_SWIN), Mask2FormerModel, "model.pixel_level_module.encoder",
        weights=MASK2FORMER_SWIN_TINY, size=(512, 512), params=47_441_169, gmacs=69.4711),
    "unet_resnet34": ModelSpec(
        "unet_resnet34", "U-Net, ResNet-34", "U-Net", "smp", None,
        _unet_resnet34, PlainModel, "encoder", divisor=32, weights=UNET_RESNET34,
        size=(520, 520), params=24_439_269, gmacs=36.1373),
    "fcn_mini": ModelSpec(
        "fcn_mini", "FCN mini", "FCN", "torchvision", "street",
        _fcn_mini, TorchvisionModel, "backbone", has_aux=True, weights=MINI,
        size=(192, 256), params=515_595, gmacs=0.5251),
    "unet_mini": ModelSpec(
        "unet_mini", "U-Net mini", "U-Net", "seglab", "street",
        _unet_mini, PlainModel, "encoder", weights=MINI,
        size=(192, 256), params=1_812_187, gmacs=2.2067),
    "deeplabv3_mini": ModelSpec(
        "deeplabv3_mini", "DeepLabV3 mini", "DeepLabV3", "torchvision", "street",
        _deeplabv3_mini, TorchvisionModel, "backbone", has_aux=True, weights=MINI,
        size=(192, 256), params=901_387, gmacs=0.8082),
    "lraspp_mini": ModelSpec(
        "lraspp_mini", "LR-ASPP mini", "LR-ASPP", "torchvision", "street",
        _lraspp_mini, TorchvisionModel, "backbone", weights=MINI,
        size=(192, 256), params=1_076_414, gmacs=0.1183),
    "segformer_mini": ModelSpec(
        "segformer_mini", "SegFormer mini", "SegFormer", "transformers", "street",
        _segformer_mini, PlainModel, "segformer", weights=MINI,
        size=(192, 256), params=1_806_683, gmacs=0.5479),
    "mask2former_mini": ModelSpec(
        "mask2former_mini", "Mask2Former mini", "Mask2Former", "transformers", "street",
        _mask2former_mini, Mask2FormerModel, "model.pixel_level_module.encoder", weights=MINI,
        size=(192, 256), params=1_460_359, gmacs=0.6625),
}  # fmt: skip


# Libraries are imported when they are first needed; transformers breaks when two threads do so at once.
_BUILDING = RLock()


def load_model(
    name: str | Path,
    weights: str | Path | None = DEFAULT,
    classes: str | ClassSet | None = None,
    *,
    aux: bool | None = None,
    norm: str | None = None,
    device: str | torch.device | None = None,
) -> SegModel:
    """Make a model, in `eval()`.

    Args:
        name: key in `MODELS`, alone or with the name of its weights, as `"unet_mini:camvid"`; or a checkpoint that
            `checkpoints.save_model` wrote.
        weights: name of weights in the model's row, or a checkpoint. By default the first ones of the row; None
            leaves the model untrained.
        classes: a class set or its key in `CLASS_SETS`; by default what the weights know, and street classes for an
            untrained model. Other classes than the weights' get a fresh last layer, to be trained.
        aux: with an auxiliary head? By default where the architecture has one.
        norm: "group" or "sync", see `adapters.with_norm`.
        device: by default a GPU where there is one.

    Published weights that are not here yet are fetched by the library that publishes them (see `hub`).

    Raises:
        ValueError: there is no such model, weights, class set, kind of norm or device; the model has no auxiliary
            head; the checkpoint is of another model; published weights are not here and cannot be fetched.
    """
    facts: dict[str, Any]
    wanted, place = None if classes is None else class_set(classes), _place(device)  # before anything is fetched
    if str(name).endswith(".safetensors"):
        if weights not in (DEFAULT, None):
            raise ValueError(f"{name} brings its own weights; leave out weights={str(weights)!r}")
        facts, state = read_checkpoint(name)
        spec, tag = row(facts["model"]), ""
    else:
        name, _, tag = str(name).partition(":")
        spec = row(name)
        if tag and weights != DEFAULT:
            raise ValueError(f"{name}:{tag} names its weights already; leave out weights={str(weights)!r}")
        if weights == DEFAULT:
            weights = tag or next(iter(spec.weights), None)
        tag = str(weights) if str(weights) in spec.weights else ""
        facts, state = _weights(spec, weights)
    if aux and not spec.has_aux:
        raise ValueError(f"{spec.title} has no auxiliary head; leave out aux=True")
    known = class_set_from(facts["classes"]) if facts.get("classes") else CLASS_SETS["street"]
    chosen = wanted or known
    with_aux = facts.get("aux", spec.has_aux) if aux is None else aux
    with _BUILDING:
        model = spec.adapter(spec.build(len(chosen), with_aux), chosen, spec)
    if norm := norm or facts.get("norm"):
        with_norm(model, norm)
    if state:
        run = facts.get("run", {})
        model.facts, model.short = facts, min(run["size"]) if run else facts.get("short")
        if tag or run:
            model.label = f"{spec.name}:{tag or run['train'].split()[0]}"
        if facts["classes"]:
            fill(model.net, state, fresh_head=chosen.names != known.names)
        else:
            fill(model.backbone, state, fresh_head=False)
            model.await_training()
    return model.to(place).eval()


def _place(device: str | torch.device | None) -> torch.device:
    """The device that is meant, which can be used here."""
    try:
        return torch.empty(0, device=device or ("cuda" if torch.cuda.is_available() else "cpu")).device
    except (RuntimeError, AssertionError) as error:  # the latter from builds without CUDA
        there_are = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        there_are += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(f"device {str(device)!r} cannot be used here; there are {', '.join(there_are)}") from error


def row(name: str) -> ModelSpec:
    """The row of a model.

    Raises:
        ValueError: there is no such model.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]


def _weights(spec: ModelSpec, weights: str | Path | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `weights` means for this model, as `read_checkpoint` returns it; twice nothing for None."""
    if weights is None:
        return {}, {}
    if known := spec.weights.get(str(weights)):
        if known.source != ZOO:
            from seglab import hub

            return hub.facts(spec, str(weights)), hub.state(spec, str(weights))
        weights = zoo_path(spec.name, str(weights))
    if not Path(weights).is_file():
        there_are = ", ".join([*spec.weights, "None (untrained)", "the path of a checkpoint (.safetensors)"])
        raise ValueError(f"unknown weights {str(weights)!r} of {spec.name}. Known: {there_are}")
    facts, state = read_checkpoint(weights)
    if facts["model"] != spec.name:
        raise ValueError(f"{str(weights)!r} holds the weights of {facts['model']}, not of {spec.name}")
    return facts, state
