"""The store: counts of every run on every image, in SQLite.

    runs     what was measured, once a run: its name, its seed, the data set, and its identity
    images   what is finished: a row an image, with its group and the time that its mask took
    counts   run, image, target, pred → pixels; void stays, as target 255; each side in its own vocabulary
    bins     run, image, kind, bin → three integers (`metrics.boundary_counts`, `metrics.calibration_counts`)

One transaction an image: a process that is killed loses at most the images that it was working on. The processes of a
distributed run do not talk to each other: each writes a file of its own beside the first one, and reading unites them.
A store that nobody has open is one plain file (or one a process), to be copied and read anywhere.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from seglab._utils.errors import differences

APPLICATION = 0x5E61AB  # the number in a SQLite file's header by which a store is known
SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION};
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
COMMIT;
"""
# What all runs on one data set have in common, or a table of them would compare different things.
SHARED = ("fingerprint", "order", "images", "groups", "target classes", "scored at", "test-time augmentation")
# table → column → type; an "Int64" may be missing
TABLES: dict[str, dict[str, str]] = {
    "runs": {"run": "int64", "name": "str", "seed": "Int64", "data": "str", "identity": "str", "facts": "str"},
    "images": {"run": "int64", "image": "int64", "id": "str", "group": "str", "microseconds": "Int64"},
    "counts": dict.fromkeys(("run", "image", "target", "pred", "pixels"), "int64"),
    "bins": {"run": "int64", "image": "int64", "kind": "str"} | dict.fromkeys(("bin", "a", "b", "c"), "int64"),
}
_SORTED = {"runs": 1, "images": 2, "counts": 4, "bins": 4}  # by so many of the first columns
_KEY = "name = ? AND seed IS ? AND data = ?"
Rows = Iterable[tuple[Any, ...]]


class Store:
    """The file that one process writes; use it in a `with` statement.

    Args:
        path: of the store; it is made where it is not there.
        rank: which of `world` processes this is. Of several, each writes to `shard_path(path, rank, world)`.

    Raises:
        ValueError: there is something else at `path`, or nothing can be written there.
    """

    def __init__(self, path: str | Path, rank: int = 0, world: int = 1) -> None:
        self.path = Path(path)
        self.own = shard_path(self.path, rank, world)
        try:
            self.own.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{self.own} cannot be a store: {error.strerror}: {error.filename}") from None
        with _spoken(self.own):
            self.connection = _connect(self.own)
            try:
                self._prepare(world)
            except sqlite3.Error:
                self.connection.close()
                raise

    def _prepare(self, world: int) -> None:
        if world == 1:  # a hundredth of the time of a usual transaction, and no power cut can damage it
            self._journal("WAL")
            self.connection.execute("PRAGMA synchronous=NORMAL")
        else:  # WAL would need all processes on one machine
            self.connection.execute("PRAGMA synchronous=OFF")
        if not _is_store(self.connection):
            self.connection.executescript(SCHEMA)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._journal("DELETE")  # in one plain file, which can be read from a disk that nobody can write to
        self.connection.close()

    def _journal(self, mode: str) -> None:
        with suppress(sqlite3.OperationalError):  # another process has it open, too: then it stays as it is
            self.connection.execute(f"PRAGMA journal_mode={mode}")

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
        here, key = json.loads(json.dumps(identity)), (name, seed, data)
        with self._transaction() as writing:
            for path in shards(self.path):
                self._compare(path, key, here)
            query = f"SELECT run FROM runs WHERE {_KEY}"
            if not writing.execute(query, key).fetchone():
                row = (*key, json.dumps(here), json.dumps(facts))
                writing.execute("INSERT INTO runs (name, seed, data, identity, facts) VALUES (?, ?, ?, ?, ?)", row)
            return int(writing.execute(query, key).fetchone()[0])

    def _compare(self, path: Path, key: tuple[str, int | None, str], identity: dict[str, Any]) -> None:
        name, seed, data = key
        for other, other_seed, text in _ask(path, "SELECT name, seed, identity FROM runs WHERE data = ?", (data,)):
            there, same = json.loads(text), (other, other_seed) == (name, seed)
            if said := differences(*(d if same else {k: d.get(k) for k in SHARED} for d in (there, identity))):
                raise ValueError(
                    f"{path} holds {'another measurement of ' * same}{other!r} on {data} that cannot be put beside"
                    f" this one ({said}); {'give this one another name, or ' * same}take another store"
                )

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
        with _spoken(self.own), self.connection:  # commits, or rolls back
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection


