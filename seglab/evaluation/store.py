"""The store: counts of every run on every image, in SQLite.

    runs     one row per run: model name, training seed, data set, identity of the measurement, further facts
    images   one row per finished image: its id, its group, and the time from image to mask
    counts   run, image, target, pred → pixels; void pixels have target 255; each side in its own class set
    bins     run, image, kind, bin → three integers (`metrics.boundary_counts`, `metrics.calibration_counts`)

Each image is one transaction: a process that is killed loses at most the images in progress. The processes of a
distributed run do not communicate: each writes its own file (shard) beside `path`, and `read` merges the shards.
A store that no process has open is one plain file (or one per shard), which can be copied and read anywhere.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from seglab._utils.errors import differences

APPLICATION = 0x5E61AB  # application_id in the header of the SQLite file: it identifies a store
SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION};
CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY, name TEXT NOT NULL, seed INTEGER, data TEXT NOT NULL,
    identity TEXT NOT NULL, facts TEXT NOT NULL, UNIQUE (name, seed, data));
CREATE TABLE IF NOT EXISTS images (run INTEGER NOT NULL, image INTEGER NOT NULL, id TEXT NOT NULL, grp TEXT NOT NULL,
    microseconds INTEGER, PRIMARY KEY (run, image)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (run INTEGER NOT NULL, image INTEGER NOT NULL, target INTEGER NOT NULL,
    pred INTEGER NOT NULL, pixels INTEGER NOT NULL, PRIMARY KEY (run, image, target, pred)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bins (run INTEGER NOT NULL, image INTEGER NOT NULL, kind TEXT NOT NULL, bin INTEGER NOT NULL,
    a INTEGER NOT NULL, b INTEGER NOT NULL, c INTEGER NOT NULL, PRIMARY KEY (run, image, kind, bin)) WITHOUT ROWID;
COMMIT;
"""
# Identity fields that all runs on one data set have in common; otherwise a table would compare different things.
SHARED = ("fingerprint", "order", "images", "groups", "target classes", "scored at", "test-time augmentation")
# table → column → dtype; values of an "Int64" column may be missing
TABLES: dict[str, dict[str, str]] = {
    "runs": {"run": "int64", "name": "str", "seed": "Int64", "data": "str", "identity": "str", "facts": "str"},
    "images": {"run": "int64", "image": "int64", "id": "str", "group": "str", "microseconds": "Int64"},
    "counts": dict.fromkeys(("run", "image", "target", "pred", "pixels"), "int64"),
    "bins": {"run": "int64", "image": "int64", "kind": "str"} | dict.fromkeys(("bin", "a", "b", "c"), "int64"),
}
_SORTED_BY = {"runs": 1, "images": 2, "counts": 4, "bins": 4}  # number of leading columns that sort a table
_KEY = "name = ? AND seed IS ? AND data = ?"
Rows = Iterable[Sequence[Any]]
ImageRow = tuple[str, str, int | None]  # id, group, microseconds from image to mask


