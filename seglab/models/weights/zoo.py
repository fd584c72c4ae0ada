"""Trained weights: what is known about each, and where those lie that travel with the workbook."""

import json
from pathlib import Path
from typing import Any

from seglab._utils.paths import share_dir


def zoo_dir() -> Path:
    """Where the minis' weights and cards lie."""
    share = share_dir()
    if share is None:
        raise ValueError("the minis' weights were not installed; install seglab from its folder: pip install .")
    return share / "data" / "zoo"


def zoo_path(model: str, name: str) -> Path:
    """The checkpoint of a mini.

    Raises:
        ValueError: it is not there.
    """
    path = zoo_dir() / f"{model}-{name}.safetensors"
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; restore it, or train it anew: python benchmarks/studies/zoo.py train {model}:{name}"
        )
    return path


def card(model: str, name: str) -> dict[str, Any] | None:
    """What was measured with a mini's weights, and how they came about; None where they have no card."""
    path = zoo_dir() / f"{model}-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


# Where each is measured. CamVid's val also chose the weights: its test split is not everywhere.
EVALUATED_ON = {"toytown": ("toytown", "test"), "camvid": ("camvid", "val")}


def stored_counts(data: str) -> Path:
    """The store that travels: counts of every seed of every recipe, where it is judged."""
    return zoo_dir() / f"{'-'.join(EVALUATED_ON[data])}.sqlite"
