"""A model as a file for other programs."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from seglab._utils.environment import device_of
from seglab._utils.paths import replacing

INPUT, OUTPUT = "images", "scores"  # names in the graph
_SIZE = (2, 3, 192, 256)  # of the images that a model is followed with: no two dimensions are equal


def onnx_graph(model: nn.Module, path: Path, size: tuple[int, int] | None = None, output: str = OUTPUT) -> Path:
    """Write a model as an ONNX graph: `images` float32 (B,3,h,w), normalised → `scores` float32 (B,K,h',w').

    The file is complete or is not there at all. Fold BatchNorm first (`fast.fused`).

    Args:
        model: in `eval()`, with weights in float32.
        path: the file, one with all weights inside.
        size: (h, w) of all images, for a model that cannot be exported with free height and width; by default both are
            free, as the number of images always is.
        output: name of the output.

    Raises:
        ValueError: the packages for it are not installed, or the model cannot be exported.
    """
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise ValueError("a model is exported with the packages onnx and onnxscript; install them: pip install .[fast]")
    images = torch.zeros((2, 3, *size) if size else _SIZE, device=device_of(model))
    free = {0: torch.export.Dim.DYNAMIC}
    free |= {} if size else {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                model, (images,), input_names=[INPUT], output_names=[output], dynamic_shapes=(free,), dynamo=True,
                external_data=False, verbose=False,
            )  # fmt: skip
    except Exception as error:  # torch's own exceptions have no common class
        first: BaseException = error  # later ones are about the steps of the exporter
        while first.__cause__ is not None:
            first = first.__cause__
        reason = (str(first).strip().splitlines() or [type(first).__name__])[0][:300]
        label = getattr(getattr(model, "model", model), "label", type(model).__name__)
        raise ValueError(f"{label} cannot be exported as an ONNX graph: {reason}") from error
    assert program is not None
    with replacing(path) as unfinished:
        program.save(str(unfinished), external_data=False)
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress report and the notes of torch's exporter, which are about its own parts."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
