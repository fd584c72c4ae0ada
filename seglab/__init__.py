"""seglab: a workbook for semantic segmentation.

The package reads in the order in which an image flows through it:

    image (3,H,W) uint8 → batch (B,3,h,w) float → scores (B,K,h',w') → mask (H,W)
    → counts (image, target, pred, pixels) → tables → figures

Importing it is light: each public name is loaded when it is first used.
"""

import importlib
import os
from typing import TYPE_CHECKING

# With a busy neighbour, OpenMP threads that spin while they wait slow small models down forty times;
# the setting has to be in place before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from seglab.data.catalogue import DATASETS
    from seglab.data.classes import CLASS_SETS
    from seglab.data.loading import load_dataset
    from seglab.evaluation.loop import evaluate
    from seglab.evaluation.results import Results
    from seglab.inference.prediction import predict
    from seglab.masks import colorize, overlay
    from seglab.models.loading import load_model
    from seglab.models.registry import MODELS

__version__ = "0.1.0"

# public name → the module in which it lives
_HOMES = {
    "CLASS_SETS": "data.classes",
    "DATASETS": "data.catalogue",
    "load_dataset": "data.loading",
    "colorize": "masks",
    "overlay": "masks",
    "MODELS": "models.registry",
    "load_model": "models.loading",
    "Results": "evaluation.results",
    "evaluate": "evaluation.loop",
    "predict": "inference.prediction",
}
__all__ = [
    "CLASS_SETS", "DATASETS", "MODELS", "Results", "colorize", "evaluate", "load_dataset", "load_model", "overlay",
    "predict",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"seglab.{_HOMES[name]}"), name)
    try:
        return importlib.import_module(f"seglab.{name}")  # seglab.masks, seglab.metrics, …
    except ModuleNotFoundError as error:
        if error.name != f"seglab.{name}":
            raise
        raise AttributeError(f"module 'seglab' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(__all__)
