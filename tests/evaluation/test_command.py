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
    written = {path.stem: pd.read_csv(path, index_col=0) for path in (tmp_path / "tables").glob("*.csv")}
    assert set(written) == {"summary", "iou", "pairs", "timings", "images"}
    assert written["summary"]["miou"].to_dict() == results.summary()["miou"].round(6).to_dict()
    assert "ms" not in written["summary"] and list(written["timings"]) == ["ms"]
    assert len(written["images"]) == 12

    before = {path: path.read_bytes() for path in (tmp_path / "tables").glob("*.csv")}
    assert command(*arguments, "--csv", tmp_path / "tables", f"again={trained['lraspp_mini']}").exit_code == 0
    assert before == {path: path.read_bytes() for path in (tmp_path / "tables").glob("*.csv")}


def test_tables_of_somebody_else_are_left_alone(folder, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "summary.csv").write_text("an earlier version wrote this")
    arguments = ["--predictions", folder / "masks", *of(folder), "--store", tmp_path / "s.sqlite", "--csv"]
    run = command(*arguments, tmp_path / "tables")
    assert run.exit_code == 0, run.output
    assert pd.read_csv(tmp_path / "tables" / "summary.csv")["miou"].tolist() == [1]
    (tmp_path / "mine").mkdir()
    for name in ("summary.csv", "thesis.tex"):
        (tmp_path / "mine" / name).write_text("mine")
    run = command(*arguments, tmp_path / "mine")
    assert run.exit_code == 1
    assert "holds files that `seglab evaluate` did not write, such as 'summary.csv'; choose another" in run.output
    assert (tmp_path / "mine" / "summary.csv").read_text() == "mine"
    assert command(*arguments, tmp_path / "mine", "--force").exit_code == 0
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "mine"


def test_names_cannot_steer_the_terminal(folder, tmp_path):
    maps = f"\x1b[2Jmaps={folder / 'masks'}"
    run = command("--predictions", maps, *of(folder), "--store", tmp_path / "s.sqlite")
    assert run.exit_code == 0 and "\x1b[2J" not in run.output and r"\x1b[2Jmaps" in run.output
    run = command("\x1b[2Jnowhere", *of(folder))
    assert run.exit_code == 1 and "\x1b[2J" not in run.output


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
