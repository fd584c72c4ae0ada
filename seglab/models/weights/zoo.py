"""The zoo: bundled weights, their cards, and the stored counts of their evaluation."""

import json
from pathlib import Path
from typing import Any

from seglab._utils.paths import share_dir

# Weights → the data set and split that they are evaluated on. CamVid's val also chose the weights, because its test
# split is not in every copy of the data set. The photographs' val did so, too, because they have no third split.
EVALUATED_ON = {
    "toytown": ("toytown", "test"), "camvid": ("camvid", "val"), "photographs": ("photographs", "val"),
    "nuclei": ("nuclei", "test"),
}  # fmt: skip
SHIFTED = {"nuclei": ("nuclei", "stained")}  # where they are also evaluated, to measure a distribution shift
# For everyday photographs, the best one first.
PHOTOGRAPH_MODELS = "unet_lite:photographs", "deeplabv3plus_lite:photographs", "unet_mini:camvid"


def zoo_dir() -> Path:
    """The folder with the bundled weights and cards."""
    if (share := share_dir()) is None:
        raise ValueError("the bundled weights were not installed; install seglab from its folder: pip install .")
    return share / "data" / "zoo"


def zoo_path(model: str, name: str) -> Path:
    """The checkpoint of bundled weights; a ValueError if it is missing."""
    path = zoo_dir() / f"{model}-{name}.safetensors"
    if not path.is_file():
        command = f"python benchmarks/studies/zoo.py train {model}:{name}"
        raise ValueError(f"{path} is missing; restore the file, or train the model again: {command}")
    return path


def card(model: str, name: str) -> dict[str, Any] | None:
    """The card of bundled weights: how they were trained, and what was measured with them; None without a card."""
    path = zoo_dir() / f"{model}-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def evaluated_on(data: str, shifted: bool = False) -> tuple[str, str]:
    """The data set and split that the weights named `data` are evaluated on; with `shifted`, those of `SHIFTED`."""
    return (SHIFTED if shifted else EVALUATED_ON)[data]


def stored_counts(data: str, shifted: bool = False) -> Path:
    """The bundled store with the counts of every recipe and seed, on the data set of `evaluated_on`."""
    return zoo_dir() / f"{'-'.join(evaluated_on(data, shifted))}.sqlite"


def photograph_model() -> str:
    """The first of `PHOTOGRAPH_MODELS` whose weights are bundled, as MODEL:WEIGHTS; the last one if none is."""
    paths = {name: zoo_dir() / f"{name.replace(':', '-')}.safetensors" for name in PHOTOGRAPH_MODELS}
    return next((name for name, path in paths.items() if path.is_file()), PHOTOGRAPH_MODELS[-1])
