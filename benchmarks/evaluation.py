"""`evaluate` end to end against the loop that everybody writes, on two of torchvision's models.

    python benchmarks/evaluation.py [--images 101] [MODEL ...]
    python benchmarks/evaluation.py --report 500

Both read images from disk, bring them to a short side of 520 pixels, run the network, make masks at the original size
and count; `evaluate` gives each image a thread of its own. The loop is torchvision's documented example followed by the
usual code for per-class IoU: Pillow, the preset's transforms, the model in `eval()`, its `["out"]`, interpolated to the
original size, argmax, and for each class the sums of two boolean images. The frames are CamVid's if `SEGLAB_DATA` has
them, else Toytown's as PNG files.

The models have 21 classes, as the published ones; eleven of them are trained for a moment on Toytown, since untrained
models say one class everywhere and agree for nothing.
"""

import os
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from common import header, milliseconds, ratios, show
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.transforms._presets import SemanticSegmentation

from seglab import CLASS_SETS, MODELS, evaluate, load_dataset, load_model
from seglab.data.classes import ClassSet
from seglab.data.dataset import SegmentationDataset
from seglab.data.palette import voc_colors
from seglab.inference.fast import FastModel
from seglab.inference.runtimes import choice
from seglab.masks.argmax import to_mask
from seglab.metrics.measures import iou_per_class
from seglab.models.adapters import SegModel
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

IMAGES, ROUNDS, SHORT = 101, 2, 520  # all of CamVid's val
STREET = CLASS_SETS["street"]
CLASSES = ClassSet("street and ten more", (*STREET.names, *(f"class {i}" for i in range(11, 21))), voc_colors(21))


def frames(temporary: Path, images: int = IMAGES) -> SegmentationDataset:
    """Street scenes of 360×480 pixels as files."""
    try:
        dataset = load_dataset("camvid", "val", download=False)
    except ValueError:
        scenes = load_dataset("toytown", "test", size=(360, 480)).subset(range(images))
        for sample in map(scenes.__getitem__, range(images)):
            for kind, pixels in ("images", sample.image.permute(1, 2, 0)), ("masks", sample.target):
                (temporary / kind).mkdir(exist_ok=True)
                Image.fromarray(pixels.numpy()).save(temporary / kind / f"{sample.id}.png")
        dataset = load_dataset("folder", root=temporary, classes=STREET)
    return replace(dataset.subset(range(images)), classes=CLASSES)


def trained(name: str, scenes: int = 480) -> SegModel:
    """A model with 21 classes that has learned a little about streets."""
    torch.manual_seed(0)
    model = load_model(name, weights=None, classes=CLASSES, device="cpu")
    streets = replace(load_dataset("toytown", "train", size=(96, 128)), classes=CLASSES)
    recipe = Recipe(epochs=1, batch=8, size=(96, 128), scale=(1.0, 2.0))
    fit(model, streets.subset(range(scenes)), streets.subset(range(2)), recipe, progress=False)
    model.short = SHORT
    return model.to(memory_format=torch.contiguous_format)  # as it comes from torchvision


