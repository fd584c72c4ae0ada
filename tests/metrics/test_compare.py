"""Comparisons, on sheets made by hand and on sheets drawn at random."""

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


def sheet(images=None, **parts):
    """Parts (S, G, K, 3) or (G, K, 3) of each model; by default each group is an image."""
    parts = {model: np.asarray(p) if np.ndim(p) == 4 else np.asarray(p)[None] for model, p in parts.items()}
    first = next(iter(parts.values()))[0]
    images = (first[:, :, 1] > 0).sum(axis=0) if images is None else np.asarray(images)
    return GroupedCounts(parts, tuple("abcdefgh"[: first.shape[1]]), images)


def drawn(groups, classes=2, quality=0.7, seed=0, seeds=1, spread=0.0):
    """Random parts (S, G, K, 3) over the same images: a share `quality` of each target is hit, nothing else is said."""
    target = 200 + np.random.default_rng(99).integers(0, 400, (groups, classes))
    dice = np.random.default_rng(seed)
    share = np.clip(quality + spread * dice.normal(size=(seeds, 1, 1)) + 0.1 * dice.normal(size=target.shape), 0, 1)
    hits = np.round(share * target).astype(int)
    return np.stack([hits, np.broadcast_to(target, hits.shape), hits], axis=-1)


def width(table, model):
    return table["high"][model] - table["low"][model]


# By hand --------------------------------------------------------------------------------------------------------------

GOOD = [[[4, 4, 4], [2, 4, 2]], [[2, 4, 2], [4, 4, 4]]]  # two groups, two classes: IoU 6/8, 6/8
POOR = [[[2, 4, 2], [0, 4, 0]], [[2, 4, 2], [2, 4, 6]]]  # IoU 4/8, 2/12


def test_values_by_hand_best_model_first():
    made = sheet(poor=POOR, good=GOOD)
    table = mean_iou_table(made, resample(made))
    assert list(table.index) == ["good", "poor"]
    assert table["miou"].tolist() == pytest.approx([0.75, (1 / 2 + 1 / 6) / 2])
    assert table["seeds"].tolist() == [[0.75], [0.3333]]
    pairs = pairwise_table(made, resample(made))
    assert pairs[["better", "worse"]].to_numpy().tolist() == [["good", "poor"]]
    assert pairs["difference"][0] == pytest.approx(0.75 - 1 / 3)


def test_two_groups_show_their_spread_and_hardly_more():
    """One of two groups is drawn: the values 2/3 and 1 in turn, of a class with 5/6 in all; t has one degree."""
    made = sheet([99], model=[[[4, 6, 4]], [[6, 6, 6]]])
    again = resample(made)
    assert set(again.iou["model"][:, 0].round(9)) == {round(2 / 3, 9), 1.0}
    estimate = again.miou("model")
    assert estimate.value == pytest.approx(5 / 6)
    assert estimate.drawn.std() == pytest.approx(1 / 6, rel=0.01)
    (low,), (high,) = intervals([estimate])
    assert (high - low) / 2 == pytest.approx(12.706 / 6, rel=0.01)
    table = mean_iou_table(made, again)
    assert (table["low"]["model"], table["high"]["model"]) == (0, 1)  # an IoU is no more than that


def test_one_group_gets_a_sentence_instead_of_an_interval():
    made = sheet(images=[50, 3], good=GOOD[:1], poor=POOR[:1])
    assert resample(made) is None
    assert scope(made) == ONE_GROUP == "one clip: no interval"
    for table in (mean_iou_table(made, None), pairwise_table(made, None), class_table(made, None, "good")):
        assert (table["why"] == ONE_GROUP).all()
        assert table[["low", "high"]].isna().all(axis=None)
    assert pairwise_table(made, None)["flips"].isna().all()
    assert not pairwise_table(made, None)["separable"].any()
    assert not not_separable(made, None).any(axis=None)


