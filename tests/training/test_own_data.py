"""`seglab train` on your own data: splits, choices that are printed, and options that the user states."""

import re

import pytest
from helpers.own import leaves
from typer.testing import CliRunner

from seglab.__main__ import app
from seglab.training import loop
from seglab.training.recipe import Recipe

NAMES = [f"{group}_{k}" for group in "adgjm" for k in (1, 2)]


class Fitted(ValueError):
    """Ends the command where the training would begin."""


@pytest.fixture
def train(monkeypatch, tmp_path):
    """The command up to the training: its output and the arguments of `fit`."""
    calls = []

    def fit(*arguments, **_):
        calls.append(arguments)
        raise Fitted("the training would begin")

    monkeypatch.setattr(loop, "fit", fit)

    def command(folder, *options):
        calls.clear()
        arguments = ["train", "unet_mini", "--data", str(folder), "--out", str(tmp_path / "run"), *map(str, options)]
        shown = CliRunner().invoke(app, arguments, terminal_width=200)
        return shown.output, calls[0] if calls else None

    return command


def test_a_card_without_splits_is_divided_by_group(train, tmp_path):
    """Deterministically, into four fifths and one fifth of the groups."""
    folder = leaves(tmp_path / "leaves", NAMES, "groups: '^(.)_'", scale=24)
    output, (_, first, val, recipe, _) = train(folder)
    assert "split: 8 images in 4 groups for training and 2 images in 1 group for validation, by group" in output
    assert "state it in dataset.yaml, as splits: {train: 0.8, val: 0.2, seed: 0}" in output
    assert not set(first.groups) & set(val.groups) and sorted(first.ids + val.ids) == sorted(NAMES)
    assert (first.split, val.split) == ("train", "val")
    _, (_, again, *_) = train(folder)
    assert again.ids == first.ids
    assert "crops:" in output and "class weights: none" in output and "epochs: 20, each with 50 crops" in output
    assert recipe == Recipe(repeats=50, size=(192, 256), resolution="fit")


def test_a_folder_without_a_card_is_divided_in_the_same_way(train, tmp_path):
    folder = leaves(tmp_path / "leaves", NAMES, scale=24)
    (folder / "dataset.yaml").unlink()
    output, (_, first, val, *_) = train(folder)
    assert "by group, because the data state no division; to evaluate on the same images, state it" in output
    assert len(first) == 8 and len(val) == 2


def test_splits_of_the_card_are_used(train, tmp_path):
    folder = leaves(tmp_path / "leaves", ["a", "b", "c"], "splits: {train: [b, c], val: [a]}", scale=24)
    output, (_, first, val, *_) = train(folder)
    assert first.ids == ("b", "c") and val.ids == ("a",) and "as the data state" in output
    output, (_, first, val, *_) = train(folder, "--split", "val", "train")
    assert first.ids == ("a",) and val.ids == ("b", "c") and "split:" not in output


def test_all_images_are_for_training_where_val_names_other_data(train, tmp_path):
    folder = leaves(tmp_path / "leaves", ["a", "b"], scale=24)
    other = leaves(tmp_path / "other", ["x", "y"], "splits: {train: [x], val: [y]}", scale=24)
    output, (_, first, val, *_) = train(folder, "--val", other)
    assert first.ids == ("a", "b") and val.ids == ("y",) and "--val names other data" in output


def test_one_group_is_not_divided(train, tmp_path):
    folder = leaves(tmp_path / "leaves", ["a_1", "a_2"], "groups: '^(.)_'", scale=24)
    output, fitted = train(folder)
    assert fitted is None and "2 fractions need at least as many groups, and 2 images have 1" in output


def test_stated_options_win_and_are_not_explained(train, tmp_path):
    folder = leaves(tmp_path / "leaves", NAMES, scale=24)
    stated = ["--size", "48", "64", "--resolution", "fit", "--weights", "inverse", "--epochs", "3", "--batch", "2"]
    output, (*_, recipe, _) = train(folder, *stated)
    assert recipe == Recipe(size=(48, 64), weights="inverse", epochs=3, batch=2)
    assert not re.search("crops:|weights:|epochs:", output) and "split:" in output


def test_images_that_cannot_be_used_are_listed_before_the_training(train, tmp_path):
    folder = leaves(tmp_path / "leaves", ["a", "b"], "splits: {train: [a, b], val: [c]}", scale=24)
    leaves(folder, ["c"], "splits: {train: [a, b], val: [c]}", scale=24)
    (folder / "images" / "b.png").write_bytes(b"no image")
    output, fitted = train(folder)
    assert fitted is None and "1 of the training images cannot be used" in output and "b.png" in output
