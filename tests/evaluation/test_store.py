"""The store: it survives killed processes, merges shards, and rejects measurements that cannot be compared."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab._utils.hashing import sha256_file
from seglab.evaluation.files import shards
from seglab.evaluation.reading import read
from seglab.evaluation.store import SHARED, Store, forget

IDENTITY = {key: f"some {key}" for key in SHARED} | {"weights": "abc"}
DATA = "toytown test"
RUN = ("model", 0, DATA)


def row(image):
    """Arguments of `Store.add`, with other counts for each image."""
    counts = [(0, 0, 10 + image), (0, 1, image + 1), (255, 3, 5)]
    return image, (f"scene {image}", f"drive {image // 2}", 100 + image), counts, [("boundary", 0, image, 2, 3)]


def fill(path, indices, rank=0, world=1, run=RUN, **identity):
    with Store(path, rank, world) as store:
        number = store.run(*run, IDENTITY | identity, {"title": "a model"})
        for image in indices:
            store.add(number, *row(image))


def same(one, other):
    for name in ("runs", "images", "counts", "bins"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)


def started(script, path, rank, world, **options):
    """Another process that writes to a store: its path, rank, number of processes, run and identity."""
    arguments = json.dumps([str(path), rank, world, RUN, IDENTITY])
    return subprocess.Popen([sys.executable, "-c", script, arguments], **options)


def test_the_tables(tmp_path):
    fill(tmp_path / "s.sqlite", [1])
    fill(tmp_path / "s.sqlite", [0, 1], run=("other", None, DATA))
    tables = read(tmp_path / "s.sqlite")
    assert tables.runs["name"].to_list() == ["model", "other"]
    assert tables.runs["seed"].to_list() == [0, pd.NA]
    assert tables.runs["facts"][0] == '{"title": "a model"}'
    assert tables.images.to_numpy().tolist() == [
        [0, 1, "scene 1", "drive 0", 101], [1, 0, "scene 0", "drive 0", 100], [1, 1, "scene 1", "drive 0", 101],
    ]  # fmt: skip
    assert tables.counts[:3].to_numpy().tolist() == [[0, 1, 0, 0, 11], [0, 1, 0, 1, 2], [0, 1, 255, 3, 5]]
    assert tables.bins.to_numpy().tolist()[0] == [0, 1, "boundary", 0, 1, 2, 3]
    assert (tables.counts.dtypes == "int64").all()
    assert list(tables.images.columns) == ["run", "image", "id", "group", "microseconds"]


def test_the_schema(tmp_path):
    fill(tmp_path / "s.sqlite", [0])
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as connection:
        columns = "SELECT m.name, group_concat(c.name || ' ' || c.type || ' ' || c.pk, ', ') FROM sqlite_master m"
        found = dict(connection.execute(f"{columns}, pragma_table_info(m.name) c WHERE m.type = 'table' GROUP BY 1"))
        assert connection.execute("PRAGMA application_id").fetchone() == (0x5E61AB,)
        with pytest.raises(sqlite3.IntegrityError):  # a run is known by its name, seed and data
            connection.execute("INSERT INTO runs SELECT 9, name, seed, data, identity, facts FROM runs")
    assert found == {
        "runs": "run INTEGER 1, name TEXT 0, seed INTEGER 0, data TEXT 0, identity TEXT 0, facts TEXT 0",
        "images": "run INTEGER 1, image INTEGER 2, id TEXT 0, grp TEXT 0, microseconds INTEGER 0",
        "counts": "run INTEGER 1, image INTEGER 2, target INTEGER 3, pred INTEGER 4, pixels INTEGER 0",
        "bins": "run INTEGER 1, image INTEGER 2, kind TEXT 3, bin INTEGER 4, a INTEGER 0, b INTEGER 0, c INTEGER 0",
        "sums": "run INTEGER 1, image INTEGER 2, sum INTEGER 0",
    }


def test_missing_numbers_stay_missing(tmp_path):
    """Label maps of another program have no time, and a run may have no image yet."""
    fill(tmp_path / "s.sqlite", [])
    assert len(read(tmp_path / "s.sqlite").counts) == 0
    with Store(tmp_path / "s.sqlite") as store:
        store.add(store.run(*RUN, IDENTITY, {}), 0, ("a", "a", None), [(0, 0, 1)], [])
    tables = read(tmp_path / "s.sqlite")
    assert tables.images["microseconds"].isna().all()
    assert (tables.counts.dtypes == "int64").all()


def test_more_rows_than_are_read_at_once(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        run = store.run(*RUN, IDENTITY, {})
        store.add(run, 0, ("a", "a", 1), ((t, p, t * p) for t in range(150) for p in range(150)), [])
    counts = read(tmp_path / "s.sqlite").counts
    assert len(counts) == 150 * 150
    assert (counts["pixels"] == counts["target"] * counts["pred"]).all()


def test_an_image_is_written_completely_or_not_at_all(tmp_path):
    fill(tmp_path / "s.sqlite", [0])

    def breaking():
        yield from row(1)[2]
        raise KeyboardInterrupt

    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            store.add(store.run(*RUN, IDENTITY, {}), 1, row(1)[1], breaking(), [])
        assert store.done(*RUN) == {0}
        store.add(store.run(*RUN, IDENTITY, {}), *row(1))
    fill(tmp_path / "whole.sqlite", [0, 1])
    same(read(tmp_path / "s.sqlite"), read(tmp_path / "whole.sqlite"))


KILLED = """
import json, os, signal, sys
from seglab.evaluation.store import Store

