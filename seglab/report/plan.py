"""Plan of a report: which models are compared, on which data sets, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from seglab._utils.errors import unknown
from seglab.data.catalogue import DATASETS
from seglab.data.dataset import SegmentationDataset
from seglab.data.loading import DataSelection
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.loop import Evaluable
from seglab.models.registry import MODELS
from seglab.models.spec import ZOO
from seglab.models.weights.cards import is_available


@dataclass(frozen=True)
class Plan:
    """What is compared, on what, and how.

    Attributes:
        models: name in the tables → what `load_model` takes, several times for several seeds of one recipe.
        data: one section of the page each; the first one is shown with pictures.
        predictions: name in the tables → folder of another program's label maps, see `judges.Predictions`.
        classes: class set of these label maps, where it is not that of the data.
        title: of the page.
    """

    models: Mapping[str, tuple[str, ...]]
    data: tuple[DataSelection, ...]
    predictions: Mapping[str, str] = field(default_factory=dict)
    classes: str | None = None
    title: str = ""
    size: str = "original"
    precision: str = "float32"
    batch: int = 1
    boundary: bool = True
    calibration: bool = True

    def evaluables(self, dataset: SegmentationDataset) -> list[tuple[str, Evaluable]]:
        """Everything that is judged, with its name."""
        models: list[tuple[str, Evaluable]] = [(name, what) for name, seeds in self.models.items() for what in seeds]
        return models + [(name, Predictions(folder, self.classes or dataset.classes, name))
                         for name, folder in self.predictions.items()]  # fmt: skip

    def heading(self) -> str:
        """The title, or one that says what is compared."""
        several = len(self.models) + len(self.predictions)
        on = ", ".join(dict.fromkeys(DATASETS[data.name.partition(":")[0]].title for data in self.data))
        return self.title or f"{several} model{'s' * (several > 1)} on {on}"


def default_plan() -> Plan:
    """All minis whose weights are here, on Toytown in clear and in bad weather."""
    minis = {name: (name,) for name, spec in MODELS.items() for first, row in list(spec.weights.items())[:1]
             if row.source == ZOO and is_available(spec, first)}  # fmt: skip
    weathers = tuple(DataSelection(f"toytown:{weather}", images=60) for weather in ("night", "fog", "rain"))
    return Plan(minis, (DataSelection("toytown", images=200), *weathers), title="Six architectures on Toytown")


def limited(plan: Plan, images: int) -> Plan:
    """The same with the first so many images of each data set."""
    return replace(plan, data=tuple(replace(data, images=images) for data in plan.data))


def read_plan(path: Path) -> Plan:
    """A plan from YAML: the fields of `Plan`; models as a list or as NAME: MODEL, data as a list of names or fields.

    Raises:
        ValueError: no such file, no YAML, or a field that a plan does not have.
    """
    import yaml

    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read as a plan: {error}") from None
    if not isinstance(said, dict):
        raise ValueError(f"{path} holds {type(said).__name__}; expected fields as `models:` and `data:`")
    return plan_from(said, str(path))


def plan_from(said: Mapping[str, Any], source: str = "the plan") -> Plan:
    """A plan from plain values, as `read_plan`."""
    fields = dict(said)
    _known(fields, Plan, source)
    models, stored = (_by_name(fields.get(key) or {}) for key in ("models", "predictions"))
    fields["models"] = {name: (what,) if isinstance(what, str) else tuple(what) for name, what in models.items()}
    fields["predictions"] = {name: str(folder) for name, folder in stored.items()}
    data = fields.get("data") or ["toytown"]
    data = [data] if isinstance(data, str | Mapping) else data
    fields["data"] = tuple(_data(each, source) for each in data)
    if not fields["models"] and not fields["predictions"]:
        raise ValueError(f"{source} names no model; give at least one, as models: [unet_mini:toytown]")
    return Plan(**fields)


def _data(said: str | Mapping[str, Any], source: str) -> DataSelection:
    if isinstance(said, str):
        return DataSelection(said)
    _known(said, DataSelection, f"a data set in {source}")
    return DataSelection(**said)


def _known(fields: Mapping[str, Any], kind: type, source: str) -> None:
    known = [field.name for field in dataclass_fields(kind)]
    if wrong := next((key for key in fields if key not in known), None):
        raise unknown(f"field of {source}", wrong, known)


def _by_name(said: Any) -> dict[str, Any]:
    """`{NAME: WHAT}`, or a list of `WHAT` and `NAME=WHAT`."""
    return dict(said) if isinstance(said, Mapping) else dict(map(named, [said] if isinstance(said, str) else said))


def named(text: str) -> tuple[str, str]:
    """`"NAME=MODEL"` → both; without a name, what it is stands for itself."""
    name, equals, what = text.partition("=")
    return (name, what) if equals else (text, text)
