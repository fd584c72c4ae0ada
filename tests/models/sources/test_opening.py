"""Models from elsewhere in evaluations, in commands, in plans and in the store."""

import json

import helpers.hub_models as small
import pytest
import torch
import transformers as t
from helpers.evaluation import command
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from seglab import Results, evaluate, load_dataset, load_model, predict
from seglab.__main__ import app
from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.palette import voc_colors
from seglab.models.adapters import wrap
from seglab.models.sources.stated import input_line, named_classes
from seglab.report import plan

CITY = {"pavement": "sidewalk", "pedestrian": "person", "tree": "vegetation", "sign": "traffic_sign"}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """SegFormer mini with its trained weights and the class names of another vocabulary."""
    folder = tmp_path_factory.mktemp("hub") / "city"
    processor = t.SegformerImageProcessor(size={"height": 192, "width": 256})
    mini = small.write_mini(folder, "segformer_mini:toytown", processor)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {i: CITY.get(name, name) for i, name in enumerate(mini.classes.names)}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_another_vocabulary_is_mapped_by_synonyms_and_shown(city, tmp_path):
    store = tmp_path / "s.sqlite"
    run = command(f"hf:{city}", "segformer_mini:toytown", "--data", "toytown", "--images", 2, "--store", store)
    assert run.exit_code == 0, run.output
    results = Results.open(store)
    assert results.summary()["miou"].nunique() == 1
    shown = results.mapping()
    assert set(shown["model"]) == {"hf:city"}
    assert dict(zip(shown["predicted"], shown["counted as"], strict=True))["traffic_sign"] == "sign"
    for words in ("counted as", "sidewalk", "pavement"):
        assert words in run.stdout


@pytest.mark.slow
def test_a_mapping_of_your_own_is_part_of_the_measurement(city, tmp_path):
    (tmp_path / "m.csv").write_text("sidewalk,road\n")
    arguments = [f"hf:{city}", "--data", "toytown", "--images", 2, "--store", tmp_path / "s.sqlite"]
    run = command(*arguments, "--mapping", tmp_path / "m.csv", "--csv", tmp_path / "tables")
    assert run.exit_code == 0, run.output
    results = Results.open(tmp_path / "s.sqlite")
    assert results.identities[0]["mapping"] == {"sidewalk": "road"}
    assert "pavement" in results.measurements.unnamed
    assert (tmp_path / "tables" / "mapping.csv").is_file()
    again = command(*arguments)
    assert again.exit_code == 1
    assert "mapping" in again.output
    with pytest.raises(ValueError, match="unknown class in the mapping 'sidewalks'; did you mean 'sidewalk'"):
        evaluate(f"hf:{city}", load_dataset("toytown", "test").subset([0]), mapping={"sidewalks": "road"})


def test_predict_prints_what_a_model_takes(city, tmp_path):
    sample = load_dataset("toytown", "test")[0]
    Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(tmp_path / "photo.png")
    arguments = ["predict", str(tmp_path / "photo.png"), "--out", str(tmp_path / "out"), "--model", f"hf:{city}"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert "hf:city predicts 11 classes: sky, building" in run.output
    assert "images are resized to a short side of 192; normalised with the mean 0.485" in run.output
    assert "output stride 4" in run.output


def test_plans_state_what_a_file_does_not(city, tmp_path):
    with torch.no_grad():
        net = torch.jit.trace(
            load_model("lraspp_mini:toytown", device="cpu").net, torch.zeros(1, 3, 192, 256), strict=False
        )
    net.save(tmp_path / "mine.pt")
    stated = {"model": str(tmp_path / "mine.pt"), "classes": "street", "size": 192, "mean": [0.5] * 3, "std": [0.5] * 3}
    made = plan.plan_from({"models": {"mine": stated, "hub": f"hf:{city}"}, "mapping": {"sidewalk": "road"}})
    assert made.models == {"mine": (stated,), "hub": (f"hf:{city.resolve()}",)}
    assert made.mapping == {"sidewalk": "road"}
    again = plan.plan_from(json.loads(json.dumps({"models": made.models})))  # as a manifest stores it
    (_, model), _ = again.evaluables(load_dataset("toytown", "test"))
    assert (model.label, model.mean, model.short) == ("mine.pt", (0.5,) * 3, 192)
    for values, problem in (
        ({"mine": stated | {"sizes": 1}}, "unknown field of models: 'mine' in the plan 'sizes'; did you mean 'size'"),
        ({"mine": stated | {"size": "big"}}, "expected the short side in pixels"),
        ({"mine": {"classes": "voc"}}, "models: 'mine', model in the plan has NoneType"),
    ):
        with pytest.raises(ValueError, match=problem):
            plan.plan_from({"models": values})


def test_another_normalisation_is_another_measurement(tmp_path):
    scene = load_dataset("toytown", "test").subset([0])
    net = nn.Conv2d(3, 11, 1)
    evaluate({"mine": wrap(net, "street")}, scene, tmp_path / "s.sqlite", progress=False)
    evaluate({"mine": wrap(net, "street")}, scene, tmp_path / "s.sqlite", progress=False)
    with pytest.raises(ValueError, match=r"mean: None instead of \[0\.5, 0\.5, 0\.5\]|mean: \[0\.5"):
        evaluate({"mine": wrap(net, "street", mean=(0.5, 0.5, 0.5))}, scene, tmp_path / "s.sqlite", progress=False)


def test_a_function_is_wrapped_and_never_taken_for_another_one(tmp_path):
    def reddest(images):
        return torch.stack([images[:, 0], images[:, 1], images[:, 2]], dim=1)

    colors = ClassSet("colors", ("red", "green", "blue"), voc_colors(3))
    model = wrap(reddest, colors, mean=(0, 0, 0), std=(1, 1, 1))
    image = torch.zeros(3, 20, 30, dtype=torch.uint8)
    image[1, :, :15] = image[2, :, 15:] = 200
    mask = predict(model, image).mask
    assert mask[:, :15].unique().tolist() == [1] and mask[:, 15:].unique().tolist() == [2]
    assert model.label == "reddest"

    def states(version):
        return [wrap(reddest, colors, version=version).net.state_dict()["token"].tolist() for _ in range(2)]

    one, other = states(None)
    assert one != other
    assert states("1")[0] == states("1")[1] != states("2")[0]
    with pytest.raises(ValueError, match="expected a module or a function of images, found 5"):
        wrap(5, colors)


def test_names_and_sizes_are_read(city):
    assert named_classes("x", ["Background ", "aeroplane", *CLASS_SETS["voc"].names[2:]]) is CLASS_SETS["voc"]
    assert named_classes("x", ["other", "background"]).background == 1
    model = load_model(f"hf:{city}", device="cpu")
    model.short = (192, 256)
    assert input_line(model).startswith("images are resized to 192×256 pixels; normalised with the mean 0.485, 0.456")
    model.short = None
    assert input_line(model).startswith("images keep their size")
