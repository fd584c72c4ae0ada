"""The training loop learns, repeats itself to the last bit, and survives being killed."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch.utils.data import default_collate
from typer.testing import CliRunner

from seglab import CLASS_SETS, load_dataset, load_model
from seglab.__main__ import app
from seglab.data.dataset import Record
from seglab.data.transforms import eval_transform
from seglab.metrics.measures import iou_per_class, mean_iou, pixel_accuracy
from seglab.models import checkpoints
from seglab.models.adapters import wrap
from seglab.models.norms import with_norm
from seglab.models.unet import UNet
from seglab.training import loop, runs
from seglab.training.batches import Batches, Pairs
from seglab.training.loop import fit, validate
from seglab.training.losses import criterion
from seglab.training.recipe import Recipe, augment, learning_rate
from seglab.viz.charts import live_chart

STREET = CLASS_SETS["street"]
SIZE = (64, 96)
TINY = Recipe(epochs=3, batch=2, size=(32, 48))  # four steps an epoch on eight scenes


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As in the processes that are started here: the number of threads changes the last bits, and so does a GPU."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@lru_cache
def town(split="train", count=8):
    """The first scenes of a split, drawn once."""
    scenes = load_dataset("toytown", split, size=SIZE).subset(range(count))
    drawn = [Record(r.id, r.group, (), partial(tuple, r.read())) for r in scenes.records]
    return type(scenes)(scenes.name, split, scenes.classes, tuple(drawn))


def small(norm=None, seed=0):
    """A U-Net of 30,000 parameters."""
    torch.manual_seed(seed)
    model = wrap(UNet(11, width=4, depth=3), "street", title="small", backbone="encoder")
    return with_norm(model, norm) if norm else model


def run(recipe=TINY, model=None, **options):
    """Weights and history of a tiny training; whoever drew random numbers before makes no difference."""
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


# --- it learns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lraspp_mini", "unet_mini"])
def test_learns(name):
    """And leaves the model with the weights that gave the best row of the history."""
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
    assert counts.sum() == sum((town("val", 5)[i].target != 255).sum() for i in range(5))  # each image once
    assert (mean_iou(counts), pixel_accuracy(counts), val_loss) == (
        best["miou"],
        best["pixel_accuracy"],
        best["val_loss"],
    )
    np.testing.assert_array_equal(iou_per_class(counts), best[list(STREET.names)].astype(float))


@pytest.mark.parametrize("recipe", [{"ema": 0.8}, {}])
@pytest.mark.parametrize("keep", [True, False])
def test_the_best_epoch_is_kept(tmp_path, monkeypatch, keep, recipe):
    """Not the last one: measures are made up so that the second of three is the best."""
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
    """Validation: of the images' losses at the size of the labels. Training: of the steps'."""
    model, val = small(), town("val", 3)
    pairs = [eval_transform((32, 48))(val[i].image, val[i].target) for i in range(3)]
    with torch.inference_mode():
        by_hand = [criterion("ce")(model(model.preprocess(image)), target[None]).item() for image, target in pairs]
    assert validate(model, val, (32, 48), criterion("ce"), Accelerator())[1] == pytest.approx(np.mean(by_hand))


# --- it repeats itself --------------------------------------------------------------------------------------------

VARIANTS = {
    "plain": {},
    "ema": {"ema": 0.8},
    "favour": {"favour": ("pole", "sign")},
    "weights": {"weights": "median", "loss": "ce+dice"},
    "freeze": {"freeze": 1},
    "sgd": {"optimizer": "sgd"},
    "bfloat16": {"precision": "bfloat16"},
    "group": {},
}


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


def test_loading_processes_change_nothing():
    assert equal(run()[0], run(workers=2)[0])
    pickle.loads(pickle.dumps(Batches(town(), partial(augment, recipe=TINY, favour=[]), 2).pairs))


def test_dropout_is_as_random_with_loading_processes():
    """Its numbers come from the same generator that a loader would use up."""

    def model():
        plain = small()
        plain.net.classifier = torch.nn.Sequential(torch.nn.Dropout2d(0.5), plain.net.classifier)
        return plain

    assert equal(run(model=model())[0], run(model=model(), workers=1)[0])


def test_a_cached_sample_stays_as_it_was():
    transform = partial(augment, recipe=Recipe(size=SIZE, scale=(1.0, 1.0)), favour=[1])  # hardly anything to do
    pairs = Pairs(town(), transform, keep=True)
    for _ in range(2):
        batch, _targets = default_collate([pairs[i] for i in range(8)])
        batch.zero_()
    fresh = load_dataset("toytown", "train", size=SIZE)
    for i in range(8):
        assert torch.equal(pairs.read(i)[0], fresh[i].image)
        assert torch.equal(pairs.read(i)[1], fresh[i].target)


def test_batches():
    """Each image once an epoch, in another order and with another crop the next time, and dealt to all processes."""

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
    assert len(batches(batch=3)) == 2  # two images are left for another epoch
    assert len(batches(batch=3, world=2)) == 1


def test_learning_rate_by_hand():
    model, recipe = small(), Recipe(lr=1.0, warmup=0.5, power=2.0)
    rates = [learning_rate(model, recipe, progress) for progress in (0, 0.25, 0.5, 0.75, 1)]
    assert rates == [0, 0.5, 1, 0.25, 0]
    assert learning_rate(load_model("segformer_mini", weights=None), Recipe(warmup=0), 0) == 1e-3
    assert learning_rate(model, Recipe(warmup=0, optimizer="sgd"), 0) == 0.05
    # Four steps an epoch; each has the rate of its middle, and the history shows the last one's.
    _, history = run(Recipe(epochs=2, batch=2, size=(32, 48), lr=0.01, warmup=0.5, power=2.0))
    assert history["lr"].to_list() == pytest.approx([0.01 * 3.5 / 4, 0.01 * (0.5 / 4) ** 2])


def test_freeze_and_release():
    """The backbone's weights and BatchNorm averages stay for two epochs; the head learns from the first on."""
    model = small()
    at_first, backbone, head = snapshot(model.backbone), [], []
    model.zero_grad()
    model.loss(torch.rand(2, 3, 32, 48), torch.zeros(2, 32, 48).long(), criterion("ce")).backward()  # old gradients

    def look(_):
        backbone.append(snapshot(model.backbone))
        head.append(snapshot(model.net.decoder))

    fit(model, town(), town("val", 2), replace(TINY, freeze=2, ema=0.5), progress=False, on_epoch=look)
    assert equal(backbone[0], at_first)
    assert equal(backbone[1], at_first)
    assert not any(torch.equal(backbone[2][key], at_first[key]) for key in at_first)
    assert not equal(head[0], head[1])
    assert all(p.requires_grad for p in model.parameters())
    run(replace(TINY, freeze=9), model)
    assert all(p.requires_grad for p in model.parameters())


