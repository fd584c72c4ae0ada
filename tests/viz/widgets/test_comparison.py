"""Linked views without a kernel: every class and every cell leads to the images behind it."""

import json
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
from helpers.own import leaves
from PIL import Image
from skimage.measure import label

from seglab import CLASS_SETS, Results, evaluate, load_dataset, load_model, predict
from seglab.metrics.confusion import confusion_matrix
from seglab.models.checkpoints import save_model
from seglab.viz.widgets.comparison import Comparison, compare_models, largest_region, tables
from seglab.viz.widgets.html import script

STREET = CLASS_SETS["street"]
MODELS = ["unet_mini:toytown", "fcn_mini:toytown"]


@pytest.fixture(scope="module")
def scenes():
    return load_dataset("toytown", "test").subset(range(4))


@pytest.fixture(scope="module")
def results(scenes, tmp_path_factory):
    return evaluate(MODELS, scenes, tmp_path_factory.mktemp("store") / "a.sqlite", progress=False)


@pytest.fixture(scope="module")
def masks(scenes):
    return {name: [predict(name, sample.image).mask for sample in scenes] for name in MODELS}


def test_tables_equal_the_results(results):
    shown = json.loads(json.dumps(tables(results)))
    assert shown["models"] == MODELS
    assert shown["classes"] == shown["columns"] == list(STREET.names)
    for name in MODELS:
        iou = [np.nan if value is None else value for value in shown["iou"][name]]
        assert iou == pytest.approx(results.iou_table()[name].to_numpy()[:-1], abs=1e-4, nan_ok=True)
        counts = results.confusion(name).to_numpy()
        for row, expected in zip(shown["confusion"][name], counts, strict=True):
            total = expected.sum()
            assert row == ([None] * 11 if total == 0 else pytest.approx(expected / total, abs=1e-4))
    assert shown["images"] == results.images["id"].tolist()


@pytest.mark.slow
def test_every_class_and_every_cell_of_every_model(results, scenes, masks):
    comparison = compare_models(results, scenes)
    for m, name in enumerate(MODELS):
        each = [confusion_matrix(mask, s.target, 11) for mask, s in zip(masks[name], scenes, strict=True)]
        for t in range(11):
            for p in [None, *range(11)]:
                comparison.board.chosen = {"model": m, "target": t, "pred": p}
                wrong = [int(c[t].sum() + c[:, t].sum() - 2 * c[t, t]) if p is None else int(c[t, p]) for c in each]
                expected = sorted((n for n in wrong if n), reverse=True)
                assert [row["pixels"] for row in comparison.board.found] == expected
                assert {row["id"] for row in comparison.board.found} == {
                    i for i, n in zip(scenes.ids, wrong, strict=True) if n
                }
                if expected:
                    assert (
                        comparison.board.shown == comparison.board.found[0]["id"] == scenes.ids[int(np.argmax(wrong))]
                    )
                assert comparison.problem.value == ""


def test_every_image_is_shown_with_all_predictions(results, scenes, masks):
    comparison = compare_models(results, scenes)
    for i, name in enumerate(scenes.ids):
        comparison.board.shown = name
        assert [layer["name"] for layer in comparison.viewer.data["layers"]] == [*MODELS, "target"]
        assert comparison.viewer.drawing.shape == scenes[i].target.shape
        for model in MODELS:
            assert torch.equal(comparison.viewer.predictions[model].mask, masks[model][i])
    comparison.board.shown = "nowhere"
    assert "cannot be shown" in comparison.problem.value
    comparison.board.shown = scenes.ids[0]
    assert comparison.problem.value == ""


