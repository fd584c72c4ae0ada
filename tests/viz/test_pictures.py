"""Images, masks, overlays and heat maps: golden colours and label maps, legends, alternative text."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from seglab import CLASS_SETS
from seglab.data.palette import hatch
from seglab.data.toytown import scene as toytown
from seglab.viz import pictures

STREET = CLASS_SETS["street"]


@pytest.fixture(scope="module")
def scene():
    return toytown.scene(30_004)


def test_describe_by_hand():
    mask = np.array([[3] * 90 + [0] * 7 + [8] * 2 + [255]], np.uint8)
    assert pictures.describe(mask, STREET) == "road 90 %, sky 7 %, car 2 %, void 1 %"
    assert pictures.describe(mask, STREET, most=2) == "road 90 %, sky 7 %, …"
    assert pictures.describe(np.array([[0] * 999 + [1]]), STREET) == "sky 100 %, building < 1 %"


def test_no_images_are_an_error():
    with pytest.raises(ValueError, match="no images to show; give at least one"):
        pictures.side_by_side([])


def test_a_mask_has_the_class_colours(scene):
    """The middle picture is the palette applied to the label map, nothing else."""
    figure = pictures.image_and_mask(scene.image, scene.target, STREET)
    shown = figure.axes[1].images[0].get_array()
    assert (np.asarray(shown) == STREET.palette[scene.target]).all()
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    present = {STREET.names[k] for k in np.unique(scene.target) if k != 255}
    assert names == present | {"void"}
    assert figure.alt.startswith("An image, its mask and the overlay of both: road ")


def test_legends_have_the_patterns_of_the_pixels():
    """Each line of matplotlib's notation is a line of True in `palette.hatch`, and the other way round."""
    safe = CLASS_SETS["ade20k"].safe()
    figure = pictures.side_by_side([np.zeros((2, 2, 3), np.uint8)])
    pictures.legend(figure, safe, np.arange(len(safe)))
    y, x = np.ogrid[:8, :8]
    lines = {"-": y + 0 * x, "|": x + 0 * y, "/": (x + y) % 8, "\\": (x - y) % 8}
    patches = figure.legends[0].get_patches()
    assert [round(255 * c) for c in to_rgb(patches[9].get_facecolor())] == list(safe.colors[9])
    for patch, index in zip(patches, safe.hatches, strict=True):
        stripes = hatch(index, (8, 8))
        found = {name for name, line in lines.items() if any(stripes[line == i].all() for i in range(8))}
        assert found == set(patch.get_hatch() or ""), index
    assert set(safe.hatches) == set(range(8))


def test_heat_maps_share_one_scale():
    figure = pictures.heat_maps({"a": np.zeros((3, 3)), "b": np.full((3, 3), 4.0)}, diverging=True)
    limits = {ax.images[0].get_clim() for ax in figure.axes if ax.images}
    assert limits == {(-4.0, 4.0)}


def test_instances_have_colours_of_their_own(scene):
    rgb = pictures.instance_colors(scene.instance)
    for number in np.unique(scene.instance):
        assert len(np.unique(rgb[scene.instance == number], axis=0)) == 1
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) == len(np.unique(scene.instance))
    panoptic = pictures.panoptic_colors(scene.target, scene.instance, STREET)
    stuff = (scene.instance == 0) & (scene.target != 255)
    assert (panoptic[stuff] == STREET.palette[scene.target[stuff]]).all()


def test_a_soft_mask_goes_from_grey_to_its_colour():
    rgb = pictures.soft_colors(torch.tensor([[0.0, 0.5, 1.0, 1.2]]), (36, 236, 0))
    assert rgb.tolist() == [[[236, 236, 236], [136, 236, 118], [36, 236, 0], [36, 236, 0]]]


def test_a_binary_mask_is_its_colour_or_grey():
    rgb = pictures.binary_colors(torch.tensor([[True, False]]), "#102030")
    assert rgb.dtype == np.uint8
    assert rgb.tolist() == [[[16, 32, 48], [236, 236, 236]]]


def test_a_spotlight_keeps_the_image_at_the_highest_weights_and_darkens_the_rest():
    image = np.full((3, 4, 8), 200, np.uint8)
    drawn = pictures.spotlights(image, {"a": (torch.tensor([[0.0, 2.0]]), (1, 6)), "b": (np.ones((2, 2)), None)})
    first, second = (ax.images[0].get_array() for ax in drawn.axes[:2])
    assert (first[:, :4] == 50).all()  # a quarter of its brightness
    assert (first[:, 4:] == 200).all()
    assert (second == 200).all()
    assert [len(ax.lines) for ax in drawn.axes[:2]] == [2, 0]  # a ring, in two colours
    assert "a: 50 % of the weights exceed half of the largest" in drawn.alt


def test_labels_outside_the_class_set_are_white():
    assert pictures.label_colors(np.array([[3, 77, 255]]), STREET).tolist() == [
        [[128, 64, 128], [255, 255, 255], [0, 0, 0]]
    ]
