"""`predict`: results computed on demand equal those of interpolating all scores at once."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as F

from seglab import CLASS_SETS, load_model, predict
from seglab.data.images import to_image
from seglab.data.toytown import scene as toytown
from seglab.data.transforms import normalize
from seglab.inference.fast import network_size
from seglab.inference.prediction import Prediction, predictions
from seglab.inference.tiles import Tile
from seglab.models.adapters import wrap
from seglab.models.cost import LiveMemory

STREET = CLASS_SETS["street"]
SCENE = toytown.scene(30001).image


def noise(size=(97, 131), low=(13, 17), classes=STREET, logits=True, seed=0) -> Prediction:
    """A prediction of `size` from random scores of size `low`."""
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randn(len(classes), *low, generator=rng)
    scores = scores if logits else scores.exp()
    image = torch.zeros(3, *size, dtype=torch.uint8)
    return Prediction(image, classes, (Tile(0, 0, *size, scores),), "noise", logits, 0.0)


def whole(p: Prediction) -> torch.Tensor:
    """All scores at the image's size: float32 (K,H,W)."""
    return interpolate(p.tiles[0].scores[None], p.size, mode="bilinear")[0]


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_rows_equal_those_of_all_scores(height, width, rows, columns, data):
    p = noise((height, width), (rows, columns))
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    torch.testing.assert_close(p.scores(rows=(start, stop)), whole(p)[:, start:stop], rtol=1e-5, atol=1e-5)


def test_classes_are_chosen_by_name():
    p = noise()
    assert torch.equal(p.scores(["sign", "sky"]), whole(p)[[6, 0]])
    torch.testing.assert_close(p.probs(["pole"], rows=(3, 9)), whole(p).softmax(0)[[2], 3:9])
    with pytest.raises(ValueError, match="unknown street class 'skye'; did you mean 'sky'"):
        p.scores(["skye"])
    with pytest.raises(ValueError, match="rows=\\(90, 98\\) of an image with 97"):
        p.scores(rows=(90, 98))