def test_models_and_data_behind_the_names(tmp_path, scenes):
    ours = {"<b>a</b>": load_model(MODELS[0]), "fcn": load_model(MODELS[1])}
    path = tmp_path / "named.sqlite"
    evaluate(ours, scenes, path, progress=False)
    comparison = compare_models(path, models={"<b>a</b>": MODELS[0], "fcn": ours["fcn"]})
    assert isinstance(comparison, Comparison)
    assert comparison.dataset.name == "toytown"
    assert comparison.results.names == ["<b>a</b>", "fcn"]
    with pytest.raises(
        ValueError, match=r"name a model '<b>a</b>', which cannot be loaded .*models=\{'<b>a</b>': CHECK"
    ):
        compare_models(path)
    with pytest.raises(ValueError, match="unknown model in these results 'c'"):
        compare_models(path, models=ours | {"c": MODELS[0]})
    with pytest.raises(
        ValueError, match=r"models: found an object of type list; expected \{name in the results: model"
    ):
        compare_models(path, models=list(ours.values()))
    with pytest.raises(ValueError, match="results: found an object of type int; expected results of evaluate"):
        compare_models(3)
    with pytest.raises(ValueError, match="has no image"):
        compare_models(Results.open(path), load_dataset("toytown", "val"), ours)


def test_where_equals_the_counts(results):
    with pytest.raises(ValueError, match=r"unknown evaluated class 'raod'.*road"):
        results.where(MODELS[0], "raod")
    table = results.where(MODELS[0], "road", "road")
    counts = results.counts
    road = counts[(counts["model"] == MODELS[0]) & (counts["target"] == "road") & (counts["pred"] == "road")]
    assert dict(zip(table["id"], table["pixels"], strict=True)) == dict(zip(road["id"], road["pixels"], strict=True))
    assert table["pixels"].is_monotonic_decreasing


@pytest.mark.slow
def test_a_click_isolates_the_class_and_shows_where_it_happens(results, scenes, masks):
    """Left the model, right the target, one class, and the largest connected region of its errors, by an own search."""
    comparison = compare_models(results, scenes)
    for m, t, p in ((1, 2, None), (0, 8, None), (1, 2, 1), (0, 3, 3)):
        comparison.board.chosen = {"model": m, "target": t, "pred": p}
        state = comparison.viewer.state
        assert (state["mode"], state["left"], state["right"]) == ("swipe", m, len(MODELS))
        assert set(range(11)) - set(state["hidden"]) == {t, t if p is None else p}
        i = scenes.ids.index(comparison.board.shown)
        mask, target = masks[MODELS[m]][i].numpy(), scenes[i].target.numpy()
        errors = (mask == t) != (target == t) if p is None else (target == t) & (mask == p)
        left, top, right, bottom = state["region"]
        inside = flooded(errors & (target != 255), top, left, bottom, right)
        assert inside == max(sizes_of_regions(errors & (target != 255)))
        assert state["swipe"] == pytest.approx((left + right) / 2 / target.shape[1])
    comparison.viewer.state = comparison.viewer.state | {"mode": "side", "hidden": [], "left": 0}
    comparison.board.shown = next(row["id"] for row in comparison.board.found[1:])
    assert comparison.viewer.state["hidden"] == [], "another image of the list changes nothing but the region"
    comparison.board.chosen = {"model": 1, "target": 2, "pred": None}
    assert comparison.viewer.state["mode"] == "side"


def sizes_of_regions(chosen):
    """Pixels of each 8-connected region, by scikit-image."""
    return np.bincount(label(chosen, connectivity=2).ravel())[1:]


def flooded(chosen, top, left, bottom, right):
    """Pixels of the largest region that touches all four sides of a box and nothing outside of it."""
    regions = label(chosen, connectivity=2)
    sides = [regions[top, left:right], regions[bottom - 1, left:right], regions[top:bottom, left],
             regions[top:bottom, right - 1]]  # fmt: skip
    common = set.intersection(*(set(side.tolist()) for side in sides)) - {0}
    whole = {k for k in common if (regions == k).sum() == (regions[top:bottom, left:right] == k).sum()}
    return max((regions == k).sum() for k in whole)


