"""`MODELS`: one row for each architecture, in a published size and as a mini."""

from functools import partial

from seglab._utils.errors import unknown
from seglab.models.adapters import Mask2FormerModel, PlainModel, TorchvisionModel
from seglab.models.architectures import (
    TINY_SWIN,
    deeplabv3_mini,
    fcn_mini,
    lraspp_mini,
    mask2former,
    mask2former_mini,
    segformer,
    segformer_mini,
    torchvision_model,
    unet_mini,
    unet_resnet34,
)
from seglab.models.spec import ZOO, ModelSpec, Weights


def coco(mebibytes: float, miou: float) -> dict[str, Weights]:
    """What torchvision publishes for one of its models; it states sizes in MiB, 2²⁰ bytes."""
    row = Weights(
        "voc", 520, "COCO_WITH_VOC_LABELS_V1", round(mebibytes * 2**20),
        trained_on="COCO, photographs with VOC's classes",
        licence="none of their own; the terms of the training data may apply, see github.com/pytorch/vision",
        miou=miou, measured_on="COCO val2017 with VOC labels",
    )  # fmt: skip
    return {"coco": row}


_ADE20K = partial(Weights, "ade20k", 512, trained_on="ADE20K train", measured_on="ADE20K val")


_CITYSCAPES = partial(Weights, "cityscapes", 1024, trained_on="Cityscapes train", measured_on="Cityscapes val")


_NVIDIA = "NVIDIA Source Code License for SegFormer: non-commercial, for research or evaluation"


_META = "CC BY-NC 4.0: non-commercial"


SEGFORMER_B0 = {
    "ade20k": _ADE20K("nvidia/segformer-b0-finetuned-ade-512-512", 15_000_000, licence=_NVIDIA, miou=0.374),
    "cityscapes": _CITYSCAPES("nvidia/segformer-b0-finetuned-cityscapes-1024-1024", 15_000_000, licence=_NVIDIA,
                              miou=0.762),
}  # fmt: skip


MASK2FORMER_SWIN_TINY = {
    "ade20k": _ADE20K("facebook/mask2former-swin-tiny-ade-semantic", 190_000_000, licence=_META, miou=0.477),
    "cityscapes": _CITYSCAPES("facebook/mask2former-swin-tiny-cityscapes-semantic", 190_000_000, licence=_META,
                              miou=0.821),
}  # fmt: skip


UNET_RESNET34 = {
    "imagenet": Weights(None, None, "smp-hub/resnet34.imagenet", 85_000_000, trained_on="ImageNet, the encoder only",
                        licence="see huggingface.co/smp-hub/resnet34.imagenet"),
}  # fmt: skip


MINI = {
    "toytown": Weights("street", 192, ZOO, trained_on="Toytown train", licence="MIT, like seglab itself"),
    "camvid": Weights("street", 240, ZOO, trained_on="CamVid train, from the Toytown weights",
                      licence="MIT; CamVid's authors state no licence for the photographs"),
}  # fmt: skip


