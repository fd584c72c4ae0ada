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
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from seglab._utils.environment import machine
from seglab._utils.paths import share_dir, slug
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION
from seglab.evaluation.loop import evaluate
from seglab.evaluation.results import Results
from seglab.report.plan import Plan

TEMPLATE = "15_report.ipynb"
KEYS = ["model", "seed", "id", "target", "pred"]


def write(plan: Plan, out: str | Path, progress: bool = True) -> Path:
    """Make a report, or go on with one; returns where its page is.

    Raises:
        ValueError: the folder holds a report of another plan; what `evaluate` refuses.
    """
    from seglab.report import page

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
            plan.evaluables(dataset), dataset, store, size=plan.size, precision=plan.precision, batch=plan.batch,
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
