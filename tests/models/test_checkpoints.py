"""Checkpoints: what is saved is loaded again, and what does not fit is refused."""

import copy
import json
import os

import helpers.hub_models as small
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from seglab._utils.hashing import sha256_state
from seglab.data.classes import CLASS_SETS, class_set_fields, class_set_from
from seglab.inference.prediction import predict
from seglab.models.adapters import wrap
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.models.loading import load_model
from seglab.models.registry import MODELS


@pytest.mark.parametrize("name", [name for name in MODELS if name.endswith("_mini")])
def test_a_saved_model_is_loaded_unchanged(untrained, name, tmp_path):
    model = copy.deepcopy(untrained(name))
    images, path = torch.randn(1, 3, 64, 96), tmp_path / "model.safetensors"
    save_model(model, path, seed=7)
    for again in (load_model(name, path, device="cpu"), load_model(path, device="cpu")):
        assert again.classes == model.classes
        assert again.spec is MODELS[name]
        with torch.inference_mode():
            assert torch.equal(again(images), model(images))
    with safe_open(path, "pt") as file:
        assert list(file.metadata()) == ["seglab"]
        assert json.loads(file.metadata()["seglab"])["seed"] == 7
        model.net.load_state_dict({k: file.get_tensor(k) for k in file.keys()})  # noqa: SIM118, the library's own keys
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_equal_weights_are_saved_as_equal_bytes(untrained, tmp_path):
    for i in range(6):
        save_model(untrained("unet_mini"), tmp_path / f"{i}.safetensors", seed=1, data="toytown", epoch=3)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_checkpoint_in_half_precision(untrained, tmp_path):
    path = tmp_path / "half.safetensors"
    save_model(untrained("unet_mini"), path, half=True)
    with safe_open(path, "pt") as file:
        kinds = {key: file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert kinds["classifier.weight"] == torch.float16
    assert kinds["encoder.0.1.running_var"] == torch.float32
    assert load_model(path, device="cpu").net.classifier.weight.dtype == torch.float32


def test_norm_and_auxiliary_head_are_stored(tmp_path):
    path = tmp_path / "fcn.safetensors"
    save_model(load_model("fcn_mini", weights=None, norm="group", device="cpu"), path)
    again = load_model(path, device="cpu")
    assert again.norm == "group"
    assert again.net.aux_classifier is not None
    assert load_model(path, aux=False, device="cpu").net.aux_classifier is None


def test_checkpoints_that_do_not_fit(untrained, tmp_path):
    path = tmp_path / "unet.safetensors"
    save_model(untrained("unet_mini"), path)
    with pytest.raises(ValueError, match="holds the weights of unet_mini, not of fcn_mini"):
        load_model("fcn_mini", path)
    save_model(load_model("unet_mini", weights=None, norm="group", device="cpu"), path)
    with pytest.raises(ValueError, match=r"does not fit: \d+ of \d+ tensors of the model are not in it"):
        load_model(path, norm="sync")  # GroupNorm has no running averages
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="is not a checkpoint of seglab"):
        load_model(path)
    for metadata in ({}, {"seglab": "no JSON"}, {"seglab": '{"model": "unet_mini"}'}):
        save_file({"a": torch.zeros(1)}, path, metadata)
        with pytest.raises(ValueError, match="is not a checkpoint of seglab"):
            load_model(path)


CLASSES = class_set_fields(CLASS_SETS["membrane"])
RUN = {"size": [192, 256], "train": "toytown train 9 abc", "val": None, "seed": 1}


@pytest.mark.parametrize(
    "change",
    [
        None,
        5,
        [],
        "text",
        {"model": ["a"]},
        {"model": ""},
        {"model": "nothing"},
        {"model": "unet_mini\x1b[2J"},
        {"classes": "street"},
        {"classes": None},
        {"classes": {"name": "a", "names": ["a"], "things": []}},
        {"classes": CLASSES | {"x": 1}},
        {"classes": CLASSES | {"colors": [["red;background:url(//x)", 0, 0]] * 2}},
        {"classes": CLASSES | {"names": ["a", "b\x1b]0;"]}},
        {"classes": CLASSES | {"names": [["a"], ["b"]]}},
        {"classes": CLASSES | {"background": "a"}},
        {"classes": CLASSES | {"void_color": [0]}},
        {"run": "x"},
        {"run": {"train": "x"}},
        {"run": RUN | {"train": ""}},
        {"run": RUN | {"train": "  "}},
        {"run": RUN | {"size": [0, 0]}},
        {"run": RUN | {"size": [10**9] * 2}},
        {"run": RUN | {"size": [192.5, 256]}},
        {"run": RUN | {"size": [True, True]}},
        {"run": RUN | {"seed": "1"}},
        {"run": RUN | {"val": 5}},
        {"short": "a"},
        {"short": 0},
        {"short": 10**9},
        {"short": 192.0},
        {"aux": "yes"},
        {"norm": "batch"},
        {"norm": []},
    ],
    ids=str,
)
def test_malformed_metadata_are_refused(untrained, tmp_path, change):
    path = tmp_path / "c.safetensors"
    save_model(untrained("unet_mini"), path, run=RUN)
    facts, state = read_checkpoint(path)
    del facts["sha256"]  # of the facts as they were
    save_file(state, path, {"seglab": json.dumps(facts)})
    assert load_model(path, device="cpu").label == "unet_mini:toytown"
    save_file(state, path, {"seglab": json.dumps(facts | change if isinstance(change, dict) else change)})
    with pytest.raises(ValueError, match=r"is not a checkpoint of seglab: .|unknown model 'nothing'"):
        load_model(path, device="cpu")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"model": ' + "9" * 5000 + "}", "\x00"])
