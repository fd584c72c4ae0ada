"""Notebook 02 with published weights: only one constant changes.

Substitute weights from a very short training lie in torch's cache under the official name.
"""

import re
from pathlib import Path

import matplotlib
import pytest
import torch
from helpers.exercises import run
from helpers.paths import ROOT
from helpers.standins import CLOSED, put_in_cache, use_caches
from skimage import data
from torch.nn.functional import interpolate
from torchvision.models import get_model_weights, segmentation

from seglab import CLASS_SETS, load_model
from seglab.course.notebooks import read
from seglab.data.images import to_image
from seglab.report.page import tags
from seglab.training.losses import cross_entropy

NOTEBOOK = ROOT / "notebooks" / "02_first_inference.ipynb"
NAME = "lraspp_mobilenet_v3_large"
OFFICIAL = get_model_weights(NAME).DEFAULT


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network."""
    use_caches(tmp_path, monkeypatch)
    monkeypatch.setattr(OFFICIAL.value, "url", f"{CLOSED}/{Path(OFFICIAL.url).name}")
    monkeypatch.chdir(NOTEBOOK.parent)
    matplotlib.use("Agg")


@torch.no_grad()
def stand_in(image):
    """A random backbone, and a head from a very short training that predicts *cat* at dark pixels."""
    torch.manual_seed(0)
    model = load_model(NAME, weights=None, classes="voc", device="cpu")
    net, batch = model.net, OFFICIAL.transforms()(image)[None]
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # one image in train() sets the running averages
    net.train()(batch)
    features = net.eval().backbone(batch)
    size = features["low"].shape[-2:]
    light = interpolate(image[None].float().mean(dim=1, keepdim=True), size=size, mode="bilinear")[:, 0]
    target = (light < light.median()) * CLASS_SETS["voc"].index("cat")
    optimizer = torch.optim.AdamW(net.classifier.parameters(), lr=1e-2)
    with torch.enable_grad():
        for _ in range(40):
            optimizer.zero_grad()
            cross_entropy(net.classifier(features), target).backward()
            optimizer.step()
    return model


def executed(until):
    """The namespace after the cells up to the one that defines `until`, with published weights and solutions."""
    names = {"__name__": "__main__", "display": lambda *_: None}
    cells = [cell for cell in read(NOTEBOOK).cells if cell.cell_type == "code"]
    solutions = {cell.metadata["exercise"]: cell.source for cell in cells if "solution" in tags(cell)}
    for cell in cells:
        source = solutions[cell.metadata["exercise"]] if "exercise" in tags(cell) else cell.source
        if "parameters" in tags(cell):
            source, changed = re.subn(r'(?m)^MODEL = "[^"]+"', f'MODEL = "{NAME}"', source)
            assert changed == 1
        value = run(source, names)
        if "check" in tags(cell):
            assert value.passed, cell.metadata["exercise"]
        if until in names:
            break
    return names


@pytest.mark.slow
def test_published_weights_need_one_changed_constant(cache, monkeypatch):
    cat = to_image(data.chelsea())
    put_in_cache(NAME, "coco", stand_in(cat), monkeypatch)
    names = executed(until="never")
    assert (names["model"].label, names["classes"]) == (f"{NAME}:coco", CLASS_SETS["voc"])
    assert torch.equal(names["photo"], cat)

    net = segmentation.lraspp_mobilenet_v3_large(weights=OFFICIAL).eval()  # torchvision alone
    with torch.inference_mode():
        out = net(OFFICIAL.transforms()(cat)[None])["out"]
    mask = interpolate(out, size=cat.shape[-2:], mode="bilinear")[0].argmax(dim=0)
    assert len(mask.unique()) > 1
    assert torch.equal(names["mask"], mask)
    assert (names["prediction"].mask == mask).float().mean() > 0.95  # random features amplify how a resize rounds
    assert names["costs"].loc["nothing forgotten", "mIoU"] == 1


def test_without_a_network_the_notebook_continues_with_a_mini(cache, capsys):
    names = executed(until="prediction")
    assert f"the weights of {NAME}:coco, cannot be fetched" in capsys.readouterr().out
    assert names["model"].label == "deeplabv3_mini:toytown"
