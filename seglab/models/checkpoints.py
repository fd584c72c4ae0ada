"""Checkpoints: weights on disk, with what has to be known to use them.

A checkpoint is a safetensors file. Its tensors have the library's own keys, so that the library can read them without
seglab; its metadata say which model they belong to and what its classes are called.
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
        half: store parameters as float16, BatchNorm's running averages always as they are.
        facts: whatever else is to be known of these weights (seed, data, epoch, …), as far as JSON can say it.
    """
    parameters = {name for name, _ in model.net.named_parameters()} if half else set()
    state = {
        key: (value.half() if key in parameters else value).detach().cpu().contiguous()
        for key, value in model.net.state_dict().items()
    }
    has_aux = getattr(model.net, "aux_classifier", None) is not None
    known = {"model": model.spec.name, "classes": class_set_fields(model.classes), "aux": has_aux, "norm": model.norm}
    # One key: safetensors writes several in an arbitrary order, and the same weights would get another hash each time.
    metadata = {"seglab": json.dumps(facts | known, sort_keys=True)}
    with replacing(Path(path)) as unfinished:
        save_file(state, unfinished, metadata)


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says about itself ("model", "classes", …) and its tensors.

    Raises:
        ValueError: there is no such file, or it is not a checkpoint of seglab.
    """
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


def fill(net: nn.Module, state: dict[str, Tensor], fresh_head: bool) -> None:
    """Copy tensors into a library's module. With `fresh_head`, what depends on the number of classes stays as it is."""
    own = net.state_dict()
    same_shape = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
    left = [key for key in own if key not in same_shape and not (fresh_head and key in state)]
    left = [key for key in left if not key.startswith("aux_classifier.")]  # only training needs it
    if left:
        raise ValueError(f"the checkpoint does not fit: nothing for {len(left)} of {len(own)} tensors, as {left[0]!r}")
    net.load_state_dict(same_shape, strict=False)
