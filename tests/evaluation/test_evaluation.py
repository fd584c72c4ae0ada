"""evaluate: the counts are those of a plain loop, interrupted or not, by one process or by several."""

import copy
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as T
from typer.testing import CliRunner

from seglab import CLASS_SETS, Results, load_dataset, load_model
from seglab.__main__ import app
from seglab.data.dataset import Record, SegmentationDataset
from seglab.data.translation import translate
from seglab.evaluation import evaluators, loop
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION, Predictions
from seglab.evaluation.store import read, shards
from seglab.inference import fast
from seglab.inference.fast import FastModel
from seglab.masks.argmax import to_mask
from seglab.metrics.boundary import boundary_counts
from seglab.metrics.calibration import calibration_counts
from seglab.models.adapters import wrap
from seglab.models.checkpoints import save_model
from seglab.models.unet import UNet
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]
NAMES = ["lraspp_mini", "unet_mini"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The plain loops here use one, as does each image that is evaluated."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def evaluate(*arguments, threads=3, **options):
    """Three images side by side, however many threads this machine has."""
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
    """An untrained model that says something else at every pixel."""
    torch.manual_seed(0)
    model = wrap(UNet(len(CLASS_SETS[classes]), width=4, depth=2), classes, title="noisy", **options)
    nn.init.normal_(model.net.classifier.weight, std=3)
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Checkpoints of models that have learned a little: name → path. Images go through them at 96×128."""
    paths = {}
    for name, steps in zip(NAMES, (48, 24), strict=True):
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(name)
        recipe = Recipe(epochs=1, batch=4, size=(96, 128))
        scenes = load_dataset("toytown", "train", size=(96, 128)).subset(range(4 * steps))
        fit(load_model(name, weights=None, device="cpu"), scenes, town(2), recipe, folder, progress=False)
        paths[name] = folder / "best.safetensors"
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scenes as somebody's own images: files."""
    root = tmp_path_factory.mktemp("folder")
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for sample in (town()[i] for i in range(len(town()))):
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(root / "images" / f"{sample.id}.png")
        Image.fromarray(sample.target.numpy()).save(root / "masks" / f"{sample.id}.png")
    return root


@torch.inference_mode()
def plain_scores(model, image, size):
    """As the textbook does it: resize, normalise, forward, interpolate."""
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
    quick = FastModel(model, precision)
    samples = map(dataset.__getitem__, range(len(dataset)))
    return [to_mask(quick(s.image[None]), size=tuple(s.target.shape))[0].numpy() for s in samples]


def counted(masks, dataset):
    """image → int (256, 256), rows targets."""
    tables = np.zeros((len(dataset), 256, 256), int)
    for i, mask in enumerate(masks):
        np.add.at(tables[i], (dataset[i].target.numpy(), mask), 1)
    return tables


def stored(results, run=0):
    """The same from the store."""
    rows, images = results.tables.counts, results.tables.images
    rows = rows[rows["run"] == run]
    tables = np.zeros(((images["run"] == run).sum(), 256, 256), int)
    image, target, pred, pixels = rows[["image", "target", "pred", "pixels"]].to_numpy().T
    np.add.at(tables, (image, target, pred), pixels)
    assert (rows["pixels"] > 0).all()
    return tables


def assert_same(one, other, but=()):
    """All four tables, to the last integer; only time differs."""
    for name in ("runs", "images", "counts", "bins"):
        a, b = (getattr(t, name).drop(columns="microseconds", errors="ignore") for t in (one, other))
        pd.testing.assert_frame_equal(
            a.drop(columns=list(but), errors="ignore"), b.drop(columns=list(but), errors="ignore")
        )


# --- the counts are those of a plain loop ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_a_plain_loop(trained, name, monkeypatch):
    """Fused: at most one pixel in ten thousand differs. Unfused: none."""
    model, ds = load_model(trained[name], device="cpu"), town()
    assert model.short == 96
    plain, quick = plain_masks(model, ds), fast_masks(model, ds)
    pixels = sum(mask.size for mask in plain)
    assert len(np.unique(plain)) > 3
    assert sum((p != q).sum() for p, q in zip(plain, quick, strict=True)) <= pixels / 10_000

    results = evaluate(trained[name], ds)
    np.testing.assert_array_equal(stored(results), counted(quick, ds))
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
def test_at_the_size_of_the_model(trained, name):
    """As torchvision's published values: the target is resized, too, and no score is interpolated to the original."""
    model, ds = load_model(trained[name], device="cpu"), town()
    masks, targets, quick = [], [], FastModel(model)
    for i in range(len(ds)):
        masks.append(F.interpolate(quick(ds[i].image[None]), (96, 128), mode="bilinear")[0].argmax(0).numpy())
        rows, columns = ((torch.arange(n) * 1.25 + 0.625).long() for n in (96, 128))  # the nearest of 120×160
        targets.append(replace(ds[i], target=ds[i].target[rows][:, columns]))
    results = evaluate(model, ds, size="model", boundary=True)
    np.testing.assert_array_equal(stored(results), counted(masks, targets))
    assert "at the size of the network's input" in results.convention()


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


def test_each_side_keeps_its_own_vocabulary():
    """A model of photographs on a street: its twenty-one classes are stored as it says them."""
    model, ds = noisy("voc"), town(3)
    results = evaluate(model, ds, boundary=True, calibration=True)
    masks = fast_masks(model, ds)
    np.testing.assert_array_equal(stored(results), counted(masks, ds))
    assert results.tables.counts["pred"].max() > len(STREET)
    identity = json.loads(results.tables.runs["identity"][0])
    assert (identity["vocabulary"], identity["target vocabulary"]) == ("voc", "street")
    # Boundaries are those of what it means on a street; confidences of other classes mean nothing there.
    meant = np.full(256, 255)
    for own, street in enumerate(translate(VOC, STREET).indices):
        meant[own] = 255 if street is None else street
    expected = sum(boundary_counts(meant[m], ds[i].target, len(STREET)) for i, m in enumerate(masks))
    np.testing.assert_array_equal(bins(results, BOUNDARY, len(STREET)), expected)
    assert set(results.tables.bins["kind"]) == {BOUNDARY}


def bins(results, kind, count):
    table, rows = np.zeros((count, 3), int), results.tables.bins
    rows = rows[rows["kind"] == kind]
    np.add.at(table, rows["bin"].to_numpy(), rows[["a", "b", "c"]].to_numpy())
    return table


def test_boundaries_and_confidences(trained):
    model, ds = load_model(trained["unet_mini"], device="cpu"), town()
    results, quick = evaluate(model, ds, boundary=True, calibration=True), FastModel(model)
    edges, sure = np.zeros((11, 3), int), np.zeros((15, 3), int)
    for i, mask in enumerate(fast_masks(model, ds)):
        edges += boundary_counts(mask, ds[i].target, 11)
        scores = F.interpolate(quick(ds[i].image[None]), (120, 160), mode="bilinear")
        sure += calibration_counts(scores.softmax(1)[0], ds[i].target)
    np.testing.assert_array_equal(bins(results, BOUNDARY, 11), edges)
    np.testing.assert_array_equal(bins(results, CALIBRATION, 15), sure)
    assert sure[:, 0].sum() == sum((ds[i].target != 255).sum() for i in range(len(ds)))
    assert (sure[:, 0] > 0).sum() > 5
    assert len(evaluate(model, ds).tables.bins) == 0


# --- side by side ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_counts_do_not_depend_on_the_number_of_threads(trained, precision):
    model, ds = load_model(trained["lraspp_mini"], device="cpu"), town(12)
    one, four = (evaluate(model, ds, precision=precision, threads=n).tables for n in (1, 4))
    assert_same(one, four)


class Keeping(nn.Module):
    """Keeps its input in an attribute, the mean of it in a buffer, and something that nobody can copy."""

    def __init__(self):
        super().__init__()
        self.net = noisy().net
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))

    def forward(self, x):
        self.kept, self.nobody_copies = x, (i for i in range(3))
        self.mean.copy_(x.mean((2, 3), keepdim=True))
        time.sleep(0.02)
        return self.net(self.kept - self.mean)


