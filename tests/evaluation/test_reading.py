"""Reading a store: damage is noticed, and stores of earlier versions are read and extended."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from helpers.paths import ROOT
from helpers.stores import fill, masks, spoilt

from seglab.evaluation.reading import read
from seglab.evaluation.results import Results
from seglab.evaluation.store import Store

TARGETS = masks(6)
BINS = [[("boundary", i, image + 1, 2, 3) for i in range(4)] for image in range(6)]


@pytest.fixture
def path(tmp_path):
    """A store of two models on six images."""
    for name, seed in ("one", 1), ("other", 2):
        fill(tmp_path / "s.sqlite", name, TARGETS, spoilt(TARGETS, seed=seed), bins=BINS, microseconds=7)
    return tmp_path / "s.sqlite"


def without_sums(path):
    """The store as an earlier version wrote it."""
    changed(path, "DROP TABLE sums")
    return path


def changed(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def content(path):
    """What tables are made of: everything but the numbers of runs."""
    tables = read(path)
    return [getattr(tables, name).to_csv() for name in ("runs", "images", "counts", "bins")]


@pytest.mark.slow
def test_flipped_bits_are_noticed(path):
    """Of 400 single bits of the file, none changes a table without an error; most of them lie in rows."""
    good, before, found = path.read_bytes(), content(path), {"error": 0, "same": 0, "silent": 0}
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(good)
        damaged[random.integers(len(good))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            found["same" if content(path) == before else "silent"] += 1
        except ValueError as error:
            assert str(path) in str(error)
            found["error"] += 1
    assert found["silent"] == 0
    assert found["error"] > 100


@pytest.mark.parametrize(
    "statement",
    ["UPDATE counts SET pixels = pixels + 1 WHERE run = 1 AND image = 3 AND target = 0 AND pred = 0",
     "DELETE FROM counts WHERE run = 1 AND image = 3 AND pred > 4", "DELETE FROM images WHERE run = 1 AND image = 3",
     "DELETE FROM runs WHERE run = 1", "UPDATE images SET grp = 'another' WHERE image = 3",
     "UPDATE bins SET a = a + 1 WHERE run = 2 AND image = 3 AND bin = 1", "DELETE FROM counts WHERE run = 2",
     "UPDATE runs SET identity = replace(identity, 'sky', 'ski')",
     "DELETE FROM sums WHERE image > 2; DELETE FROM counts WHERE image = 2"],
)  # fmt: skip
def test_each_table_is_checked(path, statement):
    changed(path, *statement.split(";"))
    with pytest.raises(ValueError, match=r"s\.sqlite is damaged: .* restore a copy of it, or remove it"):
        read(path)


def test_impossible_counts_of_an_earlier_version(path):
    good = without_sums(path).read_bytes()
    for statement in (
        "UPDATE counts SET pixels = -pixels WHERE run = 1 AND image = 3", "DELETE FROM images WHERE image = 3",
        "UPDATE counts SET pred = 256 WHERE run = 1 AND image = 3 AND pred = 0 AND target = 0",
        "UPDATE bins SET a = -1", "DELETE FROM runs WHERE run = 1",
    ):  # fmt: skip
        path.write_bytes(good)
        changed(path, statement)
        with pytest.raises(ValueError, match="is damaged"):
            read(path)


def test_stores_of_earlier_versions_are_read_and_extended(path):
    before = content(path)
    assert content(without_sums(path)) == before
    fill(path, "third", TARGETS, spoilt(TARGETS, seed=3), bins=BINS)
    assert Results.open(path).names == ["one", "other", "third"]
    changed(path, "UPDATE counts SET pixels = pixels + 1 WHERE run = 3 AND image = 3")
    with pytest.raises(ValueError, match="is damaged"):
        read(path)


@pytest.mark.parametrize("name", ["toytown-test", "camvid-val"])
def test_committed_stores_are_read(name):
    """Their tables equal those of a plain query."""
    path = ROOT / "data" / "zoo" / f"{name}.sqlite"
    tables = read(path)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = pd.read_sql("SELECT run, name, seed, data FROM runs", connection).astype({"seed": "Int64"})
        for table, key in (("counts", ["target", "pred"]), ("bins", ["kind", "bin"])):
            rows = pd.read_sql(f"SELECT * FROM {table}", connection).merge(names).drop(columns="run")
            key = ["name", "seed", "data", "image", *key]
            ours = getattr(tables, table).merge(tables.runs[["run", "name", "seed", "data"]]).drop(columns="run")
            ours, rows = (each.sort_values(key, ignore_index=True) for each in (ours, rows))
            pd.testing.assert_frame_equal(ours[rows.columns], rows, check_dtype=False)


def test_any_text_and_a_missing_time_have_a_sum(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        run = store.run("a \u00e9 \n 'b'", None, "d", {}, {})
        store.add(run, 0, ("", "\U0001f600", None), [], [])
        store.add(run, 1, ("x", "y", 2**40), [(255, 254, 2**46)], [("k", 0, 2**62, 0, 1)])
    tables = read(tmp_path / "s.sqlite")
    assert tables.counts.to_numpy().tolist() == [[0, 1, 255, 254, 2**46]]
    assert tables.bins["a"].tolist() == [2**62]
