"""The checks of exercises: right answers pass in every form, wrong ones get a hint."""

import numpy as np
import pytest
import torch

from seglab.course import checks

CASES = [(np.array([1, 2, 3]),), (np.array([5, 5]),)]


def test_an_unchanged_stub_is_neither_right_nor_wrong():
    verdict = checks.check(lambda x: ..., checks.equals(sum, CASES))
    assert verdict.passed is None
    assert not verdict
    assert "not yet" in repr(verdict)
    assert checks.check(...).passed is None
    assert "is there a return" in repr(checks.check(lambda x: None, checks.within(0, 1, CASES)))


def test_right_answers_pass_in_any_form():
    for answer in (np.sum, lambda x: float(x.sum()), lambda x: torch.tensor(x).sum()):
        verdict = checks.check(answer, checks.equals(sum, CASES), checks.leaves_alone(CASES))
        assert verdict.passed is True
        assert verdict
        assert repr(verdict).startswith("✓")


def test_values_can_be_checked_too():
    assert checks.check(6, checks.equals(6))
    assert checks.check(7, checks.equals(6)).passed is False
    assert "TypeError" in repr(checks.check(6, checks.equals(sum, CASES)))  # a value where a function is expected


@pytest.mark.parametrize(("answer", "prop", "words"), [
    (lambda x: x.sum() + 1, checks.equals(sum, CASES, hint="Look."), r"should give 6, not 7. Look."),
    (lambda x: x, checks.equals(sum, CASES), "shape"),
    (lambda x: 1 / 0, checks.equals(sum, CASES), "ZeroDivisionError"),
    (lambda x: x[0], checks.same_for(lambda x: (x[::-1],), CASES, "it is reversed"), "When it is reversed.*stay 1"),
    (np.sort, checks.commutes(lambda x: (x[::-1],), lambda y: y[::-1], CASES, "it is reversed"), "in the same way"),
    (lambda x: x, checks.within(0, 2, CASES), "between 0 and 2"),
    (lambda x: x, checks.sums_to(6, CASES), "add up to 10"),
    (lambda x: x * np.nan, checks.sums_to(6, CASES), "add up to nan"),
    (lambda x: x * 2, checks.keeps_labels(CASES), r"\[4, 6\]"),
])  # fmt: skip
def test_wrong_answers_get_a_hint(answer, prop, words):
    verdict = checks.check(answer, prop)
    assert verdict.passed is False
    assert not verdict
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(repr(verdict))


def test_writing_into_an_argument_is_detected():
    def careless(x):
        x += 1
        return x

    assert "work on a copy" in repr(checks.check(careless, checks.leaves_alone([(np.array([1, 2]),)])))


def test_answers_of_any_library_may_write_into_their_arguments():
    def in_place(x):
        x *= 2
        return torch.from_numpy(x)

    flipped = [(np.arange(6)[::-1],)]
    assert checks.check(in_place, checks.equals(lambda x: x * 2, flipped), checks.equals(lambda x: x * 2, flipped))
    assert checks.check(in_place, checks.commutes(lambda x: (x[::-1],), lambda y: y[::-1], flipped, "it is reversed"))


def test_the_hint_for_a_large_answer_names_the_first_difference():
    found = np.zeros((20, 30))
    found[3, 4] = 1
    assert "At [3, 4] there should be 0, not 1" in repr(checks.check(found, checks.equals(np.zeros((20, 30)))))


def test_nan_equals_nan_and_the_first_hint_ends_a_check():
    assert checks.check(lambda: float("nan"), checks.equals(float("nan")))
    called = []
    checks.check(1, checks.equals(2), lambda answer: called.append(1))
    assert not called