def test_weights_by_hand():
    """The root of median frequency over the training labels, void left out."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "criterion", lambda name, weights=None: seen.append(weights) or criterion(name, weights))
        recipe = replace(TINY, epochs=1, weights="median")
        run(recipe)
    counts = np.stack([np.bincount(town()[i].target.flatten(), minlength=256)[:11] for i in range(8)]).astype(float)
    share = counts.sum(0) / ((counts > 0) * counts.sum(1, keepdims=True)).sum(0)
    np.testing.assert_allclose(seen[-1], np.sqrt(np.nanmedian(share) / share), rtol=1e-6)


# --- it goes on ---------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


@pytest.mark.parametrize("recipe", [{}, {"ema": 0.8, "freeze": 1, "optimizer": "sgd"}], ids=["plain", "all"])
def test_goes_on_wherever_saving_stopped(tmp_path, monkeypatch, recipe):
    """Stopped before each single file that is written: the result is that of a run that never stopped."""
    recipe = replace(TINY, **recipe)
    weights, history = run(recipe, out=tmp_path / "whole")
    writes, stop_at = [0], [0]

    def counted(write):
        def writing(*args, **options):
            writes[0] += 1
            if writes[0] == stop_at[0]:
                raise Killed
            return write(*args, **options)

        return writing

    monkeypatch.setattr(runs, "save_model", counted(checkpoints.save_model))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    stops, finished = 0, False
    while not finished:
        stop_at[0] = stop_at[0] % 9 + 1  # the next write after the one that was stopped last
        writes[0] = 0
        try:
            resumed, again = run(recipe, out=tmp_path / "broken")
            finished = True
        except Killed:
            stops += 1
            assert stops < 40
    assert stops >= 9
    assert equal(weights, resumed)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(again), check_exact=True)
    assert_same_files(tmp_path / "whole", tmp_path / "broken")


def assert_same_files(one, other):
    names = {"best.safetensors", "last.safetensors", "history.csv", "run.json", "state.pt"}
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()} == names
    for name in ("best.safetensors", "last.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    tables = [without_seconds(pd.read_csv(folder / "history.csv")) for folder in (one, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_a_finished_run_is_read_again(tmp_path):
    weights, history = run(out=tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again, history_again = run(model=small(seed=5), out=tmp_path, on_epoch=lambda _: pytest.fail("an epoch was run"))
    assert equal(weights, again)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_another_run_in_the_folder(tmp_path):
    recipe = replace(TINY, epochs=1)
    run(recipe, out=tmp_path)
    with pytest.raises(ValueError, match=r"holds another run \(lr: None there, 0.1 here; seed: 0 there, 3 here\)"):
        run(replace(recipe, seed=3, lr=0.1), out=tmp_path)
    with pytest.raises(ValueError, match=r"\(norm: None there, 'group' here\)"):
        run(recipe, small("group"), out=tmp_path)
    with pytest.raises(ValueError, match=r"\(start: '' there, 'zoo' here\)"):
        run(recipe, out=tmp_path, start="zoo")
    others = load_dataset("toytown", "train", size=SIZE).subset(range(8, 16))
    larger = load_dataset("toytown", "train", size=(96, 128)).subset(range(8))
    for scenes in (others, larger):
        with pytest.raises(ValueError, match=r"\(train: 'toytown train 8 \w+' there, 'toytown train 8 \w+' here\)"):
            fit(small(), scenes, town("val", 3), recipe, tmp_path, progress=False)


# --- it is killed -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    """Toytown's scenes where CamVid's frames would lie: small files for the command line."""
    root = tmp_path_factory.mktemp("data")
    for split, count in {"train": 12, "val": 5}.items():
        lines = []
        for i in range(count):
            sample = town(split, count)[i]
            image, mask = (root / "camvid" / "CamVid" / kind / f"{i:06}.png" for kind in (split, f"{split}annot"))
            for path in (image, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(image)
            Image.fromarray(sample.target.where(sample.target != 255, 11).numpy()).save(mask)
            lines.append(" ".join(f"/SegNet/CamVid/{p.parent.name}/{p.name}" for p in (image, mask)))
        (root / "camvid" / "CamVid" / f"{split}.txt").write_text("\n".join(lines))
    return root


@pytest.fixture
def start(camvid):
    """Starts real commands, with one thread a process; none of them outlives its test."""
    started = []

    def command(*arguments, processes=1):
        python = [sys.executable, "-m"]
        env = os.environ | {"SEGLAB_DATA": str(camvid), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        if processes > 1:
            python += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
            del env["ACCELERATE_USE_CPU"]  # they have to find each other without being told where they are
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([*python, *map(str, arguments)], env=env, **pipes))
        return started[-1]

    yield command
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate()


TRAIN = ("seglab", "train", "lraspp_mini", "--data", "camvid", "--size", *SIZE, "--batch", 4, "--epochs", 6,
         "--ema", 0.8, "--out")  # fmt: skip


def test_killed_and_started_again(start, tmp_path):
    """At three moments: somewhere in an epoch, and twice while the files of one are written."""
    whole = start(*TRAIN, tmp_path / "whole")
    moment = random.Random()
    seed = moment.randrange(1000)
    moment.seed(seed)
    broken, kills = tmp_path / "broken", 0
    for sign, wait in ("state.pt", 0.1), ("last.safetensors", 0.01), ("history.csv", 0.01):
        before = written(broken / sign)
        process = start(*TRAIN, broken)
        while process.poll() is None:
            if written(broken / sign) != before:
                time.sleep(wait * moment.random())
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    output, errors = start(*TRAIN, broken).communicate()
    assert whole.communicate()[0].replace("whole", "broken") == output, (errors, seed)
    assert kills >= 2
    assert_same_files(tmp_path / "whole", broken)
    best = load_model(tmp_path / "whole" / "best.safetensors")
    history = pd.read_csv(broken / "history.csv", index_col="epoch")
    assert output.startswith(f"best after epoch {history['miou'].idxmax()}: mIoU {history['miou'].max():.3f} on camvid")
    assert [line.split()[0] for line in output.splitlines()[1:]] == list(best.classes.names)


def written(path):
    """When a file was last written; None as long as it is not there."""
    return path.stat().st_mtime_ns if path.exists() else None


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
look = lambda _: seen.append({k: v.clone() for k, v in model.backbone.state_dict().items()})
first = {k: v.clone() for k, v in model.backbone.state_dict().items()}
history = fit(model, load_dataset("camvid", "train"), val, recipe, progress=False, on_epoch=look)
torch.save({"counts": counts, "loss": loss, "model": model.state_dict(), "first": first, "seen": seen,
            "losses": history["loss"].to_list()}, f"{out}-{accelerator.process_index}.pt")
"""


