"""`load_model`: names of models, weights and classes, and what is refused."""

import inspect
import re

import pytest
import torch

from seglab.models.checkpoints import save_model
from seglab.models.loading import DEFAULT, load_model
from seglab.models.registry import MODELS


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown model 'unet_mimi'; did you mean 'unet_mini'"):
        load_model("unet_mimi")
    with pytest.raises(ValueError, match=r"unknown weights 'mars' of unet_mini\. Known: .*untrained.*checkpoint"):
        load_model("unet_mini:mars")
    with pytest.raises(ValueError, match="unknown class set 'streets'; did you mean 'street'"):
        load_model("unet_mini", weights=None, classes="streets")
    with pytest.raises(ValueError, match="there is no checkpoint"):
        load_model("nowhere.safetensors")


def test_weights_by_default_are_the_first_of_the_row():
    assert inspect.signature(load_model).parameters["weights"].default == DEFAULT
    for arguments in (["unet_mini"], ["unet_mini", "toytown"], ["unet_mini:toytown"], ["unet_mini", DEFAULT]):
        assert load_model(*arguments, device="cpu").label == "unet_mini:toytown"
    assert load_model("unet_mini:camvid", device="cpu").label == "unet_mini:camvid"
    assert load_model("unet_mini", None, device="cpu").label == "unet_mini"
    assert "default" not in MODELS["unet_mini"].weights
    with pytest.raises(ValueError, match="unknown weights 'default' of unet_mini"):
        load_model("unet_mini", "default")


def test_weights_are_named_once(untrained, tmp_path):
    path = tmp_path / "unet.safetensors"
    save_model(untrained("unet_mini"), path)
    for weights in ("camvid", None, path):
        with pytest.raises(ValueError, match="unet_mini:toytown already names its weights; leave out weights="):
            load_model("unet_mini:toytown", weights)
    with pytest.raises(ValueError, match="is a checkpoint and holds its weights; leave out weights='camvid'"):
        load_model(path, "camvid")
    first, saved = (next(m.parameters()) for m in (load_model(path, None, device="cpu"), untrained("unet_mini")))
    assert torch.equal(first, saved)


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if not spec.has_aux])
def test_a_model_without_auxiliary_head(name):
    with pytest.raises(ValueError, match=rf"{re.escape(MODELS[name].title)} has no auxiliary head"):
        load_model(name, weights=None, aux=True)


def test_other_classes_get_a_new_last_layer(untrained, tmp_path):
    path = tmp_path / "unet.safetensors"
    save_model(untrained("unet_mini"), path)
    model = load_model(path, classes="voc", device="cpu")
    assert len(model.classes) == model.net.classifier.out_channels == 21
    assert torch.equal(model.net.encoder[0][0].weight, untrained("unet_mini").net.encoder[0][0].weight)
