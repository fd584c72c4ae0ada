"""What stands behind the exercises: properties that a right answer has, and hints for a wrong one.

    check(my_iou, equals(reference, cases), symmetric(cases))

shows ✓, a hint, or "not yet" while the stub still says `...`. No answers are stored: a solution nobody
thought of passes if it has the properties.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any

import numpy as np
from torch import Tensor

Property = Callable[[Callable[..., Any]], str | None]  # a hint, or None where the property holds
Cases = Sequence[tuple[Any, ...]]  # arguments, one tuple a call


class Verdict:
    """What a check found.

    Attributes:
        passed: True, False, or None while there is no answer yet. A verdict is truthy only when passed.
        hints: what to look at, one sentence each.
    """

    def __init__(self, passed: bool | None, hints: Sequence[str] = ()) -> None:
        self.passed = passed
        self.hints = tuple(hints)

    def __bool__(self) -> bool:
        return self.passed is True

    def __repr__(self) -> str:
        if self.passed is None:
            return "… not yet: replace the three dots, run the cell, then run this one again."
        return "✓ Right." if self.passed else "✗ Not quite. " + " ".join(self.hints)


class NotYet(Exception):
    """The stub is untouched."""


def check(answer: Any, *properties: Property) -> Verdict:
    """Try an answer on each property and stop at the first that does not hold.

    Args:
        answer: the function the exercise asks for; or a value, which is then checked as if a function
            without arguments returned it.
    """
    if answer is ...:
        return Verdict(None)
    function = answer if callable(answer) else lambda: answer
    for holds in properties:
        try:
            hint = holds(lambda *a: _call(function, a))
        except NotYet:
            return Verdict(None)
        except Exception as error:  # whatever a learner's code may raise is a hint, not a crash
            hint = f"It stops with {type(error).__name__}: {error}"
        if hint:
            return Verdict(False, [hint])
    return Verdict(True)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    result = function(*arguments)
    if result is ...:
        raise NotYet
    if result is None:
        raise ValueError("nothing comes back; is there a return?")
    return result


def _fresh(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that an answer may write into, and that any library takes (no negative strides)."""
    return tuple(np.array(a, order="C") if isinstance(a, np.ndarray) else copy(a) for a in case)


def equals(reference: Any, cases: Cases = ((),), tolerance: float = 1e-6, hint: str = "") -> Property:
    """The answer agrees with a reference function (or value) on every case; NaN agrees with NaN."""

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            expected = np.asarray(_plain(reference(*_fresh(case)) if callable(reference) else reference))
            found = np.asarray(_plain(answer(*_fresh(case))))
            if found.shape != expected.shape:
                return f"Expected shape {expected.shape}, found {found.shape}."
            wrong = ~np.isclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)
            if wrong.any() and expected.size <= 12:
                return f"{_said(case)} should give {_short(expected)}, not {_short(found)}. {hint}".strip()
            if wrong.any():
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                return f"At {list(at)} there should be {expected[at]:g}, not {found[at]:g}. {hint}".strip()
        return None

    return holds


def same_for(transform: Callable[..., tuple[Any, ...]], cases: Cases, what: str, tolerance: float = 1e-6) -> Property:
    """The answer does not change when its arguments are transformed: flipped, renamed, with void added.

    Args:
        transform: arguments → transformed arguments.
        what: what was done to them, for the hint: "both masks are flipped".
    """

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            before, after = answer(*_fresh(case)), answer(*_fresh(transform(*case)))
            if not np.allclose(_plain(before), _plain(after), rtol=0, atol=tolerance, equal_nan=True):
                return f"When {what}, the answer must stay {_short(before)}; it becomes {_short(after)}."
        return None

    return holds


def commutes(before: Callable[..., tuple[Any, ...]], after: Callable[[Any], Any], cases: Cases, what: str) -> Property:
    """Transforming the arguments transforms the answer: a flipped image gives a flipped mask."""

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            one, other = answer(*_fresh(before(*case))), after(_plain(answer(*_fresh(case))))
            if not np.array_equal(_plain(one), _plain(other)):
                return f"When {what}, the answer must change in the same way; it does not."
        return None

    return holds


def within(low: float, high: float, cases: Cases = ((),), hint: str = "") -> Property:
    """Every value of the answer lies in an interval (NaN is allowed)."""

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            values = np.asarray(_plain(answer(*_fresh(case))), np.float64)
            if ((values < low) | (values > high)).any():
                found = f"{_said(case)} gives {_short(values)}"
                return f"Every value must lie between {low:g} and {high:g}; {found}. {hint}".strip()
        return None

    return holds


def sums_to(total: float, cases: Cases, tolerance: float = 1e-6) -> Property:
    """The values of the answer add up to this."""

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            found = float(np.sum(_plain(answer(*_fresh(case)))))
            if abs(found - total) > tolerance:
                return f"The values must add up to {total:g}; for {_said(case)} they add up to {found:.4g}."
        return None

    return holds


def keeps_labels(cases: Cases, of: int = 0) -> Property:
    """The answer has no label that its argument number `of` did not have: nothing was invented."""

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            invented = set(np.unique(_plain(answer(*_fresh(case)))).tolist()) - set(
                np.unique(_plain(case[of])).tolist()
            )
            if invented:
                some = sorted(invented)[:5]
                return f"There are labels that were not in the mask: {some}. Which interpolation mixes ids?"
        return None

    return holds


def leaves_alone(cases: Cases) -> Property:
    """The answer does not write into its arguments."""

    def holds(answer: Callable[..., Any]) -> str | None:
        for case in cases:
            given = _fresh(case)
            answer(*given)
            pairs = [(np.asarray(_plain(a)), np.asarray(_plain(b))) for a, b in zip(given, case, strict=True)]
            if any(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs):
                return "It changes the array it was given; work on a copy."
        return None

    return holds


def _plain(value: Any) -> Any:
    """Tensors as arrays; everything else as it is."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def _short(value: Any) -> str:
    array = np.asarray(_plain(value))
    if array.ndim == 0:
        return f"{array.item():.4g}" if array.dtype.kind == "f" else str(array.item())
    return np.array2string(array, precision=3, threshold=12, edgeitems=2, separator=", ").replace("\n", "")


def _said(case: Iterable[Any]) -> str:
    arguments = ", ".join(_short(a) for a in case)
    return f"({arguments})" if arguments else "It"
