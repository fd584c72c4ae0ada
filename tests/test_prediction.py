"""Predictions: worked out lazily, and equal to interpolating everything at once."""

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from seglab import CLASS_SETS, load_model, overlay, predict, toytown
from seglab.cost import _Alive
from seglab.files import image_paths, read_mask, to_image, write_mask
from seglab.inference import network_size
from seglab.prediction import Prediction, Tile, predictions, tiles
from seglab.transforms import normalize

STREET = CLASS_SETS["street"]


def said(size=(97, 131), grid=(13, 17), classes=STREET, logits=True, seed=0) -> Prediction:
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randn(len(classes), *grid, generator=rng)
    scores = scores if logits else scores.exp()
    image = torch.zeros(3, *size, dtype=torch.uint8)
    return Prediction(image, classes, (Tile(0, 0, *size, scores),), "noise", logits, 0.0)


def whole(p: Prediction) -> torch.Tensor:
    return interpolate(p.tiles[0].grid[None], p.size, mode="bilinear")[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_rows_are_the_rows_of_the_whole(height, width, rows, columns, data):
    p = said((height, width), (rows, columns))
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    torch.testing.assert_close(p.scores(rows=(start, stop)), whole(p)[:, start:stop], rtol=1e-5, atol=1e-5)


def test_classes_are_chosen_by_name():
    p = said()
    assert torch.equal(p.scores(["sign", "sky"]), whole(p)[[6, 0]])
    torch.testing.assert_close(p.probs(["pole"], rows=(3, 9)), whole(p).softmax(0)[[2], 3:9])
    with pytest.raises(ValueError, match="unknown street class 'skye'; did you mean 'sky'"):
        p.scores(["skye"])
    with pytest.raises(ValueError, match="rows=\\(90, 98\\) of an image with 97"):
        p.scores(rows=(90, 98))


def test_maps_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr("seglab.prediction.STRIP", 5000)  # a few rows at a time
    p = said()
    probs = whole(p).softmax(0)
    first, second = probs.sort(dim=0, descending=True)[0][:2]
    torch.testing.assert_close(p.confidence(), first)
    torch.testing.assert_close(p.margin(), first - second, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(p.entropy(), -(probs * probs.log2()).sum(0), atol=1e-5, rtol=1e-5)
    assert torch.equal(p.mask, whole(p).argmax(0).to(torch.uint8))
    assert p.entropy().max() <= math.log2(len(STREET)) + 1e-5


def test_scores_that_are_no_logits_are_scaled_to_sum_to_one():
    p = said(logits=False)
    torch.testing.assert_close(p.probs(), whole(p) / whole(p).sum(0))
    torch.testing.assert_close(p.probs().sum(0), torch.ones(p.size))


def test_the_table_counts_the_mask():
    p = said()
    table = p.table()
    assert table["pixels"].sum() == p.mask.numel()
    assert table["share"].sum() == pytest.approx(1)
    assert table["pixels"].is_monotonic_decreasing
    where = p.mask == STREET.index("road")
    assert table.loc["road", "pixels"] == where.sum()
    assert table.loc["road", "confidence"] == pytest.approx(float(p.confidence()[where].mean()), rel=1e-5)


def test_tiles_that_say_the_same_are_seamless():
    """One score map, cut into overlapping tiles at its own size, comes back."""
    scores = torch.randn(len(STREET), 40, 60, generator=torch.Generator().manual_seed(1))
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    places = [(0, 0), (0, 25), (15, 0), (15, 25)]
    tiles = tuple(Tile(top, left, 25, 35, scores[:, top : top + 25, left : left + 35]) for top, left in places)
    p = Prediction(image, STREET, tiles, "tiles", True, 0.0)
    torch.testing.assert_close(p.scores(), scores)
    torch.testing.assert_close(p.scores(rows=(12, 30)), scores[:, 12:30])
    assert torch.equal(p.mask, scores.argmax(0).to(torch.uint8))


def test_twelve_megapixels_and_150_classes_stay_small():
    """All scores would take 7.2 GB; mask, entropy and a class of it are worked out in a few hundred megabytes."""

    p = said((3000, 4000), (128, 170), CLASS_SETS["ade20k"])
    with _Alive() as memory:
        assert p.mask.shape == (3000, 4000)
        assert p.entropy().shape == (3000, 4000)
        assert p.scores(["tree"]).shape == (1, 3000, 4000)
    assert memory.peak < 1e9


# Pictures -------------------------------------------------------------------------------------------------------------


def test_the_same_picture_however_it_comes(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    expected = torch.from_numpy(rgb).permute(2, 0, 1)
    tensor = torch.from_numpy(rgb.copy())
    for picture in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(rgb), rgb, tensor,
                    expected, np.moveaxis(rgb, -1, 0), rgb.astype(np.uint16) * 257):  # fmt: skip
        assert torch.equal(to_image(picture), expected)


def test_grey_and_alpha():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for picture in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        assert torch.equal(to_image(picture), torch.from_numpy(grey).expand(3, 3, 4))
    clear = np.zeros((5, 6, 4), np.uint8)
    assert (to_image(clear) == 255).all()  # what is transparent lies on white


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((4, 5, 3)), "float64; expected uint8"),
        (torch.zeros(3, 4, 5), "float32; expected uint8"),
        (np.zeros((6, 5, 2), np.uint8), r"shape \(6, 5, 2\)"),
        (np.zeros((2, 4, 5, 3), np.uint8), r"shape \(2, 4, 5, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        ("nowhere.jpg", "no such file"),
    ],
)
def test_what_is_no_picture_is_refused(picture, said):
    with pytest.raises(ValueError, match=said):
        to_image(picture)


