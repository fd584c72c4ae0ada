"""Evaluators: the counts of models are those of a plain loop; label maps of other programs are evaluated alike."""

import copy
import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.evaluation import (
    NAMES,
    STREET,
    VOC,
    command,
    counted,
    cut_off,
    evaluate,
    fast_masks,
    noisy,
    of,
    plain_masks,
    stored,
    town,
)
from helpers.files import write_image
from PIL import Image
from torch.nn import functional as F

from seglab import CLASS_SETS, Results, load_dataset, load_model
from seglab.data.translation import translate
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION, LabelMapEvaluator, Options, Predictions
from seglab.evaluation.reading import read
from seglab.inference import fast
from seglab.inference.fast import FastModel
from seglab.metrics.boundary import boundary_counts
from seglab.metrics.calibration import calibration_counts


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_a_plain_loop(trained, name, monkeypatch):
    """Fused: at most one pixel in ten thousand differs. Unfused: none."""
    model, ds = load_model(trained[name], device="cpu"), town()
    assert model.short == 96
    plain, fused = plain_masks(model, ds), fast_masks(model, ds)
    pixels = sum(mask.size for mask in plain)
    assert len(np.unique(plain)) > 3
    assert sum((p != q).sum() for p, q in zip(plain, fused, strict=True)) <= pixels / 10_000

    results = evaluate(trained[name], ds)
    np.testing.assert_array_equal(stored(results), counted(fused, ds))
    assert results.tables.counts["pixels"].sum() == pixels
    assert results.tables.images["id"].to_list() == list(ds.ids)
    assert (results.tables.images["microseconds"] > 0).all()

    monkeypatch.setattr(fast, "fused", lambda model: copy.deepcopy(model).eval())
    np.testing.assert_array_equal(stored(evaluate(model, ds)), counted(plain, ds))


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_agrees_on_97_pixels_in_100(trained, name):
    model, ds = load_model(trained[name], device="cpu"), town()
    plain, half = plain_masks(model, ds), fast_masks(model, ds, "bfloat16")
    agreement = np.mean([p == q for p, q in zip(plain, half, strict=True)])
    assert 0.97 < agreement < 1
    np.testing.assert_array_equal(stored(evaluate(model, ds, precision="bfloat16")), counted(half, ds))


@pytest.mark.parametrize("name", NAMES)
def test_scoring_at_the_size_of_the_model(trained, name):
    """As for torchvision's published values, the target is resized instead of the scores."""
    model, ds = load_model(trained[name], device="cpu"), town()
    masks, targets, fast_model = [], [], FastModel(model)
    for i in range(len(ds)):
        masks.append(F.interpolate(fast_model(ds[i].image[None]), (96, 128), mode="bilinear")[0].argmax(0).numpy())
        rows, columns = ((torch.arange(n) * 1.25 + 0.625).long() for n in (96, 128))  # the nearest of 120×160
        targets.append(replace(ds[i], target=ds[i].target[rows][:, columns]))
    results = evaluate(model, ds, size="model", boundary=True)
    np.testing.assert_array_equal(stored(results), counted(masks, targets))
    assert "at the size of the network's input" in results.convention()


@pytest.mark.slow
@pytest.mark.parametrize("size", ["original", "model"])
def test_images_of_several_sizes_in_batches(trained, size):
    parts = [town(3), town(3, (100, 160)), town(2, (96, 96))]
    records = [r for part in parts for r in part.records]
    mixed = replace(town(), records=tuple(records[i] for i in (0, 1, 3, 2, 4, 5, 6, 7)))  # A A B A B B C C
    model = load_model(trained["lraspp_mini"], device="cpu")
    one, three = (evaluate(model, mixed, batch=n, size=size, boundary=True, calibration=True).tables for n in (1, 3))
    for name in ("images", "counts", "bins"):
        pd.testing.assert_frame_equal(
            *(getattr(t, name).drop(columns="microseconds", errors="ignore") for t in (one, three))
        )
    assert len(one.images) == 8


