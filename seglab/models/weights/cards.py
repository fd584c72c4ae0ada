"""What is known about models: a table of all, a page of each to look at, a card of each for other programs."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from seglab._utils.download import human
from seglab.data.classes import CLASS_SETS
from seglab.models.registry import MODELS
from seglab.models.registry import row as model_row
from seglab.models.spec import ZOO, ModelSpec
from seglab.models.weights import published
from seglab.models.weights.zoo import card, zoo_dir


def table() -> pd.DataFrame:
    """`MODELS` to look at: one row a model.

    Returns:
        Columns title, year, classes; params (millions) and gmacs (10⁹ multiply-accumulates) as prediction needs them,
        for the size in the row; miou (0–1) of the first weights, as published or as on a mini's card, and on what;
        download, its size; here, which weights need no network.
    """
    rows = {}
    for name, spec in MODELS.items():
        known = {weights: _measured(spec, weights) for weights in spec.weights}
        first = next(iter(spec.weights))
        miou, on = next((found for found in known.values() if found[0] is not None), (None, ""))
        rows[name] = {
            "title": spec.title, "year": spec.year, "classes": spec.classes or "–",
            "params": (spec.params or 0) / 1e6, "gmacs": spec.gmacs, "miou": miou, "on": on,
            "download": human(size) if (size := spec.weights[first].num_bytes) else "travels along",
            "here": ", ".join(weights for weights in spec.weights if is_available(spec, weights)),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name").astype({"miou": float})


def page(name: str) -> dict[str, list[str]]:
    """Everything that is known about a model and about each of its weights: subject → lines.

    Raises:
        ValueError: there is no such model.
    """
    spec = model_row(name)
    height, width = spec.size or (0, 0)
    said = [
        f"{spec.title}, built by {spec.library}", spec.paper,
        f"{len(CLASS_SETS[spec.classes])} classes of {spec.classes}" if spec.classes else "your classes, fine-tuned",
        f"{(spec.params or 0) / 1e6:.2f} million parameters, those of an auxiliary head not counted",
        f"{spec.gmacs} · 10⁹ multiply-accumulates, twice as many FLOPs, for an image of {height}×{width}",
    ]  # fmt: skip
    return {name: said} | {f"{name}:{weights}": _lines(spec, weights) for weights in spec.weights}


def export(name: str) -> dict[str, Any]:
    """The card of a model: what `page` says, for other programs. JSON-ready.

    Returns:
        Keys model, title, family, library, paper, year, params, macs, flops, size (h, w) that they are counted for;
        and weights: name → their row in `MODELS`, classes by name, and for a mini what was measured.

    Raises:
        ValueError: there is no such model.
    """
    spec = model_row(name)
    macs = round((spec.gmacs or 0) * 1e9)
    facts = {key: getattr(spec, key) for key in ("title", "family", "library", "paper", "year", "params")}
    weights = {
        key: asdict(row) | {"names": list(CLASS_SETS[row.classes].names) if row.classes else None, "here": here}
        | {"card": card(name, key)}
        for key, row in spec.weights.items() for here in [is_available(spec, key)]
    }  # fmt: skip
    return {"model": name} | facts | {"macs": macs, "flops": 2 * macs, "size": spec.size, "weights": weights}


def is_available(spec: ModelSpec, weights: str) -> bool:
    """Whether weights can be used without a network."""
    if spec.weights[weights].source == ZOO:
        return (zoo_dir() / f"{spec.name}-{weights}.safetensors").is_file()
    return published.is_cached(spec, weights)


def _measured(spec: ModelSpec, weights: str) -> tuple[float | None, str]:
    row = spec.weights[weights]
    if row.source == ZOO and (found := card(spec.name, weights)):
        return found["measured"]["miou"], found["measured"]["data"]
    return row.miou, row.measured_on


def _lines(spec: ModelSpec, weights: str) -> list[str]:
    row, (miou, on) = spec.weights[weights], _measured(spec, weights)
    lines = [f"trained on {row.trained_on}", f"licence: {row.licence}"]
    if row.short:
        lines.append(f"expects images with a short side of {row.short}")
    if miou is not None:
        lines.append(f"mIoU {miou:.3f} on {on}")
    if row.source != ZOO:
        lines.append(f"{row.source}, {human(row.num_bytes)}")
        if not published.is_cached(spec, weights):
            lines.append(f"fetched on first use, or by: seglab fetch {spec.name}:{weights}")
    elif not is_available(spec, weights):
        lines.append("not here")
    elif found := card(spec.name, weights):
        lines += _story(found)
    return lines


def _story(found: dict[str, Any]) -> list[str]:
    measured = found["measured"]
    return [
        "IoU: " + ", ".join(f"{name} {iou:.2f}" for name, iou in measured["iou"].items() if iou is not None),
        measured["convention"], f"{found['minutes']} minutes of: {found['command']}", f"sha256 {found['sha256']}",
    ]  # fmt: skip
