"""The board of a comparison: its data, and in a real browser its numbers, sorting, filters, lasso and keys."""

import base64
import json
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from helpers.stores import fill, masks, spoilt

from seglab import CLASS_SETS, Results, metrics
from seglab.evaluation.evaluators import CALIBRATION
from seglab.viz.widgets import board
from seglab.viz.widgets.comparison import region_of
from seglab.viz.widgets.html import document, fragment
from seglab.viz.widgets.joint import Joint
from seglab.viz.widgets.viewer import scene_data

STREET = CLASS_SETS["street"]
COUNT = 40
MODELS = ["<b>a</b>", "b"]
SIZE = (12, 16)


@pytest.fixture(scope="module")
def targets():
    return masks(COUNT)


@pytest.fixture(scope="module")
def predicted(targets):
    return {name: spoilt(targets, seed=seed) for seed, name in enumerate(MODELS, 1)}


@pytest.fixture(scope="module")
def results(targets, predicted, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.sqlite"
    random = np.random.default_rng(0)
    for name, preds in predicted.items():
        bins = [[(CALIBRATION, 3, 10, 5, int(f * metrics.FIXED_POINT)), (CALIBRATION, 4, 30, 9, 0)]
                for f in random.random(COUNT)]  # fmt: skip
        fill(path, name, targets, preds, bins=bins)
    return Results.open(path)


def test_counts_are_packed_without_loss(results):
    data = json.loads(json.dumps(board.tables(results)))
    assert (data["models"], data["classes"], data["images"]) == (MODELS, list(STREET.names), list(results.images["id"]))
    for name, packed in zip(MODELS, data["counts"], strict=True):
        raw = zlib.decompress(base64.b64decode(packed))
        planes = np.frombuffer(raw, np.uint8).reshape(3, 4, -1).astype(np.int64)
        step, pair, pixels = (planes * (256 ** np.arange(4))[None, :, None]).sum(axis=1)
        own = results.counts[results.counts["model"] == name].query("target != 'void'")
        expected = {(row.id, row.target, row.pred): row.pixels for row in own.itertuples()}
        ids, names = list(results.images["id"]), [*STREET.names, "other"]
        found = {
            (ids[i], names[p // 12], names[p % 12]): n for i, p, n in zip(step.cumsum(), pair, pixels, strict=True)
        }
        assert found == expected
    assert board.packed([[1, 2**32 - 1]]) == base64.b64encode(
        zlib.compress(bytes([1, 255, 0, 255, 0, 255, 0, 255]), 9)
    ).decode()  # fmt: skip


def test_numbers_by_hand(results, targets, predicted):
    table = board.numbers(results, "b", "road", "pole")
    road, pole = STREET.index("road"), STREET.index("pole")
    rows = results.per_image().set_index(["model", "id"])
    for i, row in enumerate(table.itertuples()):
        target, pred = targets[i], predicted["b"][i]
        labelled = target != 255
        assert row.pixels == ((target == road) & (pred == pole)).sum()
        assert row.size == pytest.approx((target == road).sum() / labelled.sum())
        either = labelled & ((target == road) | (pred == road))
        assert row.iou == pytest.approx(((target == road) & (pred == road)).sum() / either.sum())
        assert row.miou == pytest.approx(rows.loc[("b", row.id), "miou"])
        other = rows.loc[(MODELS[0], row.id), "miou"]
        assert row.disagreement == pytest.approx(abs(row.miou - other))
        assert 0 <= row.confidence <= 1 / 40
    assert table["confidence"].nunique() > 30
    assert board.numbers(results.select("b"), "b", "road")["disagreement"].isna().all()


def test_worst_first_by_hand(results, targets, predicted):
    order = board.worst_first(results)
    errors = [[((targets == k) != (predicted[m] == k))[:, :, :].astype(int) * (targets != 255) for m in MODELS]
              for k in range(len(STREET))]  # fmt: skip
    worst = [int(e.sum(axis=(1, 2)).argmax()) for of_class in errors for e in of_class if e.any()]
    assert order[: len(dict.fromkeys(worst))] == list(dict.fromkeys(worst))
    assert sorted(order) == sorted(set(order))


# In a browser

BOARD = "document.querySelector('.seglab-scene').board"


def page_data(results, targets, predicted, inside=range(3)):
    """The data of a static board with small pictures, and scenes of some images."""
    picture = torch.zeros((3, *SIZE), dtype=torch.uint8)
    data = board.tables(results) | {"thumbs": {i: board.thumbnail(picture) for i in range(5)}, "inside": list(inside)}
    scenes = {i: scene_data(picture, {name: predicted[name][i] for name in MODELS}, STREET, targets[i]) for i in inside}
    return data, scenes


@pytest.fixture
def opened(tmp_path, browser):
    """A page with a board from disk; nothing may go wrong in it."""

    @contextmanager
    def page_of(data, scenes, width=1400, **context):
        path, problems = tmp_path / "board.html", []
        path.write_text(document("board", fragment(data, scenes=scenes)), encoding="utf-8")
        page = browser.new_context(offline=True, viewport={"width": width, "height": 1000}, **context).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.goto(path.as_uri())
        until(page, f"{BOARD}?.shown >= 0")
        yield page
        page.close()
        assert not problems

    return page_of


def until(page, condition):
    """Wait for a condition; the page's policy forbids what Playwright does for that."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}")


def listed(page):
    return page.evaluate(f"{BOARD}.rows")


def test_numbers_in_the_browser_equal_those_of_python(results, targets, predicted, opened):
    with opened(*page_data(results, targets, predicted)) as page:
        for m, t, p in ((0, 3, None), (1, 3, None), (1, 0, 3), (0, 5, 5), (1, 10, 0)):
            expected = board.numbers(results, MODELS[m], STREET.names[t], None if p is None else STREET.names[p])
            specs = {"pixels": ["pixels", m, t, p], "iou": ["iou", m, t], "miou": ["miou", m], "size": ["share", t],
                     "confidence": ["confidence", m], "disagreement": ["disagreement"]}  # fmt: skip
            for column, spec in specs.items():
                values = page.evaluate(f"spec => [...{BOARD}.number(spec).values]", spec)
                assert values == pytest.approx(expected[column].to_numpy(), abs=6e-5, nan_ok=True), (column, m, t, p)
        outcomes = [
            page.evaluate(f"w => [...{BOARD}.number(['outcome', 1, 3, w]).values]", w) for w in ("TP", "FP", "FN")
        ]
        found, truth = predicted["b"] == 3, targets == 3
        valid = targets != 255
        for values, chosen in zip(outcomes, (found & truth, found & ~truth & valid, ~found & truth), strict=True):
            assert values == chosen.sum(axis=(1, 2)).tolist()


def test_a_cell_lists_the_images_of_where(results, targets, predicted, opened):
    """Most pixels first, in the same order; left the model, right the target, and the largest region in view."""
    data, scenes = page_data(results, targets, predicted, range(COUNT))
    ids = list(results.images["id"])
    with opened(data, scenes) as page:
        for m, t, p in ((1, 2, None), (0, 3, 0), (1, 0, 0), (0, 8, 1)):
            page.evaluate(f"choice => {BOARD}.choose(choice)", {"model": m, "target": t, "pred": p})
            pred = None if p is None else STREET.names[p]
            where = results.where(MODELS[m], STREET.names[t], pred)
            assert [ids[i] for i in listed(page)] == where["id"].tolist()
            first = ids.index(where["id"][0])
            viewer = "document.querySelector('.right > div').viewer"
            until(page, f"{viewer}.state.left === {m} && {viewer}.state.focus === {t}")
            state = page.evaluate(f"{viewer}.state")
            assert (state["mode"], state["right"]) == ("swipe", 2)
            assert set(range(11)) - set(state["hidden"]) == {t, t if p is None else p}
            of_models = {name: torch.from_numpy(predicted[name][first]) for name in MODELS}
            joint = Joint({}, STREET, STREET, of_models, STREET.names, (), ())
            sample = type("Sample", (), {"target": torch.from_numpy(targets[first])})
            assert state["region"] == region_of(joint, sample, MODELS[m], STREET.names[t], pred)


def test_sorting_and_filters(results, targets, predicted, opened):
    table = board.numbers(results, MODELS[0], "pole").reset_index()
    with opened(*page_data(results, targets, predicted)) as page:
        page.get_by_role("button", name=f"pole of {MODELS[0]},").click()
        assert page.locator(".counted").inner_text() == f"{(table['pixels'] > 0).sum()} of {COUNT} images"
        page.get_by_label("remove the filter: errors of <b>a</b> in pole").click()
        assert len(listed(page)) == COUNT
        for column, name in (("miou", "mean IoU"), ("size", "fraction of the labelled"), ("iou", "IoU of pole")):
            ascending = column != "size"
            page.get_by_role("button", name=f"sort by {name}").click()
            expected = table.sort_values(column, ascending=ascending, kind="stable")["index"].tolist()
            assert listed(page) == expected, column
            page.get_by_role("button", name=f"sort by {name}").click()
            expected = table.sort_values(column, ascending=not ascending, kind="stable")["index"].tolist()
            assert listed(page) == expected, "the order is turned round; images without the number stay last"
        page.get_by_label("number to filter by").select_option(label="mIoU, b")
        middle = float(board.numbers(results, "b", "pole")["miou"].median())
        page.get_by_label("largest value").fill(f"{middle:.6f}")
        page.get_by_label("largest value").press("Enter")
        low = board.numbers(results, "b", "pole")["miou"] <= round(middle, 6)
        assert set(listed(page)) == set(np.flatnonzero(low))
        assert page.locator(".chip").all_inner_texts() == [
            f"mIoU, b: {board.numbers(results, 'b', 'pole')['miou'].min():.2f} to {middle:.2f} ×"
        ]
        page.locator(".chip").click()
        assert len(listed(page)) == COUNT
        histogram = page.locator(".head .histogram").nth(3)  # size
        box = histogram.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.51, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 5, steps=3)
        page.mouse.up()
        half = (table["size"].min() + table["size"].max()) / 2
        assert set(listed(page)) == set(np.flatnonzero(table["size"] >= half))


def test_a_lasso_selects_points(results, targets, predicted, opened):
    a, b = (board.numbers(results, name, "pole")["miou"].to_numpy() for name in MODELS)
    with opened(*page_data(results, targets, predicted)) as page:
        page.get_by_label("remove the filter").click()
        page.get_by_role("tab", name="images").click()
        canvas = page.locator(".seglab-board canvas")
        box = canvas.bounding_box()
        x, y = (np.array(page.evaluate(f"[...{BOARD}.scatter.points.{axis}]")) for axis in "xy")
        assert np.corrcoef(x, a)[0, 1] == pytest.approx(1) and np.corrcoef(y, b)[0, 1] == pytest.approx(-1)
        corners = [
            (np.median(x), 0),
            (box["width"] - 1, 0),
            (box["width"] - 1, box["height"] - 1),
            (np.median(x), box["height"] - 1),
        ]
        page.mouse.move(box["x"] + corners[0][0], box["y"] + corners[0][1])
        page.mouse.down()
        for corner in corners[1:]:
            page.mouse.move(box["x"] + corner[0], box["y"] + corner[1], steps=4)
        page.mouse.up()
        assert set(listed(page)) == set(np.flatnonzero(x > np.median(x)))
        assert page.locator(".chip").inner_text() == "points in mIoU, b over mIoU, <b>a</b> ×"
        until(page, "document.querySelector('.seglab-scene').selected?.length === 20")
        some = int(np.argmax(x))
        page.mouse.click(box["x"] + x[some], box["y"] + y[some])
        assert page.evaluate(f"{BOARD}.shown") in np.flatnonzero(np.hypot(x - x[some], y - y[some]) < 9)
        canvas.focus()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        assert page.evaluate(f"{BOARD}.shown") == int(np.argmin(x))
        assert page.locator(".seglab-board .spoken").inner_text().startswith(f"image {np.argmin(x)}: mIoU, <b>a</b>")


def test_keys_and_images_that_the_page_does_not_hold(results, targets, predicted, opened):
    with opened(*page_data(results, targets, predicted)) as page:
        page.get_by_label("remove the filter").click()
        page.get_by_role("button", name="sort by mean IoU").click()
        order, gallery = listed(page), page.locator(".gallery")
        gallery.focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.evaluate(f"{BOARD}.shown") == order[1]
        page.keyboard.press("End")
        page.keyboard.press(" ")
        assert page.evaluate(f"{BOARD}.shown") == order[-1]
        active = gallery.get_attribute("aria-activedescendant")
        assert page.locator(f"#{active} [role=rowheader]").get_attribute("aria-label") == f"image {order[-1]}"
        assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
        page.evaluate(f"{BOARD}.show(7)")
        assert "This page does not hold the image “image 7”" in page.locator(".absent").inner_text()
        assert page.locator(".seglab-viewer").is_hidden()
        page.evaluate(f"{BOARD}.show(1)")
        page.locator(".seglab-viewer").wait_for()
        assert page.locator(".absent").inner_text() == ""


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_everything_fits_and_the_viewer_is_beside_or_reached(results, targets, predicted, opened, width):
    with opened(*page_data(results, targets, predicted, range(COUNT)), width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width == 390:
            page.evaluate("scrollTo(0, 0)")
        page.get_by_role("button", name="pole of b,").click()
        page.wait_for_timeout(700)
        viewer, main = (page.locator(each).bounding_box() for each in (".seglab-viewer", ".seglab-board"))
        if width == 1400:
            assert viewer["x"] >= main["x"] + main["width"] and viewer["y"] < main["y"] + 50
        assert viewer["y"] < 1000, "a click scrolls to the viewer where it stands below"


def test_ten_thousand_images(opened):
    """Few elements, whatever is scrolled to; what takes how long is measured by `benchmarks`."""
    count, random = 10_000, np.random.default_rng(0)
    pairs = [np.tile([0, 1, 2 * 3 + 1, 0 * 3 + 1], count), random.integers(1, 5000, 4 * count)]
    packed = board.packed([np.diff(np.repeat(np.arange(count), 4), prepend=0), *pairs])
    data = {"models": ["m"], "classes": ["x", "y"], "columns": ["x", "y", "other"], "iou": {"m": [0.5, 0.2]},
            "confusion": {"m": [[0.5, 0.5, 0], [0.5, 0.5, 0]]}, "images": [f"i{n}" for n in range(count)],
            "counts": [packed], "confidence": [None], "thumbs": {}, "inside": []}  # fmt: skip
    with opened(data, {}) as page:
        assert page.locator(".counted").inner_text() == "10,000 of 10,000 images"
        pixels = page.evaluate(f"[...{BOARD}.columns[0].number.values]")
        for part in (0.0, 0.5, 1.0):
            page.evaluate(f"document.querySelector('.gallery').scrollTop = {part} * 10000 * 60")
            page.wait_for_timeout(100)
            rows = page.locator(".space .row")
            assert 5 < rows.count() < 25
        assert page.locator(".space .row .id").last.inner_text() == f"i{int(np.argsort(pixels, kind='stable')[0])}"
