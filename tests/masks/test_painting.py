"""Masks as images: by hand, in both layouts, and against torchvision."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import draw_segmentation_masks

from seglab import CLASS_SETS, colorize, overlay
from seglab.data.classes import ClassSet
from seglab.data.palette import hatch
from seglab.data.toytown import scene as toytown
from seglab.masks.painting import outlines

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]


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


def test_overlay_by_hand_leaves_void_unchanged():
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
    from_tf = overlay(tf.constant(hwc), tf.constant(mask.numpy()), STREET, alpha=0.5)
    assert (from_tf.numpy() == ours.permute(1, 2, 0).numpy()).all()
    from_pillow = overlay(Image.fromarray(hwc), mask, STREET, alpha=0.5)
    assert isinstance(from_pillow, Image.Image)
    assert (np.asarray(from_pillow) == ours.permute(1, 2, 0).numpy()).all()
    theirs = draw_segmentation_masks(
        chw, torch.stack([mask == k for k in range(11)]), alpha=0.5, colors=list(STREET.colors)
    )
    assert (ours.int() - theirs.int()).abs().max() <= 1  # rounding


def test_overlay_of_selected_classes_and_outlines():
    scene = toytown.scene(8)
    plain = overlay(scene.image, scene.target, STREET, alpha=0.6, only=["car"])
    changed = (plain != scene.image).any(0)
    assert (scene.target[changed] == STREET.index("car")).all()
    assert changed.sum() > 0.9 * (scene.target == STREET.index("car")).sum()
    lined = overlay(scene.image, scene.target, STREET, alpha=0.0, outline=True)
    assert ((lined != scene.image).any(0) <= outlines(scene.target)).all()


@pytest.mark.parametrize(("image", "mask", "message"), [
    (torch.zeros(3, 4, 4), torch.zeros(4, 4, dtype=torch.uint8), "expected uint8"),
    (torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8), "expected .3, H, W."),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(2, 2, dtype=torch.uint8), "at the image's size"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.full((4, 4), 77), r"label 77 \(\d+ pixels?\) outside"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 4), "integer array"),
    (torch.zeros(3, 0, 4, dtype=torch.uint8), torch.zeros(0, 4, dtype=torch.uint8), r"shape \(3, 0, 4\)"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.complex64), "integer array"),
    (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 0, dtype=torch.uint8), "integer array"),
    (Image.new("L", (4, 4)), torch.zeros(4, 4, dtype=torch.uint8), "mode is 'L'; convert it first"),
])  # fmt: skip
def test_invalid_images_and_masks_raise(image, mask, message):
    with pytest.raises(ValueError, match=message):
        overlay(image, mask, STREET)


def test_outlines_by_hand():
    mask = np.zeros((5, 5), np.uint8)
    mask[2, 2] = 1
    ring = np.zeros((5, 5), bool)
    ring[1:4, 1:4] = True  # the pixel itself and its eight neighbours
    assert (outlines(mask) == ring).all()
    assert not outlines(np.full((4, 4), 3, np.uint8)).any()


def test_stripes_distinguish_classes_of_one_colour():
    safe = CLASS_SETS["ade20k"].safe()
    i, j = 0, 21  # the same colour, another pattern
    assert safe.colors[i] == safe.colors[j]
    size = (32, 32)
    a, b = (colorize(np.full(size, k, np.uint8), safe) for k in (i, j))
    assert (a != b).any(-1).mean() > 0.2
    patterns = [hatch(k, size) for k in range(8)]
    assert len({p.tobytes() for p in patterns}) == 8
