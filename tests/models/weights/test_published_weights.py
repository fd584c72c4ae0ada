"""Published weights, from local servers: stand-ins of the right form under official names, trained for a few steps."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from helpers.hub import files_below, hub_answer, requests, serve_hub, serve_torchvision
from helpers.server import send, whole
from helpers.standins import (
    CLOSED,
    pickled,
    predicted,
    publish_torchvision,
    striped_images,
    transformers_files,
    varied_mask2former,
)  # fmt: skip
from torch.nn import functional as F
from torchvision.models import get_model_weights

from seglab import load_dataset, load_model
from seglab.data.classes import CLASS_SETS
from seglab.models.checkpoints import save_model
from seglab.models.registry import MODELS
from seglab.models.weights import published
from seglab.training.loop import fit
from seglab.training.losses import cross_entropy
from seglab.training.recipe import Recipe

LRASPP, SEGFORMER, UNET = "lraspp_mobilenet_v3_large", "segformer_b0", "unet_resnet34"


def test_rows_equal_the_metadata_of_torchvision():
    rows = {name: spec.weights["coco"] for name, spec in MODELS.items() if "coco" in spec.weights}
    assert len(rows) == 6
    for name, row in rows.items():
        official = get_model_weights(name)[row.source]
        metrics = official.meta["_metrics"]["COCO-val2017-VOC-labels"]
        assert row.miou == pytest.approx(metrics["miou"] / 100)
        assert row.num_bytes == pytest.approx(official.meta["_file_size"] * 2**20, abs=1)
        assert official.transforms().resize_size == [row.short]


def test_architectures_equal_the_published_configurations():
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


def test_labels_are_resolved():
    assert published.resolve("segformer_b0") == (MODELS[SEGFORMER], "ade20k")
    assert published.resolve("segformer_b0:cityscapes") == (MODELS[SEGFORMER], "cityscapes")
    assert len(published.labels()) == 11
    for wrong in ("segformer_b0:voc", "segformer"):
        with pytest.raises(ValueError, match="unknown published weights"):
            published.resolve(wrong)
    with pytest.raises(ValueError, match="unet_mini:toytown is bundled with seglab"):
        published.resolve("unet_mini")


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
        theirs = original.net(striped_images())["out"]
    assert torch.equal(F.interpolate(model(striped_images()), size=(64, 64), mode="bilinear"), theirs)
    assert len(predicted(model, striped_images()).unique()) > 1
    load_model(f"{LRASPP}:coco", device="cpu")
    assert requests(server) == 1

    other = load_model(LRASPP, classes="membrane", device="cpu")
    assert len(other.classes) == other(striped_images()).shape[1] == 2
    assert torch.equal(other.net.classifier.cbr[0].weight, original.net.classifier.cbr[0].weight)
    load_model(LRASPP, weights=None, device="cpu")
    assert requests(server) == 1


def test_torchvision_with_an_auxiliary_head(caches, server, monkeypatch):
    name = "deeplabv3_mobilenet_v3_large"
    original = load_model(name, weights=None, classes="voc", device="cpu")
    serve_torchvision(server, monkeypatch, name, pickled(original.net.state_dict()))
    model, without = load_model(name, device="cpu"), load_model(name, aux=False, device="cpu")
    assert torch.equal(model.net.aux_classifier[4].weight, original.net.aux_classifier[4].weight)
    assert without.net.aux_classifier is None
    assert torch.equal(without(striped_images()), original(striped_images()))


@pytest.mark.parametrize("as_pickle", [False, True])
def test_segformer(caches, server, monkeypatch, segformer, as_pickle):
    """On the hub some weights are safetensors, and some are still pickled; keys are those of 2021."""
    original, files = segformer
    assert b"segformer.encoder.block.0.0.attention.self.query.weight" in files["model.safetensors"]
    if as_pickle:
        from safetensors.torch import load

        files = files | {"pytorch_model.bin": pickled(load(files["model.safetensors"])), "model.safetensors": None}
    serve_hub(server, monkeypatch, "nvidia/segformer-b0-finetuned-ade-512-512", files)
    model = load_model(SEGFORMER, device="cpu")
    assert (model.label, model.short, model.classes) == ("segformer_b0:ade20k", 512, CLASS_SETS["ade20k"])
    assert "non-commercial" in model.facts["licence"]
    assert torch.equal(model(striped_images()), original(striped_images()))
    assert len(predicted(model, striped_images()).unique()) > 1
    before = requests(server)
    street = load_model("segformer_b0:ade20k", classes="street", device="cpu")
    assert requests(server) == before
    assert street(striped_images()).shape[1] == 11
    assert torch.equal(street.backbone_parameters()[0], original.backbone_parameters()[0])


@pytest.mark.slow
def test_mask2former(caches, server, monkeypatch):
    original = varied_mask2former("cityscapes")
    files = transformers_files(original)
    assert (
        b"model.pixel_level_module.encoder.encoder.layers.0.blocks.0.attention.self.query" in files["model.safetensors"]
    )
    serve_hub(server, monkeypatch, "facebook/mask2former-swin-tiny-cityscapes-semantic", files)
    model = load_model("mask2former_swin_tiny:cityscapes", device="cpu")
    assert (model.label, model.short) == ("mask2former_swin_tiny:cityscapes", 1024)
    with torch.inference_mode():
        assert torch.equal(model(striped_images()), original(striped_images()))


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


@pytest.mark.slow
def test_an_encoder_without_a_trained_decoder_refuses_to_predict(encoder, tmp_path, server):
    load_model(UNET, device="cpu")
    before = requests(server)
    model = load_model(UNET, classes="membrane", device="cpu")
    assert requests(server) == before
    assert model.label == "unet_resnet34:imagenet"
    for key, value in encoder.state_dict().items():
        assert torch.equal(model.net.encoder.state_dict()[key], value)
    with pytest.raises(ValueError, match=r"unet_resnet34:imagenet cannot predict yet.*Fine-tune"):
        model(striped_images())
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.loss(striped_images(), torch.zeros(2, 64, 64, dtype=torch.long), cross_entropy).backward()
    with pytest.raises(ValueError, match="cannot predict yet"):
        model.eval()(striped_images())
    optimizer.step()
    scores = model(striped_images())
    save_model(model, tmp_path / "unet.safetensors")
    assert torch.equal(load_model(tmp_path / "unet.safetensors", device="cpu")(striped_images()), scores)


@pytest.mark.slow
def test_an_encoder_can_be_frozen_and_fine_tuned(encoder):
    model = load_model(UNET, device="cpu")
    train = load_dataset("toytown", "train").subset(range(4))
    fit(model, train, train, Recipe(epochs=1, batch=2, size=(64, 64), freeze=1, ema=0.5), progress=False)
    assert model(striped_images()).shape == (2, 11, 64, 64)
    assert torch.equal(model.net.encoder.conv1.weight, encoder.conv1.weight)


def test_an_untrained_unet_predicts_without_a_network(caches):
    assert load_model(UNET, weights=None, device="cpu")(striped_images()).shape == (2, 11, 64, 64)


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
    message = str(caught.value)
    spec, name = published.resolve(label)
    path = published.files(spec, name)[-1]
    assert path.name == file
    assert str(path if len(published.files(spec, name)) == 1 else path.parent) in message
    advice = f"seglab fetch {label} --to DIR", f"{mini}, a small {spec.family}"
    for words in (file, f"({size})", CLOSED, "refused", *advice):
        assert words in message


def test_files_at_the_path_in_the_message_are_used(caches, lraspp, segformer, monkeypatch, tmp_path):
    publish_torchvision(LRASPP, lraspp[1], monkeypatch)
    for name, files in ((LRASPP, {"": lraspp[1]}), (SEGFORMER, segformer[1])):
        with pytest.raises(ValueError) as caught:
            load_model(name)
        target = Path(re.search(r"; or put .* (?:at|into) (.*)\. \w+, a small", str(caught.value))[1])
        for file, body in files.items():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (target / file).write_bytes(body)
        assert len(predicted(load_model(name, device="cpu"), striped_images()).unique()) > 1


def test_files_with_another_hash_than_in_their_name_are_refused(caches, server, monkeypatch, tmp_path, lraspp):
    """A login page, or half a file: nothing is kept, and the next attempt starts again."""
    for answer in (lambda body: whole(b"<html>"), lambda body: lambda h, _: send(h, 200, body, len(body) // 2)):
        serve_torchvision(server, monkeypatch, LRASPP, lraspp[1], answer)
        with pytest.raises(ValueError, match=r"cannot be fetched from .*invalid hash value"):
            load_model(LRASPP)
        assert files_below(tmp_path) == []
    serve_torchvision(server, monkeypatch, LRASPP, lraspp[1])
    load_model(LRASPP)


def test_a_damaged_file_in_the_cache_is_named(caches, lraspp):
    path = published.files(MODELS[LRASPP], "coco")[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(lraspp[1][:100_000])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} cannot be read: .*Delete it, and fetch it again"):
        load_model(LRASPP)


def test_a_flipped_bit_in_a_cached_file_of_torchvision_is_never_silent(caches, lraspp, monkeypatch):
    """torchvision verifies a download only; its cache is read as it is."""
    publish_torchvision(LRASPP, lraspp[1], monkeypatch)
    path = published.files(MODELS[LRASPP], "coco")[0]
    path.parent.mkdir(parents=True)
    for place in range(0, 8 * len(lraspp[1]), 8 * len(lraspp[1]) // 20):
        damaged = bytearray(lraspp[1])
        damaged[place // 8] ^= 1 << place // 8 % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cannot be read: its SHA-256 is not the announced one.*Delete it"):
            load_model(LRASPP, device="cpu")


def test_a_flipped_bit_in_a_cached_file_of_the_hub_is_never_silent(caches, server, monkeypatch, segformer):
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, segformer[1])
    load_model(SEGFORMER, device="cpu")
    blob = published.files(MODELS[SEGFORMER], "ade20k")[-1].resolve()
    content = bytearray(blob.read_bytes())
    content[-1000] ^= 4
    blob.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read: its SHA-256 is not the announced one"):
        load_model(SEGFORMER, device="cpu")


@pytest.mark.parametrize(
    "text", ["[]", "5", "null", '{"image_mean": 5}', '{"image_mean": ["a"]}', '{"image_std": [null]}', "{"]
)
def test_damaged_settings_of_the_preprocessing(caches, server, monkeypatch, segformer, text):
    files = segformer[1] | {"preprocessor_config.json": text.encode()}
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, files)
    with pytest.raises(ValueError, match=r"segformer_b0|preprocessor_config\.json"):
        load_model(SEGFORMER)


@pytest.mark.parametrize("text", ["../../../elsewhere", "", "main\n../x", "\xff"])
def test_a_damaged_reference_of_the_hub_leads_nowhere(caches, text):
    ref = published.repository(MODELS[SEGFORMER].weights["ade20k"].source) / "refs" / "main"
    ref.parent.mkdir(parents=True)
    ref.write_bytes(text.encode("latin-1"))
    folder = published.files(MODELS[SEGFORMER], "ade20k")[0].parent
    assert folder == ref.parents[1] / "snapshots" / "main"


def test_files_with_another_hash_than_announced_are_deleted(caches, server, monkeypatch, tmp_path, segformer):
    repo = MODELS[SEGFORMER].weights["ade20k"].source
    serve_hub(server, monkeypatch, repo, segformer[1], sent=lambda body: body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"model\.safetensors has another SHA-256 than announced, and was deleted"):
        load_model(SEGFORMER)
    assert not [path for path in files_below(tmp_path) if path.stat().st_size > 100_000]
    serve_hub(server, monkeypatch, repo, segformer[1])
    load_model(SEGFORMER)


def test_a_blob_may_be_a_link(tmp_path):
    """Caches that share blobs contain links to them under other names."""
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
    with pytest.raises(OSError, match=r"model\.safetensors has another SHA-256"):
        published._verify(path)
    assert files_below(tmp_path) == [store]


def test_a_broken_connection_to_the_hub_is_resumed(caches, server, monkeypatch, segformer):
    repo, body = MODELS[SEGFORMER].weights["ade20k"].source, segformer[1]["model.safetensors"]
    serve_hub(server, monkeypatch, repo, segformer[1])
    path, ranges = f"/{repo}/resolve/main/model.safetensors", []

    def breaks_once(handler, before):
        if handler.command == "HEAD":
            return hub_answer(body)(handler, before)
        ranges.append(handler.headers["Range"])
        if len(ranges) == 1:
            return send(handler, 200, body, 12_000_000)
        start = int(ranges[-1][6:-1])
        return send(handler, 206, body[start:], Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")

    server.routes[path] = breaks_once
    assert torch.equal(load_model(SEGFORMER, device="cpu")(striped_images()), segformer[0](striped_images()))
    assert len(ranges) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {str(i): n for i, n in enumerate(reversed(CLASS_SETS["ade20k"].names))}}, "in another order"),
        ({"id2label": {str(i): f"LABEL_{i}" for i in range(150)}}, "other classes"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps: 1e-05 instead of 1e-06"),
        ({"depths": [2, 2, 2, 3]}, r"other weights than seglab's SegFormer-B0 needs: segformer\."),
    ],
)
def test_a_changed_publication_is_refused(caches, server, monkeypatch, segformer, changes, message):
    config = json.dumps(json.loads(segformer[1]["config.json"]) | changes).encode()
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, segformer[1] | {"config.json": config})
    with pytest.raises(ValueError, match=message):
        load_model(SEGFORMER)


def test_another_normalisation_is_refused(caches, server, monkeypatch, segformer):
    prepared = json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}).encode()
    files = segformer[1] | {"preprocessor_config.json": prepared}
    serve_hub(server, monkeypatch, MODELS[SEGFORMER].weights["ade20k"].source, files)
    with pytest.raises(ValueError, match=r"image_mean: \[0\.5, 0\.5, 0\.5\] instead of \[0\.485, 0\.456, 0\.406\]"):
        load_model(SEGFORMER)


def test_classes_in_another_order_are_refused():
    names = ["__background__", *CLASS_SETS["voc"].names[1:]]
    published._check_classes(names, MODELS[LRASPP], "coco")
    names[3], names[4] = names[4], names[3]
    with pytest.raises(ValueError, match="index 3: 'boat' published, 'bird' expected"):
        published._check_classes(names, MODELS[LRASPP], "coco")
    renamed = ["wall", "house", *CLASS_SETS["ade20k"].names[2:25], "cottage", *CLASS_SETS["ade20k"].names[26:]]
    with pytest.raises(ValueError, match="index 1: 'house' published"):  # which has another index in seglab
        published._check_classes(renamed, MODELS[SEGFORMER], "ade20k")
    published._check_classes(
        ["wall", "edifice, building", *renamed[2:6], "road, route", *renamed[7:]], MODELS[SEGFORMER], "ade20k"
    )
