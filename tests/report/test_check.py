"""Checking reports."""

import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from seglab.__main__ import app
from seglab.report import check


@pytest.mark.slow
def test_check_lists_every_change(written, tmp_path):
    assert check.check(written, progress=False) == []
    out = tmp_path / "copy"
    shutil.copytree(written, out)
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
    with pytest.raises(ValueError, match="holds no finished report"):
        check.check(tmp_path / "nowhere")
