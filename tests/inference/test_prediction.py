"""Predictions: worked out lazily, and equal to interpolating everything at once."""

import json
import math
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from seglab import CLASS_SETS, load_model, overlay, predict
from seglab.data.images import image_paths, to_image
from seglab.data.labels import read_mask, write_mask
from seglab.data.toytown import scene as toytown
from seglab.data.transforms import normalize
from seglab.inference.fast import network_size
from seglab.inference.prediction import Prediction, predictions
from seglab.inference.tiles import Tile, tiles
from seglab.models.adapters import wrap
from seglab.models.cost import _Alive

STREET = CLASS_SETS["street"]


def said(size=(97, 131), grid=(13, 17), classes=STREET, logits=True, seed=0) -> Prediction:
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randn(len(classes), *grid, generator=rng)
    scores = scores if logits else scores.exp()
    image = torch.zeros(3, *size, dtype=torch.uint8)
    return Prediction(image, classes, (Tile(0, 0, *size, scores),), "noise", logits, 0.0)


def whole(p: Prediction) -> torch.Tensor:
    return interpolate(p.tiles[0].grid[None], p.size, mode="bilinear")[0]


@settings(max_examples=40)
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
    monkeypatch.setattr("seglab.inference.prediction.STRIP", 5000)  # a few rows at a time
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
                    expected, np.moveaxis(rgb, -1, 0), rgb.astype(np.uint16) * 257,
                    rgb.astype(">u2") * 257):  # fmt: skip
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
        (torch.zeros(3, 4, 5, dtype=torch.bfloat16), r"bfloat16; expected uint8.*\.byte\(\)"),
        (np.zeros((4, 5, 3), bool), r"bool; expected uint8.*astype"),
        (Image.fromarray(np.full((4, 5), 200, np.int32)), "values from 200 to 200 in 32 bits"),
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
    with pytest.raises(ValueError, match=r"several pictures are named 'b' \(.*b.png, .*b.png\)"):
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
    overlap = data.draw(st.integers(0, min(rows, columns) // 2))
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
    assert len(predict(model, scene.image[:, :64, :64], tile=(32, 40)).tiles) == 3 * 2  # they share eight pixels
    with pytest.raises(ValueError, match="overlap=100 of tiles of 192 × 256; expected at most half of a side"):
        predict(model, scene.image, tile=(192, 256), overlap=100)
    with pytest.raises(ValueError, match=r"tile=\(0, 64\)"):
        predict(model, scene.image, tile=(0, 64))


class Own(nn.Module):
    """A module of one's own, in which much can be changed without another tensor."""

    def __init__(self):
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.say = nn.Conv2d(8, 11, 3, padding=1)

    def forward(self, x):
        return self.say(self.look(x))


@pytest.mark.parametrize("change", [
    lambda net: net.say.bias.data.add_(torch.arange(11) * 10.0),
    lambda net: np.copyto(net.say.bias.detach().numpy(), np.arange(11) * 10.0),
    lambda net: net.look.__setitem__(2, nn.Tanh()),
    lambda net: (setattr(net.say, "dilation", (2, 2)), setattr(net.say, "padding", (2, 2))),
    lambda net: setattr(net.look[1], "eps", 10.0),
])  # fmt: skip
def test_changes_that_no_version_tells_are_noticed(change):
    torch.manual_seed(0)
    own = wrap(Own(), "street")
    before = predict(own, SCENE).scores()
    assert torch.equal(predict(own, SCENE).scores(), before)
    change(own.net)
    after = predict(own, SCENE).scores()
    assert not torch.allclose(after, before)
    with torch.no_grad():
        expected = own(normalize(to_image(SCENE))[None])[0]
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.bfloat16])
def test_weights_of_any_precision(kind):
    torch.manual_seed(0)
    own = wrap(Own(), "street")
    expected = predict(own, SCENE).scores()
    scores = predict(own.to(kind), SCENE).scores()
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected, atol=0.1, rtol=0.1)


def test_made_in_inference_mode():
    with torch.inference_mode():
        own = wrap(Own(), "street")
    assert predict(own, SCENE).mask.shape == (192, 256)


def test_a_module_that_cannot_be_copied():
    own = wrap(Own(), "street")
    own.net.kept = own.net(torch.zeros(1, 3, 8, 8))  # with the history of its gradient
    with pytest.raises(ValueError, match="Own cannot be copied, and what predicts is a copy"):
        predict(own, SCENE)


def test_a_module_that_takes_one_size_only():
    class Fixed(Own):
        def forward(self, x):
            assert x.shape[-2:] == (192, 256), "wrong size"
            return super().forward(x)

    assert predict(wrap(Fixed(), "street"), SCENE).mask.shape == (192, 256)


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_scores_that_are_no_numbers(tile):
    class Broken(Own):
        def forward(self, x):
            return super().forward(x).index_fill(3, torch.tensor(3), float("nan"))

    with pytest.raises(ValueError, match="Broken gives scores that are NaN or infinite"):
        predict(wrap(Broken(), "street"), SCENE, tile=tile)


