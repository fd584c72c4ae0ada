"""The study of small data: every training takes as many steps, and its table says what was trained on."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import small_data as study

from seglab import load_dataset
from seglab.course.studies import results_dir, stored_small_data


@pytest.fixture
def tiny(monkeypatch):
    """Four scenes at 32×32, and one epoch of two steps."""
    few = {split: load_dataset("toytown", split, size=(32, 32)).subset(range(4)) for split in ("train", "test")}
    monkeypatch.setattr(study, "images_of", lambda data, split: few[split])
    monkeypatch.setattr(study, "EPOCH", 8)
    monkeypatch.setattr(study, "RECIPES", {"toytown": replace(study.TOYTOWN, epochs=1, size=(32, 32))})


@pytest.mark.slow
def test_few_images_take_as_many_steps_as_many(tiny, tmp_path):
    path = tmp_path / "small.csv"
    for run in (("unet_mini", "toytown", 2, True, 1), ("fcn_mini", "toytown", 4, False, 0)):
        rows = study.train(run, tmp_path)
        assert list(rows["split"]) == ["train", "test"]
        assert (rows["steps"] == 2).all()
        study.add(path, rows)
        once = path.read_bytes()
        study.add(path, rows)
        assert path.read_bytes() == once
    assert study.finished(path) == {("unet_mini", "toytown", 2, True, 1), ("fcn_mini", "toytown", 4, False, 0)}
    ran = json.loads((tmp_path / "unet_mini-toytown-2-augmented-1" / "run.json").read_text())["run"]
    assert ran["train"].startswith("toytown train 8 ")  # two scenes, four times each
    plain = json.loads((tmp_path / "fcn_mini-toytown-4-plain-0" / "run.json").read_text())["run"]
    assert (plain["flip"], plain["jitter"], plain["scale"]) == (0, 0, [1, 1])
    study.note(path, tmp_path / "fcn_mini-toytown-4-plain-0" / "run.json")
    assert json.loads(path.with_suffix(".json").read_text())["machine"]["threads"] > 0


def test_data_that_are_not_here_are_left_out(monkeypatch, capsys):
    def only_toytown(data, split):
        if data == "membrane":
            raise ValueError("not here")
        return range(1200)

    monkeypatch.setattr(study, "images_of", only_toytown)
    assert {data for _, data, *_ in study.runs()} == {"toytown"}
    assert ("fcn_mini", "toytown", 1200, True, 0) in study.runs()
    assert "membrane is left out: not here" in capsys.readouterr().out


@pytest.mark.skipif(not (results_dir() / "small_data.csv").exists(), reason="run benchmarks/small_data.py first")
def test_what_is_stored_is_whole():
    table, facts = stored_small_data()
    assert (table["steps"] == table["steps"].iloc[0]).all()
    assert table.groupby(["model", "data", "images", "augmented"]).size().eq(2 * study.SEEDS).all()
    toytown = table.xs("toytown", level="data")
    pd.testing.assert_series_equal(
        toytown["miou"], toytown[study.NAMES[:11]].mean(axis=1), check_names=False, atol=1e-4
    )
    assert facts["minutes"] == pytest.approx(table.xs("test", level="split")["minutes"].sum(), abs=0.06)
