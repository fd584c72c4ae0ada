"""Tables of results: against scikit-learn and torchmetrics, and by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.stores import SIZE, VOID, fill, labelled, masks, spoilt
from PIL import Image
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassCalibrationError, MulticlassJaccardIndex

from seglab import load_dataset
from seglab.data.classes import CLASS_SETS
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.loop import evaluate
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


def test_tables_agree_with_scikit_learn(toys):
    table, summary, labels = toys.results.iou_table(), toys.results.summary(), list(range(11))
    for name, pred in toys.preds.items():
        t, p = labelled(pred, toys.targets)
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
        assert row["pixel_accuracy"] == pytest.approx(sk.accuracy_score(*labelled(pred, target)))


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
def test_label_maps_of_real_data_agree_with_scikit_learn(real_data, tmp_path, name, split):
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
    both = [labelled(p, t) for t, p in pairs]
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


def test_counts_are_numbers_of_pixels(toys):
    counts = toys.results.counts
    assert list(counts.columns) == ["model", "seed", "id", "target", "pred", "pixels"]
    assert counts["pixels"].sum() == 2 * toys.targets.size
    road = counts.query("model == 'good' and id == 'image 3' and target == 'road' and pred == 'road'")["pixels"].item()
    assert road == ((toys.targets[3] == 3) & (toys.preds["good"][3] == 3)).sum()


def test_choice_among_several_data_sets(tmp_path):
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


def test_store_without_runs(tmp_path):
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


def test_training_seeds_of_one_recipe_are_one_model(tmp_path):
    path, targets = tmp_path / "s.sqlite", masks(30)
    preds = {seed: spoilt(targets, 0.2 + 0.1 * seed, seed=seed) for seed in (1, 2, 3)}
    facts = {"cost": {"params": 2e6, "macs": 3e9, "peak_bytes": 4e6}}
    for seed in (2, 3, 1):  # in any order
        fill(path, "recipe", targets, preds[seed], seed=seed, facts=facts, microseconds=1000 * seed)
    fill(path, "alone", targets, spoilt(targets, 0.3, seed=9))
    results = Results.open(path)
    each = [sk.jaccard_score(*labelled(pred, targets), average="macro") for pred in preds.values()]
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
    assert conventions.iloc[1] == pytest.approx(sk.accuracy_score(*labelled(preds[1], targets)))
    assert len(results.per_image()) == 4 * 30
    assert (results.worst("recipe")["seed"] == 1).all()
    assert list(results.identity().columns) == ["recipe, seed 1", "recipe, seed 2", "recipe, seed 3", "alone"]


def test_identity_table(toys):
    table = toys.results.identity()
    assert list(table.columns) == ["good", "poor"]
    assert table.loc["fingerprint"].tolist() == ["f00d", "f00d"]
    assert table.loc["classes", "good"].startswith("['sky', ")


def test_data_table(toys):
    table = toys.results.data_table()
    assert list(table.index) == [*CLASS_SETS["street"].names, "void"]
    fractions = [(toys.targets == label).mean() for label in [*range(11), VOID]]
    assert table["share"].tolist() == pytest.approx(fractions)
    assert table["images"]["void"] == 40


def test_worst_images_are_rows_of_per_image(toys):
    table = toys.results.per_image().query("model == 'poor'")
    worst = toys.results.worst("poor", 3)
    assert worst["miou"].tolist() == sorted(table["miou"])[:3]
    assert worst["id"].tolist() == table.sort_values("miou")["id"].tolist()[:3]
    assert list(worst.columns) == list(table.columns)


def test_image_without_labels_has_no_iou(tmp_path):
    targets = masks(12)
    targets[4] = VOID
    fill(tmp_path / "s.sqlite", "m", targets, spoilt(targets))
    results = Results.open(tmp_path / "s.sqlite")
    table = results.per_image().set_index("id")
    assert table.loc["image 4", ["miou", "pixel_accuracy"]].isna().all()
    assert "image 4" not in results.worst("m", 12)["id"].tolist()
    assert results.summary()["miou"].notna().all()


def test_tables_carry_their_conventions(toys):
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


def test_bold_models_are_not_significantly_different_from_the_best(tmp_path):
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
    # The CSS rules of two tables on one page do not interfere.
    other = results.select("good", "poor").iou_style().to_html()
    cells = set(re.findall(r'id="(T_\w+)"', html))
    assert cells.isdisjoint(re.findall(r'id="(T_\w+)"', other))
    assert "row11_" not in bold  # the intervals of the mean are in the table of pairs


def test_equal_counts_give_equal_csv(toys, tmp_path):
    for name in ("good", "poor"):
        fill(tmp_path / "again.sqlite", name, toys.targets, toys.preds[name])
    again = Results.open(tmp_path / "again.sqlite")
    for table in ("summary", "iou_table", "conventions", "per_image", "compare", "seeds", "data_table", "counts"):
        ours, theirs = (getattr(results, table) for results in (toys.results, again))
        assert (ours if table == "counts" else ours()).to_csv() == (theirs if table == "counts" else theirs()).to_csv()


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
    with pytest.raises(ValueError, match="no confidences of moved were counted"):
        results.calibration("moved")


def test_boundary_iou_covers_shown_classes_and_finished_images(tmp_path):
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


def test_boundaries_that_were_not_counted(toys):
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
