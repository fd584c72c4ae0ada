"""Findings of a comparison: the ranking, frequent mistakes, and informative images.

Functions from `Results` to sentences and tables, as plain text without markup.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping
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
from seglab.data.loading import DataSelection, title_of
from seglab.data.palette import voc_colors
from seglab.evaluation.evaluators import Predictions
from seglab.evaluation.results import Results
from seglab.inference.prediction import predict
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.report.plan import Plan


def abstract(measured: Mapping[str, Results]) -> str:
    """One sentence: the models, their trainings and the data."""
    names = list(dict.fromkeys(name for results in measured.values() for name in results.names))
    images = [f"{data} ({len(results.images)} images)" for data, results in measured.items()]
    seeds = {len(results.runs_of(name)) for results in measured.values() for name in results.names}
    trained = "each trained once" if seeds == {1} else "some of them trained several times"
    return f"{_listed(names)}, {trained}, evaluated on {_listed(images)}."


def readable(results: Results) -> pd.DataFrame:
    """`Results.summary` with readable column names and rounded numbers as text."""
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
    """The ranking in sentences; differences are significant by the simultaneous intervals of `Results.compare`."""
    names = results.summary().index.tolist()
    if len(names) == 1:
        return [f"{names[0]} alone is no comparison."]
    pairs = results.compare()
    if pairs["why"].any():
        return [f"The results support no ranking ({pairs['why'].iloc[0]})."]
    best = pairs[pairs["better"] == names[0]]
    beaten, equal = (best.loc[best["separable"] == significant, "worse"].tolist() for significant in (True, False))
    sentences = []
    if beaten:
        sentences.append(f"{names[0]} is ahead of {_listed(beaten)}: the interval of each difference excludes zero.")
    if equal:
        subject = "It" if beaten else f"{names[0]} has the highest mIoU, but"
        sentences.append(f"{subject} is not significantly different from {_listed(equal)} on these images.")
    return [*sentences, f"Of all {len(pairs)} pairs, {int(pairs['separable'].sum())} differ significantly."]


def mistakes(results: Results, count: int = 3) -> pd.DataFrame:
    """The most frequent confusions of each model, one row each.

    Returns:
        model, target, predicted, of_target (fraction of the target's pixels that were predicted so), of_mistakes
        (fraction of all wrong pixels of the model).
    """
    frames = []
    for name in results.names:
        table = results.confusion(name)
        long = table.reset_index().melt("target", var_name="pred", value_name="pixels")
        wrong = long[(long["target"] != long["pred"]) & (long["pixels"] > 0)].nlargest(count, "pixels")
        all_wrong = long["pixels"].sum() - sum(table.loc[c, c] for c in table.index)
        frames.append(pd.DataFrame({
            "model": name, "target": wrong["target"], "predicted": wrong["pred"],
            "of_target": wrong["pixels"] / table.sum(axis=1).reindex(wrong["target"]).to_numpy(),
            "of_mistakes": wrong["pixels"] / max(all_wrong, 1),
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def square(confusion: pd.DataFrame) -> tuple[NDArray[np.int64], ClassSet]:
    """A table of `Results.confusion` as int64 (K, K), and its classes; the last one is *other* if it occurs."""
    names = list(confusion.columns)
    table = confusion.reindex(names, fill_value=0).to_numpy(np.int64)
    return table, ClassSet("evaluated classes", tuple(names), voc_colors(len(names)))


def telling_images(results: Results) -> pd.DataFrame:
    """The images with the best model's highest and lowest mIoU, and the one on which the models differ most.

    Returns:
        Rows "best", "worst", "most disputed"; columns id, and the mIoU of each model (first seed). Each image appears
        once.
    """
    rows = results.per_image()
    first = rows.drop_duplicates(["model", "id"])
    table = first.pivot_table(index="id", columns="model", values="miou")[results.names].dropna()
    best = results.summary().index[0]
    images = {"best": table[best].idxmax(), "worst": table[best].idxmin()}
    others = table.drop(index=list(images.values()), errors="ignore")
    if len(results.names) > 1 and len(others):
        images["most disputed"] = (others.max(axis=1) - others.min(axis=1)).idxmax()
    chosen = pd.DataFrame({why: table.loc[image] for why, image in images.items()}).T
    chosen.insert(0, "id", list(images.values()))
    return chosen[~chosen["id"].duplicated()].rename_axis(index="why", columns=None)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def predictions_of(
    plan: Plan, data: DataSelection, ids: Iterable[str]
) -> Iterator[tuple[Sample, dict[str, tuple[Tensor, ClassSet]]]]:
    """Images of a plan and each model's prediction (first seed): name → mask (H,W), classes of the mask."""
    dataset = data.load()
    models: dict[str, Predictions | SegModel] = {}
    for name, model in plan.evaluables(dataset):
        if name not in models:  # else another seed
            models[name] = model if isinstance(model, Predictions | SegModel) else load_model(model)
    for image_id in ids:
        sample = dataset[dataset.ids.index(image_id)]
        yield sample, {name: _prediction(plan, model, sample) for name, model in models.items()}


def _prediction(plan: Plan, model: Predictions | SegModel, sample: Sample) -> tuple[Tensor, ClassSet]:
    if isinstance(model, Predictions):
        classes = class_set(model.classes)
        return read_mask(model.path(sample.id), classes), classes
    p = predict(
        model, sample.image, precision=plan.precision, tile=plan.tile, overlap=plan.overlap, runtime=plan.runtime
    )
    return p.mask, p.classes


def worst_images(results: Results) -> pd.DataFrame:
    """For each class and model the image with most pixels of errors: class, model, image, pixels, IoU on this image."""
    firsts = {name: results.parts[results.runs_of(name)[0]] for name in results.names}
    ids, rows = results.images["id"].tolist(), []
    for k, label in enumerate(results.evaluated):
        for name, parts in firsts.items():
            hits, target, pred = parts[:, k].T
            union = target + pred - hits
            i = int((union - hits).argmax())
            if errors := int(union[i] - hits[i]):
                rows.append((label, name, ids[i], errors, f"{hits[i] / union[i]:.2f}"))
    return pd.DataFrame(rows, columns=["class", "model", "image", "pixels of errors", "IoU"])


def in_percent(confusion: pd.DataFrame) -> pd.DataFrame:
    """A table of `Results.confusion` in percent of each row, as text with one decimal; "–" for an absent class."""
    percent = 100 * confusion.div(confusion.sum(axis=1).where(lambda total: total > 0), axis=0)
    return percent.map(lambda value: "–" if pd.isna(value) else f"{value:.1f}").rename_axis(columns=None)


def colophon() -> str:
    """One sentence: versions, date and processor."""
    threads = torch.get_num_threads()
    return (
        f"Made with seglab {version('seglab')}, torch {version('torch')} and Python {platform.python_version()}"
        f" on {date.today():%d %B %Y}, on {cpu_name()} with {threads} thread{'s' * (threads != 1)}."
    )


def commands(folder: Path | None) -> str:
    """The commands that make a report again and check it."""
    name = folder.name if folder else "mine"
    return f"seglab report {name}/plan.json --out again\nseglab report --check {name}"


def licences(plan: Plan) -> pd.DataFrame:
    """The licences of data and weights: columns what and licence, one row for each data set and model."""
    rows = {}
    for data in plan.data:
        spec = DATASETS.get(data.name.partition(":")[0])
        rows[title_of(data.name)] = ("data", spec.licence if spec else "see the source of the data")
    for name, (label, *_) in plan.models.items():
        model, _, weights = (label if isinstance(label, str) else label["model"]).partition(":")
        known = MODELS[model].weights if model in MODELS else {}
        row = known.get(weights or next(iter(known), ""))
        rows[name] = ("weights", row.licence if row else "see the source of the weights")
    rows |= dict.fromkeys(plan.predictions, ("label maps", "see the source of the label maps"))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["what", "licence"])