def test_each_side_keeps_its_own_classes():
    """The 21 classes of a VOC model on a street are stored as predicted."""
    model, ds = noisy("voc"), town(3)
    results = evaluate(model, ds, boundary=True, calibration=True)
    masks = fast_masks(model, ds)
    np.testing.assert_array_equal(stored(results), counted(masks, ds))
    assert results.tables.counts["pred"].max() > len(STREET)
    identity = json.loads(results.tables.runs["identity"][0])
    assert (identity["vocabulary"], identity["target vocabulary"]) == ("voc", "street")
    # Boundaries are those of the translated mask; confidences of other classes are not counted.
    translated = np.full(256, 255)
    for own, street in enumerate(translate(VOC, STREET).indices):
        translated[own] = 255 if street is None else street
    expected = sum(boundary_counts(translated[m], ds[i].target, len(STREET)) for i, m in enumerate(masks))
    np.testing.assert_array_equal(bins(results, BOUNDARY, len(STREET)), expected)
    assert set(results.tables.bins["kind"]) == {BOUNDARY}


def bins(results, kind, count):
    table, rows = np.zeros((count, 3), int), results.tables.bins
    rows = rows[rows["kind"] == kind]
    np.add.at(table, rows["bin"].to_numpy(), rows[["a", "b", "c"]].to_numpy())
    return table


def test_boundaries_and_confidences(trained):
    model, ds = load_model(trained["unet_mini"], device="cpu"), town()
    results, fast_model = evaluate(model, ds, boundary=True, calibration=True), FastModel(model)
    edges, confidences = np.zeros((11, 3), int), np.zeros((15, 3), int)
    for i, mask in enumerate(fast_masks(model, ds)):
        edges += boundary_counts(mask, ds[i].target, 11)
        scores = F.interpolate(fast_model(ds[i].image[None]), (120, 160), mode="bilinear")
        confidences += calibration_counts(scores.softmax(1)[0], ds[i].target)
    np.testing.assert_array_equal(bins(results, BOUNDARY, 11), edges)
    np.testing.assert_array_equal(bins(results, CALIBRATION, 15), confidences)
    assert confidences[:, 0].sum() == sum((ds[i].target != 255).sum() for i in range(len(ds)))
    assert (confidences[:, 0] > 0).sum() > 5
    assert len(evaluate(model, ds).tables.bins) == 0


def test_times_leave_out_building_the_fast_model(monkeypatch):
    """The milliseconds of a table are those of an image."""
    init = fast.FastModel.__init__

    def slow(*arguments):
        time.sleep(1)
        init(*arguments)

    monkeypatch.setattr(fast.FastModel, "__init__", slow)
    assert evaluate(noisy(), town(3)).tables.images["microseconds"].max() < 1e6


def test_scores_with_nan():
    model = noisy()
    model.net.classifier.bias.data[3] = float("nan")
    with pytest.raises(ValueError, match="noisy on val-20000: scores contain NaN"):
        evaluate(model, town(2))


def test_label_maps_are_evaluated_like_a_model(trained, label_maps, folder, tmp_path):
    results = evaluate(
        {"unet": trained["unet_mini"], "theirs": Predictions(label_maps, "street")}, town(), boundary=True
    )
    np.testing.assert_array_equal(stored(results, 0), stored(results, 1))
    assert results.tables.images["microseconds"].isna().tolist() == [False] * 6 + [True] * 6
    one, other = (t.drop(columns="run").reset_index(drop=True) for _, t in results.tables.bins.groupby("run"))
    pd.testing.assert_frame_equal(one, other)
    assert evaluate(Predictions(label_maps, STREET), town()).names == ["their masks"]

    run = command("--predictions", label_maps, *of(folder), "--store", tmp_path / "s.sqlite")
    assert run.exit_code == 0, run.output
    assert "their masks" in run.output
    np.testing.assert_array_equal(stored(Results.open(tmp_path / "s.sqlite")), stored(results, 1))


def test_a_label_map_that_changes_is_noticed(label_maps):
    ds = town()
    evaluator = LabelMapEvaluator("", Predictions(label_maps, "street"), ds.ids, Options(), ds.classes)
    assert len(evaluator([ds[0], ds[1]])) == 2
    write_image(label_maps / f"{ds.ids[1]}.png", np.zeros((120, 160)))
    with pytest.raises(ValueError, match=rf"{ds.ids[1]}\.png has changed since"):
        evaluator([ds[0], ds[1]])


