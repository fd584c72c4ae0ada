"""The study of losses: its tables agree with each other, and its figures say in words what they show."""

from dataclasses import replace

import losses as study
import numpy as np
import pandas as pd
import pytest

from seglab import load_dataset
from seglab.course.studies import stored_losses
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.training.recipe import Recipe
from seglab.viz import grids, intervals


@pytest.fixture(scope="module")
def stored():
    return stored_losses()


def test_every_run_is_stored_with_every_epoch(stored):
    histories, counts = stored
    assert set(counts.index.droplevel("target")) == set(study.runs())
    val, test = (histories.xs(split, level="split") for split in ("val", "test"))
    assert set(test.index.droplevel("epoch")) == set(study.runs())
    epochs = val.groupby(["loss", "seed"]).size()
    assert all(count == study.LOSSES[loss].epochs for (loss, _), count in epochs.items())
    best = val["miou"].groupby(["loss", "seed"]).idxmax()
    assert sorted(best) == sorted(test.index)


def test_stored_measures_are_those_of_the_stored_counts(stored):
    histories, counts = stored
    names = list(counts.columns)
    for (loss, seed, _), row in histories.xs("test", level="split").iterrows():
        confmat = counts.loc[(loss, seed)]
        assert list(confmat.index) == names
        measures = [mean_iou(confmat), pixel_accuracy(confmat), *iou_per_class(confmat)]
        np.testing.assert_allclose(row[["miou", "pixel_accuracy", *names]].to_numpy(float), measures, atol=1e-5)


def test_runs_differ_in_nothing_but_loss_and_length():
    for recipe in study.LOSSES.values():
        assert replace(recipe, loss="ce", weights="none", epochs=study.BASE.epochs) == study.BASE


@pytest.mark.slow
def test_a_training_fills_both_tables_once(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "LOSSES", {"dice": Recipe(epochs=2, batch=4, size=(32, 32), loss="dice")})
    few = {split: load_dataset("toytown", split, size=(32, 32)).subset(range(8)) for split in ("train", "val", "test")}
    monkeypatch.setattr(study, "scenes", lambda split, count: few[split])
    rows, table = study.train(("dice", 7), tmp_path / "runs")
    assert list(rows["split"]) == ["val", "val", "test"]
    assert table.set_index("target").loc[:, "sky":].to_numpy().sum() > 0
    for path, part in ((tmp_path / "a.csv", rows), (tmp_path / "b.csv", table)):
        study.add(path, part)
        once = path.read_bytes()
        study.add(path, part)
        assert path.read_bytes() == once
        assert study.finished(path) == {("dice", 7)}


def test_figures_by_hand():
    plain = grids.value_grid({"p": [[0.25, np.nan]]})
    assert plain.alt == "p: row 1: 0.25, empty"
    assert [text.get_text() for text in plain.axes[0].texts] == ["0.25"]
    change = grids.value_grid(
        {"IoU": pd.DataFrame([[-0.1, 0.2]], ["dice"], ["road", "pole"])}, diverging=True, unit="IoU"
    )
    assert change.alt == "IoU. IoU: columns road, pole. dice: -0.10, 0.20"
    assert [text.get_text() for text in change.axes[0].texts] == ["-0.10", "+0.20"]
    runs = intervals.run_dots(pd.DataFrame({"miou": [0.5, 0.6, 0.7]}, ["ce", "ce", "dice"]))
    assert "miou: ce 0.55 (0.50 to 0.60), dice 0.70 (0.70 to 0.70)" in runs.alt
    assert [list(line.get_xdata()) for line in runs.axes[0].lines[1::2]] == [[0.5, 0.6], [0.7]]
