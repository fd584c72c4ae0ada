"""From a decoded image to its mask: the fast path against the example in torchvision's documentation.

    python benchmarks/inference.py

The example: the preset's transforms (short side 520), the model in `eval()`, its `["out"]`, interpolated to the
photograph's own size, argmax. Ours: `FastModel` and `masks.to_mask`, which `predict` and `evaluate` use. Models, frames
and the short training are those of `evaluation.py`.

Pixels may differ for three reasons, which the table keeps apart: *fused*, the same resized image through the model
before and after BatchNorm was folded into its convolutions; *resized*, torchvision's tensor resize against Pillow's,
which round to whole colours at different moments; *bfloat16*, eight bits of mantissa. A model that was trained for a
moment has many nearly tied scores, so these shares are larger than a real model's.
"""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from common import header, milliseconds, show
from evaluation import SHORT, frames, trained, usual_mask
from PIL import Image
from torchvision.transforms._presets import SemanticSegmentation

from seglab.data.dataset import SegmentationDataset
from seglab.inference.fast import PRECISIONS, FastModel
from seglab.masks.argmax import to_mask
from seglab.models.adapters import SegModel

NAMES = (
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "deeplabv3_resnet50",
)
FRAMES, ROUNDS = 8, 7


class Unfused(FastModel):
    """The same without folding anything."""

    def __init__(self, model: SegModel) -> None:
        super().__init__(model)
        self.model = model


def compare(name: str, dataset: SegmentationDataset) -> dict[str, float | int]:
    """A row of the table."""
    model = trained(name, scenes=160 if "resnet" in name else 480)
    photos = [
        Image.open(dataset.records[i].files[0]).convert("RGB") for i in range(0, len(dataset), len(dataset) // FRAMES)
    ]
    images = [dataset[i].image for i in range(0, len(dataset), len(dataset) // FRAMES)]
    transform, size = SemanticSegmentation(resize_size=SHORT), images[0].shape[1:]
    quick = {precision: FastModel(model, precision) for precision in PRECISIONS}

    def ours(looks: FastModel, image: torch.Tensor) -> torch.Tensor:
        return to_mask(looks(image[None]), size=tuple(size))[0]

    candidates = {"example": partial(usual_mask, model, photos[0], transform)}
    candidates |= {precision: partial(ours, looks, images[0]) for precision, looks in quick.items()}
    ms = milliseconds(candidates, ROUNDS)
    plain = [ours(Unfused(model), image) for image in images]
    fused = [ours(quick["float32"], image) for image in images]
    rounded = [ours(quick["bfloat16"], image) for image in images]
    example = [usual_mask(model, photo, transform) for photo in photos]
    return {
        "example ms": ms["example"], "float32": ms["example"] / ms["float32"],
        "bfloat16": ms["example"] / ms["bfloat16"], "differ: fused": _share(fused, plain),
        "resized": _share(plain, example), "bfloat16 ": _share(rounded, plain),
        "classes named": len(torch.stack(example).unique()),
    }  # fmt: skip


def _share(some: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    return (torch.stack(some) != torch.stack(others)).double().mean().item()


if __name__ == "__main__":
    header()
    with TemporaryDirectory() as folder:
        dataset = frames(Path(folder))
        rows = {name: compare(name, dataset) for name in sys.argv[1:] or NAMES}
    table = pd.DataFrame.from_dict(rows, orient="index")
    for column in ("differ: fused", "resized", "bfloat16 "):
        table[column] = table[column].map("{:.3%}".format)
    show(f"one frame of {dataset.name} at 360×480, in {FRAMES} frames for the agreement", table)
