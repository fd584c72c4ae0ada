"""Building reports: the files, and what a second call changes."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from helpers.paths import ROOT
from helpers.reports import TWO_MODELS, tables
from helpers.stores import fill, masks, spoilt

from seglab._utils.folders import claim
from seglab._utils.text import csv_text
from seglab.data.loading import DataSelection
from seglab.evaluation.reading import read
from seglab.evaluation.results import Results
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
    """Nothing to compare, and still a page; a plan with a mistake, tried before, has not claimed the folder."""
    with pytest.raises(ValueError, match="unknown split of toytown 'tset'"):
        build.write(Plan({"fcn": ("fcn_mini:toytown",)}, (DataSelection("toytown", "tset"),)), tmp_path, progress=False)
    plan = Plan({"fcn": ("fcn_mini:toytown",)}, (DataSelection("toytown", images=3),))
    text = build.write(plan, tmp_path, progress=False).read_text(encoding="utf-8")
    assert "fcn alone is no comparison." in text
    assert not (tmp_path / "tables" / "toytown-test" / "pairs.csv").exists()
    assert check.check(tmp_path, progress=False) == []


def test_another_plan_needs_another_folder(written):
    with pytest.raises(ValueError, match=r"another plan \(it differs in data\)"):
        build.write(Plan(TWO_MODELS.models, (DataSelection("toytown"),)), written, progress=False)


def test_files_of_somebody_else_are_left_alone(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.tex").write_text("months of work")
    (tmp_path / "index.html").write_text("my page")
    with pytest.raises(
        ValueError, match=r"that `seglab report` did not write, such as 'index\.html'; choose another folder, or"
    ):
        build.write(TWO_MODELS, tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["index.html", "mine.tex", "tables"]
    assert (tmp_path / "index.html").read_text() == "my page"


def test_only_tables_of_the_report_before_are_removed(tmp_path):
    """With --force, a report is written beside other files."""
    new, out = tmp_path / "new", tmp_path / "out"
    listed = ["tables/a/old.csv", "tables/a/kept.csv", "tables/../secret.csv", "index.html"]
    for name in (*listed, "tables/a/mine.csv", "secret.csv", "tables/mine.tex"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("old")
    (out / "manifest.json").write_text(json.dumps({"tables": dict.fromkeys(listed)}))
    for name in ("tables/a/kept.csv", "index.html", "manifest.json"):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_text("new")
    build._publish(new, out)
    left = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    assert left == {"tables/a/kept.csv": "new", "index.html": "new", "manifest.json": "new", "tables/a/mine.csv": "old",
                    "tables/mine.tex": "old", "secret.csv": "old"}  # fmt: skip


def test_a_second_writer_is_refused(tmp_path):
    with (
        ThreadPoolExecutor(1) as other, claim(tmp_path, "report"),
        pytest.raises(ValueError, match="another process writes to"),
    ):  # fmt: skip
        other.submit(build.write, TWO_MODELS, tmp_path, progress=False).result()


def test_a_missing_label_map_is_noticed_before_a_model_runs(tmp_path):
    (tmp_path / "maps").mkdir()
    plan = Plan({"fcn": ("fcn_mini:toytown",)}, (DataSelection("toytown", images=3),), {"a": str(tmp_path / "maps")})
    with pytest.raises(ValueError, match="is missing; predictions are label maps"):
        build.measure(plan, tmp_path / "s.sqlite", progress=False)
    assert not (tmp_path / "s.sqlite").exists()


def test_tables_of_names_that_would_share_a_file(tmp_path):
    targets = masks(3)
    for name, seed in ("a/b", 1), ("a:b", 2), ("A b", 3), ("=cmd|x", 4):
        fill(tmp_path / "s.sqlite", name, targets, spoilt(targets, seed=seed))
    results = Results.open(tmp_path / "s.sqlite")
    build.write_tables(results, tmp_path / "tables")
    written = {path.name.casefold(): path for path in (tmp_path / "tables").glob("classes-*.csv")}
    assert len(written) == 4
    texts = {path.read_text() for path in written.values()}
    assert texts == {csv_text(results.class_table(name)) for name in results.names} and len(texts) == 4
    summary = pd.read_csv(tmp_path / "tables" / "summary.csv", index_col=0)
    assert "'=cmd|x" in summary.index


FULL = """
import resource, sys
from helpers.reports import TWO_MODELS
from seglab.report import build
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)  # the system refuses to write more into one file
build.write(TWO_MODELS, sys.argv[1], progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 60_000, 400_000])
def test_a_report_is_still_there_after_a_full_disk(written, tmp_path, limit):
    out = tmp_path / "copy"
    shutil.copytree(written, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    run = subprocess.run([sys.executable, "-c", FULL, out, str(limit)], env=environment, capture_output=True, text=True)
    assert run.returncode != 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
