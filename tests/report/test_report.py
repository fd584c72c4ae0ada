"""Reports: made, made again, killed, checked, and looked at in a browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from typer.testing import CliRunner

from seglab import CLASS_SETS, MODELS
from seglab.__main__ import app
from seglab.data.classes import ClassSet
from seglab.data.loading import DataSelection
from seglab.data.palette import voc_colors
from seglab.evaluation.store import read
from seglab.models.weights.zoo import zoo_dir
from seglab.report import build, check, findings, page, plan
from seglab.report.plan import Plan
from seglab.viz import charts, intervals
from seglab.viz.widgets.html import document
from seglab.viz.widgets.viewer import SCRIPT, view

HOSTILE = "<img src=x onerror=alert(1)>"
TWO = Plan({"unet": ("unet_mini:toytown",), "<b>lr</b>": ("lraspp_mini:toytown",)},
           (DataSelection("toytown", images=12), DataSelection("toytown:fog", images=3)))  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two models on two data sets."""
    out = tmp_path_factory.mktemp("reports") / "two"
    assert build.write(TWO, out, progress=False) == out / "index.html"
    return out


def tables(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted((out / "tables").rglob("*.csv"))}


# Plans ----------------------------------------------------------------------------------------------------------------


def test_a_plan_in_yaml(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("""
        title: Mine
        models: {mine: [a.safetensors, b.safetensors], fcn: fcn_mini}
        data: [toytown, {name: camvid, split: val, images: 5}]
    """)
    made = plan.read_plan(path)
    assert made.models == {"mine": ("a.safetensors", "b.safetensors"), "fcn": ("fcn_mini",)}
    assert made.data == (DataSelection("toytown"), DataSelection("camvid", "val", 5))
    assert made.heading() == "Mine"
    path.write_text("models: [unet_mini, small=lraspp_mini]")
    made = plan.read_plan(path)
    assert made.models == {"unet_mini": ("unet_mini",), "small": ("lraspp_mini",)}
    assert made.heading() == "2 models on Toytown"


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a\n- b", "holds list; expected fields"), ("models: [a", "cannot be read as a plan"),
     ("modles: [a]", "did you mean 'models'"), ("data: toytown", "names no model"),
     ("{models: [a], data: [{nmae: toytown}]}", "did you mean 'name'")],
)  # fmt: skip
def test_plans_that_are_none(tmp_path, text, said):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        plan.read_plan(tmp_path / "plan.yaml")
    with pytest.raises(ValueError, match="cannot be read as a plan"):
        plan.read_plan(tmp_path / "nothing.yaml")


def test_everything_is_every_mini_in_all_weathers():
    made = plan.default_plan()
    assert set(made.models) == {n for n in MODELS if (zoo_dir() / f"{n}-toytown.safetensors").is_file()}
    assert [data.name for data in made.data] == ["toytown", "toytown:night", "toytown:fog", "toytown:rain"]
    assert {data.images for data in plan.limited(made, 3).data} == {3}


# What is written ------------------------------------------------------------------------------------------------------


def test_everything_is_there(written):
    manifest = json.loads((written / "manifest.json").read_text())
    assert manifest["plan"]["models"] == {"unet": ["unet_mini:toytown"], "<b>lr</b>": ["lraspp_mini:toytown"]}
    assert len(manifest["runs"]) == 4
    assert all(len(run["weights"]) == 64 for run in manifest["runs"])
    assert set(manifest["tables"]) == set(tables(written))
    assert {path.split("/")[1] for path in manifest["tables"]} == {"toytown-test", "toytown-fog-test"}
    counts = pd.read_parquet(written / "counts.parquet")
    assert counts["pixels"].sum() == 2 * 15 * 192 * 256
    summary = pd.read_csv(written / "tables" / "toytown-test" / "summary.csv", index_col=0)
    assert "ms" not in summary
    assert summary["miou"]["unet"] > summary["miou"]["<b>lr</b>"]
    timings = pd.read_csv(written / "timings.csv")
    assert (timings["ms"] > 0).all()


def test_written_again_nothing_changes(written):
    before, images = tables(written), read(written / "counts.sqlite").images
    build.write(TWO, written, progress=False)
    assert tables(written) == before
    pd.testing.assert_frame_equal(read(written / "counts.sqlite").images, images)  # with the same times: not done again


def test_one_model_alone(tmp_path):
    """Nothing to compare, and still a page."""
    plan = Plan({"fcn": ("fcn_mini:toytown",)}, (DataSelection("toytown", images=3),))
    text = build.write(plan, tmp_path, progress=False).read_text(encoding="utf-8")
    assert "fcn alone is no comparison." in text
    assert not (tmp_path / "tables" / "toytown-test" / "pairs.csv").exists()
    assert check.check(tmp_path, progress=False) == []


def test_another_plan_wants_another_folder(written):
    with pytest.raises(ValueError, match=r"another plan \(it differs in data\)"):
        build.write(Plan(TWO.models, (DataSelection("toytown"),)), written, progress=False)


def test_a_check_finds_what_was_changed(written, tmp_path):
    assert check.check(written, progress=False) == []
    out = tmp_path / "copy"
    shutil.copytree(written, out)
    path = out / "tables" / "toytown-test" / "summary.csv"
    table = pd.read_csv(path, dtype=str)
    true = table.loc[0, "miou"]
    table.loc[0, "miou"] = "0.999000"
    table.to_csv(path, index=False, lineterminator="\n")
    (out / "tables" / "toytown-test" / "pairs.csv").unlink()
    counts = pd.read_parquet(out / "counts.parquet")
    chosen = counts.index[(counts["data"] == "toytown test") & (counts["model"] == "unet")][:2]
    counts.loc[chosen, "pixels"] += [5, -5]
    counts.to_parquet(out / "counts.parquet", index=False)
    run = CliRunner().invoke(app, ["report", "--check", str(out)])
    assert run.exit_code == 1
    assert "toytown test, unet: at least 5 of 589824 pixels differ" in run.output
    assert f"toytown-test/summary.csv: unet, miou: 0.999000 in the report, {true} here" in run.output
    assert "toytown-test/pairs.csv: only in this run" in run.output
    with pytest.raises(ValueError, match="holds no finished report"):
        check.check(tmp_path / "nowhere")


