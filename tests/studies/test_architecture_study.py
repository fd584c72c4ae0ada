"""The study of architectures: its models cost the same, its trainings are equal, and its counts are whole."""

from dataclasses import replace

import architectures as study
import numpy as np
import pandas as pd
import pytest

from seglab import load_dataset
from seglab.course.studies import miou_of_architectures, over_seeds, stored_architectures
from seglab.metrics.measures import mean_iou
from seglab.models.adapters import Mask2FormerModel, wrap
from seglab.models.cost import cost


@pytest.mark.parametrize("name", study.FILE["models"])
def test_every_model_has_as_many_multiply_accumulates_and_no_auxiliary_head(name):
    model = study.model_of(name)
    assert cost(model, study.RECIPE.size).macs / 1e9 == pytest.approx(study.STUDY["gmacs"], rel=0.1)
    assert not any("aux_classifier" in key for key in model.state_dict())
    assert isinstance(model, Mask2FormerModel) == (name in study.OWN_LOSS)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Two models, one with a loss of its own; four scenes at 32×32, two learning rates, two seeds and four steps."""
    recipe = replace(study.RECIPE, size=(32, 32), repeats=2, batch=2)
    monkeypatch.setattr(study, "RECIPE", recipe)
    monkeypatch.setitem(study.FILE, "models", {"lraspp": {"width": 1.0}, "unet": {"width": 2}})
    small = {"train": 4, "val": 2, "test": 2, "adapt": 4, "rates": [1e-3, 1e-2], "seeds": 2}
    monkeypatch.setattr(study, "STUDY", study.STUDY | small)
    monkeypatch.setattr(study, "OWN_LOSS", ("lraspp",))  # here it means no more than that it comes last
    monkeypatch.setattr(
        study, "model_of", lambda name: wrap(study.BUILDERS[name](11, False, **study.FILE["models"][name]), "street")
    )
    monkeypatch.setattr(study, "results_dir", lambda: tmp_path)
    monkeypatch.setattr(study, "load_dataset", lambda name, split, size: load_dataset(name, split, size=(32, 32)))
    study.scenes.cache_clear()
    yield tmp_path
    study.scenes.cache_clear()


@pytest.mark.slow
def test_the_study_goes_on_where_it_was_interrupted(tiny, monkeypatch):
    trained, train = [], study.train

    def stop_after_six(run, repeats):
        if len(trained) == 6:
            raise KeyboardInterrupt
        trained.append((run, repeats))
        return train(run, repeats)

    monkeypatch.setattr(study, "train", stop_after_six)
    with pytest.raises(KeyboardInterrupt):
        study.main()
    monkeypatch.setattr(study, "train", lambda run, repeats: (trained.append((run, repeats)), train(run, repeats))[1])
    study.main()
    runs = pd.read_csv(tiny / "architectures_runs.csv")
    best = study.best_rates(runs)
    for name, its in (("unet", trained[:4]), ("lraspp", trained[4:])):
        search = [((name, rate, study.SEARCH_SEED), 1) for rate in (1e-3, 1e-2)]
        assert its == search + [((name, best[name], seed), 2) for seed in (0, 1)]
    assert list(runs["steps"]) == [2, 2, 4, 4] * 2
    counts = pd.read_csv(tiny / "architectures.csv", index_col=study.COUNTED)
    assert counts.shape == (2 * 2 * 4 * 2 * 11, 11)
    assert not counts.index.duplicated().any()
    assert counts.groupby(["model", "seed", "weather", "adapted"]).sum().sum(axis=1).unique().size == 1
    assert not counts.xs(False, level="adapted").equals(counts.xs(True, level="adapted"))


def test_a_training_that_is_done_again_replaces_its_rows(tmp_path):
    path, rows = tmp_path / "runs.csv", pd.DataFrame([("a", 0.0015, 0, 0.3)], columns=[*study.RUN, "val_miou"])
    study.add(path, rows, study.RUN)
    study.add(path, rows.assign(seed=1), study.RUN)
    study.add(path, rows.assign(val_miou=0.4), study.RUN)
    table = pd.read_csv(path).sort_values("seed")
    assert table[["seed", "val_miou"]].to_numpy().tolist() == [[0, 0.4], [1, 0.3]]


def test_the_best_rate_of_each_model_is_chosen_from_the_search_only():
    rows = [("a", 0.1, 100, 0.3), ("a", 0.2, 100, 0.5), ("a", 0.3, 100, 0.4), ("b", 0.1, 100, 0.2), ("a", 0.3, 0, 0.9)]
    assert study.best_rates(pd.DataFrame(rows, columns=[*study.RUN, "val_miou"])) == {"a": 0.2, "b": 0.1}


def test_the_mean_over_seeds_has_an_interval_of_students_t():
    index = pd.MultiIndex.from_tuples([("a", 0), ("a", 1), ("a", 2), ("b", 0)], names=["model", "seed"])
    table = over_seeds(pd.Series([0.4, 0.5, 0.6, 0.7], index))
    half = 4.302653 * 0.1 / np.sqrt(3)  # the quantile of two degrees of freedom
    np.testing.assert_allclose(table.loc["a"], [0.5, 0.5 - half, 0.5 + half], rtol=1e-6)
    assert table.loc["b", "mean"] == 0.7
    assert table.loc["b", ["low", "high"]].isna().all()


def test_what_is_stored_is_whole():
    """Whatever is stored is complete for each training; only a finished study has all trainings."""
    counts, runs = stored_architectures()
    pixels = counts.groupby(["model", "seed", "weather", "adapted"]).sum().sum(axis=1)
    assert pixels.unique().size == 1
    final = runs.drop(study.SEARCH_SEED, level="seed")
    trained = set(final.index.droplevel("lr"))
    assert {(model, seed) for model, seed, *_ in pixels.index} == trained
    assert len(pixels) == len(trained) * len(study.WEATHERS) * 2
    assert final["steps"].unique().size == 1
    best = study.best_rates(runs.reset_index())
    assert all(lr == best[model] for model, lr, _ in final.index)
    model, seed = final.index.droplevel("lr")[0]
    confmat = counts.xs((model, seed, "fog", True), level=study.COUNTED[:4])
    found = miou_of_architectures().xs((model, seed, "fog", True))
    assert found == pytest.approx(mean_iou(confmat))
    if missing := study.todo(runs.reset_index()):
        pytest.skip(f"the study is not finished, next is {missing[0]}: python benchmarks/studies/architectures.py")
