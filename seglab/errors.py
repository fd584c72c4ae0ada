"""One sentence for a name that nobody knows: what was asked for, what comes nearest, what there is."""

from collections.abc import Iterable
from difflib import get_close_matches


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