def test_lines_of_pixels_are_refused(model):
    with pytest.raises(ValueError, match=r"an image of 2000 × 1 pixels is too long: .* 192 wide and 384000 long"):
        predict(model, np.zeros((2000, 1, 3), np.uint8))


def test_a_module_has_to_be_wrapped():
    with pytest.raises(ValueError, match=r"Own is a module of your own: predict\(seglab.models.adapters.wrap"):
        predict(Own(), SCENE)


def test_one_image_is_not_several(model):
    for image in ("a.png", Path("a.png"), SCENE, to_image(SCENE)):
        with pytest.raises(ValueError, match="expected several images"):
            next(predictions(model, image))


def test_what_comes_before_a_broken_picture_is_said(model, tmp_path):
    said = predictions(model, [SCENE, SCENE, tmp_path / "nothing.png", SCENE], batch=4)
    assert [next(said).size, next(said).size] == [(192, 256)] * 2
    with pytest.raises(ValueError, match="no such file"):
        next(said)


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
    assert "predicts 11 classes: sky, building" in run.stdout
    p = predict(model, photos / "scene.png")
    assert torch.equal(read_mask(out / "scene_mask.png", STREET), p.mask)
    shown = to_image(out / "scene_overlay.png")
    assert torch.equal(shown, overlay(p.image, p.mask, STREET, 0.6))
    table = pd.read_csv(out / "table.csv")
    assert table["pixels"].sum() == p.mask.numel()
    assert set(table["image"]) == {"scene.png"}


def draw(path: Path, seed: int = 30_001) -> Path:
    Image.fromarray(toytown.scene(seed).image.transpose(1, 2, 0)).save(path)
    return path


def test_the_pictures_are_not_written_over(tmp_path):
    (tmp_path / "a_mask.png").write_bytes(b"mine")
    run = seglab("predict", draw(tmp_path / "a.png"), "--model", "unet_mini:toytown", "--out", tmp_path)
    assert run.returncode == 1
    assert "holds the pictures, and masks would be mixed with them" in run.stderr
    assert (tmp_path / "a_mask.png").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "street.png/inside"), "street.png"),
        (("--device", "cuda:77"), "device 'cuda:77' cannot be used on this machine; available: cpu"),
        (("--device", "abacus"), "device 'abacus' cannot be used on this machine"),
    ],
)
def test_what_the_command_cannot_do(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    run = seglab("predict", draw(tmp_path / "street.png"), "--model", "unet_mini:toytown", *arguments)
    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--alpha", "2"), "alpha=2.0; expected a share from 0 to 1"),
        (("--tile", "0", "64"), "tile=(0, 64); expected a height and a width"),
        (("--precision", "float12"), "unknown precision 'float12'"),
    ],
)
def test_a_wrong_option_is_said_once(tmp_path, arguments, said):
    pictures = [draw(tmp_path / f"{i}.png") for i in range(3)]
    run = seglab("predict", *pictures, "--model", "unet_mini:toytown", "--out", tmp_path / "out", *arguments)
    assert run.returncode == 1
    assert run.stderr.count(said) == 1
    assert not (tmp_path / "out").exists()


def test_killed_it_goes_on(tmp_path):
    """SIGKILL in the middle: what was finished is not done again, and in the end all is as if nothing had been."""
    photos, out, whole = (tmp_path / name for name in ("photos", "out", "whole"))
    photos.mkdir()
    for i in range(40):
        draw(photos / f"{i}.png", 30_000 + i)
    command = "predict", photos, "--model", "unet_mini:toytown", "--out"
    running = subprocess.Popen([sys.executable, "-m", "seglab", *map(str, (*command, out))],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while len(list(out.glob("*_mask.png"))) < 3:
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.wait()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*_mask.png")}
    assert len(finished) < 40
    assert seglab(*command, out).returncode == seglab(*command, whole).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    made = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert len(made) == 81
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".part"} == made

    draw(photos / "0.png", 30_077)  # another picture
    assert seglab(*command, out).returncode == 0
    changed = {path.name for path in out.iterdir() if made.get(path.name) != path.read_bytes()}
    assert {name for name in changed if not name.endswith(".part")} == {"0_mask.png", "0_overlay.png", "table.csv"}
    assert seglab(*command, out, "--precision", "bfloat16").returncode == 0  # another way to make them
    with Image.open(out / "1_mask.png") as image:
        assert json.loads(image.info["seglab"])["precision"] == "bfloat16"
