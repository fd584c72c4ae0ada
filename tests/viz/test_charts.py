"""Charts of measured values: what is drawn, and its alternative text."""

import numpy as np
import pandas as pd

from seglab import CLASS_SETS
from seglab.viz import charts
from seglab.viz.style import SERIES

STREET = CLASS_SETS["street"]


def test_confusion_names_the_most_frequent_errors():
    confmat = np.zeros((11, 11), int)
    confmat[3, 3], confmat[3, 4], confmat[4, 4] = 60, 40, 10
    figure = charts.confusion(confmat, STREET)
    assert "40 % of road predicted as pavement" in figure.alt
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["road", "pavement"]
    assert sorted(t.get_text() for t in ax.texts) == ["100", "40", "60"]


def test_bars_have_class_colours_and_absent_classes_a_dash():
    figure = charts.class_bars({"IoU": np.r_[np.linspace(0.1, 0.9, 10), np.nan]}, STREET)
    bars = figure.axes[0].patches
    assert [tuple(round(255 * c) for c in bar.get_facecolor()[:3]) for bar in bars] == list(STREET.colors)
    assert [t.get_text() for t in figure.axes[0].texts] == ["–"]
    assert "bicyclist absent" in figure.alt


def test_lines_named_after_classes_have_their_colours():
    figure = charts.lines(pd.DataFrame({"sky": [1, 2], "mean": [2, 1]}), "x", "y", classes=STREET)
    sky, mean = (line.get_color() for line in figure.axes[0].lines)
    assert [round(255 * c) for c in sky] == list(STREET.colors[0])
    assert mean == SERIES[0]  # the first colour of the series


def test_reliability_names_models_and_their_calibration_error():
    counts = np.array([[0, 0, 0], [100, 50, 100 << 16]])  # 100 pixels, all of confidence 1, half of them correct
    figure = charts.reliability({"overconfident": counts})
    assert "overconfident, expected calibration error 0.50: 1.00 → 0.50" in figure.alt
    (text,) = figure.axes[0].get_legend().get_texts()
    assert text.get_text() == "overconfident\nexpected calibration error 0.50"
