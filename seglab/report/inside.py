"""The board of a page: the counts of all images of a data set, and the worst images of each class with all masks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seglab.data import translation
from seglab.data.loading import DataSelection
from seglab.evaluation.results import Results
from seglab.report.findings import predictions_of, worst_images
from seglab.report.page import SCENE
from seglab.report.plan import Plan
from seglab.viz.widgets.board import photograph, tables, thumbnail, worst_first
from seglab.viz.widgets.viewer import scene_data

LIMIT = 12_500_000  # bytes of all boards of a page; figures and other viewers need the rest of 15 MB
MOST = 60  # images of a data set, unless the plan states a number
THUMBNAILS = 1500  # of a data set


@dataclass(frozen=True, repr=False)
class PageBoard:
    """A board that works in the page; its table of the worst images replaces it in print and without the script."""

    data: dict[str, Any]  # see `board.tables`
    scenes: Mapping[int, Any]  # position in the results → data of a viewer
    worst: pd.DataFrame

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        content = {"data": self.data, "scenes": self.scenes}
        return {"text/plain": "a board", "text/html": self.worst.to_html(index=False), SCENE: content}


def page_board(plan: Plan, selection: DataSelection, results: Results) -> PageBoard:
    """The board of one data set of a plan.

    Images are added from the worst of each class and model on, see `board.worst_first`: `plan.inside` of them; by
    default `MOST`, or as many as fit into the part of `LIMIT` that each data set has.
    """
    data, order = tables(results), worst_first(results)
    dataset = selection.load()
    positions = results.images.index.tolist()
    data["thumbs"] = {i: thumbnail(dataset[positions[i]].image) for i in order[:THUMBNAILS]}
    left = LIMIT // len(plan.data) - _size(data)
    chosen = order[: MOST if plan.inside is None else plan.inside]
    ids, scenes = results.images["id"].tolist(), {}
    for i, (sample, said) in zip(chosen, predictions_of(plan, selection, [ids[i] for i in chosen]), strict=True):
        masks = {name: translation.in_classes(*said[name], results.classes, plan.mapping) for name in results.names}
        scene = scene_data(sample.image, masks, results.classes, sample.target, results.evaluated)
        scene["image"] = photograph(sample.image)
        left -= _size(scene)
        if left < 0 and plan.inside is None:
            break
        scenes[i] = scene
    return PageBoard(data | {"inside": list(scenes)}, scenes, worst_images(results))


def _size(part: Any) -> int:
    return len(json.dumps(part))
