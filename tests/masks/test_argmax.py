"""Scores to masks: by hand, in three frameworks and both layouts, and equal to interpolation followed by argmax."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab.data.classes import CLASS_SETS
from seglab.data.toytown import scene as toytown
from seglab.data.transforms import eval_transform, train_transform
from seglab.inference.tiles import tiles
from seglab.masks.argmax import binary_mask, to_mask
from seglab.masks.painting import colorize


def blurred_scores(seed: int, size: tuple[int, int], classes: int = 11) -> torch.Tensor:
    """Scores similar to a trained model's: the label map of a scene, downsampled and blurred. (1, K, h, w)."""
    target = torch.from_numpy(toytown.scene(seed).target).long().clamp(max=classes - 1)
    one_hot = F.one_hot(target, classes).permute(2, 0, 1)[None].float()
    fractions = F.avg_pool2d(F.interpolate(one_hot, size, mode="area"), 3, 1, 1)
    noise = torch.randn(1, classes, *size, generator=torch.Generator().manual_seed(seed))
    return (fractions + 0.01).log() + 0.05 * noise


def test_argmax_by_hand():
    scores = torch.tensor([[[1.0, 5.0], [2.0, 2.0]], [[3.0, 4.0], [2.0, 9.0]]])  # (K, H, W)
    assert to_mask(scores, channel_dim=0).tolist() == [[1, 0], [0, 1]]  # of equal scores, the first class


@pytest.mark.slow
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


@pytest.mark.parametrize("grid", [(24, 32), (12, 16), (48, 64), (7, 5)])
@pytest.mark.parametrize("size", [(192, 256), (191, 257), (360, 480), (13, 17)])
def test_mask_at_size_equals_interpolation_then_argmax(grid, size):
    for seed in range(3):
        scores = blurred_scores(seed, grid)
        expected = F.interpolate(scores, size, mode="bilinear", align_corners=False).argmax(1)
        assert torch.equal(to_mask(scores, size=size), expected.to(torch.uint8))


@settings(max_examples=150)
@given(
    classes=st.integers(2, 7),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**31),
)
def test_mask_at_size_for_random_scores(classes, grid, size, seed):
    """Noise is the hardest case: nearly every cell is mixed. Integer scores make ties at the corners common."""
    scores = torch.randint(-3, 4, (2, classes, *grid), generator=torch.Generator().manual_seed(seed)).float()
    full = F.interpolate(scores, size, mode="bilinear", align_corners=False)
    mask, expected = to_mask(scores, size=size), full.argmax(1)
    different = mask != expected
    if different.any():  # then only where the two scores agree within rounding
        chosen = full.gather(1, mask.long()[:, None])[:, 0]
        assert (full.amax(1) - chosen)[different].abs().max() < 1e-5


