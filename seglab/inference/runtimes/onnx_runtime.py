"""ONNX Runtime: one session for all sizes and threads."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglab.inference.export import INPUT
from seglab.inference.runtimes.session import Graphs, Session
from seglab.models.sources.exported import onnx_session


class OnnxRuntime(Session):
    """A model on ONNX Runtime, with as many threads as torch has when it is made.

    Raises:
        ValueError: another precision than float32.
    """

    name = "onnxruntime"

    def __init__(self, graphs: Graphs, precision: str = "float32") -> None:
        if precision != "float32":
            raise ValueError(f"ONNX Runtime computes in float32 on a CPU, not in {precision}; use runtime='torch'")
        self.graphs, self.threads = graphs, torch.get_num_threads()
        self._sessions: dict[Path, Any] = {}

    def __call__(self, batch: Tensor) -> Tensor:
        path = self.graphs.path((batch.shape[2], batch.shape[3]))
        if path not in self._sessions:
            self._sessions[path] = onnx_session(path, self.threads)
        (scores,) = self._sessions[path].run(None, {INPUT: batch.contiguous().numpy()})
        return torch.from_numpy(scores)

    def twin(self) -> "OnnxRuntime":
        return self  # a session may be run by several threads at once
