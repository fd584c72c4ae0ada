"""Hashes that identify files, weights and the code that decides a measurement."""

import ast
import hashlib
import io
import os
import tokenize
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# The wings whose code decides a mask or a count, and those whose code decides trained weights.
DECIDING = ("data", "masks", "metrics", "models", "inference", "evaluation")
TRAINING = ("data", "masks", "metrics", "models", "inference", "training")
# Their files that only make tables and texts of counts, or choose a recipe.
NOT_DECIDING = {
    "evaluation/command.py", "evaluation/measurements.py", "evaluation/published.py", "evaluation/results.py",
    "metrics/bootstrap.py", "metrics/comparison.py", "models/anatomy.py", "models/weights/bundle.py",
    "models/weights/cards.py", "training/choices.py", "training/command.py",
}  # fmt: skip


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; reads in blocks, so size does not matter.

    Raises:
        ValueError: a pipe or a device, which may have no end.
        OSError: the file cannot be read.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(f"{path} is a folder, a pipe or a device; expected a file")
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileHashes:
    """SHA-256 of files, and whether a file has changed since; a file is only read again where its times or size differ.

    Several threads may check files at the same time.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], str]] = {}

    def add(self, path: Path) -> str:
        """The hash of a file's bytes, which `check` compares with."""
        state = _state(path)  # before the bytes are read: a change during reading is noticed later
        self._known[path] = state, sha256_file(path)
        return self._known[path][1]

    def check(self, paths: Iterable[Path]) -> None:
        """Raise a ValueError if one of these files has other bytes than when it was added; others are not checked."""
        for path in self._known.keys() & set(paths):
            state, digest = self._known[path]
            if (now := _state(path)) != state:
                if sha256_file(path) != digest:
                    raise ValueError(
                        f"{path} has changed since this command started, so that its pixels belong to other data than"
                        " those that were identified; restore the file, or start again"
                    )
                self._known[path] = now, digest


def _state(path: Path) -> tuple[int, ...]:
    """What differs after a file was written, renamed or replaced; an OSError if it is missing."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def sha256_known(path: str | os.PathLike[str]) -> str:
    """`sha256_file`, computed once by a process for each state of a file: its size and the times of its changes."""
    return _sha256_of_state(os.fspath(path), *_state(Path(path)))


@lru_cache
def _sha256_of_state(path: str, *_state: int) -> str:
    return sha256_file(path)


def sha256_state(state: Mapping[str, "Tensor"]) -> str:
    """SHA-256 of weights: of every tensor's name, dtype, shape and bytes, in the order of the names."""
    import torch

    total = hashlib.sha256()
    for name, value in sorted(state.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


@cache
def code_version(wings: tuple[str, ...] = DECIDING) -> str:
    """Version of seglab and twelve digits of a hash of the code that decides a mask or a count, or trained weights.

    The hash differs when a line of that code differs. Comments, docstrings and blank lines are left out, and so are
    figures, reports, the course and the files in `NOT_DECIDING`.

    Args:
        wings: `DECIDING` or `TRAINING`.
    """
    from seglab import __version__

    package = Path(__file__).parents[1]
    paths = {
        path.relative_to(package).as_posix(): path for wing in wings for path in package.joinpath(wing).rglob("*.py")
    }
    total = hashlib.sha256()
    for name in sorted(paths.keys() - NOT_DECIDING):
        lines = code_lines(paths[name].read_text(encoding="utf-8"))
        total.update("\n".join([name, *lines, ""]).encode())
    return f"{__version__} {total.hexdigest()[:12]}"


def code_lines(source: str) -> list[str]:
    """The lines of a Python module without comments, docstrings and blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            first, last = node.body[0].lineno, node.body[0].end_lineno or 0
            lines[first - 1 : last] = [""] * (last - first + 1)
    return [line.rstrip() for line in lines if line.strip()]
