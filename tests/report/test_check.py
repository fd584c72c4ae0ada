"""Checking reports."""

import dataclasses
import json
import re
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from seglab.__main__ import app
from seglab.data.loading import DataSelection
from seglab.inference.runtimes import choice
from seglab.report import build, check
from seglab.report.plan import Plan, plan_from


@pytest.mark.slow
def test_check_lists_every_change(written, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(written, out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest.pop("files")
    (out / "manifest.json").write_text(json.dumps(manifest))  # as an earlier version wrote it
    assert check.check(out, progress=False) == []
    shutil.copy(written / "manifest.json", out)
    page = (out / "index.html").read_text(encoding="utf-8")
    row = re.search(r">road</th>\s*<td[^>]*>(0\.\d{3})</td>", page)
    (out / "index.html").write_text(page[: row.start(1)] + "0.999" + page[row.end(1) :], encoding="utf-8")
    (out / "timings.csv").unlink()
    path = out / "tables" / "toytown-test" / "summary.csv"
    table = pd.read_csv(path, dtype=str)
    true = table.loc[0, "miou"]
    table.loc[0, "miou"] = "0.999000"
    table.to_csv(path, index=False, lineterminator="\n")
    (out / "tables" / "toytown-test" / "pairs.csv").unlink()
    counts = pd.read_parquet(out / "counts.parquet")
    chosen = counts.index[(counts["data"] == "toytown test") & (counts["model"] == "unet")][:2]
    counts.loc[chosen, "pixels"] += [5, -5]
    counts.to_parquet(out / "counts.parquet", index=False)
    run = CliRunner().invoke(app, ["report", "--check", str(out)])
    assert run.exit_code == 1
    assert "toytown test, unet: at least 5 of 589824 pixels differ" in run.output
    assert f"toytown-test/summary.csv: unet, miou: 0.999000 in the report, {true} here" in run.output
    assert "toytown-test/pairs.csv: only in this run" in run.output
    assert "index.html: changed after the report was written" in run.output
    assert f"index.html: toytown test, IoU of road: the page does not state {row[1]}, " in run.output
    assert "timings.csv: missing" in run.output
    with pytest.raises(ValueError, match="holds no finished report"):
        check.check(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "[]", '{"plan": 3}', '{"plan": {}, "tables": []}', "[" * 100_000])
def test_a_damaged_manifest(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        check.check(tmp_path)


@pytest.mark.slow
def test_check_computes_on_the_runtimes_of_the_report_or_names_what_is_missing(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="runtimes come with `pip install '.[fast]'`")
    pytest.importorskip("onnxscript", reason="runtimes come with `pip install '.[fast]'`")
    monkeypatch.setenv("SEGLAB_CACHE", str(tmp_path / "cache"))
    plan = Plan({"fcn": ("fcn_mini:toytown",)}, (DataSelection("toytown", images=2),), runtime="onnxruntime")
    (measured,) = build.measure(plan, tmp_path / "counts.sqlite", progress=False).values()
    (identity,) = measured.identities.values()
    ((_, name, seed),) = measured.measurements.runs()
    runs = [{**identity, "data": "toytown test", "name": name, "seed": int(seed)}]
    assert runs[0]["runtime"] == choice.titled("onnxruntime")
    values = json.loads(json.dumps(dataclasses.asdict(plan))) | {"runtime": "auto"}
    (again,) = build.measure(plan_from(values), None, progress=False, runs=runs).values()
    assert next(iter(again.identities.values()))["runtime"] == runs[0]["runtime"]
    (tmp_path / "manifest.json").write_text(json.dumps({"plan": values, "tables": {}, "runs": runs}))
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"runtime 'onnxruntime' needs the packages .* pip install"):
        check.check(tmp_path, progress=False)
