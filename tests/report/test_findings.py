"""Findings of a comparison, on made-up counts."""

import pandas as pd
import pytest
from helpers.stores import fill, masks, spoilt

from seglab.evaluation.results import Results
from seglab.report import findings


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Forty images and three models: two equally good ones, and a worse one."""
    path, targets = tmp_path_factory.mktemp("findings") / "s.sqlite", masks(40)
    for name, fraction, seed in ("good", 0.2, 1), ("twin", 0.2, 5), ("poor", 0.6, 2):
        fill(path, name, targets, spoilt(targets, fraction, seed=seed), microseconds=2500)
    return Results.open(path)


def test_ranking_of_significant_differences(results):
    first, second, third = findings.verdict(results)
    best, other = results.summary().index[:2]
    assert first == f"{best} is ahead of poor: the interval of each difference excludes zero."
    assert second == f"It is not significantly different from {other} on these images."
    assert third == "Of all 3 pairs, 2 differ significantly."
    pair = findings.verdict(results.select("good", "twin"))
    assert pair[0].endswith(f"is not significantly different from {other} on these images.")
    assert findings.verdict(results.select("good")) == ["good alone is no comparison."]


def test_one_clip_supports_no_ranking(tmp_path):
    targets = masks(5)
    for name, fraction in ("good", 0.1), ("poor", 0.9):
        fill(tmp_path / "s.sqlite", name, targets, spoilt(targets, fraction), groups=["clip"] * 5)
    sentences = findings.verdict(Results.open(tmp_path / "s.sqlite"))
    assert sentences == ["The results support no ranking (one clip: no interval)."]


def test_abstract_names_models_and_data(results):
    sentence = findings.abstract({"toys test": results})
    assert sentence == "good, twin and poor, each trained once, evaluated on toys test (40 images)."


def test_mistakes_are_those_of_the_confusion_matrix(results):
    table = findings.mistakes(results, count=2)
    assert table["model"].to_list() == ["good", "good", "twin", "twin", "poor", "poor"]
    confusion = results.confusion("poor")
    worst = table[table["model"] == "poor"].iloc[0]
    pixels = confusion.loc[worst["target"], worst["predicted"]]
    wrong = confusion.to_numpy().sum() - sum(confusion.loc[c, c] for c in confusion.index)
    assert pixels == max(confusion.loc[t, p] for t in confusion.index for p in confusion.columns if t != p)
    assert worst["of_target"] == pytest.approx(pixels / confusion.loc[worst["target"]].sum())
    assert worst["of_mistakes"] == pytest.approx(pixels / wrong)


def test_images_with_extreme_values(results):
    table, each = findings.telling_images(results), results.per_image()
    best = results.summary().index[0]
    own = each[each["model"] == best].set_index("id")["miou"]
    assert table.loc["best", "id"] == own.idxmax()
    assert table.loc["worst", "id"] == own.idxmin()
    assert table.loc["worst", best] == pytest.approx(own.min())
    assert table["id"].is_unique
    rows = each.pivot_table(index="id", columns="model", values="miou").drop(index=table["id"].iloc[:2])
    assert table.loc["most disputed", "id"] == (rows.max(axis=1) - rows.min(axis=1)).idxmax()


def test_readable_numbers(results):
    table = findings.readable(results)
    row = results.summary().loc["poor"]
    assert table.loc["poor", "mIoU"] == f"{row['miou']:.3f}"
    assert table.loc["poor", "interval"] == f"{row['low']:.3f} to {row['high']:.3f}"
    assert list(table.loc["poor", ["ms an image", "10⁹ MACs"]]) == ["2", "–"]


def test_square_confusion_has_a_row_for_other(results):
    table, classes = findings.square(results.confusion("good").assign(other=7))
    assert classes.names[-1] == "other"
    assert table.shape == (12, 12)
    assert (table[:-1, -1] == 7).all()
    assert not table[-1].any()


def test_the_worst_image_of_each_class(results):
    table = findings.worst_images(results).set_index(["class", "model"])
    per_image = results.per_image().set_index(["model", "id"])
    for (label, name), row in table.iterrows():
        where = results.where(name, label)
        assert row["pixels of errors"] == where["pixels"].max()
        assert row["image"] in where.loc[where["pixels"] == row["pixels of errors"], "id"].tolist()
        assert row["IoU"] == f"{per_image.loc[(name, row['image']), label]:.2f}"


def test_confusion_in_percent():
    table = pd.DataFrame([[3, 1], [0, 0]], index=["a", "b"], columns=["a", "b"])
    assert findings.in_percent(table).to_numpy().tolist() == [["75.0", "25.0"], ["–", "–"]]
