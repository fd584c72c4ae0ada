"""What a reader of a comparison looks for first: who is ahead of whom, which mistakes, which images.

Pure functions from `Results` to sentences and tables; they are text, never markup.
"""

import platform
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglab._utils.environment import cpu_name
from seglab.data.catalogue import DATASETS
from seglab.data.classes import ClassSet, class_set
from seglab.data.dataset import Sample
from seglab.data.labels import read_mask
from seglab.data.loading import DataSelection
from seglab.data.palette import voc_colors
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.results import Results
from seglab.inference.prediction import predict
from seglab.models.registry import MODELS
from seglab.report.plan import Plan


def abstract(measured: Mapping[str, Results]) -> str:
    """What was compared on what, in a sentence."""
    names = list(dict.fromkeys(name for results in measured.values() for name in results.names))
    images = [f"{data} ({len(results.images)} images)" for data, results in measured.items()]
    seeds = {len(results.runs_of(name)) for results in measured.values() for name in results.names}
    trained = "each trained once" if seeds == {1} else "some of them trained several times"
    return f"{_listed(names)}, {trained}, judged on {_listed(images)}."


def readable(results: Results) -> pd.DataFrame:
    """`Results.summary` with words for columns, and numbers as one writes them."""
    rows = {}
    for name, row in results.summary().iterrows():
        rows[name] = {
            "mIoU": f"{row['miou']:.3f}", "interval": row["why"] or f"{row['low']:.3f} to {row['high']:.3f}",
            "pixel accuracy": f"{row['pixel_accuracy']:.3f}", "ms an image": _number(row["ms"], 0),
            "million parameters": _number(row["mparams"], 2), "10⁹ MACs": _number(row["gmacs"], 2),
            "MB of memory": _number(row["memory_mb"], 0),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def _number(value: float, digits: int) -> str:
    return "–" if pd.isna(value) else f"{value:.{digits}f}"


def verdict(results: Results) -> list[str]:
    """Who can be told apart, in sentences; what decides is `Results.compare`, whose intervals hold all at once."""
    names = results.summary().index.tolist()
    if len(names) == 1:
        return [f"{names[0]} alone is no comparison."]
    pairs = results.compare()
    if pairs["why"].any():
        return [f"No order can be claimed: {pairs['why'].iloc[0]}."]
    best = pairs[pairs["better"] == names[0]]
    beaten = best.loc[best["separable"], "worse"].tolist()
    equal = best.loc[~best["separable"], "worse"].tolist()
    said = []
    if beaten:
        said.append(f"{names[0]} is ahead of {_listed(beaten)}: the interval of each difference leaves out zero.")
    if equal:
        begin = "It" if beaten else f"{names[0]} has the highest mIoU, but"
        said.append(f"{begin} cannot be told from {_listed(equal)} on these images.")
    told = int(pairs["separable"].sum())
    said.append(f"Of all {len(pairs)} pairs, {told} can be told apart.")
    return said


def mistakes(results: Results, count: int = 3) -> pd.DataFrame:
    """The most frequent mistakes of each model.

    Returns:
        A row a mistake: model, target, called, of_target (share of the target's pixels that were called so),
        of_mistakes (share of all pixels that this model got wrong).
    """
    frames = []
    for name in results.names:
        table = results.confusion(name)
        long = table.reset_index().melt("target", var_name="pred", value_name="pixels")
        wrong = long[(long["target"] != long["pred"]) & (long["pixels"] > 0)].nlargest(count, "pixels")
        whole = long["pixels"].sum() - sum(table.loc[c, c] for c in table.index)
        frames.append(pd.DataFrame({
            "model": name, "target": wrong["target"], "called": wrong["pred"],
            "of_target": wrong["pixels"] / table.sum(axis=1).reindex(wrong["target"]).to_numpy(),
            "of_mistakes": wrong["pixels"] / max(whole, 1),
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def square(confusion: pd.DataFrame) -> tuple[NDArray[np.int64], ClassSet]:
    """A table of `Results.confusion` as (K, K), and its classes, with *other* as the last one where it is needed."""
    names = list(confusion.columns)
    table = confusion.reindex(names, fill_value=0).to_numpy(np.int64)
    return table, ClassSet("judged classes", tuple(names), voc_colors(len(names)))


def telling_images(results: Results) -> pd.DataFrame:
    """Images to look at: where the best model is best and worst, and where models are furthest apart.

    Returns:
        A row an image, why it is here ("best", "worst", "most disputed") as index: id, and the mIoU of each model
        (first seed) on it. An image appears once.
    """
    rows = results.per_image()
    first = rows.drop_duplicates(["model", "id"])
    table = first.pivot_table(index="id", columns="model", values="miou")[results.names].dropna()
    best = results.summary().index[0]
    wanted = {"best": table[best].idxmax(), "worst": table[best].idxmin()}
    if len(results.names) > 1:
        left = table.drop(index=list(wanted.values()), errors="ignore")
        if len(left):
            wanted["most disputed"] = (left.max(axis=1) - left.min(axis=1)).idxmax()
    chosen = pd.DataFrame({why: table.loc[image] for why, image in wanted.items()}).T
    chosen.insert(0, "id", list(wanted.values()))
    return chosen[~chosen["id"].duplicated()].rename_axis(index="why", columns=None)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def predictions_of(plan: Plan, data: DataSelection, image_id: str) -> tuple[Sample, dict[str, tuple[Tensor, ClassSet]]]:
    """An image of a plan, and what each model says of it: name → mask (H,W) and the model's own classes."""
    dataset = data.load()
    sample = dataset[dataset.ids.index(image_id)]
    said: dict[str, tuple[Tensor, ClassSet]] = {}
    for name, judged in plan.evaluables(dataset):
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