def test_a_module_may_keep_something_while_it_computes():
    """Several images at once would overwrite it, if they shared one module."""
    ds = town(9)
    several, one = (stored(evaluate(wrap(Keeping(), "street"), ds, threads=n)) for n in (3, 1))
    np.testing.assert_array_equal(several, one)


def test_making_a_model_quick_is_not_part_of_an_image(monkeypatch):
    """The milliseconds of a table are those of an image."""
    quick = fast.FastModel.__init__

    def slow(*arguments):
        time.sleep(1)
        quick(*arguments)

    monkeypatch.setattr(fast.FastModel, "__init__", slow)
    assert evaluate(noisy(), town(3)).tables.images["microseconds"].max() < 1e6


@pytest.mark.parametrize("wrong", [False, True])
def test_the_number_of_threads_is_left_as_it_was(wrong):
    """Of this thread, and of those that are started later."""

    class Failing(nn.Module):
        def forward(self, x):
            if wrong and x.shape[-1] == 160 and x.any():  # no black image, whose cost is counted
                raise ValueError("it fails")
            return x[:, :1] * torch.arange(11.0)[:, None, None]

    torch.set_num_threads(5)
    with pytest.raises(ValueError, match="it fails") if wrong else nullcontext():
        loop.evaluate(wrap(Failing(), "street"), town(), device="cpu", progress=False)
    assert torch.get_num_threads() == 5
    seen = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    torch.set_num_threads(1)
    assert seen == [5]