def test_two_processes(start, camvid, tmp_path, monkeypatch):
    """They write one set of files, agree on every weight, and count each validation image once between them."""
    (tmp_path / "together.py").write_text(TOGETHER)
    process = start(tmp_path / "together.py", tmp_path / "run", processes=2)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert output.count("best after epoch") == 1
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "best.safetensors", "last.safetensors", "history.csv", "run.json", "state.pt"}  # fmt: skip
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


def test_recipes_that_mean_nothing():
    for wrong, message in {
        "optimizer": "unknown optimizer 'adamv'; did you mean 'adamw'",
        "precision": "unknown precision 'bfloat61'; did you mean 'bfloat16'",
        "weights": "unknown weights 'medain'; did you mean 'median'",
        "loss": "unknown loss 'dyce'; did you mean 'dice'",
    }.items():
        with pytest.raises(ValueError, match=message):
            Recipe(**{wrong: message.split("'")[1]})
    for field, value in {"epochs": 0, "batch": 0, "ema": 1.0, "warmup": 1.0, "seed": -1, "freeze": -1}.items():
        with pytest.raises(ValueError, match=f"{field}={value} in a recipe; expected"):
            Recipe(**{field: value})
    with pytest.raises(ValueError, match="class weights mean nothing to 'dice'"):
        Recipe(loss="dice", weights="median")
    assert Recipe(size=[8, 9]) == Recipe(size=(8, 9))  # as JSON has it


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
    with pytest.raises(ValueError, match="the backbone of .* is unknown"):
        fit(wrap(UNet(11, 4), "street"), town(), town("val", 2), Recipe(batch=2, freeze=1), progress=False)
    with pytest.raises(ValueError, match="unknown street class 'pols'"):
        run(Recipe(batch=2, favour=("pols",)))
    with pytest.raises(ValueError, match=r"the loss is \w+ in epoch 1; try a lower learning rate than 1e\+30"):
        run(replace(TINY, lr=1e30, clip=0.0))


