"""The page of a report: what it holds, that it is harmless, and how it works in a browser."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from seglab import CLASS_SETS
from seglab.data.classes import ClassSet
from seglab.data.loading import DataSelection
from seglab.data.palette import voc_colors
from seglab.report import build, findings, page
from seglab.report.inside import page_board
from seglab.report.plan import Plan
from seglab.viz import charts, intervals
from seglab.viz.widgets.html import document
from seglab.viz.widgets.html import script as joined_script
from seglab.viz.widgets.viewer import view

HOSTILE = "<img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def assert_harmless(text):
    """No script but the viewer's, which the page's policy knows by its hash; nothing else runs, nothing is fetched."""
    elements = Elements(text).found
    kinds = [attributes.get("type") for tag, attributes in elements if tag == "script"]
    assert [kind for kind in kinds if kind != "application/json"] == ["module"]
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert script == joined_script("page")
    mark = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for tag, a in elements if tag == "meta" and "http-equiv" in a]
    assert policy == f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{mark}'"
    assert not {"iframe", "object", "embed", "link", "b"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png", "data:text/csv;base64,")), (
                tag,
                attributes,
            )


def test_page_needs_no_network_and_runs_only_the_viewer(written):
    text = (written / "index.html").read_text(encoding="utf-8")
    assert_harmless(text)
    assert "&lt;b&gt;lr&lt;/b&gt;" in text
    no_addresses = r"http-equiv|http://www\.w3\.org/2000/svg|data:image/png;base64,[^\"]+"  # SVG's namespace is a name
    assert "http" not in re.sub(no_addresses, "", text)
    assert "How to be misled" not in text  # a lesson
    assert text.count("<figure>") > 8
    assert str(written.parent) not in text


def test_page_without_viewers_runs_no_script():
    assert "script-src 'none'" in (text := document("<still>", "<p>nothing moves</p>", ""))
    assert "<script" not in text
    assert "<title>&lt;still&gt;</title>" in text


def test_names_with_html_are_escaped(tmp_path):
    """In file names, class names and names of models; label maps of another program stand for a model."""
    data, names = tmp_path / "data", ["road", HOSTILE, "`code`", "[link](javascript:alert(1))"]
    random = np.random.default_rng(0)
    data.mkdir()
    for kind in ("images", "masks", "preds"):
        (data / kind).mkdir()
    for i in range(12):
        mask = random.integers(0, 4, (24, 32), np.uint8)
        image = f"<script>alert({i})<!--"
        Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8)).save(data / "images" / f"{image}.png")
        Image.fromarray(mask).save(data / "masks" / f"{image}.png")
        Image.fromarray((mask + (i % 3 == 0)) % 4).save(data / "preds" / f"{image}.png")
    classes = ClassSet(HOSTILE, tuple(names), voc_colors(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASS_SETS, "hostile", classes)
        selection = DataSelection("folder", root=str(data), classes="hostile")
        plan = Plan({}, (selection,), {HOSTILE: str(data / "preds")}, "hostile",
                    title="</title><script>alert(0)</script>")  # fmt: skip
        measured = build.measure(plan, tmp_path / "s.sqlite", progress=False)
        nb = new_notebook(cells=list(cells_of(plan, measured)))
    assert_harmless(page.to_html(nb, plan.heading()))


def cells_of(plan, measured):
    """What the template shows, without a kernel."""
    results = next(iter(measured.values()))
    shown = [
        page.paragraph(findings.abstract(measured)), page.paragraph(results.convention(), kind="note"),
        findings.readable(results), results.iou_style(), findings.mistakes(results), findings.telling_images(results),
        page.details(HOSTILE, results.identity(), results.data_table(), link=page.csv_link(results.seeds(), HOSTILE)),
        page.linked(results.iou_style(), results.iou_table(), '"><script>'), page_board(plan, plan.data[0], results),
        intervals.leaderboard({results.data: results.summary()}), intervals.dot_plot(results.conventions()),
        charts.confusion(*findings.square(results.confusion(HOSTILE))), page.Scene(scene_of(results)),
    ]  # fmt: skip
    for value in shown:
        if hasattr(value, "_repr_mimebundle_"):
            bundle = value._repr_mimebundle_()
            data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        else:
            data, metadata = {"text/html": value._repr_html_()}, {}
        output = new_output("display_data", data, metadata=metadata)
        yield new_code_cell("", outputs=[output], metadata={"tags": ["report"]})


def scene_of(results):
    mask = np.zeros((4, 6), np.uint8)
    return view(np.zeros((4, 6, 3), np.uint8), {HOSTILE: mask}, results.classes, mask)


def test_page_holds_only_report_cells():
    tag = {"metadata": {"tags": ["report"]}}
    nb = new_notebook(cells=[
        new_markdown_cell("# a lesson"), new_markdown_cell("## One & two", **tag), new_markdown_cell("## Three", **tag),
        new_code_cell("secret = 1", outputs=[new_output("stream", text="progress")], **tag),
        new_code_cell("1 < 2", outputs=[new_output("execute_result", {"text/plain": "'<True>'"})], **tag),
    ])  # fmt: skip
    text = page.to_html(nb, "a < b")
    assert "lesson" not in text
    assert "secret" not in text
    assert "progress" not in text
    assert "<title>a &lt; b</title>" in text
    assert '<a href="#section-1">One &amp; two</a>' in text
    assert '<h2 id="section-2">Three</h2>' in text
    assert "&lt;True&gt;" in text


CLOSED = """[...document.querySelectorAll("details:not([open]) table")].map((table) => table.checkVisibility())"""


def test_page_in_a_browser_without_network(written, browser):
    context = browser.new_context(offline=True)
    seen, asked, problems = context.new_page(), [], []
    seen.on("request", lambda request: asked.append(request.url))
    seen.on("dialog", lambda dialog: problems.append(dialog.message))
    seen.on("console", lambda message: problems.append(message.text))
    for width in (1200, 380):
        seen.set_viewport_size({"width": width, "height": 900})
        seen.goto((written / "index.html").as_uri())
        assert seen.evaluate("document.documentElement.scrollWidth") <= width
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert seen.evaluate(broken) == 0
    assert seen.locator(".still").first.is_hidden(), "what lives stands in its place"
    scene = seen.locator("main > .seglab-scene:not(.seglab-linked) .seglab-viewer").first
    scene.scroll_into_view_if_needed()
    scene.locator("select[aria-label='view']").select_option("error")
    assert scene.locator(".key").inner_text().split("\n") == [
        "right; an error has the colour of the predicted class", "void in the target",
    ]  # fmt: skip
    scene.locator(".pane").first.hover(position={"x": 5, "y": 5})
    assert "row" in scene.locator(".probe").inner_text()
    assert not seen.evaluate(CLOSED).count(True), "closed at first"
    seen.emulate_media(media="print")
    assert all(seen.evaluate(CLOSED)), "paper cannot be opened"
    assert seen.locator(".still").first.is_visible()
    assert seen.locator(".seglab-scene").first.is_hidden()
    seen.emulate_media(media="screen")
    seen.click("nav a:has-text('Class by class')")
    assert seen.locator("h2:has-text('Class by class')").is_visible()
    seen.click("summary:has-text('Licences')")
    assert seen.locator("details:has-text('Licences') table").is_visible()
    assert len(seen.pdf(format="A4")) > 50_000
    tables_sort_and_are_saved(seen, written)
    a_board_works_in_the_page(seen)
    assert not problems
    assert all(url.startswith(("file:", "data:")) for url in asked)


def tables_sort_and_are_saved(seen, written):
    """A click on a heading sorts; the link below saves the same bytes as the file in the folder."""
    table = seen.locator("h2:has-text('Class by class') ~ .table").first
    names = "rows => rows.map(row => row.cells[0].textContent.trim())"
    before = table.locator("tbody tr").evaluate_all(names)
    table.get_by_role("button", name="unet").click()
    values = pd.read_csv(written / "tables/toytown-test/iou.csv", index_col=0)["unet"]
    descending = values.drop("mean").sort_values(ascending=False)
    shown = table.locator("tbody tr").evaluate_all(names)
    assert shown[-1] == before[-1] == "mean"
    assert [f"{values[name]:.3f}" for name in shown[:-1]] == [f"{value:.3f}" for value in descending]
    table.get_by_role("button", name="unet").click()
    assert table.locator("tbody tr").evaluate_all(names)[0] == descending.index[-1]
    assert table.locator("[aria-sort=ascending]").count() == 1
    with seen.expect_download() as saved:
        seen.locator("a[download='toytown-test-iou.csv']").click()
    assert saved.value.path().read_bytes() == (written / "tables/toytown-test/iou.csv").read_bytes()
    files = [p.name for p in (written / "tables").rglob("confusion-*.csv")]
    assert seen.locator("a[download*=confusion]").count() == len(files) == 4, "each model on each data set"


def a_board_works_in_the_page(seen):
    """Two data sets, two boards; a click on a class shows where it is wrong, without a kernel."""
    boards = seen.locator(".seglab-linked")
    assert boards.count() == 2
    assert boards.locator(".counted").all_inner_texts()[1].endswith("of 3 images")
    first = boards.first
    first.get_by_role("button", name="pedestrian of <b>lr</b>,").click()
    first.locator(".tag.l", has_text="<b>lr</b>").first.wait_for()
    assert first.locator(".legend button[aria-pressed=true] .n").all_inner_texts() == ["pedestrian"]
    first.get_by_label("view", exact=True).select_option("outcome")
    assert first.locator(".tag.l").first.inner_text() == "pedestrian of <b>lr</b>"
    first.get_by_role("button", name="pole of unet,").click()
    first.locator(".tag.l", has_text="pole of unet").first.wait_for()
    assert first.locator(".gallery img").count() > 3