def test_as_many_side_by_side_as_there_is_memory_for(monkeypatch):
    """Half of what is free is used; one image is always judged."""
    at_once, most = 0, 0
    lock = threading.Lock()

    class Busy(nn.Module):
        def forward(self, x):
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.05)
            with lock:
                at_once -= 1
            return x[:, :1] * torch.arange(11.0)[:, None, None]

    model = wrap(Busy(), "street")
    peak = evaluators.ModelEvaluator("", model, (120, 160), evaluators.Options(), STREET).peak_bytes
    assert peak > 120 * 160 * 4 * 11
    for free, expected in ((100 * peak, 3), (4.5 * peak, 2), (peak / 2, 1)):
        monkeypatch.setattr(loop, "memory", lambda free=free: (0, int(free)))
        most = 0
        evaluate(model, town(9))
        assert most == expected


# --- masks from elsewhere -------------------------------------------------------------------------------------------


@pytest.fixture
def masks(tmp_path, trained):
    """What a model says, as another program would have written it."""
    target = tmp_path / "their masks"
    target.mkdir()
    for name, mask in zip(town().ids, fast_masks(load_model(trained["unet_mini"], device="cpu"), town()), strict=True):
        Image.fromarray(mask).save(target / f"{name}.png")
    return target


def test_stored_predictions_are_judged_like_a_model(trained, masks, folder, tmp_path):
    results = evaluate({"unet": trained["unet_mini"], "theirs": Predictions(masks, "street")}, town(), boundary=True)
    np.testing.assert_array_equal(stored(results, 0), stored(results, 1))
    assert results.tables.images["microseconds"].isna().tolist() == [False] * 6 + [True] * 6
    one, other = (t.drop(columns="run").reset_index(drop=True) for _, t in results.tables.bins.groupby("run"))
    pd.testing.assert_frame_equal(one, other)
    assert evaluate(Predictions(masks, STREET), town()).names == ["their masks"]

    said = command("--predictions", masks, *of(folder), "--store", tmp_path / "s.sqlite")
    assert said.exit_code == 0, said.output
    assert "their masks" in said.output
    np.testing.assert_array_equal(stored(Results.open(tmp_path / "s.sqlite")), stored(results, 1))


