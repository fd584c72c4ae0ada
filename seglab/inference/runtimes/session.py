"""What a runtime provides: a `Session` computes the graph of a model. Graphs are kept in the cache of this machine."""

import hashlib
import json
import os
import tempfile
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from secrets import token_hex

from torch import Tensor

from seglab._utils.environment import versions
from seglab._utils.hashing import code_version, sha256_state
from seglab._utils.paths import cache_dir
from seglab.inference.export import onnx_graph
from seglab.models.adapters import SegModel

KEPT = 2_000_000_000  # bytes of graphs in the cache; beyond that the oldest are deleted


class Session(ABC):
    """A model on a runtime. One thread at a time may call it; `twin` makes one for another thread."""

    name: str  # of its runtime

    @abstractmethod
    def __call__(self, batch: Tensor) -> Tensor:
        """Normalised images float32 (B,3,h,w) on the CPU → scores float32 (B,K,h',w')."""

    @abstractmethod
    def twin(self) -> "Session":
        """A session with the same weights for another thread."""


class Graphs:
    """The ONNX graphs of a model: one for all sizes (`free`), or one for each size (h, w).

    A graph is exported when it is first needed, and kept for other processes. Modules of your own are exported in each
    process: their code may change without a trace in their weights.
    """

    def __init__(self, model: SegModel, free: bool = True) -> None:
        self.model, self.free, self.own = model, free, model.spec.library == "own"
        self._key = token_hex(8) if self.own else key_of(model)
        self._known: dict[tuple[int, int] | None, Path] = {}

    def path(self, size: tuple[int, int]) -> Path:
        """The file of the graph for images of this size; ValueError if the model cannot be exported."""
        chosen = None if self.free else size
        if chosen not in self._known:
            folder = _own_graphs() if self.own else _writable(cache_dir() / "graphs")
            path = folder / f"{self._key}{'' if self.free else '-{}x{}'.format(*size)}.onnx"
            if not path.is_file():
                onnx_graph(self.model, path, chosen)
                _limit(folder, path)
            self._known[chosen] = path
        return self._known[chosen]


def key_of(model: SegModel) -> str:
    """A key of everything that decides the graph of a model: weights, structure, versions, code."""
    state = [sha256_state(model.state_dict()), repr(model), model.spec.name, code_version(), versions()]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="seglab-", ignore_cleanup_errors=True)


def _own_graphs() -> Path:
    return Path(_temporary().name)


def _writable(folder: Path) -> Path:
    """The folder; one of this process where the cache cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _own_graphs()
    return folder if os.access(folder, os.W_OK) else _own_graphs()


def _limit(folder: Path, newest: Path) -> None:
    """Delete the oldest graphs until the others take at most `KEPT` bytes."""
    total = 0
    for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > KEPT and path != newest:
            path.unlink(missing_ok=True)
