"""`seglab lab` in a real browser: the first notebook opens, and Run All Cells executes it without an error."""

import secrets
from pathlib import Path

import pytest
from helpers.lab_server import copy_checkout, errors, lab, run_all_cells, saved_cells, without_outputs

from seglab.course.lab import numbered


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the package and its notebooks."""
    return copy_checkout(tmp_path / "checkout")


def test_first_notebook_opens_and_runs_in_a_browser(checkout, browser):
    first = without_outputs(numbered(checkout / "notebooks")[0])
    token = secrets.token_hex(8)
    with lab(checkout, token) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}/?token={token}")
        run_all_cells(page)
        assert [error for cell in saved_cells(page, first) for error in errors(cell)] == []
        assert page.locator(".jp-toast-message, .Toastify__toast").count() == 0, "no pop-up asks for anything"
    assert f"{address}/lab/tree/{first.name}?token=" in (checkout.parent / "lab.log").read_text()
