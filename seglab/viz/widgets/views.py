"""One image, several models: what they say as masks in one vocabulary, as maps, as a table, and as code.

Pure functions behind the explorer; `Question` is everything that decides what it shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from seglab._utils.errors import unknown
from seglab.data.classes import ClassSet
from seglab.data.dataset import Sample
from seglab.data.images import Picture, to_image
from seglab.data.translation import in_classes
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction
from seglab.masks.painting import colorize, overlay
from seglab.metrics.measures import iou_of_image
from seglab.viz import pictures, style
from seglab.viz.widgets.viewer import scene_data

# view → whether it is of one class
VIEWS = {
    "overlay": False, "mask": False, "score": True, "probability": True, "confidence": False, "margin": False,
    "entropy": False,
}  # fmt: skip
MOST_PIXELS = 2_000_000  # of a photograph as it is shown
SIZES = (0, 96, 128, 192, 256, 384, 520)  # short sides; 0 is the one that a model was trained at


@dataclass(frozen=True)
class Question:
    """What somebody wants to see.

    Attributes:
        models: labels for `load_model`.
        data: name and split of a data set, as "toytown:night test"; or the name of a photograph.
        index: place of the image in the data set; None for a photograph.
        view: one of `VIEWS`, and the class that it is of.
    """

    models: tuple[str, ...]
    data: str
    index: int | None = None
    precision: str = PRECISIONS[0]
    short: int = 0
    view: str = "overlay"
    class_name: str = ""


def in_one_vocabulary(said: Mapping[str, Prediction], classes: ClassSet) -> dict[str, Tensor]:
    """Masks uint8 (H,W), brought to these classes after the argmax; 255 where there is no counterpart."""
    return {name: in_classes(p.mask, p.classes, classes) for name, p in said.items()}


def scene(
    sample: Sample, said: Mapping[str, Prediction], classes: ClassSet
) -> tuple[dict[str, Any], dict[str, Prediction]]:
    """For `Viewer.show`: a sample with every mask in these classes, and the predictions that speak of just these."""
    same = {name: p for name, p in said.items() if p.classes.names == classes.names}
    return scene_data(sample.image, in_one_vocabulary(said, classes), classes, sample.target), same


def iou(masks: Mapping[str, Tensor], target: Tensor, classes: ClassSet) -> pd.DataFrame:
    """IoU of each class (rows) for each model on one image, void ignored; classes that occur nowhere are left out.

    What a model says without a counterpart in these classes is an error. The last row is the mean.
    """
    columns = {name: iou_of_image(mask, target, len(classes)) for name, mask in masks.items()}
    frame = pd.DataFrame(columns, index=pd.Index(classes.names, name="class")).dropna(how="all")
    frame.loc["mean"] = frame.mean()
    return frame


def figure(said: Mapping[str, Prediction], view: str = "overlay", class_name: str = "") -> style.Figure:
    """What several models say of one image, side by side.

    Args:
        view: "overlay", "mask", "confidence", "margin" or "entropy"; "score" or "probability" of a class.

    Raises:
        ValueError: an unknown view; a class that one of the models does not know.
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view in ("overlay", "mask"):
        first = next(iter(said.values()))
        shown = {name: overlay(p.image, p.mask, p.classes) if view == "overlay" else colorize(p.mask, p.classes)
                 for name, p in said.items()}  # fmt: skip
        words = "; ".join(f"{name}: {pictures.describe(p.mask, p.classes)}" for name, p in said.items())
        fig = pictures.side_by_side(shown, columns=min(3, len(shown)), alt=f"{view} of {words}.")
        if all(p.classes == first.classes for p in said.values()):
            pictures.legend(fig, first.classes, *(p.mask for p in said.values()))
        return fig
    if VIEWS[view]:
        planes = {name: p.scores([class_name])[0] if view == "score" else p.probs([class_name])[0]
                  for name, p in said.items()}  # fmt: skip
        unit = f"{view} of {class_name}"
    else:
        planes = {name: getattr(p, view)() for name, p in said.items()}
        unit = "entropy in bits" if view == "entropy" else view
    limits = (0.0, 1.0) if view in ("probability", "confidence", "margin") else None
    return pictures.heat_maps(planes, columns=min(3, len(planes)), limits=limits, diverging=view == "score", unit=unit)


def downsized(photo: Picture, most: int = MOST_PIXELS) -> tuple[Tensor, str]:
    """A photograph, uint8 (3,H,W), with at most so many pixels; and a sentence where it had more."""
    from torchvision.transforms.v2 import functional as F

    image = to_image(photo)
    height, width = image.shape[1:]
    if height * width <= most:
        return image, ""
    scale = (most / (height * width)) ** 0.5
    size = [round(height * scale), round(width * scale)]
    told = f"The photograph has {height} × {width} pixels and is shown with {size[0]} × {size[1]}; "
    return F.resize(image, size, antialias=True), told + "`seglab predict` keeps the size."


def code(question: Question) -> str:
    """What to type in a notebook to get the same figure."""
    q = question
    lines = ["from seglab import load_dataset, load_model, looks, predict" if q.index is not None else
             "from seglab import load_model, looks, predict", ""]  # fmt: skip
    if q.index is None:
        lines.append(f"image, _ = looks.downsized({q.data!r})  # where the photograph lies")
    else:
        name, _, split = q.data.partition(" ")
        lines.append(f"image = load_dataset({name!r}, {split!r})[{q.index}].image")
    lines.append(f"models = {{name: load_model(name) for name in {_listed(q.models)}}}")
    if q.short:
        lines += ["for model in models.values():", f"    model.short = {q.short}"]
    precision = "" if q.precision == PRECISIONS[0] else f", precision={q.precision!r}"
    lines.append(f"said = {{name: predict(model, image{precision}) for name, model in models.items()}}")
    named = f", {q.class_name!r}" if VIEWS[q.view] else ""
    return "\n".join([*lines, f"looks.figure(said, {q.view!r}{named})"])


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(repr, names))}]"
