"""Names as parts of paths, and files that are replaced as a whole."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab._utils.paths import file_names, replacing, slug


def test_a_name_as_part_of_a_path():
    assert slug("toytown:night test") == "toytown-night-test"
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("...") == slug("") == "data"


def test_names_that_would_share_a_file_get_different_ones():
    names = file_names(["a/b", "a:b", "c d"])
    assert names["c d"] == "c-d"
    assert names["a/b"].startswith("a-b-") and names["a:b"].startswith("a-b-")
    assert names["a/b"] != names["a:b"]
    assert names == file_names(["c d", "a:b", "a/b"])  # in any order
    assert len(set(file_names(["UNet", "unet", "u\u0308", "\u00fc"]).values())) == 4
    assert len(file_names(["x" * 1000])["x" * 1000].encode()) < 200


@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=8), unique=True, max_size=6))
def test_no_two_names_share_a_file(names):
    made = file_names(names).values()
    assert len({name.casefold() for name in made}) == len(names)
    assert not any({"/", "\\", "\0", ":"} & set(name) or name in ("", ".", "..") for name in made)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


WRITER = """
import sys
from pathlib import Path
from seglab._utils.paths import replacing
for i in range(300):
    with replacing(Path(sys.argv[1])) as unfinished:
        unfinished.write_text(sys.argv[2] * 20_000)
"""


def test_two_processes_write_the_same_file(tmp_path):
    path = tmp_path / "a.txt"
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter], stderr=subprocess.PIPE, text=True)
                 for letter in "ab"]  # fmt: skip
    while any(process.poll() is None for process in processes):
        assert not path.exists() or path.read_text() in ("a" * 20_000, "b" * 20_000)
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
