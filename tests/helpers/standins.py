"""Stand-ins for published weights: models of the right form, trained for a moment, as files under official names."""

import io
import json
import tempfile
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub import constants

from seglab import load_model
from seglab.models.registry import MODELS
from seglab.models.weights import published
from seglab.training.losses import cross_entropy

CLOSED = "http://127.0.0.1:9"  # a port at which nobody listens


def taught(name, known, classes, steps):
    """A few steps on vertical stripes of several classes; then it says at least two things."""
    torch.manual_seed(0)  # of its first weights, whatever ran before
    model = load_model(name, weights=None, classes=known, device="cpu")
    images, target = pictures(), torch.zeros(2, 64, 64, dtype=torch.long)
    for i, index in enumerate(classes):
        target[..., 16 * i : 16 * (i + 1)] = index
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=2e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(images, target, cross_entropy).backward()
        optimizer.step()
    model.eval()
    assert len(says(model, images).unique()) > 1
    return model


def loud(known):
    """Mask2Former is too slow to train here: queries that differ and are loud say several things."""
    torch.manual_seed(3)
    model = load_model("mask2former_swin_tiny", weights=None, classes=known, device="cpu")
    part = model.net.model.transformer_module
    with torch.no_grad():
        for queries in (part.queries_features, part.queries_embedder):
            torch.nn.init.normal_(queries.weight, std=10)
        model.net.class_predictor.weight *= 20
        part.decoder.mask_predictor.mask_embedder.get_submodule("2.0").weight *= 100
    assert len(says(model, pictures()).unique()) > 1
    return model


@torch.inference_mode()
def says(model, images):
    return model(images).argmax(dim=1)


def pictures():
    """Four vertical stripes, one brighter than the other."""
    noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    return noise + 3 * torch.arange(4).repeat_interleave(16)


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def transformers_files(model, **changes):
    labels = [name if name != "bed" else "bed " for name in model.classes.names]  # as it is published
    model.net.config.id2label = dict(enumerate(labels))
    with tempfile.TemporaryDirectory() as folder:
        model.net.save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    config = json.loads(files["config.json"]) | changes
    mean, std = [0.48500001430511475, 0.456, 0.406], [0.229, 0.224, 0.225]
    prepared = json.dumps({"image_mean": mean, "image_std": std}).encode()
    return files | {"config.json": json.dumps(config).encode(), "preprocessor_config.json": prepared}


def put(name, weights, model):
    """Into the caches, as if it had been fetched."""
    tensors, *texts = reversed(published.files(MODELS[name], weights))
    tensors.parent.mkdir(parents=True, exist_ok=True)
    files = transformers_files(model) if texts else {tensors.name: saved(model.net.state_dict())}
    for path in (tensors, *texts):
        path.write_bytes(files[path.name])


def use_caches(folder, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "huggingface"))


def use_hub(base, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", base)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", base + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(huggingface_hub.file_exists.__self__, "endpoint", base)
