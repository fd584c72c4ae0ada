"""Shapes of objects."""

import numpy as np
import pytest

from seglab.data.formats.shapes import ellipse, paint, pasted, polygon


def text(mask):
    return ["".join(map(str, row)) for row in np.asarray(mask).astype(int).tolist()]


def test_polygons_have_their_outline_and_holes_do_not():
    outer, hole = [[0, 0], [4, 0], [4, 2], [0, 2]], [1, 1, 3, 1, 3, 1, 1, 1]
    assert text(polygon(outer, (3, 6), [hole])) == ["111110", "100010", "111110"]
    assert not polygon([[0, 0], [4, 4]], (3, 6)).any()


def test_coordinates_just_below_a_pixel_belong_to_it():
    assert text(polygon([0, 0, 2.9999999999, 0, 2.9999999999, 0], (1, 5))) == ["11110"]


def test_ellipses():
    assert text(ellipse(2, 1, 2, 1, (3, 5))) == ["00100", "11111", "00100"]
    assert text(ellipse(2, 1, 1, 2, (3, 5), degrees=90)) == ["00100", "11111", "00100"]
    assert text(ellipse(1, 1, 0, 0, (3, 3))) == ["000", "010", "000"]


@pytest.mark.parametrize(
    ("left", "top", "expected"),
    [(1, 0, ["0110", "0010", "0000"]), (-1, -1, ["1000", "0000", "0000"]), (3, 2, ["0000", "0000", "0001"]),
     (9, 0, ["0000"] * 3), (0, -5, ["0000"] * 3)],
)  # fmt: skip
def test_parts_at_their_position(left, top, expected):
    assert text(pasted(np.array([[1, 1], [0, 1]]), left, top, (3, 4))) == expected


@pytest.mark.parametrize(("overlaps", "expected"), [("last", "1332"), ("smallest", "1132"), ("void", "1..2")])
def test_overlaps_of_different_classes(overlaps, expected):
    """Two pixels of class 1, four of class 2, three of class 3; the first four columns are shown."""
    columns = {1: (0, 1), 2: (2, 3, 4, 5), 3: (1, 2, 4)}
    objects = [(label, np.isin(np.arange(6)[None], inside)) for label, inside in columns.items()]
    labels = paint(objects, (1, 6), overlaps)[0, :4].tolist()
    assert "".join("." if label == 255 else str(label) for label in labels) == expected


def test_objects_of_one_class_do_not_contest_pixels():
    mask = np.array([[True, True]])
    assert paint([(1, mask), (1, mask)], (1, 2), "void").tolist() == [[1, 1]]
