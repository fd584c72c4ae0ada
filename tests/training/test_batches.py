"""The images, order and random numbers of training batches."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from helpers.tiny_training import SIZE, TINY, equal, run, small, town
from torch.utils.data import default_collate

from seglab import load_dataset
from seglab.training.batches import Batches, Pairs, chances
from seglab.training.recipe import Recipe
from seglab.training.steps import augment


@pytest.mark.slow
def test_loading_processes_change_nothing():
    assert equal(run()[0], run(workers=2)[0])
    pickle.loads(pickle.dumps(Batches(town(), partial(augment, recipe=TINY, favour=[]), 2).pairs))


@pytest.mark.slow
def test_dropout_is_as_random_with_loading_processes():
    """Its random numbers come from the generator that a loader would advance."""

    def model():
        plain = small()
        plain.net.classifier = torch.nn.Sequential(torch.nn.Dropout2d(0.5), plain.net.classifier)
        return plain

    assert equal(run(model=model())[0], run(model=model(), workers=1)[0])


def test_a_cached_sample_stays_as_it_was():
    transform = partial(augment, recipe=Recipe(size=SIZE, scale=(1.0, 1.0)), favour=[1])  # nearly the identity
    pairs = Pairs(town(), transform, keep=True)
    for _ in range(2):
        batch, _targets = default_collate([pairs[i] for i in range(8)])
        batch.zero_()
    fresh = load_dataset("toytown", "train", size=SIZE)
    for i in range(8):
        assert torch.equal(pairs.read(i)[0], fresh[i].image)
        assert torch.equal(pairs.read(i)[1], fresh[i].target)


def test_order_crops_and_processes():
    """Each image once an epoch, in another order and with another crop in the next; processes share the batches."""

    def batches(**options):
        return Batches(town(), partial(augment, recipe=TINY, favour=[]), **options)

    whole = batches(batch=4)
    first, second = (torch.cat([images for images, _ in whole.of(epoch)]) for epoch in (0, 1))
    assert first.shape == (8, 3, 32, 48)
    assert len({image.sum().item() for image in first} | {image.sum().item() for image in second}) == 16
    halves = [batches(batch=2, rank=rank, world=2) for rank in (0, 1)]
    for together, *apart in zip(whole.of(0), *(half.of(0) for half in halves), strict=True):
        assert torch.equal(together[0], torch.cat([images for images, _ in apart]))
        assert torch.equal(together[1], torch.cat([targets for _, targets in apart]))
    assert len(batches(batch=3)) == 2  # two images are left out
    assert len(batches(batch=3, world=2)) == 1


def test_several_crops_of_each_image():
    """Each image as often as stated, in crops that differ; with one crop nothing changes."""
    transform = partial(augment, recipe=TINY, favour=[])
    batches = Batches(town(), transform, 4, repeats=3)
    assert len(batches) == 6
    read, seen = batches.pairs.read, []
    batches.pairs.read = lambda index: seen.append(index % 8) or read(index)
    crops = torch.cat([images for images, _ in batches.of(0)])
    assert sorted(seen) == sorted([*range(8)] * 3)
    assert len({crop.sum().item() for crop in crops}) == 24
    once, plain = (torch.cat([images for images, _ in Batches(town(), transform, 4, **options).of(1)])
                   for options in ({"repeats": 1}, {}))  # fmt: skip
    assert torch.equal(once, plain)


def test_chances_by_hand():
    """Class 0 is in all four images, class 1 in two, class 2 in one; the last image has no label of classes 1 and 2."""
    counts = np.array([[9, 1, 0], [9, 5, 1], [9, 0, 0], [9, 0, 0]])
    assert chances(counts, 1.0).tolist() == [2, 4, 1, 1]
    assert chances(counts, 0.5).tolist() == pytest.approx([2**0.5, 2, 1, 1])
    assert chances(np.zeros((2, 3), int), 1.0).tolist() == [1, 1]  # nothing but void


def test_images_are_drawn_as_often_as_their_chances_say():
    """In each epoch rounded up or down; over many epochs in proportion; the same again for the same epoch."""
    batches = Batches(town(), lambda image, target: (image[0, :1, :1] * 0, target), batch=4)
    batches.chances = np.array([4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    batches.pairs.cache = {i: (torch.zeros(3, 1, 1), torch.full((1, 1), i)) for i in range(8)}

    def drawn(epoch):
        return torch.cat([targets.flatten() for _, targets in batches.of(epoch)])

    expected = 8 * torch.tensor(batches.chances) / batches.chances.sum()
    counts = torch.stack([drawn(epoch).bincount(minlength=8) for epoch in range(300)])
    assert (counts >= expected.floor()).all()
    assert (counts <= expected.ceil()).all()
    assert torch.allclose(counts.double().mean(0), expected, atol=0.12)
    assert torch.equal(drawn(5), drawn(5))
    assert not torch.equal(drawn(5), drawn(6))


def test_balance_draws_images_with_rare_classes_more_often():
    batches = Batches(town(), partial(augment, recipe=TINY, favour=[]), batch=4)
    batches.balance(1.0)
    present = np.stack([np.isin(range(11), town()[i].target) for i in range(8)])
    rarest = [min(present[:, present[i]].mean(0)) for i in range(8)]
    assert batches.chances.tolist() == pytest.approx([1 / fraction for fraction in rarest])
    batches.balance(0.0)
    assert batches.chances is None
