"""ONNX Runtime and OpenVINO give the masks of torch, and "auto" chooses among them once for each machine."""

import json
import os
import subprocess
import sys
import warnings
from threading import Thread

import pytest
import torch
from helpers.evaluation import noisy
from torch import nn

from seglab import load_dataset, load_model, predict
from seglab.evaluation.loop import evaluate
from seglab.inference.fast import FastModel
from seglab.inference.prediction import predictions
from seglab.inference.runtimes import choice
from seglab.inference.runtimes.session import Session
from seglab.masks.argmax import to_mask
from seglab.models.adapters import wrap

pytest.importorskip("onnxruntime", reason="runtimes come with `pip install '.[fast]'`")
pytest.importorskip("onnxscript", reason="runtimes come with `pip install '.[fast]'`")
BOTH = [pytest.param(name, marks=pytest.mark.skipif(bool(choice.missing(name)), reason=f"{name} is not installed"))
        for name in choice.SESSIONS]  # fmt: skip
MINI = "fcn_mini:toytown"  # the fastest to export


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def scenes():
    return [load_dataset("toytown", "test", size=size)[i].image for i, size in enumerate([(192, 256), (150, 203)])]


@pytest.fixture
def worthwhile(monkeypatch):
    monkeypatch.setattr(choice, "FEW", 1)
    monkeypatch.setattr(choice, "WORTH", 0.0)


def differing(fast, model, images):
    """Pixels that differ from those of the fast path of torch, and all pixels."""
    expected = to_mask(FastModel(model)(images), size=images.shape[-2:])
    return int((to_mask(fast(images), size=images.shape[-2:]) != expected).sum()), expected.numel()


def counts(results):
    return results.counts.drop(columns="seed").sort_values(["id", "target", "pred"]).reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", BOTH)
@pytest.mark.parametrize("name", [MINI, *(pytest.param(f"{mini}_mini:toytown", marks=pytest.mark.slow)
                                          for mini in ("lraspp", "deeplabv3", "unet", "segformer"))])  # fmt: skip
def test_masks_agree_with_torch_at_each_size_and_batch(name, runtime, scenes):
    model = load_model(name, device="cpu")
    fast, different, total = FastModel(model, runtime=runtime), 0, 0
    for short in (model.short, None):
        fast.short = short
        for batch in (
            scenes[0][None],
            torch.stack([scenes[0], scenes[0].flip(-1), scenes[0].flip(-2)]),
            scenes[1][None],
        ):
            found, pixels = differing_at(fast, model, batch, short)
            different, total = different + found, total + pixels
    assert fast.used.startswith(runtime + " ") and total > 400_000
    assert different <= 1e-4 * total


def differing_at(fast, model, images, short):
    before, model.short = model.short, short
    try:
        return differing(fast, model, images)
    finally:
        model.short = before


