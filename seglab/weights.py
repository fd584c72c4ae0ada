"""Trained weights: what is known about each, and where those lie that travel with the workbook."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seglab.places import share_dir

ZOO = "zoo"  # the library that brings a mini's weights is seglab itself


@dataclass(frozen=True)
class Weights:
    """One set of trained weights of a model.

    Attributes:
        classes: key in `CLASS_SETS`, what they know; None where only a backbone is trained.
        short: short side in pixels of the images that they expect.
        source: `ZOO`, or what the library that publishes them calls them.
        num_bytes: of the download, about; 0 for what travels.
        trained_on: in words.
        licence: of the weights.
        miou: as published, 0–1, and `measured_on` what, under the publisher's conventions; None where there is none.
    """

    classes: str | None
    short: int | None
    source: str
    num_bytes: int = 0
    trained_on: str = ""
    licence: str = ""
    miou: float | None = None
    measured_on: str = ""


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


def zoo_dir() -> Path:
    """Where the minis' weights and cards lie."""
    share = share_dir()
    if share is None:
        raise ValueError("the minis' weights were not installed; install seglab from its folder: pip install .")
    return share / "data" / "zoo"


def zoo_path(model: str, name: str) -> Path:
    """The checkpoint of a mini.

    Raises:
        ValueError: it is not there.
    """
    path = zoo_dir() / f"{model}-{name}.safetensors"
    if not path.is_file():
        raise ValueError(f"{path} is missing; restore it, or train it anew: python -m seglab.zoo train {model}:{name}")
    return path


def card(model: str, name: str) -> dict[str, Any] | None:
    """What was measured with a mini's weights, and how they came about; None where they have no card."""
    path = zoo_dir() / f"{model}-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
