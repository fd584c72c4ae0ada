"""Own data and models in JupyterLab: cancelling, layout, a page that stands still, from a number to the pixels."""

import secrets

import nbformat
import pytest
from helpers.lab_server import copy_checkout, errors, lab, run_all_cells, saved_cells
from helpers.own import leaves
from nbformat.v4 import new_code_cell, new_notebook

from seglab.course.notebooks import normalise

NOTEBOOK = "00_own.ipynb"
CELLS = [
    """
import time, torch
from seglab import evaluate, load_dataset
from seglab.models.adapters import wrap
from seglab.viz.widgets.comparison import compare_models
from seglab.viz.widgets.explorer import explore

class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 1)

    def forward(self, images):
        time.sleep(0.5)
        return self.conv(images)

own = load_dataset("my leaves")
models = {f"model {i} with a long name of its own": wrap(Slow(), own.classes) for i in range(12)}
explore(models, "my leaves", wait=True)
""",
    """
scenes = load_dataset("toytown", "test").subset(range(4))
results = evaluate(["unet_mini:toytown", "lraspp_mini:toytown"], scenes, progress=False)
compare_models(results, scenes)
""",
]
CUT = """area => {
  const inside = area.getBoundingClientRect();
  const controls = [...area.querySelectorAll("button, select, input[type=range], input[type=checkbox], .noUi-target")];
  const titles = [...area.querySelectorAll(".lm-TabBar-tabLabel, button")];
  const beyond = controls.filter((e) => e.offsetParent && (e.getBoundingClientRect().right > inside.right + 1 ||
    e.getBoundingClientRect().left < inside.left - 1 || e.getBoundingClientRect().width < 10));
  const short = titles.filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1);
  return [...beyond, ...short].map((e) => e.textContent || e.tagName);
}"""


@pytest.fixture
def page(tmp_path, browser):
    """The notebook, run in a browser; no error may occur in it."""
    checkout, token, problems = copy_checkout(tmp_path / "checkout"), secrets.token_hex(8), []
    for path in (checkout / "notebooks").glob("*.ipynb"):
        path.unlink()
    names = 'names: ["everything that is neither a leaf nor a stalk", "a leaf of a deciduous tree"]'
    card = leaves(checkout / "notebooks" / "my leaves", scale=40) / "dataset.yaml"
    card.write_text(card.read_text().replace("names: [background, leaf]", names))
    path = checkout / "notebooks" / NOTEBOOK
    nbformat.write(normalise(new_notebook(cells=[new_code_cell(cell.strip()) for cell in CELLS])), path)
    with lab(checkout, token) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/lab/tree/{NOTEBOOK}?token={token}")
        run_all_cells(page)
        assert [error for cell in saved_cells(page, path) for error in errors(cell)] == []
        yield page
    assert not problems


def test_own_data_in_jupyterlab(page):
    explorer, comparison = (page.locator(".jp-OutputArea-output:has(.seglab-viewer)").nth(i) for i in range(2))
    cancelling_keeps_finished_masks(explorer)
    nothing_is_cut(page, explorer)
    the_page_stands_still(page, explorer)
    from_a_number_to_the_pixels(comparison)


def layers(area):
    return area.locator(".seglab-viewer").evaluate("v => v.parentElement.viewer.data.layers.map(l => l.name)")


def cancelling_keeps_finished_masks(explorer):
    explorer.locator(".widget-select-multiple select").select_option(index=list(range(12)))
    explorer.get_by_text("is running (4 of 12)").wait_for()
    explorer.get_by_role("button", name="cancel").click()
    said = explorer.get_by_text("cancelled after")
    said.wait_for()
    finished = int(said.inner_text().split()[2])
    assert said.inner_text() == f"cancelled after {finished} of 12"
    assert finished >= 3
    explorer.get_by_label("left model").locator(f"option:nth-child({finished})").wait_for(state="attached")
    assert layers(explorer) == [f"model {i} with a long name of its own" for i in range(finished)] + ["target"]


def nothing_is_cut(page, explorer):
    explorer.get_by_role("button", name="run").click()
    explorer.get_by_text("model 11 with a long name of its own: 5").wait_for()  # five hundred milliseconds and more
    assert len(layers(explorer)) == 13
    for width in (1400, 800):
        page.set_viewport_size({"width": width, "height": 1600})
        page.wait_for_timeout(300)
        assert explorer.evaluate(CUT) == [], width


def the_page_stands_still(page, explorer):
    pane = explorer.locator(".pane").first
    for width in (1400, 800):
        page.set_viewport_size({"width": width, "height": 1600})
        pane.scroll_into_view_if_needed()
        heights = {explorer.bounding_box()["height"]}
        for n in range(5):
            box = pane.bounding_box()
            page.mouse.move(box["x"] + box["width"] * (0.1 + n / 6), box["y"] + box["height"] * (0.1 + n / 6))
            heights.add(explorer.bounding_box()["height"])
            explorer.locator(".pixel tbody tr").nth(11).get_by_text("bits").wait_for()  # the kernel has answered
            heights.add(explorer.bounding_box()["height"])
        assert len(heights) == 1
    assert explorer.locator(".spoken").inner_text() == ""
    pane.focus()
    page.keyboard.press("ArrowLeft")
    explorer.locator(".spoken", has_text="%").wait_for(state="attached")
    assert "everything that is" in explorer.locator(".spoken").inner_text()


def from_a_number_to_the_pixels(comparison):
    comparison.scroll_into_view_if_needed()
    comparison.get_by_role("button", name="pedestrian of lraspp_mini").click()
    comparison.get_by_label("remove the filter: errors of lraspp_mini:toytown in pedestrian").wait_for()
    viewer = comparison.locator(".seglab-viewer")
    viewer.locator(".tag.l", has_text="lraspp_mini").first.wait_for()
    assert viewer.locator(".tag:visible").all_inner_texts() == ["lraspp_mini:toytown", "target"]
    assert viewer.locator(".legend button[aria-pressed=true] .n").all_inner_texts() == ["pedestrian"]
    shown = viewer.evaluate("""v => {
      const { layers, state } = v.parentElement.viewer;
      const painted = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
        .filter((value, i) => i % 4 === 3 && value).length;
      const stage = v.querySelector(".stage").getBoundingClientRect();
      const pane = v.querySelector(".pane").getBoundingClientRect();
      const { width, height } = layers.data, [left, top, right, bottom] = state.region;
      return {
        left: [painted(v.querySelectorAll(".over")[0]), layers.labels[1].filter((label) => label === 9).length],
        right: [painted(v.querySelectorAll(".over")[1]), layers.labels[2].filter((label) => label === 9).length],
        inside: stage.x + stage.width * left / width >= pane.x && stage.x + stage.width * right / width <= pane.right &&
          stage.y + stage.height * top / height >= pane.y && stage.y + stage.height * bottom / height <= pane.bottom,
        zoom: stage.width / pane.width,
      };
    }""")
    for side in ("left", "right"):
        painted, predicted = shown[side]
        assert painted == predicted > 0
    assert shown["inside"]
    assert shown["zoom"] > 1
