"""Linked views of stored results: from a number to the images behind it."""

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets

from seglab.data.dataset import SegmentationDataset
from seglab.data.loading import load_dataset
from seglab.evaluation.results import Results
from seglab.inference.prediction import predict
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model
from seglab.viz.widgets import views
from seglab.viz.widgets.html import script
from seglab.viz.widgets.viewer import Viewer

MOST_LISTED = 60  # images


def compare_models(
    results: Results | str | Path,
    dataset: SegmentationDataset | None = None,
    models: Mapping[str, str | SegModel] | None = None,
) -> "Comparison":
    """An IoU table, a confusion matrix and a scatter plot; a click on a value shows the images behind it.

    Args:
        results: of one data set; or the path of a store that holds one.
        dataset: by default the one that the results name.
        models: name in the results → model, where the name is not one for `load_model`.

    Raises:
        ValueError: the data set is not on this machine, or not the one of the results; a model cannot be loaded.
    """
    results = results if isinstance(results, Results) else Results.open(results)
    if dataset is None:
        name, _, split = results.data.partition(" ")
        dataset = load_dataset(name, split or None)
    return Comparison(results, dataset, {name: (models or {}).get(name, name) for name in results.names})


class Board(anywidget.AnyWidget):
    """The table, the matrix and the scatter plot; `js/comparison.js` describes its traits."""

    _esm = script("comparison")
    tables = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    found: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)


class Comparison(widgets.VBox):
    """See `compare_models`: `board` to click on, `viewer` of the image with all predictions, `problem` for errors."""

    def __init__(self, results: Results, dataset: SegmentationDataset, models: Mapping[str, str | SegModel]) -> None:
        self._index = {image: i for i, image in enumerate(dataset.ids)}
        if missing := [image for image in results.images["id"] if image not in self._index]:
            raise ValueError(
                f"the results are about {results.data}, and {dataset.name} has no image {missing[0]!r}; give dataset=…"
            )
        loaded = {name: load_model(m) if isinstance(m, str) else m for name, m in models.items()}
        self.results, self.dataset = results, dataset
        self._predict = lru_cache(maxsize=32)(lambda i: {n: predict(m, dataset[i].image) for n, m in loaded.items()})
        self.problem = widgets.HTML()
        first = results.names[0]
        worst = results.worst(first, 1)["id"].iloc[0]
        data, predictions = self._viewer_input(worst)
        self.viewer = Viewer(data, {"mode": "swipe", "left": 0, "right": len(data["layers"]) - 1}, predictions)
        hardest = int(np.nanargmin(results.grouped.iou[first].mean(axis=0)))
        self.board = Board(tables=tables(results), chosen={"model": 0, "target": hardest, "pred": None}, shown=worst)
        self.board.observe(self._find_images, "chosen")
        self.board.observe(self._show_image, "shown")
        super().__init__([self.board, self.viewer, self.problem])
        self._find_images()

    def _find_images(self, _: Any = None) -> None:
        """List the images with pixels of the chosen cell, and show the first one."""
        chosen, tables = self.board.chosen, self.board.tables
        pred = None if chosen["pred"] is None else tables["columns"][chosen["pred"]]
        rows = self.results.where(tables["models"][chosen["model"]], tables["classes"][chosen["target"]], pred)
        found: list[Any] = rows.head(MOST_LISTED).to_dict("records")
        with self.board.hold_sync():
            self.board.found = found
            if found:
                self.board.shown = str(found[0]["id"])

    def _show_image(self, _: Any) -> None:
        try:
            self.viewer.show(*self._viewer_input(self.board.shown))
            self.problem.value = ""
        except (ValueError, KeyError) as error:
            self.problem.value = f"This image cannot be shown: {escape(str(error))}"

    def _viewer_input(self, image: str) -> tuple[dict[str, Any], Any]:
        i = self._index[image]
        return views.viewer_input(self.dataset[i], self._predict(i), self.dataset.classes)


def tables(results: Results) -> dict[str, Any]:
    """The content of `Board`, as JSON types: IoU, confusion in fractions of the target's pixels, mIoU of each image."""
    confusions = {name: results.confusion(name) for name in results.names}
    columns = max((list(table.columns) for table in confusions.values()), key=len)
    rows = results.per_image().drop_duplicates(["model", "id"])
    fractions = {}
    for name, table in confusions.items():
        counts = table.reindex(columns=columns, fill_value=0)
        fractions[name] = [_rounded(row) for row in counts.div(counts.sum(axis=1), axis=0).to_numpy(float)]
    return {
        "models": results.names, "classes": results.evaluated, "columns": columns, "confusion": fractions,
        "iou": {name: _rounded(results.grouped.iou[name].mean(axis=0)) for name in results.names},
        "images": results.images["id"].tolist(),
        "miou": {name: _rounded(rows.loc[rows["model"] == name, "miou"]) for name in results.names},
    }  # fmt: skip


def _rounded(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
