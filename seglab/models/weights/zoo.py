"""The zoo: bundled weights of the minis, their cards, and the stored counts of their evaluation."""

import json
from pathlib import Path
from typing import Any

from seglab._utils.paths import share_dir

# Weights → the data set and split that they are evaluated on. CamVid's val also chose the weights, because its test
# split is not in every copy of the data set.
EVALUATED_ON = {"toytown": ("toytown", "test"), "camvid": ("camvid", "val")}


def zoo_dir() -> Path:
    """The folder with the minis' weights and cards."""
    if (share := share_dir()) is None:
        raise ValueError("the minis' weights were not installed; install seglab from its folder: pip install .")
    return share / "data" / "zoo"


def zoo_path(model: str, name: str) -> Path:
    """The checkpoint of a mini; a ValueError if it is missing."""
    path = zoo_dir() / f"{model}-{name}.safetensors"
    if not path.is_file():
        command = f"python benchmarks/studies/zoo.py train {model}:{name}"
        raise ValueError(f"{path} is missing; restore the file, or train the model again: {command}")
    return path


def card(model: str, name: str) -> dict[str, Any] | None:
    """The card of a mini's weights: how they were trained, and what was measured with them; None without a card."""
    path = zoo_dir() / f"{model}-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def stored_counts(data: str) -> Path:
    """The bundled store with the counts of every recipe and seed, on the data set of `EVALUATED_ON[data]`."""
    return zoo_dir() / f"{'-'.join(EVALUATED_ON[data])}.sqlite"
