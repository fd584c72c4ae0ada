"""Published weights, from local servers: stand-ins of the right form under official names, trained for a moment."""

import hashlib
import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch
from helpers.server import send, serving, whole
from helpers.standins import CLOSED, loud, pictures, saved, says, taught, transformers_files, use_caches, use_hub
from huggingface_hub import constants
from torch.nn import functional as F
from torchvision.models import get_model_weights
from typer.testing import CliRunner

from seglab import load_dataset, load_model
from seglab.__main__ import app
from seglab.data.classes import CLASS_SETS
from seglab.models.checkpoints import save_model
from seglab.models.registry import MODELS
from seglab.models.weights import bundle, cards, published
from seglab.training.loop import fit
from seglab.training.losses import cross_entropy
from seglab.training.recipe import Recipe

LRASPP, SEGFORMER, UNET = "lraspp_mobilenet_v3_large", "segformer_b0", "unet_resnet34"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


# --- stand-ins ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lraspp():
    """torchvision's smallest, and its file."""
    model = taught(LRASPP, "voc", [0, 7, 15, 20], steps=30)
    return model, saved(model.net.state_dict())


@pytest.fixture(scope="module")
def segformer():
    """SegFormer-B0 for ADE20K, and its files as transformers writes them, under the keys of 2021."""
    model = taught(SEGFORMER, "ade20k", [2, 4, 6, 20], steps=8)
    return model, transformers_files(model)


# --- servers and caches -------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches, and no network."""
    use_caches(tmp_path / "caches", monkeypatch)
    use_hub(CLOSED, monkeypatch)
    for spec in MODELS.values():
        for row in spec.weights.values():
            if row.source == "COCO_WITH_VOC_LABELS_V1":
                official = get_model_weights(spec.name)[row.source].value
                monkeypatch.setattr(official, "url", f"{CLOSED}/{Path(official.url).name}")


def serve_torchvision(server, monkeypatch, name, body, answer=whole):
    """Under an official name, whose hash is that of the stand-in."""
    official = get_model_weights(name)["COCO_WITH_VOC_LABELS_V1"].value
    stem = Path(official.url).name.rpartition("-")[0]
    file = f"/{stem}-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    monkeypatch.setattr(official, "url", server.url(file, answer(body)))


def serve_hub(server, monkeypatch, repo, files, revision="main", sent=None):
    """As huggingface.co answers: large files announced with their SHA-256, absent ones with a reason."""
    use_hub(server.base, monkeypatch)
    for file in ("model.safetensors", "pytorch_model.bin", "config.json", "preprocessor_config.json"):
        server.routes[f"/{repo}/resolve/{revision}/{file}"] = hub_answer(files.get(file), sent)


def hub_answer(body, sent=None):
    def answer(handler, before):
        if body is None:
            return send(handler, 404, b"", X_Error_Code="EntryNotFound")
        etag = hashlib.sha256(body).hexdigest() if len(body) > 100_000 else hashlib.sha1(body).hexdigest()
        revision = handler.path.split("/")[-2]
        known = {"ETag": f'"{etag}"', "X_Repo_Commit": COMMIT if revision == "main" else revision}
        return send(handler, 200, body if sent is None or len(body) < 100_000 else sent(body), **known)

    return answer


def requests(server):
    return sum(map(len, server.ranges.values()))


def everything_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


# --- the table ----------------------------------------------------------------------------------------------------


def test_torchvision_says_the_same_of_its_weights():
    rows = {name: spec.weights["coco"] for name, spec in MODELS.items() if "coco" in spec.weights}
    assert len(rows) == 6
    for name, row in rows.items():
        official = get_model_weights(name)[row.source]
        metrics = official.meta["_metrics"]["COCO-val2017-VOC-labels"]
        assert row.miou == pytest.approx(metrics["miou"] / 100)
        assert row.num_bytes == pytest.approx(official.meta["_file_size"] * 2**20, abs=1)
        assert official.transforms().resize_size == [row.short]


