"""Scores to masks and masks to pictures: three frameworks, both layouts, exact answers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.utils import draw_segmentation_masks

from seglab import CLASS_SETS, colorize, overlay
from seglab.data.classes import ClassSet
from seglab.data.palette import hatch
from seglab.data.toytown import scene as toytown
from seglab.masks.argmax import binary_mask, to_mask
from seglab.masks.painting import outlines

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow", reason="TensorFlow comes with the `test` extra")


def blurred_scores(seed: int, size: tuple[int, int], classes: int = 11) -> torch.Tensor:
    """Scores like a trained model's: the label map of a scene, downsized and blurred. (1, K, h, w)."""
    target = torch.from_numpy(toytown.scene(seed).target).long().clamp(max=classes - 1)
    one_hot = F.one_hot(target, classes).permute(2, 0, 1)[None].float()
    shares = F.avg_pool2d(F.interpolate(one_hot, size, mode="area"), 3, 1, 1)
    return (shares + 0.01).log() + 0.05 * torch.randn(1, classes, *size, generator=torch.Generator().manual_seed(seed))


# to_mask ----------------------------------------------------------------------------------------------


def test_argmax_by_hand():
    scores = torch.tensor([[[1.0, 5.0], [2.0, 2.0]], [[3.0, 4.0], [2.0, 9.0]]])  # (K, H, W)
    assert to_mask(scores, channel_dim=0).tolist() == [[1, 0], [0, 1]]  # a draw goes to the first class


def test_layouts_and_frameworks_agree(tf):
    scores = blurred_scores(3, (24, 32)).repeat(2, 1, 1, 1)
    scores[1] = scores[1].flip(-1)
    expected = scores.argmax(1).to(torch.uint8)
    last = scores.permute(0, 2, 3, 1).contiguous()
    for size, answer in ((None, expected), ((96, 128), F.interpolate(scores, (96, 128), mode="bilinear").argmax(1))):
        assert torch.equal(to_mask(scores, size=size), answer.to(torch.uint8))
        assert torch.equal(to_mask(last, channel_dim=-1, size=size), answer.to(torch.uint8))
        from_numpy = to_mask(last.numpy(), channel_dim=-1, size=size)
        assert isinstance(from_numpy, np.ndarray)
        assert (from_numpy == answer.numpy()).all()
        from_tf = to_mask(tf.constant(last.numpy()), channel_dim=3, size=size)
        assert tf.is_tensor(from_tf)
        assert from_tf.dtype == tf.uint8
        assert (from_tf.numpy() == answer.numpy()).all()


def test_keras_on_torch_goes_through(monkeypatch):
    """Channels-last output of a Keras layer, as TensorFlow users have it."""
    keras = pytest.importorskip("keras", reason="Keras comes with TensorFlow in the `test` extra")
    out = keras.layers.Conv2D(5, 3, padding="same")(np.random.default_rng(0).random((2, 8, 9, 3), np.float32))
    mask = to_mask(out, channel_dim=-1)
    assert tuple(mask.shape) == (2, 8, 9)
    assert (np.asarray(mask) == keras.ops.convert_to_numpy(out).argmax(-1)).all()


@pytest.mark.parametrize("grid", [(24, 32), (12, 16), (48, 64), (7, 5)])
@pytest.mark.parametrize("size", [(192, 256), (191, 257), (360, 480), (13, 17)])
def test_mask_at_size_is_interpolate_then_argmax(grid, size):
    for seed in range(3):
        scores = blurred_scores(seed, grid)
        plain = F.interpolate(scores, size, mode="bilinear", align_corners=False).argmax(1)
        assert torch.equal(to_mask(scores, size=size), plain.to(torch.uint8))


@settings(max_examples=150)
@given(
    classes=st.integers(2, 7),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**31),
)
def test_mask_at_size_for_any_scores(classes, grid, size, seed):
    """Noise is the hardest case: nearly every cell is mixed. Integers make draws at the corners common."""
    scores = torch.randint(-3, 4, (2, classes, *grid), generator=torch.Generator().manual_seed(seed)).float()
    full = F.interpolate(scores, size, mode="bilinear", align_corners=False)
    mask, plain = to_mask(scores, size=size), full.argmax(1)
    different = mask != plain
    if different.any():  # then only where the two scores agree to within rounding
        chosen = full.gather(1, mask.long()[:, None])[:, 0]
        assert (full.amax(1) - chosen)[different].abs().max() < 1e-5


def test_half_precision_scores_are_interpolated_in_float32():
    scores = blurred_scores(1, (24, 32)).to(torch.bfloat16)
    plain = F.interpolate(scores.float(), (96, 128), mode="bilinear").argmax(1)
    assert torch.equal(to_mask(scores, size=(96, 128)), plain.to(torch.uint8))


@pytest.mark.parametrize(("scores", "arguments", "words"), [
    (torch.zeros(2, 1, 4, 4), {}, r"1 channels.*sigmoid"),
    (torch.zeros(2, 300, 4, 4), {}, "300 channels.*really the one of the classes"),
    (torch.zeros(4, 4), {}, "expected .B, K, H, W."),
    (torch.zeros(2, 3, 4, 4), {"channel_dim": 0}, "the batch"),
    (torch.zeros(2, 3, 4, 4), {"channel_dim": 7}, "channel_dim=7"),
    (torch.zeros(2, 3, 4, 4, dtype=torch.int64), {}, "expected floats"),
    (torch.full((1, 3, 4, 4), float("nan")), {}, "NaN"),
    (torch.full((1, 3, 4, 4), float("inf")), {"size": (8, 8)}, "infinite"),
])  # fmt: skip
def test_bad_scores_are_refused(scores, arguments, words):
    with pytest.raises(ValueError, match=words):
        to_mask(scores, **arguments)


