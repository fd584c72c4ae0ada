"""`seglab explore` as a real server and in a real browser; and what its page shows for arguments that are wrong."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from helpers.own import leaves
from PIL import Image
from skimage import data as photographs
from typer.testing import CliRunner

from seglab import evaluate, load_dataset
from seglab.__main__ import app
from seglab.viz.widgets.comparison import Comparison
from seglab.viz.widgets.explorer import Explorer
from seglab.viz.widgets.served import opened

UNET = "unet_mini:toytown"


@contextmanager
def served(folder, *arguments: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of `seglab explore` in this folder; Ctrl-C ends it."""
    command = [sys.executable, "-m", "seglab", "explore", "--no-browser", *arguments]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+/\?token=\w{32}", server.stdout.readline())[0], server
        children = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=30)
        assert (server.returncode, output.splitlines()[-1]) == (0, "stopped")
        assert "Traceback" not in output
        assert not psutil.wait_procs(children, timeout=10)[1], "no kernel is left"
    finally:
        server.kill()


def status(address: str, **more) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, **more), timeout=30) as answer:
            return 401 if "/login" in answer.url else answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_photograph_in_the_browser(tmp_path, browser):
    Image.fromarray(photographs.chelsea()).save(tmp_path / "cat.jpg")
    Image.fromarray(photographs.astronaut()).save(tmp_path / "face.jpg")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with served(tmp_path, "cat.jpg", "--port", port) as (address, _):
            root = address.partition("?")[0]
            assert port not in root
            assert [status(root), status(root + "?token=wrong"), status(root + "api/kernels")] == [401] * 3
            assert status(root + "api/kernels", method="POST") == 403
            page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="dark")
            hosts, problems = set(), []
            page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(address, wait_until="commit")
            page.get_by_text("cat.jpg: unet_lite:photographs assigns").wait_for(timeout=180_000)
            assert page.evaluate("document.body.dataset.jpThemeLight") == "false"
            page.locator(".legend .n", has_text="cat").wait_for()
            drop_and_save(page, tmp_path / "face.jpg")
            for width in (1400, 800, 390):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert hosts - {""} == {root.split("/")[2]}, "no other machine is asked; '' stands for data: addresses"
            assert not problems


def drop_and_save(page, photo):
    page.evaluate("""() => {
      window.notes = [];
      const note = document.querySelector(".seglab-viewer .note");
      new MutationObserver(() => window.notes.push(note.textContent)).observe(note, { childList: true });
    }""")
    page.locator("input.file").set_input_files(photo)
    page.get_by_text("face.jpg: unet_lite:photographs assigns").wait_for(timeout=60_000)
    notes = page.evaluate("window.notes")
    assert re.fullmatch(r"sending face.jpg \(0\.\d MB\) …", notes[0])
    assert notes[-1] == "", "the status line reports what the kernel does with it"
    page.get_by_role("tab", name="save").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="the masks as a page").click()
    assert download.value.suggested_filename == "face.jpg-0.html"
    assert "<title>face.jpg</title>" in download.value.path().read_text(encoding="utf-8")


def test_data_and_stores_are_opened(tmp_path):
    folder = leaves(tmp_path / "my leaves", scale=16)
    shown = opened(models=[("", UNET), ("mine", "lraspp_mini:toytown")], data=str(folder))
    assert isinstance(shown, Explorer)
    assert (shown.data.options, shown.models.options) == (("my leaves",), (UNET, "mine"))
    shown.wait()
    store = tmp_path / "r.sqlite"
    evaluate([UNET], load_dataset("toytown", "test").subset(range(2)), store=store, progress=False)
    assert isinstance(opened(store=str(store)), Comparison)


def test_what_is_wrong_is_a_sentence(tmp_path):
    assert "<b>: no such file" not in (shown := opened(photos=["<b>"])).value
    assert "&lt;b&gt;: no such file" in shown.value
    assert "unknown data set &#x27;camvit&#x27;" in opened(data="camvit val").value
    (tmp_path / "x.sqlite").write_text("no store")
    assert "x.sqlite" in opened(store=str(tmp_path / "x.sqlite")).value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere.jpg"], "nowhere.jpg: no such file or folder"), (["--store", "x.sqlite"], "x.sqlite: no such file"),
     (["README.md", "--store", "README.md"], "takes no photographs")],
)  # fmt: skip
def test_the_command_refuses_what_is_not_there(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("text")
    result = CliRunner().invoke(app, ["explore", *arguments])
    assert result.exit_code == 1
    assert message in result.output


def test_a_missing_server_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "voila.app", None)
    result = CliRunner().invoke(app, ["explore"])
    assert result.exit_code == 1
    assert "pip install voila" in result.output
