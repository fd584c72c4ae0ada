"""Predictions in several class sets, shown in one."""

import numpy as np
import pytest
import torch

from seglab import CLASS_SETS, evaluate, load_dataset, load_model, predict
from seglab.data.classes import ClassSet
from seglab.data.dataset import Sample
from seglab.data.palette import voc_colors
from seglab.inference.prediction import Prediction
from seglab.inference.tiles import Tile
from seglab.viz.widgets import views
from seglab.viz.widgets.joint import join

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]
LEAVES = ClassSet("leaves", ("background", "leaf"), voc_colors(2), background=0)


def of_mask(mask, classes):
    """A prediction with this mask, probability 1."""
    mask = torch.as_tensor(mask)
    scores = 50.0 * torch.nn.functional.one_hot(mask.long(), len(classes)).permute(2, 0, 1).float()
    image = torch.zeros(3, *mask.shape, dtype=torch.uint8)
    return Prediction(image, classes, (Tile(0, 0, *mask.shape, scores),), "m", True, 0.0)


def test_equal_classes_change_nothing():
    mask = torch.arange(11, dtype=torch.uint8).reshape(1, 11)
    joint = join({"a": of_mask(mask, STREET)}, STREET)
    assert joint.classes == STREET
    assert torch.equal(joint.masks["a"], mask)
    assert (joint.evaluated, joint.foreign, joint.translated) == (STREET.names, (), ())
    assert joint.sentences() == []


def test_a_counterpart_is_translated_and_other_classes_are_shown_as_they_are():
    mask = np.array([[VOC.index("person"), VOC.index("bus"), VOC.index("cat"), VOC.index("background")]], np.uint8)
    joint = join({"voc": of_mask(mask, VOC)}, STREET)
    names = joint.classes.names
    assert names[:11] == STREET.names
    assert [names[k] for k in joint.masks["voc"].flatten()] == ["pedestrian", "car", "cat", "background"]
    assert len(set(joint.classes.colors)) == len(names), "every class has a colour of its own"
    assert joint.evaluated == ("car", "pedestrian", "bicyclist")
    assert joint.sentences() == [
        "Classes of voc are translated where there is a counterpart.",
        "Void in the IoU, because a model lacks the class: sky, building, pole, road, pavement, tree, sign, fence.",
    ]


def test_without_a_class_in_common():
    """The mask keeps its own classes, and the other model is evaluated as if it were alone."""
    leaf, street = of_mask([[0, 1, 1]], LEAVES), of_mask([[3, 3, 9]], STREET)
    joint = join({"leaf": leaf, "street": street}, LEAVES)
    assert [joint.classes.names[k] for k in joint.masks["street"].flatten()] == ["road", "road", STREET.names[9]]
    assert (joint.evaluated, joint.foreign) == (LEAVES.names, ("street",))
    (sentence,) = joint.sentences()
    assert sentence.startswith("street has no class in common with leaves (background, leaf): ")
    assert "IoU" in sentence
    assert "IoU" not in " ".join(join({"leaf": leaf, "street": street}, LEAVES).sentences(target=False))
    sample = Sample(leaf.image, torch.tensor([[0, 0, 1]], dtype=torch.uint8), "a", "a")
    title, table = views.class_table(sample, joint)
    assert title == "IoU on this image"
    assert table["leaf"].to_dict() == {"background": 0.5, "leaf": 0.5, "mean": 0.5}
    assert list(table) == ["leaf"]
    title, table = views.class_table(sample, join({"street": street}, LEAVES))
    assert (title, table.index.tolist()) == ("Fraction of pixels", ["road", STREET.names[9]])


def test_the_background_alone_is_not_in_common():
    assert join({"voc": of_mask([[0]], VOC)}, LEAVES).foreign == ("voc",)


def test_the_iou_is_that_of_the_evaluation(tmp_path):
    """A street model on a class set with other names: as `evaluate` counts it on the same image."""
    names = ("sky", "road", "tram", "car")
    classes = ClassSet("own", names, voc_colors(4))
    source = load_dataset("toytown", "test")[3]
    table = torch.full((256,), 2, dtype=torch.uint8)  # everything else is a tram
    for k, name in enumerate(names):
        if name in STREET.names:
            table[STREET.index(name)] = k
    folder = tmp_path / "own"
    from PIL import Image

    for kind, array in (("images", source.image.permute(1, 2, 0)), ("masks", table[source.target.long()])):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(array.numpy()).save(folder / kind / "a.png")
    dataset = load_dataset("folder", root=folder, classes=classes)
    model = load_model("unet_mini:toytown", device="cpu")
    results = evaluate({"unet": model}, dataset, progress=False)
    joint = join({"unet": predict(model, dataset[0].image)}, classes)
    assert list(joint.evaluated) == results.evaluated == ["sky", "road", "car"]
    _, table = views.class_table(dataset[0], joint)
    row = results.per_image().iloc[0]
    assert table["unet"].drop("mean").to_dict() == pytest.approx(row[list(table.index[:-1])].to_dict())
    assert table.loc["mean", "unet"] == pytest.approx(row["miou"])
    data, _ = views.viewer_input(dataset[0], joint)
    shown = {c["name"]: v for c, v in zip(data["classes"], data["layers"][0]["iou"], strict=True) if v is not None}
    assert shown == pytest.approx(table["unet"].drop("mean").to_dict(), abs=1e-4)
