"""Text from elsewhere, on a terminal and in tables."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab._utils.text import csv_text, printable, write_csv


def test_control_characters_are_shown_not_obeyed():
    assert printable("a\x1b[2Jb\x07\r\x9b") == r"a\x1b[2Jb\x07\r\x9b"
    assert printable("\u202egnp.exe") == r"\u202egnp.exe"
    assert printable("\udcff") == r"\udcff"
    for text in ("Straße, 10⁹ → ✓\n\tnext", "👩‍🌾", "עברית"):
        assert printable(text) == text


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_text_can_be_written(text):
    assert "\x1b" not in printable(text)
    printable(text).encode("utf-8")


def test_cells_that_a_spreadsheet_would_compute():
    table = pd.DataFrame(
        {"name": ["=HYPERLINK(1)", "+1+2", "-cmd", "@SUM", "\t=1", "a,=b"], "=x": [-0.5, 1, np.nan, 2, -np.inf, 3]},
        index=pd.MultiIndex.from_tuples([("=a", i) for i in range(6)], names=["-id", "n"]),
    )
    rows = list(csv.reader(io.StringIO(csv_text(table))))
    assert rows[0] == ["'-id", "n", "name", "'=x"]
    assert [row[0] for row in rows[1:]] == ["'=a"] * 6
    assert [row[2] for row in rows[1:]] == ["'=HYPERLINK(1)", "'+1+2", "'-cmd", "'@SUM", "'\t=1", "a,=b"]
    assert [row[3] for row in rows[1:]] == ["-0.500000", "1.000000", "", "2.000000", "-inf", "3.000000"]


@pytest.mark.parametrize("table", [
    pd.DataFrame({"a": [0.1, -2.5], "b": ['say "hi"', "x\ny"]}), pd.DataFrame({"": [""]}), pd.DataFrame({"a": []}),
])  # fmt: skip
def test_other_tables_are_those_of_pandas(table, tmp_path):
    text = table.to_csv(float_format="%.6f", lineterminator="\n")
    assert csv_text(table) == text
    write_csv(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == text.encode()
