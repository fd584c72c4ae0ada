"""`export`: a model or its classes as a file for other programs; a model is loaded again and compared first."""

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from seglab import __version__
from seglab._utils.errors import unknown
from seglab._utils.folders import check_absent
from seglab._utils.hashing import sha256_state
from seglab._utils.paths import PART, replacing
from seglab.data.classes import ClassSet, class_set_fields
from seglab.data.images import read_image
from seglab.data.photographs import photograph
from seglab.data.toytown import scene
from seglab.inference.export import onnx_graph
from seglab.inference.fast import FastModel, fused, network_size
from seglab.masks.argmax import to_mask
from seglab.models.adapters import Mask2FormerModel, SegModel
from seglab.models.registry import MODELS
from seglab.models.sources.exported import KEY, exported_model, open_file
from seglab.models.sources.stated import Stated

LARGEST_DIFFERENCE = {"float32": 1e-4, "float16": 0.01}  # fraction of the pixels of a mask


class Agreement(NamedTuple):
    """How many pixels of the masks of an exported file differ from those of its model, on how many images."""

    images: int
    pixels: int
    different: int


def export(
    model: SegModel, path: str | Path, *, precision: str = "float32", argmax: bool = False, force: bool = False
) -> Agreement | None:
    """Write a model as .onnx or .pt2 (torch.export), or its classes as .csv, .txt or .json.

    The graph takes `images` float32 (B,3,h,w), normalised, of any size, and returns `scores` float32 (B,K,h',w'), or
    with `argmax` a `mask` uint8 (B,h,w). Its metadata hold what a program needs besides: see `_facts`. Before the file
    gets its name, it is loaded again, and its masks are compared with those of the model on photographs and scenes.

    Args:
        path: .onnx; .pt2; .csv (index, name, r, g, b); .txt (label map of CVAT and Datumaro: name:r,g,b::); .json
            (id2label of transformers: index → name).
        precision: "float32" or "float16", in which weights are stored and computed. Images and scores stay float32.
        argmax: interpolate the scores to the size of the input and return the class of each pixel.
        force: replace a file.

    Returns:
        The agreement; None for a file of classes.

    Raises:
        ValueError: another ending; a file of this name exists; an untrained model; a package is missing; the model
            cannot be exported, or not for images of any size; the masks differ in more than one pixel in ten thousand
            (float16: one in a hundred).
    """
    path = Path(path)
    tables = {".csv": _csv, ".txt": _label_map, ".json": _id2label}
    writers = {".onnx": _write_onnx, ".pt2": _write_program}
    if path.suffix not in (*writers, *tables):
        raise unknown("file ending", path.suffix, (*writers, *tables))
    check_absent(path, force)
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}; create it, or choose another")
    if path.suffix in tables:
        with replacing(path) as unfinished:
            unfinished.write_text(tables[path.suffix](model.classes), encoding="utf-8", newline="\n")
        return None
    if precision not in LARGEST_DIFFERENCE:
        raise unknown("precision", precision, LARGEST_DIFFERENCE)
    if model.spec.name in MODELS and not model.facts:
        raise ValueError(f"{model.label} is untrained; export trained weights, as {model.label}:NAME, or a checkpoint")
    images = _images()
    plain = FastModel(model.cpu())
    scores = [plain(image[None]) for image in images]  # raises while the decoder of the model is untrained
    facts = _facts(model, precision, argmax) | {"stride": round(plain.size_of(images[0])[0] / scores[0].shape[-2])}
    graph = Graph(fused(model), precision == "float16", argmax).eval()
    with TemporaryDirectory(dir=path.parent, prefix=PART, suffix=".part") as folder:
        unfinished = Path(folder, path.name)
        writers[path.suffix](graph, unfinished, facts, model.short if isinstance(model.short, tuple) else None)
        found = _compare(model, unfinished, images, scores, argmax)
        if found.different > LARGEST_DIFFERENCE[precision] * found.pixels:
            raise ValueError(
                f"{path} was not written: {found.different} of {found.pixels} pixels differ from the masks of"
                f" {model.label}, more than {LARGEST_DIFFERENCE[precision]:.2%}"
            )
        unfinished.replace(path)
    return found


class Graph(nn.Module):
    """What is exported: a model, with its weights as float16 and with the argmax if asked for."""

    def __init__(self, model: SegModel, half: bool, argmax: bool) -> None:
        super().__init__()
        self.model, self.half_precision, self.argmax = model.half() if half else model, half, argmax

    def forward(self, images: Tensor) -> Tensor:
        scores = self.model(images.half() if self.half_precision else images).float()
        if not self.argmax:
            return scores
        return F.interpolate(scores, images.shape[-2:], mode="bilinear").argmax(1).to(torch.uint8)


