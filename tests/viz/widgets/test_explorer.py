"""The explorer, without a kernel: every control over all of its options, bad input, and the files to save."""

import base64
import re
import threading
import time
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
from seglab.viz.widgets.views import CLASS_VIEWS, SIZES, VIEWS

UNET, FCN = "unet_mini:toytown", "fcn_mini:toytown"
STREET = CLASS_SETS["street"]


@pytest.fixture
def opened():
    return explore([UNET, FCN, "lraspp_mini:toytown"], ["toytown test", "toytown:night test"], wait=True)


def jpeg(image, **more):
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "jpeg", **more)
    return buffer.getvalue()


def figure_png(explorer):
    return bytes(explorer.picture.value)


def shows_selection(explorer):
    """No problem is reported, and the selected predictions are shown."""
    explorer.wait()
    assert explorer.problem.value == ""
    assert list(explorer.predictions) == list(explorer.models.value)
    assert [layer["name"] for layer in explorer.viewer.data["layers"]][: len(explorer.predictions)] == list(
        explorer.predictions
    )
    assert figure_png(explorer).startswith(b"\x89PNG")
    assert explorer.worker.stop.disabled
    return True


@pytest.mark.slow
def test_every_data_set_on_this_machine(real_data, monkeypatch):
    monkeypatch.setenv("SEGLAB_DATA", str(real_data))
    shown = explore([UNET], wait=True)
    assert {"toytown test", "toytown:fog test", "camvid val", "voc val", "coco val", "membrane val"} <= set(
        shown.data.options
    )
    for data in shown.data.options:
        shown.data.value = data
        for index in (0, shown.index.max):
            shown.index.value = index
            assert shows_selection(shown), data
        dataset = load_dataset(*data.split(), download=False)
        assert shown.index.max == len(dataset) - 1
        assert torch.equal(shown.sample.image, dataset[shown.index.max].image)


@pytest.mark.slow
def test_every_available_model():
    shown = explore(wait=True)
    minis = {f"{name}_mini:toytown" for name in ("fcn", "unet", "deeplabv3", "lraspp", "segformer", "mask2former")}
    assert minis <= set(shown.models.options)
    for name in shown.models.options:
        shown.models.value = [name]
        assert shows_selection(shown), name
    shown.models.value = shown.models.options
    assert shows_selection(shown)


def test_every_precision_and_size(opened):
    opened.models.value = ["lraspp_mini:toytown"]
    for precision in opened.precision.options:
        for _, short in opened.short.options:
            opened.precision.value, opened.short.value = precision, short
            assert shows_selection(opened), (precision, short)
    model = load_model("lraspp_mini:toytown", device="cpu")
    model.short = SIZES[-1]
    p = predict(model, opened.sample.image, precision="bfloat16")
    assert torch.equal(opened.predictions["lraspp_mini:toytown"].mask, p.mask)


def test_every_view_of_every_class(opened):
    seen = set()
    for view in VIEWS:
        for name in STREET.names if view in CLASS_VIEWS else [STREET.names[0]]:
            opened.view.value, opened.class_name.value = view, name
            assert shows_selection(opened), (view, name)
            seen.add(figure_png(opened))
    assert len(seen) == 2 * 11 + 5  # no two are the same picture


def test_the_table_equals_the_metrics(opened):
    name = next(iter(opened.predictions))
    target, mask = opened.sample.target, opened.predictions[name].mask
    expected = iou_per_class(confusion_matrix(mask, target, 11))
    table = views.iou({name: mask}, target, STREET)[name]
    shown = ~np.isnan(expected)
    assert table.index.tolist() == [*np.array(STREET.names)[shown], "mean"]
    assert table.to_numpy() == pytest.approx([*expected[shown], expected[shown].mean()])
    assert f"<td>{table['road']:.3f}</td>" in opened.table.value


@pytest.mark.parametrize("view", ["overlay", "score", "entropy"])
def test_the_code_makes_the_same_figure(opened, view):
    opened.index.value, opened.short.value, opened.view.value, opened.class_name.value = 3, 128, view, "car"
    assert shows_selection(opened)
    assert figure_of(opened.code.value) == figure_png(opened)


def figure_of(code):
    *before, last = code.splitlines()
    names = {}
    exec("\n".join(before), names)
    return eval(last, names).png()


