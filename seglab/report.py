"""Reports: a comparison as one page, and everything that somebody else needs to make it again.

    seglab report --models unet_mini:toytown fcn_mini:toytown --data toytown --out reports/mine
    seglab report plan.yaml --out reports/mine
    seglab report --check reports/mine

A `Plan` says what is compared. `write` evaluates it into `OUT/counts.sqlite`, which goes on where it was interrupted,
executes `notebooks/15_report.ipynb` on these counts, and leaves

    index.html       the page: one file, which needs no network
    tables/          every table as CSV; the same counts give the same bytes anywhere
    counts.parquet   what all tables follow from: pixels of each target class called each class, image by image
    manifest.json    the plan, what decided each measurement, hashes of counts and tables, versions
    timings.csv      what differs from run to run
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from dataclasses import fields as dataclass_fields
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from seglab.cards import is_here
from seglab.catalogue import DATASETS
from seglab.classes import ClassSet, class_set
from seglab.data import Sample, SegmentationDataset, load_dataset
from seglab.errors import unknown
from seglab.evaluation import Judged, evaluate
from seglab.files import read_mask, slug
from seglab.judges import BOUNDARY, CALIBRATION, Predictions
from seglab.models import MODELS
from seglab.places import share_dir
from seglab.prediction import predict
from seglab.results import Results
from seglab.system import cpu_name, machine
from seglab.weights import ZOO

TEMPLATE = "15_report.ipynb"
KEYS = ["model", "seed", "id", "target", "pred"]


@dataclass(frozen=True)
class Data:
    """A data set of a plan.

    Attributes:
        name: as for `load_dataset`.
        split: by default the one to be judged on.
        images: only the first so many.
        root: where it lies; for "folder" the one with images/ and masks/.
        classes: class set of "folder".
    """

    name: str
    split: str | None = None
    images: int | None = None
    root: str | None = None
    classes: str | None = None

    def load(self) -> SegmentationDataset:
        """The data set itself."""
        split = self.split or judging_split(self.name)
        dataset = load_dataset(self.name, split, self.root, classes=self.classes)
        return dataset if self.images is None else dataset.subset(range(min(self.images, len(dataset))))


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
    data: tuple[Data, ...]
    predictions: Mapping[str, str] = field(default_factory=dict)
    classes: str | None = None
    title: str = ""
    size: str = "original"
    precision: str = "float32"
    batch: int = 1
    boundary: bool = True
    calibration: bool = True

    def judged(self, dataset: SegmentationDataset) -> list[tuple[str, Judged]]:
        """Everything that is judged, with its name."""
        models: list[tuple[str, Judged]] = [(name, what) for name, seeds in self.models.items() for what in seeds]
        return models + [(name, Predictions(folder, self.classes or dataset.classes, name))
                         for name, folder in self.predictions.items()]  # fmt: skip

    def heading(self) -> str:
        """The title, or one that says what is compared."""
        several = len(self.models) + len(self.predictions)
        on = ", ".join(dict.fromkeys(DATASETS[data.name.partition(":")[0]].title for data in self.data))
        return self.title or f"{several} model{'s' * (several > 1)} on {on}"


def judging_split(name: str) -> str | None:
    """The split that a data set is judged on: its test split where seglab draws it, else val where there is one."""
    spec = DATASETS.get(name.partition(":")[0])
    if spec is None:
        raise unknown("data set", name, DATASETS)
    return "test" if name.startswith("toytown") else "val" if "val" in spec.splits else None


def everything() -> Plan:
    """All minis whose weights are here, on Toytown in clear and in bad weather."""
    minis = {name: (name,) for name, spec in MODELS.items() for first, row in list(spec.weights.items())[:1]
             if row.source == ZOO and is_here(spec, first)}  # fmt: skip
    weathers = tuple(Data(f"toytown:{weather}", images=60) for weather in ("night", "fog", "rain"))
    return Plan(minis, (Data("toytown", images=200), *weathers), title="Six architectures on Toytown")


def shortened(plan: Plan, images: int) -> Plan:
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


def _data(said: str | Mapping[str, Any], source: str) -> Data:
    if isinstance(said, str):
        return Data(said)
    _known(said, Data, f"a data set in {source}")
    return Data(**said)


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


# Writing --------------------------------------------------------------------------------------------------------------


def write(plan: Plan, out: str | Path, progress: bool = True) -> Path:
    """Make a report, or go on with one; returns where its page is.

    Raises:
        ValueError: the folder holds a report of another plan; what `evaluate` refuses.
    """
    from seglab import page

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _claim(plan, out)
    measured = measure(plan, out / "counts.sqlite", progress)
    shutil.rmtree(out / "tables", ignore_errors=True)
    for data, results in measured.items():
        write_tables(results, out / "tables" / slug(data))
    timings = pd.concat({data: results.summary()[["ms"]] for data, results in measured.items()}, names=["data"])
    write_csv(timings, out / "timings.csv")
    counts = pd.concat([results.counts.assign(data=data) for data, results in measured.items()], ignore_index=True)
    counts.to_parquet(out / "counts.parquet", index=False)
    manifest = _manifest(plan, out, measured)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    page.render(template(), out, plan.heading(), progress)
    return out / "index.html"


def measure(plan: Plan, store: Path | None, progress: bool = True) -> dict[str, Results]:
    """Everything that a plan asks for, by the name of its data."""
    measured = {}
    for data in plan.data:
        dataset = data.load()
        results = evaluate(
            plan.judged(dataset), dataset, store, size=plan.size, precision=plan.precision, batch=plan.batch,
            boundary=plan.boundary, calibration=plan.calibration, progress=progress,
        )  # fmt: skip
        measured[results.data] = results
    return measured


def template() -> Path:
    """The notebook that a report is made with."""
    share = share_dir()
    path = None if share is None else share / "notebooks" / TEMPLATE
    if path is None or not path.is_file():
        raise ValueError(
            f"notebooks/{TEMPLATE}, which reports are made with, is missing; install seglab from its folder"
        )
    return path


def _claim(plan: Plan, out: Path) -> None:
    """One folder, one plan: what is there already has to belong to this one."""
    mine, path = json.loads(json.dumps(asdict(plan))), out / "plan.json"
    if path.is_file() and (there := json.loads(path.read_text(encoding="utf-8"))) != mine:
        other = ", ".join(key for key in mine if there.get(key) != mine[key])
        raise ValueError(f"{out} holds a report of another plan (it differs in {other}); take another folder")
    path.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")


def _manifest(plan: Plan, out: Path, measured: Mapping[str, Results]) -> dict[str, Any]:
    runs = [
        {"data": data, "model": name, "seed": None if pd.isna(seed) else int(seed), **results.identities[run]}
        for data, results in measured.items() for run, name, seed in results._runs()
    ]  # fmt: skip
    tables = sorted((out / "tables").rglob("*.csv"))
    return {
        "plan": asdict(plan), "runs": runs,
        "counts": {data: counts_hash(results) for data, results in measured.items()},
        "tables": {path.relative_to(out).as_posix(): _hash(path.read_bytes()) for path in tables},
        "machine": machine(),
    }  # fmt: skip


def counts_hash(results: Results) -> str:
    """SHA-256 of the counts as text, sorted: the same for the same counts anywhere."""
    rows = results.counts.assign(seed=results.counts["seed"].astype("Int64")).sort_values(KEYS)
    return _hash(rows[[*KEYS, "pixels"]].to_csv(index=False, lineterminator="\n").encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Tables ---------------------------------------------------------------------------------------------------------------


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Every table that follows from the counts alone, by the name of its file. Times are not among them."""
    found = {
        "summary": results.summary().drop(columns=["ms", "seeds", "why"]),
        "seeds": results.seeds(), "iou": results.iou_table(), "conventions": results.conventions(),
        "images": results.per_image(), "data": results.data_table(),
    }  # fmt: skip
    if len(results.names) > 1:
        found["pairs"] = results.compare()
    for name in results.names:
        found[f"classes-{slug(name)}"] = results.class_table(name)
        found[f"confusion-{slug(name)}"] = results.confusion(name)
    kinds = set(results.tables.bins["kind"])
    if BOUNDARY in kinds:
        found["boundary"] = results.boundary_iou()
    if CALIBRATION in kinds:
        found |= {f"calibration-{slug(name)}": table for name, table in calibrations(results).items()}
    return found


