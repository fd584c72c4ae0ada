"""`seglab train`: its options, its errors, and what happens when it is killed."""

import random
import signal
import time
from dataclasses import fields

import pandas as pd
import pytest
from helpers.tiny_training import SIZE, assert_same_files
from typer.testing import CliRunner

from seglab import load_model
from seglab.__main__ import app
from seglab.training import loop
from seglab.training.recipe import Recipe

TRAIN = ("seglab", "train", "lraspp_mini", "--data", "camvid", "--size", *SIZE, "--batch", 4, "--epochs", 6,
         "--ema", 0.8, "--out")  # fmt: skip


@pytest.mark.slow
def test_killed_and_started_again(start, tmp_path):
    """Killed at three moments: somewhere in an epoch, and twice while files are written."""
    whole = start(*TRAIN, tmp_path / "whole")
    moment = random.Random()
    seed = moment.randrange(1000)
    moment.seed(seed)
    broken, kills = tmp_path / "broken", 0
    for sign, wait in ("state.pt", 0.1), ("last.safetensors", 0.01), ("history.csv", 0.01):
        before = written(broken / sign)
        process = start(*TRAIN, broken)
        while process.poll() is None:
            if written(broken / sign) != before:
                time.sleep(wait * moment.random())
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    output, errors = start(*TRAIN, broken).communicate()
    assert whole.communicate()[0].replace("whole", "broken") == output, (errors, seed)
    assert kills >= 2
    assert_same_files(tmp_path / "whole", broken)
    best = load_model(tmp_path / "whole" / "best.safetensors")
    history = pd.read_csv(broken / "history.csv", index_col="epoch")
    assert output.startswith(f"best after epoch {history['miou'].idxmax()}: mIoU {history['miou'].max():.3f} on camvid")
    assert [line.split()[0] for line in output.splitlines()[1:]] == list(best.classes.names)


def written(path):
    """When a file was last written; None while there is no such file."""
    return path.stat().st_mtime_ns if path.exists() else None


def test_help_and_errors_of_the_command():
    run = CliRunner().invoke(app, ["train", "--help"], terminal_width=120)
    assert run.exit_code == 0
    for words in (
        "After an interruption, the same command continues",
        "torchrun --nproc-per-node",
        "--precision",
        "--freeze",
    ):
        assert words in run.output
    for arguments, words in (
        (["unet_mimi", "--data", "toytown"], "did you mean 'unet_mini'"),
        (["unet_mini", "--data", "toytwon"], "did you mean 'toytown'"),
        (["unet_mini", "--data", "toytown", "--loss", "dyce"], "did you mean 'dice'"),
    ):
        run = CliRunner().invoke(app, ["train", *arguments])
        assert run.exit_code == 1
        assert "✗" in run.output and words in run.output


def test_each_field_of_a_recipe_is_an_option(monkeypatch, tmp_path):
    """With its default; and the value of each option arrives in the recipe."""
    recipes = []
    monkeypatch.setattr(loop, "fit", lambda *arguments, **_: recipes.append(arguments[3]) or exit_early())

    def trained_with(*options):
        arguments = ["train", "unet_mini", "--data", "toytown", "--out", str(tmp_path), *options]
        assert "stop here" in CliRunner().invoke(app, arguments).output
        return recipes.pop()

    def exit_early():
        raise ValueError("stop here")

    assert trained_with() == Recipe()
    changed = Recipe(
        epochs=3, batch=2, repeats=4, size=(64, 96), resolution="native", scale=(0.5, 2.0), flip=0.25,
        jitter=0.1, favour=("pole", "sign"), balance=0.5, optimizer="sgd", lr=0.1, backbone_lr=0.3,
        weight_decay=0.2, warmup=0.3, power=2.0, clip=1.0, ema=0.9, freeze=1, loss="ce+dice",
        weights="median", precision="bfloat16", seed=7,
    )  # fmt: skip
    assert not [field.name for field in fields(Recipe) if getattr(changed, field.name) == field.default]
    options = []
    for field in fields(Recipe):
        value, name = getattr(changed, field.name), f"--{field.name.replace('_', '-')}"
        if field.name == "favour":
            options += [part for label in value for part in (name, label)]
        else:
            options += [name, *map(str, value if isinstance(value, tuple) else [value])]
    assert trained_with(*options) == changed


def test_invalid_values_of_options_are_reported():
    for option, value, words in (
        ("--flip", "1.5", "flip=1.5 in a recipe; expected from 0 to 1"),
        ("--weight-decay", "-1", "weight_decay=-1.0 in a recipe; expected 0 or more"),
    ):
        run = CliRunner().invoke(app, ["train", "unet_mini", "--data", "toytown", option, value])
        assert run.exit_code == 1
        assert "✗" in run.output and words in run.output