def _facts(model: SegModel, precision: str, argmax: bool) -> dict[str, Any]:
    """The metadata of an exported file, one JSON text under the key "seglab"."""
    weights = model.spec.weights.get(model.label.partition(":")[2])
    run = model.facts.get("run", {})
    return {
        "seglab": __version__, "model": model.label, "title": model.spec.title,
        "classes": class_set_fields(model.classes), "mean": list(model.mean), "std": list(model.std),
        "short": model.short, "tile": model.tile, "output": "mask" if argmax else "scores",
        "precision": precision, "logits": model.logits, "weights": sha256_state(model.net.state_dict()),
        "licence": model.facts.get("licence") or (weights.licence if weights else "not stated"),
        "run": {key: run[key] for key in ("train", "val", "size", "seed") if key in run},
    }  # fmt: skip


def _compare(model: SegModel, path: Path, images: list[Tensor], scores: list[Tensor], argmax: bool) -> Agreement:
    """Load a file again, and compare its masks with those that follow from the scores of its model."""
    try:
        return _agreement(model, path, images, scores, argmax)
    except ValueError:  # the file cannot be opened
        raise
    except Exception as error:  # of ONNX Runtime or of torch: without a common class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ValueError(
            f"{path.name} was not written: the exported {model.label} computes images of the size of its export only"
            f" ({reason}); choose one size for all images, as --size 192 256, or model.short = (192, 256)"
        ) from error


def _agreement(model: SegModel, path: Path, images: list[Tensor], scores: list[Tensor], argmax: bool) -> Agreement:
    pixels = different = 0
    file = FastModel(exported_model(str(path), Stated())) if not argmax else None
    net = open_file(path)
    for image, expected in zip(images, scores, strict=True):
        size = image.shape[-2], image.shape[-1]
        size = network_size(size, model.short) if argmax else size
        if file:
            mask = to_mask(file(image[None]), size=size)
        else:
            mask = net(model.preprocess(resize(image[None], list(size), antialias=True)))
        pixels, different = pixels + mask.numel(), different + int((mask != to_mask(expected, size=size)).sum())
    return Agreement(len(images), pixels, different)


def _images() -> list[Tensor]:
    """Three photographs and two scenes of Toytown, of several sizes."""
    photos = [read_image(photograph(name)) for name in ("astronaut.png", "chelsea.png", "grace_hopper.jpg")]
    return [*photos, *(torch.from_numpy(scene.scene(seed).image) for seed in (0, 1))]


def _write_onnx(graph: Graph, path: Path, facts: dict[str, Any], size: tuple[int, int] | None) -> None:
    if isinstance(graph.model, Mask2FormerModel) and size is None:  # its graph fails for other sizes
        raise ValueError(
            f"{graph.model.label} is exported as ONNX for images of one size only; choose it, as --size 192 256, or"
            " model.short = (192, 256)"
        )
    onnx_graph(graph, path, size, output="mask" if graph.argmax else "scores")
    import onnx

    file = onnx.load(path)
    onnx.helper.set_model_props(file, {KEY: json.dumps(facts, sort_keys=True)})
    onnx.save(file, path)


def _write_program(graph: Graph, path: Path, facts: dict[str, Any], size: tuple[int, int] | None) -> None:
    free = torch.export.Dim.DYNAMIC
    shapes = {0: free} if size else {0: free, 2: free, 3: free}
    try:
        with torch.no_grad():
            images = torch.zeros(2, 3, *(size or (192, 256)))
            program = torch.export.export(graph, (images,), dynamic_shapes=(shapes,))
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={f"{KEY}.json": json.dumps(facts, sort_keys=True)})
    except Exception as error:  # torch's own exceptions have no common class
        reason = str(error).strip().splitlines() or [type(error).__name__]
        remedy = "" if size else "; choose one size for all images, as --size 192 256, or model.short = (192, 256)"
        raise ValueError(
            f"{graph.model.label} cannot be exported by torch.export: {reason[0][:300]}{remedy}"
        ) from error
    path.write_bytes(buffer.getvalue())


def _csv(classes: ClassSet) -> str:
    text = io.StringIO()
    rows = ([i, name, *color] for i, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True)))
    csv.writer(text, lineterminator="\n").writerows([["index", "name", "r", "g", "b"], *rows])
    return text.getvalue()


def _label_map(classes: ClassSet) -> str:
    if wrong := [name for name in classes.names if ":" in name]:
        raise ValueError(f"class {wrong[0]!r} contains a colon, which separates the columns of a label map; write .csv")
    lines = (f"{name}:{r},{g},{b}::" for name, (r, g, b) in zip(classes.names, classes.colors, strict=True))
    return "\n".join(["# label:color_rgb:parts:actions", *lines, ""])


def _id2label(classes: ClassSet) -> str:
    return json.dumps(dict(enumerate(classes.names)), indent=2, ensure_ascii=False) + "\n"
