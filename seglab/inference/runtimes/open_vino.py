"""OpenVINO: the graph is compiled for each size, because one for free sizes is up to half as fast."""

import sys
from collections import OrderedDict
from functools import cache
from typing import Any

import torch
from torch import Tensor

from seglab.inference.runtimes.session import Graphs, Session

COMPILED = 8  # sizes of which the compiled graphs are kept in memory


@cache
def core() -> Any:
    """OpenVINO's `Core`, imported without its telemetry: `import openvino` alone would send an event.

    Without the package openvino_telemetry, OpenVINO uses a stand-in that sends nothing.
    """
    before = sys.modules.get("openvino_telemetry")
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # "not installed", see importlib
    try:
        import openvino
    finally:
        if sys.modules.get("openvino_telemetry") is None:
            sys.modules.pop("openvino_telemetry", None)
        if before is not None:
            sys.modules["openvino_telemetry"] = before
    return openvino.Core()


class OpenVino(Session):
    """A model on OpenVINO, with as many threads as torch has when it is made.

    Raises:
        ValueError: bfloat16 on a processor that does not compute in it.
    """

    name = "openvino"

    def __init__(self, graphs: Graphs, precision: str = "float32") -> None:
        if precision == "bfloat16" and "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError("this processor does not compute in bfloat16; use runtime='torch'")
        self.graphs, self.precision, self.threads = graphs, precision, torch.get_num_threads()
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def __call__(self, batch: Tensor) -> Tensor:
        shape = tuple(batch.shape)
        if shape not in self._requests:
            if len(self._requests) == COMPILED:
                self._requests.popitem(last=False)
            self._requests[shape] = self._compiled(shape).create_infer_request()
        self._requests.move_to_end(shape)
        (scores,) = self._requests[shape].infer([batch.contiguous().numpy()], share_inputs=True).values()
        return torch.from_numpy(scores)

    def _compiled(self, shape: tuple[int, ...]) -> Any:
        graph = core().read_model(self.graphs.path((shape[2], shape[3])))
        graph.reshape(list(shape))
        return core().compile_model(graph, "CPU", {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.precision],
            "INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # threads that are bound to a core wait there for other programs
        })  # fmt: skip

    def twin(self) -> "OpenVino":
        return OpenVino(self.graphs, self.precision)
