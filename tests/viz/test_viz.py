"""Figures: what is drawn (golden colours and label maps, not pixels of a rendering), and what is said about it."""

from base64 import b64decode
from io import BytesIO

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
from seglab.viz.style import SERIES

STREET = CLASS_SETS["street"]


@pytest.fixture(scope="module")
def scene():
    return toytown.scene(30_004)


def test_describe_by_hand():
    mask = np.array([[3] * 90 + [0] * 7 + [8] * 2 + [255]], np.uint8)
    assert pictures.describe(mask, STREET) == "road 90 %, sky 7 %, car 2 %, void 1 %"
    assert pictures.describe(mask, STREET, most=2) == "road 90 %, sky 7 %, …"
    assert pictures.describe(np.array([[0] * 999 + [1]]), STREET) == "sky 100 %, building < 1 %"


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


def test_every_figure_is_a_legible_png_with_words(scene):
    for name, figure in all_figures(scene).items():
        data, metadata = figure._repr_mimebundle_()
        picture = Image.open(BytesIO(b64decode(data["image/png"])))
        assert picture.size[0] > 150, name
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10, name
        assert len(figure.alt) > 2, name
        assert metadata["image/png"]["alt"] == figure.alt
        assert data["text/plain"] == f"<Figure: {figure.alt}>"


def test_the_same_figure_is_the_same_bytes(scene):
    one, other = (pictures.image_and_mask(scene.image, scene.target, STREET).png() for _ in range(2))
    assert one == other


def test_figures_do_without_pyplot():
    """Drawing with pyplot inside widget callbacks corrupts pictures; a second process shows that nothing imports it."""
    import subprocess
    import sys

    code = (
        "import sys; from seglab import viz, toytown, CLASS_SETS; s = toytown.scene(1);"
        "viz.scene(s.image, s.target, CLASS_SETS['street']).png(); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_scene_shows_the_mask_in_the_class_colours(scene):
    """The middle picture is the palette applied to the label map, nothing else."""
    figure = pictures.image_and_mask(scene.image, scene.target, STREET)
    shown = figure.axes[1].images[0].get_array()
    assert (np.asarray(shown) == STREET.palette[scene.target]).all()
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    present = {STREET.names[k] for k in np.unique(scene.target) if k != 255}
    assert names == present | {"void"}
    assert "road" in figure.alt


def test_confusion_says_what_is_confused():
    confmat = np.zeros((11, 11), int)
    confmat[3, 3], confmat[3, 4], confmat[4, 4] = 60, 40, 10
    figure = charts.confusion(confmat, STREET)
    assert "40 % of road called pavement" in figure.alt
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["road", "pavement"]
    assert sorted(t.get_text() for t in ax.texts) == ["100", "40", "60"]


def test_bars_keep_class_colours_and_mark_what_is_absent():
    figure = charts.class_bars({"IoU": np.r_[np.linspace(0.1, 0.9, 10), np.nan]}, STREET)
    bars = figure.axes[0].patches
    assert [tuple(round(255 * c) for c in bar.get_facecolor()[:3]) for bar in bars] == list(STREET.colors)
    assert [t.get_text() for t in figure.axes[0].texts] == ["–"]
    assert "bicyclist absent" in figure.alt


def test_dots_are_said_and_stand_apart():
    figure = intervals.dot_plot(pd.DataFrame({"a": [0.2, 0.4], "b": [0.2, np.nan]}, ["one way", "another"]))
    assert "one way: a 0.200, b 0.200; another: a 0.400." in figure.alt
    first, second = (line.get_xydata() for line in figure.axes[0].lines)
    assert first[0, 0] == second[0, 0]
    assert first[0, 1] != second[0, 1]  # equal values do not hide each other


def test_histograms_say_the_middle_of_each():
    figure = intervals.histograms({"a": np.arange(1001), "b": np.zeros(5)}, label="x")
    assert figure.alt == "Histograms of x; the middle 95% of each: a 25.000 to 975.000; b 0.000 to 0.000."
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a: 25.000 to 975.000", "b: 0.000 to 0.000"]


def test_paths_stop_where_they_say():
    figure = diagrams.learning_paths(["start", "detour", "end"], {"short": [0, 2], "long": [0, 1, 2]})
    assert figure.alt == "Ways through the course. short: start, end; long: start, detour, end."
    stops = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(row) for row in stops] == [[0, 2], [0, 1, 2]]


def test_lines_named_after_classes_have_their_colours():
    figure = charts.lines(pd.DataFrame({"sky": [1, 2], "mean": [2, 1]}), "x", "y", classes=STREET)
    sky, mean = (line.get_color() for line in figure.axes[0].lines)
    assert [round(255 * c) for c in sky] == list(STREET.colors[0])
    assert mean == SERIES[0]  # the first of its own


def test_reliability_names_models_and_their_error():
    sure = np.array([[0, 0, 0], [100, 50, 100 << 16]])  # 100 pixels, certain of all, right in half of them
    figure = charts.reliability({"boaster": sure})
    assert "boaster, expected calibration error 0.50: 1.00 → 0.50" in figure.alt
    (text,) = figure.axes[0].get_legend().get_texts()
    assert text.get_text() == "boaster\nexpected calibration error 0.50"


def test_heat_maps_share_one_scale():
    figure = pictures.heat_maps({"a": np.zeros((3, 3)), "b": np.full((3, 3), 4.0)}, diverging=True)
    limits = {ax.images[0].get_clim() for ax in figure.axes if ax.images}
    assert limits == {(-4.0, 4.0)}


def test_objects_have_colours_of_their_own(scene):
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


def test_a_spotlight_leaves_the_image_where_it_is_highest_and_dims_the_rest():
    image = np.full((3, 4, 8), 200, np.uint8)
    drawn = pictures.spotlights(image, {"a": (torch.tensor([[0.0, 2.0]]), (1, 6)), "b": (np.ones((2, 2)), None)})
    first, second = (ax.images[0].get_array() for ax in drawn.axes[:2])
    assert (first[:, :4] == 50).all()  # a quarter of its brightness
    assert (first[:, 4:] == 200).all()
    assert (second == 200).all()
    assert [len(ax.lines) for ax in drawn.axes[:2]] == [2, 0]  # a ring, in two colours
    assert "a: 50 % of the picture" in drawn.alt


def test_broken_labels_are_white():
    assert pictures.label_colors(np.array([[3, 77, 255]]), STREET).tolist() == [
        [[128, 64, 128], [255, 255, 255], [0, 0, 0]]
    ]


def test_cells_of_all_tables_are_of_one_size():
    narrow, wide = pd.DataFrame(np.eye(2), ["a", "b"], ["x", "y"]), pd.DataFrame(np.ones((1, 4)), ["c"], list("stuv"))
    left, right = grids.value_grid({"narrow": narrow, "wide": wide}).axes
    assert left.get_xlim() == right.get_xlim() == (-0.5, 3.5)
    assert left.get_ylim() == right.get_ylim() == (1.5, -0.5)
    assert [label.get_text() for label in left.get_xticklabels()] == ["x", "y"]


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="no pictures"):
        pictures.side_by_side([])
