"""The pure functions behind the explorer."""

import pytest
import torch
from skimage import data as photographs

from seglab import CLASS_SETS, load_dataset, predict
from seglab.viz.widgets import views
from seglab.viz.widgets.views import Selection

UNET = "unet_mini:toytown"
STREET = CLASS_SETS["street"]


def test_other_class_sets_are_translated():
    """A class without a counterpart is void; a class with a counterpart is renamed."""
    p, voc = predict(UNET, load_dataset("toytown", "test")[0].image), CLASS_SETS["voc"]
    mask = views.translated_masks({"unet": p}, voc)["unet"]
    for name, counterpart in (("car", "car"), ("pedestrian", "person")):
        assert (mask[p.mask == STREET.index(name)] == voc.index(counterpart)).all(), name
    void = views.translated_masks({"unet": p}, CLASS_SETS["membrane"])["unet"]
    assert (void == 255).all()
    table = views.iou({"unet": void}, torch.zeros_like(void), CLASS_SETS["membrane"])
    assert table["unet"].tolist() == [0.0, 0.0]  # a class without a counterpart is an error, not void


def test_a_selection_as_code():
    selection = Selection(("a", "b"), "camvid val", 4, precision="bfloat16", short=256, view="score", class_name="car")
    assert views.code(selection).splitlines() == [
        "from seglab import load_dataset, load_model, predict",
        "from seglab.viz.widgets import views",
        "",
        "image = load_dataset('camvid', 'val')[4].image",
        "models = {name: load_model(name) for name in ['a', 'b']}",
        "for model in models.values():",
        "    model.short = 256",
        "predictions = {name: predict(model, image, precision='bfloat16') for name, model in models.items()}",
        "views.figure(predictions, 'score', 'car')",
    ]


def test_an_unknown_view():
    with pytest.raises(ValueError, match=r"unknown view 'entropie'.*entropy"):
        views.figure({"u": predict(UNET, photographs.chelsea())}, "entropie")
