"""The bundled weights are those of their cards, and which of them are chosen for photographs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import chelsea
from typer.testing import CliRunner

from seglab import load_model
from seglab.__main__ import app
from seglab._utils import hashing
from seglab.models.checkpoints import save_model
from seglab.models.registry import MODELS
from seglab.models.spec import ZOO
from seglab.models.weights import cards, zoo

NAME = "unet_mini-toytown"


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A copy of the weights and of their card, in the place of the zoo."""
    folder = tmp_path / "data" / "zoo"
    folder.mkdir(parents=True)
    for suffix in (".safetensors", ".json"):
        shutil.copy(zoo.zoo_dir() / f"{NAME}{suffix}", folder)
    monkeypatch.setattr(zoo, "share_dir", lambda: tmp_path)
    return folder / f"{NAME}.safetensors"


def test_a_flipped_bit_in_bundled_weights_is_never_silent(copy):
    content = copy.read_bytes()
    load_model("unet_mini:toytown", device="cpu")
    for second, place in enumerate(np.random.default_rng(0).integers(0, 8 * len(content), 60).tolist()):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        copy.write_bytes(damaged)
        os.utime(copy, (second, second))  # clocks of file systems may be coarser than this loop is fast
        with pytest.raises(ValueError, match=r"is damaged: its SHA-256 is not the one in unet_mini-toytown\.json"):
            zoo.verify(copy)
    for name in ("unet_mini:toytown", copy):
        with pytest.raises(ValueError, match="is damaged"):
            load_model(name, device="cpu")
    copy.write_bytes(content)
    load_model("unet_mini:toytown", device="cpu")


def test_weights_are_hashed_once_for_each_state_of_the_file(copy):
    zoo.verify(copy)
    before = hashing._sha256_of_state.cache_info().misses
    zoo.verify(copy)
    assert hashing._sha256_of_state.cache_info().misses == before


@pytest.mark.parametrize("change", [
    "", "[]", "{", "[" * 100_000, {"sha256": 5}, {"measured": []}, {"measured": {}}, {"minutes": "5"},
    {"command": None}, {"measured": {"miou": "a", "data": "b", "iou": {}, "convention": "c"}},
], ids=lambda change: str(change)[:40])  # fmt: skip
def test_damaged_cards_are_named(copy, change):
    path = copy.with_suffix(".json")
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | change) if isinstance(change, dict) else change)
    for use in (lambda: load_model("unet_mini:toytown", device="cpu"), lambda: cards.page("unet_mini")):
        with pytest.raises(ValueError, match=r"unet_mini-toytown\.json is damaged \(.*\); restore the file"):
            use()


@pytest.fixture
def other_zoo(tmp_path, monkeypatch):
    """A folder of bundled weights with those of one street model."""
    shutil.copy(zoo.zoo_path("unet_mini", "camvid"), tmp_path)
    for module in (zoo, cards):
        monkeypatch.setattr(module, "zoo_dir", lambda: tmp_path)
    return tmp_path


def test_the_first_model_whose_weights_are_there(other_zoo):
    assert zoo.photograph_model() == "unet_mini:camvid"
    (other_zoo / "deeplabv3plus_lite-photographs.safetensors").touch()
    assert zoo.photograph_model() == "deeplabv3plus_lite:photographs"
    (other_zoo / "unet_lite-photographs.safetensors").touch()
    assert zoo.photograph_model() == "unet_lite:photographs"
    for path in other_zoo.iterdir():
        path.unlink()
    assert zoo.photograph_model() == "unet_mini:camvid"


def test_the_models_for_photographs_are_rows():
    for model, _, weights in (name.partition(":") for name in zoo.PHOTOGRAPH_MODELS):
        assert MODELS[model].weights[weights].source == ZOO


def test_predict_uses_the_best_model_for_photographs(other_zoo, tmp_path):
    """And lists its classes."""
    arguments = ["predict", str(tmp_path / "cat.png"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    Image.fromarray(chelsea()[::4, ::4]).save(tmp_path / "cat.png")
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert "unet_mini:camvid predicts 11 classes: sky, building" in run.output
    model = load_model("deeplabv3plus_lite", weights=None, classes="photographs", device="cpu")
    save_model(model, other_zoo / "deeplabv3plus_lite-photographs.safetensors", half=True)
    run = CliRunner().invoke(app, [*arguments[:3], str(tmp_path / "again")])
    assert run.exit_code == 0, run.output
    expected = "predicts 7 classes: background, person, cat, dog, horse, cow, sheep"
    assert f"deeplabv3plus_lite:photographs {expected}" in run.output


def test_absent_weights_are_named(other_zoo):
    with pytest.raises(ValueError, match=r"unet_mini-nuclei.safetensors is missing; .*train unet_mini:nuclei"):
        load_model("unet_mini:nuclei")
    assert cards.table().loc["unet_mini", "available"] == "camvid"
    assert "not available: the file of the weights is missing" in cards.page("unet_mini")["unet_mini:nuclei"]