def test_what_is_built_is_what_was_published():
    """Copied from the config.json of segformer-b0-finetuned-ade-512-512 and mask2former-swin-tiny-ade-semantic."""
    segformer = load_model(SEGFORMER, weights=None, device="cpu").net.config
    mask2former = load_model("mask2former_swin_tiny", weights=None, device="cpu").net.config
    for config, official in (
        (segformer, {"depths": [2, 2, 2, 2], "sr_ratios": [8, 4, 2, 1], "hidden_sizes": [32, 64, 160, 256],
                     "patch_sizes": [7, 3, 3, 3], "strides": [4, 2, 2, 2], "num_attention_heads": [1, 2, 5, 8],
                     "mlp_ratios": [4, 4, 4, 4], "hidden_act": "gelu", "layer_norm_eps": 1e-6,
                     "decoder_hidden_size": 256, "reshape_last_stage": True, "classifier_dropout_prob": 0.1,
                     "drop_path_rate": 0.1}),
        (mask2former, {"feature_size": 256, "mask_feature_size": 256, "hidden_dim": 256, "encoder_layers": 6,
                       "encoder_feedforward_dim": 1024, "activation_function": "relu", "decoder_layers": 10,
                       "num_attention_heads": 8, "dim_feedforward": 2048, "pre_norm": False, "common_stride": 4,
                       "num_queries": 100, "feature_strides": [4, 8, 16, 32], "train_num_points": 12544}),
        (mask2former.backbone_config, {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24],
                                       "window_size": 7, "mlp_ratio": 4.0, "qkv_bias": True, "hidden_act": "gelu",
                                       "layer_norm_eps": 1e-5, "drop_path_rate": 0.3}),
    ):  # fmt: skip
        ours = json.loads(config.to_json_string(use_diff=False))
        assert {key: ours[key] for key in official} == official


def test_names():
    assert published.resolve("segformer_b0") == (MODELS[SEGFORMER], "ade20k")
    assert published.resolve("segformer_b0:cityscapes") == (MODELS[SEGFORMER], "cityscapes")
    assert len(published.labels()) == 11
    for wrong in ("segformer_b0:voc", "segformer"):
        with pytest.raises(ValueError, match="unknown published weights"):
            published.resolve(wrong)
    with pytest.raises(ValueError, match="unet_mini travel with seglab"):
        published.resolve("unet_mini")


# --- fetching and reading -----------------------------------------------------------------------------------------


def test_torchvision(caches, server, monkeypatch, tmp_path, lraspp):
    original, body = lraspp
    serve_torchvision(server, monkeypatch, LRASPP, body)
    assert not published.is_cached(MODELS[LRASPP], "coco")
    model = load_model(LRASPP, device="cpu")
    assert published.is_cached(MODELS[LRASPP], "coco")
    assert (model.label, model.short, model.classes) == (f"{LRASPP}:coco", 520, CLASS_SETS["voc"])
    assert model.facts["source"] == "COCO_WITH_VOC_LABELS_V1"
    assert "terms of the training data" in model.facts["licence"]
    with torch.inference_mode():
        theirs = original.net(pictures())["out"]
    assert torch.equal(F.interpolate(model(pictures()), size=(64, 64), mode="bilinear"), theirs)
    assert len(says(model, pictures()).unique()) > 1
    load_model(f"{LRASPP}:coco", device="cpu")
    assert requests(server) == 1

    other = load_model(LRASPP, classes="membrane", device="cpu")
    assert len(other.classes) == other(pictures()).shape[1] == 2
    assert torch.equal(other.net.classifier.cbr[0].weight, original.net.classifier.cbr[0].weight)
    load_model(LRASPP, weights=None, device="cpu")
    assert requests(server) == 1


def test_torchvision_with_an_auxiliary_head(caches, server, monkeypatch):
    name = "deeplabv3_mobilenet_v3_large"
    original = load_model(name, weights=None, classes="voc", device="cpu")
    serve_torchvision(server, monkeypatch, name, saved(original.net.state_dict()))
    model, without = load_model(name, device="cpu"), load_model(name, aux=False, device="cpu")
    assert torch.equal(model.net.aux_classifier[4].weight, original.net.aux_classifier[4].weight)
    assert without.net.aux_classifier is None
    assert torch.equal(without(pictures()), original(pictures()))


