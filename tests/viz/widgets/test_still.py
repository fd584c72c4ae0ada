"""A saved notebook whose kernel is gone, in JupyterLab and as an export: a picture instead of an error."""

import re
import secrets

import nbformat
import pytest
from helpers.lab_server import copy_checkout, lab
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from seglab.course.notebooks import normalise
from seglab.viz.widgets.still import GONE

CELL = """
from seglab.viz.widgets.explorer import explore
explore(["unet_mini:toytown"], "toytown test", wait=True)
"""


@pytest.fixture(scope="module")
def saved():
    """The notebook after its kernel has ended, with its outputs but without widget state."""
    nb = new_notebook(cells=[new_code_cell(CELL.strip())])
    NotebookClient(nb, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    return nb


@pytest.mark.slow
def test_an_export_shows_a_picture(saved):
    page, _ = HTMLExporter().from_notebook_node(saved)
    assert "Explorer(" not in page
    assert GONE in page
    assert re.search(r'alt="[^"]*unet_mini:toytown: [^"]*road[^"]*" src="data:image/png;base64,', page)


def test_the_course_holds_no_such_picture(saved):
    assert normalise(saved).cells[0].outputs == []


def test_a_reopened_notebook_shows_a_picture(saved, tmp_path, browser):
    checkout, token = copy_checkout(tmp_path / "checkout"), secrets.token_hex(8)
    path = checkout / "notebooks" / "00_saved.ipynb"
    for other in path.parent.glob("*.ipynb"):
        other.unlink()
    nbformat.write(saved, path)
    with lab(checkout, token) as address:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(f"{address}/lab/tree/{path.name}?token={token}")
        still = page.locator(".seglab-still img")
        still.wait_for(timeout=60_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        assert page.get_by_text("Error displaying widget").is_visible() is False
        assert page.get_by_text(GONE).first.is_visible()
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.keyboard.press("Shift+Enter")
        page.locator(".seglab-viewer canvas").first.wait_for(timeout=90_000)
        page.get_by_text("Inference took").wait_for()
        assert not still.is_visible(), "only one of them is seen"
        assert not page.locator(".seglab-live").is_visible()
        still.wait_for(state="attached", timeout=60_000)
        for name in ("run", "cancel", "whole image"):
            assert page.get_by_role("button", name=name, exact=True).is_visible(), (
                "the style of the picture hides nothing"
            )
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Restart Kernel")).first.click()
        page.locator(".jp-Dialog button.jp-mod-accept").click()
        page.locator(".seglab-live", has_text=GONE).wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
