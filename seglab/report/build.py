"""Build a report: evaluate a plan, and write the page with everything needed to reproduce it.

    seglab report --models unet_mini:toytown --models fcn_mini:toytown --data toytown --out reports/mine
    seglab report plan.yaml --out reports/mine
    seglab report --check reports/mine

`write` evaluates the plan into `OUT/counts.sqlite`, and continues there after an interruption. It executes
`notebooks/15_report.ipynb` on these counts, and writes

    index.html       the page: one file that needs no network
    tables/          every table as CSV; equal counts give equal bytes on every machine
    counts.parquet   the counts from which all tables follow: pixels by image, target class and predicted class
    manifest.json    the plan, the identity of each measurement, hashes of counts and tables, the machine
    timings.csv      times, which differ from run to run
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from seglab._utils.environment import machine
from seglab._utils.folders import claim
from seglab._utils.hashing import sha256_file
from seglab._utils.paths import PART, file_names, replacing, share_dir
from seglab._utils.text import write_csv
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION, Predictions
from seglab.evaluation.loop import evaluate
from seglab.evaluation.reading import read
from seglab.evaluation.results import Results
from seglab.report.plan import Plan

TEMPLATE = "15_report.ipynb"
HASHED = ("index.html", "timings.csv")  # files that differ if they are written again
KEYS = ["model", "seed", "id", "target", "pred"]


def write(plan: Plan, out: str | Path, progress: bool = True, force: bool = False) -> Path:
    """Write a report, or continue one; returns the path of its page.

    All files are written into a folder beside the old ones, which they replace at the end: after a full disk or a
    killed process an earlier report is still there.

    Raises ValueError if the folder holds a report of another plan or, without `force`, other files (see
    `folders.claim`); and the errors of `evaluate`.
    """
    from seglab.report import page

    share = share_dir()
    template = None if share is None else share / "notebooks" / TEMPLATE
    if template is None or not template.is_file():
        raise ValueError(f"notebooks/{TEMPLATE}, the template of reports, is missing; install seglab from its folder")
    with claim(out, "report", force, _is_report) as folder:
        _keep_plan(plan, folder)
        measured = measure(plan, folder / "counts.sqlite", progress)
        with TemporaryDirectory(dir=folder, prefix=PART, suffix=".part") as temporary:
            new = Path(temporary)
            for data, name in file_names(measured).items():
                write_tables(measured[data], new / "tables" / name)
            timings = {data: results.summary()[["ms"]] for data, results in measured.items()}
            write_csv(pd.concat(timings, names=["data"]), new / "timings.csv")
            counts = [results.counts.assign(data=data) for data, results in measured.items()]
            pd.concat(counts, ignore_index=True).to_parquet(new / "counts.parquet", index=False)
            page.render(template, folder, new / "index.html", plan.heading(), progress)
            manifest = json.dumps(_manifest(plan, new, measured), indent=2) + "\n"
            (new / "manifest.json").write_text(manifest, encoding="utf-8")
            _publish(new, folder)
        return folder / "index.html"


def _publish(new: Path, folder: Path) -> None:
    """Move the files of a report into its folder, the manifest last; remove tables of the report that it replaces."""
    tables = {path.relative_to(new).as_posix() for path in (new / "tables").rglob("*.csv")}
    manifest = folder / "manifest.json"
    before = _json(manifest).get("tables") if manifest.is_file() else None
    for path in sorted(new.rglob("*"), key=lambda path: path.name == "manifest.json"):
        if path.is_file():
            target = folder / path.relative_to(new)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    for name in {*before} - tables if isinstance(before, dict) else ():
        if name.startswith("tables/") and name.endswith(".csv") and ".." not in name:
            (folder / name).unlink(missing_ok=True)


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a report; ValueError if there is none or if it is damaged."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no finished report: manifest.json is missing; finish it with seglab report")
    manifest = _json(path)
    if not all(isinstance(manifest.get(key), dict) for key in ("plan", "tables")):
        raise ValueError(f"{path} is damaged; write the report again with seglab report")
    return manifest


def _json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file; an empty one where the file holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_report(folder: Path) -> bool:
    """Whether an earlier version made this folder: it holds a plan."""
    path = folder / "plan.json"
    return path.is_file() and {"models", "data"} <= _json(path).keys()


def measure(
    plan: Plan, store: Path | None, progress: bool = True, runs: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Results]:
    """Evaluate a plan: data set → results. Models compute on the runtimes of `runs`, where a manifest gives them."""
    measured: dict[str, Results] = {}
    datasets = [data.load() for data in plan.data]
    if repeated := [name for name, n in Counter((d.name, d.split) for d in datasets).items() if n > 1]:
        raise ValueError(
            f"two data sets of the plan are named {repeated[0][0]!r}; state another name: in one of the cards"
        )
    for folder in plan.predictions.values():  # before the first model runs
        for sample_id in (sample_id for dataset in datasets for sample_id in dataset.ids):
            Predictions(folder, "").path(sample_id)
    for dataset in datasets:
        runtimes: dict[tuple[str, int | None], str] = {
            (run["name"], run["seed"]): run["runtime"].partition(" ")[0]
            for run in runs if run["data"] == dataset.title and "runtime" in run}  # fmt: skip
        results = evaluate(
            plan.evaluables(dataset), dataset, store, size=plan.size, precision=plan.precision, batch=plan.batch,
            boundary=plan.boundary, calibration=plan.calibration, tile=plan.tile, overlap=plan.overlap,
            mapping=plan.mapping, progress=progress, runtime=runtimes if runs else plan.runtime,
        )  # fmt: skip
        measured[results.data] = results
    return measured


def _keep_plan(plan: Plan, folder: Path) -> None:
    """Write the plan into the folder; raise ValueError if the folder holds counts of another plan."""
    values, path, store = json.loads(json.dumps(asdict(plan))), folder / "plan.json", folder / "counts.sqlite"
    stored = _json(path) if path.is_file() else {}
    differing = [key for key in values if key != "inside" and stored.get(key) != values[key]]  # older plans lack keys
    if differing and store.is_file() and len(read(store).images):
        raise ValueError(
            f"{folder} holds a report of another plan (it differs in {', '.join(differing)}); use another folder"
        )
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _manifest(plan: Plan, new: Path, measured: Mapping[str, Results]) -> dict[str, Any]:
    runs = [
        {**results.identities[run], "data": data, "name": name, "seed": None if pd.isna(seed) else int(seed)}
        for data, results in measured.items() for run, name, seed in results.measurements.runs()
    ]  # fmt: skip
    tables, others = sorted((new / "tables").rglob("*.csv")), [new / name for name in HASHED]
    return {
        "plan": asdict(plan), "runs": runs,
        "counts": {data: counts_hash(results) for data, results in measured.items()},
        "tables": {path.relative_to(new).as_posix(): sha256_file(path) for path in tables},
        "files": {path.name: sha256_file(path) for path in others},
        "machine": machine(),
    }  # fmt: skip


def counts_hash(results: Results) -> str:
    """SHA-256 of the counts as sorted text: equal counts have equal hashes on every machine."""
    rows = results.counts.assign(seed=results.counts["seed"].astype("Int64")).sort_values(KEYS)
    return hashlib.sha256(rows[[*KEYS, "pixels"]].to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def write_tables(results: Results, folder: Path) -> None:
    """Write `tables_of` as CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables_of(results).items():
        write_csv(table, folder / f"{name}.csv")


