"""The pure functions behind the explorer."""

import pytest
from skimage import data as photographs

from seglab import predict
from seglab.viz.widgets import views
from seglab.viz.widgets.views import Selection

UNET = "unet_mini:toytown"


def test_a_selection_as_code():
    selection = Selection(("a", "own"), "camvid val", 4, "bfloat16", short=256, view="score", class_name="car")
    models = {"a": "load_model('a')", "own": None}
    assert views.code(selection, "load_dataset('camvid', 'val')", models).splitlines() == [
        "from seglab import load_dataset, load_model, predict",
        "from seglab.viz.widgets import views",
        "",
        "dataset = load_dataset('camvid', 'val')",
        "image = dataset[4].image",
        "models = {",
        "    'a': load_model('a'),",
        "    'own': ...,  # the model that explore was given",
        "}",
        "for model in models.values():",
        "    model.short = 256",
        "predictions = {name: predict(model, image, precision='bfloat16') for name, model in models.items()}",
        "views.figure(predictions, 'score', 'car')",
    ]


def test_an_unknown_view():
    with pytest.raises(ValueError, match=r"unknown view 'entropie'.*entropy"):
        views.figure({"u": predict(UNET, photographs.chelsea())}, "entropie")
