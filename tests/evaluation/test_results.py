"""Tables from a store: against scikit-learn and torchmetrics, and by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.stores import SIZE, VOID, fill, masks, spoilt
from PIL import Image
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassCalibrationError, MulticlassJaccardIndex

from seglab import load_dataset
from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.loop import evaluate
from seglab.evaluation.measurements import MODELS_AS_TRAINED
from seglab.evaluation.results import Results
from seglab.evaluation.store import Store
from seglab.metrics.boundary import boundary_counts, boundary_iou_per_class
from seglab.metrics.calibration import calibration_counts
from seglab.metrics.comparison import FEW_IMAGES, IMAGES_ONLY, ONE_GROUP


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Forty random images and two models."""
    path = tmp_path_factory.mktemp("toys") / "results.sqlite"
    targets = masks(40)
    preds = {"good": spoilt(targets, 0.2), "poor": spoilt(targets, 0.5, seed=2)}
    for name, pred in preds.items():
        fill(path, name, targets, pred)
    return SimpleNamespace(path=path, targets=targets, preds=preds, results=Results.open(path))


def judged(pred, target):
    """Labelled pixels of both, flat."""
    return target[target != VOID], pred[target != VOID]


# Against others -------------------------------------------------------------------------------------------------------


def test_tables_agree_with_scikit_learn(toys):
    table, summary, labels = toys.results.iou_table(), toys.results.summary(), list(range(11))
    for name, pred in toys.preds.items():
        t, p = judged(pred, toys.targets)
        theirs = sk.jaccard_score(t, p, labels=labels, average=None)
        assert table[name].tolist() == pytest.approx([*theirs, theirs.mean()])
        assert summary["miou"][name] == pytest.approx(theirs.mean())
        assert summary["pixel_accuracy"][name] == pytest.approx(sk.accuracy_score(t, p))
        confusion = toys.results.confusion(name)
        assert (confusion.to_numpy() == sk.confusion_matrix(t, p, labels=labels)).all()
        assert list(confusion.index) == list(confusion.columns) == list(CLASS_SETS["street"].names)
    assert list(summary.index) == ["good", "poor"]
    assert (summary["low"] < summary["miou"]).all()
    assert (summary["miou"] < summary["high"]).all()
    assert summary["ms"].isna().all()


def test_images_agree_with_torchmetrics(toys):
    table = toys.results.per_image()
    assert len(table) == 80
    for (_, row), target, pred in zip(table[table["model"] == "poor"].iterrows(), toys.targets, toys.preds["poor"],
                                      strict=True):  # fmt: skip
        each = MulticlassJaccardIndex(11, average="macro", ignore_index=VOID)
        assert row["miou"] == pytest.approx(float(each(torch.tensor(pred), torch.tensor(target))), abs=1e-6)
        assert row["pixel_accuracy"] == pytest.approx(sk.accuracy_score(*judged(pred, target)))


def test_every_convention_agrees_with_a_loop(toys):
    values = toys.results.conventions(batch=8)["good"]
    pred, target = torch.tensor(toys.preds["good"]), torch.tensor(toys.targets)
    macro = MulticlassJaccardIndex(11, average="macro", ignore_index=VOID)
    rest = "absent classes skipped, void ignored, background counted"
    assert values[f"mIoU: over the data set, {rest}"] == pytest.approx(float(macro(pred, target)), abs=1e-6)
    for images, name in ((1, "images"), (8, "batches of 8")):
        each = [float(macro(p, t)) for p, t in zip(pred.split(images), target.split(images), strict=True)]
        assert values[f"mIoU: mean of {name}, {rest}"] == pytest.approx(np.mean(each), abs=1e-6)
    assert values.iloc[0] == toys.results.summary()["miou"]["good"]
    assert values.index[0] == toys.results.mean_iou_convention()
    assert values.index.is_unique
    assert len(values) == 11  # street has no background to leave out


