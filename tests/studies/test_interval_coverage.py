"""The study of intervals: what is stored holds, and its small version does, too."""

import interval_coverage as study
import numpy as np
import pytest
import torch

from seglab import load_model
from seglab.course.studies import stored_coverage
from seglab.data.toytown import scene as toytown
from seglab.data.transforms import normalize
from seglab.masks.argmax import to_mask
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import parts
from seglab.models.checkpoints import save_model


def pool(scenes, seed=0):
    """Parts (2, N, 11, 3) of two models on random scenes: rare classes, hard scenes, objects that are missed."""
    dice = np.random.default_rng(seed)
    frequency = np.r_[np.ones(5), np.linspace(0.9, 0.4, 6)]
    target = np.exp(dice.normal(6, 1, (scenes, 11))) * (dice.random((scenes, 11)) < frequency)
    hard = dice.normal(size=(scenes, 1))
    models = []
    for skill in (1.2, 0.6):
        share = 1 / (1 + np.exp(-skill - hard - dice.normal(size=target.shape)))
        hits = target * np.where(dice.random(target.shape) < 0.1, 0, share)
        wrong = dice.permuted(target - hits, axis=1)  # what is missed of one class is called another
        models.append(np.stack([hits, target, hits + wrong], axis=-1))
    return np.array(models).astype(int)


def test_intervals_hold_what_they_promise_on_sixty_small_test_sets():
    table, truth = study.study(pool(60 * 30))
    found = study.coverage(table, truth).xs(30, level="n")
    assert list(found.index) == [*study.MODELS, "difference"]
    assert (found["sets"] == 60).all()
    assert (found["holds"] >= 0.88).all()
    first, second, difference = truth
    assert difference == pytest.approx(first - second)
    for _, width in study.coverage(table, truth)["width"].groupby("what"):
        assert (np.diff(width) < 0).all()  # more images, shorter intervals


def test_scenes_are_judged_and_kept(tmp_path, monkeypatch):
    for name, value in {"CHUNK": 4, "BATCH": 2, "SIZE": (32, 48)}.items():
        monkeypatch.setattr(study, name, value)
    models = []
    for name in study.MODELS:
        torch.manual_seed(3)
        models.append(load_model(name, weights=None, classes="street", device="cpu"))
        (tmp_path / name).mkdir()
        save_model(models[-1], tmp_path / name / "best.safetensors")
    threads = torch.get_num_threads()
    study.count_chunk((1, tmp_path))
    torch.set_num_threads(threads)
    kept = np.load(study.parts_file(1, tmp_path))
    assert kept.shape == (2, 4, 11, 3)
    for i in range(4):
        scene = toytown.scene(study.FIRST + 4 + i, (32, 48))
        for m, model in enumerate(models):
            with torch.inference_mode():
                scores = model(normalize(torch.from_numpy(scene.image)[None]))
            table = parts(confusion_matrix(to_mask(scores, size=(32, 48))[0], torch.from_numpy(scene.target), 11))
            assert np.abs(kept[m, i] - table).sum() <= 4  # the fast path may differ in a pixel


def test_stored_intervals_hold_the_truth_at_least_93_times_in_a_hundred():
    table, truth = stored_coverage()
    assert len(table) == 3 * len(study.SIZES) * study.SETS
    assert not table.duplicated(["n", "set", "what"]).any()
    found = study.coverage(table, truth)
    assert (found["sets"] == study.SETS).all()
    assert (found["holds"] >= 0.93).all()
    assert (found["holds"] <= 0.975).all()  # nor are they longer than need be
    means = table.query("n == 100").groupby("what")["value"].mean()
    assert means.to_dict() == pytest.approx(truth.to_dict(), abs=5e-4)
