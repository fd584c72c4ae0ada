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
from helpers.own import leaves
from PIL import Image
from skimage import data as photographs

from seglab import CLASS_SETS, load_dataset, load_model, predict
from seglab.data.classes import ClassSet
from seglab.data.images import to_image
from seglab.data.labels import read_mask
from seglab.data.palette import voc_colors
from seglab.masks.painting import overlay
from seglab.metrics.confusion import confusion_matrix
from seglab.metrics.measures import iou_per_class
from seglab.models.adapters import wrap
from seglab.models.checkpoints import save_model
from seglab.viz.widgets import explorer, views
from seglab.viz.widgets.details import SAVE, SCORES
from seglab.viz.widgets.explorer import explore
from seglab.viz.widgets.views import CLASS_VIEWS, SIZES, VIEWS

LINK = r'download="([^"]+)" href="data:[\w/]+;base64,([^"]+)"'
UNET, FCN = "unet_mini:toytown", "fcn_mini:toytown"
STREET = CLASS_SETS["street"]


@pytest.fixture
def opened():
    shown = explore([UNET, FCN, "lraspp_mini:toytown"], ["toytown test", "toytown:night test"], wait=True)
    shown.tabs.selected_index = SAVE
    return shown


def jpeg(image, **more):
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "jpeg", **more)
    return buffer.getvalue()


def figure_png(explorer):
    return bytes(explorer.details.picture.value)


def shows_selection(explorer):
    """No problem is reported, and the selected predictions are shown."""
    explorer.wait()
    explorer.tabs.selected_index = SAVE  # figure, files and code are made when their tab is shown
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


def test_opens_on_a_photograph_that_is_segmented_well():
    shown = explore(wait=True)
    assert shown.data.value == "your photographs"
    assert shown.models.value == ("unet_lite:photographs",)
    classes = CLASS_SETS["photographs"]
    assert (shown.predictions["unet_lite:photographs"].mask == classes.index("cat")).float().mean() > 0.6
    shown.data.value = "toytown test"
    assert shows_selection(shown)


@pytest.mark.slow
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


@pytest.mark.slow
def test_every_view_of_every_class(opened):
    seen = set()
    for view in VIEWS:
        for name in STREET.names if view in CLASS_VIEWS else [STREET.names[0]]:
            opened.details.view.value, opened.details.class_name.value = view, name
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
    opened.index.value, opened.short.value = 3, 128
    opened.details.view.value, opened.details.class_name.value = view, "car"
    assert shows_selection(opened)
    assert figure_of(opened.details.code.value) == figure_png(opened)


def figure_of(code, **names):
    *before, last = code.splitlines()
    exec("\n".join(before), names)
    return eval(last, names).png()


