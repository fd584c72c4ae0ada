"""Published weights, carried to machines without a network: a classroom, a train.

`pack` copies them from the caches of this machine into a folder, and `unpack` from the folder into the caches of
another one, verified. The folder is laid out as the caches are, with an index of sizes and hashes beside.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from seglab._utils.errors import unknown
from seglab._utils.hashing import sha256_file
from seglab._utils.paths import replacing
from seglab.models.weights import published

INDEX = "index.json"  # MODEL:WEIGHTS → [{"path", "bytes", "sha256"}]
Index = dict[str, list[dict[str, Any]]]


def pack(label: str, folder: str | Path) -> None:
    """Copy published weights into a folder, after they were fetched if they are not here. What it held stays.

    Args:
        label: MODEL:WEIGHTS.
    """
    folder, (spec, name) = Path(folder), published.resolve(label)
    published.state(spec, name)
    index = read_index(folder) if (folder / INDEX).is_file() else {}
    ref = published.repository(spec.weights[name].source) / "refs" / "main"  # which version is the newest
    paths = [*published.files(spec, name), *([ref] if ref.is_file() else [])]
    index[f"{spec.name}:{name}"] = [_pack(path, folder) for path in paths]
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def unpack(folder: str | Path, labels: Iterable[str] = ()) -> list[str]:
    """Put the weights of a folder that `pack` has filled into the caches of this machine.

    Args:
        labels: only these; by default all that it holds.

    Returns:
        MODEL:WEIGHTS of each.

    Raises:
        ValueError: it is no such folder, does not hold one of these, or a file is missing or damaged.
    """
    folder = Path(folder)
    index = read_index(folder)
    chosen = [f"{spec.name}:{name}" for spec, name in map(published.resolve, labels or index)]
    for label in chosen:
        if label not in index:
            raise unknown(f"weights in {folder}:", label, index)
        for entry in index[label]:
            _unpack(folder, entry)
    return chosen


def read_index(folder: Path) -> Index:
    """What a folder holds."""
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(f"{path} is missing; such a folder is made by: seglab fetch MODEL --to {folder}")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        sound = all({"path", "sha256"} <= entry.keys() for entries in index.values() for entry in entries)
    except (ValueError, AttributeError, TypeError):
        sound = False
    if not sound:
        raise ValueError(f"{path} is damaged; make the folder again: seglab fetch MODEL --to {folder}")
    return dict(index)


def _pack(path: Path, folder: Path) -> dict[str, Any]:
    kind = next(kind for kind, root in published.cache_roots().items() if path.is_relative_to(root))
    inside = PurePosixPath(kind, *path.relative_to(published.cache_roots()[kind]).parts)
    return {"path": str(inside), "bytes": path.stat().st_size, "sha256": _copy(path, folder / inside)}


def _unpack(folder: Path, entry: dict[str, Any]) -> None:
    kind, *parts = PurePosixPath(entry["path"]).parts
    if kind not in published.cache_roots() or any(part == ".." or set(part) & set("\\:") for part in parts):
        raise ValueError(f"{folder / INDEX} names {entry['path']!r}, which leads out of the caches; do not trust it")
    source = folder / entry["path"]
    if not source.is_file():
        raise ValueError(f"{source} is missing; make the folder again")
    _copy(source, published.cache_roots()[kind].joinpath(*parts), entry["sha256"])


def _copy(source: Path, target: Path, expected: str | None = None) -> str:
    """Copy a file, complete and verified or not at all. Returns its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as unfinished:
        shutil.copyfile(source, unfinished)
        digest = sha256_file(unfinished)
        if expected not in (None, digest):
            unfinished.unlink()
            raise ValueError(f"{source} is damaged: its SHA-256 is {digest}, not {expected}; copy it again")
    return digest