class Store(AbstractContextManager["Store"]):
    """The file that one process writes, a context manager; raises ValueError if it is no store or cannot be written.

    A missing file is created. Of several processes (`world`), each writes `shard_path(path, rank, world)`.
    """

    def __init__(self, path: str | Path, rank: int = 0, world: int = 1) -> None:
        self.path, self.own = Path(path), shard_path(Path(path), rank, world)
        with _store_errors(self.own):
            self.own.parent.mkdir(parents=True, exist_ok=True)
            self.connection = _connect(self.own, world)

    def __exit__(self, *error: object) -> None:
        _set_journal(self.connection, "DELETE")  # one plain file, which can be read from a read-only disk
        self.connection.close()

    def run(self, name: str, seed: int | None, data: str, identity: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
        """Add a run, or find it if it was started before; returns its number in this file.

        Args:
            seed: of the training; runs of one name that differ in it are trainings of one recipe.
            identity: everything that has to be equal for two measurements to be the same one; ValueError if the store
                holds a different measurement of this name, or measured this data differently.
            facts: further facts about the run, which are not compared.
        """
        identity, key = json.loads(json.dumps(identity)), (name, seed, data)
        with self._transaction() as connection:
            for path in shards(self.path):
                _compare(path, key, identity)
            query = f"SELECT run FROM runs WHERE {_KEY}"
            if not connection.execute(query, key).fetchone():
                row = (*key, json.dumps(identity), json.dumps(facts))
                connection.execute("INSERT INTO runs (name, seed, data, identity, facts) VALUES (?, ?, ?, ?, ?)", row)
            return int(connection.execute(query, key).fetchone()[0])

    def done(self, name: str, seed: int | None, data: str) -> set[int]:
        """Indices of the images of a run that any process has finished."""
        query = f"SELECT image FROM images JOIN runs USING (run) WHERE {_KEY}"
        return {image for path in shards(self.path) for (image,) in _query(path, query, (name, seed, data))}

    def add(self, run: int, image: int, image_row: ImageRow, counts: Rows, bins: Rows) -> None:
        """Write an image in one transaction: `counts` are rows (target, pred, pixels), `bins` (kind, bin, a, b, c)."""
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM images WHERE run = ? AND image = ?", (run, image)).fetchone():
                return  # another process on the same store has finished it first
            connection.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?)", (run, image, *image_row))
            connection.executemany(f"INSERT INTO counts VALUES ({run}, {image}, ?, ?, ?)", counts)
            connection.executemany(f"INSERT INTO bins VALUES ({run}, {image}, ?, ?, ?, ?, ?)", bins)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _store_errors(self.own), self.connection:  # commits, or rolls back
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection


def _compare(path: Path, key: tuple[str, int | None, str], identity: Mapping[str, Any]) -> None:
    """Raise ValueError if a file holds a measurement that differs from this one or cannot be compared with it."""
    name, seed, data = key
    for other, other_seed, text in _query(path, "SELECT name, seed, identity FROM runs WHERE data = ?", (data,)):
        stored, same = json.loads(text), (other, other_seed) == (name, seed)
        if differing := differences(*(i if same else {k: i.get(k) for k in SHARED} for i in (stored, identity))):
            raise ValueError(
                f"{path} holds {'another measurement of ' * same}{other!r} on {data} that cannot be compared with"
                f" this one ({differing}); {'give this one another name, or ' * same}use another store"
            )


