"""A run that is stopped while it saves, one that is damaged, a finished one, and another one in the same folder."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from time import monotonic

import pandas as pd
import pytest
import torch
from helpers.tiny_training import SIZE, TINY, assert_same_files, equal, run, small, town, without_seconds

from seglab import load_dataset
from seglab._utils.hashing import code_version
from seglab.models import checkpoints
from seglab.training import loop, runs
from seglab.training.loop import fit
from seglab.training.runs import Run, table
from seglab.training.steps import State

ALL = {"ema": 0.8, "freeze": 1, "optimizer": "sgd", "balance": 0.7, "backbone_lr": 0.2}
WITH_HELPERS = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "error"), [({}, Killed()), (ALL, OSError(28, "No space left on device"))])
def test_a_run_continues_wherever_saving_stopped(tmp_path, monkeypatch, recipe, error):
    """Stopped before each single write, of each epoch, a run gives the result of one that never stopped."""
    recipe = replace(TINY, epochs=2, **recipe)
    weights, history = run(recipe, out=tmp_path / "whole")
    writes, stop_at, stops, epochs = [0], [1], [], 0

    def counted(write):
        def writing(*args, **options):
            writes[0] += 1
            if writes[0] == stop_at[0]:
                raise error
            return write(*args, **options)

        return writing

    monkeypatch.setattr(runs, "save_model", counted(checkpoints.save_model))
    monkeypatch.setattr(torch, "save", counted(torch.save))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    while True:
        writes[0] = 0
        try:
            resumed, again = run(recipe, out=tmp_path / "broken")
            break
        except (Killed, ValueError) as told:
            assert told is error or "broken: [Errno 28] No space left on device. Is the disk full?" in str(told)
        stops.append(stop_at[0])
        state = tmp_path / "broken" / "state.pt"
        before, epochs = epochs, len(torch.load(state)["rows"]) if state.exists() else 0
        stop_at[0] = 1 if epochs > before else stop_at[0] + 1  # the next write after the one that was stopped last
    assert stops == [*range(1, 12), *range(1, stops[-1] + 1)]  # two writes of the first state, then eight an epoch
    assert stops[-1] >= 6  # or six, where the epoch is not the best one
    assert equal(weights, resumed)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(again), check_exact=True)
    assert_same_files(tmp_path / "whole", tmp_path / "broken")


FULL = """
import resource, signal, sys
from dataclasses import replace
from helpers.tiny_training import TINY, run, small
from seglab.models.checkpoints import save_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails with an error, as on a full disk
for limit in (20_000, 200_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        run(replace(TINY, optimizer="sgd"), out=f"{sys.argv[1]}/{limit}")
    except ValueError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    save_model(small(), f"{sys.argv[1]}/weights.safetensors")
except OSError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the size of files in this way")
def test_a_disk_that_is_really_full(tmp_path):
    """The first state does not fit, then the one after an epoch, then weights; each library has its own error."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], env=WITH_HELPERS, capture_output=True, text=True,
                          check=False)  # fmt: skip
    first, later, weights = done.stdout.splitlines()
    for limit, said in (20_000, first), (200_000, later):
        assert f"the training cannot be saved in {tmp_path / str(limit)}: " in said and "Free some space" in said
    assert "weights.safetensors cannot be written: " in weights and "File too large" in weights
    assert [path.name for path in tmp_path.iterdir()] == ["200000"]
    assert not list((tmp_path / "200000").glob("*.part"))
    run(replace(TINY, optimizer="sgd"), out=tmp_path / "200000")  # continues


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished training, which tests copy."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(out=folder)
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_damaged_state_is_never_silent(copied):
    """Of 200 flipped bits, 40 cut files and a few others: the same result, or an error that names the file."""
    path, rng = copied / "state.pt", random.Random(0)
    good, (weights, history) = path.read_bytes(), run(out=copied)
    damaged = [b"", b"PK\x03\x04" + b"\0" * 500, b"nothing", b"\x80\x04."]
    damaged += [good[: rng.randrange(len(good))] for _ in range(40)]
    for _ in range(200):
        flipped = bytearray(good)
        flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        damaged.append(flipped)
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        state = State(small(seed=9), TINY)
        try:
            rows = Run(copied, json.loads(torch.load(BytesIO(good))["identity"])).resume(state)
        except ValueError as error:
            assert re.search(r"state\.pt is damaged \(\w+: .*restore a copy of it, or remove the folder", str(error))
            refused += 1
        else:
            assert table(rows).equals(history)
            assert equal(state.model.state_dict(), torch.load(BytesIO(good))["model"])
    assert refused > 200
    assert not equal(weights, {})


@pytest.mark.parametrize("change", [{"rows": 5}, {"rows": [5]}, {"identity": "[]"}, {"identity": 5}, {"model": {}},
                                    {"optimizer": []}])  # fmt: skip
def test_a_state_with_other_content(copied, change):
    saved = torch.load(copied / "state.pt", weights_only=True)
    torch.save(saved | change, copied / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt is damaged"):
        run(out=copied)


def test_weights_without_a_state_are_kept(copied):
    (copied / "state.pt").unlink()
    before = contents(copied)
    with pytest.raises(ValueError, match=r"holds 'best\.safetensors' but no state\.pt.*force=True"):
        run(out=copied)
    assert contents(copied) == before
    run(replace(TINY, epochs=1, seed=3), out=copied, force=True)
    assert contents(copied)["best.safetensors"] != before["best.safetensors"]


def test_files_of_somebody_else_are_kept(tmp_path):
    (tmp_path / "history.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"holds files that `seglab train` did not write, such as 'history\.csv'"):
        run(out=tmp_path)
    assert contents(tmp_path) == {"history.csv": b"mine"}


def test_a_run_of_an_earlier_version_gets_a_mark(copied):
    (copied / ".seglab-train").unlink()
    run(out=copied, on_epoch=lambda _: pytest.fail("an epoch was run"))
    assert (copied / ".seglab-train").exists()


def test_a_folder_that_cannot_be_written_to_is_noticed_before_the_first_epoch(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(loop, "identity", lambda *_, **__: pytest.fail("the data were hashed"))
    with pytest.raises(ValueError, match="cannot be written to"):
        run(out=tmp_path / "file" / "below")


SECOND = """
import sys
from helpers.tiny_training import TINY, run
print("ready", flush=True)
for line in sys.stdin:
    try:
        run(TINY, out=sys.argv[1])
    except ValueError as error:
        print(error, flush=True)
"""


@pytest.mark.slow
def test_a_second_training_is_refused_each_time(tmp_path):
    """A hundred times, each within two seconds, while the first one trains; which ends as if it had been alone."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SECOND, tmp_path / "run"], env=WITH_HELPERS, **pipes) as second:
        assert second.stdout.readline() == "ready\n"
        said, longest = [], 0.0

        def refused(history):
            nonlocal longest
            for _ in range(34):
                started = monotonic()
                second.stdin.write("again\n")
                second.stdin.flush()
                said.append(second.stdout.readline())
                longest = max(longest, monotonic() - started)

        weights, _ = run(out=tmp_path / "run", on_epoch=refused)
        second.stdin.close()
    assert len(said) == 102
    assert all("another process writes to" in line for line in said), set(said)
    assert longest < 2
    assert equal(weights, run()[0])


@pytest.mark.parametrize("changed", [True, False])
def test_a_run_of_other_code(copied, monkeypatch, changed):
    """Is not continued, whether or not it has finished; comments do not count, see the tests of `code_version`."""
    monkeypatch.setattr(runs, "code_version", lambda wings: "0.1 changed" if changed else code_version(wings))
    before = contents(copied)
    if changed:
        with pytest.raises(ValueError, match=r"code: '.*' instead of '0.1 changed'; the code of seglab has changed"):
            run(out=copied)
        assert contents(copied) == before
    else:
        run(out=copied, on_epoch=lambda _: pytest.fail("an epoch was run"))


def test_a_finished_run_is_read_again(tmp_path):
    weights, history = run(out=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again, history_again = run(model=small(seed=5), out=tmp_path, on_epoch=lambda _: pytest.fail("an epoch was run"))
    assert equal(weights, again)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_another_run_in_the_folder(tmp_path):
    recipe = replace(TINY, epochs=1)
    run(recipe, out=tmp_path)
    with pytest.raises(ValueError, match=r"holds another run \(lr: None instead of 0.1; seed: 0 instead of 3\)"):
        run(replace(recipe, seed=3, lr=0.1), out=tmp_path)
    with pytest.raises(ValueError, match=r"\(norm: None instead of 'group'\)"):
        run(recipe, small("group"), out=tmp_path)
    with pytest.raises(ValueError, match=r"\(start: '' instead of 'zoo'\)"):
        run(recipe, out=tmp_path, start="zoo")
    others = load_dataset("toytown", "train", size=SIZE).subset(range(8, 16))
    larger = load_dataset("toytown", "train", size=(96, 128)).subset(range(8))
    for scenes in (others, larger):
        with pytest.raises(ValueError, match=r"\(train: 'toytown train 8 \w+' instead of 'toytown train 8 \w+'\)"):
            fit(small(), scenes, town("val", 3), recipe, tmp_path, progress=False)


def test_a_run_from_before_a_recipe_had_more_fields_continues(tmp_path):
    """Fields that it lacks have their defaults."""
    _, history = run(TINY, out=tmp_path)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    older = {key: value for key, value in json.loads(saved["identity"]).items() if key not in ("repeats", "resolution")}
    torch.save(saved | {"identity": json.dumps(older)}, tmp_path / "state.pt")
    _, again = run(TINY, out=tmp_path, on_epoch=lambda _: pytest.fail("an epoch was run"))
    pd.testing.assert_frame_equal(history, again)
    with pytest.raises(ValueError, match="repeats: 1 instead of 2"):
        run(replace(TINY, repeats=2), out=tmp_path)