def tables_of(results: Results) -> dict[str, pd.DataFrame]:
    """File name without suffix → every table that follows from the counts alone; times are left out."""
    tables = {
        "summary": results.summary().drop(columns=["ms", "seeds", "why"]),
        "seeds": results.seeds(), "iou": results.iou_table(), "conventions": results.conventions(),
        "images": results.per_image(), "data": results.data_table(),
    }  # fmt: skip
    if len(mapping := results.mapping()):
        tables["mapping"] = mapping
    if len(results.names) > 1:
        tables["pairs"] = results.compare()
    files = file_names(results.names)
    for name, file in files.items():
        tables[f"classes-{file}"] = results.class_table(name)
        tables[f"confusion-{file}"] = results.confusion(name)
    kinds = set(results.tables.bins["kind"])
    if BOUNDARY in kinds:
        tables["boundary"] = results.boundary_iou()
    if CALIBRATION in kinds:
        tables |= {f"calibration-{files[name]}": table for name, table in calibrations(results).items()}
    return tables


def calibrations(results: Results) -> dict[str, pd.DataFrame]:
    """`Results.calibration` of each model that has one."""
    found = {}
    for name in results.names:
        try:
            found[name] = results.calibration(name)
        except ValueError:  # Mask2Former, other classes than the data, or label maps of another program
            continue
    return found
