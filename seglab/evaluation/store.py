"""The store: counts of every run on every image, in SQLite.

    runs     one row per run: model name, training seed, data set, identity of the measurement, further facts
    images   one row per finished image: its id, its group, and the time from image to mask
    counts   run, image, target, pred → pixels; void pixels have target 255; each side in its own class set
    bins     run, image, kind, bin → three integers (`metrics.boundary_counts`, `metrics.calibration_counts`)
    sums     run, image → a sum by which damage is noticed, see `evaluation.sums`

Each image is one transaction: a process that is killed loses at most the images in progress. The processes of a
distributed run do not communicate: each writes its own file (shard) beside `path`, and `reading.read` merges them.
A store that no process has open is one plain file (or one per shard), which can be copied and read anywhere, also
after a process was killed. Only one that was killed within a transaction leaves a journal beside it (NAME-journal),
with which the next process that opens the store takes the unfinished transaction back.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from seglab._utils.errors import differences
from seglab.evaluation.files import close, connect, query, rows, shard_path, shards, store_errors
from seglab.evaluation.sums import RUN, sum_of_image, text_hash

TABLES = ("runs", "images", "counts", "bins", "sums")
# Identity fields that all runs on one data set have in common; otherwise a table would compare different things.
SHARED = ("fingerprint", "order", "images", "groups", "target classes", "scored at", "test-time augmentation")
_KEY = "name = ? AND seed IS ? AND data = ?"
Rows = Iterable[Sequence[Any]]
ImageRow = tuple[str, str, int | None]  # id, group, microseconds from image to mask


class Store(AbstractContextManager["Store"]):
    """The file that one process writes, a context manager; raises ValueError if it is no store or cannot be written.

    A missing file is created. Of several processes (`world`), each writes `shard_path(path, rank, world)`.
    """

    def __init__(self, path: str | Path, rank: int = 0, world: int = 1) -> None:
        self.path, self.own = Path(path), shard_path(Path(path), rank, world)
        with store_errors(self.own):
            self.own.parent.mkdir(parents=True, exist_ok=True)
            self.connection = connect(self.own, write=True)

    def __exit__(self, *error: object) -> None:
        close(self.connection)

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
            find = f"SELECT run FROM runs WHERE {_KEY}"
            if not connection.execute(find, key).fetchone():
                row = (*key, json.dumps(identity), json.dumps(facts))
                connection.execute("INSERT INTO runs (name, seed, data, identity, facts) VALUES (?, ?, ?, ?, ?)", row)
                number = connection.execute(find, key).fetchone()[0]
                connection.execute("REPLACE INTO sums VALUES (?, ?, ?)", (number, RUN, text_hash(*row)))
            return int(connection.execute(find, key).fetchone()[0])

    def identity(self, name: str, seed: int | None, data: str) -> dict[str, Any] | None:
        """The identity of a run that any process has started; None where there is none."""
        find = f"SELECT identity FROM runs WHERE {_KEY}"
        texts = [text for path in shards(self.path) for (text,) in query(path, find, (name, seed, data))]
        return json.loads(texts[0]) if texts else None

    def done(self, name: str, seed: int | None, data: str) -> set[int]:
        """Indices of the images of a run that any process has finished."""
        find = f"SELECT image FROM images JOIN runs USING (run) WHERE {_KEY}"
        return {image for path in shards(self.path) for (image,) in query(path, find, (name, seed, data))}

    def add(self, run: int, image: int, image_row: ImageRow, counts: Rows, bins: Rows) -> None:
        """Write an image in one transaction: `counts` are rows (target, pred, pixels), `bins` (kind, bin, a, b, c)."""
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM images WHERE run = ? AND image = ?", (run, image)).fetchone():
                return  # another process on the same store has finished it first
            connection.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?)", (run, image, *image_row))
            counts, bins = list(counts), list(bins)
            connection.executemany(f"INSERT INTO counts VALUES ({run}, {image}, ?, ?, ?)", counts)
            connection.executemany(f"INSERT INTO bins VALUES ({run}, {image}, ?, ?, ?, ?, ?)", bins)
            total = sum_of_image(image_row, counts, bins)
            connection.execute("REPLACE INTO sums VALUES (?, ?, ?)", (run, image, total))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with store_errors(self.own), self.connection:  # commits, or rolls back
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection


def _compare(path: Path, key: tuple[str, int | None, str], identity: Mapping[str, Any]) -> None:
    """Raise ValueError if a file holds a measurement that differs from this one or cannot be compared with it."""
    name, seed, data = key
    for other, other_seed, text in query(path, "SELECT name, seed, identity FROM runs WHERE data = ?", (data,)):
        stored, same = json.loads(text), (other, other_seed) == (name, seed)
        if differing := differences(*(i if same else {k: i.get(k) for k in SHARED} for i in (stored, identity))):
            raise ValueError(
                f"{path} holds {'another measurement of ' * same}{other!r} on {data} that cannot be compared with"
                f" this one ({differing}); {'give this one another name, or ' * same}use another store"
            )


def forget(path: str | Path, name: str, data: str | None = None, seed: int | None = None) -> None:
    """Remove the runs of a name, of one or all data sets and training seeds; no error if there are none."""
    given = {key: value for key, value in {"name": name, "data": data, "seed": seed}.items() if value is not None}
    find = f"SELECT run FROM runs WHERE {' AND '.join(f'{column} = ?' for column in given)}"
    for shard in shards(Path(path)):
        with store_errors(shard), closing(connect(shard, write=True)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for run in rows(connection, find, tuple(given.values())):
                for table in TABLES:
                    connection.execute(f"DELETE FROM {table} WHERE run = ?", run)
