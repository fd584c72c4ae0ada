"""The zoo: what its cards say is what its weights are and do."""

import json
import shutil
from dataclasses import fields
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import zoo
from typer.main import get_command

from seglab import CLASS_SETS, DATASETS, MODELS, Results, evaluate, load_dataset, load_model
from seglab.__main__ import app
from seglab._utils.hashing import code_version, sha256_file
from seglab.models.checkpoints import read_checkpoint
from seglab.models.spec import ZOO
from seglab.models.weights import zoo as weights_zoo
from seglab.models.weights.zoo import PHOTOGRAPH_MODELS, SHIFTED, stored_counts, zoo_dir
from seglab.training.loop import fit
from seglab.training.recipe import Recipe

CARDS = sorted(path.stem for path in zoo_dir().glob("*-*.json"))


def test_recipes_are_for_weights_that_their_rows_name():
    assert zoo.recipes()
    for name in zoo.recipes():
        model, _, data = name.partition(":")
        assert data in MODELS[model].weights
        assert data in zoo.SEEDS
        assert data in zoo.EVALUATED_ON
    rows = {f"{model}:{data}": row for model, spec in MODELS.items() for data, row in spec.weights.items()}
    assert set(zoo.recipes()) == {name for name, row in rows.items() if row.source == ZOO}


@pytest.mark.parametrize("name", zoo.recipes())
def test_the_options_of_a_recipe_are_valid(name, tmp_path):
    """Known options with values in range, classes of the data, and initial weights of the same model."""
    model, _, data = name.partition(":")
    options = get_command(app).commands["train"].make_context("train", zoo.command(name, 0, tmp_path)[1:]).params
    recipe = Recipe(**{field.name: options[field.name] for field in fields(Recipe)})
    classes = CLASS_SETS[MODELS[model].weights[data].classes]
    assert options["data"] == data
    assert DATASETS[data].classes == classes.name
    assert set(recipe.favour) <= set(classes.names)
    assert min(recipe.size) == MODELS[model].weights[data].short
    started, _, weights = options["model"].partition(":")
    assert started == model
    assert not weights or weights in MODELS[model].weights


def test_a_recipe_is_a_command(tmp_path):
    name = next(iter(zoo.recipes()))
    words = zoo.command(name, 2, tmp_path)
    assert words[:2] == ["train", name.partition(":")[0]] or words[1].startswith(name.partition(":")[0])
    assert words[-4:] == ["--seed", "2", "--out", str(tmp_path)]
    with pytest.raises(ValueError, match="unknown recipe 'unet_mini:mars'"):
        zoo.command("unet_mini:mars", 0, tmp_path)


def test_the_zoo_is_small():
    assert sum(path.stat().st_size for path in zoo_dir().iterdir()) < 75e6


def test_the_page_is_what_the_cards_say():
    assert (zoo_dir() / "README.md").read_text(encoding="utf-8") == zoo.readme()
    assert all(f"| {card.replace('-', ':', 1)} |" in zoo.readme() for card in CARDS)


