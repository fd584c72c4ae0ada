"""Which bundled weights are there, and which of them are chosen for photographs."""

import shutil

import pytest
from PIL import Image
from skimage.data import chelsea
from typer.testing import CliRunner

from seglab.__main__ import app
from seglab.models.checkpoints import save_model
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.models.spec import ZOO
from seglab.models.weights import cards, zoo


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
