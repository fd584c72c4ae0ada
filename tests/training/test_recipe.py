"""The values of a recipe and its learning rate."""

import subprocess
import sys

import pytest
from helpers.tiny_training import run, small

from seglab import load_model
from seglab.training.recipe import Recipe, learning_rate


def test_importing_it_loads_no_torch():
    code = "import sys; from seglab.training import command, recipe; assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_invalid_recipes_are_refused():
    for wrong, message in {
        "optimizer": "unknown optimizer 'adamv'; did you mean 'adamw'",
        "precision": "unknown precision 'bfloat61'; did you mean 'bfloat16'",
        "weights": "unknown weights 'medain'; did you mean 'median'",
        "loss": "unknown loss 'dyce'; did you mean 'dice'",
    }.items():
        with pytest.raises(ValueError, match=message):
            Recipe(**{wrong: message.split("'")[1]})
    below = {
        "epochs": 0,
        "batch": 0,
        "seed": -1,
        "freeze": -1,
        "jitter": -0.1,
        "weight_decay": -1,
        "power": -1,
        "clip": -1,
        "backbone_lr": -0.1,
    }
    beyond = [("ema", 1.0), ("warmup", 1.0), ("flip", 1.5), ("flip", -0.5), ("ema", -0.1), ("balance", 1.1)]
    for field, value in [*below.items(), *beyond]:
        with pytest.raises(ValueError, match=f"{field}={value} in a recipe; expected"):
            Recipe(**{field: value})
    with pytest.raises(ValueError, match="'dice' takes no class weights"):
        Recipe(loss="dice", weights="median")
    assert Recipe(size=[8, 9]) == Recipe(size=(8, 9))  # JSON has lists only


def test_learning_rate_by_hand():
    model, recipe = small(), Recipe(lr=1.0, warmup=0.5, power=2.0)
    rates = [learning_rate(model, recipe, progress) for progress in (0, 0.25, 0.5, 0.75, 1)]
    assert rates == [0, 0.5, 1, 0.25, 0]
    assert learning_rate(load_model("segformer_mini", weights=None), Recipe(warmup=0), 0) == 1e-3
    assert learning_rate(model, Recipe(warmup=0, optimizer="sgd"), 0) == 0.05
    # Four steps an epoch; each has the rate of its middle, and the history shows the last one's.
    _, history = run(Recipe(epochs=2, batch=2, size=(32, 48), lr=0.01, warmup=0.5, power=2.0))
    assert history["lr"].to_list() == pytest.approx([0.01 * 3.5 / 4, 0.01 * (0.5 / 4) ** 2])
