"""Diagrams; those of real models are tested with `seglab.models.anatomy`."""

from seglab.viz import diagrams


def test_paths_have_dots_at_their_stops():
    figure = diagrams.learning_paths(["start", "detour", "end"], {"short": [0, 2], "long": [0, 1, 2]})
    assert figure.alt == "Paths through the course. short: start, end; long: start, detour, end."
    stops = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(row) for row in stops] == [[0, 2], [0, 1, 2]]