def test_a_photograph(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = jpeg(np.tile(photographs.chelsea(), (5, 4, 1)))  # 1500 × 1804
    opened.load_photograph("cat.jpg", photo)
    assert shows_selection(opened)
    assert opened.data.value == "your photograph"
    assert (opened.viewer.data["height"], opened.viewer.data["width"]) == (1290, 1551)
    assert "assigns every pixel to one of 11 classes: sky, building" in opened.note.value
    assert "has 1500 × 1804 pixels and is shown with 1290 × 1551" in opened.note.value
    assert "IoU" not in opened.table.value
    assert list(tmp_path.iterdir()) == [], "nothing is written"
    (tmp_path / "cat.jpg").write_bytes(photo)
    assert figure_of(opened.code.value) == figure_png(opened)
    opened.load_photograph("face.jpg", jpeg(photographs.astronaut()))
    assert shows_selection(opened)
    assert opened.viewer.data["width"] == 512
    opened.data.value = "toytown:night test"
    assert shows_selection(opened)
    assert "IoU" in opened.table.value


def test_saved_files(opened):
    opened.models.value = [UNET, FCN]
    assert shows_selection(opened)
    files = {
        name: base64.b64decode(content)
        for name, content in re.findall(r'download="([^"]+)" href="data:[\w/]+;base64,([^"]+)"', opened.links.value)
    }
    view, *masks, table = files
    assert files[view] == figure_png(opened)
    for path, name in zip(masks, opened.predictions, strict=True):
        assert torch.equal(read_mask(files[path]), opened.predictions[name].mask)
    read = pd.read_csv(BytesIO(files[table]), index_col="class")
    assert list(read) == [UNET, FCN]
    assert read.loc["mean", UNET] == pytest.approx(read[UNET].iloc[:-1].mean())


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (b"Dear diary, today I learned what a mask is.", "diary.txt: not an image that Pillow reads"),
        (jpeg(photographs.chelsea())[:5000], "diary.txt: damaged or cut off"),
        (b"", "diary.txt: not an image"),
    ],
    ids=["text", "cut off", "empty"],
)
def test_unreadable_photographs_are_reported_and_change_nothing(opened, photo, message):
    before = opened.viewer.data
    opened.load_photograph("diary.txt", photo)
    assert message in opened.problem.value
    assert opened.viewer.data == before
    opened.index.value = 5
    assert shows_selection(opened)


def test_a_gigantic_photograph(opened, monkeypatch):
    poster = jpeg(photographs.chelsea())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    opened.load_photograph("poster.jpg", poster)
    assert "poster.jpg: declares more pixels than" in opened.problem.value


def test_hostile_names_are_only_text(opened):
    opened.load_photograph("<img src=x onerror=alert(1)>", b"x")
    assert "<img" not in opened.problem.value
    opened.load_photograph('"><img src=x onerror=alert(1)>.jpg', jpeg(photographs.chelsea()))
    assert shows_selection(opened)
    assert "<img" not in opened.links.value + opened.note.value


def test_no_model_and_missing_data(opened, monkeypatch, tmp_path):
    opened.models.value = []
    opened.wait()
    assert "choose at least one model" in opened.problem.value
    opened.models.value = [UNET]
    assert shows_selection(opened)
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    opened.data.options = [*opened.data.options, "camvid val"]
    opened.data.value = "camvid val"
    opened.wait()
    assert "CamVid is not in" in opened.problem.value
    opened.data.value = "toytown test"
    assert shows_selection(opened)


def test_unexpected_errors_are_reported(opened, monkeypatch):
    def broken(*_, **__):
        raise MemoryError("not enough room")

    monkeypatch.setattr(explorer, "predict", broken)
    opened.start()
    opened.wait()
    assert "MemoryError: not enough room" in opened.problem.value
    monkeypatch.undo()
    opened.start()
    assert shows_selection(opened)


def test_an_old_drawing_does_not_replace_a_new_one(opened, monkeypatch):
    """The view changes while predictions are under way, and its drawing takes longer than they do."""
    figure, old = views.figure, opened.predictions

    def slow(predictions, *given):
        end = time.monotonic() + 2
        while predictions is old and opened.worker.thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        return figure(predictions, *given)

    monkeypatch.setattr(views, "figure", slow)
    opened.index.value, opened.view.value = 3, "score"
    assert shows_selection(opened)
    assert figure_png(opened) == figure(opened.predictions, "score", opened.class_name.value).png()


def test_cancelling_keeps_what_is_shown(opened, monkeypatch):
    started, proceed = threading.Event(), threading.Event()

    def slow(*given, **more):
        started.set()
        assert proceed.wait(30)
        return predict(*given, **more)

    before = opened.viewer.data
    monkeypatch.setattr(explorer, "predict", slow)
    opened.index.value = 7
    assert started.wait(30)
    assert not opened.worker.stop.disabled
    assert "is running (1 of" in opened.note.value
    opened.worker.stop.click()
    assert opened.worker.stop.disabled
    first = opened.worker.thread
    started.clear()
    opened.index.value = 9  # a new selection, while the first one is running
    proceed.set()
    first.join(30)
    assert shows_selection(opened)
    assert opened.viewer.data != before
    assert torch.equal(opened.sample.image, load_dataset("toytown", "test")[9].image)
