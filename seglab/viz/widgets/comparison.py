"""Linked views of stored results: from a number to the images behind it."""

from collections.abc import Mapping
from functools import lru_cache
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

MOST = 60  # images that are listed


def compare_models(
    results: Results | str | Path,
    dataset: SegmentationDataset | None = None,
    models: Mapping[str, str | SegModel] | None = None,
) -> "Comparison":
    """Click a class in the IoU table, a cell of the confusion matrix, or a point; see the images where it happens.

    Args:
        results: of one data set; or the path of a store that holds one.
        dataset: by default the one that the results name.
        models: the models behind the names in the results, where a name is not one for `load_model`.

    Raises:
        ValueError: the data set is not here, or another one than the results are about; a model that cannot be loaded.
    """
    measured = results if isinstance(results, Results) else Results.open(results)
    if dataset is None:
        name, _, split = measured.data.partition(" ")
        dataset = load_dataset(name, split or None)
    given = dict(models or {})
    return Comparison(measured, dataset, {name: given.get(name, name) for name in measured.names})


class Board(anywidget.AnyWidget):
    """The table, the matrix and the scatter; `board.js` says what its traits hold."""

    _esm = script("comparison")
    tables = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    found: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)


class Comparison(widgets.VBox):
    """See `compare_models`.

    Attributes:
        board: what is clicked.
        viewer: the image that is shown, with what every model says of it.
        problem: what is wrong, if anything is.
    """

    def __init__(self, results: Results, dataset: SegmentationDataset, models: Mapping[str, str | SegModel]) -> None:
        places = {name: i for i, name in enumerate(dataset.ids)}
        if lost := [name for name in results.images["id"] if name not in places]:
            raise ValueError(
                f"the results are about {results.data}, and {dataset.name} has no image {lost[0]!r}; give dataset=…"
            )
        loaded = {name: load_model(what) if isinstance(what, str) else what for name, what in models.items()}
        self.results, self.dataset, self._places = results, dataset, places
        self._look = lru_cache(maxsize=32)(lambda i: {n: predict(m, dataset[i].image) for n, m in loaded.items()})
        self.problem = widgets.HTML()
        worst = results.worst(results.names[0], 1)["id"].iloc[0]
        first = self._scene(worst)
        self.viewer = Viewer(first[0], {"mode": "swipe", "left": 0, "right": len(first[0]["layers"]) - 1}, first[1])
        hardest = int(np.nanargmin(results.grouped.iou[results.names[0]].mean(axis=0)))
        self.board = Board(tables=tables(results), chosen={"model": 0, "target": hardest, "pred": None}, shown=worst)
        self.board.observe(self._chose, "chosen")
        self.board.observe(self._show, "shown")
        super().__init__([self.board, self.viewer, self.problem])
        self._chose()

    def _chose(self, _: Any = None) -> None:
        """The images where it happens; the first of them is shown."""
        chosen, tables = self.board.chosen, self.board.tables
        pred = None if chosen["pred"] is None else tables["columns"][chosen["pred"]]
        rows = self.results.where(tables["models"][chosen["model"]], tables["classes"][chosen["target"]], pred)
        found: list[Any] = rows.head(MOST).to_dict("records")
        with self.board.hold_sync():
            self.board.found = found
            if found:
                self.board.shown = str(found[0]["id"])

    def _show(self, _: Any) -> None:
        try:
            data, said = self._scene(self.board.shown)
        except (ValueError, KeyError) as error:
            self.problem.value = "This image cannot be shown: " + str(error).replace("<", "&lt;")
            return
        self.problem.value = ""
        self.viewer.show(data, said)

    def _scene(self, image: str) -> tuple[dict[str, Any], dict[str, Any]]:
        place = self._places[image]
        return views.scene(self.dataset[place], self._look(place), self.dataset.classes)


def tables(results: Results) -> dict[str, Any]:
    """What `board.js` shows, JSON-ready: IoU, confusion as shares of the target's pixels, mIoU of each image."""
    confusions = {name: results.confusion(name) for name in results.names}
    columns = max((list(table.columns) for table in confusions.values()), key=len)
    rows = results.per_image().drop_duplicates(["model", "id"])
    miou = {name: rows.loc[rows["model"] == name, "miou"].tolist() for name in results.names}
    return {
        "models": results.names, "classes": results.evaluated, "columns": columns,
        "iou": {name: _plain(results.grouped.iou[name].mean(axis=0)) for name in results.names},
        "confusion": {name: [_plain(row) for row in _shares(table.reindex(columns=columns, fill_value=0).to_numpy())]
                      for name, table in confusions.items()},
        "images": results.images["id"].tolist(), "miou": {name: _plain(values) for name, values in miou.items()},
    }  # fmt: skip


def _shares(counts: Any) -> Any:
    whole = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, whole, out=np.full(counts.shape, np.nan), where=whole > 0)


def _plain(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