def calibrations(results: Results) -> dict[str, pd.DataFrame]:
    """`Results.calibration` of the models that have one."""
    found = {}
    for name in results.names:
        try:
            found[name] = results.calibration(name)
        except ValueError:  # Mask2Former, another vocabulary, another program's label maps
            continue
    return found


def write_tables(results: Results, folder: Path) -> None:
    """Every table as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables(results).items():
        write_csv(table, folder / f"{name}.csv")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """The same bytes on every system, for the same values."""
    table.to_csv(path, float_format="%.6f", lineterminator="\n")


# Pictures and words ---------------------------------------------------------------------------------------------------


def opinions(plan: Plan, data: Data, image_id: str) -> tuple[Sample, dict[str, tuple[Tensor, ClassSet]]]:
    """An image of a plan, and what each model says of it: name → mask (H,W) and the model's own classes."""
    dataset = data.load()
    sample = dataset[dataset.ids.index(image_id)]
    said: dict[str, tuple[Tensor, ClassSet]] = {}
    for name, judged in plan.judged(dataset):
        if name in said:  # another seed
            continue
        if isinstance(judged, Predictions):  # as it is, at the image's size
            known = class_set(judged.classes)
            said[name] = read_mask(judged.path(sample.id), known), known
        else:
            p = predict(judged, sample.image, precision=plan.precision)
            said[name] = p.mask, p.classes
    return sample, said


