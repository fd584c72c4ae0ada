"""`load_model`: find the weights, build the network, fill it with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch import Tensor

from seglab._utils.environment import find_device
from seglab.data.classes import CLASS_SETS, ClassSet, class_set, class_set_from
from seglab.models.adapters import SegModel
from seglab.models.checkpoints import copy_weights, read_checkpoint
from seglab.models.norms import with_norm
from seglab.models.registry import MODELS, row
from seglab.models.sources.opening import is_source, source_model
from seglab.models.sources.stated import Size, stated
from seglab.models.sources.tv import model_and_weights
from seglab.models.spec import ZOO, ModelSpec
from seglab.models.weights.zoo import verify, zoo_path

DEFAULT = ""  # no weights are named: the first ones of the model's row
_IMPORTING = RLock()  # transformers breaks when two threads import it at once, and building a network imports it


@dataclass(frozen=True)
class _Found:
    """Weights and the row of `MODELS` that they are for; `facts` and `state` are empty for an untrained model."""

    spec: ModelSpec
    name: str = ""  # key in `spec.weights`; "" for a checkpoint file
    facts: dict[str, Any] = field(default_factory=dict)  # as `read_checkpoint` returns them
    state: dict[str, Tensor] = field(default_factory=dict)  # with the library's own keys

    @property
    def classes(self) -> ClassSet:
        """The classes of the weights; street classes where there are none."""
        known = self.facts.get("classes")
        return class_set_from(known) if known else CLASS_SETS["street"]


def load_model(
    name: str | Path,
    weights: str | Path | None = DEFAULT,
    classes: str | ClassSet | None = None,
    *,
    aux: bool | None = None,
    norm: str | None = None,
    device: str | torch.device | None = None,
    size: Size | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> SegModel:
    """Load a model: images (B,3,h,w) → scores (B,K,h',w'), in `eval()`.

    Published weights that are not in the cache are downloaded by the library that publishes them.

    Args:
        name: key in `MODELS`, alone or with the name of its weights, as `"unet_mini:camvid"`; the path of a checkpoint
            that `save_model` wrote (.safetensors); or a model from elsewhere: `"hf:OWNER/NAME"` or `"hf:DIR"` of
            transformers, `"smp:OWNER/NAME"` or `"smp:DIR"` of segmentation_models_pytorch, `"tv:…"` with the name of
            torchvision's weights, a file of TorchScript (.pt, .ts), ONNX (.onnx) or torch.export (.pt2).
        weights: key in `MODELS[name].weights`, or the path of a checkpoint. By default the first weights of the row;
            None leaves the model untrained. For a model from elsewhere a checkpoint of its training, as `save_model`
            wrote it.
        classes: a class set or its key in `CLASS_SETS`; by default the classes of the weights, and street classes for
            an untrained model. Other classes than those of the weights get a new last layer, which has to be trained.
            For a model from elsewhere the classes of its scores, where it does not state them: also names,
            separated by commas.
        size, mean, std: of a model from elsewhere, where it does not state them: short side in pixels, (h, w) for every
            image, or "original"; mean and standard deviation of R, G, B (0–1).
        aux: whether to build the auxiliary head; by default where the architecture has one.
        norm: "group" or "sync", see `norms.with_norm`.
        device: by default a GPU where there is one.

    Raises:
        ValueError: the model, weights, class set, kind of norm or device is unknown; the model has no auxiliary head;
            the checkpoint is of another model; published weights are not in the cache and cannot be downloaded. A model
            from elsewhere states neither its classes, size, mean or std, nor are they given.
    """
    target = find_device(device)  # before any download
    if is_source(name):
        _check_source(name, weights, aux, norm)
        facts, state = _read(Path(str(weights))) if weights != DEFAULT else ({}, {})
        known = class_set_from(facts["classes"]) if facts and classes is None else classes
        with _IMPORTING:
            model = source_model(str(name), stated(known, size, mean, std))
        if facts:
            _fill(model, _Found(model.spec, "", {**model.facts, **facts}, state))
        return model.to(target).eval()
    if any(value is not None for value in (size, mean, std)):
        raise ValueError(f"{name} states its own size and normalisation; leave out size, mean and std")
    if str(name).startswith("tv:"):
        name = model_and_weights(str(name)[3:])
    chosen = None if classes is None else class_set(classes)
    found = _find(name, weights)
    model = _build(found, chosen or found.classes, aux, norm)
    if found.state:
        _fill(model, found)
    return model.to(target).eval()


def _check_source(name: str | Path, weights: str | Path | None, aux: bool | None, norm: str | None) -> None:
    """Raise a ValueError for arguments that have no meaning for a model from elsewhere."""
    if (weights != DEFAULT and not str(weights).endswith(".safetensors")) or aux or norm:
        raise ValueError(
            f"{name} holds its weights and its network; leave out aux, norm, and weights other than a checkpoint"
            " (.safetensors)"
        )


def _find(name: str | Path, weights: str | Path | None) -> _Found:
    """The row of a model, and its weights from the bundled zoo, a published source or a checkpoint file."""
    if str(name).endswith(".safetensors"):
        if weights not in (DEFAULT, None):
            raise ValueError(f"{name} is a checkpoint and holds its weights; leave out weights={str(weights)!r}")
        facts, state = _read(Path(name))
        if facts["model"] not in MODELS:
            raise ValueError(
                f"{name} holds weights of the unknown model {facts['model']!r}, without its network. Weights of a model"
                f" from elsewhere are loaded into it: load_model('hf:…', {str(name)!r}); those of a module of your own"
                " by its load_state_dict, from safetensors.torch.load_file"
            )
        return _Found(row(facts["model"]), "", facts, state)
    model, _, key = str(name).partition(":")
    spec = row(model)
    if key and weights != DEFAULT:
        raise ValueError(f"{name} already names its weights; leave out weights={str(weights)!r}")
    if weights == DEFAULT:
        weights = key or next(iter(spec.weights), None)
    if weights is None:
        return _Found(spec)
    key = str(weights) if str(weights) in spec.weights else ""
    if key and spec.weights[key].source != ZOO:
        from seglab.models.weights import published

        return _Found(spec, key, published.facts(spec, key), published.state(spec, key))
    path = zoo_path(spec.name, key) if key else Path(weights)
    if not path.is_file():
        options = ", ".join([*spec.weights, "None (untrained)", "the path of a checkpoint (.safetensors)"])
        raise ValueError(f"unknown weights {str(weights)!r} of {spec.name}. Known: {options}")
    facts, state = _read(path)
    if facts["model"] != spec.name:
        raise ValueError(f"{str(path)!r} holds the weights of {facts['model']}, not of {spec.name}")
    return _Found(spec, key, facts, state)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    verify(path)
    return read_checkpoint(path)


def _build(found: _Found, classes: ClassSet, aux: bool | None, norm: str | None) -> SegModel:
    """The network with random weights, in the form of a `SegModel`; head and norm as the checkpoint has them."""
    spec = found.spec
    if aux and not spec.has_aux:
        raise ValueError(f"{spec.title} has no auxiliary head; leave out aux=True")
    with_aux = spec.has_aux and found.facts.get("aux", True) if aux is None else aux
    with _IMPORTING:
        model = spec.adapter(spec.build(len(classes), with_aux), classes, spec)
    if norm := norm or found.facts.get("norm"):
        with_norm(model, norm)
    return model


def _fill(model: SegModel, found: _Found) -> None:
    """Copy weights into a model, with what is known about them. Published encoders fill the backbone only."""
    facts, run = found.facts, found.facts.get("run", {})
    model.facts = facts
    # Checkpoints written before "short" was stored, as those in data/zoo, have the size of the crops only.
    short = facts["short"] if "short" in facts else min(run["size"]) if run else None
    model.short = tuple(short) if isinstance(short, list) else short
    model.tile = tuple(facts["tile"]) if facts.get("tile") else None
    if found.name or run:
        model.label = f"{found.spec.name}:{found.name or run['train'].rsplit(maxsplit=3)[0]}"
    if facts["classes"]:
        new_head = found.spec.name in MODELS and model.classes.names != found.classes.names
        copy_weights(found.state, model.net, new_head)
    else:
        copy_weights(found.state, model.backbone)
        model.mark_untrained()