def forget(path: str | Path, name: str, data: str | None = None, seed: int | None = None) -> None:
    """Remove what a store holds under a name; on one data set and of one seed, or of all. Nothing where it has none.

    Raises:
        ValueError: one of its files is something else, or cannot be written.
    """
    for shard in shards(Path(path)):
        with _spoken(shard), closing(_connect(shard)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            asked = {"name": name, "data": data, "seed": seed}
            asked = {column: value for column, value in asked.items() if value is not None}
            query = f"SELECT run FROM runs WHERE {' AND '.join(f'{column} = ?' for column in asked)}"
            for run in _rows(connection, query, tuple(asked.values())):
                for table in TABLES:
                    connection.execute(f"DELETE FROM {table} WHERE run = ?", run)


@dataclass(frozen=True)
class Tables:
    """A store as it is read: its four tables, of all shards, with runs numbered anew from 0.

    Models come in the order in which they were first measured, and of each the run of the lowest seed comes first.
    """

    runs: pd.DataFrame
    images: pd.DataFrame
    counts: pd.DataFrame
    bins: pd.DataFrame


def read(path: str | Path) -> Tables:
    """All that the files of a store hold.

    Raises:
        ValueError: there is no store, one of its files is something else, or two of them hold different measurements
            of one name.
    """
    there = shards(Path(path))
    if not there:
        raise ValueError(f"there is no store {str(path)!r}; `seglab evaluate` makes one")
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    known: dict[tuple[Any, ...], tuple[int, Any, Path]] = {}  # name, seed, data → new number, identity, where it is
    for number, shard in enumerate(there):
        with _spoken(shard), closing(_connect(shard)) as connection:
            connection.execute("BEGIN")  # all four as they were at one moment
            anew = {}
            for run, name, seed, data, identity in _rows(
                connection, "SELECT run, name, seed, data, identity FROM runs"
            ):
                here = json.loads(identity)
                anew[run], other, where = known.setdefault((name, seed, data), (len(known), here, shard))
                if said := differences(other, here):
                    raise ValueError(f"{where} and {shard} hold different measurements of {name!r} on {data} ({said})")
            for name in TABLES:
                for table in _frames(connection, name):
                    parts[name].append(table.assign(run=table["run"].map(anew).astype("int64"), shard=number))
    whole = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    runs = whole["runs"].drop_duplicates("run")
    images = whole["images"].drop_duplicates(["run", "image"])  # two layouts of processes may have done one image
    once = images[["run", "image", "shard"]]
    counts, bins = (whole[name].merge(once) for name in ("counts", "bins"))
    first = runs.groupby(["data", "name"])["run"].transform("min")
    ordered = runs.assign(first=first).sort_values(["first", "seed", "run"])["run"].tolist()
    place = {run: i for i, run in enumerate(ordered)}
    return Tables(*(
        table.drop(columns="shard").assign(run=table["run"].map(place).astype("int64"))
        .sort_values([*TABLES[name]][: _SORTED[name]], ignore_index=True)
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


@contextmanager
def _spoken(path: Path) -> Iterator[None]:
    """What goes wrong with a file, as a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise ValueError(f"{path} cannot be a store: {error}") from None


def _connect(path: Path) -> sqlite3.Connection:
    """Raises where another program's database is."""
    connection = sqlite3.connect(path.absolute(), timeout=60, isolation_level=None)  # ":memory:" is a name like others
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and not _is_store(connection):
            raise sqlite3.DatabaseError("it is the database of another program")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_store(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION)


def _ask(path: Path, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with _spoken(path), closing(_connect(path)) as connection:
        return _rows(connection, query, values)


def _rows(connection: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not _is_store(connection):  # another process has only just made the file
        return []
    return connection.execute(query, values).fetchall()


def _frames(connection: sqlite3.Connection, name: str, rows: int = 10_000) -> Iterator[pd.DataFrame]:
    """A table in pieces: as Python's numbers, all of it would take many times its size."""
    columns = TABLES[name]
    yield pd.DataFrame([], columns=list(columns)).astype(columns)
    if _is_store(connection):
        cursor = connection.execute(f"SELECT * FROM {name}")
        while piece := cursor.fetchmany(rows):
            yield pd.DataFrame(piece, columns=list(columns)).astype(columns)
