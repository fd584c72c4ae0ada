"""The pure functions behind the explorer: the predictions for one image as masks, figure, table, code and files."""

import base64
import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from seglab._utils.errors import unknown
from seglab._utils.paths import file_names, slug
from seglab._utils.text import csv_text
from seglab.data.classes import ClassSet
from seglab.data.dataset import Sample
from seglab.data.images import Picture, to_image
from seglab.data.labels import write_mask
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction
from seglab.inference.runtimes.choice import RUNTIMES
from seglab.masks.painting import colorize, overlay
from seglab.metrics.measures import iou_of_image
from seglab.viz import pictures, style
from seglab.viz.widgets.joint import Joint, Predictions, join
from seglab.viz.widgets.viewer import scene_data, voided

VIEWS = ("overlay", "mask", "score", "probability", "confidence", "margin", "entropy")
CLASS_VIEWS = ("score", "probability")  # those of one class
MOST_PIXELS = 2_000_000  # of a photograph as it is shown
SIZES = (0, 96, 128, 192, 256, 384, 520)  # short sides in pixels; 0 stands for the one that a model was trained with


@dataclass(frozen=True)
class Selection:
    """The state of the explorer's controls, which determines what it shows.

    Attributes:
        models: names of models in the menu.
        data: name of a data set in the menu, as "toytown:night test"; or the file name of a photograph.
        index: of the image in the data set; None for a photograph.
        precision, runtime, short, view: of `PRECISIONS`, `RUNTIMES`, `SIZES` and `VIEWS`.
        class_name: the class of a view in `CLASS_VIEWS`.
    """

    models: tuple[str, ...]
    data: str
    index: int | None = None
    precision: str = PRECISIONS[0]
    runtime: str = RUNTIMES[0]
    short: int = 0
    view: str = "overlay"
    class_name: str = ""


def viewer_input(sample: Sample, joint: Joint) -> tuple[dict[str, Any], Predictions]:
    """Arguments of `Viewer.show`: the sample with all masks in the joint classes, and the predictions."""
    return scene_data(sample.image, joint.masks, joint.classes, sample.target, joint.evaluated), joint.predictions


def iou(
    masks: Mapping[str, Tensor], target: Tensor, classes: ClassSet, evaluated: Collection[str] | None = None
) -> pd.DataFrame:
    """IoU of each class (rows) and model (columns) on one image; the last row is the mean.

    Void is ignored; a mask's 255 elsewhere counts as an error. Classes in neither mask nor target are left out.
    `evaluated` names the classes to evaluate, by default all; where the target is another one, it is void.
    """
    counted = [evaluated is None or name in evaluated for name in classes.names]
    target = torch.from_numpy(voided(target, counted))
    columns = {name: iou_of_image(mask, target, len(classes)) for name, mask in masks.items()}
    frame = pd.DataFrame(columns, index=pd.Index(classes.names, name="class"))[counted].dropna(how="all")
    frame.loc["mean"] = frame.mean()
    return frame


def class_table(sample: Sample, joint: Joint) -> tuple[str, pd.DataFrame]:
    """A title, and the IoU of each evaluated class; without a target or such a class the fractions of pixels."""
    if sample.target is not None and joint.evaluated:
        masks = {name: mask for name, mask in joint.masks.items() if name not in joint.foreign}
        return "IoU on this image", iou(masks, sample.target, joint.classes, joint.evaluated)
    fractions = pd.DataFrame({name: fractions_of(p) for name, p in joint.predictions.items()}).fillna(0.0)
    return "Fraction of pixels", fractions.sort_values(fractions.columns[0], ascending=False).rename_axis("class")


def fractions_of(prediction: Prediction) -> pd.Series:
    """Each predicted class → its fraction of the pixels, as in `Prediction.table`, but without the probabilities."""
    counts = torch.bincount(prediction.mask.flatten(), minlength=len(prediction.classes)).double()
    fractions = pd.Series((counts / counts.sum()).numpy(), prediction.classes.names)
    return fractions[fractions > 0]