# --- it shows -----------------------------------------------------------------------------------------------------


def test_live_chart_is_one_picture_that_changes():
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    try:
        shell.display_pub = CapturingDisplayPublisher()
        run(on_epoch=live_chart(STREET))
        shown = shell.display_pub.outputs
    finally:
        InteractiveShell.clear_instance()
    assert [output["update"] for output in shown] == [False, True, True]
    assert len({output["transient"]["display_id"] for output in shown}) == 1
    assert len({output["data"]["image/png"] for output in shown}) == 3
    alts = [output["metadata"]["image/png"]["alt"] for output in shown]
    assert [alt.split(":")[0] for alt in alts] == [f"Training over {n} epochs" for n in (1, 2, 3)]


def test_chart():
    from seglab.viz import charts

    _, history = run()
    figure = charts.training(history, STREET)
    assert "validation loss" in figure.alt and f"at best {history['miou'].max():.2f}" in figure.alt
    losses, ious = figure.axes
    np.testing.assert_array_equal(losses.lines[0].get_ydata(), history["loss"])
    np.testing.assert_array_equal(ious.lines[-1].get_ydata(), history["miou"])
    assert len(ious.lines) == 12


def test_help_and_errors_of_the_command():
    told = CliRunner().invoke(app, ["train", "--help"], terminal_width=120)
    assert told.exit_code == 0
    for words in ("Interrupted, the same command goes on", "torchrun --nproc-per-node", "--precision", "--freeze"):
        assert words in told.output
    for arguments, words in (
        (["unet_mimi", "--data", "toytown"], "did you mean 'unet_mini'"),
        (["unet_mini", "--data", "toytwon"], "did you mean 'toytown'"),
        (["unet_mini", "--data", "toytown", "--loss", "dyce"], "did you mean 'dice'"),
    ):
        told = CliRunner().invoke(app, ["train", *arguments])
        assert told.exit_code == 1
        assert "✗" in told.output and words in told.output
