"""The training loop learns, and repeats itself to the last bit; a model is the same before and after it is saved."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from helpers.tiny_training import SIZE, STREET, TINY, equal, run, small, snapshot, town, without_seconds

from seglab import load_dataset, load_model, predict
from seglab.data.transforms import eval_transform
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.models.adapters import wrap
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.models.registry import MODELS
from seglab.models.unet import UNet
from seglab.training import loop
from seglab.training.loop import fit, validate
from seglab.training.losses import criterion
from seglab.training.recipe import Recipe
from seglab.viz import charts
from seglab.viz.charts import live_chart


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lraspp_mini", "unet_mini"])
def test_learns(name):
    """The loss falls, and the model keeps the weights of the best row of the history."""
    torch.manual_seed(0)
    model, val = load_model(name, weights=None, device="cpu"), town("val", 5)
    history = fit(model, town(count=16), val, Recipe(epochs=3, batch=4, size=SIZE), progress=False)
    assert list(history.columns) == ["loss", "val_loss", "miou", "pixel_accuracy", "lr", "seconds", *STREET.names]
    assert list(history.index) == [1, 2, 3]
    assert history["loss"][3] < 0.85 * history["loss"][1]
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())

    counts, val_loss = validate(model, val, SIZE, criterion("ce"), Accelerator())
    best = history.loc[history["miou"].idxmax()]
    assert counts.sum() == sum((town("val", 5)[i].target != 255).sum() for i in range(5))  # each image counts once
    assert (mean_iou(counts), pixel_accuracy(counts), val_loss) == (
        best["miou"],
        best["pixel_accuracy"],
        best["val_loss"],
    )
    np.testing.assert_array_equal(iou_per_class(counts), best[list(STREET.names)].astype(float))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [{"ema": 0.8}, {}])
@pytest.mark.parametrize("keep", [True, False])
def test_the_best_epoch_is_kept(tmp_path, monkeypatch, keep, recipe):
    """Not the last one: invented measures make the second of three the best."""
    measures, seen = iter([0.2, 0.9, 0.9]), []
    monkeypatch.setattr(loop, "mean_iou", lambda counts: next(measures))
    monkeypatch.setattr(loop, "validate", lambda model, *_: (seen.append(snapshot(model)), validate(model, *_))[1])
    weights, history = run(replace(TINY, **recipe), out=tmp_path if keep else None)
    assert equal(weights, seen[1])
    assert not equal(weights, seen[2])
    assert list(history["miou"]) == [0.2, 0.9, 0.9]


def test_an_absent_class_does_not_hide_the_first_epoch(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "mean_iou", lambda counts: float("nan"))
    _, history = run(out=tmp_path)
    assert history["miou"].isna().all()
    assert "NaN" not in (tmp_path / "run.json").read_text()


def test_losses_are_means_by_hand():
    """The validation loss is the mean over images, at the size of the labels."""
    model, val = small(), town("val", 3)
    pairs = [eval_transform((32, 48))(val[i].image, val[i].target) for i in range(3)]
    with torch.inference_mode():
        by_hand = [criterion("ce")(model(model.preprocess(image)), target[None]).item() for image, target in pairs]
    assert validate(model, val, (32, 48), criterion("ce"), Accelerator())[1] == pytest.approx(np.mean(by_hand))


# --- a model is the same before and after it is saved -------------------------------------------------------------


def assert_same_predictions(one, other, image):
    """Equal scores at the size of the training, equal upsampled scores, and equal masks."""
    before, after = predict(one, image), predict(other, image)
    assert torch.equal(before.tiles[0].scores, after.tiles[0].scores)
    assert torch.equal(before.scores(), after.scores())
    assert torch.equal(before.mask, after.mask)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name.endswith("_mini")])
def test_a_trained_model_predicts_the_same_after_it_is_saved(name, tmp_path):
    """On an image larger than the crops, in whatever way the weights are saved and loaded."""
    torch.manual_seed(0)
    model, image = load_model(name, weights=None, device="cpu"), town()[0].image
    fit(model, town("train", 2), town("val", 1), replace(TINY, epochs=1, ema=0.5), tmp_path, progress=False)
    save_model(model, tmp_path / "saved.safetensors")
    assert model.short == 32 < min(image.shape[1:])
    assert len(predict(model, image).scores().flatten(1).std(dim=1).nonzero()) > 5  # not a constant
    for again in ("best.safetensors", "last.safetensors", "saved.safetensors"):
        loaded = load_model(tmp_path / again, device="cpu")
        assert loaded.short == 32
        assert_same_predictions(model, loaded, image)


@pytest.mark.slow
def test_a_training_at_native_resolution_is_validated_and_predicts_in_tiles(tmp_path):
    """Of the size of its crops; before and after it is saved, and with the measures of its history."""
    model, val = small(), town("val", 2)
    recipe = replace(TINY, epochs=2, resolution="native", repeats=2)
    history = fit(model, town(), val, recipe, tmp_path, progress=False)
    assert (model.short, model.tile) == (None, (32, 48))
    again = load_model_of(model, tmp_path / "best.safetensors")
    assert (again.short, again.tile) == (None, (32, 48))
    assert_same_predictions(model, again, val[0].image)
    counts = torch.zeros(11, 11, dtype=torch.int64)
    for i in range(len(val)):
        p = predict(again, val[i].image)
        assert len(p.tiles) == 9 and {tile.scores.shape[1:] for tile in p.tiles} == {(32, 48)}
        counts += confusion_matrix(p.mask, val[i].target, 11)
    best = history.loc[history["miou"].idxmax()]
    assert counts.sum() == sum((val[i].target != 255).sum() for i in range(len(val)))
    assert float(mean_iou(counts)) == pytest.approx(best["miou"], abs=2e-3)  # prediction folds BatchNorm
    assert 0 < best["val_loss"] < 5
    assert len(predict(model, val[0].image, tile=(64, 96)).tiles) == 1  # other tiles are possible
    fit(model, town(), val, replace(TINY, epochs=1), progress=False)
    assert (model.short, model.tile) == (32, None)


def load_model_of(model, path):
    """A copy of a model that is in no registry, with the weights and settings of a checkpoint."""
    facts, state = read_checkpoint(path)
    again = small(seed=1)
    again.net.load_state_dict(state)
    again.short, again.tile = facts["short"], facts["tile"] and tuple(facts["tile"])
    return again.eval()


@pytest.mark.parametrize("short", [48, None])
def test_a_short_side_set_by_hand_is_saved(short, tmp_path):
    model = load_model("unet_mini:toytown", device="cpu")
    assert model.short == 192  # the crops of its training: its checkpoint is older than the key "short"
    model.short, model.tile = short, None if short else (96, 128)
    save_model(model, tmp_path / "model.safetensors", run=model.facts["run"])
    loaded = load_model(tmp_path / "model.safetensors", device="cpu")
    assert (loaded.short, loaded.tile) == (short, model.tile)
    assert_same_predictions(model, loaded, town()[0].image)


@pytest.mark.slow
def test_a_wrapped_model_keeps_its_short_side_until_it_is_trained(tmp_path):
    """`load_model` cannot build a wrapped module; its checkpoint stores the short side and the library's own keys."""
    model = wrap(UNet(11, width=4, depth=3), "street", title="own", short=40)
    assert predict(model, town()[0].image).tiles[0].scores.shape[1:] == (40, 60)
    for short in (40, 32):
        save_model(model, tmp_path / "own.safetensors")
        facts, state = read_checkpoint(tmp_path / "own.safetensors")
        again = wrap(UNet(11, width=4, depth=3), "street", short=facts["short"])
        again.net.load_state_dict(state)
        assert facts["short"] == model.short == short
        assert_same_predictions(model, again, town()[0].image)
        fit(model, town(), town("val", 1), replace(TINY, epochs=1, ema=0.5), progress=False)
    with pytest.raises(ValueError, match="unknown model 'own'"):
        load_model(tmp_path / "own.safetensors")


