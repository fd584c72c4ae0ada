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
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from seglab._utils.environment import machine
from seglab._utils.hashing import sha256_file
from seglab._utils.paths import share_dir, slug
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION
from seglab.evaluation.loop import evaluate
from seglab.evaluation.results import Results
from seglab.report.plan import Plan

TEMPLATE = "15_report.ipynb"
KEYS = ["model", "seed", "id", "target", "pred"]


def write(plan: Plan, out: str | Path, progress: bool = True) -> Path:
    """Write a report, or continue one; returns the path of its page.

    Raises ValueError if the folder holds a report of another plan, and the errors of `evaluate`.
    """
    from seglab.report import page

    share, out = share_dir(), Path(out)
    template = None if share is None else share / "notebooks" / TEMPLATE
    if template is None or not template.is_file():
        raise ValueError(f"notebooks/{TEMPLATE}, the template of reports, is missing; install seglab from its folder")
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
    return page.render(template, out, plan.heading(), progress)


def measure(plan: Plan, store: Path | None, progress: bool = True) -> dict[str, Results]:
    """Evaluate a plan: data set → results."""
    measured: dict[str, Results] = {}
    datasets = [data.load() for data in plan.data]
    if repeated := [name for name, n in Counter((d.name, d.split) for d in datasets).items() if n > 1]:
        raise ValueError(
            f"two data sets of the plan are named {repeated[0][0]!r}; state another name: in one of the cards"
        )
    for dataset in datasets:
        results = evaluate(
            plan.evaluables(dataset), dataset, store, size=plan.size, precision=plan.precision, batch=plan.batch,
            boundary=plan.boundary, calibration=plan.calibration, tile=plan.tile, overlap=plan.overlap,
            progress=progress,
        )  # fmt: skip
        measured[results.data] = results
    return measured


def _claim(plan: Plan, out: Path) -> None:
    """Write the plan into the folder; raise ValueError if the folder holds another plan."""
    values, path = json.loads(json.dumps(asdict(plan))), out / "plan.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else values
    if differing := [key for key in values if stored.get(key) != values[key]]:  # older plans lack some keys
        raise ValueError(
            f"{out} holds a report of another plan (it differs in {', '.join(differing)}); use another folder"
        )
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _manifest(plan: Plan, out: Path, measured: Mapping[str, Results]) -> dict[str, Any]:
    runs = [
        {"data": data, "model": name, "seed": None if pd.isna(seed) else int(seed), **results.identities[run]}
        for data, results in measured.items() for run, name, seed in results.measurements.runs()
    ]  # fmt: skip
    tables = sorted((out / "tables").rglob("*.csv"))
    return {
        "plan": asdict(plan), "runs": runs,
        "counts": {data: counts_hash(results) for data, results in measured.items()},
        "tables": {path.relative_to(out).as_posix(): sha256_file(path) for path in tables},
        "machine": machine(),
    }  # fmt: skip


def counts_hash(results: Results) -> str:
    """SHA-256 of the counts as sorted text: equal counts have equal hashes on every machine."""
    rows = results.counts.assign(seed=results.counts["seed"].astype("Int64")).sort_values(KEYS)
    return hashlib.sha256(rows[[*KEYS, "pixels"]].to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def write_tables(results: Results, folder: Path) -> None:
    """Write every table that follows from the counts alone as CSV; times are left out."""
    tables = {
        "summary": results.summary().drop(columns=["ms", "seeds", "why"]),
        "seeds": results.seeds(), "iou": results.iou_table(), "conventions": results.conventions(),
        "images": results.per_image(), "data": results.data_table(),
    }  # fmt: skip
    if len(results.names) > 1:
        tables["pairs"] = results.compare()
    for name in results.names:
        tables[f"classes-{slug(name)}"] = results.class_table(name)
        tables[f"confusion-{slug(name)}"] = results.confusion(name)
    kinds = set(results.tables.bins["kind"])
    if BOUNDARY in kinds:
        tables["boundary"] = results.boundary_iou()
    if CALIBRATION in kinds:
        tables |= {f"calibration-{slug(name)}": table for name, table in calibrations(results).items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table: equal values give equal bytes on every system."""
    table.to_csv(path, float_format="%.6f", lineterminator="\n")


def calibrations(results: Results) -> dict[str, pd.DataFrame]:
    """`Results.calibration` of each model that has one."""
    found = {}
    for name in results.names:
        try:
            found[name] = results.calibration(name)
        except ValueError:  # Mask2Former, other classes than the data, or label maps of another program
            continue
    return found
