"""Every figure: a legible PNG with alternative text, equal bytes for equal figures, and no pyplot."""

import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from seglab import CLASS_SETS
from seglab.data.toytown import scene as toytown
from seglab.metrics.calibration import calibration_counts
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class
from seglab.viz import charts, diagrams, grids, intervals, pictures, style

STREET = CLASS_SETS["street"]


@pytest.fixture(scope="module")
def scene():
    return toytown.scene(30_004)


def all_figures(scene) -> dict[str, style.Figure]:
    confmat = confusion_matrix(np.roll(scene.target, 3, 1) % 11, scene.target, 11)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), (8, 8)).transpose(2, 0, 1)

    counts = calibration_counts(torch.from_numpy(probs), torch.zeros(8, 8, dtype=torch.long))
    return {
        "pictures": pictures.side_by_side({"a": scene.image, "b": scene.image.transpose(1, 2, 0)}),
        "scene": pictures.image_and_mask(scene.image, scene.target, STREET),
        "labels": grids.label_grid({"m": np.array([[0, -1], [255, 3]])}, STREET, mark=np.eye(2) > 0),
        "heat_maps": pictures.heat_maps({"x": probs[0], "y": probs[1]}, unit="probability"),
        "confusion": charts.confusion(confmat, STREET),
        "class_bars": charts.class_bars({"IoU": iou_per_class(confmat)}, STREET),
        "class_bars, two, log": charts.class_bars(
            {"a": np.r_[np.full(10, 0.1), np.nan], "b": np.full(11, 0.2)}, STREET, log=True
        ),
        "reliability": charts.reliability(counts),
        "reliability, two": charts.reliability({"a": counts, "b": counts}),
        "dots": intervals.dot_plot(pd.DataFrame({"a": [0.2, 0.4], "b": [0.2, np.nan]}, ["one way", "another"])),
        "histograms": intervals.histograms({"a": np.linspace(0, 1, 99), "b": np.linspace(-1, 1, 99)}, zero=True),
        "paths": diagrams.learning_paths(["a", "b", "c"], {"short": [0, 2], "long": [0, 1, 2]}),
        "lines": charts.lines(pd.DataFrame({"loss": [2.0, 1.0], "mIoU": [0.1, 0.4]}), "epoch", "value"),
    }


@pytest.mark.slow
def test_every_figure_is_a_legible_png_with_alternative_text(scene):
    for name, figure in all_figures(scene).items():
        data, metadata = figure._repr_mimebundle_()
        picture = Image.open(BytesIO(b64decode(data["image/png"])))
        assert picture.size[0] > 150, name
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10, name
        assert len(figure.alt) > 2, name
        assert metadata["image/png"]["alt"] == figure.alt
        assert data["text/plain"] == f"<Figure: {figure.alt}>"


def test_equal_figures_have_equal_bytes(scene):
    one, other = (pictures.image_and_mask(scene.image, scene.target, STREET).png() for _ in range(2))
    assert one == other


def test_threads_do_not_mix_their_styles():
    """rcParams belong to all threads: without a lock a figure may get the style of the reader, and the reader ours."""
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        figures = set(pool.map(lambda _: grids.label_grid({"m": np.eye(3, dtype=int)}).png(), range(12)))
    assert len(figures) == 1
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_figures_do_not_import_pyplot():
    """Drawing with pyplot inside widget callbacks corrupts figures; a second process shows that nothing imports it."""
    code = (
        "import sys; from seglab import CLASS_SETS; from seglab.data.toytown import scene as toytown;"
        "from seglab.viz import charts, diagrams, grids, intervals, pictures; s = toytown.scene(1);"
        "pictures.image_and_mask(s.image, s.target, CLASS_SETS['street']).png();"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