@pytest.mark.slow
def test_a_photograph(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = jpeg(np.tile(photographs.chelsea(), (5, 4, 1)))  # 1500 × 1804
    opened.load_photograph("cat.jpg", photo)
    assert shows_selection(opened)
    assert opened.data.value == "your photographs"
    assert (opened.viewer.data["height"], opened.viewer.data["width"]) == (1290, 1551)
    assert "assigns every pixel to one of 11 classes: sky, building" in opened.note.value
    assert "has 1500 × 1804 pixels and is shown with 1290 × 1551" in opened.note.value
    assert "IoU" not in opened.table.value
    assert list(tmp_path.iterdir()) == [], "nothing is written"
    (tmp_path / "cat.jpg").write_bytes(photo)
    assert figure_of(opened.details.code.value) == figure_png(opened)
    opened.load_photograph("face.jpg", jpeg(photographs.astronaut()))
    assert shows_selection(opened)
    assert opened.viewer.data["width"] == 512
    opened.data.value = "toytown:night test"
    assert shows_selection(opened)
    assert "IoU" in opened.table.value


def test_saved_files(opened):
    opened.models.value = [UNET, FCN]
    assert shows_selection(opened)
    files = {name: base64.b64decode(content) for name, content in re.findall(LINK, opened.details.links.value)}
    view, table, page, *pairs = files
    masks, overlays = pairs[::2], pairs[1::2]
    assert files[view] == figure_png(opened)
    for path, name in zip(masks, opened.predictions, strict=True):
        assert torch.equal(read_mask(files[path]), opened.predictions[name].mask)
    for path, p in zip(overlays, opened.predictions.values(), strict=True):
        saved, painted = to_image(files[path]), overlay(p.image, p.mask, p.classes)
        assert (saved.float() - painted.float()).abs().mean() < 10  # JPEG
    assert files[page].decode() == opened.viewer.to_html("toytown test")
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
    assert "<img" not in opened.details.links.value + opened.note.value


def test_no_model_and_missing_data(monkeypatch, tmp_path):
    (tmp_path / "camvid").mkdir()
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    shown = explore([UNET], wait=True)
    shown.models.value = []
    shown.wait()
    assert "choose at least one model" in shown.problem.value
    shown.models.value = [UNET]
    assert shows_selection(shown)
    (tmp_path / "camvid").rmdir()
    shown.data.value = "camvid val"
    shown.wait()
    assert "CamVid is not in" in shown.problem.value
    shown.data.value = "toytown test"
    assert shows_selection(shown)


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


@pytest.mark.slow
def test_an_old_drawing_does_not_replace_a_new_one(opened, monkeypatch):
    """The view changes while predictions are under way, and its drawing takes longer than they do."""
    figure, old = views.figure, opened.predictions

    def slow(predictions, *given):
        end = time.monotonic() + 2
        while predictions is old and opened.worker.thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        return figure(predictions, *given)

    monkeypatch.setattr(views, "figure", slow)
    opened.index.value, opened.details.view.value = 3, "score"
    assert shows_selection(opened)
    assert figure_png(opened) == figure(opened.predictions, "score", opened.details.class_name.value).png()


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
    assert "is running (1 of" in opened.status.value
    opened.worker.stop.click()
    assert opened.worker.stop.disabled
    first = opened.worker.thread
    assert "cancelled after 0 of 1; the masks shown are those before" in opened.status.value
    assert opened.viewer.data == before
    started.clear()
    opened.index.value = 9  # a new selection, while the first one is running
    proceed.set()
    first.join(30)
    assert shows_selection(opened)
    assert opened.viewer.data != before
    assert torch.equal(opened.sample.image, load_dataset("toytown", "test")[9].image)


def test_cancelling_keeps_the_finished_masks(opened, monkeypatch):
    started, proceed = threading.Event(), threading.Event()

    def slow(model, *given, **more):
        if model.label == "lraspp_mini:toytown":  # the last one
            started.set()
            assert proceed.wait(30)
        return predict(model, *given, **more)

    monkeypatch.setattr(explorer, "predict", slow)
    opened.models.value = opened.models.options
    assert started.wait(30)
    opened.worker.stop.click()
    try:
        assert "cancelled after 2 of 3" in opened.status.value
        assert list(opened.predictions) == [UNET, FCN]
        assert [layer["name"] for layer in opened.viewer.data["layers"]] == [UNET, FCN, "target"]
        assert [line.strip() for line in opened.details.code.value.splitlines() if "load_model('" in line] == [
            f"{name!r}: load_model({name!r})," for name in (UNET, FCN)
        ]
    finally:
        proceed.set()
    opened.wait()
    assert list(opened.predictions) == [UNET, FCN]
    assert "cancelled after 2 of 3" in opened.status.value
    opened.start()
    assert shows_selection(opened)
    opened.worker.stop.click()  # it comes late
    assert "cancelled" not in opened.status.value


# One's own data and models -------------------------------------------------------------------------------------------

LEAVES = ClassSet("leaves", ("background", "leaf"), voc_colors(2), background=0)


def own_model(classes, name="own"):
    """A model with random weights: a 1 × 1 convolution."""
    torch.manual_seed(0)
    return wrap(torch.nn.Conv2d(3, len(classes), 1), classes, title=name)


def test_own_data_and_own_models(tmp_path):
    folder = leaves(tmp_path / "my leaves", card="splits: {train: [a, b], val: [c, d]}\n", scale=8)
    model = own_model(LEAVES)
    data = [folder, (str(folder), "val"), folder / "dataset.yaml", load_dataset(folder, "train"), "toytown test"]
    shown = explore(model, data, wait=True)
    assert shown.data.options == (
        "my leaves", "my leaves val", "my leaves (2)", "my leaves train", "toytown test"
    )  # fmt: skip
    for name, ids in zip(shown.data.options, ("abcd", "cd", "abcd", "ab"), strict=False):
        shown.data.value = name
        assert shows_selection(shown)
        assert shown.index.max == len(ids) - 1
        shown.index.value = shown.index.max
        assert shows_selection(shown)
        assert shown.sample.id == ids[-1]
        assert torch.equal(shown.predictions["own"].mask, predict(model, shown.sample.image).mask)
        assert {c["name"] for c in shown.viewer.data["classes"]} == set(LEAVES.names)
    assert "dataset = ...  # the data set that explore was given" in shown.details.code.value
    shown.data.value = "my leaves val"
    assert shows_selection(shown)
    assert "'own': ...,  # the model that explore was given" in shown.details.code.value
    assert figure_of(shown.details.code.value.replace("'own': ...", "'own': model"), model=model) == figure_png(shown)
    shown.short.value = 96
    assert shows_selection(shown)
    assert model.short is None, "the size of the given model stays as it was"
    shown.data.value = "toytown test"
    assert shows_selection(shown)
    assert "own has no class in common with street" in shown.note.value
    assert "Fraction of pixels" in shown.table.value


@pytest.mark.parametrize("single", [True, False])
def test_checkpoints_and_names_of_models(tmp_path, single):
    path = tmp_path / "leaves" / "best.safetensors"
    path.parent.mkdir()
    save_model(load_model("lraspp_mini", None, LEAVES, device="cpu"), path)
    folder = leaves(tmp_path / "data", scale=16)
    shown = explore(path if single else {"mine": path, "street": UNET}, folder, wait=True)
    assert shown.models.options == (("leaves/best.safetensors",) if single else ("mine", "street"))
    assert shows_selection(shown)
    assert f"load_model({str(path)!r})" in shown.details.code.value
    assert figure_of(shown.details.code.value) == figure_png(shown)
    if not single:
        assert "street has no class in common with" in shown.note.value
        assert re.findall("<th>(mine|street)</th>", shown.table.value) == ["mine"]
        assert "no class in common" in shown.details.hint.value
        legend = {c["name"] for c in shown.viewer.data["classes"]}
        assert legend == {*LEAVES.names, *STREET.names}


def test_bad_data_and_models_are_reported_at_once(tmp_path):
    folder = leaves(tmp_path / "my leaves")
    for data, message in [
        (42, "data: found 42; expected a name and a split"),
        ([folder, None], "data: found None; expected"),
        ((folder, "val", 3), "expected .* several of them as a list"),
        ([], "data: found no entry; expected at least one"),
        ("camvit val", r"unknown data set 'camvit'; did you mean 'camvid'\?"),
        ("toytown tets", r"unknown split of toytown 'tets'; did you mean 'test'\?"),
        (tmp_path / "nowhere", "nowhere: no such folder"),
        (f"{folder} val", r"my leaves val: no such folder; give the folder and its split as a pair: \('.*', 'val'\)"),
        ((folder, "val"), "has no split 'val': it has none"),
    ]:
        with pytest.raises(ValueError, match=message):
            explore([UNET], data)
    for models, message in [
        (torch.nn.Conv2d(3, 2, 1), r"models: found an object of type Conv2d; expected names.* wrap\(module, classes\)"),
        ([UNET, 3], "models: found an object of type int"),
        ({}, "models: found no entry"),
    ]:
        with pytest.raises(ValueError, match=message):
            explore(models, "toytown test")
    shown = explore(["unet_mni"], "toytown test", wait=True)
    assert "unknown model &#x27;unet_mni&#x27;; did you mean &#x27;unet_mini&#x27;?" in shown.problem.value


# Photographs ---------------------------------------------------------------------------------------------------------


def test_photographs_that_are_given_as_paths(tmp_path):
    for name, image in (("cat", photographs.chelsea()), ("face", photographs.astronaut())):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(image))
    shown = explore(data="toytown test", photos=[tmp_path / "cat.jpg", str(tmp_path / "face.jpg")], wait=True)
    assert (shown.data.value, shown.index.max) == ("your photographs", 1)
    assert shown.sample.id == "cat.jpg"
    assert shown.models.value == ("unet_lite:photographs",)
    assert "cat.jpg: unet_lite:photographs assigns" in shown.note.value
    shown.index.value = 1
    assert shows_selection(shown)
    assert torch.equal(shown.sample.image, to_image(jpeg(photographs.astronaut())))
    (tmp_path / "cut.jpg").write_bytes(jpeg(photographs.chelsea())[:5000])
    damaged = explore(data="toytown test", photos=[tmp_path / "cut.jpg"], wait=True)
    assert "cut.jpg: damaged or cut off" in damaged.problem.value


