"""The zoo: bundled weights, their cards, and the stored counts of their evaluation."""

import json
from pathlib import Path
from typing import Any

from seglab._utils.hashing import sha256_known
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

_CARD = {"sha256": str, "minutes": int | float, "command": str, "measured": dict}  # entries that are shown
_MEASURED = {"miou": int | float, "data": str, "iou": dict, "convention": str}


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
    """The card of bundled weights: how they were trained, and what was measured with them; None without a card.

    Raises:
        ValueError: the card is damaged.
    """
    return _read_card(zoo_dir() / f"{model}-{name}.json")


def verify(checkpoint: Path) -> None:
    """Raise a ValueError if a file of the zoo is not the one that its card describes; other files are not looked at."""
    share = share_dir()
    if share is None or checkpoint.resolve().parent != (share / "data" / "zoo").resolve():
        return
    path = checkpoint.with_suffix(".json")
    found = _read_card(path)
    if found and found["sha256"] != sha256_known(checkpoint):
        raise ValueError(f"{checkpoint} is damaged: its SHA-256 is not the one in {path.name}; restore both files")


def _read_card(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        wrong = _wrong(found, _CARD) or _wrong(found["measured"], _MEASURED)
    except (ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        raise ValueError(f"{path} is damaged ({wrong}); restore the file")
    return dict(found)


def _wrong(entries: object, kinds: dict[str, Any]) -> str:
    """Which entry of a card has another type than expected; empty where there is none."""
    found = entries if isinstance(entries, dict) else {}
    return ", ".join(key for key, kind in kinds.items() if not isinstance(found.get(key), kind))


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
