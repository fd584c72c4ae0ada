"""Image and mask are transformed together, no new labels appear, and padding is void."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seglab.data.transforms import RandomCrop, eval_transform, normalize, to_batch, train_transform

PADDING = (124, 116, 104)  # ImageNet's mean colour in 0–255


def pair(height: int = 12, width: int = 20) -> tuple[Tensor, Tensor]:
    image = torch.arange(3 * height * width).reshape(3, height, width) % 251
    target = torch.arange(height * width).reshape(height, width) % 11
    return image.to(torch.uint8), target.to(torch.uint8)


def test_without_randomness_nothing_changes():
    image, target = pair()
    for transform in (eval_transform(), eval_transform((12, 20)), train_transform((12, 20), (1, 1), 0, 0)):
        new_image, new_target = transform(image, target)
        assert torch.equal(new_image, image) and torch.equal(new_target, target)


def test_the_results_are_plain_tensors():
    image, target = train_transform((8, 8))(*pair())
    assert type(image) is Tensor and type(target) is Tensor
    assert image.dtype == target.dtype == torch.uint8 and image.shape == (3, 8, 8) and target.shape == (8, 8)


def test_image_and_mask_are_flipped_together():
    image, target = pair()
    new_image, new_target = train_transform((12, 20), (1, 1), flip=1, jitter=0)(image, target)
    assert torch.equal(new_image, image.flip(-1)) and torch.equal(new_target, target.flip(-1))


def test_doubling_repeats_each_label():
    target = torch.tensor([[0, 1], [2, 255]], dtype=torch.uint8)
    _, new_target = train_transform((4, 4), (2, 2), 0, 0)(torch.zeros(3, 2, 2, dtype=torch.uint8), target)
    assert new_target.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 255, 255], [2, 2, 255, 255]]


def test_downsampling_takes_the_label_at_the_centre():
    target = torch.arange(8, dtype=torch.uint8).repeat(4, 1)  # columns 0…7
    image = torch.zeros(3, 4, 8, dtype=torch.uint8)
    # The new pixels cover columns 0–3 and 4–7; their centres are 2.0 and 6.0. Plain nearest would give 0 and 4.
    assert eval_transform((1, 2))(image, target)[1].tolist() == [[2, 6]]


def test_padding_is_void_and_mean_coloured():
    image, target = pair(6, 10)
    new_image, new_target = train_transform((16, 16), (1, 1), 0, jitter=0.5)(image, target)
    outside = new_target == 255
    assert outside.sum() == 16 * 16 - 6 * 10
    assert new_image[:, outside].T.unique(dim=0).tolist() == [list(PADDING)]
    rows, columns = (~outside).nonzero().unbind(1)
    inside = new_target[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert torch.equal(inside, target)


@settings(max_examples=60)
@given(
    block=st.integers(1, 12),
    size=st.tuples(st.integers(4, 50), st.integers(4, 50)),
    scale=st.sampled_from([(0.5, 2.0), (0.5, 0.5), (0.37, 0.37), (1.5, 1.5), (3.0, 3.0)]),
    seed=st.integers(0, 2**31),
)
def test_image_and_mask_stay_aligned(block, size, scale, seed):
    torch.manual_seed(seed)
    cells = torch.randint(2, (40 // block + 1, 60 // block + 1), dtype=torch.uint8)
    target = cells.repeat_interleave(block, 0).repeat_interleave(block, 1)[:40, :60]
    image = torch.stack([255 * target, 255 - 255 * target, torch.zeros_like(target)])  # red equals the mask
    new_image, new_target = train_transform(size, scale, jitter=0)(image, target)
    red, green, blue = new_image
    assert torch.equal(new_target == 255, blue == PADDING[2])
    assert (new_target[(red == 255) & (green == 0)] == 1).all()
    assert (new_target[(red == 0) & (green == 255)] == 0).all()
    assert set(new_target.unique().tolist()) <= {0, 1, 255}
    if block * scale[0] > 8 and min(size) > 20:  # enough pixels have a pure colour for these checks
        pure = (red == 255) | (red == 0)
        assert pure.sum() > 0.3 * (new_target != 255).sum()


def test_random_numbers_come_from_torch():
    transform = train_transform((10, 10))
    torch.manual_seed(7)
    first, second = transform(*pair()), transform(*pair())
    torch.manual_seed(7)
    again = transform(*pair())
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], second[0])


def test_all_positions_of_a_crop_occur():
    torch.manual_seed(0)
    target = torch.arange(9, dtype=torch.uint8).reshape(3, 3)
    transform = train_transform((1, 1), (1, 1), 0, 0)
    seen = {transform(torch.zeros(3, 3, 3, dtype=torch.uint8), target)[1].item() for _ in range(200)}
    assert seen == set(range(9))


def fraction_with_class_5(favour: tuple[int, ...]) -> float:
    torch.manual_seed(0)
    target = torch.zeros(64, 64, dtype=torch.uint8)
    target[2, 60] = 5
    transform = train_transform((8, 8), (1, 1), 0, 0, favour=favour)
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    return sum(bool((transform(image, target)[1] == 5).any()) for _ in range(200)) / 200


def test_favoured_classes_are_in_half_of_the_crops():
    assert fraction_with_class_5(()) < 0.1
    assert 0.4 < fraction_with_class_5((5,)) < 0.65
    assert fraction_with_class_5((9,)) < 0.1  # a class that the image does not have changes nothing


def test_image_and_target_must_have_one_size():
    with pytest.raises(ValueError, match="differ in height or width"):
        eval_transform()(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 5, dtype=torch.uint8))


def test_normalize_by_hand():
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(3, 1, 1)
    expected = [(0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert normalize(image).flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert normalize(image, (0, 0, 0), (1, 1, 1)).flatten().tolist() == pytest.approx([0, 1, 0.2])


def test_normalize_refuses_other_types_and_shapes():
    for wrong in (torch.zeros(3, 4, 4), torch.zeros(4, 4, 3, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="expects uint8 images"):
            normalize(wrong)


def test_a_batch_has_one_size():
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    batch = to_batch([image, image])
    assert batch.shape == (2, 3, 4, 6) and batch.dtype == torch.float32
    with pytest.raises(ValueError, match=r"one size, found \[\(4, 4\), \(4, 6\)\]"):
        to_batch([image, image[..., :4]])
    with pytest.raises(ValueError, match="found none"):
        to_batch([])


def test_the_repr_lists_the_steps():
    assert "RandomScale" in repr(train_transform((8, 8))) and isinstance(RandomCrop((8, 8)), torch.nn.Module)