def rows():
    yield 0, 0, 11
    yield 0, 1, 2
    os.kill(os.getpid(), signal.SIGKILL)

path, rank, world, run, identity = json.loads(sys.argv[1])
store = Store(path, rank, world)
number = store.run(*run, identity, {"title": "a model"})
store.add(number, 0, ("scene 0", "drive 0", 100), [(0, 0, 10), (0, 1, 1), (255, 3, 5)], [("boundary", 0, 0, 2, 3)])
store.add(number, 1, ("scene 1", "drive 0", 101), rows(), [])
"""


@pytest.mark.parametrize("world", [1, 2])
def test_killed_during_an_image(tmp_path, world):
    """The finished image is in the store, the unfinished one is not, and the next call continues."""
    path = tmp_path / "s.sqlite"
    process = started(KILLED, path, world - 1, world)
    assert process.wait() == -signal.SIGKILL
    (own,) = (p for p in tmp_path.iterdir() if not p.name.endswith("-journal"))
    shutil.copy(own, tmp_path / "copy.sqlite")  # the one file, without a journal
    assert read(tmp_path / "copy.sqlite").images["image"].to_list() == [0]
    assert read(path).images["image"].to_list() == [0]
    assert len(read(path).counts) == 3
    fill(path, [0, 1], world - 1, world)
    fill(tmp_path / "whole.sqlite", [0, 1])
    same(read(path), read(tmp_path / "whole.sqlite"))


@pytest.mark.parametrize("header", [False, True])
def test_killed_before_there_were_tables(tmp_path, header):
    path = tmp_path / "s.sqlite"
    path.touch()
    if header:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        assert path.stat().st_size > 0
    assert len(read(path).runs) == len(read(path).counts) == 0
    fill(path, [0])
    assert len(read(path).images) == 1


def test_a_closed_store_is_one_plain_file(tmp_path):
    fill(tmp_path / "s.sqlite", [0, 1])
    assert [p.name for p in tmp_path.iterdir()] == ["s.sqlite"]
    before = sha256_file(tmp_path / "s.sqlite")
    read(tmp_path / "s.sqlite")
    assert sha256_file(tmp_path / "s.sqlite") == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.sqlite"]
    with closing(sqlite3.connect(f"file:{tmp_path / 's.sqlite'}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # WAL could not be read there


def test_two_connections_add_the_same_image(tmp_path):
    with Store(tmp_path / "s.sqlite") as one, Store(tmp_path / "s.sqlite") as other:
        run = one.run(*RUN, IDENTITY, {})
        assert other.run(*RUN, IDENTITY, {}) == run
        one.add(run, *row(0))
        other.add(run, *row(0))
        other.add(run, *row(1))
        assert one.done(*RUN) == {0, 1}
    assert len(read(tmp_path / "s.sqlite").counts) == 6


TOGETHER = """
import json, sys
from seglab.evaluation.reading import read
from seglab.evaluation.store import Store

