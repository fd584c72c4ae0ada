"""What `explore` accepts: data sets and models by name, as a path or as an object, each with its name in the menus."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, count
from pathlib import Path
from typing import Generic, TypeVar

from torch import nn

from seglab.data.catalogue import DATASETS
from seglab.data.dataset import SegmentationDataset
from seglab.data.loading import is_path, load_dataset, local_datasets
from seglab.data.toytown import scene as toytown
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.models.weights.cards import is_available

T = TypeVar("T")
Data = str | Path | SegmentationDataset | tuple[str | Path, str | None]
Model = str | Path | SegModel
DATA = "a name and a split ('camvid val'), a folder or its dataset.yaml, a pair (folder, split), or load_dataset(…)"


@dataclass(frozen=True)
class Source(Generic[T]):
    """How an entry of a menu is made; `code` is the Python expression for it, None for an object that was given."""

    load: Callable[[], T]
    code: str | None


def data_sources(data: Data | Iterable[Data]) -> dict[str, Source[SegmentationDataset]]:
    """Name in the menu → data set; a path is read here, a name when it is first used.

    Raises:
        ValueError: no entry, one of another kind, or a path that `load_dataset` refuses.
    """
    entries = _entries(data, str, Path, SegmentationDataset, tuple)
    return _by_label([_data_source(entry) for entry in entries], "data", DATA)


def _data_source(entry: object) -> tuple[str, Source[SegmentationDataset]]:
    if isinstance(entry, SegmentationDataset):
        return entry.title, Source(lambda: entry, None)
    name, split = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
    if not isinstance(name, str | Path) or not isinstance(split, str | None):
        raise ValueError(f"data: found {entry!r}; expected {DATA}; several of them as a list")
    own = is_path(name)
    if not own and split is None:
        name, _, split = str(name).partition(" ")
    load = cache(partial(load_dataset, name, split or None, download=False))
    code = f"load_dataset({', '.join(repr(str(value)) for value in (name, split) if value)})"
    if not own:
        return f"{name} {split}" if split else str(name), Source(load, code)
    folder, _, last = str(name).rpartition(" ")
    if not Path(name).expanduser().exists() and Path(folder).expanduser().exists() and folder and split is None:
        raise ValueError(f"{name}: no such folder; give the folder and its split as a pair: ({folder!r}, {last!r})")
    return load().title, Source(load, code)


def model_sources(models: Model | Iterable[Model] | Mapping[str, Model]) -> dict[str, Source[SegModel]]:
    """Name in the menu → model, which is loaded when it is first used; a given model is copied, weights are not.

    Raises:
        ValueError: no entry, or one that is neither a name nor a model.
    """
    named = models.items() if isinstance(models, Mapping) else [("", m) for m in _entries(models, str, Path, nn.Module)]
    sources = [_model_source(str(name), model) for name, model in named]
    return _by_label(sources, "models", "load_model('unet_mini:toytown')")


def _model_source(label: str, model: object) -> tuple[str, Source[SegModel]]:
    if isinstance(model, SegModel):
        return label or model.label, Source(cache(lambda: copy(model)), None)  # so that another `short` stays here
    if not isinstance(model, str | Path):
        raise ValueError(
            f"models: found an object of type {type(model).__name__}; expected names, checkpoints, models of"
            " load_model, or wrap(module, classes) for a module of your own; with other names as {name: model}"
        )
    short = "/".join(Path(model).parts[-2:]) if Path(model).is_file() else str(model)
    return label or short, Source(cache(lambda: load_model(model)), f"load_model({str(model)!r})")


def _entries(given: object, *single: type) -> list[object]:
    """One entry, or several."""
    return [given] if isinstance(given, single) or not isinstance(given, Iterable) else list(given)


def _by_label(sources: list[tuple[str, Source[T]]], kind: str, example: str) -> dict[str, Source[T]]:
    """Label → source; a label that occurs again gets a number."""
    if not sources:
        raise ValueError(f"{kind}: found no entry; expected at least one, as {example}")
    labelled: dict[str, Source[T]] = {}
    for label, source in sources:
        numbered = (f"{label} ({number})" for number in count(2))
        labelled[next(name for name in chain([label], numbered) if name not in labelled)] = source
    return labelled


def available_models() -> list[str]:
    """Models that can predict without a download, as MODEL:WEIGHTS."""
    return [f"{name}:{weights}" for name, spec in MODELS.items() for weights, row in spec.weights.items()
            if row.classes and is_available(spec, weights)]  # fmt: skip


def available_data() -> list[str]:
    """Toytown in every weather, and the data sets on this machine, each with a split that is not for training."""
    toytowns = [f"toytown{'' if weather == 'clear' else f':{weather}'} test" for weather in toytown.WEATHERS]
    return toytowns + [f"{name} val" for name in local_datasets() if "val" in DATASETS[name].splits]
