"""A report that several tests read."""

import pytest
from helpers.reports import TWO_MODELS

from seglab.report import build


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The folder of a report: two models on two data sets."""
    out = tmp_path_factory.mktemp("reports") / "two"
    assert build.write(TWO_MODELS, out, progress=False) == out / "index.html"
    return out