@pytest.mark.parametrize("pickled", [False, True])
def test_segformer(caches, server, monkeypatch, segformer, pickled):
    """On the hub some weights are safetensors, and some still a pickle; keys are those of 2021."""
    original, files = segformer
    assert b"segformer.encoder.block.0.0.attention.self.query.weight" in files["model.safetensors"]
    if pickled:
        from safetensors.torch import load

        files = files | {"pytorch_model.bin": saved(load(files["model.safetensors"])), "model.safetensors": None}
    serve_hub(server, monkeypatch, "nvidia/segformer-b0-finetuned-ade-512-512", files)
    model = load_model(SEGFORMER, device="cpu")
    assert (model.label, model.short, model.classes) == ("segformer_b0:ade20k", 512, CLASS_SETS["ade20k"])
    assert "non-commercial" in model.facts["licence"]
    assert torch.equal(model(pictures()), original(pictures()))
    assert len(says(model, pictures()).unique()) > 1
    before = requests(server)
    street = load_model("segformer_b0:ade20k", classes="street", device="cpu")
    assert requests(server) == before
    assert street(pictures()).shape[1] == 11
    assert torch.equal(street.backbone_parameters()[0], original.backbone_parameters()[0])


def test_mask2former(caches, server, monkeypatch):
    original = loud("cityscapes")
    files = transformers_files(original)
    assert (
        b"model.pixel_level_module.encoder.encoder.layers.0.blocks.0.attention.self.query" in files["model.safetensors"]
    )
    serve_hub(server, monkeypatch, "facebook/mask2former-swin-tiny-cityscapes-semantic", files)
    model = load_model("mask2former_swin_tiny:cityscapes", device="cpu")
    assert (model.label, model.short) == ("mask2former_swin_tiny:cityscapes", 1024)
    with torch.inference_mode():
        assert torch.equal(model(pictures()), original(pictures()))


# --- an encoder without a decoder ---------------------------------------------------------------------------------


@pytest.fixture
def encoder(caches, server, monkeypatch):
    from safetensors.torch import save
    from segmentation_models_pytorch.encoders import encoders, get_encoder

    torch.manual_seed(4)
    original = get_encoder("resnet34", weights=None)
    known = encoders["resnet34"]["pretrained_settings"]["imagenet"]
    files = {"model.safetensors": save(original.state_dict()), "config.json": b"{}"}
    serve_hub(server, monkeypatch, known["repo_id"], files, known["revision"])
    return original


def test_an_encoder_waits_for_its_decoder(encoder, tmp_path, server):
    load_model(UNET, device="cpu")
    before = requests(server)
    model = load_model(UNET, classes="membrane", device="cpu")
    assert requests(server) == before
    assert model.label == "unet_resnet34:imagenet"
    for key, value in encoder.state_dict().items():
        assert torch.equal(model.net.encoder.state_dict()[key], value)
    with pytest.raises(ValueError, match=r"unet_resnet34:imagenet cannot predict yet.*Fine-tune"):
        model(pictures())
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.loss(pictures(), torch.zeros(2, 64, 64, dtype=torch.long), cross_entropy).backward()
    with pytest.raises(ValueError, match="cannot predict yet"):
        model.eval()(pictures())
    optimizer.step()
    scores = model(pictures())
    save_model(model, tmp_path / "unet.safetensors")
    assert torch.equal(load_model(tmp_path / "unet.safetensors", device="cpu")(pictures()), scores)


def test_an_encoder_is_fine_tuned(encoder):
    monkey = load_model(UNET, device="cpu")
    train = load_dataset("toytown", "train").subset(range(4))
    fit(monkey, train, train, Recipe(epochs=1, batch=2, size=(64, 64), freeze=1, ema=0.5), progress=False)
    assert monkey(pictures()).shape == (2, 11, 64, 64)
    assert torch.equal(monkey.net.encoder.conv1.weight, encoder.conv1.weight)


def test_an_untrained_one_predicts_without_a_network(caches):
    assert load_model(UNET, weights=None, device="cpu")(pictures()).shape == (2, 11, 64, 64)


