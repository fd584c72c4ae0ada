"""Notebook 13 in JupyterLab: swipe, probe, switch classes off, paint, explore a photograph, follow a number."""

import base64
import re
import secrets
from io import BytesIO

import nbformat
import numpy as np
import pytest
from helpers.exercises import cells_behind
from helpers.lab_server import copy_checkout, errors, lab, run_all_cells, saved_cells, without_outputs
from PIL import Image
from skimage import data as photographs

from seglab import MODELS, Results, predict
from seglab.models.weights.zoo import stored_counts

NOTEBOOK = "13_compare.ipynb"
WIDGETS = ("view(", "explore(", "compare_models(")


def only_widgets(path):
    """The notebook with its widgets and the cells that they need: all others are executed by its own test."""
    nb = nbformat.read(path, as_version=4)
    codes = [cell for cell in nb.cells if cell.cell_type == "code"]
    shown = {i for i, cell in enumerate(codes) if any(word in cell.source for word in WIDGETS)}
    nb.cells = [codes[i] for i in sorted(cells_behind(codes, shown))]
    nbformat.write(nb, path)
    return path


@pytest.fixture
def page(tmp_path, browser):
    """The notebook, run in a browser; no error may occur in it."""
    checkout, token, problems = copy_checkout(tmp_path / "checkout"), secrets.token_hex(8), []
    path = without_outputs(only_widgets(checkout / "notebooks" / NOTEBOOK))
    with lab(checkout, token) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/lab/tree/{NOTEBOOK}?token={token}")
        run_all_cells(page)
        assert [error for cell in saved_cells(page, path, 300) for error in errors(cell)] == []
        yield page
    assert not problems


def viewer_in(page, mode):
    viewer = page.locator(f".seglab-viewer[data-mode='{mode}']").first
    viewer.scroll_into_view_if_needed()
    return viewer


def scene_of(viewer):
    """The image of a viewer, and the names of its layers."""
    found = viewer.evaluate("v => { const { image, layers } = v.parentElement.viewer.data;"
                            " return { image, names: layers.map((l) => l.name) }; }")  # fmt: skip
    encoded = base64.b64decode(found["image"].partition(",")[2])
    return np.array(Image.open(BytesIO(encoded)).convert("RGB")), found["names"]


def at(viewer, x, y, size):
    """The position of a pixel of the image on the screen."""
    box = viewer.locator(".pane").first.bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / size[1], box["y"] + (y + 0.5) * box["height"] / size[0]


def png(image):
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def test_notebook_13_by_hand(page):
    swipe_and_probe(page)
    paint(page)
    explore(page)
    follow_a_number(page)


def swipe_and_probe(page):
    viewer = viewer_in(page, "swipe")
    image, names = scene_of(viewer)
    size = image.shape[:2]

    viewer.get_by_label("opacity").fill("0.2")
    assert viewer.locator("canvas.over").first.evaluate("c => c.style.opacity") == "0.2"
    viewer.get_by_label("opacity").focus()
    page.keyboard.press("ArrowRight")
    assert viewer.locator("canvas.over").first.evaluate("c => c.style.opacity") == "0.21"

    road = viewer.locator(".legend button[title='road']")
    road.click()
    assert road.get_attribute("aria-pressed") == "false"
    road.click()

    page.mouse.move(*at(viewer, size[1] / 2, size[0] / 2, size))
    page.mouse.down()
    page.mouse.move(*at(viewer, size[1] / 4 - 0.5, size[0] / 2, size), steps=5)
    page.mouse.up()
    assert float(viewer.get_by_label("swipe").input_value()) == pytest.approx(0.25, abs=0.02)

    family = {spec.family: f"{name}:toytown" for name, spec in MODELS.items() if name.endswith("_mini")}
    p = predict(family[names[0]], image)
    for x, y in ((20, 20), (128, 170)):
        page.mouse.move(*at(viewer, x, y, size))
        row = viewer.locator(".probe tr", has_text=names[0]).first
        row.get_by_text("bits").wait_for()  # the kernel has answered
        label = p.classes.names[int(p.mask[y, x])]
        reading = " ".join(row.inner_text().split())
        assert reading == (
            f"{names[0]} {label} {100 * float(p.confidence()[y, x]):.0f} % {float(p.margin()[y, x]):.2f}"
            f" {float(p.entropy()[y, x]):.1f} bits"
        )


