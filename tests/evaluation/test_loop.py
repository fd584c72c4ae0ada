"""evaluate: threads, interruptions, several processes, names and errors do not change the counts."""

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
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.evaluation import STREET, assert_same, command, cut_off, evaluate, finished, noisy, of, stored, town
from helpers.files import write_image
from torch import nn

from seglab import Results, load_dataset, load_model
from seglab.evaluation import evaluators, loop
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.files import shards
from seglab.evaluation.reading import read
from seglab.models.adapters import wrap
from seglab.models.checkpoints import save_model
from seglab.models.unet import UNet


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_counts_do_not_depend_on_the_number_of_threads(trained, precision):
    model, ds = load_model(trained["lraspp_mini"], device="cpu"), town(12)
    one, four = (evaluate(model, ds, precision=precision, threads=n).tables for n in (1, 4))
    assert_same(one, four)


class Keeping(nn.Module):
    """Keeps its input in an attribute, its mean in a buffer, and an object that cannot be copied."""

    def __init__(self):
        super().__init__()
        self.net = noisy().net
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))

    def forward(self, x):
        self.kept, self.uncopied = x, (i for i in range(3))
        self.mean.copy_(x.mean((2, 3), keepdim=True))
        time.sleep(0.02)
        return self.net(self.kept - self.mean)


def test_module_may_keep_state_while_it_computes():
    """Images in several threads would overwrite it if they shared one module."""
    ds = town(9)
    several, one = (stored(evaluate(wrap(Keeping(), "street"), ds, threads=n)) for n in (3, 1))
    np.testing.assert_array_equal(several, one)


def test_data_that_change_while_they_are_evaluated(tmp_path):
    """A mask that is edited meanwhile is not counted under the fingerprint that was taken before."""
    for i in range(4):
        write_image(tmp_path / "images" / f"{i}.png", size=(16, 16))
        write_image(tmp_path / "masks" / f"{i}.png", np.zeros((16, 16)))
    ds = load_dataset("folder", root=tmp_path, classes="street")

    class Sky(nn.Module):
        def forward(self, x):
            if edit and x[:, 0].std() > 0:  # not the black image whose cost is counted
                write_image(tmp_path / "masks" / "3.png", np.ones((16, 16)))
            return torch.eye(11)[:1, :, None, None].expand(len(x), -1, 2, 2)

    edit = True
    with pytest.raises(ValueError, match=r"3\.png has changed since"):
        evaluate({"sky": wrap(Sky(), "street")}, ds, tmp_path / "s.sqlite", threads=1)
    edit = False
    write_image(tmp_path / "masks" / "3.png", np.zeros((16, 16)))
    results = evaluate({"sky": wrap(Sky(), "street")}, ds, tmp_path / "s.sqlite", threads=1)
    assert results.iou_table().loc["sky", "sky"] == 1
    assert len(results.images) == 4


@pytest.mark.parametrize("wrong", [False, True])
def test_number_of_threads_is_restored(wrong):
    """In this thread and in threads that are started later."""

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


def test_number_of_parallel_images_fits_memory(monkeypatch):
    """Half of the free memory is used, and one image is always evaluated."""
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux can a process that has imported torch be forked")
def test_evaluation_continues_after_it_was_killed(trained, tmp_path):
    """22 kills during images and at the start; the tables are those of an undisturbed run."""
    seed = random.randrange(1000)
    moment, kills, stores = random.Random(seed), 0, []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", ZYGOTE, *trained.values()], **pipes) as zygote:
        zygote.stdout.readline()

        def start(path):
            zygote.stdin.write(f"{path}\n")
            zygote.stdin.flush()
            return int(zygote.stdout.readline())

        while kills < 22:  # a fast machine finishes a store before it was killed so often
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


def test_evaluation_continues_after_an_error(folder, tmp_path):
    """Ctrl-C, a disk that fails for a moment, and an unreadable image."""
    path, ds = tmp_path / "s.sqlite", load_dataset("folder", root=folder, classes="street")

    def fails(error):
        raise error

    for index, error in ((2, KeyboardInterrupt()), (3, OSError("the disk is gone")), (4, ValueError("cut off"))):
        records = list(ds.records)
        records[index] = replace(records[index], read=partial(fails, error))
        with pytest.raises(type(error)):
            evaluate(noisy(), replace(ds, records=tuple(records)), path)
        assert read(path).images["image"].to_list() == list(range(index))
    evaluate(noisy(), ds, path)
    evaluate(noisy(), ds, tmp_path / "whole.sqlite")
    assert_same(read(path), read(tmp_path / "whole.sqlite"))


