"""Bundles: folders with published weights, for machines without a network.

`pack` copies weights from the caches of this machine into a folder. `unpack` copies them from the folder into the
caches of another machine and verifies them. The folder is laid out like the caches, with an index of sizes and hashes.
"""

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from seglab._utils.errors import unknown
from seglab._utils.hashing import sha256_file, sha256_known
from seglab._utils.paths import replacing
from seglab.models.weights import published

INDEX = "index.json"  # MODEL:WEIGHTS → [{"path", "bytes", "sha256"}]


def pack(label: str, folder: str | Path) -> None:
    """Add the published weights MODEL:WEIGHTS to a folder; they are fetched first if they are not in the cache."""
    folder, (spec, name) = Path(folder), published.resolve(label)
    published.state(spec, name)
    index = read_index(folder) if (folder / INDEX).is_file() else {}
    ref = published.repository(spec.weights[name].source) / "refs" / "main"  # names the newest revision
    paths = [*published.files(spec, name), *([ref] if ref.is_file() else [])]
    index[f"{spec.name}:{name}"] = [_pack(path, folder) for path in paths]
    with replacing(folder / INDEX) as file:
        file.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def unpack(folder: str | Path, labels: Iterable[str] = ()) -> list[str]:
    """Copy the weights of a folder that `pack` has filled into the caches of this machine; returns their labels.

    Args:
        labels: MODEL[:WEIGHTS] of some of them; by default all.

    Raises:
        ValueError: the folder was not made by `pack` or does not contain one of these, a file is missing or damaged, or
            it is not the published one, as far as its hash is known here (see `published.is_announced`).
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


def read_index(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The index of a folder that `pack` has filled; a ValueError if it is missing or damaged."""
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(f"{path} is missing; such a folder is made by: seglab fetch MODEL --to {folder}")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        valid = isinstance(index, dict) and all(map(_is_list_of_files, index.values()))
    except (ValueError, RecursionError):
        valid = False
    if not valid:
        raise ValueError(f"{path} is damaged; make the folder again: seglab fetch MODEL --to {folder}")
    return dict(index)


def _is_list_of_files(entries: object) -> bool:
    """Whether an entry of the index is a list of paths with sizes and hashes."""
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("path"), str)
        and re.fullmatch("[0-9a-f]{64}", str(entry.get("sha256"))) and type(entry.get("bytes", 0)) is int
        for entry in entries
    )  # fmt: skip


def _pack(path: Path, folder: Path) -> dict[str, Any]:
    cache, root = next((cache, root) for cache, root in published.cache_roots().items() if path.is_relative_to(root))
    inside = PurePosixPath(cache, *path.relative_to(root).parts)
    return {"path": str(inside), "bytes": path.stat().st_size, "sha256": _copy(path, folder / inside)}


def _unpack(folder: Path, entry: dict[str, Any]) -> None:
    cache, *parts = PurePosixPath(entry["path"]).parts
    if cache not in published.cache_roots() or any(part == ".." or set(part) & set("\\:") for part in parts):
        raise ValueError(f"{folder / INDEX} contains {entry['path']!r}, which leads out of the caches; do not trust it")
    source, target = folder / entry["path"], published.cache_roots()[cache].joinpath(*parts)
    if not source.is_file():
        raise ValueError(f"{source} is missing; make the folder again")
    if source.stat().st_size != entry.get("bytes", source.stat().st_size):
        raise ValueError(f"{source} is damaged: it has another size than {entry['bytes']} bytes; copy it again")
    intact = sha256_known(source) == entry["sha256"]  # else `_copy` calls it damaged
    if intact and not published.is_announced(target, source):
        raise ValueError(
            f"{source} is not the published file: its SHA-256 is {entry['sha256']}, but another one was announced"
            f" for {target.name}; do not trust the folder {folder}"
        )
    _copy(source, target, entry["sha256"])


def _copy(source: Path, target: Path, expected: str | None = None) -> str:
    """Copy a file completely or not at all, and return its SHA-256; a ValueError if that is not the expected one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as unfinished:
        shutil.copyfile(source, unfinished)
        digest = sha256_file(unfinished)
        if expected not in (None, digest):
            unfinished.unlink()
            raise ValueError(f"{source} is damaged: its SHA-256 is {digest}, not {expected}; copy it again")
    return digest
