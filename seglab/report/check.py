"""Check a report: evaluate its plan again, and compare every pixel and every value of its tables."""

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
    """Evaluate a report's plan again; returns a line for each difference. ValueError if no report is finished there."""
    out = Path(out)
    if not (out / "manifest.json").is_file():
        raise ValueError(f"{out} holds no finished report: manifest.json is missing; finish it with seglab report")
    plan = plan_from(json.loads((out / "manifest.json").read_text(encoding="utf-8"))["plan"], "the manifest")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measured = measure(plan, folder / "counts.sqlite", progress)
        differences = [line for data, results in measured.items() for line in _differing_pixels(data, results, out)]
        for data, results in measured.items():
            write_tables(results, folder / "tables" / slug(data))
        return differences + list(_differing_cells(folder / "tables", out / "tables"))


def _differing_pixels(data: str, results: Results, out: Path) -> Iterator[str]:
    """For each model, how many pixels are predicted differently than in the report, at least."""
    stored = pd.read_parquet(out / "counts.parquet")
    before, now = (rows.groupby(KEYS, dropna=False)["pixels"].sum()
                   for rows in (stored[stored["data"] == data], results.counts))  # fmt: skip
    changes = now.sub(before, fill_value=0).abs()
    for name, pixels in (changes.groupby("model").sum() / 2).items():
        if pixels:
            total = int(results.counts.loc[results.counts["model"] == name, "pixels"].sum())
            yield f"{data}, {name}: at least {pixels:.0f} of {total} pixels differ"


def _differing_cells(new: Path, old: Path) -> Iterator[str]:
    """For each cell of a table, its old and its new text if they differ."""
    for path in sorted({path.relative_to(folder) for folder in (new, old) for path in folder.rglob("*.csv")}):
        if not (new / path).is_file() or not (old / path).is_file():
            yield f"{path.as_posix()}: only in {'this run' if (new / path).is_file() else 'the report'}"
            continue
        ours, theirs = (pd.read_csv(folder / path, dtype=str, keep_default_na=False) for folder in (new, old))
        if ours.shape != theirs.shape or list(ours) != list(theirs):
            yield f"{path.as_posix()}: {ours.shape} cells here, {theirs.shape} in the report"
            continue
        for row, column in zip(*(ours.to_numpy() != theirs.to_numpy()).nonzero(), strict=True):
            before, now = theirs.iloc[row, column], ours.iloc[row, column]
            yield f"{path.as_posix()}: {ours.iloc[row, 0]}, {ours.columns[column]}: {before} in the report, {now} here"