def test_truncated_image(folder, tmp_path):
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
    run = command("--store", tmp_path / "s2.sqlite", *of(own), "--predictions", own / "masks")
    assert run.exit_code == 1
    assert "damaged or cut off" in run.output and "Traceback" not in run.output


def test_finished_images_are_not_computed_again(tmp_path):
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
    assert calls(1) < once - 5  # its cost is counted, but no image is computed
    calls(4)
    with closing(sqlite3.connect(tmp_path / "4.sqlite")) as connection, connection:
        for table in ("images", "counts"):
            connection.execute(f"DELETE FROM {table} WHERE image = 1")  # as if it had been killed during a batch
    calls(4)
    assert_same(read(tmp_path / "4.sqlite"), evaluate(wrap(Counting(), "street"), town(), batch=4).tables)


@pytest.mark.slow
def test_two_processes_count_as_one(trained, folder, tmp_path):
    """Two real processes; the first prints the tables when both have finished."""
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


def test_images_are_split_among_three_processes(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in (2, 1, 0):
        monkeypatch.setenv("RANK", str(rank))
        evaluate(noisy(), town(), tmp_path / "three.sqlite", batch=2)
    with pytest.raises(ValueError, match="several processes need a store"):
        evaluate(noisy(), town())
    monkeypatch.delenv("WORLD_SIZE")  # RANK alone has another meaning
    monkeypatch.setenv("RANK", "2")
    whole = evaluate(noisy(), town(), batch=2)
    assert_same(read(tmp_path / "three.sqlite"), whole.tables)


def test_first_process_waits_for_the_others(monkeypatch, tmp_path):
    """The second process's file appears while the first one waits."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    late = (tmp_path / "s.2of2.sqlite").rename(tmp_path / "late")
    monkeypatch.setenv("RANK", "0")
    timer = threading.Timer(1.5, late.rename, [tmp_path / "s.2of2.sqlite"])
    timer.start()
    assert len(evaluate(noisy(), town(), tmp_path / "s.sqlite").tables.images) == 6
    timer.join()


def test_first_process_does_not_wait_forever(monkeypatch, tmp_path):
    """The other process may write to another disk. A later call computes the rest."""
    monkeypatch.setattr(loop, "PATIENCE", 0.5)
    with monkeypatch.context() as several:
        several.setenv("WORLD_SIZE", "2")
        several.setenv("RANK", "0")
        results = evaluate(noisy(), town(), tmp_path / "s.sqlite")
    assert results.tables.images["image"].to_list() == [0, 2, 4]
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    assert_same(read(tmp_path / "s.sqlite"), evaluate(noisy(), town()).tables)
    assert finished(tmp_path / "s.sqlite") == 3


@pytest.mark.slow
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
    with pytest.raises(ValueError, match=r"two models are named 'noisy' \(weights: .*\); give names"):
        evaluate([noisy(), other], town(2), tmp_path / "s.sqlite")
    evaluate(noisy(), town(2), tmp_path / "s.sqlite")
    with pytest.raises(ValueError, match=r"another measurement of 'noisy' on toytown val .*weights: .*another name"):
        evaluate(other, town(2), tmp_path / "s.sqlite")
    assert evaluate({"other": other}, town(2), tmp_path / "s.sqlite").names == ["noisy", "other"]


def test_other_images_under_the_same_name(tmp_path):
    """A subset, another order, other classes or another size cannot be compared with it."""
    evaluate(noisy(), town(), tmp_path / "s.sqlite")
    renamed = replace(STREET, names=(*STREET.names[:-1], "cyclist"), things=frozenset())
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
        assert not path.exists()  # before anything is computed
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say how much memory a process took at most")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Of 2,000 images, the pixels of 1,800 more would take 88 MB."""
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    few, many = map(float, done.stdout.split())
    assert many - few < 15
