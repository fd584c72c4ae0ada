"""Evaluation in tiles: the counts are those of `predict`, the store states the tiles, and memory stays bounded."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.evaluation import assert_same, command, counted, evaluate, noisy, of, plain_masks, stored, town

from seglab import Results, predict
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION
from seglab.evaluation.reading import read
from seglab.metrics.boundary import boundary_counts
from seglab.metrics.calibration import calibration_counts
from seglab.models.adapters import wrap
from seglab.report.build import _keep_plan
from seglab.report.plan import plan_from

TILE = (48, 64)
MOST = {"tiles": 450, "whole": 350}  # MB; all scores at once would take 760 and 550


class Coarse(noisy().net.__class__):
    """Scores at half the size of the input, as many heads have them."""

    def forward(self, images):
        return super().forward(images)[..., ::2, ::2]


@pytest.fixture(params=["native", "resized", "coarse"])
def model(request):
    if request.param != "coarse":
        return noisy(short=32 if request.param == "resized" else None)
    fine = noisy()
    fine.net.__class__ = Coarse
    return wrap(fine.net, "street", title="noisy")


@pytest.mark.parametrize("overlap", [None, 0, 20])
def test_counts_are_those_of_predict(model, overlap, monkeypatch):
    """Also where the image has several strips of rows, which end in the middle of tiles."""
    monkeypatch.setattr("seglab.inference.tiles.STRIP", 11 * 160 * 50)
    ds = town(3)
    masks = [predict(model, ds[i].image, tile=TILE, overlap=overlap).mask.numpy() for i in range(3)]
    results = evaluate(model, ds, tile=TILE, overlap=overlap, boundary=True, calibration=True, batch=2)
    np.testing.assert_array_equal(stored(results), counted(masks, ds))
    assert not np.array_equal(masks[0], plain_masks(model, ds)[0])
    edges = sum(boundary_counts(mask, ds[i].target, 11) for i, mask in enumerate(masks))
    np.testing.assert_array_equal(bins(results, BOUNDARY, 11), edges)
    confidences = bins(results, CALIBRATION, 15)
    whole = sum(calibration_counts(predict(model, ds[i].image, tile=TILE, overlap=overlap).probs(), ds[i].target)
                for i in range(3))  # fmt: skip
    assert abs(confidences - whole)[:, :2].sum() <= 4  # a confidence on the edge of a bin
    assert abs(confidences - whole)[:, 2].sum() / whole[:, 2].sum() < 1e-3


def bins(results, kind, count):
    rows, table = results.tables.bins[results.tables.bins["kind"] == kind], np.zeros((count, 3), int)
    np.add.at(table, rows["bin"].to_numpy(), rows[["a", "b", "c"]].to_numpy())
    return table


def test_an_image_that_fits_one_tile_is_evaluated_whole():
    whole, tiled = evaluate(noisy(), town(3)), evaluate(noisy(), town(3), tile=(500, 500))
    assert_same(whole.tables, tiled.tables, but=["identity", "facts"])


def test_tiles_of_the_model_are_the_default():
    """And those that are stated win."""
    model = noisy()
    model.tile = TILE
    own = evaluate(model, town(3))
    np.testing.assert_array_equal(stored(own), stored(evaluate(noisy(), town(3), tile=TILE)))
    assert "evaluated in tiles of 48 × 64, overlap 12" in own.convention()
    other = evaluate(model, town(3), tile=(40, 40), overlap=0)
    assert "evaluated in tiles of 40 × 40, overlap 0" in other.convention()


def test_the_identity_states_the_tiles_and_older_stores_continue(tmp_path):
    """Without tiles it is what it always was, so that a store of an earlier version takes further images."""
    path = tmp_path / "s.sqlite"
    evaluate({"whole": noisy()}, town(), path)
    assert json.loads(read(path).runs["identity"][0])["tiles"] == "none"
    evaluate({"whole": noisy()}, town(), path, tile=None, overlap=None)
    both = evaluate({"tiled": noisy()}, town(), path, tile=TILE)  # models may differ in it, and tables state it
    assert both.convention().count("evaluated in tiles of 48 × 64, overlap 12: tiled") == 1
    assert "tiles" in both.conventions().attrs["note"]
    assert "tiles" not in both.select("whole").convention()
    assert both.select("tiled").convention().count("evaluated in tiles of 48 × 64, overlap 12: ") == 0
    for options in ({}, {"tile": TILE, "overlap": 10}, {"tile": (48, 48)}):
        with pytest.raises(ValueError, match=r"another measurement of 'tiled' .*tiles: '48 × 64, overlap 12' instead"):
            evaluate({"tiled": noisy()}, town(), path, **options)


def test_the_cost_is_that_of_all_tiles():
    whole, tiled = (json.loads(evaluate(noisy(), town(1), **options).tables.runs["facts"][0])["cost"]
                    for options in ({}, {"tile": (60, 80), "overlap": 0}))  # fmt: skip
    assert tiled["macs"] == whole["macs"] and tiled["size"] == [60, 80]


def test_options_that_do_not_fit_together(tmp_path):
    for options, words in (
        ({"tile": (0, 5)}, r"tile=\(0, 5\); expected a height and a width"),
        ({"tile": TILE, "overlap": 30}, "overlap=30 of tiles of 48 × 64; expected at most half"),
        ({"overlap": 3}, "overlap=3 has no meaning without tile"),
        ({"tile": TILE, "size": "model"}, "size='model' scores at the size of the network's input"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(noisy(), town(2), tmp_path / "s.sqlite", **options)
    assert not (tmp_path / "s.sqlite").exists()


@pytest.mark.slow
def test_the_command_and_a_plan_take_tiles(folder, tmp_path):
    path, name = tmp_path / "s.sqlite", "unet_mini:toytown"
    run = command(name, "--predictions", folder / "masks", *of(folder), "--tile", 60, 80, "--overlap", 8,
                  "--store", path)  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "evaluated in tiles of 60 × 80, overlap 8: unet_mini:toytown" in run.output  # not the label maps
    assert len(Results.open(path).names) == 2
    refused = command(name, *of(folder), "--overlap", 8)
    assert refused.exit_code == 1 and "no meaning without tile" in refused.output

    plan = plan_from({"models": ["unet_mini:toytown"], "tile": [60, 80]})
    assert list(plan.tile) == [60, 80]
    _keep_plan(replace(plan, tile=None), tmp_path)
    older = json.loads((tmp_path / "plan.json").read_text())
    del older["tile"], older["overlap"]
    path.rename(tmp_path / "counts.sqlite")
    (tmp_path / "plan.json").write_text(json.dumps(older))
    _keep_plan(replace(plan, tile=None), tmp_path)  # a report from before there were tiles
    with pytest.raises(ValueError, match="it differs in tile"):
        _keep_plan(plan, tmp_path)


def test_too_little_memory_is_reported(monkeypatch):
    monkeypatch.setattr("seglab.evaluation.loop.memory", lambda: (0, 1000))
    with pytest.warns(UserWarning, match=r"noisy needs about .* of memory for one batch, and .* are free.*--tile"):
        evaluate(noisy(), town(1))


MEMORY = """
import resource, sys
import torch
from functools import partial
torch.set_num_threads(1)
sys.path.insert(0, "tests")
from helpers.evaluation import noisy
from seglab import CLASS_SETS, evaluate
from seglab.data.dataset import Record, SegmentationDataset

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)

def read(side):
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 11, (side // 100, side // 100), dtype=torch.uint8, generator=generator)
    target = blocks.repeat_interleave(100, 0).repeat_interleave(100, 1)
    return (20 * target).expand(3, -1, -1).contiguous(), target, None

for side in (200, int(sys.argv[1])):
    data = SegmentationDataset("big", None, CLASS_SETS["street"], (Record("a", "a", (), partial(read, side)),))
    model = noisy(short=None if sys.argv[2] == "tiles" else 64)
    tile = (256, 256) if sys.argv[2] == "tiles" else None
    evaluate(model, data, tile=tile, boundary=True, calibration=True, progress=False)
    print(peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say how much memory a process took at most")
@pytest.mark.parametrize("way", ["tiles", "whole"])
def test_memory_of_a_large_image(way):
    """The scores of 2,000 × 2,000 pixels in 11 classes alone take 176 MB, and so do their probabilities."""
    done = subprocess.run([sys.executable, "-c", MEMORY, "2000", way], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    small, large = map(float, done.stdout.split())
    assert large - small < MOST[way]