def colophon() -> str:
    """With what, when, and on what kind of machine a report was made."""
    return (
        f"Made with seglab {version('seglab')}, torch {version('torch')} and Python {platform.python_version()}"
        f" on {date.today():%d %B %Y}, on {cpu_name()} with {_counted(torch.get_num_threads(), 'thread')}."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def commands(folder: Path | None) -> str:
    """What somebody types to make a report again, and to check it."""
    name = folder.name if folder else "mine"
    return f"seglab report {name}/plan.json --out again\nseglab report --check {name}"


def licences(plan: Plan) -> pd.DataFrame:
    """Under which terms everything is that took part: a row each, what and licence."""
    rows = {}
    for data in plan.data:
        spec = DATASETS[data.name.partition(":")[0]]
        rows[spec.title] = ("data", spec.licence)
    for name, (label, *_) in plan.models.items():
        model, _, weights = label.partition(":")
        known = MODELS[model].weights if model in MODELS else {}
        row = known.get(weights or next(iter(known), ""))
        rows[name] = ("weights", row.licence if row else "see who trained them")
    rows |= dict.fromkeys(plan.predictions, ("label maps", "see who made them"))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["what", "licence"])


# Checking -------------------------------------------------------------------------------------------------------------


def check(out: str | Path, progress: bool = True) -> list[str]:
    """Evaluate a report's plan once more, here, and say what differs, a line each; nothing when nothing does.

    Raises:
        ValueError: the folder holds no finished report.
    """
    out = Path(out)
    if not (out / "manifest.json").is_file():
        raise ValueError(f"{out} holds no finished report: manifest.json is missing; seglab report goes on with it")
    plan = plan_from(json.loads((out / "manifest.json").read_text(encoding="utf-8"))["plan"], "the manifest")
    with TemporaryDirectory() as folder:
        measured = measure(plan, Path(folder) / "counts.sqlite", progress)
        said = [line for data, results in measured.items() for line in _pixels(data, results, out)]
        for data, results in measured.items():
            write_tables(results, Path(folder) / "tables" / slug(data))
        return said + list(_figures(Path(folder) / "tables", out / "tables"))


def _pixels(data: str, results: Results, out: Path) -> Iterator[str]:
    """How many pixels each model calls something else than in the report."""
    counts = pd.read_parquet(out / "counts.parquet")
    there, here = (rows.groupby(KEYS, dropna=False)["pixels"].sum()
                   for rows in (counts[counts["data"] == data], results.counts))  # fmt: skip
    apart = here.sub(there, fill_value=0).abs()
    for name, pixels in (apart.groupby("model").sum() / 2).items():
        if pixels:
            whole = int(results.counts.loc[results.counts["model"] == name, "pixels"].sum())
            yield f"{data}, {name}: at least {pixels:.0f} of {whole} pixels differ"


def _figures(here: Path, there: Path) -> Iterator[str]:
    """Cells of tables that differ."""
    paths = {path.relative_to(folder) for folder in (here, there) for path in folder.rglob("*.csv")}
    for path in sorted(paths):
        if not (here / path).is_file() or not (there / path).is_file():
            yield f"{path.as_posix()}: only in {'this run' if (here / path).is_file() else 'the report'}"
            continue
        ours, theirs = (pd.read_csv(folder / path, dtype=str, keep_default_na=False) for folder in (here, there))
        if ours.shape != theirs.shape or list(ours) != list(theirs):
            yield f"{path.as_posix()}: {ours.shape} cells here, {theirs.shape} in the report"
            continue
        for row, column in zip(*(ours.to_numpy() != theirs.to_numpy()).nonzero(), strict=True):
            was, now = theirs.iloc[row, column], ours.iloc[row, column]
            yield f"{path.as_posix()}: {ours.iloc[row, 0]}, {ours.columns[column]}: {was} in the report, {now} here"