@pytest.mark.parametrize(("name", "split"), [("camvid", "val"), ("voc", "val"), ("coco", "val")])
def test_stored_predictions_of_real_data_agree_with_scikit_learn(real_data, tmp_path, name, split):
    dataset = load_dataset(name, split, root=real_data, download=False)
    dataset = dataset.subset(range(0, len(dataset), max(len(dataset) // 12, 1)))
    classes, pairs = dataset.classes, []
    for i, sample in enumerate(dataset):
        target = sample.target.numpy()
        pred = np.roll(target, 9, axis=1)
        pred[pred == VOID] = i % len(classes)
        pairs.append((target, pred))
        (tmp_path / "moved").mkdir(exist_ok=True)
        Image.fromarray(pred).save(tmp_path / "moved" / f"{sample.id}.png")
    results = evaluate(Predictions(tmp_path / "moved", classes.name), dataset, progress=False)
    both = [judged(p, t) for t, p in pairs]
    t, p = (np.concatenate(side) for side in zip(*both, strict=True))
    shown, labels = np.unique(t), list(range(len(classes)))
    theirs = sk.jaccard_score(t, p, labels=labels, average=None, zero_division=0)
    ours = results.iou_table()["moved"]
    assert ours.iloc[:-1].fillna(0).tolist() == pytest.approx(theirs)
    assert np.flatnonzero(ours.iloc[:-1].notna()).tolist() == np.union1d(t, p).tolist()
    assert ours["mean"] == pytest.approx(theirs[shown].mean())
    assert (results.confusion("moved").to_numpy() == sk.confusion_matrix(t, p, labels=labels)).all()
    data = results.data_table()
    assert data["share"].sum() == pytest.approx(1)
    assert data["images"].iloc[:-1].tolist() == [sum((t == k).any() for t, _ in pairs) for k in labels]
    assert results.grouped.groups == len(set(dataset.groups))
    if name == "camvid":  # the standard split is one clip
        assert results.summary()["why"].tolist() == [ONE_GROUP]
        assert ONE_GROUP in results.convention()


# Vocabularies ---------------------------------------------------------------------------------------------------------


def index(classes, *names):
    return [VOID if name == "void" else CLASS_SETS[classes].index(name) for name in names]


def row(classes, *names):
    return np.array([[index(classes, *names)]], np.uint8)


def test_predictions_in_another_vocabulary_are_mapped_after_the_argmax(tmp_path):
    """Eight pixels of a street, and what a model with VOC's classes says of them."""
    target = row("street", "car", "car", "car", "pedestrian", "bicyclist", "road", "sky", "void")
    pred = row("voc", "car", "bus", "dog", "person", "motorbike", "car", "background", "person")
    fill(tmp_path / "s.sqlite", "voc", target, pred, own="voc")
    results = Results.open(tmp_path / "s.sqlite")
    assert results.evaluated == ["car", "pedestrian", "bicyclist"]
    assert results.measurements.unnamed == [
        name for name in CLASS_SETS["street"].names if name not in results.evaluated
    ]
    confusion = results.confusion("voc")
    assert list(confusion.columns) == ["car", "pedestrian", "bicyclist", "other"]
    assert confusion.to_numpy().tolist() == [[2, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]  # road and sky are void
    assert results.iou_table()["voc"].tolist() == pytest.approx([2 / 3, 1, 1, 8 / 9])
    assert results.summary()["pixel_accuracy"]["voc"] == pytest.approx(4 / 5)  # the dog is an error
    assert MODELS_AS_TRAINED in results.convention()
    assert "void because a model lacks the class: sky, building" in results.convention()
    counts = results.counts
    assert set(counts["pred"]) == {"car", "bus", "dog", "person", "motorbike", "background"}  # as they were said
    assert counts.loc[counts["target"] == "void", "pred"].tolist() == ["person"]


def test_what_one_model_cannot_name_is_void_for_all(tmp_path):
    path = tmp_path / "s.sqlite"
    target = row("street", "car", "car", "road", "road", "pedestrian")
    fill(path, "street", target, row("street", "car", "road", "road", "car", "pedestrian"))
    fill(path, "voc", target, row("voc", "car", "car", "car", "dog", "person"), own="voc")
    results = Results.open(path)
    assert results.confusion("street").to_numpy()[:, [0, 1, 3]].tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    table = results.iou_table()
    assert table.loc["car"].tolist() == [1 / 2, 1]
    assert table.loc["mean"].tolist() == [3 / 4, 1]
    alone = results.select("street")
    assert alone.measurements.unnamed == []
    assert alone.iou_table()["street"]["road"] == 1 / 3
    assert MODELS_AS_TRAINED not in alone.convention()


def test_models_that_share_no_class_with_the_data_are_not_put_into_a_table(tmp_path):
    fill(tmp_path / "s.sqlite", "cells", row("street", "car", "road"), row("membrane", "cell", "cell"), own="membrane")
    with pytest.raises(ValueError, match="cells share no class of toys test"):
        Results.open(tmp_path / "s.sqlite").summary()


def test_a_stored_255_means_none_of_these_and_is_an_error(tmp_path):
    target = row("street", "car", "car", "road", "void")
    fill(tmp_path / "s.sqlite", "unsure", target, row("street", "car", "void", "road", "void"))
    results = Results.open(tmp_path / "s.sqlite")
    confusion = results.confusion("unsure")
    assert confusion.loc["car", "other"] == 1
    assert confusion.to_numpy().sum() == 3
    assert results.iou_table()["unsure"][["car", "road", "mean"]].tolist() == [1 / 2, 1, 3 / 4]


def test_a_class_set_of_ones_own_is_read_back(tmp_path):
    own = ClassSet("fields", ("soil", "wheat", "weed"), ((1, 2, 3),) * 3, background=0)
    target = np.array([[[0, 1, 2, 0]]], np.uint8)
    fill(tmp_path / "s.sqlite", "farmer", target, np.array([[[0, 1, 1, 2]]], np.uint8), classes=own)
    results = Results.open(tmp_path / "s.sqlite")
    assert results.classes.names == own.names
    assert results.classes.background == 0
    assert results.iou_table()["farmer"].tolist() == pytest.approx([1 / 2, 1 / 2, 0, 1 / 3])
    kept = results.conventions()["farmer"]
    assert kept.filter(like="background left out").filter(like="data set, absent classes skipped").tolist() == [1 / 4]


def test_the_background_is_found_where_classes_before_it_are_void(tmp_path):
    """The set's last class is its background, and the model has no word for the first."""
    data = ClassSet("yard", ("tree", "pet", "ground"), ((1, 2, 3),) * 3, background=2)
    pets = ClassSet("short", ("pet", "ground"), ((1, 2, 3),) * 2)
    target = np.array([[[0, 2, 2, 1, 1]]], np.uint8)
    fill(tmp_path / "s.sqlite", "dog", target, np.array([[[1, 1, 1, 1, 0]]], np.uint8), classes=data, own=pets)
    results = Results.open(tmp_path / "s.sqlite")
    assert results.evaluated == ["pet", "ground"]
    without = results.conventions()["dog"].filter(like="background left out").filter(like="set, absent classes skipped")
    assert without.tolist() == [1 / 2]


# What a store holds ---------------------------------------------------------------------------------------------------


def test_counts_are_the_pixels(toys):
    counts = toys.results.counts
    assert list(counts.columns) == ["model", "seed", "id", "target", "pred", "pixels"]
    assert counts["pixels"].sum() == 2 * toys.targets.size
    road = counts.query("model == 'good' and id == 'image 3' and target == 'road' and pred == 'road'")["pixels"].item()
    assert road == ((toys.targets[3] == 3) & (toys.preds["good"][3] == 3)).sum()


def test_only_images_that_all_models_have_finished_count(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(6)
    fill(path, "first", targets, spoilt(targets), images=[0, 1, 2, 3, 4, 5])
    fill(path, "second", targets, spoilt(targets, seed=5), images=[1, 2, 5])
    results = Results.open(path)
    assert results.images.index.tolist() == [1, 2, 5]
    assert "toys test: 3 of 6 images" in results.convention()
    t, p = judged(spoilt(targets)[[1, 2, 5]], targets[[1, 2, 5]])
    assert results.summary()["pixel_accuracy"]["first"] == pytest.approx(sk.accuracy_score(t, p))
    assert results.data_table()["images"]["void"] == 3
    assert set(results.per_image()["id"]) == {"image 1", "image 2", "image 5"}
    assert results.confusion("first").to_numpy().sum() == len(t)
    assert "toys test: 6 images" in results.select("first").convention()
    fill(path, "third", targets, spoilt(targets), images=[])
    with pytest.raises(ValueError, match="no image of toys test is finished by all of first, second, third"):
        Results.open(path).summary()


def test_a_store_holds_several_data_sets_and_one_is_chosen(tmp_path):
    path, day, night = tmp_path / "s.sqlite", masks(5), masks(7, seed=8)
    fill(path, "m", day, spoilt(day), data="day test")
    fill(path, "m", night, spoilt(night, 0.6), data="night test", fingerprint="0ther")
    with pytest.raises(ValueError, match="holds day test, night test; choose one"):
        Results.open(path)
    with pytest.raises(ValueError, match="did you mean 'day test'"):
        Results.open(path, "day tset")
    assert len(Results.open(path, "night test").images) == 7
    both = [Results.open(path, data).summary()["miou"]["m"] for data in ("day test", "night test")]
    assert both[0] > both[1]


def test_a_store_without_runs_says_so(tmp_path):
    with Store(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(ValueError, match="holds no runs yet"):
        Results.open(tmp_path / "empty.sqlite")
    with pytest.raises(ValueError, match="there is no store"):
        Results.open(tmp_path / "nowhere.sqlite")


def test_models_are_selected_by_name(toys):
    assert toys.results.names == ["good", "poor"]
    assert toys.results.select("poor").names == ["poor"]
    assert toys.results.select("poor").summary()["miou"]["poor"] == toys.results.summary()["miou"]["poor"]
    for ask in (toys.results.select, toys.results.confusion, toys.results.class_table, toys.results.worst):
        with pytest.raises(ValueError, match=r"unknown model in these results 'god'; did you mean 'good'\?"):
            ask("god")


def test_seeds_of_a_recipe_are_one_model(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(30)
    preds = {seed: spoilt(targets, 0.2 + 0.1 * seed, seed=seed) for seed in (1, 2, 3)}
    facts = {"cost": {"params": 2e6, "macs": 3e9, "peak_bytes": 4e6}}
    for seed in (2, 3, 1):  # in whatever order they were measured
        fill(path, "recipe", targets, preds[seed], seed=seed, facts=facts, microseconds=1000 * seed)
    fill(path, "alone", targets, spoilt(targets, 0.3, seed=9))
    results = Results.open(path)
    each = [sk.jaccard_score(*judged(pred, targets), average="macro") for pred in preds.values()]
    summary, seeds = results.summary(), results.seeds()
    assert summary["miou"]["recipe"] == pytest.approx(np.mean(each))
    assert summary["seeds"]["recipe"] == pytest.approx(each, abs=1e-4)
    assert summary.loc["recipe", ["ms", "mparams", "gmacs", "memory_mb"]].tolist() == [2, 2, 3, 4]
    assert seeds.query("model == 'recipe'")["miou"].tolist() == pytest.approx(each)
    assert seeds.query("model == 'recipe'")["seed"].tolist() == [1, 2, 3]
    assert seeds["seed"].isna().tolist() == [False, False, False, True]
    assert results.confusion("recipe").to_numpy().sum() == 3 * (targets != VOID).sum()
    assert f"{IMAGES_ONLY}, except for recipe" in results.convention()
    conventions = results.conventions()["recipe"]  # of the first seed
    assert conventions.iloc[0] == pytest.approx(each[0])
    assert conventions.iloc[1] == pytest.approx(sk.accuracy_score(*judged(preds[1], targets)))
    assert len(results.per_image()) == 4 * 30
    assert (results.worst("recipe")["seed"] == 1).all()
    assert list(results.identity().columns) == ["recipe, seed 1", "recipe, seed 2", "recipe, seed 3", "alone"]


def test_identity_shows_what_decided_each_measurement(toys):
    table = toys.results.identity()
    assert list(table.columns) == ["good", "poor"]
    assert table.loc["fingerprint"].tolist() == ["f00d", "f00d"]
    assert table.loc["classes", "good"].startswith("['sky', ")


def test_what_the_targets_hold(toys):
    table = toys.results.data_table()
    assert list(table.index) == [*CLASS_SETS["street"].names, "void"]
    shares = [(toys.targets == label).mean() for label in [*range(11), VOID]]
    assert table["share"].tolist() == pytest.approx(shares)
    assert table["images"]["void"] == 40


def test_the_worst_images_are_the_worst_ones_of_the_whole_comparison(toys):
    table = toys.results.per_image().query("model == 'poor'")
    worst = toys.results.worst("poor", 3)
    assert worst["miou"].tolist() == sorted(table["miou"])[:3]
    assert worst["id"].tolist() == table.sort_values("miou")["id"].tolist()[:3]
    assert list(worst.columns) == list(table.columns)


def test_an_image_without_a_label_has_no_quality(tmp_path):
    targets = masks(12)
    targets[4] = VOID
    fill(tmp_path / "s.sqlite", "m", targets, spoilt(targets))
    results = Results.open(tmp_path / "s.sqlite")
    table = results.per_image().set_index("id")
    assert table.loc["image 4", ["miou", "pixel_accuracy"]].isna().all()
    assert "image 4" not in results.worst("m", 12)["id"].tolist()
    assert results.summary()["miou"].notna().all()


# Statistics -----------------------------------------------------------------------------------------------------------


def test_pairs_and_classes_come_with_their_conventions(toys):
    pairs, table = toys.results.compare(), toys.results.class_table("good")
    assert pairs[["better", "worse"]].iloc[0].tolist() == ["good", "poor"]
    assert pairs["separable"][0]
    summary = toys.results.summary()
    assert pairs["difference"][0] == pytest.approx(summary["miou"]["good"] - summary["miou"]["poor"])
    assert summary.attrs["note"] == pairs.attrs["note"] == toys.results.convention()
    assert summary.attrs["note"] == (
        "mIoU: over the data set, the 11 classes that it shows, void ignored, at original size;"
        " toys test: 40 images; intervals of 95%: covers test images, not retraining"
    )
    assert table["images"].tolist() == [(toys.targets == k).any(axis=(1, 2)).sum() for k in range(11)]
    assert table.attrs["note"].startswith("exploratory")
    assert toys.results.iou_table().attrs["note"].startswith("exploratory")


def test_images_of_one_group_are_drawn_together(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(20)
    for name, groups in (("a", ["north", "south", "east", "west"] * 5), ("b", None)):
        fill(tmp_path / f"{name}.sqlite", "m", targets, spoilt(targets), groups=groups)
    grouped, single = (Results.open(tmp_path / f"{name}.sqlite") for name in "ab")
    assert grouped.grouped.parts["m"].shape == (1, 4, 11, 3)
    assert (grouped.grouped.parts["m"][0, 2] == single.grouped.parts["m"][0, 2::4].sum(axis=0)).all()
    assert grouped.summary()["miou"]["m"] == single.summary()["miou"]["m"]
    assert "20 images in 4 groups" in grouped.convention()
    fill(path, "m", targets, spoilt(targets), groups=["one clip"] * 20)
    table = Results.open(path).summary()
    assert table["why"].tolist() == ["one clip: no interval"]
    assert table["low"].isna().all()


def test_bold_is_what_cannot_be_told_from_the_best(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(40)
    targets[8:][targets[8:] == 10] = VOID  # in eight images only
    fill(path, "good", targets, spoilt(targets, 0.2))
    fill(path, "twin", targets, spoilt(targets, 0.2))
    fill(path, "poor", targets, spoilt(targets, 0.7))
    results = Results.open(path)
    assert results.class_table("good")["why"].iloc[-1] == FEW_IMAGES
    html = results.iou_style().to_html()
    bold = next(rule for rule in html.split("</style>")[0].split("}") if "bold" in rule)
    for k in range(10):
        assert f"_row{k}_col0" in bold
        assert f"_row{k}_col1" in bold
        assert f"_row{k}_col2" not in bold
    assert "row10_" not in bold  # few images
    assert results.iou_style().to_html() == html
    # Two tables on one page: no rule of one is about a cell of the other.
    other = results.select("good", "poor").iou_style().to_html()
    cells = set(re.findall(r'id="(T_\w+)"', html))
    assert cells.isdisjoint(re.findall(r'id="(T_\w+)"', other))
    assert "row11_" not in bold  # the mean has its intervals in the table of pairs


def test_who_chose_and_who_trained_is_said(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(12)
    fill(path, "fair", targets, spoilt(targets), **{"trained on": "toys train 9 ab", "chosen on": "toys val 9 ab"})
    assert "no claim" not in Results.open(path).convention()
    fill(path, "keen", targets, spoilt(targets), **{"trained on": "toys train 9 ab", "chosen on": "toys test 9 ab"})
    fill(path, "unfair", targets, spoilt(targets), **{"trained on": "toys test 9 ab", "chosen on": None})
    note = Results.open(path).convention()
    assert "weights chosen on toys test, which supports no claim about them: keen" in note
    assert "; trained on toys test, which supports no claim about them: unfair" in note


def test_the_same_counts_give_the_same_csv(toys, tmp_path):
    for name in ("good", "poor"):
        fill(tmp_path / "again.sqlite", name, toys.targets, toys.preds[name])
    again = Results.open(tmp_path / "again.sqlite")
    for table in ("summary", "iou_table", "conventions", "per_image", "compare", "seeds", "data_table", "counts"):
        ours, theirs = (getattr(results, table) for results in (toys.results, again))
        assert (ours if table == "counts" else ours()).to_csv() == (theirs if table == "counts" else theirs()).to_csv()


# Boundaries and confidence --------------------------------------------------------------------------------------------


def test_boundary_iou_is_that_of_summed_counts(tmp_path):
    dataset = load_dataset("toytown", "test", size=(48, 64)).subset(range(4))
    total = np.zeros((11, 3), np.int64)
    (tmp_path / "moved").mkdir()
    for sample in dataset:
        pred = sample.target.roll(1, dims=1)
        pred[pred == VOID] = 0
        Image.fromarray(pred.numpy()).save(tmp_path / "moved" / f"{sample.id}.png")
        total += boundary_counts(pred, sample.target, 11)
    results = evaluate(Predictions(tmp_path / "moved", "street"), dataset, boundary=True, progress=False)
    table = results.boundary_iou()["moved"]
    np.testing.assert_array_equal(table.iloc[:-1], boundary_iou_per_class(total))
    assert table["mean"] == pytest.approx(np.nanmean(boundary_iou_per_class(total)[results.grouped.present]))
    with pytest.raises(ValueError, match="no confidences of moved are here"):
        results.calibration("moved")


def test_boundary_iou_is_over_classes_that_are_shown_and_images_that_all_have_finished(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(3)
    targets[targets == 10] = VOID  # predicted, but not shown
    preds, bins = spoilt(targets), []
    for pred, target in zip(preds, targets, strict=True):
        bins.append([("boundary", k, *map(int, row)) for k, row in enumerate(boundary_counts(pred, target, 11))])
    fill(path, "all", targets, preds, bins=bins)
    fill(path, "some", targets, preds, bins=bins, images=[0, 2])
    table = Results.open(path).boundary_iou()
    values = boundary_iou_per_class(np.array([[row[2:] for row in bins[i]] for i in (0, 2)]).sum(axis=0))
    assert values[10] == 0
    np.testing.assert_array_equal(table["all"].iloc[:-1], values)
    assert table.loc["mean"].tolist() == pytest.approx([values[:10].mean()] * 2)


def test_boundaries_that_were_not_counted_are_missed(toys):
    with pytest.raises(ValueError, match="no boundaries of good, poor were counted"):
        toys.results.boundary_iou()


def test_calibration_agrees_with_torchmetrics(tmp_path):
    torch.manual_seed(0)
    probs = (2 * torch.randn(6, 11, *SIZE)).softmax(1)
    targets = torch.multinomial(probs.permute(0, 2, 3, 1).reshape(-1, 11), 1).reshape(6, *SIZE).to(torch.uint8)
    targets[torch.rand(targets.shape) < 0.1] = VOID
    counts = [calibration_counts(p, t) for p, t in zip(probs, targets, strict=True)]
    bins = [[("calibration", i, *map(int, line)) for i, line in enumerate(table)] for table in counts]
    fill(tmp_path / "s.sqlite", "m", targets.numpy(), probs.argmax(1).to(torch.uint8).numpy(), bins=bins)
    table = Results.open(tmp_path / "s.sqlite").calibration("m")
    theirs = MulticlassCalibrationError(11, n_bins=15, ignore_index=VOID)(probs, targets.long())
    assert table.attrs["ece"] == pytest.approx(float(theirs), abs=1e-4)
    assert table["pixels"].sum() == (targets != VOID).sum()
    some = table.dropna()
    assert (some["confidence"] <= (some.index + 1) / 15).all()
    assert (some["confidence"] >= some.index / 15).all()


# Size -----------------------------------------------------------------------------------------------------------------


def test_a_store_with_many_classes_needs_no_table_of_all_pairs_for_each_image(tmp_path):
    """ADE20K's 150 classes: the counts of an image are (150, 3), not (150, 151)."""
    targets = masks(60, 150, size=(24, 32))
    fill(tmp_path / "s.sqlite", "m", targets, spoilt(targets, 0.3, 150), classes="ade20k")
    results = Results.open(tmp_path / "s.sqlite")
    t, p = judged(spoilt(targets, 0.3, 150), targets)
    theirs = sk.jaccard_score(t, p, labels=range(150), average=None)
    assert results.iou_table()["m"].iloc[:-1].tolist() == pytest.approx(theirs)
    assert {parts.shape for parts in results.parts.values()} == {(60, 150, 3)}
    assert len(results.conventions()) == 11