@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_of_these_weights(card):
    path = zoo_dir() / f"{card}.safetensors"
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["sha256"] == sha256_file(path)
    assert facts["bytes"] == path.stat().st_size
    trained, state = read_checkpoint(path)
    assert trained["run"] == facts["run"]
    model = load_model(path, device="cpu").net
    assert {state[key].dtype for key, _ in model.named_parameters()} == {torch.float16}
    assert all(state[key].dtype == value.dtype for key, value in model.named_buffers() if key in state)


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS)
def test_what_a_card_says_was_counted(card):
    model, _, data = card.partition("-")
    facts = json.loads((zoo_dir() / f"{card}.json").read_text(encoding="utf-8"))
    results = Results.open(stored_counts(data)).select(f"{model}:{data}")
    first = results.seeds().iloc[0]
    assert facts["measured"]["miou"] == pytest.approx(first["miou"], abs=5e-5)
    counted = results.seeds()["seed"].to_list()
    assert counted == list(zoo.SEEDS[data])[: len(counted)]
    assert facts["measured"]["miou of each seed"] == pytest.approx(results.seeds()["miou"].to_list(), abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("card", [card for card in CARDS if card.endswith("-toytown")])
def test_counting_again_gives_the_same(card):
    """On the first scenes, and but for a few pixels: processors round differently."""
    name = card.replace("-", ":", 1)
    scenes = load_dataset("toytown", "test").subset(range(8))
    again = evaluate(load_model(name, device="cpu"), scenes, progress=False).counts
    stored = Results.open(stored_counts("toytown")).select(name).counts
    stored = stored[stored["id"].isin(scenes.ids) & (stored["seed"] == 0)]
    keys = ["id", "target", "pred"]
    both = again.set_index(keys)["pixels"].sub(stored.set_index(keys)["pixels"], fill_value=0)
    assert both.abs().sum() <= 8 * 192 * 256 / 1e4


@pytest.mark.parametrize("data", [data for data in zoo.EVALUATED_ON if stored_counts(data).is_file()])
def test_committed_counts_are_those_of_this_code(data):
    """So that the committed store can be extended without counting anything again."""
    paths = [stored_counts(data, shifted) for shifted in ([False, True] if data in SHIFTED else [False])]
    identities = [identity for path in paths for identity in Results.open(path).identities.values()]
    advice = f"count the bundled weights again: python benchmarks/studies/zoo.py confirm {data}"
    assert {identity["code"] for identity in identities} == {code_version()}, advice


@pytest.mark.slow
def test_a_committed_store_can_be_extended(tmp_path):
    path = tmp_path / "extended.sqlite"
    shutil.copy(stored_counts("toytown"), path)
    before = Results.open(path)
    torch.manual_seed(0)
    new = load_model("lraspp_mini", weights=None, device="cpu")
    results = evaluate(
        ["lraspp_mini:toytown", ("untrained", new)], load_dataset("toytown", "test"), path, progress=False
    )
    assert results.names == [*before.names, "untrained"]
    kept = results.counts[results.counts["model"] != "untrained"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before.counts)
    assert results.summary()["miou"]["untrained"] < 0.2


@pytest.mark.slow
def test_counts_of_other_code_are_not_confirmed(tmp_path, monkeypatch):
    """Other predictions than the stored ones are refused, and the store stays as it was."""
    path = tmp_path / "counts.sqlite"
    shutil.copy(stored_counts("toytown"), path)
    monkeypatch.setattr(zoo, "stored_counts", lambda data, shifted: path)
    spoilt = SimpleNamespace(counts=Results.open(path).of_seed(0).counts.assign(pred=0))
    monkeypatch.setattr(zoo, "evaluate", lambda names, dataset, store: spoilt)
    digest = sha256_file(path)
    with pytest.raises(ValueError, match=r"pixels of counts.sqlite are predicted differently; count .* publish"):
        zoo.confirm("toytown")
    assert sha256_file(path) == digest


@pytest.mark.slow
def test_another_seed_can_follow(tmp_path, monkeypatch):
    """Its counts join those of the others; the bundled files stay as they are."""
    name, ours, bundled = "lraspp_mini:toytown", tmp_path / "zoo", sha256_file(stored_counts("toytown"))
    shutil.copytree(zoo_dir(), ours)
    for module in (zoo, weights_zoo):  # the study, and the functions that it calls
        monkeypatch.setattr(module, "zoo_dir", lambda: ours)
    with pytest.raises(ValueError, match=r"no training of lraspp_mini:mars with seed 0"):
        monkeypatch.setitem(zoo.SEEDS, "mars", (0,))
        zoo.publish("lraspp_mini:mars", tmp_path)
    torch.manual_seed(1)
    model = load_model("lraspp_mini", weights=None, device="cpu")
    streets = load_dataset("toytown", "train", size=(48, 64)).subset(range(8))
    fit(model, streets, streets, Recipe(epochs=1, size=(48, 64), seed=1), zoo.folder(name, 1, tmp_path), progress=False)
    monkeypatch.setattr(zoo, "results_dir", lambda: tmp_path)
    (tmp_path / "histories").mkdir()
    zoo.store_history(zoo.folder(name, 1, tmp_path), "new", "seglab train")
    assert list(pd.read_csv(tmp_path / "histories" / "new.csv")["epoch"]) == [1]
    assert json.loads((tmp_path / "histories" / "new.json").read_text())["command"] == "seglab train"
    before = json.loads((ours / "lraspp_mini-toytown.json").read_text(encoding="utf-8"))
    card = zoo.publish(name, tmp_path)
    first, second, *_ = card["measured"]["miou of each seed"]
    assert first == card["measured"]["miou"] == pytest.approx(before["measured"]["miou"], abs=1e-3)
    assert 0 < second < 0.3
    assert card["sha256"] == sha256_file(ours / "lraspp_mini-toytown.safetensors") == before["sha256"]
    assert Results.open(zoo.stored_counts("toytown")).select(name).seeds()["seed"].to_list()[:2] == [0, 1]
    monkeypatch.undo()
    assert sha256_file(stored_counts("toytown")) == bundled


# The mIoU that a card states at least; of nuclei the IoU of the nucleus.
LEAST = {"toytown": 0.70, "camvid": 0.45, "photographs": 0.20, "nuclei": 0.80}
LEAST_MASK2FORMER = {"toytown": 0.55, "camvid": 0.35, "photographs": 0.10}
LEAST_PERSON_CAT_DOG = {"mean": 0.64, "person": 0.52, "cat": 0.77, "dog": 0.70}  # of the best model for photographs


@pytest.mark.parametrize("card", CARDS)
def test_quality_is_what_was_asked_for(card):
    model, _, data = card.partition("-")
    least = LEAST_MASK2FORMER if model == "mask2former_mini" else LEAST
    measured = json.loads((zoo_dir() / f"{card}.json").read_text(encoding="utf-8"))["measured"]
    assert (measured["iou"]["nucleus"] if data == "nuclei" else measured["miou"]) >= least[data]


def test_the_best_model_for_photographs_is_good():
    path = zoo_dir() / f"{PHOTOGRAPH_MODELS[0].replace(':', '-')}.json"
    if not path.is_file():
        pytest.skip(f"{PHOTOGRAPH_MODELS[0]} is not trained yet: python benchmarks/studies/zoo.py train")
    iou = json.loads(path.read_text(encoding="utf-8"))["measured"]["iou"]
    assert all(iou[name] >= least for name, least in LEAST_PERSON_CAT_DOG.items())
