"""The SQLite files of a store: their tables, how they are opened, and which files belong together.

A transaction is written into the file itself before it ends, so that a killed process leaves one plain file, complete
up to the last finished image. SQLite does not wait for the disk (`synchronous=OFF`): that takes 25 times as long for
each image. A power cut can therefore damage the file; reading it verifies the sums of each image and reports this.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

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
CREATE TABLE IF NOT EXISTS sums (run INTEGER NOT NULL, image INTEGER NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (run, image)) WITHOUT ROWID;
COMMIT;
"""


def shard_path(path: Path, rank: int, world: int) -> Path:
    """results.sqlite → results.2of4.sqlite for the second of four processes."""
    return path if world == 1 else path.with_name(f"{path.stem}.{rank + 1}of{world}{path.suffix}")


def shards(path: Path) -> list[Path]:
    """The existing files of a store: the one at `path`, and the shards of distributed runs beside it."""
    name = re.compile(re.escape(path.stem) + r"\.\d+of\d+" + re.escape(path.suffix))
    beside = sorted(p for p in path.parent.glob("*") if name.fullmatch(p.name))
    return [p for p in [path, *beside] if p.is_file()]


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the file system as a ValueError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ValueError(f"{path} cannot be a store: {getattr(error, 'strerror', None) or error}") from None


def connect(path: Path, write: bool = False) -> sqlite3.Connection:
    """Open a file, with its tables if it is to be written; raises sqlite3.Error if it is no store."""
    connection = sqlite3.connect(path.absolute(), timeout=60, isolation_level=None)  # ":memory:" is a file's name here
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and not is_store(connection):
            raise sqlite3.DatabaseError("it is the database of another program")
        if write:
            with suppress(sqlite3.OperationalError):  # another process reads a store of an earlier version
                connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=OFF")
            if not has_sums(connection):
                connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def close(connection: sqlite3.Connection) -> None:
    """Close a file that was written, after its last bytes have reached the disk."""
    if connection.total_changes:
        with suppress(sqlite3.Error):  # the disk is full, or another process writes: nothing is lost by this
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA user_version=1")  # a transaction, after which SQLite waits for the disk
    connection.close()


def is_store(connection: sqlite3.Connection) -> bool:
    """Whether the file has the tables of a store; False for one that another process has just created."""
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION)


def has_sums(connection: sqlite3.Connection) -> bool:
    """Whether the file has a table of sums; stores of earlier versions have none."""
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'sums'"
    return is_store(connection) and connection.execute(query).fetchone() == (1,)


def query(path: Path, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The rows of a query, from one file."""
    with store_errors(path), closing(connect(path)) as connection:
        return rows(connection, query, values)


def rows(connection: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query; none from a file that has no tables yet."""
    return connection.execute(query, values).fetchall() if is_store(connection) else []