def test_raw_labels_of_stored_predictions(masks):
    """255 is "none of these": an error, not void. Other numbers are translated, if somebody says how."""
    for path in masks.iterdir():
        Image.fromarray(np.array(Image.open(path)) + 100).save(path)
    with pytest.raises(ValueError, match=r"labels 100 \(\d+ pixels\).*translate the mask with labels="):
        evaluate(Predictions(masks, "street"), town())
    labels = {i + 100: i for i in range(10)} | {110: 255}
    results = evaluate(Predictions(masks, "street", labels=labels), town())
    for path in masks.iterdir():
        Image.fromarray(np.array(Image.open(path)) - 100).save(path)
    plain = evaluate(Predictions(masks, "street"), town())
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


def cut_off(path):
    path.write_bytes(path.read_bytes()[:300])


WRONG = {
    missing: r"2\.png is missing; predictions are label maps, one ID\.png for each image",
    too_small: r"val-20002: .*2\.png is \(60, 80\) and the target \(120, 160\); write masks at the image's size",
    of_another_set: r"labels? 1\d \(\d+ pixels?\).* outside the 11 classes of 'street'",
    colours: r"2\.png: expected one label per pixel, found mode RGB\. All channels are equal",
    cut_off: r"2\.png: damaged or cut off",
}


@pytest.mark.parametrize("spoil", WRONG)
def test_stored_predictions_that_cannot_be_judged(masks, tmp_path, spoil):
    """What was finished before stays."""
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    spoil(masks / f"{town().ids[2]}.png")
    with pytest.raises(ValueError, match=WRONG[spoil]):
        evaluate(Predictions(masks, "street"), town(), tmp_path / "s.sqlite")
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


# --- it goes on -----------------------------------------------------------------------------------------------------

ZYGOTE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background makes its children ignore it
from dataclasses import replace
from functools import partial
import torch
torch.set_num_threads(1)
from seglab import evaluate, load_dataset, load_model
from seglab.data.dataset import Record

scenes = load_dataset("toytown", "val", size=(48, 64)).subset(range(60))
scenes = replace(scenes, records=tuple(Record(r.id, r.group, (), partial(tuple, r.read())) for r in scenes.records))
models = {name: load_model(name, device="cpu") for name in sys.argv[1:]}
for model in models.values():
    model.short = None
print(flush=True)
for path in map(str.strip, sys.stdin):
    if not (pid := os.fork()):  # a fresh process, without the seconds that importing takes
        torch.set_num_threads(2)
        evaluate(models, scenes, path, boundary=True, calibration=True, progress=False)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