def test_label_maps_with_other_values(label_maps):
    """255 is "none of these": an error, not void. `labels` translates other values."""
    for path in label_maps.iterdir():
        Image.fromarray(np.array(Image.open(path)) + 100).save(path)
    with pytest.raises(ValueError, match=r"labels 100 \(\d+ pixels\).*translate the mask with labels="):
        evaluate(Predictions(label_maps, "street"), town())
    labels = {i + 100: i for i in range(10)} | {110: 255}
    with pytest.raises(ValueError, match="translates 3 to 11, which is no class of 'street'"):
        evaluate(Predictions(label_maps, "street", labels={3: 11}), town())
    results = evaluate(Predictions(label_maps, "street", labels=labels), town())
    for path in label_maps.iterdir():
        Image.fromarray(np.array(Image.open(path)) - 100).save(path)
    plain = evaluate(Predictions(label_maps, "street"), town())
    moved = stored(plain)
    moved[..., 255] += moved[..., 10]
    moved[..., 10] = 0
    np.testing.assert_array_equal(stored(results), moved)
    assert (results.iou_table()["their masks"]["sky"]) == plain.iou_table()["their masks"]["sky"]


def missing(path):
    path.unlink()


def too_small(path):
    Image.open(path).resize((80, 60), Image.Resampling.NEAREST).save(path)


def of_another_set(path):
    Image.fromarray(np.array(Image.open(path)) + 7).save(path)


def colours(path):
    Image.open(path).convert("RGB").save(path)


WRONG = {
    missing: r"2\.png is missing; predictions are label maps, one ID\.png for each image",
    too_small: r"val-20002: .*2\.png is \(60, 80\) and the target \(120, 160\); write masks at the image's size",
    of_another_set: r"labels? 1\d \(\d+ pixels?\).* outside the 11 classes of 'street'",
    colours: r"2\.png: expected one label per pixel, found mode RGB\. All channels are equal",
    cut_off: r"2\.png: damaged or cut off",
}


@pytest.mark.slow
@pytest.mark.parametrize("spoil", WRONG)
def test_unusable_label_maps(label_maps, tmp_path, spoil):
    """Images finished before stay in the store."""
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    spoil(label_maps / f"{town().ids[2]}.png")
    with pytest.raises(ValueError, match=WRONG[spoil]):
        evaluate(Predictions(label_maps, "street"), town(), tmp_path / "s.sqlite")
    images = read(tmp_path / "s.sqlite").images
    assert images.groupby("run").size().to_list() == ([6] if spoil is missing else [6, 2])


def test_binary_masks_saved_as_0_and_255(tmp_path):
    scenes = replace(town(1), classes=CLASS_SETS["membrane"])
    Image.fromarray((scenes[0].target.numpy() == 1).astype(np.uint8) * 255).save(tmp_path / f"{scenes.ids[0]}.png")
    with pytest.raises(ValueError, match=r"a binary mask saved as 0/255.*Give labels=\{0: 0, 255: 1\}"):
        evaluate(Predictions(tmp_path, "membrane"), scenes)
    with pytest.raises(ValueError, match="stored predictions are scored at their own size"):
        evaluate(Predictions(tmp_path, "membrane"), scenes, size="model")
    results = evaluate(Predictions(tmp_path, "membrane", labels={0: 0, 255: 1}), scenes)
    assert set(results.tables.counts["pred"]) == {0, 1}


@pytest.mark.parametrize("data", ["camvid", "voc", "coco", "membrane"])
def test_real_images(real_data, data):
    """Counts are those of the masks; classes without a counterpart are errors or void."""
    ds = load_dataset(data, "val", root=real_data).subset([0, 2, 4])
    models = {"street": noisy(short=96), "voc": noisy("voc", short=96)}
    if data == "membrane":  # none of its classes is one of the models'
        with pytest.raises(ValueError, match=r"predicts other classes .* than membrane 'membrane' has"):
            evaluate(models, ds, batch=2)
        return
    results = evaluate(models, ds, batch=2)
    for run, model in enumerate(models.values()):
        np.testing.assert_array_equal(stored(results, run), counted(fast_masks(model, ds), ds))
    assert {name for name in results.names if covers_all_classes(results.select(name))} == {
        "camvid": {"street"}, "voc": {"voc"}, "coco": {"voc"}}[data]  # fmt: skip


def covers_all_classes(results):
    """Whether a model can predict every class of the data."""
    return len(results.iou_table()) == len(results.classes) + 1
