"""The pure functions behind the explorer: the predictions for one image as masks, figure, table, code and files."""

import base64
import html
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pandas as pd
from torch import Tensor

from seglab._utils.errors import unknown
from seglab.data.classes import ClassSet
from seglab.data.dataset import Sample
from seglab.data.images import Picture, to_image
from seglab.data.labels import write_mask
from seglab.data.translation import in_classes
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction
from seglab.masks.painting import colorize, overlay
from seglab.metrics.measures import iou_of_image
from seglab.viz import pictures, style
from seglab.viz.widgets.viewer import scene_data

Predictions = Mapping[str, Prediction]  # model → its prediction for the image
VIEWS = ("overlay", "mask", "score", "probability", "confidence", "margin", "entropy")
CLASS_VIEWS = ("score", "probability")  # those of one class
MOST_PIXELS = 2_000_000  # of a photograph as it is shown
SIZES = (0, 96, 128, 192, 256, 384, 520)  # short sides in pixels; 0 stands for the one that a model was trained with


@dataclass(frozen=True)
class Selection:
    """The state of the explorer's controls, which determines what it shows.

    Attributes:
        models: names for `load_model`.
        data: name and split of a data set, as "toytown:night test"; or the file name of a photograph.
        index: of the image in the data set; None for a photograph.
        precision, short, view: of `PRECISIONS`, `SIZES` and `VIEWS`.
        class_name: the class of a view in `CLASS_VIEWS`.
    """

    models: tuple[str, ...]
    data: str
    index: int | None = None
    precision: str = PRECISIONS[0]
    short: int = 0
    view: str = "overlay"
    class_name: str = ""


def translated_masks(predictions: Predictions, classes: ClassSet) -> dict[str, Tensor]:
    """Masks uint8 (H,W), translated to these classes after the argmax; 255 where a class has no counterpart."""
    return {name: in_classes(p.mask, p.classes, classes) for name, p in predictions.items()}


def viewer_input(sample: Sample, predictions: Predictions, classes: ClassSet) -> tuple[dict[str, Any], Predictions]:
    """Arguments of `Viewer.show`: the sample with all masks in these classes, the predictions of just these classes."""
    data = scene_data(sample.image, translated_masks(predictions, classes), classes, sample.target)
    return data, {name: p for name, p in predictions.items() if p.classes.names == classes.names}


def iou(masks: Mapping[str, Tensor], target: Tensor, classes: ClassSet) -> pd.DataFrame:
    """IoU of each class (rows) and model (columns) on one image; the last row is the mean.

    Void is ignored; a mask's 255 elsewhere counts as an error. Classes in neither mask nor target are left out.
    """
    columns = {name: iou_of_image(mask, target, len(classes)) for name, mask in masks.items()}
    frame = pd.DataFrame(columns, index=pd.Index(classes.names, name="class")).dropna(how="all")
    frame.loc["mean"] = frame.mean()
    return frame


def class_table(sample: Sample, predictions: Predictions, classes: ClassSet) -> tuple[str, pd.DataFrame]:
    """A title, and the IoU of each class; without a target the fraction of the pixels that are predicted as it."""
    if sample.target is not None:
        return "IoU on this image", iou(translated_masks(predictions, classes), sample.target, classes)
    fractions = pd.DataFrame({name: p.table()["share"] for name, p in predictions.items()}).fillna(0.0)
    return "Fraction of pixels", fractions.sort_values(fractions.columns[0], ascending=False).rename_axis("class")


def figure(predictions: Predictions, view: str = "overlay", class_name: str = "") -> style.Figure:
    """The predictions of several models for one image, side by side; `view` is one of `VIEWS`.

    Raises:
        ValueError: an unknown view; a class that one of the models does not have.
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    columns = min(3, len(predictions))
    if view in ("overlay", "mask"):
        shown = {name: overlay(p.image, p.mask, p.classes) if view == "overlay" else colorize(p.mask, p.classes)
                 for name, p in predictions.items()}  # fmt: skip
        parts = "; ".join(f"{name}: {pictures.describe(p.mask, p.classes)}" for name, p in predictions.items())
        fig = pictures.side_by_side(shown, columns, f"The {view} of each prediction. {parts}.")
        first, *others = (p.classes for p in predictions.values())
        if all(classes == first for classes in others):
            pictures.legend(fig, first, *(p.mask for p in predictions.values()))
        return fig
    unit = f"{view} of {class_name}" if view in CLASS_VIEWS else "entropy in bits" if view == "entropy" else view
    if view in CLASS_VIEWS:
        planes = {name: (p.scores if view == "score" else p.probs)([class_name])[0] for name, p in predictions.items()}
    else:
        planes = {name: getattr(p, view)() for name, p in predictions.items()}
    limits = (0.0, 1.0) if view in ("probability", "confidence", "margin") else None
    return pictures.heat_maps(planes, columns, limits, diverging=view == "score", unit=unit)


def downsized(photo: Picture, most: int = MOST_PIXELS) -> tuple[Tensor, str]:
    """A photograph, uint8 (3,H,W), with at most so many pixels; and a sentence if it had more."""
    from torchvision.transforms.v2 import functional as F

    image = to_image(photo)
    height, width = image.shape[1:]
    if height * width <= most:
        return image, ""
    size = [round(side * (most / (height * width)) ** 0.5) for side in (height, width)]
    note = f"The photograph has {height} × {width} pixels and is shown with {size[0]} × {size[1]}; "
    return F.resize(image, size, antialias=True), note + "`seglab predict` keeps the size."


def code(selection: Selection) -> str:
    """Python code for a notebook that makes the same figure."""
    s = selection
    name, _, split = s.data.partition(" ")
    precision = "" if s.precision == PRECISIONS[0] else f", precision={s.precision!r}"
    class_name = f", {s.class_name!r}" if s.view in CLASS_VIEWS else ""
    photo = s.index is None
    return "\n".join([
        f"from seglab import {'' if photo else 'load_dataset, '}load_model, predict",
        "from seglab.viz.widgets import views",
        "",
        f"image, _ = views.downsized({s.data!r})  # the path of the photograph" if photo else
        f"image = load_dataset({name!r}, {split!r})[{s.index}].image",
        f"models = {{name: load_model(name) for name in {list(s.models)}}}",
        *(["for model in models.values():", f"    model.short = {s.short}"] if s.short else []),
        f"predictions = {{name: predict(model, image{precision}) for name, model in models.items()}}",
        f"views.figure(predictions, {s.view!r}{class_name})",
    ])  # fmt: skip


def mask_png(prediction: Prediction) -> bytes:
    """The mask of a prediction as a label map in PNG, see `data.labels.write_mask`."""
    buffer = BytesIO()
    write_mask(buffer, prediction.mask, prediction.classes)
    return buffer.getvalue()


def download_link(file_name: str, text: str, kind: str, content: bytes) -> str:
    """An HTML link that saves a file of this media type where the browser runs. The kernel writes no file."""
    name, encoded = html.escape(file_name, quote=True), base64.b64encode(content).decode()
    link = f'style="text-decoration: underline" download="{name}" href="data:{kind};base64,{encoded}"'
    return f"<a {link}>{html.escape(text)}</a>"
