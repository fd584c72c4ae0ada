"""The store: counts of every run on every image, in SQLite.

    runs     what was measured, once a run: its name, its seed, the data set, and its identity
    images   what is finished: a row an image, with its group and the time that its mask took
    counts   run, image, target, pred → pixels; void stays, as target 255; each side in its own vocabulary
    bins     run, image, kind, bin → three integers (`metrics.boundary_counts`, `metrics.calibration_counts`)

One transaction an image: a process that is killed loses at most the image that it was working on. The processes of a
distributed run do not talk to each other: each writes a file of its own beside the first one, and reading unites them.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from seglab.errors import differences

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, name TEXT NOT NULL, seed INTEGER, data TEXT NOT NULL,
    identity TEXT NOT NULL, facts TEXT NOT NULL, UNIQUE (name, seed, data)
);
CREATE TABLE IF NOT EXISTS images (
    run INTEGER NOT NULL, image INTEGER NOT NULL, id TEXT NOT NULL, grp TEXT NOT NULL, microseconds INTEGER,
    PRIMARY KEY (run, image)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (
    run INTEGER NOT NULL, image INTEGER NOT NULL, target INTEGER NOT NULL, pred INTEGER NOT NULL,
    pixels INTEGER NOT NULL, PRIMARY KEY (run, image, target, pred)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bins (
    run INTEGER NOT NULL, image INTEGER NOT NULL, kind TEXT NOT NULL, bin INTEGER NOT NULL,
    a INTEGER NOT NULL, b INTEGER NOT NULL, c INTEGER NOT NULL, PRIMARY KEY (run, image, kind, bin)
) WITHOUT ROWID;
"""
# What all runs on one data set have in common, or a table of them would compare different things.
SHARED = ("fingerprint", "images", "groups", "target classes", "scored at", "test-time augmentation")
TABLES = {
    "runs": ["run", "name", "seed", "data", "identity", "facts"],
    "images": ["run", "image", "id", "group", "microseconds"],
    "counts": ["run", "image", "target", "pred", "pixels"],
    "bins": ["run", "image", "kind", "bin", "a", "b", "c"],
}
_SORTED = {"runs": 1, "images": 2, "counts": 4, "bins": 4}  # by so many of the first columns
_KEY = "name = ? AND seed IS ? AND data = ?"
Rows = Iterable[tuple[Any, ...]]


class Store:
    """The file that one process writes; use it in a `with` statement.

    Args:
        path: of the store; it is made where it is not there.
        rank: which of `world` processes this is. Of several, each writes to `shard_path(path, rank, world)`.
    """

    def __init__(self, path: str | Path, rank: int = 0, world: int = 1) -> None:
        self.path = Path(path)
        self.own = shard_path(self.path, rank, world)
        self.own.parent.mkdir(parents=True, exist_ok=True)
        self.connection = _connect(self.own)
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")  # with NORMAL a tenth of the time a transaction takes,
            self.connection.execute("PRAGMA synchronous=NORMAL")  # and a killed process still loses nothing
            self.connection.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            self.connection.close()
            raise ValueError(f"{self.own} is not a store of seglab: {error}") from None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.connection.close()

    def run(self, name: str, seed: int | None, data: str, identity: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
        """The number of a run in this file; of an earlier start of the same run, if there was one.

        Args:
            seed: of the training; runs of one name that differ in it are trainings of one recipe.
            identity: what has to be the same for two measurements to be one.
            facts: what else is to be known of it.

        Raises:
            ValueError: this name has been measured on this data differently, or this data has been measured
                differently under other names; says what differs.
        """
        identity, key = json.loads(json.dumps(identity)), (name, seed, data)
        for path in shards(self.path):
            for other, other_seed, text in _ask(path, "SELECT name, seed, identity FROM runs WHERE data = ?", (data,)):
                there, same = json.loads(text), (other, other_seed) == (name, seed)
                if said := differences(*(d if same else {k: d.get(k) for k in SHARED} for d in (there, identity))):
                    raise ValueError(
                        f"{path} holds {'another measurement of ' * same}{other!r} on {data} that cannot be put beside"
                        f" this one ({said}); {'give this one another name, or ' * same}take another store"
                    )
        with self._transaction() as writing:
            query = f"SELECT run FROM runs WHERE {_KEY}"
            if not writing.execute(query, key).fetchone():
                row = (*key, json.dumps(identity), json.dumps(facts))
                writing.execute("INSERT INTO runs (name, seed, data, identity, facts) VALUES (?, ?, ?, ?, ?)", row)
            return int(writing.execute(query, key).fetchone()[0])

    def done(self, name: str, seed: int | None, data: str) -> set[int]:
        """The images of a run that are finished, whichever process did them."""
        query = f"SELECT image FROM images JOIN runs USING (run) WHERE {_KEY}"
        return {image for path in shards(self.path) for (image,) in _ask(path, query, (name, seed, data))}

    def add(self, run: int, image: int, named: tuple[str, str, int | None], counts: Rows, bins: Rows) -> None:
        """All about one image, in one transaction.

        Args:
            named: its id, its group, and the microseconds that its mask took.
            counts: (target, pred, pixels) each.
            bins: (kind, bin, a, b, c) each.
        """
        with self._transaction() as writing:
            if writing.execute("SELECT 1 FROM images WHERE run = ? AND image = ?", (run, image)).fetchone():
                return  # another process, started on the same store, was quicker
            writing.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?)", (run, image, *named))
            writing.executemany(f"INSERT INTO counts VALUES ({run}, {image}, ?, ?, ?)", counts)
            writing.executemany(f"INSERT INTO bins VALUES ({run}, {image}, ?, ?, ?, ?, ?)", bins)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self.connection:  # commits, or rolls back
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection


