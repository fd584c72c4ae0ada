"""Exported models as files: ONNX (x.onnx) and torch.export (x.pt2).

A file that `seglab export` wrote holds its classes, normalisation and size as metadata. Files of other origin state
none of these, so that they have to be given.
"""

import io
import json
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seglab._utils.hashing import sha256_known
from seglab.data.classes import class_set_from
from seglab.models.adapters import SegModel, wrap
from seglab.models.sources.stated import ORIGINAL, Stated, stated

KEY = "seglab"  # of the metadata in a file: one JSON text
SUFFIXES = (".onnx", ".pt2")


def exported_model(name: str, given: Stated) -> SegModel:
    """The model in a file: normalised images float32 (B,3,h,w) → scores float32 (B,K,h',w').

    An ONNX file runs in ONNX Runtime, a .pt2 file in torch, both on the CPU. Open .pt2 files from sources that you
    trust only: torch evaluates expressions that they contain.

    Args:
        name: path of the file, .onnx or .pt2.
        given: what counts instead of the metadata, or where there are none.

    Raises:
        ValueError: the file is missing or damaged; onnxruntime is not installed; classes, size or normalisation are
            neither in the file nor given; other classes than the file has channels, or another size than its fixed
            one; the input is not float32 (B,3,h,w), or the output is not scores with the classes as second dimension.
    """
    net = open_file(Path(name))
    facts = net.facts
    if net.problem:
        raise ValueError(f"{name}: {net.problem}")
    if net.size and given.size not in (None, net.size):
        raise ValueError(f"{name} takes images of {net.size[0]}×{net.size[1]} pixels only; leave out another size")
    found = Stated(size=net.size)
    if facts:
        stored = stated(class_set_from(facts["classes"]), facts["short"] or ORIGINAL, facts["mean"], facts["std"])
        found = found.over(stored)
    known = given.over(found).complete(name)
    assert known.classes is not None
    assert known.mean is not None
    assert known.std is not None
    if net.num_classes not in (None, len(known.classes)):
        raise ValueError(
            f"{name} gives scores of {net.num_classes} classes; {known.classes.name} has {len(known.classes)}"
        )
    model = wrap(net, known.classes, title=Path(name).name)
    model.short, model.mean, model.std = known.short, known.mean, known.std
    model.tile = tuple(facts["tile"]) if facts.get("tile") else None
    model.facts, model.logits = facts, facts.get("logits", True)
    return model


def open_file(path: Path) -> "Exported":
    """The network in a file, for images as it expects them; its output as it is, scores or a mask."""
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    return OnnxNet(path) if path.suffix == ".onnx" else ProgramNet(path)


class Exported(nn.Module):
    """A network in a file; its state is the file's SHA-256, which identifies its weights.

    Attributes:
        facts: the metadata that `seglab export` wrote; empty in other files.
        size: (h, w) of all images; None where both are free.
        num_classes: channels of its scores; None where the file does not state them.
        problem: why seglab cannot use it as a model; empty where it can.
    """

    size: tuple[int, int] | None = None
    num_classes: int | None = None
    problem = ""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.facts: dict[str, Any] = {}
        self.register_buffer("sha256", torch.tensor(list(bytes.fromhex(sha256_known(path))), dtype=torch.uint8))

    def train(self, mode: bool = True) -> "Exported":
        if mode:
            raise ValueError(f"{self.path} is an exported file and cannot be trained; train the model that it is of")
        return self  # without its children: a program of torch.export refuses `eval()`, too

    def __deepcopy__(self, memo: dict[int, Any]) -> "Exported":
        """A copy that shares the network, which several threads may use."""
        twin = copy(self)
        twin._buffers = dict(self._buffers)
        return twin

    def _take(self, text: str | None) -> None:
        """Read the metadata of `seglab export`."""
        self.facts = json.loads(text) if text else {}
        if self.facts.get("output") == "mask":
            self.problem = (
                "it gives a mask, and seglab computes masks at the original size from scores; export the model"
                " without --argmax"
            )


def onnx_session(path: Path, threads: int) -> Any:
    """The session of ONNX Runtime that computes a file on the CPU with this number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4  # errors are raised as well
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class OnnxNet(Exported):
    """An ONNX file in ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self.session = onnx_session(path, torch.get_num_threads())
        except ModuleNotFoundError:
            raise ValueError(f"{path} runs in ONNX Runtime; install it: pip install .[fast]") from None
        except Exception as error:  # its exceptions have no common class
            raise ValueError(f"{path} cannot be read as ONNX: {str(error)[:300]}") from None
        self._take(self.session.get_modelmeta().custom_metadata_map.get(KEY))
        inputs, self.output = self.session.get_inputs(), self.session.get_outputs()[0]
        self.problem = self.problem or _unsupported(inputs, self.output)
        self.input = inputs[0].name
        self.batch: int | None = None
        if not self.problem:
            self.batch, _, height, width = (n if isinstance(n, int) else None for n in inputs[0].shape)
            self.size = (height, width) if height and width else None
            self.num_classes = self.output.shape[1] if isinstance(self.output.shape[1], int) else None

    def forward(self, images: Tensor) -> Tensor:
        parts = images.split(self.batch) if self.batch else (images,)
        scores = [self.session.run([self.output.name], {self.input: part.cpu().numpy()})[0] for part in parts]
        return torch.cat([torch.from_numpy(part) for part in scores]).to(images.device)


def _unsupported(inputs: Sequence[Any], output: Any) -> str:
    """Why seglab cannot use such a graph; empty where it can."""
    shapes = [list(value.shape) for value in (*inputs, output)]
    found = f"its input is {shapes[0]} {inputs[0].type}, its first output {shapes[-1]} {output.type}"
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shapes[0]) != 4:
        return f"it has {len(inputs)} inputs, and {found}; expected one input of images, float32 (B,3,h,w)"
    if (shapes[0][1] != 3 and isinstance(shapes[0][1], int)) or shapes[0][3] == 3:
        return f"{found}; expected the three channels as second dimension of the input, (B,3,h,w), not as the last"
    if "int" in output.type:
        return f"{found}; it gives class indices, and seglab needs the scores before their argmax"
    if output.type not in ("tensor(float)", "tensor(float16)") or len(shapes[-1]) != 4:
        return f"{found}; expected scores (B,K,h',w') as first output"
    if isinstance(shapes[-1][3], int) and not isinstance(shapes[-1][2], int) and not isinstance(shapes[-1][1], int):
        return f"{found}; expected the classes as second dimension of the output, (B,K,h',w'), not as the last"
    return ""


class ProgramNet(Exported):
    """A .pt2 file of `torch.export`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        extra = {f"{KEY}.json": ""}
        try:
            program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra).module()
        except Exception as error:
            raise ValueError(f"{path} cannot be read as a file of torch.export: {str(error)[:300]}") from None
        self._program = (program,)  # not a part of this module: it stays on the CPU, and its weights in their precision
        self._take(extra[f"{KEY}.json"])

    def forward(self, images: Tensor) -> Tensor:
        return self._program[0](images.cpu()).to(images.device)
