"""Charts of a comparison: what is drawn, and its alternative text."""

import numpy as np
import pandas as pd

from seglab.viz import intervals


def test_equal_dots_do_not_cover_each_other():
    figure = intervals.dot_plot(pd.DataFrame({"a": [0.2, 0.4], "b": [0.2, np.nan]}, ["one way", "another"]))
    assert "one way: a 0.200, b 0.200; another: a 0.400." in figure.alt
    first, second = (line.get_xydata() for line in figure.axes[0].lines)
    assert first[0, 0] == second[0, 0]
    assert first[0, 1] != second[0, 1]


def test_histograms_state_the_middle_of_each():
    figure = intervals.histograms({"a": np.arange(1001), "b": np.zeros(5)}, label="x")
    assert figure.alt == "Histograms of x; the middle 95% of each: a 25.000 to 975.000; b 0.000 to 0.000."
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a: 25.000 to 975.000", "b: 0.000 to 0.000"]