MODELS: dict[str, ModelSpec] = {
    "fcn_resnet50": ModelSpec(
        "fcn_resnet50", "FCN, ResNet-50", "FCN", "torchvision", "voc",
        partial(torchvision_model, "fcn_resnet50"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(135.009, 0.605),
        size=(520, 520), params=32_957_013, gmacs=142.7258),
    "fcn_resnet101": ModelSpec(
        "fcn_resnet101", "FCN, ResNet-101", "FCN", "torchvision", "voc",
        partial(torchvision_model, "fcn_resnet101"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(207.711, 0.637),
        size=(520, 520), params=51_949_141, gmacs=222.7469),
    "deeplabv3_resnet50": ModelSpec(
        "deeplabv3_resnet50", "DeepLabV3, ResNet-50", "DeepLabV3", "torchvision", "voc",
        partial(torchvision_model, "deeplabv3_resnet50"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(160.515, 0.664),
        size=(520, 520), params=39_638_869, gmacs=168.7312),
    "deeplabv3_resnet101": ModelSpec(
        "deeplabv3_resnet101", "DeepLabV3, ResNet-101", "DeepLabV3", "torchvision", "voc",
        partial(torchvision_model, "deeplabv3_resnet101"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(233.217, 0.674),
        size=(520, 520), params=58_630_997, gmacs=248.7523),
    "deeplabv3_mobilenet_v3_large": ModelSpec(
        "deeplabv3_mobilenet_v3_large", "DeepLabV3, MobileNetV3-Large", "DeepLabV3", "torchvision", "voc",
        partial(torchvision_model, "deeplabv3_mobilenet_v3_large"), TorchvisionModel, "backbone", has_aux=True,
        weights=coco(42.301, 0.603),
        size=(520, 520), params=11_025_477, gmacs=10.4364),
    "lraspp_mobilenet_v3_large": ModelSpec(
        "lraspp_mobilenet_v3_large", "LR-ASPP, MobileNetV3-Large", "LR-ASPP", "torchvision", "voc",
        partial(torchvision_model, "lraspp_mobilenet_v3_large"), TorchvisionModel, "backbone",
        weights=coco(12.49, 0.579),
        size=(520, 520), params=3_221_538, gmacs=2.0862),
    "segformer_b0": ModelSpec(
        "segformer_b0", "SegFormer-B0", "SegFormer", "transformers", "ade20k",
        segformer, PlainModel, "segformer", weights=SEGFORMER_B0,
        size=(512, 512), params=3_752_694, gmacs=8.3878),
    "mask2former_swin_tiny": ModelSpec(
        "mask2former_swin_tiny", "Mask2Former, Swin-Tiny", "Mask2Former", "transformers", "ade20k",
        partial(mask2former, swin=TINY_SWIN), Mask2FormerModel, "model.pixel_level_module.encoder",
        weights=MASK2FORMER_SWIN_TINY, size=(512, 512), params=47_441_169, gmacs=69.4711),
    "unet_resnet34": ModelSpec(
        "unet_resnet34", "U-Net, ResNet-34", "U-Net", "smp", None,
        unet_resnet34, PlainModel, "encoder", divisor=32, weights=UNET_RESNET34,
        size=(520, 520), params=24_439_269, gmacs=36.1373),
    "fcn_mini": ModelSpec(
        "fcn_mini", "FCN mini", "FCN", "torchvision", "street",
        fcn_mini, TorchvisionModel, "backbone", has_aux=True, weights=MINI,
        size=(192, 256), params=515_595, gmacs=0.5251),
    "unet_mini": ModelSpec(
        "unet_mini", "U-Net mini", "U-Net", "seglab", "street",
        unet_mini, PlainModel, "encoder", weights=MINI,
        size=(192, 256), params=1_812_187, gmacs=2.2067),
    "deeplabv3_mini": ModelSpec(
        "deeplabv3_mini", "DeepLabV3 mini", "DeepLabV3", "torchvision", "street",
        deeplabv3_mini, TorchvisionModel, "backbone", has_aux=True, weights=MINI,
        size=(192, 256), params=901_387, gmacs=0.8082),
    "lraspp_mini": ModelSpec(
        "lraspp_mini", "LR-ASPP mini", "LR-ASPP", "torchvision", "street",
        lraspp_mini, TorchvisionModel, "backbone", weights=MINI,
        size=(192, 256), params=1_076_414, gmacs=0.1183),
    "segformer_mini": ModelSpec(
        "segformer_mini", "SegFormer mini", "SegFormer", "transformers", "street",
        segformer_mini, PlainModel, "segformer", weights=MINI,
        size=(192, 256), params=1_806_683, gmacs=0.5479),
    "mask2former_mini": ModelSpec(
        "mask2former_mini", "Mask2Former mini", "Mask2Former", "transformers", "street",
        mask2former_mini, Mask2FormerModel, "model.pixel_level_module.encoder", weights=MINI,
        size=(192, 256), params=1_460_359, gmacs=0.6625),
}  # fmt: skip


def row(name: str) -> ModelSpec:
    """The row of a model.

    Raises:
        ValueError: there is no such model.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]
