"""A tiny training, the same in every test: eight scenes, a U-Net of 30,000 parameters, four steps per epoch."""

import random
from functools import lru_cache, partial

import pandas as pd
import torch

from seglab import CLASS_SETS, load_dataset
from seglab.data.dataset import Record
from seglab.models.adapters import wrap
from seglab.models.norms import with_norm
from seglab.models.unet import UNet
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

STREET = CLASS_SETS["street"]
SIZE = (64, 96)
TINY = Recipe(epochs=3, batch=2, size=(32, 48))


@lru_cache
def town(split="train", count=8):
    """The first scenes of a split of Toytown, drawn once."""
    scenes = load_dataset("toytown", split, size=SIZE).subset(range(count))
    drawn = [Record(r.id, r.group, (), partial(tuple, r.read())) for r in scenes.records]
    return type(scenes)(scenes.name, split, scenes.classes, tuple(drawn))


def small(norm=None, seed=0):
    """A U-Net of 30,000 parameters."""
    torch.manual_seed(seed)
    model = wrap(UNet(11, width=4, depth=3), "street", title="small", backbone="encoder")
    return with_norm(model, norm) if norm else model


def run(recipe=TINY, model=None, **options):
    """Weights and history of a tiny training; random numbers drawn before it make no difference."""
    model = model or small()
    torch.rand(random.randrange(1, 99))
    history = fit(model, town(), town("val", 3), recipe, progress=False, **options)
    return snapshot(model), history


def snapshot(module):
    return {key: value.detach().clone() for key, value in module.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def without_seconds(history):
    return history.drop(columns="seconds")


def assert_same_files(one, other):
    names = {"best.safetensors", "last.safetensors", "history.csv", "run.json", "state.pt"}
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()} == names | {".seglab-train"}
    for name in ("best.safetensors", "last.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    tables = [without_seconds(pd.read_csv(folder / "history.csv")) for folder in (one, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