def paint(page):
    viewer = viewer_in(page, "paint")
    image, _ = scene_of(viewer)
    size = image.shape[:2]
    score = viewer.locator(".score tr", has_text="you").locator(".number")
    assert score.text_content() == "–"
    page.mouse.move(*at(viewer, 60, 100, size))
    page.mouse.down()
    page.mouse.move(*at(viewer, 90, 100, size), steps=4)
    page.mouse.up()
    assert 0 <= float(score.text_content()) < 1
    viewer.get_by_role("button", name="undo").click()
    assert score.text_content() == "–"


def explore(page):
    photo = page.locator("input.file").first
    photo.scroll_into_view_if_needed()
    photo.set_input_files({"name": "diary.txt", "mimeType": "text/plain", "buffer": b"Dear diary"})
    page.get_by_text("diary.txt: not an image that Pillow reads").wait_for()
    photo.set_input_files({"name": "cat.png", "mimeType": "image/png", "buffer": png(photographs.chelsea())})
    page.get_by_text("unet_lite:photographs assigns every pixel to one of 7 classes").wait_for()
    box = page.locator(".widget-vbox", has=page.locator("input.file")).last
    shown = scene_of(box.locator(".seglab-viewer").first)[0]
    np.testing.assert_array_equal(shown, photographs.chelsea())
    # Another data set shows streets again; the slider moves by keys; a dropped file is read like a chosen one.
    page.locator(".widget-dropdown select").first.select_option("toytown:night test")
    page.get_by_text("IoU on this image").first.wait_for()
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("tab", name="save", exact=True).click()
    page.locator("a[download$='-1-probability.png']").wait_for()
    with page.expect_download() as saved:
        page.get_by_text("this view", exact=True).click()
    assert saved.value.suggested_filename.endswith("-1-probability.png")
    page.get_by_role("tab", name="masks").click()
    drop = """async ([name, bytes]) => {
      const files = new DataTransfer();
      files.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
      const root = document.querySelector("input.file").closest(".seglab-viewer");
      root.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, ["face.png", list(png(photographs.astronaut()[::4, ::4].copy()))])
    page.get_by_text(re.compile("Fraction of pixels")).first.wait_for()  # the table, not the legend of any scene
    assert scene_of(box.locator(".seglab-viewer").first)[0].shape == (128, 128, 3)
    page.evaluate(drop, ["huge.png", 2**26 + 1])
    page.get_by_text("huge.png is too large: it has 68 MB, at most 67 are taken.").wait_for()


def follow_a_number(page):
    board = page.locator(".seglab-board").first
    board.scroll_into_view_if_needed()
    cell = board.get_by_role("button", name="fence of").first
    cell.click()
    model = cell.get_attribute("aria-label").removeprefix("fence of ").partition(",")[0]
    board.get_by_label(f"remove the filter: errors of {model} in fence").wait_for()
    results = Results.open(stored_counts("toytown")).of_seed(0)
    rows = board.locator(".gallery [role='rowheader']")
    assert rows.first.get_attribute("aria-label") == results.where(model, "fence")["id"].iloc[0]
    board.get_by_role("tab", name="confusion").click()
    board.get_by_role("button", name="pole predicted as building").first.click()
    board.get_by_label(f"remove the filter: pixels of pole that {model} predicts as building").wait_for()
    board.locator(".gallery").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    last = results.where(model, "pole", "building")["id"].iloc[-1]
    board.get_by_text(f"shown: {last}").wait_for()
