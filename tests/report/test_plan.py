"""Plans of reports."""

import pytest

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
    [("- a\n- b", "holds list; expected fields"), ("models: [a", "cannot be read as a plan"),
     ("modles: [a]", "did you mean 'models'"), ("data: toytown", "names no model"),
     ("{models: [a], data: [{nmae: toytown}]}", "did you mean 'name'")],
)  # fmt: skip
def test_invalid_plans(tmp_path, text, said):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        plan.read_plan(tmp_path / "plan.yaml")
    with pytest.raises(ValueError, match="cannot be read as a plan"):
        plan.read_plan(tmp_path / "nothing.yaml")


def test_default_plan_has_every_mini_in_all_weathers():
    made = plan.default_plan()
    assert set(made.models) == {n for n in MODELS if (zoo_dir() / f"{n}-toytown.safetensors").is_file()}
    assert [data.name for data in made.data] == ["toytown", "toytown:night", "toytown:fog", "toytown:rain"]
    assert {data.images for data in plan.limited(made, 3).data} == {3}
