"""Checkpoints: safetensors files with the weights of a model.

The tensors have the library's own keys, so that the library can read them without seglab. The metadata contain the name
of the model, its classes, and what else is needed to rebuild it.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from seglab._utils.paths import replacing
from seglab.data.classes import class_set_fields
from seglab.models.adapters import SegModel


def save_model(model: SegModel, path: str | Path, half: bool = False, **facts: Any) -> None:
    """Write a checkpoint that `load_model` reads: safetensors, with the library's own keys.

    Args:
        half: store parameters as float16; BatchNorm's running averages keep their dtype.
        facts: further metadata of these weights (seed, data, epoch, …), as JSON can store them.
    """
    parameters = {name for name, _ in model.net.named_parameters()} if half else set()
    state = {
        key: (value.half() if key in parameters else value).detach().cpu().contiguous()
        for key, value in model.net.state_dict().items()
    }
    has_aux = getattr(model.net, "aux_classifier", None) is not None
    known = {"model": model.spec.name, "classes": class_set_fields(model.classes), "aux": has_aux, "norm": model.norm,
             "short": model.short, "tile": model.tile}  # fmt: skip
    # One key: safetensors writes several in arbitrary order, so that equal weights would get different hashes.
    metadata = {"seglab": json.dumps(facts | known, sort_keys=True)}
    with replacing(Path(path)) as unfinished:
        save_file(state, unfinished, metadata)


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata ("model", "classes", …) and tensors of a checkpoint; a ValueError if the file is not one of seglab."""
    if not Path(path).is_file():
        raise ValueError(f"there is no checkpoint {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["seglab"])
            if missing := [key for key in ("model", "classes") if key not in facts]:
                raise KeyError(missing[0])
            return facts, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is not a checkpoint of seglab: {error}") from None


def copy_weights(state: dict[str, Tensor], net: nn.Module, new_head: bool = False) -> None:
    """Copy tensors into a module; a ValueError if they do not fit.

    With `new_head`, tensors of another shape are left out: those of the last layer, for another number of classes.
    """
    own = net.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
    missing = [key for key in own if key not in fitting and not (new_head and key in state)]
    missing = [key for key in missing if not key.startswith("aux_classifier.")]  # only training uses it
    if missing:
        raise ValueError(f"the checkpoint does not fit: {len(missing)} of {len(own)} tensors of the model are not in it"
                         f" or have another shape, for example {missing[0]!r}")  # fmt: skip
    net.load_state_dict(fitting, strict=False)
