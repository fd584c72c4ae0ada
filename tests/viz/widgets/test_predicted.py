"""The page that `seglab predict` writes beside its masks: what it holds, what it leaves out, and how it opens."""

import base64
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs
from typer.testing import CliRunner

from seglab import CLASS_SETS
from seglab.__main__ import app
from seglab.data.labels import read_mask
from seglab.viz.widgets import predicted
from seglab.viz.widgets.predicted import write_page

CLASSES = CLASS_SETS["photographs"]


@pytest.fixture
def predictions(tmp_path) -> Path:
    """The folder that `seglab predict` wrote for a cat and a face."""
    (tmp_path / "photos").mkdir()
    Image.fromarray(photographs.chelsea()).save(tmp_path / "photos" / "cat.png")
    Image.fromarray(photographs.astronaut()[::2, ::2]).save(tmp_path / "photos" / "face #1.png")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["predict", str(tmp_path / "photos"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"{out / 'index.html'} shows them in the browser" in result.output
    return out


def scenes(page: Path) -> list:
    return [
        json.loads(text)["data"]
        for text in re.findall(r'<script type="application/json">(.*?)</script>', page.read_text())
    ]


def test_the_page_holds_the_masks(predictions, browser):
    for scene, name in zip(scenes(predictions / "index.html"), ("cat", "face #1"), strict=True):
        mask = read_mask(predictions / f"{name}_mask.png").numpy()
        (layer,) = scene["layers"]
        assert layer["name"] == "unet_lite:photographs"
        assert zlib.decompress(base64.b64decode(layer["labels"])) == mask.tobytes()
    page = browser.new_page(viewport={"width": 390, "height": 800})
    asked = []
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.goto((predictions / "index.html").as_uri())
    cat = page.locator(".seglab-viewer").first
    cat.locator(".legend button[title=cat]").click()
    assert cat.locator(".legend button[title=background]").get_attribute("aria-pressed") == "false"
    assert cat.locator(".legend button[title=cat]").get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert set(asked) <= {"file", "data", "blob"}
    assert page.get_by_role("link", name="mask").nth(1).get_attribute("href") == "face%20%231_mask.png"


def test_the_page_stays_small(predictions, monkeypatch):
    photos = [predictions.parent / "photos" / name for name in ("cat.png", "face #1.png")]
    monkeypatch.setattr(predicted, "MOST_BYTES", 1000)
    assert "shows the first 1 in the browser" in write_page(predictions, photos, "a", CLASSES)
    text = (predictions / "index.html").read_text()
    assert "of 2 photographs" in text
    assert "This page shows the first 1, to stay small." in text
    many = [predictions.parent / f"{n}.png" for n in range(14)]
    for path in many:
        shutil.copy(photos[0], path)
        shutil.copy(predictions / "cat_mask.png", predictions / f"{path.stem}_mask.png")
    monkeypatch.undo()
    assert "shows the first 12" in write_page(predictions, many, "a", CLASSES)
    assert len(scenes(predictions / "index.html")) == 12
    monkeypatch.setattr(predicted, "MOST_PIXELS", 30 * 45)  # a tenth of the height and of the width
    write_page(predictions, photos[:1], "a", CLASSES)
    (scene,) = scenes(predictions / "index.html")
    assert (scene["height"], scene["width"]) == (30, 45)
    labels = np.frombuffer(zlib.decompress(base64.b64decode(scene["layers"][0]["labels"])), np.uint8).reshape(30, 45)
    mask = read_mask(predictions / "cat_mask.png").numpy()
    assert (labels == mask[5::10, 5::10][:, :45]).mean() > 0.99


def test_a_page_of_another_program_is_kept(predictions):
    page, photos = predictions / "index.html", [predictions.parent / "photos" / "cat.png"]
    page.write_text("<h1>mine</h1>")
    assert "is of another program and is kept" in write_page(predictions, photos, "a", CLASSES)
    assert page.read_text() == "<h1>mine</h1>"
    assert "shows them" in write_page(predictions, photos, "a", CLASSES, force=True)
    assert len(scenes(page)) == 1


def test_names_are_only_text(predictions):
    photo = predictions / "<img src=x>.png"
    shutil.copy(predictions.parent / "photos" / "cat.png", photo)
    shutil.copy(predictions / "cat_mask.png", predictions / "<img src=x>_mask.png")
    write_page(predictions, [photo], "<script>", CLASSES)
    text = (predictions / "index.html").read_text()
    assert "<img src=x>" not in text
    assert "&lt;script&gt; assigned" in text