def test_a_class_in_fewer_than_ten_images_gets_a_sentence():
    parts = drawn(30, classes=4)[0]
    parts[9:, 1], parts[10:, 2], parts[:, 3] = 0, 0, 0
    made = sheet(one=parts, two=np.roll(parts, 1, axis=0))
    table = class_table(made, resample(made), "one")
    assert table["images"].tolist() == [30, 9, 10, 0]
    assert table["why"].tolist() == ["", FEW_IMAGES, "", ABSENT]
    assert table["low"].notna().tolist() == [True, False, True, False]
    assert table["iou"].notna().tolist() == [True, True, True, False]
    assert table["low"]["a"] < table["iou"]["a"] < table["high"]["a"]
    assert [resample(made).class_iou("one", k).groups for k in range(3)] == [30, 9, 10]  # they say something of it
    bold = not_separable(made, resample(made))
    assert bold.any(axis=1).tolist() == [True, False, True, False]


def test_a_class_that_only_one_of_several_clips_shows_gets_no_interval_either():
    parts = drawn(3)[0]
    parts[1:, 1] = 0
    made = sheet([300, 100], one=parts)
    assert class_table(made, resample(made), "one")["why"].tolist() == ["", ONE_GROUP]


def test_the_mean_is_over_the_classes_that_the_targets_show():
    parts = drawn(20, classes=3)[0]
    parts[:, 2] = [0, 0, 5]  # predicted, and nowhere to be found
    made = sheet(one=parts)
    assert made.present.tolist() == [True, True, False]
    assert made.iou["one"][0, 2] == 0
    assert made.miou("one") == pytest.approx(iou(parts.sum(axis=0))[:2].mean())
    again = resample(made)
    assert again.miou("one").drawn == pytest.approx(again.iou["one"][:, :2].mean(axis=1))


@pytest.mark.parametrize("parts", [
    {"a": np.zeros((1, 5, 2, 3)), "b": np.zeros((1, 6, 2, 3))},
    {"a": np.zeros((1, 5, 3, 3))},
    {"a": np.zeros((1, 5, 2, 4))},
    {},
])  # fmt: skip
def test_sheets_that_do_not_fit_together_are_refused(parts):
    with pytest.raises(ValueError, match="the same G for all models"):
        GroupedCounts(parts, ("x", "y"), np.array([1, 1]))


# Pairs ----------------------------------------------------------------------------------------------------------------


def test_identical_models_differ_by_exactly_nothing_and_are_never_separable():
    parts = drawn(40, seeds=3, spread=0.02)
    made = sheet(one=parts[:1], again=parts[:1], poor=drawn(40, quality=0.3, seed=1))
    table = pairwise_table(made, resample(made)).set_index(["better", "worse"])
    same = table.loc["one", "again"]
    assert (same["difference"], same["low"], same["high"], same["flips"]) == (0, 0, 0, 0.5)
    assert table["separable"].tolist() == [False, True, True]
    bold = not_separable(made, resample(made))
    assert bold["one"].all()
    assert bold["again"].all()
    assert not bold["poor"].any()


def test_all_models_share_the_draws():
    """A model that is worse by the same factor everywhere: the difference hardly moves, the values do."""
    parts = drawn(50)[0]
    worse = parts.copy()
    worse[..., [0, 2]] = (worse[..., [0, 2]] * 0.95).astype(int)
    made = sheet(better=parts, worse=worse)
    again = resample(made)
    pair, alone = pairwise_table(made, again).iloc[0], mean_iou_table(made, again)
    assert pair["separable"]
    assert pair["flips"] == 0
    assert pair["high"] - pair["low"] < width(alone, "better") / 5


def test_a_pair_is_judged_the_same_whatever_it_is_called_and_in_whatever_order():
    a, b = drawn(30, quality=0.6, seed=1), drawn(30, quality=0.64, seed=2)
    tables = [pairwise_table(made, resample(made)) for made in (sheet(a=a, b=b), sheet(z=b, x=a))]
    columns = ["difference", "low", "high", "separable", "flips"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])
    assert tables[0]["better"][0] == "b"
    assert tables[1]["better"][0] == "z"