def finished(path):
    """How many images a store holds that somebody else is writing."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM images").fetchone()[0]
    return 0


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux can a process that has imported torch be forked")
def test_killed_at_random_moments(trained, tmp_path):
    """Twenty times and more, amid images and while it starts: the tables are those of a run that nobody disturbed."""
    seed = random.randrange(1000)
    moment, kills, stores = random.Random(seed), 0, []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", ZYGOTE, *trained.values()], **pipes) as zygote:
        zygote.stdout.readline()

        def start(path):
            zygote.stdin.write(f"{path}\n")
            zygote.stdin.flush()
            return int(zygote.stdout.readline())

        while kills < 22:  # a quick machine finishes a store before it was killed so often
            stores.append(broken := tmp_path / f"broken {len(stores)}.sqlite")
            assert len(stores) < 30, (seed, kills)
            while True:
                before, pid = finished(broken), start(broken)
                if kills < 22:
                    late = time.monotonic() + 20
                    while kills % 6 and finished(broken) == before < 120 and time.monotonic() < late:
                        time.sleep(0.002)
                    time.sleep(moment.uniform(0.0, 0.03 if kills % 6 else 0.3))
                    with suppress(ProcessLookupError):  # it has come to its end
                        os.kill(pid, signal.SIGINT if kills % 8 == 7 else signal.SIGKILL)
                if not int(zygote.stdout.readline()):
                    break
                kills += 1
        start(tmp_path / "whole.sqlite")
        assert zygote.stdout.readline() == "0\n"
        zygote.stdin.close()
    assert kills == 22, seed
    for broken in stores:
        assert_same(read(broken), read(tmp_path / "whole.sqlite"))
    assert finished(broken) == 120
    assert len(read(broken).bins) > 1000


def test_interrupted_by_the_user_or_by_a_file(folder, tmp_path):
    """Ctrl-C and a disk that fails for a moment; afterwards it goes on."""
    path, ds = tmp_path / "s.sqlite", load_dataset("folder", root=folder, classes="street")

    def fails(error):
        raise error

    for place, error in ((2, KeyboardInterrupt()), (3, OSError("the disk is gone")), (4, ValueError("cut off"))):
        records = list(ds.records)
        records[place] = replace(records[place], read=partial(fails, error))
        with pytest.raises(type(error)):
            evaluate(noisy(), replace(ds, records=tuple(records)), path)
        assert read(path).images["image"].to_list() == list(range(place))
    evaluate(noisy(), ds, path)
    evaluate(noisy(), ds, tmp_path / "whole.sqlite")
    assert_same(read(path), read(tmp_path / "whole.sqlite"))


def test_a_truncated_image(folder, tmp_path):
    own = tmp_path / "own"
    for path in folder.rglob("*.png"):
        (own / path.parent.name).mkdir(parents=True, exist_ok=True)
        (own / path.parent.name / path.name).write_bytes(path.read_bytes())
    cut_off(sorted((own / "images").iterdir())[4])
    ds = load_dataset("folder", root=own, classes="street")
    with pytest.raises(ValueError, match=r"images/val-20004\.png: damaged or cut off"):
        evaluate(noisy(), ds, tmp_path / "s.sqlite")
    assert read(tmp_path / "s.sqlite").images["id"].to_list() == list(ds.ids[:4])
    results = Results.open(tmp_path / "s.sqlite")
    assert "4 of 6 images" in results.convention()
    said = command("--store", tmp_path / "s2.sqlite", *of(own), "--predictions", own / "masks")
    assert said.exit_code == 1
    assert "damaged or cut off" in said.output and "Traceback" not in said.output


def test_what_is_finished_is_not_done_again(tmp_path):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = noisy().net, 0

        def forward(self, x):
            Counting.calls += 1
            return self.net(x)

    def calls(batch):
        Counting.calls = 0
        evaluate(wrap(Counting(), "street"), town(), tmp_path / f"{batch}.sqlite", batch=batch)
        return Counting.calls

    once = calls(1)
    assert calls(1) < once - 5  # its cost is counted, but no image looked at
    calls(4)
    with closing(sqlite3.connect(tmp_path / "4.sqlite")) as connection, connection:
        for table in ("images", "counts"):
            connection.execute(f"DELETE FROM {table} WHERE image = 1")  # as if it had been killed amid a batch
    calls(4)
    assert_same(read(tmp_path / "4.sqlite"), evaluate(wrap(Counting(), "street"), town(), batch=4).tables)


# --- several processes ----------------------------------------------------------------------------------------------


def of(folder):
    return "--data", "folder", "--root", folder, "--classes", "street"


def command(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_two_processes_count_as_one(trained, folder, tmp_path):
    """Two real ones; the first prints the tables when both have finished."""
    arguments = ("evaluate", *trained.values(), *of(folder), "--batch", "2", "--boundary")
    python = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "seglab"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    python += [*map(str, arguments), "--store", str(tmp_path / "two.sqlite")]
    both = subprocess.Popen(python, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    alone = command(*arguments[1:], "--device", "cpu", "--store", tmp_path / "one.sqlite")
    assert alone.exit_code == 0, alone.output
    output, errors = both.communicate(timeout=300)
    assert both.returncode == 0, errors
    assert [path.name for path in shards(tmp_path / "two.sqlite")] == ["two.1of2.sqlite", "two.2of2.sqlite"]
    assert_same(read(tmp_path / "two.sqlite"), read(tmp_path / "one.sqlite"))
    for path in shards(tmp_path / "two.sqlite"):
        assert 0 < finished(path) < 12
    words = [re.sub(r"(?m)^(\S*mini\S* +(?:\S+ +){4})\S+", r"\1", text).split() for text in (output, alone.stdout)]
    assert words[0] == words[1]  # but for the milliseconds
    assert "6 images" in output and " of 6 images" not in output


def test_dealt_among_three(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in (2, 1, 0):
        monkeypatch.setenv("RANK", str(rank))
        evaluate(noisy(), town(), tmp_path / "three.sqlite", batch=2)
    with pytest.raises(ValueError, match="several processes need a store"):
        evaluate(noisy(), town())
    monkeypatch.delenv("WORLD_SIZE")  # RANK alone is somebody else's
    monkeypatch.setenv("RANK", "2")
    whole = evaluate(noisy(), town(), batch=2)
    assert_same(read(tmp_path / "three.sqlite"), whole.tables)


def test_the_first_process_waits_for_the_others(monkeypatch, tmp_path):
    """Here the second one's file only appears while the first one waits."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    late = (tmp_path / "s.2of2.sqlite").rename(tmp_path / "late")
    monkeypatch.setenv("RANK", "0")
    timer = threading.Timer(1.5, late.rename, [tmp_path / "s.2of2.sqlite"])
    timer.start()
    assert len(evaluate(noisy(), town(), tmp_path / "s.sqlite").tables.images) == 6
    timer.join()