# --- what can be wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "file", "size", "mini"),
    [
        ("fcn_resnet50:coco", "fcn_resnet50_coco-1167a1af.pth", "142 MB", "fcn_mini"),
        ("deeplabv3_resnet101:coco", "deeplabv3_resnet101_coco-586e9e4e.pth", "245 MB", "deeplabv3_mini"),
        ("mask2former_swin_tiny:ade20k", "model.safetensors", "190 MB", "mask2former_mini"),
        ("unet_resnet34:imagenet", "model.safetensors", "85 MB", "unet_mini"),
    ],
)
def test_without_a_network(caches, label, file, size, mini):
    with pytest.raises(ValueError, match="cannot be fetched") as caught:
        load_model(label)
    said = str(caught.value)
    spec, name = published.resolve(label)
    place = published.files(spec, name)[-1]
    assert place.name == file
    assert str(place if len(published.files(spec, name)) == 1 else place.parent) in said
    for words in (file, f"({size})", CLOSED, "refused", f"seglab fetch {label} --to DIR", f"{mini} does the same job"):
        assert words in said


def test_files_put_where_the_message_says(caches, lraspp, segformer, monkeypatch, tmp_path):
    for name, files in ((LRASPP, {"": lraspp[1]}), (SEGFORMER, segformer[1])):
        with pytest.raises(ValueError) as caught:
            load_model(name)
        place = Path(re.search(r"; or put .* (?:at|into) (.*)\. Meanwhile", str(caught.value))[1])
        for file, body in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(body)
        assert len(says(load_model(name, device="cpu"), pictures()).unique()) > 1


def test_other_bytes_than_the_name_promises(caches, server, monkeypatch, tmp_path, lraspp):
    """A login page, or half a file: nothing is kept, and the next attempt is a new one."""
    for answer in (lambda body: whole(b"<html>"), lambda body: lambda h, _: send(h, 200, body, len(body) // 2)):
        serve_torchvision(server, monkeypatch, LRASPP, lraspp[1], answer)
        with pytest.raises(ValueError, match=r"cannot be fetched from .*invalid hash value"):
            load_model(LRASPP)
        assert everything_in(tmp_path) == []
    serve_torchvision(server, monkeypatch, LRASPP, lraspp[1])
    load_model(LRASPP)


def test_a_damaged_file_in_the_cache(caches, lraspp):
    path = published.files(MODELS[LRASPP], "coco")[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(lraspp[1][:100_000])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} cannot be read: .*Delete it, and fetch it again"):
        load_model(LRASPP)


def test_other_bytes_than_the_hub_announces(caches, server, monkeypatch, tmp_path, segformer):
    repo = MODELS[SEGFORMER].weights["ade20k"].source
    serve_hub(server, monkeypatch, repo, segformer[1], sent=lambda body: body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"model\.safetensors did not arrive as it was announced, and was deleted"):
        load_model(SEGFORMER)
    assert not [path for path in everything_in(tmp_path) if path.stat().st_size > 100_000]
    serve_hub(server, monkeypatch, repo, segformer[1])
    load_model(SEGFORMER)


def test_a_blob_may_lie_elsewhere(tmp_path):
    """Caches that share blobs link to them once more, under other names."""
    body = b"weights"
    store, blob, path = (
        tmp_path / ("f" * 64),
        tmp_path / hashlib.sha256(body).hexdigest(),
        tmp_path / "model.safetensors",
    )
    store.write_bytes(body)
    blob.symlink_to(store.name)
    path.symlink_to(blob.name)
    published._verify(path)
    store.write_bytes(body + b"!")
    with pytest.raises(OSError, match=r"model\.safetensors did not arrive"):
        published._verify(path)
    assert everything_in(tmp_path) == [store]


def test_a_broken_connection_to_the_hub_is_resumed(caches, server, monkeypatch, segformer):
    repo, body = MODELS[SEGFORMER].weights["ade20k"].source, segformer[1]["model.safetensors"]
    serve_hub(server, monkeypatch, repo, segformer[1])
    path, asked = f"/{repo}/resolve/main/model.safetensors", []

    def breaks_once(handler, before):
        if handler.command == "HEAD":
            return hub_answer(body)(handler, before)
        asked.append(handler.headers["Range"])
        if len(asked) == 1:
            return send(handler, 200, body, 12_000_000)
        start = int(asked[-1][6:-1])
        return send(handler, 206, body[start:], Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")

    server.routes[path] = breaks_once
    assert torch.equal(load_model(SEGFORMER, device="cpu")(pictures()), segformer[0](pictures()))
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {str(i): n for i, n in enumerate(reversed(CLASS_SETS["ade20k"].names))}}, "in another order"),
        ({"id2label": {str(i): f"LABEL_{i}" for i in range(150)}}, "other classes"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps: 1e-05 there, 1e-06 here"),
        ({"depths": [2, 2, 2, 3]}, r"other weights than seglab's SegFormer-B0 needs: segformer\."),
    ],
)
def test_published_anew_and_different(caches, server, monkeypatch, segformer, changes, message):
    config = json.dumps(json.loads(segformer[1]["config.json"]) | changes).encode()
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, segformer[1] | {"config.json": config})
    with pytest.raises(ValueError, match=message):
        load_model(SEGFORMER)


