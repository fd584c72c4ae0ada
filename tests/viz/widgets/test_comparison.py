"""Linked views without a kernel: every class and every cell leads to the images behind it."""

import json

import numpy as np
import pytest
import torch

from seglab import CLASS_SETS, Results, evaluate, load_dataset, load_model, predict
from seglab.metrics.confusion import confusion_matrix
from seglab.viz.widgets.comparison import Comparison, compare_models, tables

STREET = CLASS_SETS["street"]
MODELS = ["unet_mini:toytown", "fcn_mini:toytown"]


@pytest.fixture(scope="module")
def scenes():
    return load_dataset("toytown", "test").subset(range(4))


@pytest.fixture(scope="module")
def results(scenes, tmp_path_factory):
    return evaluate(MODELS, scenes, tmp_path_factory.mktemp("store") / "a.sqlite", progress=False)


@pytest.fixture(scope="module")
def masks(scenes):
    return {name: [predict(name, sample.image).mask for sample in scenes] for name in MODELS}


def test_tables_equal_the_results(results):
    shown = json.loads(json.dumps(tables(results)))
    assert shown["models"] == MODELS
    assert shown["classes"] == shown["columns"] == list(STREET.names)
    for name in MODELS:
        iou = [np.nan if value is None else value for value in shown["iou"][name]]
        assert iou == pytest.approx(results.iou_table()[name].to_numpy()[:-1], abs=1e-4, nan_ok=True)
        counts = results.confusion(name).to_numpy()
        for row, expected in zip(shown["confusion"][name], counts, strict=True):
            total = expected.sum()
            assert row == ([None] * 11 if total == 0 else pytest.approx(expected / total, abs=1e-4))
    assert shown["images"] == results.images["id"].tolist()
    rows = results.per_image()
    first = rows[rows["model"] == MODELS[1]]["miou"]
    assert shown["miou"][MODELS[1]] == pytest.approx(first.to_numpy(), abs=1e-4)


@pytest.mark.slow
def test_every_class_and_every_cell_of_every_model(results, scenes, masks):
    comparison = compare_models(results, scenes)
    for m, name in enumerate(MODELS):
        each = [confusion_matrix(mask, s.target, 11) for mask, s in zip(masks[name], scenes, strict=True)]
        for t in range(11):
            for p in [None, *range(11)]:
                comparison.board.chosen = {"model": m, "target": t, "pred": p}
                wrong = [int(c[t].sum() + c[:, t].sum() - 2 * c[t, t]) if p is None else int(c[t, p]) for c in each]
                expected = sorted((n for n in wrong if n), reverse=True)
                assert [row["pixels"] for row in comparison.board.found] == expected
                assert {row["id"] for row in comparison.board.found} == {
                    i for i, n in zip(scenes.ids, wrong, strict=True) if n
                }
                if expected:
                    assert (
                        comparison.board.shown == comparison.board.found[0]["id"] == scenes.ids[int(np.argmax(wrong))]
                    )
                assert comparison.problem.value == ""


def test_every_image_is_shown_with_all_predictions(results, scenes, masks):
    comparison = compare_models(results, scenes)
    for i, name in enumerate(scenes.ids):
        comparison.board.shown = name
        assert [layer["name"] for layer in comparison.viewer.data["layers"]] == [*MODELS, "target"]
        assert comparison.viewer.drawing.shape == scenes[i].target.shape
        for model in MODELS:
            assert torch.equal(comparison.viewer.predictions[model].mask, masks[model][i])
    comparison.board.shown = "nowhere"
    assert "cannot be shown" in comparison.problem.value
    comparison.board.shown = scenes.ids[0]
    assert comparison.problem.value == ""


def test_models_and_data_behind_the_names(tmp_path, scenes):
    ours = {"<b>a</b>": load_model(MODELS[0]), "fcn": load_model(MODELS[1])}
    path = tmp_path / "named.sqlite"
    evaluate(ours, scenes, path, progress=False)
    comparison = compare_models(path, models={"<b>a</b>": MODELS[0], "fcn": ours["fcn"]})
    assert isinstance(comparison, Comparison)
    assert comparison.dataset.name == "toytown"
    assert comparison.results.names == ["<b>a</b>", "fcn"]
    with pytest.raises(ValueError, match="unknown model"):
        compare_models(path)
    with pytest.raises(ValueError, match="has no image"):
        compare_models(Results.open(path), load_dataset("toytown", "val"), ours)


def test_where_equals_the_counts(results):
    with pytest.raises(ValueError, match=r"unknown evaluated class 'raod'.*road"):
        results.where(MODELS[0], "raod")
    table = results.where(MODELS[0], "road", "road")
    counts = results.counts
    road = counts[(counts["model"] == MODELS[0]) & (counts["target"] == "road") & (counts["pred"] == "road")]
    assert dict(zip(table["id"], table["pixels"], strict=True)) == dict(zip(road["id"], road["pixels"], strict=True))
    assert table["pixels"].is_monotonic_decreasing
