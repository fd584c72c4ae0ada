"""The explorer, without a kernel: every control over all of its options, bad input, and what can be taken along."""

import base64
import re
import threading
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage import data as photographs

from seglab import CLASS_SETS, load_dataset, load_model, predict
from seglab.data.labels import read_mask
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class
from seglab.viz.widgets import explorer, views
from seglab.viz.widgets.explorer import explore
from seglab.viz.widgets.views import SIZES, VIEWS, Question

UNET, FCN = "unet_mini:toytown", "fcn_mini:toytown"
STREET = CLASS_SETS["street"]


@pytest.fixture
def opened():
    return explore([UNET, FCN, "lraspp_mini:toytown"], ["toytown test", "toytown:night test"], wait=True)


def jpeg(image, **more):
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "jpeg", **more)
    return buffer.getvalue()


def drawn(explorer):
    return bytes(explorer.map.value)


def fine(explorer):
    """Nothing is wrong, and what is shown is what was asked for."""
    explorer.wait()
    assert explorer.problem.value == ""
    assert list(explorer.said) == list(explorer.models.value)
    assert [layer["name"] for layer in explorer.viewer.data["layers"]][: len(explorer.said)] == list(explorer.said)
    assert drawn(explorer).startswith(b"\x89PNG")
    assert explorer.stop.disabled
    return True


# Every option ---------------------------------------------------------------------------------------------------------


def test_every_data_set_that_is_here(real_data, monkeypatch):
    monkeypatch.setenv("SEGLAB_DATA", str(real_data))
    seen = explore([UNET], wait=True)
    assert {"toytown test", "toytown:fog test", "camvid val", "voc val", "coco val", "membrane val"} <= set(
        seen.data.options
    )
    for data in seen.data.options:
        seen.data.value = data
        for place in (0, seen.index.max):
            seen.index.value = place
            assert fine(seen), data
        dataset = load_dataset(*data.split(), download=False)
        assert seen.index.max == len(dataset) - 1
        assert torch.equal(seen.sample.image, dataset[seen.index.max].image)


def test_every_model_that_is_here():
    seen = explore(wait=True)
    minis = {f"{name}_mini:toytown" for name in ("fcn", "unet", "deeplabv3", "lraspp", "segformer", "mask2former")}
    assert minis <= set(seen.models.options)
    for name in seen.models.options:
        seen.models.value = [name]
        assert fine(seen), name
    seen.models.value = seen.models.options
    assert fine(seen)


def test_every_precision_and_size(opened):
    opened.models.value = ["lraspp_mini:toytown"]
    for precision in opened.precision.options:
        for _, short in opened.short.options:
            opened.precision.value, opened.short.value = precision, short
            assert fine(opened), (precision, short)
    model = load_model("lraspp_mini:toytown", device="cpu")
    model.short = SIZES[-1]
    p = predict(model, opened.sample.image, precision="bfloat16")
    assert torch.equal(opened.said["lraspp_mini:toytown"].mask, p.mask)


def test_every_view_of_every_class(opened):
    seen = set()
    for view in VIEWS:
        for name in STREET.names if VIEWS[view] else [STREET.names[0]]:
            opened.view.value, opened.class_name.value = view, name
            assert fine(opened), (view, name)
            seen.add(drawn(opened))
    assert len(seen) == 2 * 11 + 5  # no two are the same picture


# What it shows --------------------------------------------------------------------------------------------------------


def test_the_table_is_that_of_the_metrics(opened):
    name = next(iter(opened.said))
    target, mask = opened.sample.target, opened.said[name].mask
    expected = iou_per_class(confusion_matrix(mask, target, 11))
    table = views.iou({name: mask}, target, STREET)[name]
    shown = ~np.isnan(expected)
    assert table.index.tolist() == [*np.array(STREET.names)[shown], "mean"]
    assert table.to_numpy() == pytest.approx([*expected[shown], expected[shown].mean()])
    assert f"<td>{table['road']:.3f}</td>" in opened.table.value


@pytest.mark.parametrize("view", ["overlay", "score", "entropy"])
def test_code_makes_the_same_figure(opened, view):
    opened.index.value, opened.short.value, opened.view.value, opened.class_name.value = 3, 128, view, "car"
    assert fine(opened)
    assert figure_of(opened.code.value) == drawn(opened)


def figure_of(code):
    *before, last = code.splitlines()
    names = {}
    exec("\n".join(before), names)
    return eval(last, names).png()


