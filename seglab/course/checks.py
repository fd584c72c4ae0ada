"""Checks of exercises: properties of a right answer, and hints for a wrong one.

    check(my_iou, equals(reference, cases), same_for(swapped, cases, "the masks are swapped"))

shows ✓, a hint, or "not yet" while the stub still holds `...`. Expected answers are not stored: every solution with the
right properties passes.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

Answer = Callable[..., Any]
Property = Callable[[Answer], str | None]  # a hint, or None where the property holds
Cases = Sequence[tuple[Any, ...]]  # arguments, one tuple per call


@dataclass(frozen=True, repr=False)
class Verdict:
    """The result of a check; it is true only if the answer passed."""

    passed: bool | None  # None while there is no answer yet
    hint: str = ""  # what to correct

    def __bool__(self) -> bool:
        return self.passed is True

    def __repr__(self) -> str:
        if self.passed is None:
            return "… not yet: replace the three dots, run the cell, then run this one again."
        return "✓ Right." if self.passed else f"✗ Not quite. {self.hint}"


class NotYet(Exception):
    """The stub is unchanged."""


def check(answer: Any, *properties: Property) -> Verdict:
    """Test an answer, a function or a value, for each property; the first that does not hold gives the hint."""
    if answer is ...:
        return Verdict(None)
    function = answer if callable(answer) else lambda: answer

    def call(*arguments: Any) -> Any:
        result = function(*arguments)
        if result is ...:
            raise NotYet
        if result is None:
            raise ValueError("the answer is None; is there a return?")
        return result

    for hint_of in properties:
        try:
            hint = hint_of(call)
        except NotYet:
            return Verdict(None)
        except Exception as error:  # any error of a learner's code becomes a hint
            hint = f"It stops with {type(error).__name__}: {error}"
        if hint:
            return Verdict(False, hint)
    return Verdict(True)


def _fresh(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copies that an answer may write into; arrays without negative strides, which torch refuses."""
    return tuple(np.array(a, order="C") if isinstance(a, np.ndarray) else copy(a) for a in case)


def _each(cases: Cases, hint_of: Callable[[Answer, tuple[Any, ...]], str | None]) -> Property:
    """The property that `hint_of` has no hint for any case; its answer takes copies and returns arrays for tensors."""

    def holds(answer: Answer) -> str | None:
        hints = (hint_of(lambda *arguments: _plain(answer(*_fresh(arguments))), case) for case in cases)
        return next((hint.strip() for hint in hints if hint), None)

    return holds


def equals(reference: Any, cases: Cases = ((),), tolerance: float = 1e-6, hint: str = "") -> Property:
    """The answer equals a reference function (or value) in every case; NaN equals NaN."""

    def hint_of(answer: Answer, case: tuple[Any, ...]) -> str | None:
        expected = np.asarray(_plain(reference(*_fresh(case)) if callable(reference) else reference))
        found = np.asarray(answer(*case))
        if found.shape != expected.shape:
            return f"Expected shape {expected.shape}, found {found.shape}."
        wrong = ~np.isclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)
        if not wrong.any():
            return None
        if expected.size <= 12:
            return f"{_arguments(case)} should give {_short(expected)}, not {_short(found)}. {hint}"
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        return f"At {list(index)} there should be {expected[index]:g}, not {found[index]:g}. {hint}"

    return _each(cases, hint_of)


def same_for(transform: Callable[..., tuple[Any, ...]], cases: Cases, what: str, tolerance: float = 1e-6) -> Property:
    """The answer does not change when its arguments are transformed; `what` names that: "both masks are flipped"."""

    def hint_of(answer: Answer, case: tuple[Any, ...]) -> str | None:
        before, after = answer(*case), answer(*transform(*case))
        same = np.allclose(before, after, rtol=0, atol=tolerance, equal_nan=True)
        return None if same else f"When {what}, the answer must stay {_short(before)}; it becomes {_short(after)}."

    return _each(cases, hint_of)


def commutes(before: Callable[..., tuple[Any, ...]], after: Callable[[Any], Any], cases: Cases, what: str) -> Property:
    """Transforming the arguments transforms the answer: a flipped image gives a flipped mask."""

    def hint_of(answer: Answer, case: tuple[Any, ...]) -> str | None:
        same = np.array_equal(answer(*before(*case)), _plain(after(answer(*case))))
        return None if same else f"When {what}, the answer must change in the same way; it does not."

    return _each(cases, hint_of)


def within(low: float, high: float, cases: Cases = ((),), hint: str = "") -> Property:
    """Every value of the answer lies in an interval; NaN is allowed."""

    def hint_of(answer: Answer, case: tuple[Any, ...]) -> str | None:
        values = np.asarray(answer(*case), np.float64)
        found = f"{_arguments(case)} gives {_short(values)}"
        outside = ((values < low) | (values > high)).any()
        return f"Every value must lie between {low:g} and {high:g}; {found}. {hint}" if outside else None

    return _each(cases, hint_of)


def sums_to(total: float, cases: Cases, tolerance: float = 1e-6) -> Property:
    """The values of the answer add up to `total`."""

    def hint_of(answer: Answer, case: tuple[Any, ...]) -> str | None:
        found = float(np.sum(answer(*case)))
        message = f"The values must add up to {total:g}; for {_arguments(case)} they add up to {found:.4g}."
        return None if abs(found - total) <= tolerance else message

    return _each(cases, hint_of)


def keeps_labels(cases: Cases, of: int = 0) -> Property:
    """The answer has no label that is missing in argument number `of`."""

    def hint_of(answer: Answer, case: tuple[Any, ...]) -> str | None:
        new = np.setdiff1d(answer(*case), _plain(case[of]))[:5].tolist()
        return f"There are labels that were not in the mask: {new}. Which interpolation mixes ids?" if new else None

    return _each(cases, hint_of)


def leaves_alone(cases: Cases) -> Property:
    """The answer does not write into its arguments."""

    def holds(answer: Answer) -> str | None:
        for case in cases:
            given = _fresh(case)
            answer(*given)
            pairs = [(np.asarray(_plain(a)), np.asarray(_plain(b))) for a, b in zip(given, case, strict=True)]
            if any(not np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs):
                return "It changes the array it was given; work on a copy."
        return None

    return holds


def _plain(value: Any) -> Any:
    """Tensors as arrays; everything else unchanged."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def _short(value: Any) -> str:
    array = np.asarray(_plain(value))
    if array.ndim == 0:
        return f"{array.item():.4g}" if array.dtype.kind == "f" else str(array.item())
    return np.array2string(array, precision=3, threshold=12, edgeitems=2, separator=", ").replace("\n", "")


def _arguments(case: Iterable[Any]) -> str:
    """The arguments of a call in brackets; "It" for a call without arguments."""
    arguments = ", ".join(_short(a) for a in case)
    return f"({arguments})" if arguments else "It"
