"""From a decoded image to its mask: our runtimes against the usual ones.

    python benchmarks/inference.py [--threads 2] [MODEL ...]

The example is that of torchvision's documentation: the preset's transforms, the model in `eval()`, its scores
interpolated to the photograph's own size, argmax. Plain ONNX Runtime and plain OpenVINO: the same with the model
exported by `torch.onnx.export` and each runtime's own defaults for that number of threads. Ours: `FastModel` and
`masks.to_mask`, which `predict` and `evaluate` use, on torch and with `runtime="auto"`. Minis have their weights for
Toytown; the other models, the frames and their short training are those of `evaluation.py`.

Pixels may differ for three reasons, which the table keeps apart: *fused*, the same resized image through the model
before and after BatchNorm was folded into its convolutions; *resized*, torchvision's tensor resize against Pillow's,
which round to whole colours at different moments; *bfloat16*, eight bits of mantissa. A model that was trained for a
moment has many nearly tied scores, so these shares are larger than a real model's.
"""

import os
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime
import pandas as pd
import torch
from common import header, milliseconds, show
from evaluation import SHORT, frames, trained
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.transforms._presets import SemanticSegmentation

from seglab import MODELS, load_model
from seglab.data.dataset import SegmentationDataset
from seglab.inference.export import onnx_graph
from seglab.inference.fast import FastModel
from seglab.inference.runtimes import choice
from seglab.inference.runtimes.open_vino import core
from seglab.masks.argmax import to_mask
from seglab.models.adapters import SegModel

FRAMES, ROUNDS = 8, 7
Forward = Callable[[torch.Tensor], torch.Tensor]  # normalised images → scores


class Unfused(FastModel):
    """The same without folding anything."""

    def __init__(self, model: SegModel) -> None:
        super().__init__(model)
        self.model = model


def loaded(name: str) -> SegModel:
    """A mini with its weights, or another model after its short training."""
    if name.endswith("_mini"):
        return load_model(f"{name}:toytown", device="cpu")
    return trained(name, scenes=160 if "lraspp" not in name and "deeplabv3_mobilenet" not in name else 480)


def plain_runtimes(model: SegModel, folder: Path, batch: torch.Tensor) -> dict[str, Forward]:
    """ONNX Runtime and OpenVINO as their documentations show them; without one that cannot compute the model."""
    graph, threads = folder / f"{model.spec.name}.onnx", torch.get_num_threads()
    try:
        onnx_graph(model, graph, None if model.spec.family != "Mask2Former" else (batch.shape[2], batch.shape[3]))
    except ValueError as error:
        print(error)
        return {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    found: dict[str, Forward] = {
        "plain onnxruntime": lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    }
    try:
        compiled = core().compile_model(str(graph), "CPU", config)
        found["plain openvino"] = lambda images: torch.from_numpy(compiled([images.numpy()])[0])
        found["plain openvino"](batch)
    except RuntimeError as error:
        found.pop("plain openvino", None)
        print(f"{model.label}: OpenVINO: {str(error).strip().splitlines()[0]}")
    return found


@torch.inference_mode()
def usual(forward: Forward, photo: Image.Image, transform: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    """Pillow's resize, the scores interpolated to the original size, argmax: int64 (H, W)."""
    scores = forward(transform(photo)[None].contiguous())
    return interpolate(scores, (photo.height, photo.width), mode="bilinear", align_corners=False).argmax(1)[0]


def ours(looks: FastModel, image: torch.Tensor) -> torch.Tensor:
    return to_mask(looks(image[None]), size=(image.shape[1], image.shape[2]))[0]


def compare(name: str, dataset: SegmentationDataset, folder: Path) -> dict[str, object]:
    """A row of the table."""
    model, indices = loaded(name), range(0, len(dataset), max(1, len(dataset) // FRAMES))
    photos = [Image.open(dataset.records[i].files[0]).convert("RGB") for i in indices]
    images = [dataset[i].image for i in indices]
    transform = SemanticSegmentation(resize_size=model.short or SHORT)
    quick = {"torch": FastModel(model), "bfloat16": FastModel(model, "bfloat16")}
    quick["auto"] = FastModel(model, runtime="auto")
    quick["auto"].expected = 100_000
    quick["auto"].settle(images[:4])
    theirs = {"example": model, **plain_runtimes(model, folder, transform(photos[0])[None])}
    candidates = {key: partial(usual, forward, photos[0], transform) for key, forward in theirs.items()}
    candidates |= {key: partial(ours, looks, images[0]) for key, looks in quick.items()}
    ms = milliseconds(candidates, ROUNDS)
    masks = {key: [ours(looks, image) for image in images] for key, looks in quick.items()}
    plain = [ours(Unfused(model), image) for image in images]
    example = [usual(model, photo, transform) for photo in photos]
    peer = min((key for key in theirs), key=ms.__getitem__)
    return {
        "example ms": ms["example"], **{key: ms["example"] / ms[key] for key in candidates if key != "example"},
        "auto is": quick["auto"].used.split()[0], "against the best peer": ms[peer] / ms["auto"],
        "differ: fused": _share(masks["torch"], plain), "auto ": _share(masks["auto"], masks["torch"]),
        "resized": _share(plain, example), "bfloat16 ": _share(masks["bfloat16"], plain),
        "classes": len(torch.stack(example).unique()),
    }  # fmt: skip


def _share(some: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    return (torch.stack(some) != torch.stack(others)).double().mean().item()


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    header()
    print("models other than the minis are trained for a moment from random weights, see `trained`")
    choice.WORTH = 0.0  # compare runtimes however fast torch is
    with TemporaryDirectory() as temporary:
        os.environ["SEGLAB_CACHE"] = temporary
        dataset = frames(Path(temporary))
        rows = {name: compare(name, dataset, Path(temporary)) for name in arguments.models}
    table = pd.DataFrame.from_dict(rows, orient="index")
    for column in ("differ: fused", "auto ", "resized", "bfloat16 "):
        table[column] = table[column].map("{:.3%}".format)
    show(f"one frame of {dataset.name} at 360×480, in {FRAMES} frames for the agreement", table.T)
