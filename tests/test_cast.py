"""The whole cast, by the names that users type: each model loads, looks at a photograph, and is judged.

Published weights are stand-ins in the libraries' own caches, under official names; there is no network.
"""

import json

import pandas as pd
import pytest
import torch
from helpers.standins import CLOSED, loud, put, taught, use_caches, use_hub
from skimage import data as photographs
from typer.testing import CliRunner

from seglab import CLASS_SETS, MODELS, load_model, overlay, predict
from seglab.__main__ import app
from seglab.models.checkpoints import save_model
from seglab.models.spec import ZOO

STRIPES = {"voc": [0, 7, 15, 20], "ade20k": [2, 4, 6, 20], "street": [0, 1, 3, 8]}  # classes that stand-ins learn
PHOTOGRAPH = photographs.chelsea()[::2, ::2]  # uint8 (150, 226, 3)


@pytest.fixture(scope="module")
def cast(tmp_path_factory):
    """name → what a user types for it."""
    folder = tmp_path_factory.mktemp("cast")
    with pytest.MonkeyPatch.context() as patch:
        use_caches(folder, patch)
        use_hub(CLOSED, patch)
        labels = {}
        for name, spec in MODELS.items():
            weights, row = next(iter(spec.weights.items()))
            labels[name] = name
            if row.source == ZOO:
                continue
            known = row.classes or "street"
            steps = 30 if spec.params < 12e6 else 6
            model = loud(known) if spec.family == "Mask2Former" else taught(name, known, STRIPES[known], steps)
            if row.classes:
                put(name, weights, model)
            else:  # only its encoder is published: fine-tuned, it is a checkpoint
                labels[name] = str(folder / f"{name}.safetensors")
                save_model(model, labels[name])
        yield labels


def row_of(name, label, folder):
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
    grid = "×".join(map(str, p.tiles[0].scores.shape[1:]))
    return {"label": model.label, "classes": p.classes.name, "named": len(p.mask.unique()), "grid": grid}


def judged(cast, data, split, out):
    """`seglab evaluate` of everything at once; a column a model."""
    named = [f"{name}={label}" for name, label in cast.items()]
    where = ["--data", data, "--split", split, "--images", "1", "--store", str(out / f"{data}.sqlite")]
    run = CliRunner().invoke(app, ["evaluate", *named, *where, "--csv", str(out / data)])
    assert run.exit_code == 0, run.output
    return pd.read_csv(out / data / "summary.csv", index_col=0), pd.read_csv(out / data / "iou.csv", index_col=0)


def test_every_model_plays_its_part(cast, real_data, tmp_path, capsys):
    table = pd.DataFrame({name: row_of(name, label, tmp_path) for name, label in cast.items()}).T
    assert list(table.index) == list(MODELS)
    for data, split in ("toytown", "test"), ("camvid", "val"), ("voc", "val"):
        summary, iou = judged(cast, data, split, tmp_path)
        assert set(summary.index) == set(MODELS)
        classes = {"voc": "voc"}.get(data, "street")
        assert set(iou.index) <= {*CLASS_SETS[classes].names, "mean"}
        table[data] = summary["miou"]
        assert table[data].dropna().between(0, 1).all()
        native = [name for name in MODELS if table.loc[name, "classes"] == classes]
        assert table.loc[native, data].notna().all()
    minis = [name for name in MODELS if name.endswith("_mini")]
    assert table.loc[minis, "toytown"].min() > 0.4
    (tmp_path / "cast.csv").write_text(table.to_csv())
    with capsys.disabled():
        print(f"\n{table.to_string()}")
