"""Builders of the networks in `MODELS`: (num_classes, aux) → a module with random weights, which needs no network.

A module takes normalised images (B,3,h,w); its output has the form of its library, and `adapters` brings all of them to
scores (B,K,h',w'). The published models are built by their libraries; the minis are made of the same libraries'
classes with few channels, so that one trains in minutes on a laptop.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small, segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabV3
from torchvision.models.segmentation.fcn import FCN, FCNHead
from torchvision.models.segmentation.lraspp import LRASPP

from seglab.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from seglab.models.unet import UNet


def torchvision_model(name: str, num_classes: int, aux: bool) -> nn.Module:
    """One of torchvision's six. Without `weights_backbone=None` it would download a backbone."""
    net = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=aux)
    return _usual_momentum(net)


def _usual_momentum(net: nn.Module) -> nn.Module:
    """Set the momentum of BatchNorm to 0.1, so that its running averages adapt within tens of steps.

    torchvision's MobileNetV3 has 0.01: after a few hundred steps the averages still contain much of their initial
    values, and a model with a low training loss predicts wrongly in `eval()`.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return net


class _SmallResNet(ResNet):
    """torchvision's ResNet at output stride 8, two blocks a stage, 64, 128, 256, 256 channels: 0.4 M parameters.

    The last stages, and the first ones in proportion, have 4 · `width` channels.
    """

    def __init__(self, width: int) -> None:
        self.width, dilation = width, [False, True, True]
        super().__init__(Bottleneck, [2, 2, 2, 2], num_classes=1, replace_stride_with_dilation=dilation)

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
        planes = min(planes * self.width // 256, self.width)  # of 64, 128, 256, 512
        return super()._make_layer(block, planes, *args, **kwargs)


def _small_resnet(aux: bool, width: int = 64) -> nn.Module:
    """Images (B,3,h,w) → "out" and, for an auxiliary head, "aux": both (B,4·width,h/8,w/8)."""
    return IntermediateLayerGetter(_SmallResNet(width), {"layer4": "out"} | ({"layer3": "aux"} if aux else {}))


def fcn_mini(num_classes: int, aux: bool) -> nn.Module:
    """FCN (Long, Shelhamer & Darrell 2015) on a small ResNet; its head works on (B,256,h/8,w/8)."""
    return FCN(_small_resnet(aux), FCNHead(256, num_classes), FCNHead(256, num_classes) if aux else None)


def deeplabv3_mini(num_classes: int, aux: bool, width: int = 64) -> nn.Module:
    """DeepLabV3 (Chen et al. 2017) on a small ResNet; its head works on (B,4·width,h/8,w/8).

    The atrous rates are 3, 6, 9: on feature maps of 24×32 torchvision's 12, 24, 36 would reach mostly into padding.
    """
    head = nn.Sequential(
        ASPP(4 * width, (3, 6, 9), width),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, num_classes, 1),
    )
    return DeepLabV3(_small_resnet(aux, width), head, FCNHead(4 * width, num_classes) if aux else None)


def lraspp_mini(num_classes: int, aux: bool, width: float = 1.0) -> nn.Module:
    """LR-ASPP on MobileNetV3-Small (Howard et al. 2019): low features (B,24,h/8,w/8), high ones (B,576,h/16,w/16).

    `width` multiplies the channels of the backbone.
    """
    features = mobilenet_v3_small(weights=None, dilated=True, width_mult=width).features
    backbone = IntermediateLayerGetter(features, {"2": "low", "12": "high"})
    return _usual_momentum(LRASPP(backbone, features[2].out_channels, features[12].out_channels, num_classes))


def unet_resnet34(num_classes: int, aux: bool) -> nn.Module:
    """U-Net (Ronneberger, Fischer & Brox 2015) on ResNet-34, of smp; it gives logits (B,K,h,w)."""
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet34", encoder_weights=None, classes=num_classes)


def _on_lite0(architecture: str, num_classes: int, **options: Any) -> nn.Module:
    """An architecture of smp on EfficientNet-Lite0 (Liu 2020, after Tan & Le 2019), with smp's own keys.

    The encoder expects (x − 127) / 128 of colours x from 0 to 255, so seglab's normalisation is converted first. The
    first convolution cannot contain the conversion, because it pads with zeros.
    """
    import segmentation_models_pytorch as smp

    class OnLite0(getattr(smp, architecture)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("tu-tf_efficientnet_lite0", encoder_weights=None, classes=num_classes, **options)
            mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (IMAGENET_MEAN, IMAGENET_STD))
            self.register_buffer("factor", 255 * std / 128, persistent=False)
            self.register_buffer("shift", (255 * mean - 127) / 128, persistent=False)

        def forward(self, x: Tensor) -> Any:
            return super().forward(x * self.factor + self.shift)

    return OnLite0()


def unet_lite(num_classes: int, aux: bool) -> nn.Module:
    """U-Net (Ronneberger, Fischer & Brox 2015) on EfficientNet-Lite0 with a narrow decoder; logits (B,K,h,w)."""
    widths = (160, 80, 48, 24, 16)
    return _on_lite0("Unet", num_classes, decoder_channels=widths, decoder_interpolation="bilinear")


def deeplabv3plus_lite(num_classes: int, aux: bool) -> nn.Module:
    """DeepLabV3+ (Chen et al. 2018) on EfficientNet-Lite0 at output stride 16; logits (B,K,h/4,w/4).

    Half of smp's channels. The atrous rates are 3, 6, 9: on feature maps of 12×16 smp's 12, 24, 36 would reach mostly
    into padding. An LR-ASPP head on this encoder has less than half of the multiply-accumulates (0.36 instead of 0.80
    · 10⁹) and nearly as many parameters (3.0 instead of 3.3 million), but logits at stride 8 only.
    """
    return _on_lite0("DeepLabV3Plus", num_classes, decoder_channels=128, decoder_atrous_rates=(3, 6, 9), upsampling=1)


def unet_mini(num_classes: int, aux: bool) -> nn.Module:
    """U-Net (Ronneberger, Fischer & Brox 2015) with 16 to 256 channels; it gives logits (B,K,h,w)."""
    return UNet(num_classes, width=16)


def segformer(num_classes: int, aux: bool, **widths: Any) -> nn.Module:
    """SegFormer (Xie et al. 2021), by default B0; it gives logits (B,K,h/4,w/4).

    transformers draws all weights with a standard deviation of 0.02. That suits fine-tuning, but training from scratch
    hardly progresses, so the convolutions are drawn as in the paper's own code (He et al. 2015).
    """
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    net = SegformerForSemanticSegmentation(SegformerConfig(**widths | {"num_labels": num_classes}))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    return net


def mask2former(num_classes: int, aux: bool, swin: dict[str, Any], **widths: Any) -> nn.Module:
    """Mask2Former (Cheng et al. 2022) on a Swin transformer (Liu et al. 2021); masks are (B,Q,h/4,w/4)."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(**swin | {"out_features": ["stage1", "stage2", "stage3", "stage4"]})
    config = Mask2FormerConfig(**widths | {"backbone_config": backbone, "num_labels": num_classes})
    return Mask2FormerForUniversalSegmentation(config)


_TINY_SWIN = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "drop_path_rate": 0.3}
_MINI_SWIN = {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "drop_path_rate": 0.0}
mask2former_swin_tiny = partial(mask2former, swin=_TINY_SWIN)
mask2former_mini = partial(
    mask2former, swin=_MINI_SWIN, hidden_dim=96, feature_size=96, mask_feature_size=96, num_attention_heads=6,
    encoder_layers=2, decoder_layers=4, encoder_feedforward_dim=192, dim_feedforward=192, num_queries=20,
    train_num_points=2048,
)  # fmt: skip
segformer_mini = partial(
    segformer, hidden_sizes=[32, 64, 112, 160], num_attention_heads=[1, 2, 4, 5], decoder_hidden_size=128,
    drop_path_rate=0.0,
)  # fmt: skip
