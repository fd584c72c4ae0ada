"""Models: which there are, and how one is made.

`MODELS` has every architecture in two sizes: the published ones, built by the libraries that publish them, and the
minis, made of the same libraries' classes with small widths, so that one trains in minutes on a laptop. How they come
to one form is the business of `adapters.py`; here is what each of them is made of.
"""

import math
from functools import partial
from typing import Any

from torch import nn

from seglab.models.unet import UNet


def torchvision_model(name: str, num_classes: int, aux: bool) -> nn.Module:
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


def fcn_mini(num_classes: int, aux: bool) -> nn.Module:
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    backbone = _small_resnet({"layer4": "out", "layer3": "aux"} if aux else {"layer4": "out"})
    return FCN(backbone, FCNHead(256, num_classes), FCNHead(256, num_classes) if aux else None)


def deeplabv3_mini(num_classes: int, aux: bool) -> nn.Module:
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


def lraspp_mini(num_classes: int, aux: bool) -> nn.Module:
    """On MobileNetV3-Small: low features at stride 8, high ones at 16."""
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.mobilenetv3 import mobilenet_v3_small
    from torchvision.models.segmentation.lraspp import LRASPP

    features = mobilenet_v3_small(weights=None, dilated=True).features
    backbone = IntermediateLayerGetter(features, {"2": "low", "12": "high"})
    return _brisk(LRASPP(backbone, features[2].out_channels, features[12].out_channels, num_classes))


def unet_resnet34(num_classes: int, aux: bool) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet34", encoder_weights=None, classes=num_classes)


def unet_mini(num_classes: int, aux: bool) -> nn.Module:
    return UNet(num_classes, width=16)


def segformer(num_classes: int, aux: bool, **widths: Any) -> nn.Module:
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


def mask2former(num_classes: int, aux: bool, swin: dict[str, Any], **widths: Any) -> nn.Module:
    """Mask2Former on a Swin transformer (Liu et al. 2021)."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(**swin | {"out_features": ["stage1", "stage2", "stage3", "stage4"]})
    config = Mask2FormerConfig(**widths | {"backbone_config": backbone, "num_labels": num_classes})
    return Mask2FormerForUniversalSegmentation(config)


TINY_SWIN = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "drop_path_rate": 0.3}
_MINI_SWIN = {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "drop_path_rate": 0.0}
mask2former_mini = partial(
    mask2former, swin=_MINI_SWIN, hidden_dim=96, feature_size=96, mask_feature_size=96, num_attention_heads=6,
    encoder_layers=2, decoder_layers=4, encoder_feedforward_dim=192, dim_feedforward=192, num_queries=20,
    train_num_points=2048,
)  # fmt: skip
segformer_mini = partial(
    segformer, hidden_sizes=[32, 64, 112, 160], num_attention_heads=[1, 2, 4, 5], decoder_hidden_size=128,
    drop_path_rate=0.0,
)  # fmt: skip