def test_every_pair_has_a_row_and_more_pairs_have_longer_intervals():
    models = {name: drawn(30, quality=0.6 + 0.01 * i, seed=i) for i, name in enumerate("stuvw")}
    made = sheet(**models)
    table = pairwise_table(made, resample(made))
    assert len(table) == 10
    assert (table["difference"] >= 0).all()
    best, second = table.loc[0, ["better", "worse"]]
    two = sheet(**{best: models[best], second: models[second]})
    pair = pairwise_table(two, resample(two)).iloc[0]
    assert pair["difference"] == table["difference"][0]
    assert pair["high"] - pair["low"] < table["high"][0] - table["low"][0]


def test_one_model_is_no_comparison():
    made = sheet(alone=drawn(5))
    with pytest.raises(ValueError, match="alone is no comparison"):
        pairwise_table(made, resample(made))
    assert not not_separable(made, resample(made)).any(axis=None)


def test_models_as_good_as_each_other_are_rarely_called_separable():
    """Five equal models, 200 data sets: at most one in twenty may show any separable pair, or a class without one."""
    pairs, classes = [], []
    for k in range(200):
        made = sheet(**{name: drawn(40, quality=0.6, seed=5 * k + i) for i, name in enumerate("stuvw")})
        again = resample(made, 300, seed=k)
        pairs.append(pairwise_table(made, again)["separable"].any())
        classes.append(not not_separable(made, again).loc["a"].all())
    assert np.mean(pairs) <= 0.08
    assert np.mean(classes) <= 0.08


# Seeds ----------------------------------------------------------------------------------------------------------------


def test_seeds_that_agree_change_nothing():
    one, other = drawn(25, seed=1), drawn(25, seed=2)
    alone, three = sheet(m=one, n=other), sheet(m=np.repeat(one, 3, axis=0), n=other)
    for table in (mean_iou_table, pairwise_table):
        single, several = (
            table(made, resample(made)).drop(columns="seeds", errors="ignore") for made in (alone, three)
        )
        pd.testing.assert_frame_equal(single, several)
    assert mean_iou_table(three, resample(three))["seeds"]["m"] == [round(float(alone.miou("m")[0]), 4)] * 3


def test_seeds_that_differ_make_the_interval_longer():
    parts = drawn(60, seeds=4, spread=0.05, seed=3)
    several, alone = sheet(m=parts), sheet(m=parts[:1])
    table = mean_iou_table(several, resample(several))
    assert width(table, "m") > 2 * width(mean_iou_table(alone, resample(alone)), "m")
    assert table["miou"]["m"] == pytest.approx(several.miou("m").mean())
    assert table["seeds"]["m"] == several.miou("m").round(4).tolist()
    error = several.miou("m").std(ddof=1) / 2
    assert resample(several, 20_000).miou("m").drawn.std() == pytest.approx(error, rel=0.1)  # seeds are most of it


def test_what_intervals_cover_is_said():
    one, two = drawn(9), drawn(9, seeds=2)
    assert scope(sheet(a=one, b=one)) == IMAGES_ONLY == "covers test images, not retraining"
    assert scope(sheet(a=two, b=two)) == IMAGES_AND_SEEDS
    assert scope(sheet(a=two, b=one)) == f"{IMAGES_ONLY}, except for a, where seeds are resampled too"


def test_the_same_sheet_gives_the_same_tables():
    made = [sheet(a=drawn(20, seeds=2, spread=0.1), b=drawn(20, seed=4)) for _ in range(2)]
    again = [resample(s) for s in made]
    for table in (mean_iou_table, pairwise_table, not_separable):
        assert table(made[0], again[0]).to_csv() == table(made[1], again[1]).to_csv()
    assert (resample(made[0], seed=1).iou["a"] != again[0].iou["a"]).any()
