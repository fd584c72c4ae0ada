"""Empty caches, a server, and stand-ins for published weights."""

from pathlib import Path

import pytest
from helpers.server import serving
from helpers.standins import CLOSED, pickled, train_briefly, transformers_files, use_caches, use_hub
from torchvision.models import get_model_weights

from seglab.models.registry import MODELS

LRASPP, SEGFORMER = "lraspp_mobilenet_v3_large", "segformer_b0"


@pytest.fixture(scope="session")
def lraspp():
    """torchvision's smallest model, and its file."""
    model = train_briefly(LRASPP, "voc", [0, 7, 15, 20], steps=30)
    return model, pickled(model.net.state_dict())


@pytest.fixture(scope="session")
def segformer():
    """SegFormer-B0 for ADE20K, and its files as transformers writes them, with the keys of 2021."""
    model = train_briefly(SEGFORMER, "ade20k", [2, 4, 6, 20], steps=8)
    return model, transformers_files(model)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches, and a closed port instead of the network."""
    use_caches(tmp_path / "caches", monkeypatch)
    use_hub(CLOSED, monkeypatch)
    for spec in MODELS.values():
        for row in spec.weights.values():
            if row.source == "COCO_WITH_VOC_LABELS_V1":
                official = get_model_weights(spec.name)[row.source].value
                monkeypatch.setattr(official, "url", f"{CLOSED}/{Path(official.url).name}")