@pytest.mark.parametrize("runtime", BOTH)
def test_twins_in_threads_give_the_same_scores(runtime, scenes):
    fast, found = FastModel(load_model(MINI, device="cpu"), runtime=runtime), {}
    expected = fast(scenes[0][None])
    twins = [fast.twin() for _ in range(3)]

    def compute(i):
        found[i] = [twins[i](scenes[0][None]) for _ in range(3)]

    threads = [Thread(target=compute, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and all(torch.equal(scores, expected) for some in found.values() for scores in some)


@pytest.mark.slow
def test_changed_weights_make_a_new_graph(scenes):
    model = load_model(MINI, device="cpu")
    before = predict(model, scenes[0], runtime="onnxruntime")
    with torch.no_grad():
        model.net.classifier[-1].bias[3] += 100
    after = predict(model, scenes[0], runtime="onnxruntime")
    assert (after.mask == 3).all() and not (before.mask == 3).all()


@pytest.mark.parametrize("runtime", BOTH)
def test_counts_of_evaluate_and_the_identity(runtime, tmp_path):
    data, store = load_dataset("toytown", "test").subset(range(3)), tmp_path / "store.sqlite"
    torch_counts = evaluate(MINI, data, device="cpu", progress=False)
    results = evaluate(MINI, data, store, device="cpu", progress=False, runtime=runtime)
    joint = counts(results).merge(counts(torch_counts), on=["model", "id", "target", "pred"], how="outer").fillna(0)
    assert (joint["pixels_x"] - joint["pixels_y"]).abs().sum() / 2 <= 1e-4 * joint["pixels_x"].sum()
    assert results.identities[0 if 0 in results.identities else 1]["runtime"] == choice.titled(runtime)
    assert all("runtime" not in identity for identity in torch_counts.identities.values())
    again = evaluate(MINI, data, store, device="cpu", progress=False, runtime="auto")  # keeps to the store's runtime
    assert counts(again).equals(counts(results))
    with pytest.raises(ValueError, match="another measurement of"):
        evaluate(MINI, data, store, device="cpu", progress=False)


def test_auto_uses_torch_for_few_images_and_compares_where_it_is_worthwhile(scenes, worthwhile, monkeypatch):
    model = load_model(MINI, device="cpu")
    fast = FastModel(model, runtime="auto")
    with monkeypatch.context() as patch:
        patch.setattr(choice, "FEW", 20)
        assert torch.equal(fast(scenes[0][None]), FastModel(model)(scenes[0][None])) and fast.used == "torch"
    monkeypatch.setattr(choice, "_seconds", lambda run, *_: 0.5 if isinstance(run, Session) else 1.0)
    fast.expected = 100
    assert differing(fast, model, scenes[0][None])[0] <= 4
    assert fast.used != "torch"


@pytest.mark.slow
def test_the_choice_is_remembered_in_a_second_process(scenes, worthwhile):
    model = load_model(MINI, device="cpu")
    list(predictions(model, scenes * 2, runtime="auto"))
    for file in (choice.cache_dir() / "runtimes").iterdir():
        file.write_text(json.dumps({"runtime": "onnxruntime"}))
    code = (
        "from seglab import load_model, load_dataset, predict\n"
        "from seglab.inference import export, prediction\n"
        "export.onnx_graph = None  # a graph is not exported again\n"
        f"model = load_model({MINI!r}, device='cpu')\n"
        "predict(model, load_dataset('toytown', 'test')[0].image, runtime='auto')\n"
        "print(prediction.fast_model(model, 'float32', 'auto').used)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == choice.titled("onnxruntime")


class AnySize(nn.Module):
    """A network that cannot be exported for all sizes at once: it looks up a number by the height."""

    def forward(self, images):
        return images[:, :2] - {192: 0.2, 150: 0.1}.get(int(images.shape[-2]), 0.0) * images[:, 1:]


@pytest.mark.slow
def test_a_model_for_one_size_only_is_computed_by_torch_and_said_once(scenes, worthwhile):
    model = wrap(AnySize(), "membrane", title="any size")
    with pytest.warns(UserWarning, match="cannot be computed by onnxruntime .*another runtime is used"):
        fast = FastModel(model, runtime="auto")
        fast.expected = 100
        fast(scenes[0][None])
    assert fast.used == "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(scenes[0][None])
        FastModel(model, runtime="auto")(scenes[1][None])  # the choice is remembered
    forced = FastModel(model, runtime="onnxruntime")  # one graph for each size
    assert differing(forced, model, scenes[0][None])[0] + differing(forced, model, scenes[1][None])[0] == 0


def test_another_answer_is_refused(scenes, monkeypatch):
    session = choice.SESSIONS["onnxruntime"]
    plain = session.__call__
    monkeypatch.setattr(session, "__call__", lambda self, batch: plain(self, batch).roll(1, dims=1))
    with pytest.raises(ValueError, match=r"cannot be computed by onnxruntime \(\d+ of \d+ pixels differ"):
        predict(load_model(MINI, device="cpu"), scenes[0], runtime="onnxruntime")


def test_a_runtime_that_is_missing_or_unknown_or_of_no_use(scenes, monkeypatch):
    with pytest.raises(ValueError, match="unknown runtime 'onxruntime'; did you mean 'onnxruntime'"):
        predict(noisy(), scenes[0], runtime="onxruntime")
    with pytest.raises(ValueError, match="float32 weights on a CPU; use runtime='torch'"):
        FastModel(noisy().half(), runtime="onnxruntime")
    with pytest.raises(ValueError, match="float32 on a CPU, not in bfloat16"):
        predict(noisy(), scenes[0], runtime="onnxruntime", precision="bfloat16")
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the packages .*openvino.*: pip install 'seglab\[fast\]'"):
        predict(noisy(), scenes[0], runtime="openvino")
    assert predict(noisy(), scenes[0], runtime="auto").mask.shape == scenes[0].shape[1:]


@pytest.mark.slow
def test_openvino_is_imported_without_its_telemetry(tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO comes with `pip install '.[fast]'`")
    code = (
        "import sys\nfrom seglab.inference.runtimes.open_vino import core\ncore()\nimport openvino\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]" and not list(tmp_path.iterdir())
