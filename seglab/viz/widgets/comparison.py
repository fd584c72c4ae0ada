"""Linked views of stored results: from a number to the images behind it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import pandas as pd
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
from seglab.viz.widgets.board import OTHER, numbers, tables, thumbnail
from seglab.viz.widgets.html import script
from seglab.viz.widgets.joint import Joint, join
from seglab.viz.widgets.still import Kept
from seglab.viz.widgets.viewer import PAIRS, Viewer, voided

MOST_ASKED = 60  # thumbnails in one message


def compare_models(
    results: Results | str | Path,
    dataset: SegmentationDataset | None = None,
    models: Mapping[str, str | Path | SegModel] | None = None,
) -> "Comparison":
    """An IoU table, a confusion matrix, a scatter plot and a table of images, beside a viewer of the image shown.

    A click on a value lists the images behind it and shows the first one. Images are sorted and filtered by any number
    (pixels of a cell, IoU of a class, mIoU, size of a class, confidence, disagreement of the models), or selected with
    a lasso among the points; `selection` returns those that are left.

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
    """The views of the counts, left of the viewer.

    Traits:
        tables: see `board.tables`.
        chosen: {"model", "target", "pred"}, indices of a cell; pred is None for all errors of a class. The page adds
            "image", the id of the first image of its list.
        found: [{"id", "pixels"}] the images where the cell occurs, most pixels first.
        shown: id of the image in the viewer.
        selected: indices of the images that the page lists, in its order; None before the page has loaded.
    """

    _esm = script("comparison")
    tables = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)
    found: traitlets.List[dict[str, Any]] = traitlets.List()
    shown = traitlets.Unicode().tag(sync=True)
    selected = traitlets.Any().tag(sync=True)


class Comparison(Kept):
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
        self.board.on_msg(lambda _, message, __: self._send_thumbnails(message))
        for part, kind in ((self.board, "left"), (self.viewer, "right")):
            part.add_class(kind)
        self.problem.layout.width = "100%"
        super().__init__([self.board, self.viewer, self.problem])
        self.add_class("seglab-linked")
        self._choose()

    @property
    def selection(self) -> pd.DataFrame:
        """The images that the board lists, in its order, with the numbers of `board.numbers` for the chosen cell."""
        table, rows = numbers(self.results, *self._cell()), self.board.selected
        if rows is None:  # no page has shown the board
            rows = table.reset_index().set_index("id").loc[[row["id"] for row in self.board.found], "index"]
        return table.iloc[list(rows)].reset_index(drop=True)

    def _choose(self, _: Any = None) -> None:
        """List the images with pixels of the chosen cell; show the first: model on the left, target on the right.

        In the view of true and false positives, which needs no second layer, the class changes there.
        """
        try:
            cell = self._cell()
        except (KeyError, IndexError, TypeError):
            self.problem.value = f"There is no such cell: {escape(str(self.board.chosen)):.200}"
            return
        found: list[Any] = self.results.where(*cell).to_dict("records")
        self.board.found = found
        first = self.board.chosen.get("image") or (found[0]["id"] if found else self.board.shown)
        self.board.unobserve(self._show_image, "shown")  # it is called below, once
        self.board.shown = str(first)
        self.board.observe(self._show_image, "shown")
        mode = self.viewer.state.get("mode")
        self._show_image(mode=mode if mode in (*PAIRS, "outcome") else "swipe", left=self.board.chosen["model"],
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
        state["focus"] = joint.classes.index(cell[1])
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

    def _send_thumbnails(self, message: Any) -> None:
        """Answer the page, which asks for the pictures of the rows in view; what is no index is left out."""
        asked = message.get("images") if isinstance(message, dict) else None
        known = self.results.images["id"].tolist()
        rows = (
            [i for i in asked[:MOST_ASKED] if type(i) is int and 0 <= i < len(known)] if isinstance(asked, list) else []
        )
        thumbs = {i: thumbnail(self.dataset[self._index[known[i]]].image) for i in rows}
        self.board.send({"kind": "thumbs", "thumbs": thumbs})

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