def test_results_in_strips_equal_those_of_all_scores(monkeypatch):
    monkeypatch.setattr("seglab.inference.tiles.STRIP", 5000)  # a few rows at a time
    p = noise()
    probs = whole(p).softmax(0)
    first, second = probs.sort(dim=0, descending=True)[0][:2]
    torch.testing.assert_close(p.confidence(), first)
    torch.testing.assert_close(p.margin(), first - second, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(p.entropy(), -(probs * probs.log2()).sum(0), atol=1e-5, rtol=1e-5)
    assert torch.equal(p.mask, whole(p).argmax(0).to(torch.uint8))
    assert p.entropy().max() <= math.log2(len(STREET)) + 1e-5


def test_scores_that_are_not_logits_are_divided_by_their_sum():
    p = noise(logits=False)
    torch.testing.assert_close(p.probs(), whole(p) / whole(p).sum(0))
    torch.testing.assert_close(p.probs().sum(0), torch.ones(p.size))


def test_the_table_counts_the_mask():
    p = noise()
    table = p.table()
    assert table["pixels"].sum() == p.mask.numel()
    assert table["share"].sum() == pytest.approx(1)
    assert table["pixels"].is_monotonic_decreasing
    where = p.mask == STREET.index("road")
    assert table.loc["road", "pixels"] == where.sum()
    assert table.loc["road", "confidence"] == pytest.approx(float(p.confidence()[where].mean()), rel=1e-5)


@pytest.mark.slow
def test_twelve_megapixels_and_150_classes_stay_small():
    """All scores would take 7.2 GB; mask, entropy and the scores of one class take a few hundred megabytes."""
    p = noise((3000, 4000), (128, 170), CLASS_SETS["ade20k"])
    with LiveMemory() as memory:
        assert p.mask.shape == (3000, 4000)
        assert p.entropy().shape == (3000, 4000)
        assert p.scores(["tree"]).shape == (1, 3000, 4000)
    assert memory.peak < 1e9


# Pictures -------------------------------------------------------------------------------------------------------------


def plain(model, image: torch.Tensor) -> torch.Tensor:
    """Resize, normalise, run, interpolate: (K,H,W)."""
    size = network_size(image.shape[1:], model.short)
    small = F.resize(image, list(size), antialias=True)
    with torch.inference_mode():
        return interpolate(model(normalize(small)[None]), image.shape[1:], mode="bilinear")[0]


def test_a_prediction_equals_the_plain_computation(model):
    p = predict(model, SCENE)
    scores = plain(model, to_image(SCENE))
    assert (p.mask != scores.argmax(0)).float().mean() <= 1e-4
    assert len(p.mask.unique()) > 5  # a model that predicts one class everywhere would agree trivially
    torch.testing.assert_close(p.scores(), scores, rtol=1e-3, atol=1e-3)


def test_many_images_give_the_same_as_one_at_a_time(model):
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
    assert predict(again, SCENE).tiles[0].scores.shape[-2:] == (96, 128)


def test_exif_orientation_is_applied(model, tmp_path):
    image = Image.fromarray(to_image(SCENE).permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[274] = 6  # the photograph was taken with the camera on its side
    image.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert torch.equal(predict(model, tmp_path / "turned.png").mask, predict(model, image).mask)


class Own(nn.Module):
    """A small network of one's own, which can be changed without replacing a tensor."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, 11, 3, padding=1)

    def forward(self, x):
        return self.head(self.features(x))


@pytest.mark.parametrize("change", [
    lambda net: net.head.bias.data.add_(torch.arange(11) * 10.0),
    lambda net: np.copyto(net.head.bias.detach().numpy(), np.arange(11) * 10.0),
    lambda net: net.features.__setitem__(2, nn.Tanh()),
    lambda net: (setattr(net.head, "dilation", (2, 2)), setattr(net.head, "padding", (2, 2))),
    lambda net: setattr(net.features[1], "eps", 10.0),
])  # fmt: skip
def test_changes_that_leave_the_tensor_version_are_noticed(change):
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
    own.net.kept = own.net(torch.zeros(1, 3, 8, 8))  # a tensor with the history of its gradient
    with pytest.raises(ValueError, match="Own cannot be copied, and predictions are made with a copy"):
        predict(own, SCENE)


def test_a_module_that_takes_one_size_only():
    class Fixed(Own):
        def forward(self, x):
            assert x.shape[-2:] == (192, 256), "wrong size"
            return super().forward(x)

    assert predict(wrap(Fixed(), "street"), SCENE).mask.shape == (192, 256)


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_scores_that_are_nan_are_refused(tile):
    class Broken(Own):
        def forward(self, x):
            return super().forward(x).index_fill(3, torch.tensor(3), float("nan"))

    with pytest.raises(ValueError, match="Broken gives scores that are NaN or infinite"):
        predict(wrap(Broken(), "street"), SCENE, tile=tile)


def test_a_line_of_pixels_is_refused(model):
    with pytest.raises(ValueError, match=r"an image of 2000 × 1 pixels is too long: .* 192 wide and 384000 long"):
        predict(model, np.zeros((2000, 1, 3), np.uint8))


def test_a_module_has_to_be_wrapped():
    with pytest.raises(ValueError, match=r"Own is a module of your own: predict\(seglab.models.adapters.wrap"):
        predict(Own(), SCENE)


def test_predictions_of_a_single_image_are_refused(model):
    for image in ("a.png", Path("a.png"), SCENE, to_image(SCENE)):
        with pytest.raises(ValueError, match="expected several images"):
            next(predictions(model, image))


def test_images_before_a_broken_one_are_predicted(model, tmp_path):
    results = predictions(model, [SCENE, SCENE, tmp_path / "nothing.png", SCENE], batch=4)
    assert [next(results).size, next(results).size] == [(192, 256)] * 2
    with pytest.raises(ValueError, match="no such file"):
        next(results)
