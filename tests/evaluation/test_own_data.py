"""Evaluation and plans of your own data: names, colours, class sets that disagree."""

import pytest
from helpers.own import leaves
from typer.testing import CliRunner

from seglab import Results, evaluate, load_dataset, load_model
from seglab.__main__ import app
from seglab.models.checkpoints import save_model
from seglab.report.build import measure
from seglab.report.plan import plan_from


@pytest.fixture
def mine(tmp_path):
    return leaves(tmp_path / "mine", card="colors: {leaf: '#00ff00'}\nsplits: {val: [a, b], train: [c, d]}", scale=24)


@pytest.fixture
def model(mine):
    return load_model("unet_mini", None, load_dataset(mine).classes)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], terminal_width=200)


def test_results_have_the_names_and_colours_of_the_card(mine, model, tmp_path):
    dataset = load_dataset(mine, "val")
    evaluate({"m": model}, dataset, tmp_path / "r.sqlite", progress=False)
    results = Results.open(tmp_path / "r.sqlite")
    assert results.data == "mine val" and results.classes.names == ("background", "leaf")
    assert results.classes.colors == dataset.classes.colors and (0, 255, 0) in results.classes.colors


def test_a_model_without_a_class_of_the_data_is_refused(mine):
    with pytest.raises(
        ValueError, match=r"unet_mini.* predicts other classes \(sky, .*than mine 'mine' has \(background, leaf\)"
    ):
        evaluate("unet_mini:toytown", load_dataset(mine), progress=False)


def test_a_class_set_that_disagrees_with_a_checkpoint_is_refused(mine, model, tmp_path):
    save_model(model, tmp_path / "m.safetensors")
    shown = run("evaluate", tmp_path / "m.safetensors", "--data", "folder", "--root", mine, "--classes", "pets",
                "--store", tmp_path / "r.sqlite")  # fmt: skip
    assert shown.exit_code == 1 and "predicts other classes (background, leaf) than folder 'pets'" in shown.output
    shown = run(
        "evaluate", tmp_path / "m.safetensors", "--data", mine, "--classes", "pets", "--store", tmp_path / "r.sqlite"
    )
    assert shown.exit_code == 1 and "'pets' has background, pet" in shown.output
    shown = run("predict", mine / "images" / "a.png", "--model", tmp_path / "m.safetensors", "--data", "pets")
    assert shown.exit_code == 1 and "the classes background, pet, and the model background, leaf" in shown.output


def test_two_data_sets_of_one_name_are_not_mixed(mine, model, tmp_path):
    other = leaves(tmp_path / "other" / "mine", ["x"], "splits: {val: [x]}", scale=24)
    evaluate({"a": model}, load_dataset(mine, "val"), tmp_path / "r.sqlite", progress=False)
    with pytest.raises(ValueError, match="cannot be compared"):
        evaluate({"b": model}, load_dataset(other, "val"), tmp_path / "r.sqlite", progress=False)
    plan = plan_from({"models": ["unet_mini:toytown"], "data": [str(mine), str(other)]})
    with pytest.raises(ValueError, match="two data sets of the plan are named 'mine'; state another name:"):
        measure(plan, None, progress=False)


def test_a_plan_stores_paths_from_the_root(mine, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(model, "m.safetensors")
    plan = plan_from({"models": ["m.safetensors"], "data": ["mine", "toytown"], "predictions": {"p": "maps"}})
    assert [data.name for data in plan.data] == [str(mine), "toytown"]
    assert plan.models == {"m.safetensors": (str(tmp_path / "m.safetensors"),)}
    assert plan.predictions == {"p": str(tmp_path / "maps")}
    assert plan.heading() == "2 models on mine, Toytown"


def test_the_label_of_a_trained_model_names_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leaves(tmp_path / "my leaves", card="splits: {train: [a, b, c], val: [d]}", scale=24)
    shown = run("train", "unet_mini", "--data", "my leaves", "--epochs", 1, "--size", 48, 48, "--batch", 3)
    assert shown.exit_code == 0, shown.output
    assert load_model(tmp_path / "runs" / "unet_mini-my-leaves-0" / "best.safetensors").label == "unet_mini:my leaves"
