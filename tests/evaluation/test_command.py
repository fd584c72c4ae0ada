"""`seglab evaluate`."""

import pandas as pd
import pytest
from helpers.evaluation import command, of
from typer.testing import CliRunner

from seglab import Results
from seglab.__main__ import app


@pytest.mark.slow
def test_tables_are_printed_and_written(trained, folder, tmp_path):
    arguments = [*trained.values(), *of(folder), "--store", tmp_path / "s.sqlite", "--images", 4, "--device", "cpu"]
    run = command(*arguments, "--csv", tmp_path / "tables", f"again={trained['lraspp_mini']}")
    assert run.exit_code == 0, run.output
    for words in ("lraspp_mini:toytown", "unet_mini:toytown", "again", "pedestrian", "miou", "4 images"):
        assert words in run.stdout
    results = Results.open(tmp_path / "s.sqlite")
    assert results.names == ["lraspp_mini:toytown", "unet_mini:toytown", "again"]
    written = {path.stem: pd.read_csv(path, index_col=0) for path in (tmp_path / "tables").iterdir()}
    assert set(written) == {"summary", "iou", "pairs", "timings", "images"}
    assert written["summary"]["miou"].to_dict() == results.summary()["miou"].round(6).to_dict()
    assert "ms" not in written["summary"] and list(written["timings"]) == ["ms"]
    assert len(written["images"]) == 12

    before = {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    assert command(*arguments, "--csv", tmp_path / "tables", f"again={trained['lraspp_mini']}").exit_code == 0
    assert before == {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}


def test_help_and_errors(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["evaluate", "--help"], terminal_width=120)
    assert run.exit_code == 0
    for words in (
        "After an interruption, the same command continues",
        "torchrun --nproc-per-node",
        "--predictions",
        "--csv",
    ):
        assert words in run.output
    for arguments, words in (
        (["unet_mimi", *of(folder)], "did you mean 'unet_mini'"),
        (["nowhere.safetensors", *of(folder)], "there is no checkpoint"),
        (["unet_mini", "--data", "toytwon"], "did you mean 'toytown'"),
        (["unet_mini", "--data", "toytown", "--split", "tset"], "did you mean 'test'"),
        (["unet_mini", *of(folder), "--device", "cuda:99"], "device 'cuda:99' cannot be used on this machine"),
        (["unet_mini", *of(folder), "--device", "gpu"], "device 'gpu' cannot be used on this machine"),
        (["--predictions", "nowhere", *of(folder)], "is missing; predictions are label maps"),
        ([*of(folder)], "nothing to evaluate"),
        (["--predictions", folder / "masks", *of(folder), "--images", "0"], "holds no images"),
        (["--predictions", folder / "masks", *of(folder), "--size", "mine"], "unknown size to score at"),
    ):
        run = command(*arguments)
        assert run.exit_code == 1, arguments
        assert "✗" in run.output and words in run.output, run.output
        assert "Traceback" not in run.output
    assert list(tmp_path.iterdir()) == []
