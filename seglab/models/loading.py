"""`load_model`: find the weights, build the network, fill it."""

from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch import Tensor

from seglab._utils.environment import find_device
from seglab.data.classes import CLASS_SETS, ClassSet, class_set, class_set_from
from seglab.models.adapters import SegModel
from seglab.models.checkpoints import fill, read_checkpoint
from seglab.models.norms import with_norm
from seglab.models.registry import row
from seglab.models.spec import ZOO, ModelSpec
from seglab.models.weights.zoo import zoo_path

DEFAULT = "default"  # the first weights of a model's row
# Libraries are imported when they are first needed; transformers breaks when two threads do so at once.
_BUILDING = RLock()


def load_model(
    name: str | Path,
    weights: str | Path | None = DEFAULT,
    classes: str | ClassSet | None = None,
    *,
    aux: bool | None = None,
    norm: str | None = None,
    device: str | torch.device | None = None,
) -> SegModel:
    """Make a model, in `eval()`.

    Args:
        name: key in `MODELS`, alone or with the name of its weights, as `"unet_mini:camvid"`; or a checkpoint that
            `checkpoints.save_model` wrote.
        weights: name of weights in the model's row, or a checkpoint. By default the first ones of the row; None
            leaves the model untrained.
        classes: a class set or its key in `CLASS_SETS`; by default what the weights know, and street classes for an
            untrained model. Other classes than the weights' get a fresh last layer, to be trained.
        aux: with an auxiliary head? By default where the architecture has one.
        norm: "group" or "sync", see `adapters.with_norm`.
        device: by default a GPU where there is one.

    Published weights that are not here yet are fetched by the library that publishes them (see `hub`).

    Raises:
        ValueError: there is no such model, weights, class set, kind of norm or device; the model has no auxiliary
            head; the checkpoint is of another model; published weights are not here and cannot be fetched.
    """
    facts: dict[str, Any]
    wanted, place = None if classes is None else class_set(classes), find_device(device)  # before anything is fetched
    if str(name).endswith(".safetensors"):
        if weights not in (DEFAULT, None):
            raise ValueError(f"{name} brings its own weights; leave out weights={str(weights)!r}")
        facts, state = read_checkpoint(name)
        spec, tag = row(facts["model"]), ""
    else:
        name, _, tag = str(name).partition(":")
        spec = row(name)
        if tag and weights != DEFAULT:
            raise ValueError(f"{name}:{tag} names its weights already; leave out weights={str(weights)!r}")
        if weights == DEFAULT:
            weights = tag or next(iter(spec.weights), None)
        tag = str(weights) if str(weights) in spec.weights else ""
        facts, state = _weights(spec, weights)
    if aux and not spec.has_aux:
        raise ValueError(f"{spec.title} has no auxiliary head; leave out aux=True")
    known = class_set_from(facts["classes"]) if facts.get("classes") else CLASS_SETS["street"]
    chosen = wanted or known
    with_aux = facts.get("aux", spec.has_aux) if aux is None else aux
    with _BUILDING:
        model = spec.adapter(spec.build(len(chosen), with_aux), chosen, spec)
    if norm := norm or facts.get("norm"):
        with_norm(model, norm)
    if state:
        run = facts.get("run", {})
        model.facts, model.short = facts, min(run["size"]) if run else facts.get("short")
        if tag or run:
            model.label = f"{spec.name}:{tag or run['train'].split()[0]}"
        if facts["classes"]:
            fill(model.net, state, fresh_head=chosen.names != known.names)
        else:
            fill(model.backbone, state, fresh_head=False)
            model.mark_untrained()
    return model.to(place).eval()


def _weights(spec: ModelSpec, weights: str | Path | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `weights` means for this model, as `read_checkpoint` returns it; twice nothing for None."""
    if weights is None:
        return {}, {}
    if known := spec.weights.get(str(weights)):
        if known.source != ZOO:
            from seglab.models.weights import published

            return published.facts(spec, str(weights)), published.state(spec, str(weights))
        weights = zoo_path(spec.name, str(weights))
    if not Path(weights).is_file():
        there_are = ", ".join([*spec.weights, "None (untrained)", "the path of a checkpoint (.safetensors)"])
        raise ValueError(f"unknown weights {str(weights)!r} of {spec.name}. Known: {there_are}")
    facts, state = read_checkpoint(weights)
    if facts["model"] != spec.name:
        raise ValueError(f"{str(weights)!r} holds the weights of {facts['model']}, not of {spec.name}")
    return facts, state