def test_a_photograph(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = jpeg(np.tile(photographs.chelsea(), (5, 4, 1)))  # 1500 × 1804
    opened.take("cat.jpg", photo)
    assert fine(opened)
    assert opened.data.value == "your photograph"
    assert (opened.viewer.data["height"], opened.viewer.data["width"]) == (1290, 1551)
    assert "knows 11 classes and nothing else: sky, building" in opened.note.value
    assert "has 1500 × 1804 pixels and is shown with 1290 × 1551" in opened.note.value
    assert "IoU" not in opened.table.value
    assert list(tmp_path.iterdir()) == [], "nothing is written"
    (tmp_path / "cat.jpg").write_bytes(photo)
    assert figure_of(opened.code.value) == drawn(opened)
    opened.take("face.jpg", jpeg(photographs.astronaut()))
    assert fine(opened)
    assert opened.viewer.data["width"] == 512
    opened.data.value = "toytown:night test"
    assert fine(opened)
    assert "IoU" in opened.table.value


def test_what_is_taken_along(opened):
    opened.models.value = [UNET, FCN]
    assert fine(opened)
    files = {
        name: base64.b64decode(content)
        for name, content in re.findall(r'download="([^"]+)" href="data:[\w/]+;base64,([^"]+)"', opened.links.value)
    }
    view, *masks, table = files
    assert files[view] == drawn(opened)
    for path, name in zip(masks, opened.said, strict=True):
        assert torch.equal(read_mask(files[path]), opened.said[name].mask)
    read = pd.read_csv(BytesIO(files[table]), index_col="class")
    assert list(read) == [UNET, FCN]
    assert read.loc["mean", UNET] == pytest.approx(read[UNET].iloc[:-1].mean())


def test_other_vocabularies_are_translated(opened):
    """A class without a counterpart is void; what has one is renamed."""
    p, voc = predict(UNET, opened.sample.image), CLASS_SETS["voc"]
    mask = views.in_one_vocabulary({"unet": p}, voc)["unet"]
    for name, meant in (("car", "car"), ("pedestrian", "person")):
        assert (mask[p.mask == STREET.index(name)] == voc.index(meant)).all(), name
    elsewhere = views.in_one_vocabulary({"unet": p}, CLASS_SETS["membrane"])["unet"]
    assert (elsewhere == 255).all()
    table = views.iou({"unet": elsewhere}, torch.zeros_like(elsewhere), CLASS_SETS["membrane"])
    assert table["unet"].tolist() == [0.0, 0.0]  # what has no counterpart is an error, not void


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (b"Dear diary, today I learned what a mask is.", "diary.txt: not an image that Pillow reads"),
        (jpeg(photographs.chelsea())[:5000], "diary.txt: damaged or cut off"),
        (b"", "diary.txt: not an image"),
    ],
    ids=["text", "cut off", "empty"],
)
def test_what_is_no_photograph_is_said_and_harms_nothing(opened, photo, said):
    before = opened.viewer.data
    opened.take("diary.txt", photo)
    assert said in opened.problem.value
    assert opened.viewer.data == before
    opened.index.value = 5
    assert fine(opened)


def test_a_gigantic_photograph(opened, monkeypatch):
    poster = jpeg(photographs.chelsea())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    opened.take("poster.jpg", poster)
    assert "poster.jpg: declares more pixels than" in opened.problem.value


def test_hostile_names_are_only_text(opened):
    opened.take("<img src=x onerror=alert(1)>", b"x")
    assert "<img" not in opened.problem.value
    opened.take('"><img src=x onerror=alert(1)>.jpg', jpeg(photographs.chelsea()))
    assert fine(opened)
    assert "<img" not in opened.links.value + opened.note.value


def test_no_model_and_data_that_are_not_here(opened, monkeypatch, tmp_path):
    opened.models.value = []
    opened.wait()
    assert "choose at least one model" in opened.problem.value
    opened.models.value = [UNET]
    assert fine(opened)
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    opened.data.options = [*opened.data.options, "camvid val"]
    opened.data.value = "camvid val"
    opened.wait()
    assert "CamVid is not in" in opened.problem.value
    opened.data.value = "toytown test"
    assert fine(opened)


def test_what_breaks_inside_is_said(opened, monkeypatch):
    def broken(*_, **__):
        raise MemoryError("not enough room")

    monkeypatch.setattr(explorer, "predict", broken)
    opened.start()
    opened.wait()
    assert "MemoryError: not enough room" in opened.problem.value
    monkeypatch.undo()
    opened.start()
    assert fine(opened)


def test_cancelling_keeps_what_is_shown(opened, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(*given, **more):
        begun.set()
        assert go.wait(30)
        return predict(*given, **more)

    before = opened.viewer.data
    monkeypatch.setattr(explorer, "predict", slow)
    opened.index.value = 7
    assert begun.wait(30)
    assert not opened.stop.disabled
    assert "is looking (1 of" in opened.note.value
    opened.stop.click()
    assert opened.stop.disabled
    under_way = opened._thread
    begun.clear()
    opened.index.value = 9  # something else, while the first is still at it
    go.set()
    under_way.join(30)
    assert fine(opened)
    assert opened.viewer.data != before
    assert torch.equal(opened.sample.image, load_dataset("toytown", "test")[9].image)


def test_questions_as_code():
    asked = Question(("a", "b"), "camvid val", 4, precision="bfloat16", short=256, view="score", class_name="car")
    assert views.code(asked).splitlines()[2:] == [
        "image = load_dataset('camvid', 'val')[4].image",
        "models = {name: load_model(name) for name in ['a', 'b']}",
        "for model in models.values():",
        "    model.short = 256",
        "said = {name: predict(model, image, precision='bfloat16') for name, model in models.items()}",
        "looks.figure(said, 'score', 'car')",
    ]
    with pytest.raises(ValueError, match=r"unknown view 'entropie'.*entropy"):
        views.figure({"u": predict(UNET, photographs.chelsea())}, "entropie")
