"""Reading a store: the tables of all its files, after a check that no file is damaged.

SQLite joins the rows of an image into one text, which NumPy parses: with millions of rows this takes a tenth of the
time that Python takes for one object per number.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab._utils.errors import differences
from seglab.evaluation.files import connect, has_sums, rows, shards, store_errors
from seglab.evaluation.sums import RUN, hash_rows, mixed, text_hash

Integers = NDArray[np.int64]
# column → dtype; values of an "Int64" column may be missing
RUNS = {"run": "int64", "name": "str", "seed": "Int64", "data": "str", "identity": "str", "facts": "str"}
IMAGES = {"run": "int64", "image": "int64", "id": "str", "group": "str", "microseconds": "Int64"}
MOST = 2**47 - 1  # pixels in a row of `sums.packed`
IMPOSSIBLE = f"pixels NOT BETWEEN 0 AND {MOST} OR (target | pred) NOT BETWEEN 0 AND 255"


@dataclass(frozen=True)
class Tables:
    """The tables of a store, of all its files, with runs renumbered from 0; all numbers are int64.

    Models are in the order in which they were first measured, and the runs of each model in the order of their seeds.
    """

    runs: pd.DataFrame  # run, name, seed, data, identity, facts
    images: pd.DataFrame  # run, image, id, group, microseconds
    counts: pd.DataFrame  # run, image, target, pred, pixels
    bins: pd.DataFrame  # run, image, kind, bin, a, b, c


@dataclass(frozen=True)
class _Rows:
    """Rows of integers in a file; those of one key are consecutive."""

    keys: pd.DataFrame  # run, image, for bins also kind; length: the number of rows
    integers: Integers  # (rows, columns); of counts one column, see `sums.packed`

    @property
    def starts(self) -> Integers:
        """The first row of each key."""
        return np.asarray(self.keys["length"].cumsum() - self.keys["length"])


@dataclass(frozen=True)
class _File:
    path: Path
    runs: pd.DataFrame
    images: pd.DataFrame
    counts: _Rows
    bins: _Rows


def read(path: str | Path) -> Tables:
    """Read and merge the files of a store.

    Raises ValueError if there is none, if a file is no store or is damaged, or if two hold different measurements of
    one name.
    """
    paths = shards(Path(path))
    if not paths:
        raise ValueError(f"there is no store {str(path)!r}; `seglab evaluate` makes one")
    files = [_read_file(each) for each in paths]
    numbers = _numbers(files)
    images = _merged([file.images for file in files], numbers).drop_duplicates(["run", "image"])  # in several shards
    kept = images[["run", "image", "shard"]]
    counts, (packed,) = _expanded([file.counts for file in files], numbers, kept)
    bins, (bin_, a, b, c) = _expanded([file.bins for file in files], numbers, kept)
    runs = _merged([file.runs for file in files], numbers).drop_duplicates("run")
    return Tables(
        runs.drop(columns="shard").sort_values("run", ignore_index=True),
        images.drop(columns="shard").sort_values(["run", "image"], ignore_index=True),
        _frame(counts | {"target": (packed >> 8) & 255, "pred": packed & 255, "pixels": packed >> 16}),
        _frame(bins | {"bin": bin_, "a": a, "b": b, "c": c}),
    )


def _read_file(path: Path) -> _File:
    """The tables of one file; ValueError if it is damaged."""
    with store_errors(path), closing(connect(path)) as connection:
        connection.execute("BEGIN")  # all tables at one moment
        try:
            return _checked(path, connection)
        except (ValueError, TypeError, OverflowError):  # also a number that is a text in the damaged file
            raise ValueError(
                f"{path} is damaged: its counts are not those that were written; restore a copy of it, or remove it and"
                " evaluate again"
            ) from None


def _checked(path: Path, connection: Connection) -> _File:
    """The tables of one file; an error if they are not those that were written."""
    runs, images = (rows(connection, f"SELECT * FROM {table}") for table in ("runs", "images"))
    counts = _read_rows(connection, "counts", ["run", "image"], "(pixels << 16) | (target << 8) | pred", 1)
    bins = _read_rows(connection, "bins", ["run", "image", "kind"], "printf('%d,%d,%d,%d', bin, a, b, c)", 4)
    sums = rows(connection, "SELECT * FROM sums") if has_sums(connection) else []
    if len(sums) < len(runs) + len(images) and rows(connection, f"SELECT 1 FROM counts WHERE {IMPOSSIBLE} LIMIT 1"):
        raise ValueError("an earlier version, without sums, cannot have written these counts")
    if (bins.integers < 0).any() or not _sums_agree(sums, runs, images, counts, bins):
        raise ValueError("other counts than were written")
    return _File(path, _typed(runs, RUNS), _typed(images, IMAGES), counts, bins)


def _typed(values: list[Any], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(values, columns=list(columns)).astype(columns)


def _read_rows(connection: Connection, table: str, key: Sequence[str], values: str, width: int) -> _Rows:
    """A table of integers: `values` is SQL for `width` integers of a row, joined by commas."""
    columns = ", ".join(key)
    found = rows(connection, f"SELECT {columns}, count(*), group_concat({values}) FROM {table} GROUP BY {columns}")
    keys = pd.DataFrame([row[:-1] for row in found], columns=[*key, "length"])
    keys = keys.astype({name: "str" if name == "kind" else "int64" for name in keys})
    parsed = [np.fromstring(row[-1] or "", np.int64, sep=",") for row in found]
    if [len(each) for each in parsed] != (keys["length"] * width).tolist():
        raise ValueError(f"rows of {table} are no integers")
    return _Rows(keys, np.concatenate([np.empty(0, np.int64), *parsed]).reshape(-1, width))


def _sums_agree(sums: list[Any], runs: list[Any], images: list[Any], counts: _Rows, bins: _Rows) -> bool:
    """Whether rows belong to listed images and runs, and have the sums that were stored; old stores have no sums."""
    position = {(run, image): i for i, (run, image, *_) in enumerate(images)}
    totals = np.array([text_hash(*row) for _, _, *row in images], np.int64).view(np.uint64)
    kinds = np.repeat(bins.keys["kind"].map(text_hash).to_numpy(np.int64), bins.keys["length"])
    for part, hashes in ((counts, mixed(counts.integers[:, 0])), (bins, hash_rows(kinds, *bins.integers.T))):
        index = [position.get(key, -1) for key in zip(part.keys["run"], part.keys["image"], strict=True)]
        if -1 in index:
            return False
        if index:
            np.add.at(totals, index, np.add.reduceat(hashes, part.starts))
    found = {(run, RUN): text_hash(*row) for run, *row in runs}
    if any((run, RUN) not in found for run, _ in position):
        return False
    found |= dict(zip(position, totals.view(np.int64).tolist(), strict=True))
    return all(found.get((run, image)) == total for run, image, total in sums)


def _numbers(files: Sequence[_File]) -> list[dict[int, int]]:
    """For each file, number of a run in it → its number in the tables; ValueError if two files contradict."""
    known: dict[tuple[Any, ...], tuple[int, Any, Path]] = {}  # name, seed, data → number, identity, first file
    numbers: list[dict[int, int]] = [{} for _ in files]
    for file, of_file in zip(files, numbers, strict=True):
        for run, name, seed, data, text in file.runs.drop(columns="facts").itertuples(index=False, name=None):
            key, identity = (name, None if pd.isna(seed) else seed, data), json.loads(text)
            of_file[run], other, first = known.setdefault(key, (len(known), identity, file.path))
            if differing := differences(other, identity):
                raise ValueError(
                    f"{first} and {file.path} hold different measurements of {name!r} on {data} ({differing})"
                )
    runs = pd.DataFrame([*known], columns=["name", "seed", "data"]).astype({"seed": "Int64"}).reset_index(names="run")
    runs["first"] = runs.groupby(["data", "name"])["run"].transform("min")
    order = runs.sort_values(["first", "seed", "run"])["run"].tolist()
    position = {run: i for i, run in enumerate(order)}
    return [{run: position[number] for run, number in of_file.items()} for of_file in numbers]


def _merged(tables: Sequence[pd.DataFrame], numbers: Sequence[dict[int, int]]) -> pd.DataFrame:
    """A table of all files, with the new numbers of runs and the index of the file, `shard`."""
    renumbered = [table.assign(run=table["run"].map(numbers[i]).astype("int64"), shard=i)
                  for i, table in enumerate(tables)]  # fmt: skip
    return pd.concat(renumbered, ignore_index=True)


def _expanded(
    parts: Sequence[_Rows], numbers: Sequence[dict[int, int]], kept: pd.DataFrame
) -> tuple[dict[str, Any], Sequence[Integers]]:
    """One row for each row of integers: its key, and the columns of its integers; sorted, only of the kept images."""
    keys = _merged([part.keys for part in parts], numbers)
    names = keys.columns.drop(["length", "shard"]).tolist()
    keys = keys.assign(start=keys["length"].cumsum() - keys["length"]).merge(kept).sort_values(names)
    start, length = keys["start"].to_numpy(), keys["length"].to_numpy()
    index = np.repeat(start - (length.cumsum() - length), length) + np.arange(length.sum())
    table = {name: np.repeat(keys[name].to_numpy(), length) for name in names}
    return table, [column[index] for column in np.concatenate([part.integers for part in parts]).T]


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    """A table of these arrays, which are not copied."""
    return pd.DataFrame(columns, copy=False)
