"""The rule for folders that commands write into, with real second processes."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from seglab._utils.folders import claim
from seglab._utils.paths import PART

HOLDER = """
import sys
from seglab._utils.folders import claim
from seglab._utils.paths import replacing
with claim(sys.argv[1], "report") as folder, replacing(folder / "index.html") as unfinished:
    unfinished.write_text("half a page")
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that writes into a folder until its input ends."""
    command = [sys.executable, "-c", HOLDER, tmp_path / "out"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_a_new_or_empty_folder_gets_a_mark(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/below"):
        with claim(tmp_path / name, "report") as folder:
            assert folder == tmp_path / name
        assert [path.name for path in folder.iterdir()] == [".seglab-report"]
        (folder / "index.html").write_text("ours")
        with claim(folder, "report"):  # again
            pass


def test_files_of_somebody_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("months of work")
    said = r"that `seglab report` did not write, such as 'thesis\.tex'; choose .* or give --force"
    with pytest.raises(ValueError, match=said), claim(tmp_path, "report"):
        raise AssertionError("entered")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with claim(tmp_path, "report", force=True):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "months of work"
    with claim(tmp_path, "report"):  # it has the mark now
        pass
    with pytest.raises(ValueError, match="`seglab train` did not write"), claim(tmp_path, "train"):
        pass


def test_a_folder_of_an_earlier_version(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with claim(tmp_path, "report", made_before=lambda folder: (folder / "plan.json").is_file()):
        pass
    with claim(tmp_path, "report"):
        pass


def test_an_error_leaves_no_empty_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), claim(tmp_path / "new" / "below", "report"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    for name, file in ("empty", None), ("written", "page"):
        with pytest.raises(ZeroDivisionError), claim(tmp_path / name, "report") as folder:
            if file:
                (folder / file).touch()
            raise ZeroDivisionError
        assert {path.name for path in folder.iterdir()} == {".seglab-report", file} - {None}


def test_a_function_claims_the_folder_of_its_command(tmp_path):
    with claim(tmp_path / "out", "train"):
        with claim(tmp_path / "out", "train"):
            pass
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: claim(tmp_path / "out", "train").__enter__())
            with pytest.raises(ValueError, match="another process"):
                other.result()


def test_a_second_process_is_refused_each_time(holder, tmp_path):
    started = monotonic()
    for force in [False, True] * 50:
        with (
            pytest.raises(ValueError, match=r"another process writes to .*out; wait"),
            claim(tmp_path / "out", "report", force),
        ):
            pass
    assert monotonic() - started < 100 * 2
    holder.communicate("\n")
    with claim(tmp_path / "out", "report") as folder:
        assert (folder / "index.html").read_text() == "half a page"


def test_a_killed_process_leaves_no_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    (unfinished,) = (tmp_path / "out").glob("*.part")
    below = tmp_path / "out" / "other" / f"{PART}0.part"  # perhaps of a process that is writing there
    below.parent.mkdir()
    below.touch()
    with claim(tmp_path / "out", "report"):
        assert not unfinished.exists() and below.exists()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".seglab-report", "other"}


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    paths = [tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)]
    if Path("/proc").is_dir():
        paths.append(Path("/proc/seglab"))
    for path in paths:
        said = r"cannot be written to \(.+\); choose another folder"
        with pytest.raises(ValueError, match=said), claim(path, "report"):
            pass