def test_killed_it_goes_on(written, tmp_path):
    """A real process, killed while it evaluates; then the same command again."""
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    shutil.copy(written / "plan.json", plan)
    command = [sys.executable, "-m", "seglab", "report", str(plan), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    for _ in range(600):
        if (out / "counts.sqlite").is_file() and finished(out) >= 4:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "index.html").exists()
    assert finished(out) < 30
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == f"the report is in {out / 'index.html'}"
    assert tables(out) == tables(written)


def finished(out):
    try:
        return len(read(out / "counts.sqlite").images)
    except (ValueError, OSError):
        return 0


# The page -------------------------------------------------------------------------------------------------------------


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
    assert script.startswith(SCRIPT.read_text(encoding="utf-8"))
    mark = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for tag, a in elements if tag == "meta" and "http-equiv" in a]
    assert policy == f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{mark}'"
    assert not {"iframe", "object", "embed", "link", "b"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png")), (tag, attributes)


def test_the_page_needs_nothing_and_runs_nothing(written):
    text = (written / "index.html").read_text(encoding="utf-8")
    assert_harmless(text)
    assert "&lt;b&gt;lr&lt;/b&gt;" in text
    assert "http" not in re.sub(r"http-equiv|data:image/png;base64,[^\"]+", "", text)
    assert "How to be misled" not in text  # a lesson
    assert text.count("<figure>") > 8
    assert str(written.parent) not in text


def test_a_page_without_scenes_runs_no_script():
    assert "script-src 'none'" in (text := document("<still>", "<p>nothing moves</p>", ""))
    assert "<script" not in text
    assert "<title>&lt;still&gt;</title>" in text


def test_hostile_names_do_no_harm(tmp_path):
    """In file names, class names and names of models; label maps of another program stand for a model."""
    data, names = tmp_path / "data", ["road", HOSTILE, "`code`", "[link](javascript:alert(1))"]
    dice = np.random.default_rng(0)
    data.mkdir()
    for kind in ("images", "masks", "preds"):
        (data / kind).mkdir()
    for i in range(12):
        mask = dice.integers(0, 4, (24, 32), np.uint8)
        image = f"<script>alert({i})<!--"
        Image.fromarray(dice.integers(0, 256, (24, 32, 3), np.uint8)).save(data / "images" / f"{image}.png")
        Image.fromarray(mask).save(data / "masks" / f"{image}.png")
        Image.fromarray((mask + (i % 3 == 0)) % 4).save(data / "preds" / f"{image}.png")
    classes = ClassSet(HOSTILE, tuple(names), voc_colors(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASS_SETS, "hostile", classes)
        selection = DataSelection("folder", root=str(data), classes="hostile")
        plan = Plan({}, (selection,), {HOSTILE: str(data / "preds")}, "hostile",
                    title="</title><script>alert(0)</script>")  # fmt: skip
        measured = build.measure(plan, tmp_path / "s.sqlite", progress=False)
        nb = new_notebook(cells=list(cells_of(measured)))
    assert_harmless(page.to_html(nb, plan.heading()))


def cells_of(measured):
    """What the template shows, without a kernel."""
    results = next(iter(measured.values()))
    shown = [
        page.paragraph(findings.abstract(measured)), page.paragraph(results.convention(), kind="note"), findings.readable(results),
        results.iou_style(), findings.mistakes(results), findings.telling_images(results),
        page.details(HOSTILE, results.identity(), results.data_table()),
        intervals.leaderboard({results.data: results.summary()}), intervals.dot_plot(results.conventions()),
        charts.confusion(*findings.square(results.confusion(HOSTILE))), page.Scene(scene_of(results)),
    ]  # fmt: skip
    for value in shown:
        if hasattr(value, "_repr_mimebundle_"):
            data, metadata = value._repr_mimebundle_()
        else:
            data, metadata = {"text/html": value._repr_html_()}, {}
        output = new_output("display_data", data, metadata=metadata)
        yield new_code_cell("", outputs=[output], metadata={"tags": ["report"]})


def scene_of(results):
    mask = np.zeros((4, 6), np.uint8)
    return view(np.zeros((4, 6, 3), np.uint8), {HOSTILE: mask}, results.classes, mask)


def test_only_report_cells_are_shown():
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


def test_in_a_browser_without_a_network(written, browser):
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
    scene = seen.locator(".seglab-viewer").first
    scene.scroll_into_view_if_needed()
    scene.locator("select[aria-label='view']").select_option("error")
    assert scene.locator(".key").inner_text().split("\n") == ["right", "wrong", "void in the target"]
    scene.locator(".pane").first.hover(position={"x": 5, "y": 5})
    assert "row" in scene.locator(".probe").inner_text()
    seen.emulate_media(media="print")
    assert seen.locator(".still").first.is_visible()
    assert seen.locator(".seglab-scene").first.is_hidden()
    seen.emulate_media(media="screen")
    seen.click("nav a:has-text('Class by class')")
    assert seen.locator("h2:has-text('Class by class')").is_visible()
    seen.click("summary:has-text('Licences')")
    assert seen.locator("details:has-text('Licences') table").is_visible()
    assert len(seen.pdf(format="A4")) > 50_000
    assert not problems
    assert all(url.startswith(("file:", "data:")) for url in asked)
