"""Building reports: the files, and what a second call changes."""

import json

import pandas as pd
import pytest
from helpers.reports import TWO_MODELS, tables

from seglab.data.loading import DataSelection
from seglab.evaluation.reading import read
from seglab.report import build, check
from seglab.report.plan import Plan


@pytest.mark.slow
def test_files_of_a_report(written):
    manifest = json.loads((written / "manifest.json").read_text())
    assert manifest["plan"]["models"] == {"unet": ["unet_mini:toytown"], "<b>lr</b>": ["lraspp_mini:toytown"]}
    assert len(manifest["runs"]) == 4
    assert all(len(run["weights"]) == 64 for run in manifest["runs"])
    assert set(manifest["tables"]) == set(tables(written))
    assert {path.split("/")[1] for path in manifest["tables"]} == {"toytown-test", "toytown-fog-test"}
    counts = pd.read_parquet(written / "counts.parquet")
    assert counts["pixels"].sum() == 2 * 15 * 192 * 256
    summary = pd.read_csv(written / "tables" / "toytown-test" / "summary.csv", index_col=0)
    assert "ms" not in summary
    assert summary["miou"]["unet"] > summary["miou"]["<b>lr</b>"]
    timings = pd.read_csv(written / "timings.csv")
    assert (timings["ms"] > 0).all()


@pytest.mark.slow
def test_writing_again_changes_nothing(written):
    before, images = tables(written), read(written / "counts.sqlite").images
    build.write(TWO_MODELS, written, progress=False)
    assert tables(written) == before
    pd.testing.assert_frame_equal(read(written / "counts.sqlite").images, images)  # with the same times: not done again


@pytest.mark.slow
def test_one_model_without_comparison(tmp_path):
    """Nothing to compare, and still a page."""
    plan = Plan({"fcn": ("fcn_mini:toytown",)}, (DataSelection("toytown", images=3),))
    text = build.write(plan, tmp_path, progress=False).read_text(encoding="utf-8")
    assert "fcn alone is no comparison." in text
    assert not (tmp_path / "tables" / "toytown-test" / "pairs.csv").exists()
    assert check.check(tmp_path, progress=False) == []


def test_another_plan_needs_another_folder(written):
    with pytest.raises(ValueError, match=r"another plan \(it differs in data\)"):
        build.write(Plan(TWO_MODELS.models, (DataSelection("toytown"),)), written, progress=False)
