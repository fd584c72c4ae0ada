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

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from seglab._utils.paths import slug
from seglab.evaluation.results import Results
from seglab.report.build import KEYS, measure, write_tables
from seglab.report.plan import plan_from


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
