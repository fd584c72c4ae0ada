"""Plan of a report: the models that are compared, the data sets, and the options of the evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

from seglab._utils.errors import unknown
from seglab.data.card import read_yaml
from seglab.data.card_values import kind
from seglab.data.dataset import SegmentationDataset
from seglab.data.loading import DataSelection, is_path, title_of
from seglab.data.translation import checked_mapping
from seglab.evaluation.command import name_and_value
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.loop import Evaluable
from seglab.inference.runtimes.choice import TORCH
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.models.sources.opening import is_source, located
from seglab.models.sources.stated import stated
from seglab.models.weights.cards import is_available

# The types of fields that are one value → how an error message describes them.
SIMPLE = {str: "a text", str | None: "a text", bool: "true or false", int: "a whole number",
          int | None: "a whole number"}  # fmt: skip
# What a plan may state of a model from elsewhere, as `mine: {model: net.pt, classes: voc, size: 520}`.
_GIVEN = ("classes", "size", "mean", "std")


@dataclass(frozen=True)
class Plan:
    """What a report compares, and how; the fields after `inside` are arguments of `evaluate`."""

    # Name in the tables → what `load_model` takes, once for each training seed: a name, or with `_GIVEN` as a mapping.
    models: Mapping[str, tuple[str | Mapping[str, Any], ...]]
    data: tuple[DataSelection, ...]  # one section of the page each; images are shown from the first
    predictions: Mapping[str, str] = field(default_factory=dict)  # name in the tables → folder of label maps
    classes: str | None = None  # class set of these label maps, if it is not that of the data
    mapping: Mapping[str, str | None] | None = None  # class of a model → class of the data
    title: str = ""
    inside: int | None = None  # images of each data set that the page holds with all label maps, see `inside`
    size: str = "original"
    precision: str = "float32"
    batch: int = 1
    boundary: bool = True
    calibration: bool = True
    tile: tuple[int, int] | None = None
    overlap: int | None = None
    runtime: str = TORCH

    def evaluables(self, dataset: SegmentationDataset) -> list[tuple[str, Evaluable]]:
        """Everything that is evaluated on a data set, with its name in the tables."""
        models = [(name, _evaluable(model)) for name, seeds in self.models.items() for model in seeds]
        classes = self.classes or dataset.classes
        return models + [(name, Predictions(folder, classes)) for name, folder in self.predictions.items()]

    def heading(self) -> str:
        """The title; by default the number of models and the data sets."""
        count = len(self.models) + len(self.predictions)
        data = ", ".join(dict.fromkeys(title_of(data.name) for data in self.data))
        return self.title or f"{count} model{'s' * (count > 1)} on {data}"


def _evaluable(model: str | Mapping[str, Any]) -> Evaluable:
    """A name unchanged; a model from elsewhere, loaded with the classes, size and normalisation of the plan."""
    if isinstance(model, str):
        return model
    return load_model(model["model"], **{field: model[field] for field in _GIVEN if field in model})


def default_plan() -> Plan:
    """All minis whose weights are bundled, on Toytown in clear and in bad weather."""
    minis = {name: (name,) for name, spec in MODELS.items()
             if next(iter(spec.weights)) == "toytown" and is_available(spec, "toytown")}  # fmt: skip
    weathers = tuple(DataSelection(f"toytown:{weather}", images=60) for weather in ("night", "fog", "rain"))
    return Plan(minis, (DataSelection("toytown", images=200), *weathers), title="Six trained models on Toytown")


def limited(plan: Plan, images: int) -> Plan:
    """The same plan with only the first so many images of each data set."""
    return replace(plan, data=tuple(replace(data, images=images) for data in plan.data))


def read_plan(path: Path) -> Plan:
    """A plan from YAML: the fields of `Plan`; models as a list or as NAME: MODEL, data as a list of names or fields.

    Raises ValueError for a missing file, for other text than YAML, for unknown fields and for values of another type.
    """
    try:
        values = read_yaml(path)
    except FileNotFoundError:
        raise ValueError(f"{path} cannot be read as a plan: no such file") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}; expected fields as `models:` and `data:`")
    return plan_from(values, str(path))


def plan_from(values: Mapping[str, Any], source: str = "the plan") -> Plan:
    """A plan from plain values, see `read_plan`; `source` names their origin in error messages."""
    _check_fields(values, Plan, source)
    models, folders = (_by_name(values.get(key) or {}, f"{key} in {source}") for key in ("models", "predictions"))
    data = values.get("data") or ["toytown"]
    selections = [{"name": each} if isinstance(each, str) else each
                  for each in (data if isinstance(data, list | tuple) else [data])]  # fmt: skip
    for selection in selections:
        _check_fields(selection, DataSelection, f"a data set in {source}")
        if "name" not in selection:
            raise ValueError(f"a data set in {source} has no name; write it as {{name: toytown, split: test}}")
    if not models and not folders:
        raise ValueError(f"{source} names no model; give at least one, as models: [unet_mini:toytown]")
    selections = [{**s, "name": _absolute(s["name"], is_path(s["name"]))} for s in selections]
    return Plan(**{
        **values, "data": tuple(DataSelection(**selection) for selection in selections),
        "models": {name: tuple(_seeds(name, seeds, source)) for name, seeds in models.items()},
        "mapping": checked_mapping(values["mapping"], f"mapping in {source}") if values.get("mapping") else None,
        "predictions": {name: _absolute(_text(folder, f"predictions of {name!r}", source), True)
                        for name, folder in folders.items()},
    })  # fmt: skip


def _absolute(name: str, is_file: bool | None = None) -> str:
    """A path from the root, since the page is made in another folder; the name of a model or data set unchanged."""
    try:
        return str(Path(name).expanduser().resolve()) if is_file or (is_file is None and Path(name).is_file()) else name
    except (OSError, RuntimeError, ValueError) as error:  # too long, ~USER without a home, a character that is zero
        raise ValueError(f"{name[:80]!r} cannot be a path: {error}") from None


def _seeds(name: str, seeds: Any, source: str) -> list[str | dict[str, Any]]:
    """The models of one name, one for each training seed; their paths from the root."""
    listed = list(seeds) if isinstance(seeds, list | tuple) else [seeds]
    if not listed:
        raise ValueError(f"models in {source}: {name!r} names no model")
    return [_model(seed, f"models: {name!r}", source) for seed in listed]


def _model(value: Any, key: str, source: str) -> str | dict[str, Any]:
    """A name, or a mapping with a name and what is given for it."""
    if not isinstance(value, Mapping):
        return located(text) if is_source(text := _text(value, key, source)) else _absolute(text)
    if wrong := [field for field in value if field not in ("model", *_GIVEN)]:
        raise unknown(f"field of {key} in {source}", wrong[0], ("model", *_GIVEN))
    stated(*(value.get(field) for field in _GIVEN))
    return dict(value) | {"model": located(_text(value.get("model"), f"{key}, model", source))}


def _text(value: Any, key: str, source: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} in {source} has {kind(value)}; expected a text")
    return value


def _check_fields(values: Any, of: type, source: str) -> None:
    """Raise a ValueError unless these are fields of a class, with values of the types that it states."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{source} has {kind(values)}; expected a name, or fields as {{name: toytown, split: test}}")
    known = get_type_hints(of)
    if wrong := [key for key in values if key not in known]:
        raise unknown(f"field of {source}", wrong[0], known)
    for key, value in values.items():
        types = known[key]
        if types in SIMPLE and (not isinstance(value, types) or (isinstance(value, bool) and types is not bool)):
            raise ValueError(f"{key} in {source} has {kind(value)}; expected {SIMPLE[types]}")
        if type(value) is int and value < 1:
            raise ValueError(f"{key} in {source} is {value}; expected at least 1")


def _by_name(values: Any, source: str) -> dict[str, Any]:
    """`{NAME: VALUE}`, from the same or from a list of `VALUE` and `NAME=VALUE`; a missing name is the value itself."""
    if isinstance(values, Mapping):
        return {_text(name, "a name", source): value for name, value in values.items()}
    listed = values if isinstance(values, list | tuple) else [values]
    found: dict[str, Any] = {}
    for name, value in (name_and_value(_text(each, "an entry", source)) for each in listed):
        if found.setdefault(name or value, value) != value:
            raise ValueError(f"{source} give {name!r} twice: {found[name]} and {value}; choose two names")
    return found