def test_models_suit_the_image_until_the_reader_selects_some():
    shown = explore(data="toytown test", wait=True)
    street = shown.models.value
    assert set(street) == {UNET, "segformer_mini:toytown"}
    shown.load_photograph("cat.jpg", jpeg(photographs.chelsea()))
    assert shows_selection(shown)
    assert shown.models.value == ("unet_lite:photographs",)
    assert "It was selected because it is trained on photographs" in shown.note.value
    shown.data.value = "toytown test"
    assert shows_selection(shown)
    assert shown.models.value == street
    shown.models.value = [FCN]
    shown.load_photograph("cat.jpg", jpeg(photographs.chelsea()))
    assert shows_selection(shown)
    assert shown.models.value == (FCN,)
    assert "It was selected" not in shown.note.value
    assert shown.index.max == 0, "a photograph of the same name is replaced"


def test_nothing_is_drawn_while_its_tab_is_closed(opened, monkeypatch):
    drawn = []
    figure = views.figure
    monkeypatch.setattr(views, "figure", lambda *given: drawn.append(given) or figure(*given))
    opened.tabs.selected_index = 0
    opened.index.value = 4
    opened.wait()
    assert opened.sample.id == load_dataset("toytown", "test")[4].id
    assert not drawn
    opened.tabs.selected_index = SCORES
    assert figure_png(opened) == figure(opened.predictions, "probability", "sky").png()
    opened.tabs.selected_index = SAVE
    opened.tabs.selected_index = SCORES
    assert len(drawn) == 1


def test_masks_appear_while_other_models_run(opened, monkeypatch):
    proceed = threading.Event()

    def slow(model, *given, **more):
        if model.label == "lraspp_mini:toytown":
            assert proceed.wait(30)
        return predict(model, *given, **more)

    monkeypatch.setattr(explorer, "predict", slow)
    monkeypatch.setattr(explorer, "OFTEN", 0)
    opened.models.value = opened.models.options
    proceed.set()
    assert shows_selection(opened)
    opened.viewer.state = {**opened.viewer.state, "left": 1, "right": 2}
    proceed.clear()
    opened.index.value = 5
    end = time.monotonic() + 30
    while "is running (3 of 3)" not in opened.status.value and time.monotonic() < end:
        time.sleep(0.01)
    try:
        assert [layer["name"] for layer in opened.viewer.data["layers"]] == [UNET, FCN, "target"]
        assert opened.sample.id == load_dataset("toytown", "test")[5].id
    finally:
        proceed.set()
    assert shows_selection(opened)
    assert (opened.viewer.state["left"], opened.viewer.state["right"]) == (1, 2), "the reader's choice"
    assert re.search(r"lraspp_mini:toytown: \d+ ms", opened.status.value)
