"""Errors with a remedy: an unknown name, an impossible size, two identities that differ; how a command prints one."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from seglab._utils.text import echo


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for an unknown name: `unknown data set 'camvit'; did you mean 'camvid'? Known: camvid, voc`."""
    names = [str(k) for k in known]
    near = get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")


def checked_size(size: Any, name: str = "size") -> tuple[int, int]:
    """(H, W) as two whole numbers of at least 1 from any sequence of two; a ValueError for anything else."""
    try:
        height, width = map(operator.index, size)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise ValueError(f"{name}={size!r}; expected a height and a width in whole pixels, such as (480, 640)")
    return height, width


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """The entries in which two mappings differ, as `"seed: 0 instead of 1"`; empty where they are equal."""
    keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
    return "; ".join(f"{key}: {found.get(key)!r} instead of {expected.get(key)!r}" for key in keys)


@contextmanager
def plain_errors() -> Iterator[None]:
    """In a command: print a ValueError or OSError as one sentence instead of a traceback, and exit with status 1."""
    import typer

    try:
        yield
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has closed it
        raise
    except (ValueError, OSError) as error:
        echo(str(error), "✗", "red", err=True)
        raise typer.Exit(1) from None
