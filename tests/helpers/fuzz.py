"""Damaged files and values for tests that read thousands of them.

`SEGLAB_FUZZ=10000` sets how many images, masks and cards; by default 300.
"""

import os
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

COUNT = int(os.environ.get("SEGLAB_FUZZ", 300))
SECONDS = 20  # of processor time for one small file: far more than any takes, far less than a hang


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Flipped bits, other bytes, extreme lengths, pieces left out, repeated or of other files, and an early end."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) or 1) if rng.random() < 0.5 else rng.randrange(min(len(data), 80) or 1)
        match rng.randrange(7):
            case 0 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                data[place : place + 1] = rng.randbytes(1)
            case 2:
                extreme = rng.choice((0, 1, 0x7F, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.getrandbits(32)))
                data[place : place + 4] = struct.pack(rng.choice("<>") + "I", extreme)
            case 3:
                del data[place : place + rng.randrange(1, 40)]
            case 4:
                data[place:place] = data[rng.randrange(len(data) or 1) :][: rng.randrange(1, 200)]
            case 5:
                data[place : place + 8] = rng.choice(
                    (b"\0" * 8, b"\xff" * 8, b"%!PS-Ado", b"<script>", b"II*\0\x08\0\0\0")
                )
            case 6 if rng.random() < 0.3:
                del data[place:]
    return bytes(data)


def changed(value: object, rng: random.Random) -> object:
    """A value of JSON with one part of it replaced, removed or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        rest = {k: v for k, v in value.items() if k != key}
        return rest if rng.random() < 0.15 else value | {key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.6:
        place = rng.randrange(len(value))
        return [*value[:place], changed(value[place], rng), *value[place + 1 :]]
    strange = (None, True, -1, 0, 10**30, 1e308, float("nan"), "", "a", "\x1b[2J", "</style><script>", "x" * 10_000,
               "\ud800", [], [[]], {}, {"a": 1}, [value], {"x": value}, str(value))  # fmt: skip
    return rng.choice(strange)


def hold(content: bytes, path: Path, read: Callable[[Path], object]) -> str:
    """How a file ended: "read" or "refused"; anything else than a sentence fails the test."""
    path.write_bytes(content)
    start = time.process_time()
    try:
        read(path)
        outcome = "read"
    except (ValueError, OSError) as error:
        assert len(str(error)) > 15, repr(error)
        assert type(error) is ValueError or isinstance(error, OSError), repr(error)  # no UnicodeError, for example
        outcome = "refused"
    assert time.process_time() - start < SECONDS
    return outcome
