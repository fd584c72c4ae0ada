"""What tests of `evaluate` share: small scenes and models, and counts made by plain loops."""

import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as T
from typer.testing import CliRunner

from seglab import CLASS_SETS, load_dataset
from seglab.__main__ import app
from seglab.data.dataset import Record, SegmentationDataset
from seglab.evaluation import loop
from seglab.inference.fast import FastModel
from seglab.masks.argmax import to_mask
from seglab.models.adapters import wrap
from seglab.models.unet import UNet

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]
NAMES = ["lraspp_mini", "unet_mini"]


def evaluate(*arguments, threads=3, **options):
    """Evaluate three images in parallel, whatever the number of threads of this machine."""
    torch.set_num_threads(threads)
    try:
        return loop.evaluate(*arguments, **({"device": "cpu", "progress": False} | options))
    finally:
        assert torch.get_num_threads() == threads
        torch.set_num_threads(1)


@lru_cache
def town(count=6, size=(120, 160), split="val") -> SegmentationDataset:
    """The first scenes of a split, drawn once; with short sides that none of the models was trained on."""
    scenes = load_dataset("toytown", split, size=size).subset(range(count))
    drawn = [Record(r.id, r.group, (), partial(tuple, r.read())) for r in scenes.records]
    return replace(scenes, records=tuple(drawn))


def noisy(classes="street", **options):
    """An untrained model whose predictions vary from pixel to pixel."""
    torch.manual_seed(0)
    model = wrap(UNet(len(CLASS_SETS[classes]), width=4, depth=2), classes, title="noisy", **options)
    nn.init.normal_(model.net.classifier.weight, std=3)
    return model


@torch.inference_mode()
def plain_scores(model, image, size):
    """Resize, normalise, forward, interpolate."""
    if model.short is not None:
        image = T.resize(image, [model.short], antialias=True)
    batch = T.normalize(image[None] / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return F.interpolate(model(batch), size, mode="bilinear", align_corners=False)[0]


def plain_masks(model, dataset):
    return [
        plain_scores(model, s.image, s.target.shape).argmax(0).numpy()
        for s in map(dataset.__getitem__, range(len(dataset)))
    ]


def fast_masks(model, dataset, precision="float32"):
    fast = FastModel(model, precision)
    samples = map(dataset.__getitem__, range(len(dataset)))
    return [to_mask(fast(s.image[None]), size=tuple(s.target.shape))[0].numpy() for s in samples]


def counted(masks, dataset):
    """image → int (256, 256), rows targets."""
    tables = np.zeros((len(dataset), 256, 256), int)
    for i, mask in enumerate(masks):
        np.add.at(tables[i], (dataset[i].target.numpy(), mask), 1)
    return tables


def stored(results, run=0):
    """The same counts from the store."""
    rows, images = results.tables.counts, results.tables.images
    rows = rows[rows["run"] == run]
    tables = np.zeros(((images["run"] == run).sum(), 256, 256), int)
    image, target, pred, pixels = rows[["image", "target", "pred", "pixels"]].to_numpy().T
    np.add.at(tables, (image, target, pred), pixels)
    assert (rows["pixels"] > 0).all()
    return tables


def assert_same(one, other, but=()):
    """All four tables are equal, except for the times."""
    for name in ("runs", "images", "counts", "bins"):
        a, b = (getattr(t, name).drop(columns="microseconds", errors="ignore") for t in (one, other))
        pd.testing.assert_frame_equal(
            a.drop(columns=list(but), errors="ignore"), b.drop(columns=list(but), errors="ignore")
        )


def finished(path):
    """The number of images in a store that another process is writing."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM images").fetchone()[0]
    return 0


def cut_off(path):
    path.write_bytes(path.read_bytes()[:300])


def of(folder):
    return "--data", "folder", "--root", folder, "--classes", "street"


def command(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