def test_choices_that_do_not_exist_are_reported(results, scenes):
    """The page can set any value: the widget shows a sentence, and works afterwards."""
    shown = Comparison(results, scenes, {name: load_model(name, device="cpu") for name in MODELS})
    good, image = dict(shown.board.chosen), shown.board.shown
    wrong = [{}, {"model": 5}, *(good | {key: value} for key in good for value in (99, -1, "sky", [], {}, 2.5))]
    for chosen in wrong:
        shown.problem.value = ""
        shown.board.chosen = chosen
        assert "There is no such cell" in shown.problem.value, chosen
        shown.board.shown = "no such image"
        assert "This image cannot be shown" in shown.problem.value
        shown.board.shown = image
    shown.board.tables = {}
    shown.board.chosen = good
    assert shown.problem.value == "" and shown.board.found


def test_largest_region_by_hand():
    chosen = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 1], [1, 1, 0, 0, 1]], bool)
    assert largest_region(chosen) == [4, 1, 5, 4]
    chosen[2, 4] = False  # the diagonal is left, with two pixels, before the pair below
    assert largest_region(chosen) == [0, 0, 2, 2]
    assert largest_region(np.zeros((2, 2), bool)) is None


def test_own_data_and_checkpoints(tmp_path):
    """Results do not state where one's own data and weights lie; one sentence says how they are given."""
    folder = leaves(tmp_path / "my leaves", card="splits: {train: [a, b], val: [c, d]}\n", scale=16)
    dataset, path = load_dataset(folder, "val"), tmp_path / "best.safetensors"
    torch.manual_seed(0)
    model = load_model("lraspp_mini", None, dataset.classes, device="cpu")
    save_model(model, path)
    store = tmp_path / "own.sqlite"
    evaluate({"lraspp_mini:my leaves": path}, dataset, store, progress=False)
    message = (
        r"own data 'my leaves val', and do not state its folder; give it, as compare_models\(results, dataset=load_d"
    )
    with pytest.raises(ValueError, match=message):
        compare_models(store)
    with pytest.raises(ValueError, match=r"dataset: found '.*my leaves'; expected a data set, as load_dataset"):
        compare_models(store, str(folder))
    with pytest.raises(ValueError, match=r"unknown weights 'my leaves'.*models=\{'lraspp_mini:my leaves': CHECK"):
        compare_models(store, dataset)
    comparison = compare_models(store, dataset, {"lraspp_mini:my leaves": path})
    assert [row["id"] for row in comparison.board.found] == ["c", "d"]
    assert torch.equal(
        comparison.viewer.predictions["lraspp_mini:my leaves"].mask, predict(model, dataset[0].image).mask
    )
    assert [c["name"] for c in comparison.viewer.data["classes"]] == ["background", "leaf"]
    renamed = leaves(tmp_path / "other")
    (renamed / "dataset.yaml").write_text((renamed / "dataset.yaml").read_text().replace("leaf", "branch"))
    with pytest.raises(ValueError, match="with the classes background, leaf, and other has background, branch"):
        compare_models(store, load_dataset(renamed), {"lraspp_mini:my leaves": path})


def test_models_with_other_classes(tmp_path):
    """What a model predicts beside the classes of the data is a column *other*, which can be clicked, too."""
    folder = leaves(tmp_path / "data", scale=16)
    text = (folder / "dataset.yaml").read_text().replace("[background, leaf]", "[road, leaf]")
    (folder / "dataset.yaml").write_text(text)
    dataset = load_dataset(folder)
    model = load_model("fcn_mini:toytown", device="cpu")
    results = evaluate({"street": model}, dataset, progress=False)
    comparison = compare_models(results, dataset, {"street": model})
    assert comparison.board.tables["columns"] == ["road", "other"]
    comparison.board.chosen = {"model": 0, "target": 0, "pred": 1}
    mask, target = predict(model, dataset[0].image).mask, dataset[0].target
    names = [c["name"] for c in comparison.viewer.data["classes"]]
    assert names == ["road", "leaf", *(name for name in STREET.names if name != "road")]
    assert comparison.viewer.state["hidden"] == [], "road, and everything that is not evaluated"
    found = {row["id"]: row["pixels"] for row in comparison.board.found}
    assert found["a"] == int(((target == 0) & (mask != STREET.index("road"))).sum())