# --- it repeats itself --------------------------------------------------------------------------------------------

VARIANTS = {
    "plain": {},
    "ema": {"ema": 0.8},
    "balance": {"balance": 1.0},
    "backbone_lr": {"backbone_lr": 0.1},
    "favour": {"favour": ("pole", "sign")},
    "weights": {"weights": "median", "loss": "ce+dice"},
    "freeze": {"freeze": 1},
    "sgd": {"optimizer": "sgd"},
    "bfloat16": {"precision": "bfloat16"},
    "group": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_seed_gives_the_same_weights(variant):
    recipe = replace(TINY, **VARIANTS[variant])
    norm = "group" if variant == "group" else None
    weights, history = run(recipe, small(norm))
    again, history_again = run(recipe, small(norm))
    other, _ = run(replace(recipe, seed=1), small(norm))
    assert equal(weights, again)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(history_again), check_exact=True)
    assert not equal(weights, other)
    assert history["loss"][3] < history["loss"][1]
    if variant != "plain" and variant != "group":
        assert not equal(weights, run()[0])  # the setting does something


TOGETHER = """
import sys
import torch
from accelerate import Accelerator
from seglab import load_dataset, load_model
from seglab.__main__ import app
from seglab.training.losses import criterion
from seglab.training.recipe import Recipe
from seglab.training.loop import fit, validate

out, size = sys.argv[1], (64, 96)
app(["train", "lraspp_mini", "--data", "camvid", "--size", "64", "96", "--batch", "2", "--epochs", "3", "--freeze", "1",
     "--ema", "0.5", "--out", out], standalone_mode=False)
model, val = load_model(out + "/best.safetensors"), load_dataset("camvid", "val")
accelerator = Accelerator()
counts, loss = validate(model, val, size, criterion("ce"), accelerator)

torch.manual_seed(0)
model, seen = load_model("unet_mini", weights=None, norm="group"), []
recipe = Recipe(epochs=3, batch=2, size=(32, 48), freeze=1, lr=1e-3)
record = lambda _: seen.append({k: v.clone() for k, v in model.backbone.state_dict().items()})
first = {k: v.clone() for k, v in model.backbone.state_dict().items()}
history = fit(model, load_dataset("camvid", "train"), val, recipe, progress=False, on_epoch=record)
torch.save({"counts": counts, "loss": loss, "model": model.state_dict(), "first": first, "seen": seen,
            "losses": history["loss"].to_list()}, f"{out}-{accelerator.process_index}.pt")
"""


