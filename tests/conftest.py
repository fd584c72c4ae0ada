"""What several test files share."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import seglab  # noqa: F401  sets how OpenMP waits, which has to happen before torch is imported

settings.register_profile("untimed", deadline=None)  # machines are noisy, and no test is about time
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that SEGLAB_DATA names, holding small trees of CamVid, VOC, COCO and membranes."""
    from seglab.data.loading import data_root  # here, so that tests without data start without torch

    root = data_root()
    missing = [name for name in ("camvid", "VOCdevkit/VOC2012", "coco", "membrane") if not (root / name).is_dir()]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} not found in {root}: set SEGLAB_DATA to a folder that has them,"
            " or download them: python -c \"from seglab import load_dataset; load_dataset('camvid')\" and so on"
        )
    return root


@pytest.fixture
def browser() -> Iterator[Any]:
    """A real Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here: `apt-get install chromium` brings it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