def test_the_selection_and_the_thumbnails(results, scenes, masks):
    """What the page lists, in its order, with the numbers of the chosen cell; before, the images where it occurs."""
    comparison = compare_models(results, scenes)
    comparison.board.chosen = {"model": 1, "target": 8, "pred": None}
    assert comparison.selection["id"].tolist() == [row["id"] for row in comparison.board.found]
    comparison.board.selected = [2, 0]
    comparison.board.chosen = {"model": 0, "target": 3, "pred": None, "image": scenes.ids[2]}
    assert comparison.board.shown == scenes.ids[2], "the first image of the page's list"
    table = comparison.selection
    assert table["id"].tolist() == [scenes.ids[2], scenes.ids[0]]
    for row, i in zip(table.itertuples(), (2, 0), strict=True):
        mask, target = masks[MODELS[0]][i], scenes[i].target
        assert row.pixels == int((((mask == 3) != (target == 3)) & (target != 255)).sum())
    comparison.viewer.state = comparison.viewer.state | {"mode": "outcome"}
    comparison.board.chosen = {"model": 1, "target": 5, "pred": None}
    state = comparison.viewer.state
    assert (state["mode"], state["left"], state["focus"]) == ("outcome", 1, 5)
    sent = []
    comparison.board.send = sent.append
    for asked in ([3, 1], [4, -1, True, "a", 0.5], "all", None):
        comparison._send_thumbnails({"kind": "thumbs", "images": asked})
    assert [list(message["thumbs"]) for message in sent] == [[3, 1], [], [], []]
    picture = Image.open(BytesIO(b64decode(sent[0]["thumbs"][3].partition(",")[2])))
    assert (picture.format, picture.size) == ("WEBP", (101, 76))


def test_each_view_of_the_board_is_one_stop_of_the_tab_key(results, scenes, browser, tmp_path):
    """Arrow keys go from cell to cell; before, a board of eleven classes had hundreds of stops."""
    board = compare_models(results, scenes).board
    state = json.dumps({name: getattr(board, name) for name in ("tables", "chosen", "shown", "selected")})
    code = script("comparison").replace("export default", "const widget =")
    model = """const state = STATE, model = { get: (name) => state[name], set: (name, value) => (state[name] = value),
        save_changes() {}, on() {}, send() {} }; window.state = state; widget.render({ model, el: document.body });"""
    page_file = tmp_path / "board.html"
    text = f"<!DOCTYPE html><body><script type=module>{code}\n{model.replace('STATE', state)}</script></body>"
    page_file.write_text(text, encoding="utf-8")
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector(".seglab-board")
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    names, first = list(MODELS), scenes.classes.names[0]
    chip = "remove the filter: errors of"
    for tab, expected in (("IoU", [" of ", chip]), ("confusion", ["model of the", " predicted as ", chip])):
        page.get_by_role("tab", name=tab).focus()
        page.keyboard.press("Enter")
        for part in expected:
            page.keyboard.press("Tab")
            assert part in page.evaluate(focused)
    page.get_by_role("tab", name="confusion").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.focus(f"[aria-label^='{first} of {names[0]},']")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused).startswith(f"{first} of {names[1]},")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused).startswith(f"{scenes.classes.names[1]} of {names[1]},")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.evaluate("[window.state.chosen.model, window.state.chosen.target]") == [0, 1]
    assert page.evaluate(focused).startswith(f"{scenes.classes.names[1]} of {names[0]},"), "the focus stays"
    found = results.where(names[0], scenes.classes.names[1])
    assert page.evaluate("window.state.chosen.image") == found["id"][0]
    selected = [results.images["id"].tolist().index(image) for image in found["id"]]
    page.wait_for_function(f"String(window.state.selected) === '{','.join(map(str, selected))}'")
    page.locator(".gallery").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert page.evaluate("window.state.shown") == found["id"].iloc[-1]
    page.close()
