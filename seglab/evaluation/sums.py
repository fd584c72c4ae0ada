"""Sums of a store: 64 bits for each run and each image, by which damage to a file is noticed when it is read.

The sum of an image is that of the hashes of its rows, modulo 2⁶⁴, so that rows are summed in any order and all at once.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
RUN = -1  # stands for the index of an image in the sum of a run


def mixed(values: NDArray[np.int64]) -> Hashes:
    """Hash of each integer, the finalizer of SplitMix64 (Steele, Lea & Flood 2014): (N,) → (N,)."""
    x = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def hash_rows(*columns: NDArray[np.int64]) -> Hashes:
    """Hash of each row of integers, given as columns (N,): the hash of the last one depends on those before it."""
    hashes = mixed(columns[0])
    for column in columns[1:]:
        hashes = mixed(hashes.view(np.int64) ^ mixed(column).view(np.int64))
    return hashes


def text_hash(*values: Any) -> int:
    """Hash of texts, numbers and None: 64 bits as a signed integer."""
    digest = hashlib.blake2b(repr(values).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def sum_of_image(row: Sequence[Any], counts: Iterable[Sequence[int]], bins: Iterable[Sequence[Any]]) -> int:
    """The sum of an image: of its row (id, group, microseconds), counts (target, pred, pixels) and bins."""
    of_counts = np.array([packed(*values) for values in counts], np.int64)
    of_bins = np.array([(text_hash(kind), *values) for kind, *values in bins], np.int64).reshape(-1, 5)
    hashes = [np.array([text_hash(*row)], np.int64).view(np.uint64), mixed(of_counts), hash_rows(*of_bins.T)]
    return int(np.concatenate(hashes).sum(dtype=np.uint64).astype(np.int64))


def packed(target: Any, pred: Any, pixels: Any) -> Any:
    """A row of counts as one integer: labels are below 2⁸, pixels below 2⁴⁷."""
    return (pixels << 16) | (target << 8) | pred
