"""Stand-ins for published weights: models of the right form, trained for a few steps, as files under official names."""

import hashlib
import io
import json
import tempfile
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub import constants
from torchvision.models import get_model_weights

from seglab import load_model
from seglab.models.registry import MODELS
from seglab.models.weights import published
from seglab.training.losses import cross_entropy

CLOSED = "http://127.0.0.1:9"  # a closed port


def train_briefly(name, class_set, classes, steps):
    """Train on vertical stripes of several classes, until at least two classes are predicted."""
    torch.manual_seed(0)  # of the initial weights
    model = load_model(name, weights=None, classes=class_set, device="cpu")
    images, target = striped_images(), torch.zeros(2, 64, 64, dtype=torch.long)
    for i, index in enumerate(classes):
        target[..., 16 * i : 16 * (i + 1)] = index
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=2e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(images, target, cross_entropy).backward()
        optimizer.step()
    model.eval()
    assert len(predicted(model, images).unique()) > 1
    return model


def varied_mask2former(class_set):
    """An untrained Mask2Former with scaled queries, so that it predicts several classes; training takes too long."""
    torch.manual_seed(3)
    model = load_model("mask2former_swin_tiny", weights=None, classes=class_set, device="cpu")
    part = model.net.model.transformer_module
    with torch.no_grad():
        for queries in (part.queries_features, part.queries_embedder):
            torch.nn.init.normal_(queries.weight, std=10)
        model.net.class_predictor.weight *= 20
        part.decoder.mask_predictor.mask_embedder.get_submodule("2.0").weight *= 100
    assert len(predicted(model, striped_images()).unique()) > 1
    return model


@torch.inference_mode()
def predicted(model, images):
    return model(images).argmax(dim=1)


def striped_images():
    """float (2,3,64,64): four vertical stripes, each brighter than the one before, with noise."""
    noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    return noise + 3 * torch.arange(4).repeat_interleave(16)


def pickled(state):
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


def put_in_cache(name, weights, model, monkeypatch):
    """Write the files of a model into the caches, as if they had been fetched."""
    body = pickled(model.net.state_dict())
    if MODELS[name].library == "torchvision":
        publish_torchvision(name, body, monkeypatch)
    tensors, *texts = reversed(published.files(MODELS[name], weights))
    tensors.parent.mkdir(parents=True, exist_ok=True)
    files = transformers_files(model) if texts else {tensors.name: body}
    for path in (tensors, *texts):
        path.write_bytes(files[path.name])


def publish_torchvision(name, body, monkeypatch, base=CLOSED):
    """Let torchvision publish `body`: under the official name of the file, with the hash of `body` in it."""
    official = get_model_weights(name)["COCO_WITH_VOC_LABELS_V1"].value
    stem = Path(official.url).name.rpartition("-")[0]
    monkeypatch.setattr(official, "url", f"{base}/{stem}-{hashlib.sha256(body).hexdigest()[:8]}.pth")


def use_caches(folder, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "huggingface"))


def use_hub(base, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", base)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", base + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(huggingface_hub.file_exists.__self__, "endpoint", base)
