"""Comparisons of models, on counts counts by hand and on random counts."""

import numpy as np
import pandas as pd
import pytest

from seglab.metrics.bootstrap import intervals
from seglab.metrics.comparison import (
    ABSENT,
    FEW_IMAGES,
    IMAGES_AND_SEEDS,
    IMAGES_ONLY,
    ONE_GROUP,
    GroupedCounts,
    class_table,
    mean_iou_table,
    not_separable,
    pairwise_table,
    resample,
    scope,
)
from seglab.metrics.measures import iou


def grouped(images=None, **parts):
    """Grouped counts from parts (S, G, K, 3) or (G, K, 3) of each model; by default each group is an image."""
    parts = {model: np.asarray(p) if np.ndim(p) == 4 else np.asarray(p)[None] for model, p in parts.items()}
    first = next(iter(parts.values()))[0]
    images = (first[:, :, 1] > 0).sum(axis=0) if images is None else np.asarray(images)
    return GroupedCounts(parts, tuple("abcdefgh"[: first.shape[1]]), images)


def random_parts(groups, classes=2, quality=0.7, seed=0, seeds=1, spread=0.0):
    """Random parts (S, G, K, 3) of the same images: about a fraction `quality` of each target is predicted."""
    target = 200 + np.random.default_rng(99).integers(0, 400, (groups, classes))
    rng = np.random.default_rng(seed)
    recall = np.clip(quality + spread * rng.normal(size=(seeds, 1, 1)) + 0.1 * rng.normal(size=target.shape), 0, 1)
    correct = np.round(recall * target).astype(int)
    return np.stack([correct, np.broadcast_to(target, correct.shape), correct], axis=-1)


def width(table, model):
    return table["high"][model] - table["low"][model]


GOOD = [[[4, 4, 4], [2, 4, 2]], [[2, 4, 2], [4, 4, 4]]]  # two groups, two classes: IoU 6/8, 6/8
POOR = [[[2, 4, 2], [0, 4, 0]], [[2, 4, 2], [2, 4, 6]]]  # IoU 4/8, 2/12


def test_values_by_hand_best_model_first():
    counts = grouped(poor=POOR, good=GOOD)
    table = mean_iou_table(counts, resample(counts))
    assert list(table.index) == ["good", "poor"]
    assert table["miou"].tolist() == pytest.approx([0.75, (1 / 2 + 1 / 6) / 2])
    assert table["seeds"].tolist() == [[0.75], [0.3333]]
    pairs = pairwise_table(counts, resample(counts))
    assert pairs[["better", "worse"]].to_numpy().tolist() == [["good", "poor"]]
    assert pairs["difference"][0] == pytest.approx(0.75 - 1 / 3)


def test_two_groups_give_their_spread_and_one_degree_of_freedom():
    """Each resample draws one of two groups, with IoU 2/3 or 1; over both it is 5/6; t has one degree of freedom."""
    counts = grouped([99], model=[[[4, 6, 4]], [[6, 6, 6]]])
    resampled = resample(counts)
    assert set(resampled.iou["model"][:, 0].round(9)) == {round(2 / 3, 9), 1.0}
    estimate = resampled.miou("model")
    assert estimate.value == pytest.approx(5 / 6)
    assert estimate.resampled.std() == pytest.approx(1 / 6, rel=0.01)
    (low,), (high,) = intervals([estimate])
    assert (high - low) / 2 == pytest.approx(12.706 / 6, rel=0.01)
    table = mean_iou_table(counts, resampled)
    assert (table["low"]["model"], table["high"]["model"]) == (0, 1)  # an IoU lies in 0–1


def test_one_group_gives_a_reason_instead_of_an_interval():
    counts = grouped(images=[50, 3], good=GOOD[:1], poor=POOR[:1])
    assert resample(counts) is None
    assert scope(counts) == ONE_GROUP == "one clip: no interval"
    for table in (mean_iou_table(counts, None), pairwise_table(counts, None), class_table(counts, None, "good")):
        assert (table["why"] == ONE_GROUP).all()
        assert table[["low", "high"]].isna().all(axis=None)
    assert pairwise_table(counts, None)["flips"].isna().all()
    assert not pairwise_table(counts, None)["separable"].any()
    assert not not_separable(counts, None).any(axis=None)


