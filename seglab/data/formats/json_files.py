"""JSON files of annotation tools: which of them fit a format, and their contents."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from seglab.data.card import Card
from seglab.data.formats.entries import matches
from seglab.data.formats.objects import Annotated, common_start

Parse = Callable[[Card, Path, Any], Iterable[Annotated]]  # the card, a file, its content

_SAMPLED, _DEPTH = 50, 6  # elements of a list or object that are looked at, and how deep


def keys_of(content: Any, depth: int = _DEPTH) -> frozenset[str]:
    """The keys in the first elements of a JSON value, of all levels: the signature of a format."""
    if depth == 0 or not isinstance(content, dict | list):
        return frozenset()
    parts = islice(content.values() if isinstance(content, dict) else content, _SAMPLED)
    own = frozenset(islice(content, _SAMPLED)) if isinstance(content, dict) else frozenset()
    return own.union(*(keys_of(part, depth - 1) for part in parts if isinstance(part, dict | list)))


@lru_cache(maxsize=1 << 16)
def _keys(path: Path, _changed: int, _size: int) -> frozenset[str]:
    try:
        return keys_of(read_json(path))
    except ValueError:
        return frozenset()


def recognised(folder: Path, keys: Set[str], absent: Set[str] = frozenset()) -> list[Path]:
    """The JSON files below a folder that have all of these keys and none of the absent ones, sorted."""
    files = [path for path, _ in matches(folder, "{id}.json")]
    found = ((path, _keys(path, path.stat().st_mtime_ns, path.stat().st_size)) for path in files)
    return [path for path, present in found if keys <= present and not absent & present]


def read_listed(card: Card, parse: Parse, keys: Set[str], absent: Set[str] = frozenset()) -> list[Annotated]:
    """What the files of the card's `annotations` list; those of another format are left out.

    Raises:
        ValueError: a file is no JSON, lacks something, or none has the keys.
    """
    pattern = card.annotations or "{id}.json"
    listed: list[Annotated] = []
    count = 0
    for path, _ in matches(card.root, pattern):
        content = read_json(path)
        present = keys_of(content)
        if keys <= present and not absent & present:
            count += 1
            with of_format(path, card.format):
                listed += parse(card, path, content)
    if not count:
        raise ValueError(
            f"{card.root}: no file {pattern} has the keys of format {card.format!r} ({', '.join(sorted(keys))});"
            " correct annotations: or format: in the card"
        )
    return listed


def read_json(path: Path) -> Any:
    """The content of a JSON file; a ValueError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: damaged or no JSON ({error}); export it again") from error


@contextmanager
def of_format(path: Path, name: str) -> Iterator[None]:
    """Errors of a reader about missing or wrong values, as one sentence about the file."""
    try:
        yield
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}: not as the format {name!r} has it ({found}); export it again") from error


def pattern_of(root: Path, files: Sequence[Path]) -> str:
    """One pattern for these files; it differs from their paths only between two of the characters "/_-."."""
    names = [path.relative_to(root).as_posix() for path in files]
    if len(names) == 1:
        return names[0]
    start = names[0][: common_start(min(names), max(names))]
    start = start[: max(map(start.rfind, "/_-.")) + 1]
    ends = [name[len(start) :][::-1] for name in names]
    end = ends[0][: common_start(min(ends), max(ends))][::-1]
    end = end[min(i for i in map(end.find, "/_-.") if i >= 0) :]
    middles = [name[len(start) : len(name) - len(end)] for name in names]
    return f"{start}{'{id}' if any('/' in middle for middle in middles) else '*'}{end}"