# binary masks and outlines ------------------------------------------------------------------------------


def test_binary_mask_keeps_shape_and_kind(tf):
    mask = np.array([[[0, 2], [2, 255]]], np.uint8)
    expected = [[[0, 1], [1, 0]]]
    assert binary_mask(mask, 2).tolist() == expected
    assert binary_mask(torch.from_numpy(mask), 2).tolist() == expected
    assert binary_mask(tf.constant(mask), 2).numpy().tolist() == expected
    with pytest.raises(ValueError, match="class_index=300"):
        binary_mask(mask, 300)


def test_outlines_by_hand():
    mask = np.zeros((5, 5), np.uint8)
    mask[2, 2] = 1
    ring = np.zeros((5, 5), bool)
    ring[1:4, 1:4] = True  # the pixel itself and its eight neighbours
    assert (outlines(mask) == ring).all()
    assert not outlines(np.full((4, 4), 3, np.uint8)).any()


# pictures ---------------------------------------------------------------------------------------------


def test_colorize_is_a_lookup_in_both_layouts():
    mask = np.array([[0, 1], [15, 255]], np.uint8)
    rgb = colorize(mask, VOC)
    assert rgb.shape == (2, 2, 3)
    assert rgb[1, 0].tolist() == [192, 128, 128]  # person, as in the devkit
    assert rgb[1, 1].tolist() == [224, 224, 192]  # void, as in the devkit
    assert (colorize(torch.from_numpy(mask), VOC).numpy() == rgb.transpose(2, 0, 1)).all()
    batch = torch.from_numpy(np.stack([mask, mask[::-1].copy()]))
    assert colorize(batch, VOC).shape == (2, 3, 2, 2)
    assert torch.equal(colorize(batch, VOC)[1], colorize(batch[1], VOC))


def test_overlay_by_hand_and_void_is_left_alone():
    image = np.full((1, 3, 3), 100, np.uint8)
    classes = ClassSet("two", ("a", "b"), ((200, 0, 100), (0, 0, 0)))
    out = overlay(image, np.array([[0, 1, 255]], np.uint8), classes, alpha=0.5)
    assert out.tolist() == [[[150, 50, 100], [50, 50, 50], [100, 100, 100]]]


def test_overlay_keeps_the_layout_and_agrees_with_torchvision(tf):
    scene = toytown.scene(8)
    chw, hwc = torch.from_numpy(scene.image), np.ascontiguousarray(scene.image.transpose(1, 2, 0))
    mask = torch.from_numpy(scene.target)
    ours = overlay(chw, mask, STREET, alpha=0.5)
    assert ours.shape == chw.shape
    assert (overlay(hwc, mask.numpy(), STREET, alpha=0.5).transpose(2, 0, 1) == ours.numpy()).all()
    assert (
        overlay(tf.constant(hwc), tf.constant(mask.numpy()), STREET, alpha=0.5).numpy() == ours.permute(1, 2, 0).numpy()
    ).all()
    theirs = draw_segmentation_masks(
        chw, torch.stack([mask == k for k in range(11)]), alpha=0.5, colors=list(STREET.colors)
    )
    assert (ours.int() - theirs.int()).abs().max() <= 1  # rounding


def test_overlay_of_chosen_classes_and_outlines():
    scene = toytown.scene(8)
    plain = overlay(scene.image, scene.target, STREET, alpha=0.6, only=["car"])
    changed = (plain != scene.image).any(0)
    assert (scene.target[changed] == STREET.index("car")).all()
    assert changed.sum() > 0.9 * (scene.target == STREET.index("car")).sum()
    lined = overlay(scene.image, scene.target, STREET, alpha=0.0, outline=True)
    assert ((lined != scene.image).any(0) <= outlines(scene.target)).all()


@pytest.mark.parametrize(("image", "mask", "words"), [
    (torch.zeros(3, 4, 4), torch.zeros(4, 4, dtype=torch.uint8), "expected uint8"),
    (torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8), "expected .3, H, W."),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(2, 2, dtype=torch.uint8), "at the image's size"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.full((4, 4), 77), r"label 77 \(\d+ pixels?\) outside"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 4), "integer array"),
])  # fmt: skip
def test_bad_pictures_are_refused(image, mask, words):
    with pytest.raises(ValueError, match=words):
        overlay(image, mask, STREET)


def test_stripes_tell_classes_of_one_colour_apart():
    safe = CLASS_SETS["ade20k"].safe()
    i, j = 0, 21  # the same colour, another pattern
    assert safe.colors[i] == safe.colors[j]
    size = (32, 32)
    a, b = (colorize(np.full(size, k, np.uint8), safe) for k in (i, j))
    assert (a != b).any(-1).mean() > 0.2
    patterns = [hatch(k, size) for k in range(8)]
    assert len({p.tobytes() for p in patterns}) == 8
