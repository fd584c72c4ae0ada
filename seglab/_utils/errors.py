"""Errors with a remedy: an unknown name, two identities that differ; and how a command prints an error."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for an unknown name: `unknown data set 'camvit'; did you mean 'camvid'? Known: camvid, voc`."""
    names = [str(k) for k in known]
    near = get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The entries in which two identities differ, as `"seed: 0 there, 1 here"`; empty where they are equal."""
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    return "; ".join(f"{key}: {there.get(key)!r} there, {here.get(key)!r} here" for key in keys)


@contextmanager
def plain_errors() -> Iterator[None]:
    """In a command: print a ValueError or OSError as one sentence instead of a traceback, and exit with status 1."""
    import typer

    try:
        yield
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has closed it
        raise
    except (ValueError, OSError) as error:
        typer.echo(f"{typer.style('✗', fg='red')} {error}", err=True)
        raise typer.Exit(1) from None
