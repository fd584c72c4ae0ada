"""The bootstrap: identical draws on every machine, scipy's result, and the coverage of the intervals."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seglab.metrics.bootstrap import Estimate, draws, intervals, resampled_iou
from seglab.metrics.measures import iou


def estimate(seeds, resampled, groups=1000):
    """An estimate of one model, from its value for each training seed and in each resample."""
    return Estimate((np.asarray(seeds, float),), np.asarray(resampled, float), groups)


def normal(size, seed=0):
    """Standard normal quantiles in random order: almost exactly normal."""
    quantiles = stats.norm.ppf((np.arange(size) + 0.5) / size)
    return np.random.default_rng(seed).permutation(quantiles)


def test_draws_are_the_same_on_every_machine():
    assert draws(4, 3, seed=1).tolist() == [[0, 1, 1, 1], [1, 1, 1, 0], [1, 0, 2, 0]]
    digest = hashlib.sha256(draws(97, 200, seed=5).astype(np.uint8).tobytes()).hexdigest()
    assert digest[:16] == "9c7be85ce46b3f04"


@settings(max_examples=50)
@given(st.integers(2, 60), st.integers(1, 40), st.integers(0, 2**40))
def test_a_resample_draws_one_group_fewer_than_there_are(count, resamples, seed):
    drawn = draws(count, resamples, seed)
    assert drawn.shape == (resamples, count)
    assert (drawn.sum(axis=1) == count - 1).all()
    assert (drawn == draws(count, resamples, seed)).all()


def test_all_groups_are_drawn_equally_often():
    totals = draws(10, 9000, seed=3).sum(axis=0)
    assert stats.chisquare(totals).pvalue > 0.01
    assert (draws(10, 100, seed=3) != draws(10, 100, seed=4)).any()


@pytest.mark.parametrize(("count", "resamples"), [(1, 10), (0, 10), (5, 0)])
def test_fewer_than_two_groups_or_no_resample_raise(count, resamples):
    with pytest.raises(ValueError, match="one or more, of at least two groups"):
        draws(count, resamples)


def test_a_resample_sums_counts_before_it_divides():
    # true positives, target pixels, predicted pixels of one class in three images
    parts = np.array([[[1, 2, 1]], [[4, 4, 6]], [[0, 3, 0]]])
    weights = np.array([[1.0, 1, 0], [0, 0, 2], [2, 0, 0]])
    assert resampled_iou(parts, weights)[:, 0] == pytest.approx([5 / 8, 0, 1 / 2])
    assert iou(parts.sum(0)) == pytest.approx([5 / 11])


def test_a_class_absent_from_a_resample_keeps_its_value():
    parts = np.array([[[3, 4, 4], [2, 4, 3]], [[1, 2, 2], [0, 0, 0]]])
    assert resampled_iou(parts, np.array([[0.0, 1.0]])) == pytest.approx(np.array([[1 / 3, 2 / 5]]))
    absent = np.zeros((2, 1, 3), int)
    assert np.isnan(resampled_iou(absent, np.array([[1.0, 0.0]]))).all()


def test_weights_of_one_give_the_iou_of_the_data_set_for_all_models_at_once():
    rng = np.random.default_rng(0)
    correct = rng.integers(0, 50, (2, 3, 8, 5))
    target, predicted = (correct + rng.integers(0, 50, correct.shape) for _ in range(2))
    parts = np.stack([correct, target, predicted], axis=-1)
    whole = resampled_iou(parts, np.ones((1, 8)))
    assert whole.shape == (2, 3, 1, 5)
    np.testing.assert_array_equal(whole[..., 0, :], iou(parts.sum(axis=2)))


def test_sums_are_exact():
    """Two images of 2⁵² pixels less one: a float32 anywhere would lose it."""
    large = 2**52 - 1
    parts = np.array([[[large, large, large]], [[0, 1, 0]]])
    assert resampled_iou(parts, np.array([[1.0, 1.0]]))[0, 0] == large / (large + 1) < 1


def test_the_spread_of_a_ratio_agrees_with_scipy():
    rng = np.random.default_rng(7)
    union = rng.integers(50, 400, 80)
    correct = rng.binomial(union, rng.beta(6, 3, 80))
    parts = np.stack([correct, union, correct], axis=-1)[:, None]  # no false positives, so the union is the target
    ours = resampled_iou(parts, draws(80, 20_000))[:, 0]
    theirs = stats.bootstrap(
        (correct, union), lambda h, u, axis=-1: h.sum(axis) / u.sum(axis), paired=True, vectorized=True,
        n_resamples=20_000, method="basic", rng=rng,
    )  # fmt: skip
    assert ours.std(ddof=1) * np.sqrt(79 / 80) == pytest.approx(theirs.standard_error, rel=0.02)
    (low,), (high,) = intervals([estimate([correct.sum() / union.sum()], ours, 80)])
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)


def test_a_difference_of_estimates_is_paired():
    better, worse = estimate([0.6, 0.7], [0.6, 0.7, 0.9], 9), estimate([0.5], [0.5, 0.8, 0.4], 7)
    difference = better - worse
    assert difference.value == pytest.approx(0.15)
    assert difference.resampled == pytest.approx([0.1, -0.1, 0.5])
    assert difference.groups == 7
    assert (worse - better).value == pytest.approx(-0.15)


@pytest.mark.parametrize(("value", "resampled", "fraction"), [
    (0.2, [0.1, 0.3, -0.1, 0.2], 1 / 4),
    (-0.2, [0.1, 0.3, -0.1, -0.2], 2 / 4),
    (0.2, [0.1, 0.0, -0.1, 0.2], 1.5 / 4),
    (0.0, [0.0, 0.0], 1 / 2),
])  # fmt: skip
def test_flips_is_the_fraction_of_resamples_with_the_opposite_order_and_a_tie_counts_half(value, resampled, fraction):
    assert estimate([value], resampled).flips == fraction


def test_degrees_of_freedom_depend_on_the_sources_of_the_variance():
    drawn = normal(1000) / 10  # variance 0.01
    assert estimate([0.5], drawn, 30).degrees_of_freedom == 29
    assert estimate([0.5, 0.5, 0.5], drawn, 30).degrees_of_freedom == pytest.approx(29)  # seeds that agree add nothing
    seeds = 0.1 * np.array([1.0, 0, -1])  # variance of their mean 0.01 / 3
    drawn = drawn * np.sqrt(2 / 3)  # the images contribute the same variance
    assert estimate(seeds, drawn, 30).degrees_of_freedom == pytest.approx(4 / (1 / 2 + 1 / 29), rel=0.01)
    of_seeds = estimate(seeds, drawn / np.sqrt(2), 30)  # all of the variance comes from seeds
    assert of_seeds.degrees_of_freedom == pytest.approx(2, rel=0.01)
    assert estimate([0.5], np.zeros(9), 30).degrees_of_freedom == 29


def test_the_interval_of_one_estimate_is_students_t():
    drawn = 0.5 + 0.01 * normal(10_000)
    for groups in (3, 12, 100_000):
        (low,), (high,) = intervals([estimate([0.5], drawn, groups)])
        assert (high - low) / 2 == pytest.approx(0.01 * stats.t.ppf(0.975, groups - 1), rel=0.01)
        assert (high + low) / 2 == pytest.approx(0.5)
    (low,), (high,) = intervals([estimate([0.5], drawn)], level=0.5)
    assert (high - low) / 2 == pytest.approx(0.00675, rel=0.01)


def test_the_largest_deviation_by_hand():
    """Two estimates of standard error 1 and 2: the larger absolute deviation in each of five resamples counts."""
    first = np.array([-2.0, -1, 0, 1, 2]) / np.sqrt(2.5)
    second = 2 * np.array([0.0, 2, -2, -1, 1]) / np.sqrt(2.5)
    low, high = intervals([estimate([0], first, 10**9), estimate([3], 3 + second, 10**9)], level=0.6)
    largest = np.quantile(np.array([2, 2, 2, 1, 2]) / np.sqrt(2.5), 0.6)
    assert high - [0, 3] == pytest.approx([largest, 2 * largest])
    assert [0, 3] - low == pytest.approx([largest, 2 * largest])


def test_a_bias_of_the_resamples_makes_the_interval_longer():
    drawn = normal(10_000)
    (_, middle), (_, shifted) = (intervals([estimate([0], drawn + bias)]) for bias in (0, 1))
    assert middle[0] == pytest.approx(1.96, abs=0.01)
    assert shifted[0] == pytest.approx(2.65, abs=0.02)


def test_few_groups_get_bonferronis_correction():
    several = [estimate([0], normal(1000, seed), 5) for seed in range(4)]
    low, high = intervals(several)
    assert high == pytest.approx(stats.t.ppf(1 - 0.025 / 4, 4), rel=0.01)
    assert low == pytest.approx(-high)


def test_identical_models_have_a_difference_of_zero():
    drawn = normal(100)
    zero = estimate([0.5], drawn) - estimate([0.5], drawn)
    low, high = intervals([zero, estimate([0.1], drawn)])
    assert (low[0], high[0]) == (0, 0)
    assert low[1] < 0.1 < high[1]


@pytest.mark.parametrize(("groups", "numbers"), [(2, 1), (3, 1), (3, 6), (5, 10), (12, 10), (40, 10)])
def test_simultaneous_intervals_cover_the_truth_even_with_few_groups(groups, numbers):
    """Correlated means of a few numbers each: the fraction of data sets in which all intervals cover the true means."""
    rng = np.random.default_rng(groups)
    weights = draws(groups, 400) / (groups - 1)
    covered = []
    for _ in range(400):
        data = rng.normal(size=(groups, numbers)) + rng.normal(size=(groups, 1))
        means = zip(data.mean(axis=0), (weights @ data).T, strict=True)
        low, high = intervals([estimate([mean], drawn, groups) for mean, drawn in means])
        covered.append(((low < 0) & (high > 0)).all())
    assert np.mean(covered) >= 0.92


def test_single_intervals_are_not_simultaneous():
    rng = np.random.default_rng(1)
    weights, covered = draws(40, 300) / 39, []
    for _ in range(200):
        data = rng.normal(size=(40, 10))
        each = [intervals([estimate([d.mean()], weights @ d, 40)]) for d in data.T]
        covered.append(all(low[0] < 0 < high[0] for low, high in each))
    assert np.mean(covered) < 0.8


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_intervals_from_three_seeds_are_long_enough(fraction):
    """The variance of a model's mean over three trainings: a fraction of it from images, the rest from seeds."""
    rng = np.random.default_rng(3)
    images, seeds = draws(50, 400, 0) / 49, draws(3, 400, 1) / 2
    covered = []
    for _ in range(400):
        by_image = np.sqrt(fraction * 50) * rng.normal(size=50)
        by_seed = np.sqrt((1 - fraction) * 3) * rng.normal(size=3)
        drawn = images @ by_image + seeds @ by_seed
        (low,), (high,) = intervals([estimate(by_image.mean() + by_seed, drawn, 50)])
        covered.append(low < 0 < high)
    assert np.mean(covered) >= 0.92