def test_the_first_process_does_not_wait_for_ever(monkeypatch, tmp_path):
    """The other one may have no disk in common with it. Alone, it goes on with what is left."""
    monkeypatch.setattr(loop, "PATIENCE", 0.5)
    with monkeypatch.context() as several:
        several.setenv("WORLD_SIZE", "2")
        several.setenv("RANK", "0")
        results = evaluate(noisy(), town(), tmp_path / "s.sqlite")
    assert results.tables.images["image"].to_list() == [0, 2, 4]
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    assert_same(read(tmp_path / "s.sqlite"), evaluate(noisy(), town()).tables)
    assert finished(tmp_path / "s.sqlite") == 3


# --- names and what is refused --------------------------------------------------------------------------------------


def test_names(trained, tmp_path):
    path = trained["lraspp_mini"]
    model, ds = load_model(path, device="cpu"), town(2)
    assert evaluate(path, ds).names == evaluate(str(path), ds).names == ["lraspp_mini:toytown"]
    assert evaluate([path, model, str(path)], ds).names == ["lraspp_mini:toytown"]  # the same thing once
    assert evaluate([("a", path), model], ds).names == ["a", "lraspp_mini:toytown"]
    assert evaluate({"b": model, "a": path}, ds).names == ["b", "a"]
    # Trainings of one recipe that differ in their seed share a name.
    save_model(model, tmp_path / "s7.safetensors", run=dict(model.facts["run"], seed=7))
    results = evaluate([("ours", path), ("ours", tmp_path / "s7.safetensors")], ds)
    assert results.names == ["ours"]
    assert results.tables.runs["seed"].to_list() == [0, 7]


def test_two_models_of_one_name(tmp_path):
    other = noisy()
    other.net.classifier.bias.data += 1
    with pytest.raises(ValueError, match=r"two models are called 'noisy' \(weights: .*\); name them"):
        evaluate([noisy(), other], town(2), tmp_path / "s.sqlite")
    evaluate(noisy(), town(2), tmp_path / "s.sqlite")
    with pytest.raises(ValueError, match=r"another measurement of 'noisy' on toytown val .*weights: .*another name"):
        evaluate(other, town(2), tmp_path / "s.sqlite")
    assert evaluate({"other": other}, town(2), tmp_path / "s.sqlite").names == ["noisy", "other"]


