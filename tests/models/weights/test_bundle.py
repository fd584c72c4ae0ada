"""Bundles: weights packed into a folder on one machine, and unpacked and verified on another one."""

import hashlib
import json
import os
import subprocess
import sys
from itertools import chain

import pytest
import torch
from helpers.hub import files_below, requests, serve_hub, serve_torchvision
from helpers.standins import CLOSED, pickled, predicted, striped_images, use_caches
from huggingface_hub import constants
from torchvision.models import get_model_weights
from typer.testing import CliRunner

from seglab import load_model
from seglab.__main__ import app
from seglab.models.registry import MODELS
from seglab.models.weights import bundle

LRASPP, SEGFORMER = "lraspp_mobilenet_v3_large", "segformer_b0"

OFFLINE = """
import socket, sys
def refuse(*args): raise AssertionError(f"a connection was opened: {args}")
socket.socket.connect = socket.getaddrinfo = refuse
import torch
from torchvision.models import get_model_weights
get_model_weights("lraspp_mobilenet_v3_large")["COCO_WITH_VOC_LABELS_V1"].value.url = sys.argv[1]
from seglab import load_model
images = torch.load(sys.argv[2])
with torch.inference_mode():
    predictions = [load_model(name, device="cpu")(images).argmax(1) for name in sys.argv[3:]]
torch.save(predictions, sys.argv[2])
"""


@pytest.mark.slow
def test_weights_packed_on_one_machine_are_used_on_another(caches, server, monkeypatch, tmp_path, lraspp, segformer):
    """The process on the other machine cannot open any connection."""
    serve_torchvision(server, monkeypatch, LRASPP, lraspp[1])
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, segformer[1])
    run = CliRunner().invoke(app, ["fetch", LRASPP, SEGFORMER, "--to", str(tmp_path / "stick")])
    assert run.exit_code == 0, run.output
    assert "non-commercial" in run.output
    index = json.loads((tmp_path / "stick" / "index.json").read_text())
    assert list(index) == [f"{LRASPP}:coco", "segformer_b0:ade20k"]
    for entry in chain.from_iterable(index.values()):
        body = (tmp_path / "stick" / entry["path"]).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (entry["bytes"], entry["sha256"])

    url = get_model_weights(LRASPP)["COCO_WITH_VOC_LABELS_V1"].url
    changed = {"TORCH_HOME": str(tmp_path / "other/torch"), "HF_HOME": str(tmp_path / "other/hf")}
    changed |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), CLOSED)
    removed = {key: os.environ.get(key, "") for key in ("HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE")}
    environment = {key: value for key, value in os.environ.items() if key not in removed} | changed
    use_caches(tmp_path / "other", monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "other/hf/hub"))
    before = requests(server)
    run = CliRunner().invoke(app, ["fetch", "--from", str(tmp_path / "stick")])
    assert run.exit_code == 0 and run.output.count("is here") == 2, run.output
    arguments = [url, str(tmp_path / "images.pt"), LRASPP, "segformer_b0:ade20k"]
    torch.save(striped_images(), tmp_path / "images.pt")
    subprocess.run([sys.executable, "-c", OFFLINE, *arguments], check=True, env=environment)
    assert requests(server) == before
    for predictions, (original, _) in zip(torch.load(tmp_path / "images.pt"), (lraspp, segformer), strict=True):
        assert (predictions == predicted(original, striped_images())).float().mean() > 0.999


def packed(server, monkeypatch, tmp_path, lraspp):
    serve_torchvision(server, monkeypatch, LRASPP, lraspp[1])
    bundle.pack(LRASPP, tmp_path / "stick")
    use_caches(tmp_path / "other", monkeypatch)
    return tmp_path / "stick"


def test_a_damaged_file_is_not_copied_into_the_cache(caches, server, monkeypatch, tmp_path, lraspp):
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    path = next((stick / "torch").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="is damaged: its SHA-256 is"):
        bundle.unpack(stick)
    assert files_below(tmp_path / "other") == []
    path.unlink()
    with pytest.raises(ValueError, match="is missing"):
        bundle.unpack(stick)


def test_foreign_weights_under_a_published_name_are_refused(caches, server, monkeypatch, tmp_path, lraspp):
    """The index is right about them; the hash in torchvision's file name is not."""
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    path, index = next((stick / "torch").iterdir()), bundle.read_index(stick)
    path.write_bytes(pickled(load_model(LRASPP, weights=None, device="cpu").net.state_dict()))
    (entry,) = index[f"{LRASPP}:coco"]
    entry |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (stick / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"is not the published file: .*another one was announced.*do not trust"):
        bundle.unpack(stick)
    assert files_below(tmp_path / "other") == []
    for known in ({"sha256": None}, {"sha256": "0" * 63}, {"bytes": "5"}, {"path": ["torch"]}):
        (stick / "index.json").write_text(json.dumps({f"{LRASPP}:coco": [entry | known]}))
        with pytest.raises(ValueError, match=r"index\.json is damaged"):
            bundle.unpack(stick)


def test_weights_of_the_hub_are_compared_with_the_cache_that_they_replace(
    caches, server, monkeypatch, tmp_path, segformer
):
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, segformer[1])
    stick = tmp_path / "stick"
    bundle.pack(SEGFORMER, stick)
    index = bundle.read_index(stick)
    entry = next(e for e in index["segformer_b0:ade20k"] if e["path"].endswith("model.safetensors"))
    content = bytearray((stick / entry["path"]).read_bytes())
    content[-1] ^= 1
    (stick / entry["path"]).write_bytes(content)
    entry["sha256"] = hashlib.sha256(content).hexdigest()
    (stick / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"model\.safetensors is not the published file"):
        bundle.unpack(stick)
    load_model(SEGFORMER, device="cpu")


@pytest.mark.parametrize(
    "path", ["torch/../../evil", "/torch/evil", "elsewhere/evil", "torch/..\\evil", "torch/C:evil"]
)
def test_a_path_that_leads_out_of_the_caches_is_refused(caches, server, monkeypatch, tmp_path, lraspp, path):
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    index = bundle.read_index(stick)
    index[f"{LRASPP}:coco"][0]["path"] = path
    (stick / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="leads out of the caches"):
        bundle.unpack(stick)


@pytest.mark.parametrize(
    "text", ["", "[]", "5", "[" * 100_000, '{"a": [5]}', '{"a": "b"}', '{"a": 1}', '{"a": [{"bytes": 3}]}', '["a"]']
)
def test_a_damaged_index_is_named(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    run = CliRunner().invoke(app, ["fetch", "--from", str(tmp_path)])
    assert run.exit_code == 1
    assert "index.json is damaged; make the folder again" in run.stderr
    run = CliRunner().invoke(app, ["fetch", LRASPP, "--from", str(tmp_path), "--to", str(tmp_path)])
    assert "give one of them" in run.stderr


def test_weights_that_a_folder_does_not_contain(caches, server, monkeypatch, tmp_path, lraspp):
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    with pytest.raises(ValueError, match=f"'segformer_b0:ade20k'. Known: {LRASPP}:coco"):
        bundle.unpack(stick, ["segformer_b0"])
    with pytest.raises(ValueError, match=r"index\.json is missing; such a folder is made by"):
        bundle.unpack(tmp_path)
