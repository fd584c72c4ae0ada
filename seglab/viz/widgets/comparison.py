"""Linked views of stored results: from a number to the images behind it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from numpy.typing import NDArray

from seglab.data.catalogue import DATASETS
from seglab.data.classes import IGNORE_INDEX
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.loading import load_dataset
from seglab.evaluation.results import Results
from seglab.inference.prediction import predict
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model
from seglab.viz.widgets import views
from seglab.viz.widgets.html import script
from seglab.viz.widgets.joint import Joint, join
from seglab.viz.widgets.still import Kept
from seglab.viz.widgets.viewer import PAIRS, Viewer, voided

MOST_LISTED = 60  # images
OTHER = "other"  # column of a confusion matrix: predictions of none of the evaluated classes


def compare_models(
    results: Results | str | Path,
    dataset: SegmentationDataset | None = None,
    models: Mapping[str, str | Path | SegModel] | None = None,
) -> "Comparison":
    """An IoU table, a confusion matrix and a scatter plot; a click on a value shows the images behind it.

    Args:
        results: of one data set; or the path of a store that holds one.
        dataset: by default the one that the results name; your own data have to be given, since results do not state
            their folder.
        models: name in the results → model or checkpoint, where the name is not one for `load_model`.

    Raises:
        ValueError: an argument of another kind; the data set is not on this machine, or not the one of the results; a
            model cannot be loaded.
    """
    expected = {"results": (results, Results | str | Path, "results of evaluate, or the path of a store"),
                "models": (models or {}, Mapping, "{name in the results: model or checkpoint}")}  # fmt: skip
    for argument, (value, kind, example) in expected.items():
        if not isinstance(value, kind):
            raise ValueError(f"{argument}: found an object of type {type(value).__name__}; expected {example}")
    results = results if isinstance(results, Results) else Results.open(results)
    if dataset is None:
        name, _, split = results.data.rpartition(" ")
        if name.partition(":")[0] not in DATASETS or name == "folder":
            raise ValueError(
                f"the results are about your own data {results.data!r}, and do not state its folder; give it, as"
                " compare_models(results, dataset=load_dataset(DIR, SPLIT))"
            )
        dataset = load_dataset(name, split)
    if not isinstance(dataset, SegmentationDataset):
        raise ValueError(f"dataset: found {dataset!r}; expected a data set, as load_dataset(DIR, SPLIT)")
    given = models or {}
    for name in given:
        results.runs_of(name)
    return Comparison(results, dataset, {name: _loaded(name, given.get(name, name)) for name in results.names})


def _loaded(name: str, model: str | Path | SegModel) -> SegModel:
    if isinstance(model, SegModel):
        return model
    try:
        return load_model(model)
    except ValueError as error:
        raise ValueError(
            f"the results name a model {name!r}, which cannot be loaded from {str(model)!r} ({error}); give it, as"
            f" compare_models(results, models={{{name!r}: CHECKPOINT}}), or leave it out: results.select(…)"
        ) from None


class Board(anywidget.AnyWidget):
    """The table, the matrix and the scatter plot; `js/comparison.js` describes its traits."""

    _esm = script("comparison")
    tables = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    found: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)


class Comparison(Kept, widgets.VBox):
    """See `compare_models`: `board` to click on, `viewer` of the image with all predictions, `problem` for errors."""

    def __init__(self, results: Results, dataset: SegmentationDataset, models: Mapping[str, SegModel]) -> None:
        self._index = {image: i for i, image in enumerate(dataset.ids)}
        if missing := [image for image in results.images["id"] if image not in self._index]:
            raise ValueError(
                f"the results are about {results.data}, and {dataset.name} has no image {missing[0]!r}; give dataset=…"
            )
        if dataset.classes.names != results.classes.names:
            raise ValueError(
                f"the results are about {results.data} with the classes {', '.join(results.classes.names)}, and"
                f" {dataset.name} has {', '.join(dataset.classes.names)}; give the data set that was evaluated"
            )
        self.results, self.dataset = results, dataset
        self._predict = lru_cache(maxsize=32)(lambda i: {n: predict(m, dataset[i].image) for n, m in models.items()})
        self.problem = widgets.HTML()
        first = results.names[0]
        hardest = int(np.nanargmin(results.grouped.iou[first].mean(axis=0)))
        worst = str(results.worst(first, 1)["id"].iloc[0])
        self.tables = tables(results)
        self.board = Board(tables=self.tables, chosen={"model": 0, "target": hardest, "pred": None}, shown=worst)
        sample, joint = self._scene(worst)
        data, predictions = views.viewer_input(sample, joint)
        self.viewer = Viewer(data, {"mode": "swipe"}, predictions)
        self.board.observe(self._choose, "chosen")
        self.board.observe(self._show_image, "shown")
        super().__init__([self.board, self.viewer, self.problem])
        self._choose()

    def _choose(self, _: Any = None) -> None:
        """List the images with pixels of the chosen cell; show the first: model on the left, target on the right."""
        try:
            cell = self._cell()
        except (KeyError, IndexError, TypeError):
            self.problem.value = f"There is no such cell: {escape(str(self.board.chosen)):.200}"
            return
        found: list[Any] = self.results.where(*cell).head(MOST_LISTED).to_dict("records")
        with self.board.hold_sync():
            self.board.found = found
            if found:
                self.board.unobserve(self._show_image, "shown")  # it is called below, once
                self.board.shown = str(found[0]["id"])
                self.board.observe(self._show_image, "shown")
        mode = self.viewer.state.get("mode")
        self._show_image(mode=mode if mode in PAIRS else "swipe", left=self.board.chosen["model"],
                         right=len(self.results.names), isolated=cell[1:])  # fmt: skip

    def _show_image(self, _: Any = None, isolated: Sequence[str | None] = (), **state: Any) -> None:
        """Show an image where the chosen cell occurs in it; `isolated` classes alone, if there are any."""
        try:
            sample, joint = self._scene(self.board.shown)
            cell = self._cell()
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self.problem.value = f"This image cannot be shown: {escape(str(error))}"
            return
        if isolated:
            other = OTHER in isolated
            state["hidden"] = [k for k, name in enumerate(joint.classes.names) if name not in isolated
                               and not (other and name not in joint.evaluated)]  # fmt: skip
        region = region_of(joint, sample, *cell)
        if region:
            state["swipe"] = (region[0] + region[2]) / 2 / sample.image.shape[2]
        self.viewer.show(*views.viewer_input(sample, joint), region=region, **state)
        self.problem.value = ""

    def _cell(self) -> tuple[str, str, str | None]:
        """Model, target class and predicted class of the chosen cell; None for all errors of the target class."""
        chosen, shown = self.board.chosen, self.tables
        if any(type(value) is int and value < 0 for value in chosen.values()):
            raise IndexError("a negative index")
        pred = None if chosen["pred"] is None else shown["columns"][chosen["pred"]]
        return shown["models"][chosen["model"]], shown["classes"][chosen["target"]], pred

    def _scene(self, image: str) -> tuple[Sample, Joint]:
        i = self._index[image]
        return self.dataset[i], join(self._predict(i), self.dataset.classes)


def region_of(joint: Joint, sample: Sample, model: str, target: str, pred: str | None) -> list[int] | None:
    """Where a model predicts one class as another: a box [left, top, right, bottom] in pixels; the last two excluded.

    It holds the largest connected region of these pixels (`pred` None: of all errors of the class), or else of the
    target class; None where the image has neither.
    """
    names = joint.classes.names
    counted = [name in joint.evaluated for name in names]
    mask, truth = joint.masks[model].numpy(), voided(sample.target, counted)
    is_target = truth == names.index(target)
    if pred is None:
        chosen = (is_target != (mask == names.index(target))) & (truth != IGNORE_INDEX)
    else:
        chosen = is_target & (voided(mask, counted) == (IGNORE_INDEX if pred == OTHER else names.index(pred)))
    return largest_region(chosen) or largest_region(is_target)


def largest_region(chosen: NDArray[np.bool_]) -> list[int] | None:
    """The box [left, top, right, bottom] around the largest 8-connected region of bool (H,W), None without any."""
    from scipy.ndimage import find_objects, label

    regions, count = label(chosen, np.ones((3, 3)))
    if not count:
        return None
    rows, columns = find_objects(regions)[int(np.bincount(regions.ravel())[1:].argmax())]
    return [columns.start, rows.start, columns.stop, rows.stop]


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