def test_other_images_under_the_same_name(tmp_path):
    """A subset, another order, other classes, another size: each would be put beside what it is not."""
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    renamed = replace(STREET, names=(*STREET.names[:-1], "cyclist"))
    for dataset, what in {
        town().subset(range(4)): r"images: 6 instead of 4",
        town().subset([1, 0, 2, 3, 4, 5]): r"order: ",
        town(6, (96, 128)): r"fingerprint: ",
        replace(town(), classes=renamed): r"target classes: ",
    }.items():
        with pytest.raises(ValueError, match=rf"s\.sqlite holds 'noisy' on toytown val .*{what}.*use another store"):
            evaluate({"another": noisy()}, dataset, tmp_path / "s.sqlite")
    with pytest.raises(ValueError, match="scored at: 'original' instead of 'model'"):
        evaluate({"another": noisy(short=64)}, town(), tmp_path / "s.sqlite", size="model")
    assert read(tmp_path / "s.sqlite").runs["name"].to_list() == ["noisy"]


def test_what_cannot_be_evaluated(tmp_path):
    ds, path = town(2), tmp_path / "s.sqlite"
    for models, words in (
        ([], "nothing to evaluate"),
        ({}, "nothing to evaluate"),
        (nn.Conv2d(3, 11, 1), r"cannot evaluate Conv2d; .*wrap\(module, classes\)"),
        (nn.Sequential(nn.Conv2d(3, 11, 1)), r"cannot evaluate Conv2d; .*wrap\(module, classes\)"),
        (None, "cannot evaluate NoneType"),
        ([noisy(), "unet_mimi"], "unknown model 'unet_mimi'; did you mean 'unet_mini'"),
        ([noisy(), Path("nowhere.safetensors")], "there is no checkpoint 'nowhere.safetensors'"),
        ([noisy(), Predictions(tmp_path, "street")], r"val-20000\.png is missing"),
        (Predictions(tmp_path, "streets"), "unknown class set 'streets'"),
        (wrap(UNet(5, 4), "street"), r"expected scores \(1,11,h',w'\) from UNet, got \(1, 5, 120, 160\)"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(models, ds, path)
        assert not path.exists()  # told before anything was done
    for option, words in (
        ({"size": "orginal"}, "unknown size to score at 'orginal'; did you mean 'original'"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"batch": 0}, "batch=0; expected at least 1"),
        ({"store": tmp_path}, f"{tmp_path} cannot be a store: unable to open"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(noisy(), ds, **option)
    with pytest.raises(ValueError, match=r"expected a data set, as load_dataset\('toytown', 'test'\), found 'toytown'"):
        evaluate(noisy(), "toytown")
    with pytest.raises(ValueError, match=r"device 'cuda:99' cannot be used on this machine; available: cpu"):
        evaluate("unet_mini", ds, device="cuda:99")


def test_scores_that_are_not_finite():
    model = noisy()
    model.net.classifier.bias.data[3] = float("nan")
    with pytest.raises(ValueError, match="noisy on val-20000: scores contain NaN"):
        evaluate(model, town(2))


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command(trained, folder, tmp_path):
    arguments = [*trained.values(), *of(folder), "--store", tmp_path / "s.sqlite", "--images", 4, "--device", "cpu"]
    said = command(*arguments, "--csv", tmp_path / "tables", f"again={trained['lraspp_mini']}")
    assert said.exit_code == 0, said.output
    for words in ("lraspp_mini:toytown", "unet_mini:toytown", "again", "pedestrian", "miou", "4 images"):
        assert words in said.stdout
    results = Results.open(tmp_path / "s.sqlite")
    assert results.names == ["lraspp_mini:toytown", "unet_mini:toytown", "again"]
    written = {path.stem: pd.read_csv(path, index_col=0) for path in (tmp_path / "tables").iterdir()}
    assert set(written) == {"summary", "iou", "pairs", "timings", "images"}
    assert written["summary"]["miou"].to_dict() == results.summary()["miou"].round(6).to_dict()
    assert "ms" not in written["summary"] and list(written["timings"]) == ["ms"]
    assert len(written["images"]) == 12

    before = {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    assert command(*arguments, "--csv", tmp_path / "tables", f"again={trained['lraspp_mini']}").exit_code == 0
    assert before == {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}


def test_help_and_errors_of_the_command(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["evaluate", "--help"], terminal_width=120)
    assert told.exit_code == 0
    for words in ("Interrupted, the same command goes on", "torchrun --nproc-per-node", "--predictions", "--csv"):
        assert words in told.output
    for arguments, words in (
        (["unet_mimi", *of(folder)], "did you mean 'unet_mini'"),
        (["nowhere.safetensors", *of(folder)], "there is no checkpoint"),
        (["unet_mini", "--data", "toytwon"], "did you mean 'toytown'"),
        (["unet_mini", "--data", "toytown", "--split", "tset"], "did you mean 'test'"),
        (["unet_mini", *of(folder), "--device", "cuda:99"], "device 'cuda:99' cannot be used on this machine"),
        (["unet_mini", *of(folder), "--device", "gpu"], "device 'gpu' cannot be used on this machine"),
        (["--predictions", "nowhere", *of(folder)], "is missing; predictions are label maps"),
        ([*of(folder)], "nothing to evaluate"),
        (["--predictions", folder / "masks", *of(folder), "--images", "0"], "holds no images"),
        (["--predictions", folder / "masks", *of(folder), "--size", "mine"], "unknown size to score at"),
    ):
        told = command(*arguments)
        assert told.exit_code == 1, arguments
        assert "✗" in told.output and words in told.output, told.output
        assert "Traceback" not in told.output
    assert list(tmp_path.iterdir()) == []


# --- memory ---------------------------------------------------------------------------------------------------------

MEMORY = """
import resource, sys
from dataclasses import replace
import torch
from torch import nn
torch.set_num_threads(1)
from seglab import evaluate, load_dataset
from seglab.models.adapters import wrap
from seglab.data.dataset import Record

class Constant(nn.Module):
    def forward(self, x):
        return x[:, :1] * torch.arange(11.)[:, None, None]

scenes = load_dataset("toytown", "val", size=(96, 128)).subset(range(20))
arrays = [record.read() for record in scenes.records]
fresh = lambda i: lambda: tuple(array.clone() for array in arrays[i % 20])
for count in (200, 2000):
    records = tuple(Record(str(i), str(i), (), fresh(i)) for i in range(count))
    model = wrap(Constant(), "street")
    evaluate(model, replace(scenes, records=records), f"{sys.argv[1]}/{count}.sqlite", progress=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say how much memory a process took at most")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Of 2,000 images, the pixels of 1,800 more would take 88 MB."""
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    few, many = map(float, done.stdout.split())
    assert many - few < 15


# --- real data ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["camvid", "voc", "coco", "membrane"])
def test_real_images(real_data, data):
    """Counts are those of the masks; what has no counterpart in the data's words is an error or void."""
    ds = load_dataset(data, "val", root=real_data).subset([0, 2, 4])
    models = {"street": noisy(short=96), "voc": noisy("voc", short=96)}
    results = evaluate(models, ds, batch=2)
    for run, model in enumerate(models.values()):
        np.testing.assert_array_equal(stored(results, run), counted(fast_masks(model, ds), ds))
    assert {name for name in results.names if own_words(results.select(name))} == {
        "camvid": {"street"}, "voc": {"voc"}, "coco": {"voc"}, "membrane": set()}[data]  # fmt: skip


def own_words(results):
    """Whether a model has a word for every class of the data."""
    try:
        return len(results.iou_table()) == len(results.classes) + 1
    except ValueError as error:
        assert "share no class of membrane val" in str(error)
        return False