def test_metadata_that_json_cannot_read(tmp_path, text):
    save_file({"a": torch.zeros(1)}, tmp_path / "c.safetensors", {"seglab": text})
    with pytest.raises(ValueError, match="is not a checkpoint of seglab"):
        load_model(tmp_path / "c.safetensors")


def test_an_auxiliary_head_that_the_model_does_not_have(untrained, tmp_path):
    save_model(untrained("unet_mini"), tmp_path / "c.safetensors")
    facts, state = read_checkpoint(tmp_path / "c.safetensors")
    del facts["sha256"]
    save_file(state, tmp_path / "c.safetensors", {"seglab": json.dumps(facts | {"aux": True})})
    assert load_model(tmp_path / "c.safetensors", device="cpu").spec is MODELS["unet_mini"]


def test_a_flipped_bit_in_a_checkpoint_is_never_silent(untrained, tmp_path):
    path = tmp_path / "c.safetensors"
    save_model(untrained("unet_mini"), path, half=True)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in (*rng.integers(0, 8 * len(content), 40).tolist(), *rng.integers(0, 8 * 20_000, 20).tolist()):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"c\.safetensors"):
            read_checkpoint(path)


def test_weights_that_were_read_do_not_depend_on_the_file(untrained, tmp_path):
    path = tmp_path / "c.safetensors"
    save_model(untrained("unet_mini"), path)
    _, state = read_checkpoint(path)
    before = sha256_state(state)
    os.truncate(path, 0)  # a mapped file would end the process here, with a bus error
    assert sha256_state(state) == before


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch recommends torch.export
@pytest.mark.parametrize("source", ["hf", "smp", "pt"])
def test_weights_of_a_model_from_elsewhere_are_loaded_into_it_again(tmp_path, source):
    torch.manual_seed(0)
    given, path = {"classes": "sky,road,tree", "size": (64, 64), "mean": (0.5,) * 3, "std": (1,) * 3}, tmp_path / "a.pt"
    name = f"{source}:{tmp_path / 'mine'}" if source != "pt" else str(path)
    if source == "hf":
        small.write(tmp_path / "mine", small.data2vec())
    elif source == "smp":
        smp.Unet("resnet18", encoder_weights=None, classes=3).save_pretrained(tmp_path / "mine")
    else:
        torch.jit.trace(torch.nn.Conv2d(3, 3, 3, padding=1), torch.zeros(1, 3, 9, 9)).save(path)
    model = load_model(name, device="cpu", **given)
    image = torch.randint(0, 256, (3, 70, 90), dtype=torch.uint8)
    before = predict(model, image).scores()
    for weight in model.net.parameters():
        weight.data.mul_(1.1)
    save_model(model, tmp_path / "trained.safetensors", epoch=3)
    del given["classes"]  # which the checkpoint states
    again = load_model(name, tmp_path / "trained.safetensors", device="cpu", **given)
    assert torch.equal(predict(again, image).scores(), predict(model, image).scores())
    assert not torch.equal(predict(again, image).scores(), before)
    assert (again.classes, again.short, again.facts["epoch"]) == (model.classes, (64, 64), 3)
    assert again.facts["source"] == model.facts["source"]
    with pytest.raises(ValueError, match=r"unknown model '.*', without its network\. .*\('hf:…', '.*trained"):
        load_model(tmp_path / "trained.safetensors")
    save_model(wrap(torch.nn.Conv2d(3, 2, 1), "membrane"), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_model(name, tmp_path / "other.safetensors", "sky,road,tree", device="cpu", **given)


def test_what_has_no_weights_is_not_saved(tmp_path):
    path = tmp_path / "c.safetensors"
    with pytest.raises(ValueError, match=r"red_or_not has no weights .*; keep its file or function"):
        save_model(wrap(red_or_not, "membrane"), path)
    assert not path.exists()


def red_or_not(images):
    return images[:, :2]


@pytest.mark.parametrize("name", CLASS_SETS)
def test_class_sets_are_stored_as_json(name):
    classes = CLASS_SETS[name].safe()
    assert class_set_from(json.loads(json.dumps(class_set_fields(classes)))) == classes
