"""A run that is stopped while it saves, a finished one, and another one in the same folder."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.tiny_training import SIZE, TINY, assert_same_files, equal, run, small, town, without_seconds

from seglab import load_dataset
from seglab.models import checkpoints
from seglab.training import runs
from seglab.training.loop import fit

ALL = {"ema": 0.8, "freeze": 1, "optimizer": "sgd", "balance": 0.7, "backbone_lr": 0.2}


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [{}, ALL], ids=["plain", "all"])
def test_a_run_continues_wherever_saving_stopped(tmp_path, monkeypatch, recipe):
    """Stopped before each single file that is written, a run gives the result of one that never stopped."""
    recipe = replace(TINY, **recipe)
    weights, history = run(recipe, out=tmp_path / "whole")
    writes, stop_at = [0], [0]

    def counted(write):
        def writing(*args, **options):
            writes[0] += 1
            if writes[0] == stop_at[0]:
                raise Killed
            return write(*args, **options)

        return writing

    monkeypatch.setattr(runs, "save_model", counted(checkpoints.save_model))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    stops, finished = 0, False
    while not finished:
        stop_at[0] = stop_at[0] % 9 + 1  # the next write after the one that was stopped last
        writes[0] = 0
        try:
            resumed, again = run(recipe, out=tmp_path / "broken")
            finished = True
        except Killed:
            stops += 1
            assert stops < 40
    assert stops >= 9
    assert equal(weights, resumed)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(again), check_exact=True)
    assert_same_files(tmp_path / "whole", tmp_path / "broken")


def test_a_finished_run_is_read_again(tmp_path):
    weights, history = run(out=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again, history_again = run(model=small(seed=5), out=tmp_path, on_epoch=lambda _: pytest.fail("an epoch was run"))
    assert equal(weights, again)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_another_run_in_the_folder(tmp_path):
    recipe = replace(TINY, epochs=1)
    run(recipe, out=tmp_path)
    with pytest.raises(ValueError, match=r"holds another run \(lr: None instead of 0.1; seed: 0 instead of 3\)"):
        run(replace(recipe, seed=3, lr=0.1), out=tmp_path)
    with pytest.raises(ValueError, match=r"\(norm: None instead of 'group'\)"):
        run(recipe, small("group"), out=tmp_path)
    with pytest.raises(ValueError, match=r"\(start: '' instead of 'zoo'\)"):
        run(recipe, out=tmp_path, start="zoo")
    others = load_dataset("toytown", "train", size=SIZE).subset(range(8, 16))
    larger = load_dataset("toytown", "train", size=(96, 128)).subset(range(8))
    for scenes in (others, larger):
        with pytest.raises(ValueError, match=r"\(train: 'toytown train 8 \w+' instead of 'toytown train 8 \w+'\)"):
            fit(small(), scenes, town("val", 3), recipe, tmp_path, progress=False)


def test_a_run_from_before_a_recipe_had_more_fields_continues(tmp_path):
    """Fields that it lacks have their defaults."""
    _, history = run(TINY, out=tmp_path)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    older = {key: value for key, value in json.loads(saved["identity"]).items() if key not in ("repeats", "resolution")}
    torch.save(saved | {"identity": json.dumps(older)}, tmp_path / "state.pt")
    _, again = run(TINY, out=tmp_path, on_epoch=lambda _: pytest.fail("an epoch was run"))
    pd.testing.assert_frame_equal(history, again)
    with pytest.raises(ValueError, match="repeats: 1 instead of 2"):
        run(replace(TINY, repeats=2), out=tmp_path)