def forget(path: str | Path, name: str, data: str | None = None, seed: int | None = None) -> None:
    """Remove the runs of a name, of one or all data sets and training seeds; no error if there are none."""
    given = {key: value for key, value in {"name": name, "data": data, "seed": seed}.items() if value is not None}
    query = f"SELECT run FROM runs WHERE {' AND '.join(f'{column} = ?' for column in given)}"
    for shard in shards(Path(path)):
        with _store_errors(shard), closing(_connect(shard)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for run in _rows(connection, query, tuple(given.values())):
                for table in TABLES:
                    connection.execute(f"DELETE FROM {table} WHERE run = ?", run)


@dataclass(frozen=True)
class Tables:
    """The four tables of a store, of all its shards, with runs renumbered from 0.

    Models are in the order in which they were first measured, and the runs of each model in the order of their seeds.
    """

    runs: pd.DataFrame
    images: pd.DataFrame
    counts: pd.DataFrame
    bins: pd.DataFrame


def read(path: str | Path) -> Tables:
    """Read and merge the files of a store.

    Raises ValueError if there is none, if a file is no store, or if two hold different measurements of one name.
    """
    files = shards(Path(path))
    if not files:
        raise ValueError(f"there is no store {str(path)!r}; `seglab evaluate` makes one")
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    known: dict[tuple[Any, ...], tuple[int, Any, Path]] = {}  # name, seed, data → new number, identity, file
    for shard, file in enumerate(files):
        with _store_errors(file), closing(_connect(file)) as connection:
            connection.execute("BEGIN")  # all four tables at one moment
            numbers = {}  # number of a run in this file → new number
            for run, *key, text in _rows(connection, "SELECT run, name, seed, data, identity FROM runs"):
                identity = json.loads(text)
                numbers[run], other, first = known.setdefault(tuple(key), (len(known), identity, file))
                if differing := differences(other, identity):
                    name, _, data = key
                    raise ValueError(
                        f"{first} and {file} hold different measurements of {name!r} on {data} ({differing})"
                    )
            for name in TABLES:
                for table in _frames(connection, name):
                    parts[name].append(table.assign(run=table["run"].map(numbers).astype("int64"), shard=shard))
    whole = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    runs = whole["runs"].drop_duplicates("run")
    images = whole["images"].drop_duplicates(["run", "image"])  # two shards may hold the same image
    counts, bins = (whole[name].merge(images[["run", "image", "shard"]]) for name in ("counts", "bins"))
    first_run = runs.groupby(["data", "name"])["run"].transform("min")
    order = runs.assign(first=first_run).sort_values(["first", "seed", "run"])["run"].tolist()
    position = {run: i for i, run in enumerate(order)}
    return Tables(*(
        table.drop(columns="shard").assign(run=table["run"].map(position).astype("int64"))
        .sort_values([*TABLES[name]][: _SORTED_BY[name]], ignore_index=True)
        for name, table in zip(TABLES, (runs, images, counts, bins), strict=True)
    ))  # fmt: skip


def shard_path(path: Path, rank: int, world: int) -> Path:
    """results.sqlite → results.2of4.sqlite for the second of four processes."""
    return path if world == 1 else path.with_name(f"{path.stem}.{rank + 1}of{world}{path.suffix}")


def shards(path: Path) -> list[Path]:
    """The existing files of a store: the one at `path`, and the shards of distributed runs beside it."""
    name = re.compile(re.escape(path.stem) + r"\.\d+of\d+" + re.escape(path.suffix))
    beside = sorted(p for p in path.parent.glob("*") if name.fullmatch(p.name))
    return [p for p in [path, *beside] if p.is_file()]


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the file system as a ValueError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ValueError(f"{path} cannot be a store: {getattr(error, 'strerror', None) or error}") from None


def _connect(path: Path, world: int | None = None) -> sqlite3.Connection:
    """Open a file, with tables if one of `world` processes is to write it; raises sqlite3.Error if it is no store."""
    connection = sqlite3.connect(path.absolute(), timeout=60, isolation_level=None)  # ":memory:" is a file's name here
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and not _is_store(connection):
            raise sqlite3.DatabaseError("it is the database of another program")
        if world == 1:  # a hundredth of the default transaction's time; a power cut cannot damage the file
            _set_journal(connection, "WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        elif world is not None:  # WAL requires that all processes run on one machine
            connection.execute("PRAGMA synchronous=OFF")
        if world is not None and not _is_store(connection):
            connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _set_journal(connection: sqlite3.Connection, mode: str) -> None:
    with suppress(sqlite3.OperationalError):  # another process has the file open: the mode stays
        connection.execute(f"PRAGMA journal_mode={mode}")


def _is_store(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION)


def _query(path: Path, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with _store_errors(path), closing(_connect(path)) as connection:
        return _rows(connection, query, values)


def _rows(connection: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    # A file without tables has just been created by another process.
    return connection.execute(query, values).fetchall() if _is_store(connection) else []


def _frames(connection: sqlite3.Connection, name: str, rows: int = 10_000) -> Iterator[pd.DataFrame]:
    """A table in pieces, first an empty one; read at once, its Python integers would take many times its memory."""
    columns = TABLES[name]
    yield pd.DataFrame([], columns=list(columns)).astype(columns)
    if _is_store(connection):
        cursor = connection.execute(f"SELECT * FROM {name}")
        while piece := cursor.fetchmany(rows):
            yield pd.DataFrame(piece, columns=list(columns)).astype(columns)