def test_a_class_in_fewer_than_ten_images_gives_a_reason():
    parts = random_parts(30, classes=4)[0]
    parts[9:, 1], parts[10:, 2], parts[:, 3] = 0, 0, 0
    counts = grouped(one=parts, two=np.roll(parts, 1, axis=0))
    table = class_table(counts, resample(counts), "one")
    assert table["images"].tolist() == [30, 9, 10, 0]
    assert table["why"].tolist() == ["", FEW_IMAGES, "", ABSENT]
    assert table["low"].notna().tolist() == [True, False, True, False]
    assert table["iou"].notna().tolist() == [True, True, True, False]
    assert table["low"]["a"] < table["iou"]["a"] < table["high"]["a"]
    groups = [resample(counts).class_iou("one", k).groups for k in range(3)]
    assert groups == [30, 9, 10]  # those that contain the class
    bold = not_separable(counts, resample(counts))
    assert bold.any(axis=1).tolist() == [True, False, True, False]


def test_a_class_in_only_one_of_several_groups_gets_no_interval():
    parts = random_parts(3)[0]
    parts[1:, 1] = 0
    counts = grouped([300, 100], one=parts)
    assert class_table(counts, resample(counts), "one")["why"].tolist() == ["", ONE_GROUP]


def test_the_mean_is_over_the_classes_in_the_target():
    parts = random_parts(20, classes=3)[0]
    parts[:, 2] = [0, 0, 5]  # predicted, but absent from the target
    counts = grouped(one=parts)
    assert counts.present.tolist() == [True, True, False]
    assert counts.iou["one"][0, 2] == 0
    assert counts.miou("one") == pytest.approx(iou(parts.sum(axis=0))[:2].mean())
    resampled = resample(counts)
    assert resampled.miou("one").resampled == pytest.approx(resampled.iou["one"][:, :2].mean(axis=1))


@pytest.mark.parametrize("parts", [
    {"a": np.zeros((1, 5, 2, 3)), "b": np.zeros((1, 6, 2, 3))},
    {"a": np.zeros((1, 5, 3, 3))},
    {"a": np.zeros((1, 5, 2, 4))},
    {},
])  # fmt: skip
def test_counts_of_different_shapes_raise(parts):
    with pytest.raises(ValueError, match="the same G for all models"):
        GroupedCounts(parts, ("x", "y"), np.array([1, 1]))


def test_identical_models_have_a_difference_of_zero_and_are_never_separable():
    parts = random_parts(40, seeds=3, spread=0.02)
    counts = grouped(one=parts[:1], again=parts[:1], poor=random_parts(40, quality=0.3, seed=1))
    table = pairwise_table(counts, resample(counts)).set_index(["better", "worse"])
    same = table.loc["one", "again"]
    assert (same["difference"], same["low"], same["high"], same["flips"]) == (0, 0, 0, 0.5)
    assert table["separable"].tolist() == [False, True, True]
    bold = not_separable(counts, resample(counts))
    assert bold["one"].all()
    assert bold["again"].all()
    assert not bold["poor"].any()


def test_all_models_share_the_resamples():
    """A model that is worse by the same factor everywhere: the difference hardly moves, the values do."""
    parts = random_parts(50)[0]
    worse = parts.copy()
    worse[..., [0, 2]] = (worse[..., [0, 2]] * 0.95).astype(int)
    counts = grouped(better=parts, worse=worse)
    resampled = resample(counts)
    pair, alone = pairwise_table(counts, resampled).iloc[0], mean_iou_table(counts, resampled)
    assert pair["separable"]
    assert pair["flips"] == 0
    assert pair["high"] - pair["low"] < width(alone, "better") / 5


