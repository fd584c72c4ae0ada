"""Sentences for what goes wrong in several rooms: a name that nobody knows, two things that should be one."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error to raise when `name` is not among `known` things of this `kind`.

    >>> raise unknown("data set", "camvit", ["camvid", "voc"])
    Traceback (most recent call last):
    ValueError: unknown data set 'camvit'; did you mean 'camvid'? Known: camvid, voc
    """
    names = [str(k) for k in known]
    near = get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What differs between two identities, in words; empty where nothing does.

    >>> differences({"seed": 0, "epochs": 5}, {"seed": 1, "epochs": 5})
    'seed: 0 there, 1 here'
    """
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    return "; ".join(f"{key}: {there.get(key)!r} there, {here.get(key)!r} here" for key in keys)
