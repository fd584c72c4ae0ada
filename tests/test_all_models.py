"""Every model of `MODELS`, by the name that a user types: it is loaded, predicts a photograph, and is evaluated.

Published weights are stand-ins in the libraries' own caches, under official names; there is no network.
"""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from helpers.standins import CLOSED, put_in_cache, train_briefly, use_caches, use_hub, varied_mask2former
from skimage import data as photographs
from typer.testing import CliRunner

from seglab import CLASS_SETS, MODELS, load_model, overlay, predict
from seglab.__main__ import app
from seglab.models.checkpoints import save_model
from seglab.models.spec import ZOO
from seglab.models.weights.cards import is_available

# Classes that stand-ins learn.
STRIPES = {"voc": [0, 7, 15, 20], "ade20k": [2, 4, 6, 20], "street": [0, 1, 3, 8], "photographs": [0, 1, 2, 5]}
PHOTOGRAPH = photographs.chelsea()[::2, ::2]  # uint8 (150, 226, 3)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """name → what a user types for the model: its name, or the checkpoint of a fine-tuned encoder."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        use_caches(folder, patch)
        use_hub(CLOSED, patch)
        labels = {}
        for name, spec in MODELS.items():
            weights, row = next(iter(spec.weights.items()))
            labels[name] = name
            if row.source == ZOO and is_available(spec, weights):
                continue
            if row.short:  # smaller images than the published weights expect: the test would take four times as long
                patch.setitem(spec.weights, weights, replace(row, short=192))
            classes = row.classes or "street"
            if spec.family == "Mask2Former":
                model = varied_mask2former(classes)
            else:
                model = train_briefly(name, classes, STRIPES[classes], steps=30 if spec.params < 12e6 else 6)
            if row.classes and row.source != ZOO:
                put_in_cache(name, weights, model, patch)
            else:
                labels[name] = str(folder / f"{name}.safetensors")
                save_model(model, labels[name])
        yield labels


def row_of(name, label, folder):
    """Predict a photograph and export the card; a row of facts about the prediction."""
    model = load_model(label, device="cpu")
    p = predict(model, PHOTOGRAPH)
    painted = overlay(PHOTOGRAPH, p.mask, p.classes)
    run = CliRunner().invoke(app, ["models", name, "--card", str(folder / f"{name}.json")])
    card = json.loads((folder / f"{name}.json").read_text())
    assert run.exit_code == 0
    assert p.mask.shape == PHOTOGRAPH.shape[:2]
    assert p.mask.dtype == torch.uint8
    assert p.scores().shape == (len(p.classes), *PHOTOGRAPH.shape[:2])
    assert (painted != PHOTOGRAPH).any()
    assert card["params"] == MODELS[name].params
    low = "×".join(map(str, p.tiles[0].scores.shape[1:]))
    return {"label": model.label, "classes": p.classes.name, "predicted": len(p.mask.unique()), "scores": low}


def evaluated(labels, data, split, out):
    """`seglab evaluate` of all models at once: the tables summary.csv and iou.csv."""
    models = [f"{name}={label}" for name, label in labels.items()]
    options = ["--data", data, "--split", split, "--images", "1", "--store", str(out / f"{data}.sqlite")]
    run = CliRunner().invoke(app, ["evaluate", *models, *options, "--csv", str(out / data)])
    assert run.exit_code == 0, run.output
    return pd.read_csv(out / data / "summary.csv", index_col=0), pd.read_csv(out / data / "iou.csv", index_col=0)


@pytest.mark.slow
def test_every_model_predicts_and_is_evaluated(labels, real_data, tmp_path, capsys):
    table = pd.DataFrame({name: row_of(name, label, tmp_path) for name, label in labels.items()}).T
    assert list(table.index) == list(MODELS)
    for data, split in ("toytown", "test"), ("camvid", "val"), ("voc", "val"):
        summary, iou = evaluated(labels, data, split, tmp_path)
        assert set(summary.index) == set(MODELS)
        classes = {"voc": "voc"}.get(data, "street")
        assert set(iou.index) <= {*CLASS_SETS[classes].names, "mean"}
        table[data] = summary["miou"]
        assert table[data].dropna().between(0, 1).all()
        native = [name for name in MODELS if table.loc[name, "classes"] == classes]
        assert table.loc[native, data].notna().all()
    minis = {name: label for name, label in labels.items() if name.endswith("_mini")}
    (tmp_path / "minis").mkdir()
    alone, _ = evaluated(minis, "toytown", "test", tmp_path / "minis")  # over all street classes, not the shared ones
    assert alone["miou"].min() > 0.4
    with capsys.disabled():
        print(f"\n{table.to_string()}")