def test_a_pair_does_not_depend_on_names_or_order():
    a, b = random_parts(30, quality=0.6, seed=1), random_parts(30, quality=0.64, seed=2)
    tables = [pairwise_table(counts, resample(counts)) for counts in (grouped(a=a, b=b), grouped(z=b, x=a))]
    columns = ["difference", "low", "high", "separable", "flips"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])
    assert tables[0]["better"][0] == "b"
    assert tables[1]["better"][0] == "z"


def test_every_pair_has_a_row_and_more_pairs_have_longer_intervals():
    models = {name: random_parts(30, quality=0.6 + 0.01 * i, seed=i) for i, name in enumerate("stuvw")}
    counts = grouped(**models)
    table = pairwise_table(counts, resample(counts))
    assert len(table) == 10
    assert (table["difference"] >= 0).all()
    best, second = table.loc[0, ["better", "worse"]]
    two = grouped(**{best: models[best], second: models[second]})
    pair = pairwise_table(two, resample(two)).iloc[0]
    assert pair["difference"] == table["difference"][0]
    assert pair["high"] - pair["low"] < table["high"][0] - table["low"][0]


def test_one_model_alone_raises():
    counts = grouped(alone=random_parts(5))
    with pytest.raises(ValueError, match="alone is no comparison"):
        pairwise_table(counts, resample(counts))
    assert not not_separable(counts, resample(counts)).any(axis=None)


def test_equally_good_models_are_rarely_separable():
    """Five equal models, 200 data sets: about one in twenty has a separable pair, or a class with separable models."""
    pairs, classes = [], []
    for k in range(200):
        counts = grouped(**{name: random_parts(40, quality=0.6, seed=5 * k + i) for i, name in enumerate("stuvw")})
        resampled = resample(counts, 300, seed=k)
        pairs.append(pairwise_table(counts, resampled)["separable"].any())
        classes.append(not not_separable(counts, resampled).loc["a"].all())
    assert np.mean(pairs) <= 0.08
    assert np.mean(classes) <= 0.08


def test_identical_seeds_change_nothing():
    one, other = random_parts(25, seed=1), random_parts(25, seed=2)
    alone, three = grouped(m=one, n=other), grouped(m=np.repeat(one, 3, axis=0), n=other)
    for table in (mean_iou_table, pairwise_table):
        single, several = (
            table(counts, resample(counts)).drop(columns="seeds", errors="ignore") for counts in (alone, three)
        )
        pd.testing.assert_frame_equal(single, several)
    assert mean_iou_table(three, resample(three))["seeds"]["m"] == [round(float(alone.miou("m")[0]), 4)] * 3


def test_seeds_that_differ_make_the_interval_longer():
    parts = random_parts(60, seeds=4, spread=0.05, seed=3)
    several, alone = grouped(m=parts), grouped(m=parts[:1])
    table = mean_iou_table(several, resample(several))
    assert width(table, "m") > 2 * width(mean_iou_table(alone, resample(alone)), "m")
    assert table["miou"]["m"] == pytest.approx(several.miou("m").mean())
    assert table["seeds"]["m"] == several.miou("m").round(4).tolist()
    error = several.miou("m").std(ddof=1) / 2
    assert resample(several, 20_000).miou("m").resampled.std() == pytest.approx(error, rel=0.1)  # seeds are most of it


def test_scope_states_what_intervals_cover():
    one, two = random_parts(9), random_parts(9, seeds=2)
    assert scope(grouped(a=one, b=one)) == IMAGES_ONLY == "covers test images, not retraining"
    assert scope(grouped(a=two, b=two)) == IMAGES_AND_SEEDS
    assert scope(grouped(a=two, b=one)) == f"{IMAGES_ONLY}, except for a, where seeds are resampled too"


def test_the_same_counts_give_the_same_tables():
    counts = [grouped(a=random_parts(20, seeds=2, spread=0.1), b=random_parts(20, seed=4)) for _ in range(2)]
    resampled = [resample(one) for one in counts]
    for table in (mean_iou_table, pairwise_table, not_separable):
        assert table(counts[0], resampled[0]).to_csv() == table(counts[1], resampled[1]).to_csv()
    assert (resample(counts[0], seed=1).iou["a"] != resampled[0].iou["a"]).any()
