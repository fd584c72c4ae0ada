"""Checkpoints: safetensors files with the weights of a model.

The tensors have the library's own keys, so that the library can read them without seglab. The metadata contain the name
of the model, its classes, and what else is needed to rebuild it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from seglab._utils.hashing import sha256_state
from seglab._utils.paths import replacing
from seglab.data.classes import class_set_fields, class_set_from
from seglab.models.adapters import SegModel

MAX_SIDE = 16_384  # of the network's input, in pixels


def save_model(model: SegModel, path: str | Path, half: bool = False, **facts: Any) -> None:
    """Write a checkpoint that `load_model` reads: safetensors, with the library's own keys.

    Args:
        half: store parameters as float16; BatchNorm's running averages keep their dtype.
        facts: further metadata of these weights (seed, data, epoch, …), as JSON can store them.

    A model from elsewhere keeps its network where it is: load_model("hf:DIR", path) fills it with these weights.

    Raises:
        ValueError: a function, or a file of ONNX or torch.export, which have no weights to store.
        OSError: the file cannot be written, for instance because the disk is full.
    """
    if not any(True for _ in model.net.parameters()):
        raise ValueError(
            f"{model.label} has no weights that a checkpoint could store; keep its file or function, and name the model"
            " by it: load_model('x.onnx'), or wrap(function, classes)"
        )
    parameters = {name for name, _ in model.net.named_parameters()} if half else set()
    state = {
        key: (value.half() if key in parameters else value).detach().cpu().contiguous()
        for key, value in model.net.state_dict().items()
    }
    has_aux = getattr(model.net, "aux_classifier", None) is not None
    known = {"model": model.spec.name, "classes": class_set_fields(model.classes), "aux": has_aux, "norm": model.norm,
             "short": model.short, "tile": model.tile}  # fmt: skip
    card = json.loads(json.dumps(facts | known))  # as it will be read
    # One key: safetensors writes several in arbitrary order, so that equal weights would get different hashes.
    metadata = {"seglab": json.dumps(card | {"sha256": _sha256(card, state)}, sort_keys=True)}
    with replacing(Path(path)) as unfinished:
        try:
            save_file(state, unfinished, metadata)
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from None


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata ("model", "classes", …) and tensors of a checkpoint.

    Raises:
        ValueError: no checkpoint of seglab, metadata of other types or sizes, or a damaged file: `save_model` stores
            a hash of metadata and tensors, which is compared. Files that were written before it did have none.
    """
    if not Path(path).is_file():
        raise ValueError(f"there is no checkpoint {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["seglab"])
            _check_card(facts)
            # Copies: a tensor that is mapped from a file kills the process when that file becomes shorter.
            state = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not a checkpoint of seglab: {error}") from None
    if "sha256" in facts and facts["sha256"] != _sha256(facts, state):
        raise ValueError(f"{str(path)!r} is damaged: its SHA-256 is not the stored one; copy the file again")
    return facts, state


def _sha256(card: Mapping[str, Any], state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a checkpoint's metadata, without this hash itself, and of its tensors."""
    text = json.dumps({key: value for key, value in card.items() if key != "sha256"}, sort_keys=True)
    return hashlib.sha256(f"{text}\n{sha256_state(state)}".encode()).hexdigest()


def _check_card(card: Any) -> None:
    """Raise a ValueError unless the metadata hold what `load_model` uses, of the right types and in sensible ranges."""
    if not isinstance(card, dict):
        raise ValueError(f"its card is {type(card).__name__}, not a mapping")
    if missing := [key for key in ("model", "classes") if key not in card]:
        raise ValueError(f"its card has no {missing[0]!r}")
    class_set_from(card["classes"])
    valid = {
        "model": _is_text(card["model"]), "aux": isinstance(card.get("aux", False), bool),
        "norm": card.get("norm") in (None, "group", "sync"),
        "short": card.get("short") is None or _is_side(card["short"]) or _is_size(card["short"]),
        "run": _is_run(card.get("run", {})),
        "tile": card.get("tile") is None or _is_size(card["tile"]),
    }  # fmt: skip
    if wrong := [key for key, right in valid.items() if not right]:
        raise ValueError(f"its card has an impossible value: {wrong[0]!r} is {card[wrong[0]]!r:.200}")


def _is_run(run: Any) -> bool:
    """Whether these can be the settings of a training: empty, or with the data and the size of the crops."""
    return run == {} or (
        isinstance(run, dict) and _is_text(run.get("train")) and (run.get("val") is None or _is_text(run["val"]))
        and _is_size(run.get("size")) and (run.get("seed") is None or type(run["seed"]) is int)
    )  # fmt: skip


def _is_size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_side, value))


def _is_side(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_SIDE


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= 300


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