def test_an_image_seen_in_other_colours(caches, server, monkeypatch, segformer):
    prepared = json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}).encode()
    files = segformer[1] | {"preprocessor_config.json": prepared}
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, files)
    with pytest.raises(ValueError, match=r"image_mean: \[0\.5, 0\.5, 0\.5\] there, \[0\.485, 0\.456, 0\.406\] here"):
        load_model(SEGFORMER)


def test_two_classes_that_changed_places():
    names = ["__background__", *CLASS_SETS["voc"].names[1:]]
    published._check_order(names, MODELS[LRASPP], "coco")
    names[3], names[4] = names[4], names[3]
    with pytest.raises(ValueError, match="index 3: 'boat' there, 'bird' here"):
        published._check_order(names, MODELS[LRASPP], "coco")
    renamed = ["wall", "house", *CLASS_SETS["ade20k"].names[2:25], "cottage", *CLASS_SETS["ade20k"].names[26:]]
    with pytest.raises(ValueError, match="index 1: 'house' there"):  # ours at another place
        published._check_order(renamed, MODELS[SEGFORMER], "ade20k")
    published._check_order(
        ["wall", "edifice, building", *renamed[2:6], "road, route", *renamed[7:]], MODELS[SEGFORMER], "ade20k"
    )


# --- a folder to carry --------------------------------------------------------------------------------------------

OFFLINE = """
import socket, sys
def refuse(*args): raise AssertionError(f"the network was asked: {args}")
socket.socket.connect = socket.getaddrinfo = refuse
import torch
from torchvision.models import get_model_weights
get_model_weights("lraspp_mobilenet_v3_large")["COCO_WITH_VOC_LABELS_V1"].value.url = sys.argv[1]
from seglab import hub, load_model
pictures = torch.load(sys.argv[2])
with torch.inference_mode():
    said = [load_model(name, device="cpu")(pictures).argmax(1) for name in sys.argv[3:]]
torch.save(said, sys.argv[2])
"""


def test_from_one_machine_to_another(caches, server, monkeypatch, tmp_path, lraspp, segformer):
    """Fetched here, carried, put there; there another process reads it, to which every connection is closed."""
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
    there = {"TORCH_HOME": str(tmp_path / "there/torch"), "HF_HOME": str(tmp_path / "there/hf")}
    there |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), CLOSED)
    away = {key: os.environ.get(key, "") for key in ("HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE")}
    environment = {key: value for key, value in os.environ.items() if key not in away} | there
    use_caches(tmp_path / "there", monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "there/hf/hub"))
    before = requests(server)
    run = CliRunner().invoke(app, ["fetch", "--from", str(tmp_path / "stick")])
    assert run.exit_code == 0 and run.output.count("is here") == 2, run.output
    arguments = [url, str(tmp_path / "said.pt"), LRASPP, "segformer_b0:ade20k"]
    torch.save(pictures(), tmp_path / "said.pt")
    subprocess.run([sys.executable, "-c", OFFLINE, *arguments], check=True, env=environment)
    assert requests(server) == before
    for said, (original, _) in zip(torch.load(tmp_path / "said.pt"), (lraspp, segformer), strict=True):
        assert (said == says(original, pictures())).float().mean() > 0.999


def packed(server, monkeypatch, tmp_path, lraspp):
    serve_torchvision(server, monkeypatch, LRASPP, lraspp[1])
    bundle.pack(LRASPP, tmp_path / "stick")
    use_caches(tmp_path / "there", monkeypatch)
    return tmp_path / "stick"


def test_a_damaged_file_does_not_reach_the_cache(caches, server, monkeypatch, tmp_path, lraspp):
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    path = next((stick / "torch").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="is damaged: its SHA-256 is"):
        bundle.unpack(stick)
    assert everything_in(tmp_path / "there") == []
    path.unlink()
    with pytest.raises(ValueError, match="is missing"):
        bundle.unpack(stick)