@dataclass(frozen=True)
class Tables:
    """A store as it is read: its four tables, of all shards, with runs numbered anew from 0."""

    runs: pd.DataFrame
    images: pd.DataFrame
    counts: pd.DataFrame
    bins: pd.DataFrame


def read(path: str | Path) -> Tables:
    """All that the files of a store hold.

    Raises:
        ValueError: there is no store, or one of its files is something else.
    """
    there = shards(Path(path))
    if not there:
        raise ValueError(f"there is no store {str(path)!r}; `seglab evaluate` makes one")
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    numbers: dict[tuple[Any, ...], int] = {}
    for number, shard in enumerate(there):
        try:
            with closing(_connect(shard)) as connection:
                connection.execute("BEGIN")  # all four as they were at one moment
                tables = {name: _table(connection, name) for name in TABLES}
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{shard} is not a store of seglab: {error}") from None
        runs = tables["runs"]
        keys = zip(runs["name"], runs["seed"].fillna(-1), runs["data"], strict=True)
        anew = {run: numbers.setdefault(key, len(numbers)) for run, key in zip(runs["run"], keys, strict=True)}
        for name, table in tables.items():
            parts[name].append(table.assign(run=table["run"].map(anew).astype(int), shard=number))
    whole = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    runs = whole["runs"].drop_duplicates("run")
    images = whole["images"].drop_duplicates(["run", "image"])  # two layouts of processes may have done one image
    once = images[["run", "image", "shard"]]
    counts, bins = (whole[name].merge(once) for name in ("counts", "bins"))
    return Tables(*(
        table.drop(columns="shard").sort_values(TABLES[name][: _SORTED[name]], ignore_index=True)
        for name, table in zip(TABLES, (runs, images, counts, bins), strict=True)
    ))  # fmt: skip


def shard_path(path: Path, rank: int, world: int) -> Path:
    """results.sqlite → results.2of4.sqlite for the second of four processes."""
    return path if world == 1 else path.with_name(f"{path.stem}.{rank + 1}of{world}{path.suffix}")


def shards(path: Path) -> list[Path]:
    """The files of a store: the one at `path`, and those of distributed runs beside it."""
    name = re.compile(re.escape(path.stem) + r"\.\d+of\d+" + re.escape(path.suffix))
    beside = sorted(p for p in path.parent.glob("*") if name.fullmatch(p.name))
    return [p for p in [path, *beside] if p.is_file()]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=60, isolation_level=None)


def _ask(path: Path, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with closing(_connect(path)) as connection:
        return _rows(connection, query, values)


def _rows(connection: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # another process has only just made the file
            return []
        raise


def _table(connection: sqlite3.Connection, name: str) -> pd.DataFrame:
    table = pd.DataFrame(_rows(connection, f"SELECT * FROM {name}"), columns=TABLES[name])
    return table.astype({"seed": "Int64"}) if name == "runs" else table