path, rank, world, run, identity = json.loads(sys.argv[1])
print(flush=True)
sys.stdin.readline()
for first in range(0, 18, 3):
    with Store(path, rank, world) as store:
        number = store.run(*run, identity, {"title": "a model"})
        for image in range(first, first + 3):
            store.add(number, image, ("an id", "a group", 1), [(0, 0, image + 1)], [])
    read(path)
"""


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 4])
def test_four_processes_at_once(tmp_path, world):
    """They open and close one file in turns, or write one file each and read the others."""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [started(TOGETHER, tmp_path / "s.sqlite", r % world, world, **options) for r in range(4)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    tables = read(tmp_path / "s.sqlite")
    assert tables.runs["run"].to_list() == [0]
    assert tables.counts.to_numpy().tolist() == [[0, image, 0, 0, image + 1] for image in range(18)]
    assert len(list(tmp_path.glob("*.sqlite*"))) == world


@settings(max_examples=10)
@given(st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=1, max_size=6), st.booleans())
def test_shards_are_one_store(tmp_path_factory, owners, turned):
    """For each split of the images, also with overlaps, and with other run numbers in each file."""
    folder = tmp_path_factory.mktemp("shards")
    runs = {("model", 0, DATA): 0, ("model", 1, DATA): 1, ("other", None, DATA): 2}  # each leaves out another image
    for run, without in runs.items():
        fill(folder / "whole.sqlite", set(range(len(owners))) - {without}, run=run)
    for rank in range(3):
        mine = {i for i, own in enumerate(owners) if rank in own}
        for run in reversed(runs) if turned and rank else runs:
            fill(folder / "s.sqlite", mine - {runs[run]}, rank, 3, run)
    assert [p.name for p in shards(folder / "s.sqlite")] == [f"s.{r}of3.sqlite" for r in (1, 2, 3)]
    same(read(folder / "s.sqlite"), read(folder / "whole.sqlite"))


def test_other_numbers_of_processes_continue(tmp_path):
    path = tmp_path / "s.sqlite"
    fill(path, [0, 1])
    fill(path, [1, 2], 0, 2)
    fill(path, [2, 4], 3, 4)
    with Store(path, 1, 2) as store:
        assert store.done(*RUN) == {0, 1, 2, 4}
        assert store.done("model", 1, DATA) == set()
    fill(tmp_path / "whole.sqlite", [0, 1, 2, 4])
    same(read(path), read(tmp_path / "whole.sqlite"))


def test_only_its_own_shards(tmp_path):
    for name in ("s.sqlite", "s.2.sqlite", "st.1of2.sqlite", "s.1of2.sqlite-wal", "s.1of2.txt", "xs.1of2.sqlite"):
        (tmp_path / name).touch()
    (tmp_path / "s.1of2.sqlite").mkdir()
    assert shards(tmp_path / "s.sqlite") == [tmp_path / "s.sqlite"]
    assert shards(tmp_path / "nowhere" / "s.sqlite") == []


def test_another_measurement_under_the_same_name(tmp_path):
    path = tmp_path / "s.sqlite"
    fill(path, [0])
    with pytest.raises(
        ValueError, match=r"another measurement of 'model' on toytown test .*weights: 'abc' instead of 'd'"
    ):
        fill(path, [1], weights="d")
    with pytest.raises(ValueError, match=r"\(threads: None instead of 2\); give this one another name"):
        fill(path, [1], threads=2)
    with pytest.raises(ValueError, match=r"s\.sqlite holds another measurement"):  # in a shard as well
        fill(path, [1], 0, 2, weights="d")
    fill(path, [0], run=("model", 1, DATA), weights="d")  # another seed
    fill(path, [0], run=("model", 0, "camvid val"), weights="d")  # another data set
    fill(path, [0], run=("another", 0, DATA), weights="d")
    assert len(read(path).runs) == 4


@pytest.mark.parametrize("key", SHARED)
def test_other_data_or_another_way_of_scoring(tmp_path, key):
    fill(tmp_path / "s.sqlite", [0])
    with pytest.raises(
        ValueError, match=rf"holds 'model' on {DATA} that cannot .*\({key}: .* instead of 'x'\); use another"
    ):
        fill(tmp_path / "s.sqlite", [0], run=("other", None, DATA), **{key: "x"})
    assert len(read(tmp_path / "s.sqlite").runs) == 1


def test_shards_that_were_measured_differently(tmp_path):
    """On two machines without a common disk."""
    fill(tmp_path / "s.sqlite", [0], 0, 2)
    fill(tmp_path / "elsewhere" / "s.sqlite", [1], 1, 2, threads=8)
    (tmp_path / "elsewhere" / "s.2of2.sqlite").rename(tmp_path / "s.2of2.sqlite")
    with pytest.raises(
        ValueError, match=r"s\.1of2\.sqlite and .*s\.2of2\.sqlite hold different .*threads: None instead of 8"
    ):
        read(tmp_path / "s.sqlite")


def opened(path):
    with Store(path):
        pass


def queried(path):
    with Store(path.with_name("s.sqlite"), 1, 3) as store:
        store.done(*RUN)


@pytest.mark.parametrize("use", [opened, read, queried])
def test_files_that_are_no_stores(tmp_path, use):
    path = tmp_path / "s.sqlite"
    path.write_text("name,miou\nunet,0.5\n" * 9)
    with pytest.raises(ValueError, match=r"s\.sqlite cannot be a store: file is not a database"):
        use(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (experiment TEXT)")  # a table of another program
    before = sha256_file(path)
    with pytest.raises(ValueError, match=r"s\.sqlite cannot be a store: it is the database of another program"):
        use(path)
    assert sha256_file(path) == before


def test_paths_where_no_store_can_be(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "s.sqlite"):
        with pytest.raises(ValueError, match="cannot be a store: "):
            opened(path)
    if Path("/proc").is_dir():
        with pytest.raises(ValueError, match="cannot be a store: "):
            opened("/proc/s.sqlite")  # not writable
    with pytest.raises(ValueError, match=r"there is no store '.*s\.sqlite'; `seglab evaluate` makes one"):
        read(tmp_path / "s.sqlite")


def test_no_file_name_is_special(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "what?.sqlite", "100%25.db", "[a] b"):
        fill(name, [0])
        fill(name, [1], 0, 2)
        assert len(read(name).images) == 2
        assert (tmp_path / name).is_file()


def test_forget_removes_only_the_given_runs(tmp_path):
    for rank in (0, 1):
        fill(tmp_path / "s.sqlite", [rank], rank, 2)
    for other in (("other", 0, DATA), ("model", 1, "voc val")):
        fill(tmp_path / "s.sqlite", [0, 1], run=other)
    forget(tmp_path / "s.sqlite", "model", DATA)
    forget(tmp_path / "s.sqlite", "missing")
    tables = read(tmp_path / "s.sqlite")
    assert tables.runs[["name", "data"]].to_numpy().tolist() == [["other", DATA], ["model", "voc val"]]
    assert len(tables.images) == len(tables.bins) == 4
    fill(tmp_path / "s.sqlite", [0], weights="other weights")  # the name is free again
    forget(tmp_path / "s.sqlite", "model", seed=1)
    assert read(tmp_path / "s.sqlite").runs[["name", "seed"]].to_numpy().tolist() == [["other", 0], ["model", 0]]
    forget(tmp_path / "s.sqlite", "model")
    assert read(tmp_path / "s.sqlite").runs["name"].to_list() == ["other"]
