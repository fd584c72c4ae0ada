"""The board of a page: which images it holds, and how large it becomes."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers.reports import TWO_MODELS

from seglab import load_dataset
from seglab.report import build, inside
from seglab.viz.widgets.board import worst_first


@pytest.mark.slow
def test_the_worst_images_with_all_masks_as_many_as_fit(monkeypatch):
    plan = replace(TWO_MODELS, data=TWO_MODELS.data[1:], boundary=False)
    (results,) = build.measure(plan, None, progress=False).values()
    whole = inside.page_board(plan, plan.data[0], results)
    order = worst_first(results)
    assert whole.data["inside"] == order and set(whole.data["thumbs"]) == set(order)
    dataset = load_dataset("toytown:fog", "test")
    for i, scene in whole.scenes.items():
        labels = [
            np.frombuffer(zlib.decompress(base64.b64decode(layer["labels"])), np.uint8) for layer in scene["layers"]
        ]
        assert [layer["name"] for layer in scene["layers"]] == [*results.names, "target"]
        target = dataset[i].target.numpy().ravel()
        assert (labels[2] == target).all()
        for name, mask in zip(results.names, labels, strict=False):
            image = results.counts[(results.counts["model"] == name) & (results.counts["id"] == dataset.ids[i])]
            right = image[image["target"] == image["pred"]]["pixels"].sum()
            assert (mask == target).sum() == right, "the mask of the page is the one that was counted"
    sizes = [len(json.dumps(scene)) for scene in whole.scenes.values()]
    monkeypatch.setattr(inside, "LIMIT", len(json.dumps(whole.data | {"inside": None})) + sizes[0] + sizes[1] // 2)
    assert inside.page_board(plan, plan.data[0], results).data["inside"] == order[:1]
    assert inside.page_board(replace(plan, inside=2), plan.data[0], results).data["inside"] == order[:2]
