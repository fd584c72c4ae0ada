"""Tiles cover an image, overlap, and are blended without seams."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seglab import CLASS_SETS, predict
from seglab.data.toytown import scene as toytown
from seglab.inference.prediction import Prediction
from seglab.inference.tiles import Tile, tiles

STREET = CLASS_SETS["street"]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 90), st.integers(2, 90), st.data())
def test_tiles_cover_and_overlap(height, width, rows, columns, data):
    overlap = data.draw(st.integers(0, min(rows, columns) // 2))
    covered = np.zeros((height, width), int)
    boxes = tiles((height, width), (rows, columns), overlap)
    for top, left, h, w in boxes:
        assert (h, w) == (min(rows, height), min(columns, width))
        assert 0 <= top <= height - h
        assert 0 <= left <= width - w
        covered[top : top + h, left : left + w] += 1
    assert covered.min() >= 1
    tops, lefts = (sorted({box[k] for box in boxes}) for k in (0, 1))
    assert all(b - a <= min(rows, height) - overlap for a, b in pairwise(tops))
    assert all(b - a <= min(columns, width) - overlap for a, b in pairwise(lefts))


def test_tiles_with_equal_scores_are_blended_without_seams():
    """Scores that are cut into overlapping tiles come back unchanged."""
    scores = torch.randn(len(STREET), 40, 60, generator=torch.Generator().manual_seed(1))
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    corners = [(0, 0), (0, 25), (15, 0), (15, 25)]
    tiles = tuple(Tile(top, left, 25, 35, scores[:, top : top + 25, left : left + 35]) for top, left in corners)
    p = Prediction(image, STREET, tiles, "tiles", True, 0.0)
    torch.testing.assert_close(p.scores(), scores)
    torch.testing.assert_close(p.scores(rows=(12, 30)), scores[:, 12:30])
    assert torch.equal(p.mask, scores.argmax(0).to(torch.uint8))


def test_tiles_of_a_large_scene(model):
    """A scene twice as large, in tiles of the model's size, is predicted as well as at the model's size."""
    scene = toytown.scene(30002, (384, 512))
    target = torch.from_numpy(scene.target)

    def accuracy(p: Prediction) -> float:
        return float((p.mask == target)[target != 255].float().mean())

    p = predict(model, scene.image, tile=(192, 256), overlap=48)
    assert len(p.tiles) == 9
    assert p.size == (384, 512)
    assert accuracy(p) > 0.5
    assert (
        len(predict(model, scene.image[:, :64, :64], tile=(32, 40)).tiles) == 3 * 2
    )  # neighbours overlap by eight pixels
    with pytest.raises(ValueError, match="overlap=100 of tiles of 192 × 256; expected at most half of a side"):
        predict(model, scene.image, tile=(192, 256), overlap=100)
    with pytest.raises(ValueError, match=r"tile=\(0, 64\)"):
        predict(model, scene.image, tile=(0, 64))
