"""Hashes: which change of the code makes another measurement, and which does not."""

import hashlib
import os
import shutil
import subprocess
import sys

import pytest
import torch
from helpers.paths import ROOT

from seglab._utils.hashing import FileHashes, code_lines, sha256_file, sha256_state

SOURCE = '''"""A module."""

LIMIT = 3  # pixels


def area(side):
    """The area."""
    # A comment.
    text = """not a docstring # nor a comment"""
    return side * side, text
'''


def test_code_lines_are_those_that_run():
    assert code_lines(SOURCE) == [
        "LIMIT = 3",
        "def area(side):",
        '    text = """not a docstring # nor a comment"""',
        "    return side * side, text",
    ]  # fmt: skip


def test_a_file_that_changes_is_noticed(tmp_path):
    path, other = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(b"old")
    other.write_bytes(b"never added")
    hashes = FileHashes()
    assert hashes.add(path) == hashlib.sha256(b"old").hexdigest()
    path.touch()  # other times and the same bytes
    hashes.check([path, other])
    stat = path.stat()
    path.write_bytes(b"new")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time
    for _ in range(2):
        with pytest.raises(ValueError, match=r"a\.png has changed since this command started"):
            hashes.check([path])
    path.write_bytes(b"old")
    hashes.check([path])


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the package, and what its `code_version` is in a process of its own."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(ROOT / "seglab", folder / "seglab", ignore=shutil.ignore_patterns("__pycache__"))

    def version():
        code = "from seglab._utils.hashing import code_version; print(code_version())"
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return folder / "seglab", version, version()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("masks/argmax.py", "def to_mask(", "# A comment.\ndef to_mask(", True),
        ("masks/argmax.py", '    """', '    """Another first sentence. ', True),
        ("viz/charts.py", "def class_bars(", "LIMIT = 1\n\n\ndef class_bars(", True),
        ("report/build.py", "def write(", "LIMIT = 1\n\n\ndef write(", True),
        ("evaluation/results.py", "class Results", "LIMIT = 1\n\n\nclass Results", True),
        ("masks/argmax.py", ".argmax(-3)", ".argmin(-3)", False),
        ("metrics/confusion.py", "def confusion_matrix(", "LIMIT = 1\n\n\ndef confusion_matrix(", False),
        ("data/toytown/scene.py", "def scene(", "LIMIT = 1\n\n\ndef scene(", False),
    ],
)
def test_only_code_that_decides_counts_makes_another_version(copied, file, old, new, same):
    package, version, before = copied
    path = package / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert (version() == before) is same
    path.write_text(text, encoding="utf-8")


def test_hashes_of_files_and_states(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    state = {"a": torch.zeros(2), "b": torch.ones(1)}
    assert sha256_state(state) == sha256_state(dict(reversed(state.items())))
    assert sha256_state(state) != sha256_state({"a": torch.zeros(2, 1), "b": torch.ones(1)})
    assert sha256_state(state) != sha256_state({"a": torch.zeros(2).half(), "b": torch.ones(1)})
