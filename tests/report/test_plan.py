"""Plans of reports."""

import json
import random

import pytest
from helpers.fuzz import changed, hold, mutated
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab import MODELS
from seglab.data.loading import DataSelection
from seglab.models.weights.zoo import zoo_dir
from seglab.report import plan


def test_plan_in_yaml(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("""
        title: Mine
        models: {mine: [a.safetensors, b.safetensors], fcn: fcn_mini}
        data: [toytown, {name: camvid, split: val, images: 5}]
    """)
    made = plan.read_plan(path)
    assert made.models == {"mine": ("a.safetensors", "b.safetensors"), "fcn": ("fcn_mini",)}
    assert made.data == (DataSelection("toytown"), DataSelection("camvid", "val", 5))
    assert made.heading() == "Mine"
    path.write_text("models: [unet_mini, small=lraspp_mini]")
    made = plan.read_plan(path)
    assert made.models == {"unet_mini": ("unet_mini",), "small": ("lraspp_mini",)}
    assert made.heading() == "2 models on Toytown"


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a\n- b", "holds list; expected fields"), ("models: [a", "cannot be read as YAML"),
     ("modles: [a]", "did you mean 'models'"), ("data: toytown", "names no model"),
     ("{models: [a], data: [{nmae: toytown}]}", "did you mean 'name'")],
)  # fmt: skip
def test_invalid_plans(tmp_path, text, said):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        plan.read_plan(tmp_path / "plan.yaml")
    with pytest.raises(ValueError, match="cannot be read as a plan"):
        plan.read_plan(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("values", "said"),
    [({"models": 5}, r"an entry in models in the plan has 5 \(int\); expected a text"), ({"models": [5]}, "has 5"),
     ({"models": {"a": None}}, "models: 'a' in the plan has NoneType"), ({"models": {"a": []}}, "'a' names no model"),
     ({"models": {1: "unet_mini"}}, "a name in models in the plan has 1"),
     ({"models": ["a=b", "a=c"]}, "models in the plan give 'a' twice: b and c"),
     ({"models": ["m"], "data": 5}, r"a data set in the plan has 5 \(int\)"), ({"models": ["m"], "data": [5]}, "has 5"),
     ({"models": ["m"], "data": [{"split": "test"}]}, "has no name"),
     ({"models": ["m"], "data": [{"name": "toytown", "images": "all"}]}, "images in a data set in the plan has 'all'"),
     ({"models": ["m"], "data": [{"name": "toytown", "images": True}]}, "expected a whole number"),
     ({"models": ["m"], "data": [{"name": "toytown", "images": -3}]}, "images in a data set in the plan is -3"),
     ({"models": ["m"], "batch": "8"}, "batch in the plan has '8'"), ({"models": ["m"], "batch": 0}, "batch .* is 0"),
     ({"models": ["m"], "title": 2024}, "title .* expected a text"), ({"models": ["m"], "boundary": "no"}, "true or"),
     ({"models": ["m"], "predictions": {"a": 1}}, "predictions of 'a'"), ({0: 1}, "unknown field of the plan 0")],
)  # fmt: skip
def test_values_of_a_wrong_type(values, said):
    with pytest.raises(ValueError, match=said):
        plan.plan_from(values)


TEXTS = st.sampled_from(["toytown", "m", "a=b", "~nobody-here/x", "./x", "\0", "/" + "x" * 300, "\ud800", "", "test"])
KEYS = st.sampled_from(["models", "data", "predictions", "name", "split", "images", "root", "size", "batch", "title"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXTS | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400)
@given(st.dictionaries(KEYS, VALUES) | st.fixed_dictionaries({"models": VALUES, "data": VALUES}))
def test_any_values_are_a_plan_or_an_error_with_a_sentence(values):
    try:
        made = plan.plan_from(values)
    except ValueError:
        return
    assert all(isinstance(seed, str) for seeds in made.models.values() for seed in seeds)
    assert all(isinstance(data.name, str) and isinstance(data.images, int | None) for data in made.data)


@pytest.mark.parametrize(
    "text", ["a: &a [*a, *a]\nmodels: *a", "[" * 5000, "models: [a]\nmodels: [b]", "\0",
             "models: !!python/name:os.system", "title: !!timestamp 99", "title: !!bool maybe", "title: !!int ''"],
)  # fmt: skip
def test_yaml_that_cannot_be_read(tmp_path, text):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"plan\.yaml.* cannot be read as YAML"):
        plan.read_plan(tmp_path / "plan.yaml")


def test_default_plan_has_every_mini_in_all_weathers():
    made = plan.default_plan()
    assert set(made.models) == {n for n in MODELS if (zoo_dir() / f"{n}-toytown.safetensors").is_file()}
    assert [data.name for data in made.data] == ["toytown", "toytown:night", "toytown:fog", "toytown:rain"]
    assert {data.images for data in plan.limited(made, 3).data} == {3}


PLAN = {
    "title": "Mine", "models": {"mine": ["a.safetensors", "b.safetensors"], "fcn": "fcn_mini"}, "size": "original",
    "data": ["toytown", {"name": "camvid", "split": "val", "images": 5}], "boundary": True, "calibration": False,
    "predictions": {"theirs": "masks"}, "classes": "street", "batch": 2, "tile": [64, 96], "overlap": 8,
}  # fmt: skip


def test_ten_thousand_damaged_plans(tmp_path):
    """One value after the other replaced, removed or nested: each is a plan or an error with a sentence."""
    assert plan.plan_from(PLAN)
    rng, outcomes = random.Random(0), {"read": 0, "refused": 0}
    for _ in range(10_000):
        values = PLAN
        for _ in range(rng.choice((1, 1, 2, 3))):
            values = changed(values, rng)
        try:
            plan.plan_from(values)
            outcomes["read"] += 1
        except ValueError as error:
            assert type(error) is ValueError and len(str(error)) > 15, repr(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 500


def test_damaged_files_of_plans(tmp_path):
    """YAML and JSON with flipped bits, other bytes, and pieces left out or repeated."""
    texts = [json.dumps(PLAN).encode(), b"models: [unet_mini, &a b]\ndata:\n- {name: toytown, images: 5}\n- *a\n"]
    rng, outcomes = random.Random(0), []
    for i in range(1_000):
        content = mutated(texts[i % 2], rng)
        outcomes.append(hold(content, tmp_path / f"plan.{('json', 'yaml')[i % 2]}", plan.read_plan))
    assert set(outcomes) == {"read", "refused"}
