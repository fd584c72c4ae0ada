"""Plan of a report: the models that are compared, the data sets, and the options of the evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from seglab._utils.errors import unknown
from seglab.data.dataset import SegmentationDataset
from seglab.data.loading import DataSelection, is_path, title_of
from seglab.evaluation.command import name_and_value
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.loop import Evaluable
from seglab.models.registry import MODELS
from seglab.models.weights.cards import is_available


@dataclass(frozen=True)
class Plan:
    """What a report compares, and how; the last five fields are arguments of `evaluate`."""

    models: Mapping[str, tuple[str, ...]]  # name in the tables → what `load_model` takes, once for each training seed
    data: tuple[DataSelection, ...]  # one section of the page each; images are shown from the first
    predictions: Mapping[str, str] = field(default_factory=dict)  # name in the tables → folder of label maps
    classes: str | None = None  # class set of these label maps, if it is not that of the data
    title: str = ""
    size: str = "original"
    precision: str = "float32"
    batch: int = 1
    boundary: bool = True
    calibration: bool = True

    def evaluables(self, dataset: SegmentationDataset) -> list[tuple[str, Evaluable]]:
        """Everything that is evaluated on a data set, with its name in the tables."""
        models: list[tuple[str, Evaluable]] = [(name, model) for name, seeds in self.models.items() for model in seeds]
        classes = self.classes or dataset.classes
        return models + [(name, Predictions(folder, classes)) for name, folder in self.predictions.items()]

    def heading(self) -> str:
        """The title; by default the number of models and the data sets."""
        count = len(self.models) + len(self.predictions)
        data = ", ".join(dict.fromkeys(title_of(data.name) for data in self.data))
        return self.title or f"{count} model{'s' * (count > 1)} on {data}"


def default_plan() -> Plan:
    """All minis whose weights are bundled, on Toytown in clear and in bad weather."""
    minis = {name: (name,) for name, spec in MODELS.items()
             if next(iter(spec.weights)) == "toytown" and is_available(spec, "toytown")}  # fmt: skip
    weathers = tuple(DataSelection(f"toytown:{weather}", images=60) for weather in ("night", "fog", "rain"))
    return Plan(minis, (DataSelection("toytown", images=200), *weathers), title="Six architectures on Toytown")


def limited(plan: Plan, images: int) -> Plan:
    """The same plan with only the first so many images of each data set."""
    return replace(plan, data=tuple(replace(data, images=images) for data in plan.data))


def read_plan(path: Path) -> Plan:
    """A plan from YAML: the fields of `Plan`; models as a list or as NAME: MODEL, data as a list of names or fields.

    Raises ValueError for a missing file, for other text than YAML and for unknown fields.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read as a plan: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}; expected fields as `models:` and `data:`")
    return plan_from(values, str(path))


def plan_from(values: Mapping[str, Any], source: str = "the plan") -> Plan:
    """A plan from plain values, see `read_plan`; `source` names their origin in error messages."""
    _check_fields(values, Plan, source)
    models, folders = (_by_name(values.get(key) or {}) for key in ("models", "predictions"))
    data = values.get("data") or ["toytown"]
    selections = [{"name": each} if isinstance(each, str) else each
                  for each in ([data] if isinstance(data, str | Mapping) else data)]  # fmt: skip
    for selection in selections:
        _check_fields(selection, DataSelection, f"a data set in {source}")
    if not models and not folders:
        raise ValueError(f"{source} names no model; give at least one, as models: [unet_mini:toytown]")
    selections = [{**s, "name": _absolute(s["name"], is_path(s["name"]))} for s in selections]
    return Plan(**{
        **values, "data": tuple(DataSelection(**selection) for selection in selections),
        "models": {name: tuple(_absolute(s, Path(s).is_file()) for s in ([seeds] if isinstance(seeds, str) else seeds))
                   for name, seeds in models.items()},
        "predictions": {name: _absolute(folder, True) for name, folder in folders.items()},
    })  # fmt: skip


def _absolute(name: str, is_file: bool) -> str:
    """A path from the root, since the page is made in another folder; the name of a model or data set unchanged."""
    return str(Path(name).expanduser().resolve()) if is_file else name


def _check_fields(values: Mapping[str, Any], kind: type, source: str) -> None:
    known = [field.name for field in dataclass_fields(kind)]
    if wrong := next((key for key in values if key not in known), None):
        raise unknown(f"field of {source}", wrong, known)


def _by_name(values: Any) -> dict[str, Any]:
    """`{NAME: VALUE}`, from the same or from a list of `VALUE` and `NAME=VALUE`; a missing name is the value itself."""
    if isinstance(values, Mapping):
        return dict(values)
    pairs = map(name_and_value, [values] if isinstance(values, str) else values)
    return {name or value: value for name, value in pairs}