def test_a_mask_comes_back_from_its_file(tmp_path):
    mask = torch.randint(0, 11, (20, 30), dtype=torch.uint8)
    mask[3, 4] = 255
    write_mask(tmp_path / "m.png", mask, STREET)
    assert torch.equal(read_mask(tmp_path / "m.png", STREET), mask)
    colors = np.asarray(Image.open(tmp_path / "m.png").convert("RGB"))
    assert (colors == STREET.palette[mask.numpy()]).all()


def test_pictures_in_folders(tmp_path):
    for name in ("b.png", "a.JPG", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in image_paths([tmp_path])] == ["a.JPG", "b.png"]
    with pytest.raises(ValueError, match="several pictures are named 'b'"):
        image_paths([tmp_path, tmp_path / "b.png"])
    with pytest.raises(ValueError, match=r"no such file; did you mean 'b.png'"):
        image_paths([tmp_path / "b.pgn"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        image_paths([tmp_path / "empty"])


# Models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return load_model("unet_mini:toytown", device="cpu")


SCENE = toytown.scene(30001).image


def plain(model, image: torch.Tensor) -> torch.Tensor:
    """Resize, normalise, run, interpolate: (K,H,W)."""
    size = network_size(image.shape[1:], model.short)
    small = F.resize(image, list(size), antialias=True)
    with torch.inference_mode():
        return interpolate(model(normalize(small)[None]), image.shape[1:], mode="bilinear")[0]


def test_a_prediction_is_the_plain_way_shortened(model):
    p = predict(model, SCENE)
    scores = plain(model, to_image(SCENE))
    assert (p.mask != scores.argmax(0)).float().mean() <= 1e-4
    assert len(p.mask.unique()) > 5  # models that say one class everywhere agree for nothing
    torch.testing.assert_close(p.scores(), scores, rtol=1e-3, atol=1e-3)


def test_many_images_are_as_one(model):
    image = to_image(SCENE)
    pictures = [image, image.flip(-1), image[:, :150], image]
    several = list(predictions(model, pictures, batch=3))
    for picture, p in zip(pictures, several, strict=True):
        assert p.size == tuple(picture.shape[1:])
        assert (p.mask != predict(model, picture).mask).float().mean() <= 1e-4


def test_weights_that_change_are_noticed(model):
    again = load_model("unet_mini:toytown", device="cpu")
    before = predict(again, SCENE).mask
    with torch.no_grad():
        again.net.classifier.bias[0] += 1e6
    assert not torch.equal(predict(again, SCENE).mask, before)
    assert (predict(again, SCENE).mask == 0).all()
    again.short = 96
    assert predict(again, SCENE).tiles[0].grid.shape[-2:] == (96, 128)


def test_upright_as_a_viewer_shows_it(model, tmp_path):
    image = Image.fromarray(to_image(SCENE).permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned
    image.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert torch.equal(predict(model, tmp_path / "turned.png").mask, predict(model, image).mask)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 90), st.integers(2, 90), st.data())
def test_tiles_cover_and_overlap(height, width, rows, columns, data):
    overlap = data.draw(st.integers(0, min(rows, columns) - 1))
    covered = np.zeros((height, width), int)
    places = tiles((height, width), (rows, columns), overlap)
    for top, left, h, w in places:
        assert (h, w) == (min(rows, height), min(columns, width))
        assert 0 <= top <= height - h
        assert 0 <= left <= width - w
        covered[top : top + h, left : left + w] += 1
    assert covered.min() >= 1
    tops, lefts = (sorted({place[k] for place in places}) for k in (0, 1))
    assert all(b - a <= min(rows, height) - overlap for a, b in pairwise(tops))
    assert all(b - a <= min(columns, width) - overlap for a, b in pairwise(lefts))


def test_tiles_of_a_large_scene(model):
    """Twice as large, in tiles of its own size, a scene is seen as well as at its own size."""
    scene = toytown.scene(30002, (384, 512))
    target = torch.from_numpy(scene.target)

    def accuracy(p: Prediction) -> float:
        return float((p.mask == target)[target != 255].float().mean())

    p = predict(model, scene.image, tile=(192, 256), overlap=48)
    assert len(p.tiles) == 9
    assert p.size == (384, 512)
    assert accuracy(p) > 0.5
    with pytest.raises(ValueError, match="overlap=256"):
        predict(model, scene.image, tile=(192, 256), overlap=256)


def seglab(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "seglab", *map(str, arguments)], capture_output=True, text=True,
                          check=False)  # fmt: skip


def test_the_command(tmp_path, model):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    image = Image.fromarray(to_image(SCENE).permute(1, 2, 0).numpy())
    image.save(photos / "scene.png")
    (photos / "broken.jpg").write_bytes(b"nothing")
    run = seglab("predict", photos, "--model", "unet_mini:toytown", "--out", out)
    assert run.returncode == 1
    assert "broken.jpg: not an image" in run.stderr
    assert "Traceback" not in run.stderr
    assert "knows 11 classes and nothing else: sky, building" in run.stdout
    p = predict(model, photos / "scene.png")
    assert torch.equal(read_mask(out / "scene_mask.png", STREET), p.mask)
    shown = to_image(out / "scene_overlay.png")
    assert torch.equal(shown, overlay(p.image, p.mask, STREET, 0.6))
    table = pd.read_csv(out / "table.csv")
    assert table["pixels"].sum() == p.mask.numel()
    assert set(table["image"]) == {"scene.png"}