def figure(predictions: Predictions, view: str = "overlay", class_name: str = "") -> style.Figure:
    """The predictions of several models for one image, side by side; `view` is one of `VIEWS`.

    Raises:
        ValueError: an unknown view; a class that one of the models does not have.
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    columns = min(3, len(predictions))
    if view in ("overlay", "mask"):
        joint = join(predictions, next(iter(predictions.values())).classes)
        classes, masks = joint.classes, joint.masks
        shown = {name: overlay(p.image, masks[name], classes) if view == "overlay" else colorize(masks[name], classes)
                 for name, p in predictions.items()}  # fmt: skip
        parts = "; ".join(f"{name}: {pictures.describe(mask, classes)}" for name, mask in masks.items())
        fig = pictures.side_by_side(shown, columns, f"The {view} of each prediction. {parts}.")
        pictures.legend(fig, classes, *masks.values())
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


def code(selection: Selection, data: str | None, models: Mapping[str, str | None]) -> str:
    """Python code for a notebook that makes the same figure.

    Args:
        data, models: the expressions for the data set and, by name, for the models; None for an object that `explore`
            was given, whose place in the code is marked by `...`.
    """
    s, photo = selection, selection.index is None
    options = "" if s.precision == PRECISIONS[0] else f", precision={s.precision!r}"
    options += "" if s.runtime == RUNTIMES[0] else f", runtime={s.runtime!r}"
    class_name = f", {s.class_name!r}" if s.view in CLASS_VIEWS else ""
    return "\n".join([
        f"from seglab import {'' if photo else 'load_dataset, '}load_model, predict",
        "from seglab.viz.widgets import views",
        "",
        *([f"image, _ = views.downsized({s.data!r})  # the path of the photograph"] if photo else
          [f"dataset = {data or '...  # the data set that explore was given'}", f"image = dataset[{s.index}].image"]),
        "models = {",
        *(f"    {name!r}: {models[name] or '...'},{'' if models[name] else '  # the model that explore was given'}"
          for name in s.models),
        "}",
        *(["for model in models.values():", f"    model.short = {s.short}"] if s.short else []),
        f"predictions = {{name: predict(model, image{options}) for name, model in models.items()}}",
        f"views.figure(predictions, {s.view!r}{class_name})",
    ])  # fmt: skip


def mask_png(prediction: Prediction) -> bytes:
    """The mask of a prediction as a label map in PNG, see `data.labels.write_mask`."""
    buffer = BytesIO()
    write_mask(buffer, prediction.mask, prediction.classes)
    return buffer.getvalue()


def files(selection: Selection, predictions: Predictions, figure_png: bytes, table: pd.DataFrame, page: str) -> str:
    """HTML with links that save the figure, the table, the viewer as a page, and each mask with its overlay."""
    stem, names = slug(f"{selection.data}-{selection.index or 0}"), file_names(predictions)
    csv = csv_text(table).encode(errors="backslashreplace")
    links = [
        download_link(f"{stem}-{selection.view}.png", "this view", "image/png", figure_png),
        download_link(f"{stem}.csv", "the table", "text/csv", csv),
        download_link(f"{stem}.html", "the masks as a page", "text/html", page.encode(errors="backslashreplace")),
    ]
    rows = [f"Save {', '.join(links)}."]
    for name, p in predictions.items():
        mask = download_link(f"{stem}-{names[name]}.png", "mask", "image/png", mask_png(p))
        over = download_link(f"{stem}-{names[name]}-overlay.jpg", "overlay", "image/jpeg", overlay_jpeg(p))
        rows.append(f"{html.escape(name)}: {mask}, {over}")
    return "<br>".join(rows)


def overlay_jpeg(prediction: Prediction) -> bytes:
    """The overlay of a prediction on its image as JPEG."""
    buffer = BytesIO()
    painted = overlay(prediction.image, prediction.mask, prediction.classes).permute(1, 2, 0).contiguous()
    Image.fromarray(painted.numpy()).save(buffer, "jpeg", quality=92)
    return buffer.getvalue()


def download_link(file_name: str, text: str, kind: str, content: bytes) -> str:
    """An HTML link that saves a file of this media type where the browser runs. The kernel writes no file."""
    name, encoded = html.escape(file_name, quote=True), base64.b64encode(content).decode()
    link = f'style="text-decoration: underline" download="{name}" href="data:{kind};base64,{encoded}"'
    return f"<a {link}>{html.escape(text)}</a>"