@pytest.mark.parametrize(
    "path", ["torch/../../evil", "/torch/evil", "elsewhere/evil", "torch/..\\evil", "torch/C:evil"]
)
def test_an_index_that_leads_out_is_refused(caches, server, monkeypatch, tmp_path, lraspp, path):
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    index = bundle.read_index(stick)
    index[f"{LRASPP}:coco"][0]["path"] = path
    (stick / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="leads out of the caches"):
        bundle.unpack(stick)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": [{"bytes": 3}]}', '["a"]'])
def test_a_damaged_index_is_named(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    run = CliRunner().invoke(app, ["fetch", "--from", str(tmp_path)])
    assert run.exit_code == 1
    assert "index.json is damaged; make the folder again" in run.stderr
    run = CliRunner().invoke(app, ["fetch", LRASPP, "--from", str(tmp_path), "--to", str(tmp_path)])
    assert "give one of them" in run.stderr


def test_what_a_folder_does_not_hold(caches, server, monkeypatch, tmp_path, lraspp):
    stick = packed(server, monkeypatch, tmp_path, lraspp)
    with pytest.raises(ValueError, match=f"'segformer_b0:ade20k'. Known: {LRASPP}:coco"):
        bundle.unpack(stick, ["segformer_b0"])
    with pytest.raises(ValueError, match=r"index\.json is missing; such a folder is made by"):
        bundle.unpack(tmp_path)


# --- tables and commands ------------------------------------------------------------------------------------------


def test_the_table_of_models(caches, lraspp, monkeypatch):
    table = cards.table()
    assert list(table.index) == list(MODELS)
    assert list(table.loc["deeplabv3_resnet50", ["year", "classes", "miou", "download"]]) == [
        2017,
        "voc",
        0.664,
        "168 MB",
    ]
    assert table.loc["segformer_b0", "on"] == "ADE20K val"
    assert not table["here"][:9].any()
    path = published.files(MODELS[LRASPP], "coco")[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(lraspp[1])
    assert cards.table()["here"][LRASPP] == "coco"
    run = CliRunner().invoke(app, ["models"])
    assert run.exit_code == 0
    assert all(name in run.output for name in MODELS)


def test_a_page_of_a_model(caches, tmp_path, monkeypatch):
    run = CliRunner().invoke(app, ["models", "mask2former_swin_tiny"])
    for words in ("arXiv:2112.01527", "47.44 million", "CC BY-NC 4.0", "0.821", "190 MB", "seglab fetch mask2former"):
        assert words in run.output
    run = CliRunner().invoke(app, ["models", "unet_mimi"])
    assert run.exit_code == 1
    assert "did you mean 'unet_mini'" in run.output

    monkeypatch.setattr("seglab.models.weights.zoo.zoo_dir", lambda: tmp_path)
    monkeypatch.setattr(cards, "zoo_dir", lambda: tmp_path)
    assert "not here" in cards.page("unet_mini")["unet_mini:toytown"]
    (tmp_path / "unet_mini-toytown.safetensors").write_bytes(b"weights")
    measured = {"data": "toytown test", "convention": "void ignored", "miou": 0.654, "iou": {"sky": 0.9, "pole": None}}
    story = {"command": "seglab train …", "minutes": 4.5, "sha256": "abc", "measured": measured}
    (tmp_path / "unet_mini-toytown.json").write_text(json.dumps(story))
    lines = cards.page("unet_mini")["unet_mini:toytown"]
    assert "mIoU 0.654 on toytown test" in lines
    assert "IoU: sky 0.90" in lines
    assert "4.5 minutes of: seglab train …" in lines
    assert "sha256 abc" in lines
    assert list(cards.table().loc["unet_mini", ["miou", "on", "here"]]) == [0.654, "toytown test", "toytown"]


def test_nothing_named_shows_what_there_is(caches):
    run = CliRunner().invoke(app, ["fetch"])
    assert run.exit_code == 1
    assert all(label in run.output for label in published.labels())
    assert "give --all (1.3" in run.output
    run = CliRunner().invoke(app, ["fetch", "fcn_resnet50"])
    assert run.exit_code == 1
    assert "fcn_mini does the same job" in run.output