@pytest.mark.slow
def test_two_processes(start, camvid, tmp_path, monkeypatch):
    """They write one set of files, have equal weights, and together count each validation image once."""
    (tmp_path / "together.py").write_text(TOGETHER)
    process = start(tmp_path / "together.py", tmp_path / "run", processes=2)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert output.count("best after epoch") == 1
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        ".seglab-train", "best.safetensors", "last.safetensors", "history.csv", "run.json", "state.pt"}  # fmt: skip
    one, other = (torch.load(tmp_path / f"run-{rank}.pt") for rank in (0, 1))

    monkeypatch.setenv("SEGLAB_DATA", str(camvid))
    best, val = load_model(tmp_path / "run" / "best.safetensors", device="cpu"), load_dataset("camvid", "val")
    counts, loss = validate(best, val, SIZE, criterion("ce"), Accelerator())
    history = pd.read_csv(tmp_path / "run" / "history.csv", index_col="epoch")
    for theirs in (one, other):
        assert torch.equal(theirs["counts"], counts)
        assert theirs["loss"] == pytest.approx(loss, rel=1e-6)
    measured = history.loc[history["miou"].idxmax()]  # with these weights, BatchNorm's averages included
    assert (mean_iou(counts), loss) == (measured["miou"], pytest.approx(measured["val_loss"], rel=1e-6))

    assert equal(one["model"], other["model"])
    assert equal(one["seen"][0], one["first"])
    assert not any(torch.equal(one["seen"][1][key], one["first"][key]) for key in one["first"])
    # Two images in each of two processes are a batch of four in one.
    torch.manual_seed(0)
    model = load_model("unet_mini", weights=None, norm="group", device="cpu")
    recipe = Recipe(epochs=3, batch=4, size=(32, 48), freeze=1, lr=1e-3)
    alone = fit(model, load_dataset("camvid", "train"), val, recipe, progress=False)["loss"].to_list()
    assert one["losses"] == other["losses"] == pytest.approx(alone, rel=0.01)


# --- what it refuses ----------------------------------------------------------------------------------------------


def test_what_cannot_be_trained():
    tiny = Recipe(epochs=1, batch=2, size=(32, 48))
    with pytest.raises(ValueError, match=r"'membrane' classes and 'toytown' has 'street'.*classes=train.classes"):
        fit(load_model("unet_mini", weights=None, classes="membrane"), town(), town("val", 2), tiny)
    with pytest.raises(ValueError, match="8 training images do not fill one batch of 9"):
        fit(small(), town(), town("val", 2), Recipe(batch=9))
    with pytest.raises(ValueError, match=r"cannot train on a batch of one.*GroupNorm"):
        fit(
            load_model("deeplabv3_mini", weights=None),
            town(),
            town("val", 2),
            Recipe(batch=1, size=(32, 48)),
            progress=False,
        )
    with pytest.raises(ValueError, match="the backbone of UNet is unknown"):
        fit(wrap(UNet(11, 4), "street"), town(), town("val", 2), Recipe(batch=2, freeze=1), progress=False)
    with pytest.raises(ValueError, match="unknown street class 'pols'"):
        run(Recipe(batch=2, favour=("pols",)))
    with pytest.raises(ValueError, match=r"the loss is \w+ in epoch 1; try a lower learning rate than 1e\+30"):
        run(replace(TINY, lr=1e30, clip=0.0))


# --- what it shows ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_live_chart_is_one_figure_that_is_updated():
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    try:
        shell.display_pub = CapturingDisplayPublisher()
        run(on_epoch=live_chart(STREET))
        outputs = shell.display_pub.outputs
    finally:
        InteractiveShell.clear_instance()
    assert [output["update"] for output in outputs] == [False, True, True]
    assert len({output["transient"]["display_id"] for output in outputs}) == 1
    assert len({output["data"]["image/png"] for output in outputs}) == 3
    alts = [output["metadata"]["image/png"]["alt"] for output in outputs]
    assert [alt.split(":")[0] for alt in alts] == [f"Training over {n} epochs" for n in (1, 2, 3)]


def test_chart():

    _, history = run()
    figure = charts.training(history, STREET)
    assert "validation loss" in figure.alt and f"at best {history['miou'].max():.2f}" in figure.alt
    losses, ious = figure.axes
    np.testing.assert_array_equal(losses.lines[0].get_ydata(), history["loss"])
    np.testing.assert_array_equal(ious.lines[-1].get_ydata(), history["miou"])
    assert len(ious.lines) == 12