def test_a_mask_does_not_depend_on_the_layout_in_memory():
    """torch rounds otherwise where channels are last; and each cell of noise holds most classes."""
    scores = torch.randn(1, 21, 90, 120, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(scores, (540, 960), mode="bilinear").argmax(1)
    for layout in (torch.contiguous_format, torch.channels_last):
        assert torch.equal(to_mask(scores.contiguous(memory_format=layout), size=(540, 960)), expected.to(torch.uint8))


def test_scores_that_differ_in_their_last_bit_only():
    low = torch.randn(1, 1, 12, 16, generator=torch.Generator().manual_seed(0))
    scores = torch.cat([low, low.nextafter(torch.tensor(9.0))], 1)  # interpolated, both are equal at many pixels
    expected = F.interpolate(scores, (192, 256), mode="bilinear").argmax(1)
    assert 0 < expected.double().mean() < 1
    assert torch.equal(to_mask(scores, size=(192, 256)), expected.to(torch.uint8))


def test_scores_near_the_largest_float():
    scores = torch.randn(1, 3, 12, 16, generator=torch.Generator().manual_seed(0)).sign() * 2.0**127
    expected = F.interpolate(scores, (48, 64), mode="bilinear").argmax(1)
    assert torch.equal(to_mask(scores, size=(48, 64)), expected.to(torch.uint8))


def test_half_precision_scores_are_interpolated_in_float32():
    scores = blurred_scores(1, (24, 32)).to(torch.bfloat16)
    expected = F.interpolate(scores.float(), (96, 128), mode="bilinear").argmax(1)
    assert torch.equal(to_mask(scores, size=(96, 128)), expected.to(torch.uint8))


def test_float8_and_sparse_scores():
    scores = blurred_scores(1, (24, 32))
    for kind in (torch.float8_e4m3fn, torch.float8_e5m2):
        rounded = scores.to(kind)
        for size in (None, (48, 60)):
            assert torch.equal(to_mask(rounded, size=size), to_mask(rounded.float(), size=size))
    assert torch.equal(to_mask(scores.relu().to_sparse()), to_mask(scores.relu()))


@pytest.mark.parametrize("change", [lambda s: s * 1e300, lambda s: s * 1e-300, lambda s: s + 1e9])
def test_float64_scores_are_interpolated_in_float64(change):
    torch.manual_seed(0)
    scores = change(torch.randn(2, 11, 6, 8, dtype=torch.float64))
    expected = F.interpolate(scores, (24, 32), mode="bilinear").argmax(1)
    assert torch.equal(to_mask(scores, size=(24, 32)), expected.to(torch.uint8))
    assert np.array_equal(to_mask(scores.movedim(1, -1).numpy(), channel_dim=-1, size=(24, 32)), expected)


@pytest.mark.parametrize("size", [None, (4, 4), (9, 7)])
def test_an_empty_batch_has_an_empty_mask(size):
    mask = to_mask(torch.zeros(0, 3, 4, 4), size=size)
    assert mask.shape == (0, *(size or (4, 4)))
    assert mask.dtype == torch.uint8
    assert colorize(mask, CLASS_SETS["street"]).shape == (0, 3, *mask.shape[1:])


@pytest.mark.parametrize(
    "size", [0, 5, (0, 4), (4, 0), (4,), (4, 4, 4), (4.0, 4.0), (2.5, 3), "ab", (-1, 4), (None, 4)]
)
def test_impossible_sizes_are_refused(size):
    for use in (
        lambda: to_mask(torch.zeros(1, 3, 4, 4), size=size), lambda: tiles((40, 40), size),
        lambda: eval_transform(size), lambda: train_transform(size), lambda: toytown.scene(0, size),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected a height and a width in whole pixels"):
            use()


@pytest.mark.parametrize(("scores", "arguments", "message"), [
    (torch.zeros(1, 3, 0, 4), {}, "have no pixels"),
    (np.zeros((3, 4, 0)), {"channel_dim": 0, "size": (4, 4)}, "no pixels"),
    (torch.zeros(1, 3, 4, 4, dtype=torch.complex64), {}, "expected floats"),
    (torch.zeros(2, 1, 4, 4), {}, r"1 channels.*sigmoid"),
    (torch.zeros(2, 300, 4, 4), {}, "300 channels.*really the one of the classes"),
    (torch.zeros(4, 4), {}, "expected .B, K, H, W."),
    (torch.zeros(2, 3, 4, 4), {"channel_dim": 0}, "the batch"),
    (torch.zeros(2, 3, 4, 4), {"channel_dim": 7}, "channel_dim=7"),
    (torch.zeros(2, 3, 4, 4, dtype=torch.int64), {}, "expected floats"),
    (torch.full((1, 3, 4, 4), float("nan")), {}, "NaN"),
    (torch.full((1, 3, 4, 4), float("inf")), {"size": (8, 8)}, "infinite"),
])  # fmt: skip
def test_invalid_scores_raise(scores, arguments, message):
    with pytest.raises(ValueError, match=message):
        to_mask(scores, **arguments)


def test_binary_mask_keeps_shape_and_kind(tf):
    mask = np.array([[[0, 2], [2, 255]]], np.uint8)
    expected = [[[0, 1], [1, 0]]]
    assert binary_mask(mask, 2).tolist() == expected
    assert binary_mask(torch.from_numpy(mask), 2).tolist() == expected
    assert binary_mask(tf.constant(mask), 2).numpy().tolist() == expected
    with pytest.raises(ValueError, match="class_index=300"):
        binary_mask(mask, 300)
