"""Files of TorchScript (.pt, .ts), opened by `torch.jit.load`, which reads no pickled objects."""

from pathlib import Path
from warnings import catch_warnings, simplefilter

import torch
from torch import nn

from seglab.models.adapters import SegModel, wrap
from seglab.models.sources.probing import probe
from seglab.models.sources.stated import Stated

SUFFIXES = (".pt", ".ts", ".torchscript")


def torchscript_model(name: str, given: Stated) -> SegModel:
    """The model in a file of TorchScript: normalised images float32 (B,3,h,w) → scores (B,K,h',w').

    Such a file states none of its classes, size and normalisation, so that all of them have to be given.

    Raises:
        ValueError: the file is missing, is no program, or gives no such scores; something was not given.
    """
    path = Path(name).expanduser()
    net = _program(path)
    known = given.complete(name)
    assert known.classes is not None
    model = wrap(net, known.classes, title=path.name)
    model.short, model.mean, model.std = known.short, known.mean or (), known.std or ()
    exact = (known.size, known.size) if isinstance(known.size, int) else None
    model.facts = {"source": path.name, "stride": probe(model, exact)}
    return model


def _program(path: Path) -> nn.Module:
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    try:
        with catch_warnings():
            simplefilter("ignore", FutureWarning)  # torch recommends torch.export to those who write such files
            net = torch.jit.load(path, map_location="cpu")
    except Exception as error:  # RuntimeError of several kinds
        raise ValueError(
            f"{path} is no program of TorchScript. If torch.save wrote it, it holds pickled weights without their"
            " network: build the network, fill it, and use wrap(network, classes)"
        ) from error
    for weight in net.parameters():
        weight.requires_grad_(False)
    return net.eval()
