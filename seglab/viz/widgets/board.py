"""The data of a board: the confusion counts of every image, packed for a browser, and the numbers that follow.

`js/counts.js` computes the same numbers in the browser, for any class and model.
"""

import base64
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from seglab import metrics
from seglab.evaluation.evaluators import CALIBRATION
from seglab.evaluation.results import Results
from seglab.metrics.measures import ratio

OTHER = "other"  # column of a confusion matrix: predictions of none of the evaluated classes
THUMBNAIL = 112, 76  # pixels, the largest width and height


def tables(results: Results) -> dict[str, Any]:
    """The data of a board, as JSON types, without pictures; `js/counts.js` describes the form.

    IoU and confusion (in fractions of the target's pixels) are over all images and seeds, counts of the first seed.
    """
    confusions = {name: results.confusion(name) for name in results.names}
    columns = max((list(table.columns) for table in confusions.values()), key=len)
    fractions = {}
    for name, table in confusions.items():
        counts = table.reindex(columns=columns, fill_value=0)
        fractions[name] = [_rounded(row) for row in counts.div(counts.sum(axis=1), axis=0).to_numpy(float)]
    confidences = [confidence(results, name) for name in results.names]
    return {
        "models": results.names, "classes": results.evaluated, "columns": columns, "confusion": fractions,
        "iou": {name: _rounded(results.grouped.iou[name].mean(axis=0)) for name in results.names},
        "images": results.images["id"].tolist(), "counts": [_counts(results, name) for name in results.names],
        "confidence": [None if np.isnan(values).all() else _rounded(values) for values in confidences],
        "thumbs": {}, "inside": None,
    }  # fmt: skip


def _counts(results: Results, name: str) -> str:
    """The counts of a model: image as differences, target · (K + 1) + prediction, pixels; see `packed`."""
    image, target, pred, pixels = results.measurements.pixels[results.runs_of(name)[0]]
    order = np.argsort(image, kind="stable")
    pair = target * (len(results.evaluated) + 1) + pred
    return packed([np.diff(image[order], prepend=0), pair[order], pixels[order]])


def packed(columns: Sequence[ArrayLike]) -> str:
    """Columns of integers 0 … 2³² − 1 of one length as base64 of deflated bytes: of each column first all low bytes."""
    planes = [np.asarray(column).astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes() for column in columns]
    return base64.b64encode(zlib.compress(b"".join(planes), 9)).decode()


def confidence(results: Results, name: str) -> NDArray[np.float64]:
    """(images,) the mean confidence of a model (first seed) on each image, 0–1; NaN where none was counted."""
    bins = results.tables.bins
    rows = bins[(bins["run"] == results.runs_of(name)[0]) & (bins["kind"] == CALIBRATION)]
    sums = rows.groupby("image")[["a", "c"]].sum().reindex(results.images.index, fill_value=0).to_numpy(float)
    return ratio(sums[:, 1] / metrics.FIXED_POINT, sums[:, 0])


def numbers(results: Results, name: str, target: str, pred: str | None = None) -> pd.DataFrame:
    """The columns of a board's table for one cell; a row for each image.

    Returns:
        id, group; pixels of the cell, see `Results.where`; iou of the class `target`; miou; size, the fraction of the
        labelled pixels that are of this class; confidence; disagreement, the highest minus the lowest mIoU of the
        models (NaN for one model). All of the first seed.
    """
    firsts = {model: results.parts[results.runs_of(model)[0]] for model in results.names}
    k, parts, images = results.evaluated.index(target), firsts[name], results.images.reset_index(drop=True)
    mious = pd.DataFrame({model: pd.DataFrame(metrics.iou(each)).mean(axis=1) for model, each in firsts.items()})
    pixels = results.where(name, target, pred).set_index("id")["pixels"].reindex(images["id"], fill_value=0)
    return images.assign(
        pixels=pixels.to_numpy(), iou=metrics.iou(parts)[:, k], miou=mious[name],
        size=ratio(parts[:, k, 1].astype(float), parts[..., 1].sum(axis=1).astype(float)),
        confidence=confidence(results, name),
        disagreement=(mious.max(axis=1) - mious.min(axis=1)).where(mious.count(axis=1) > 1),
    )  # fmt: skip


def worst_first(results: Results) -> list[int]:
    """All images with an error, as positions in `results.images`, the worst of each class and model (first seed) first.

    The worst image of a class is the one with most pixels of errors: FP and FN.
    """
    ranked = []
    for name in results.names:
        hits, target, pred = np.moveaxis(results.parts[results.runs_of(name)[0]], -1, 0)
        errors = target + pred - 2 * hits
        order = np.argsort(-errors, axis=0, kind="stable")
        ranked.append(np.where(np.take_along_axis(errors, order, 0) > 0, order, -1))
    found = np.stack(ranked, axis=-1).ravel()  # (images, classes, models)
    return list(dict.fromkeys(found[found >= 0].tolist()))


def thumbnail(image: Tensor) -> str:
    """A small picture of uint8 (3,H,W) as a data URL: WebP of at most `THUMBNAIL` pixels."""
    return _webp(image, 65, THUMBNAIL)


def photograph(image: Tensor) -> str:
    """uint8 (3,H,W) as a data URL: WebP that shows no artefacts, in a third of the bytes of a PNG or less."""
    return _webp(image, 88)


def _webp(image: Tensor, quality: int, most: tuple[int, int] | None = None) -> str:
    picture, buffer = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()), BytesIO()
    if most:
        picture.thumbnail(most)
    picture.save(buffer, "webp", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _rounded(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