@torch.no_grad()
def usual_mask(model: SegModel, image: Image.Image, transform: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    """int64 (H, W), as the documentation of torchvision shows."""
    scores = model.net(transform(image)[None])["out"]
    return interpolate(scores, (image.height, image.width), mode="bilinear", align_corners=False).argmax(1)[0]


def usual_loop(model: SegModel, dataset: SegmentationDataset) -> np.ndarray:
    """IoU of each class."""
    transform = SemanticSegmentation(resize_size=SHORT)
    void = np.arange(len(STREET), 256) if dataset.name == "camvid" else np.array([255])
    intersections, unions = torch.zeros(len(CLASSES)), torch.zeros(len(CLASSES))
    for record in dataset.records:
        image, mask = (Image.open(path) for path in record.files)
        pred = usual_mask(model, image.convert("RGB"), transform)
        target = torch.from_numpy(np.array(mask)).long()
        counted = ~torch.isin(target, torch.from_numpy(void))
        for k in range(len(CLASSES)):
            p, t = (pred == k) & counted, (target == k) & counted
            intersections[k] += (p & t).sum()
            unions[k] += (p | t).sum()
    return (intersections / unions).numpy()


def our_loop(
    model: SegModel, dataset: SegmentationDataset, precision: str = "float32", runtime: str = "torch"
) -> np.ndarray:
    """IoU of each class, by way of a store on disk."""
    with TemporaryDirectory() as folder:
        results = evaluate(model, dataset, Path(folder) / "store.sqlite", precision=precision, runtime=runtime,
                           progress=False)  # fmt: skip
    counts = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    rows = results.tables.counts[results.tables.counts["target"] < 255]
    np.add.at(counts, (rows["target"], rows["pred"]), rows["pixels"])
    return iou_per_class(counts)


def differing(model: SegModel, dataset: SegmentationDataset, precision: str) -> tuple[float, int]:
    """Share of pixels on which the two loops do not agree, and how many classes they name."""
    quick, transform = FastModel(model, precision), SemanticSegmentation(resize_size=SHORT)
    different, pixels, named = 0, 0, set()
    for record in dataset.records[::4]:
        theirs = usual_mask(model, Image.open(record.files[0]).convert("RGB"), transform)
        ours = to_mask(quick(record.read()[0][None]), size=tuple(theirs.shape))[0]
        different, pixels = different + int((ours != theirs).sum()), pixels + theirs.numel()
        named |= set(ours.unique().tolist())
    return different / pixels, len(named)


def compare(name: str, dataset: SegmentationDataset) -> pd.DataFrame:
    model, answers = trained(name), {}
    runs: dict[str, Callable[[SegModel, SegmentationDataset], np.ndarray]] = {"the usual loop": usual_loop}
    runs |= {p: partial(our_loop, precision=p) for p in ("float32", "bfloat16")}
    runs["auto"] = partial(our_loop, runtime="auto")

    def answer(key: str) -> None:
        answers[key] = runs[key](model, dataset)

    ms = milliseconds({key: partial(answer, key) for key in runs}, ROUNDS)
    for iou in answers.values():
        np.testing.assert_allclose(iou, answers["the usual loop"], atol=0.02)
    table = pd.DataFrame({"ms an image": {key: value / len(dataset) for key, value in ms.items()}})
    table["speed-up"] = table["ms an image"].iloc[0] / table["ms an image"]
    differ = {p: differing(model, dataset, p) for p in ("float32", "bfloat16")}
    table["pixels that differ"] = {p: f"{share:.2%}" for p, (share, _) in differ.items()}
    table["classes named"] = {p: named for p, (_, named) in differ.items()}
    return table


def report(scenes: int) -> pd.DataFrame:
    """The part of `make report` that takes time: all minis on Toytown, on torch and on the runtimes of "auto"."""
    names = [f"{name}:toytown" for name in MODELS if name.endswith("_mini")]
    dataset = load_dataset("toytown", "test").subset(range(scenes))
    ms = milliseconds({key: partial(evaluate, names, dataset, runtime=key, progress=False)
                       for key in ("torch", "auto")}, 1)  # fmt: skip
    table = ratios(ms, "auto")
    table.insert(0, "s", table.pop("ms") / 1000)
    return table


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("models", nargs="*", default=["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"])
    parser.add_argument("--images", type=int, default=IMAGES, help="of CamVid, for each model")
    parser.add_argument("--report", type=int, metavar="SCENES", help="instead: all minis on so many scenes of Toytown")
    arguments = parser.parse_args()
    header()
    print("models other than the minis are trained for a moment from random weights, see `trained`")
    choice.WORTH, choice.FEW = 0.0, 1  # "auto" compares runtimes however fast torch is: in the round not counted
    with TemporaryDirectory() as folder:
        os.environ["SEGLAB_CACHE"] = folder
        if arguments.report:
            show(f"all minis on {arguments.report} scenes of Toytown", report(arguments.report))
            raise SystemExit
        dataset = frames(Path(folder), arguments.images)
        for name in arguments.models:
            show(f"{name}, {len(dataset)} frames of {dataset.name} at 360×480", compare(name, dataset))
