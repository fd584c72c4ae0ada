"""`MODELS`: one row for each architecture, in a published size and as a mini."""

from functools import partial
from typing import Any

from seglab._utils.errors import unknown
from seglab.models import architectures as build
from seglab.models.adapters import Mask2FormerModel, PlainModel, TorchvisionModel
from seglab.models.spec import WHEEL, ZOO, ModelSpec, Weights

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
_PHOTOGRAPHS = "MIT; the photographs are from Flickr, under its terms of use, and VOC provides them for research"
MINI = {
    "toytown": Weights("street", 192, ZOO, trained_on="Toytown train", licence="MIT, like seglab itself"),
    "camvid": Weights("street", 240, ZOO, trained_on="CamVid train, from the Toytown weights",
                      licence="MIT; CamVid's authors state no licence for the photographs"),
    "photographs": Weights("photographs", 192, ZOO, licence=_PHOTOGRAPHS,
                           trained_on="photographs of people and animals, from the Toytown weights"),
}  # fmt: skip
NUCLEI = {
    "nuclei": Weights("nuclei", 256, ZOO, trained_on="nuclei (BBBC038), from random weights",
                      licence="MIT, like seglab itself; the micrographs are in the public domain"),
}  # fmt: skip
LITE = {
    "photographs": Weights(
        "photographs", 192, ZOO,
        trained_on=f"photographs of people and animals; the encoder from ImageNet weights of {WHEEL}",
        licence=f"{_PHOTOGRAPHS}; the encoder's ImageNet weights: Apache-2.0"),
    "imagenet": Weights(None, None, WHEEL, 18_000_000, trained_on="ImageNet, the encoder only", licence="Apache-2.0"),
}  # fmt: skip


def _torchvision(name: str, title: str, family: str, mebibytes: float, miou: float, **facts: Any) -> ModelSpec:
    """A row for a published model of torchvision, which states file sizes in MiB (2²⁰ bytes)."""
    coco = Weights(
        "voc", 520, "COCO_WITH_VOC_LABELS_V1", round(mebibytes * 2**20),
        trained_on="COCO, photographs with VOC's classes",
        licence="none of their own; the terms of the training data may apply, see github.com/pytorch/vision",
        miou=miou, measured_on="COCO val2017 with VOC labels",
    )  # fmt: skip
    net = partial(build.torchvision_model, name)
    return ModelSpec(name, title, family, "torchvision", "voc", net, TorchvisionModel, "backbone",
                     weights={"coco": coco}, size=(520, 520), **facts)  # fmt: skip


_mini = partial(ModelSpec, classes="street", weights=MINI, size=(192, 256))
_lite = partial(ModelSpec, library="smp", classes="photographs", adapter=PlainModel, backbone="encoder", weights=LITE,
                size=(192, 256))  # fmt: skip

_ROWS = [
    _torchvision("fcn_resnet50", "FCN, ResNet-50", "FCN", 135.009, 0.605,
                 has_aux=True, params=32_957_013, gmacs=142.7258),
    _torchvision("fcn_resnet101", "FCN, ResNet-101", "FCN", 207.711, 0.637,
                 has_aux=True, params=51_949_141, gmacs=222.7469),
    _torchvision("deeplabv3_resnet50", "DeepLabV3, ResNet-50", "DeepLabV3", 160.515, 0.664,
                 has_aux=True, params=39_638_869, gmacs=168.7312),
    _torchvision("deeplabv3_resnet101", "DeepLabV3, ResNet-101", "DeepLabV3", 233.217, 0.674,
                 has_aux=True, params=58_630_997, gmacs=248.7523),
    _torchvision("deeplabv3_mobilenet_v3_large", "DeepLabV3, MobileNetV3-Large", "DeepLabV3", 42.301, 0.603,
                 has_aux=True, params=11_025_477, gmacs=10.4364),
    _torchvision("lraspp_mobilenet_v3_large", "LR-ASPP, MobileNetV3-Large", "LR-ASPP", 12.49, 0.579,
                 params=3_221_538, gmacs=2.0862),
    ModelSpec("segformer_b0", "SegFormer-B0", "SegFormer", "transformers", "ade20k",
              build.segformer, PlainModel, "segformer", weights=SEGFORMER_B0,
              size=(512, 512), params=3_752_694, gmacs=8.3878),
    ModelSpec("mask2former_swin_tiny", "Mask2Former, Swin-Tiny", "Mask2Former", "transformers", "ade20k",
              build.mask2former_swin_tiny, Mask2FormerModel, "model.pixel_level_module.encoder",
              weights=MASK2FORMER_SWIN_TINY, size=(512, 512), params=47_441_169, gmacs=69.4711),
    ModelSpec("unet_resnet34", "U-Net, ResNet-34", "U-Net", "smp", None,
              build.unet_resnet34, PlainModel, "encoder", divisor=32, weights=UNET_RESNET34,
              size=(520, 520), params=24_439_269, gmacs=36.1373),
    _mini("fcn_mini", "FCN mini", "FCN", "torchvision", build=build.fcn_mini, adapter=TorchvisionModel,
          backbone="backbone", has_aux=True, params=515_595, gmacs=0.5251),
    _mini("unet_mini", "U-Net mini", "U-Net", "seglab", build=build.unet_mini, adapter=PlainModel,
          backbone="encoder", weights=MINI | NUCLEI, params=1_812_187, gmacs=2.2067),
    _mini("deeplabv3_mini", "DeepLabV3 mini", "DeepLabV3", "torchvision", build=build.deeplabv3_mini,
          adapter=TorchvisionModel, backbone="backbone", has_aux=True, params=901_387, gmacs=0.8082),
    _mini("lraspp_mini", "LR-ASPP mini", "LR-ASPP", "torchvision", build=build.lraspp_mini, adapter=TorchvisionModel,
          backbone="backbone", params=1_076_414, gmacs=0.1183),
    _mini("segformer_mini", "SegFormer mini", "SegFormer", "transformers", build=build.segformer_mini,
          adapter=PlainModel, backbone="segformer", params=1_806_683, gmacs=0.5479),
    _mini("mask2former_mini", "Mask2Former mini", "Mask2Former", "transformers", build=build.mask2former_mini,
          adapter=Mask2FormerModel, backbone="model.pixel_level_module.encoder", params=1_460_359, gmacs=0.6625),
    _lite("unet_lite", "U-Net, EfficientNet-Lite0", "U-Net", build=build.unet_lite,
          divisor=32, params=4_105_687, gmacs=1.4429),
    _lite("deeplabv3plus_lite", "DeepLabV3+, EfficientNet-Lite0", "DeepLabV3+", build=build.deeplabv3plus_lite,
          divisor=16, params=3_300_055, gmacs=0.8000),
]  # fmt: skip
MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _ROWS}


def row(name: str) -> ModelSpec:
    """The row of a model; a ValueError where there is no such model."""
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]
