"""Charts of measured values: classes, confusion, calibration, training. Widths and heights are in inches."""

from collections.abc import Callable, Mapping
from itertools import chain, repeat

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from torch import Tensor

from seglab.data.classes import ClassSet
from seglab.metrics.calibration import FIXED_POINT, expected_calibration_error
from seglab.metrics.confusion import Counts
from seglab.viz.style import INK, SERIES, SOFT, Figure, figure, percent, styled


@styled
def class_bars(
    values: Mapping[str, ArrayLike], classes: ClassSet, label: str = "IoU", log: bool = False, width: float = 9.5
) -> Figure:
    """A bar for every class: `values` is source → float (K,) in the order of the classes, NaN where a class is absent.

    A label that ends in "IoU" sets the axis to 0–1. `log` draws dots on a logarithmic axis, labelled in percent.
    """
    tables = {source: np.asarray(v, np.float64) for source, v in values.items()}
    fig, ax = figure(width, 3.0, "")
    positions, bar, parts = np.arange(len(classes)), 0.8 / len(tables), []
    for i, (source, table) in enumerate(tables.items()):
        texts = ["absent" if np.isnan(v) else f"{v:.2%}" if log else f"{v:.2f}" for v in table]
        parts.append(f"{source}: {', '.join(map(' '.join, zip(classes.names, texts, strict=True)))}")
        x, color = positions + (i - (len(tables) - 1) / 2) * bar, SERIES[i % len(SERIES)]
        if log:
            ax.plot(positions, table, "o", ms=7, color=color, label=source, alpha=0.85)
        else:
            colors = classes.palette[: len(classes)] / 255 if len(tables) == 1 else color
            ax.bar(x, table, bar * 0.94, color=colors, label=source)
        for absent in x[np.isnan(table)]:
            ax.text(absent, 0.01, "–", ha="center", color=SOFT, transform=ax.get_xaxis_transform())
    fig.alt = f"{label} of each class. {'. '.join(parts)}."
    tilt = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(classes) > 8 else {}
    ax.set_xticks(positions, classes.names, **tilt)
    ax.set_ylabel(label)
    ax.grid(axis="y")
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
    elif label.endswith("IoU"):
        ax.set_ylim(0, 1)
    if len(tables) > 1:
        ax.legend(ncols=len(tables), loc="lower left", bbox_to_anchor=(0, 1))
    return fig


@styled
def confusion(confmat: ArrayLike | Tensor, classes: ClassSet, width: float = 6.5) -> Figure:
    """A confusion matrix (K, K), rows are targets, in percent of each row. Classes without pixels are left out."""
    table = np.asarray(confmat, np.float64)
    present = np.flatnonzero(table.sum(0) + table.sum(1))
    fractions = table[np.ix_(present, present)] / np.maximum(table.sum(1)[present, None], 1)
    names = [classes.names[k] for k in present]
    correct = ", ".join(f"{name} {percent(fractions[i, i])}" for i, name in enumerate(names))
    errors = [(f, names[i], names[j]) for (i, j), f in np.ndenumerate(fractions) if i != j and f > 0]
    worst = [f"{100 * f:.0f} % of {target} predicted as {pred}" for f, target, pred in sorted(errors, reverse=True)[:3]]
    alt = f"Confusion matrix. Correct: {correct}. Most frequent errors: {'; '.join(worst) or 'none'}."
    fig, ax = figure(width, width * 0.92, alt)
    ax.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="prediction", ylabel="target", title="% of each target class")
    ax.spines[:].set_visible(False)
    for i, j in np.argwhere(fractions >= 0.005) if len(names) <= 25 else ():
        f = fractions[i, j]
        ax.text(j, i, f"{100 * f:.0f}", ha="center", va="center", fontsize=8, color="white" if f > 0.5 else INK)
    return fig


@styled
def reliability(counts: Counts | Mapping[str, Counts], width: float = 4.2) -> Figure:
    """Reliability diagram: accuracy at each confidence, for one model or several by name. Large dots have many pixels.

    The counts are int64 (bins, 3) from `metrics.calibration_counts`.
    """
    models = counts if isinstance(counts, Mapping) else {"": counts}
    fig, ax = figure(width, width, "")
    ax.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":")
    parts = []
    for (name, table), color in zip(models.items(), SERIES, strict=False):
        bins = np.asarray(table, np.float64)
        pixels, correct, confidences = bins[bins[:, 0] > 0].T
        confidence, accuracy = confidences / FIXED_POINT / pixels, correct / pixels
        error = f"expected calibration error {expected_calibration_error(table):.2f}"
        ax.plot(confidence, accuracy, color=color, lw=1, label=f"{name}\n{error}" if name else "")
        ax.scatter(confidence, accuracy, 12 + 200 * pixels / pixels.sum(), color=color, alpha=0.85)
        pairs = ", ".join(f"{c:.2f} → {a:.2f}" for c, a in zip(confidence, accuracy, strict=True))
        parts.append(f"{name + ', ' if name else ''}{error}: {pairs}")
    fig.alt = f"Reliability diagram, confidence → accuracy. {'. '.join(parts)}."
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy", aspect="equal")
    ax.grid()
    if any(models):
        ax.legend(loc="upper left", fontsize=8)
    return fig


@styled
def lines(
    table: pd.DataFrame, xlabel: str, ylabel: str, width: float = 7.5, height: float = 3.2,
    classes: ClassSet | None = None,
) -> Figure:  # fmt: skip
    """One line for each column over the index. A column named after one of `classes` has the colour of that class."""
    colors = dict(zip(classes.names, classes.palette / 255, strict=False)) if classes else {}
    ends = {c: s.dropna() for c, s in table.items()}
    changes = "; ".join(f"{c} from {s.iloc[0]:.3g} to {s.iloc[-1]:.3g}" for c, s in ends.items() if len(s))
    fig, ax = figure(width, height, f"{ylabel} over {xlabel}: {changes}.")
    for name, column in table.items():
        ax.plot(table.index, column, label=str(name), color=colors.get(str(name)), marker="o" if len(table) < 9 else "")
    if pd.api.types.is_integer_dtype(table.index):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(axis="y")
    if table.shape[1] > 1:
        ax.legend()
    return fig


@styled
def training(history: pd.DataFrame, classes: ClassSet, width: float = 9.5) -> Figure:
    """A training run: losses on the left, validation mIoU and IoU of each class on the right.

    `history` has one row for each epoch; its columns are loss, val_loss, miou, and the names of the classes.
    """
    last = history.iloc[-1]
    alt = f"Training over {len(history)} epochs: loss {last['loss']:.2f}, validation loss {last['val_loss']:.2f}, "
    alt += f"mIoU {last['miou']:.2f}, at best {history['miou'].max():.2f}."
    fig, (left, right) = figure(width, 3.0, alt, ncols=2)
    left.plot(history.index, history["loss"], color=SOFT, label="training loss")
    left.plot(history.index, history["val_loss"], color=SERIES[0], label="validation loss")
    left.set(xlabel="epoch", title="loss", ylim=(0, None))
    left.legend(loc="upper right")
    for k, name in enumerate(classes.names):
        right.plot(history.index, history[name], color=classes.palette[k] / 255, lw=1, alpha=0.75)
    right.plot(history.index, history["miou"], color=INK, lw=2.2)
    ends = last[[*classes.names, "miou"]].fillna(0).sort_values()
    steps = 0.055 * np.arange(len(ends))  # names are moved as little as possible to be a step apart, and at most at 1
    heights = np.minimum(np.maximum.accumulate(ends.to_numpy(float) - steps) + steps, 1 - steps[::-1])
    for height, name in zip(heights, ends.index, strict=True):
        text, weight = ("mIoU", "bold") if name == "miou" else (name, "normal")
        right.text(1.01, height, text, fontsize=7.5, va="center", weight=weight, transform=right.get_yaxis_transform())
    right.set(xlabel="epoch", title="IoU on the validation images", ylim=(0, 1))
    for ax in (left, right):
        ax.grid(axis="y")
    return fig


def live_chart(classes: ClassSet) -> Callable[[pd.DataFrame], None]:
    """For `fit(on_epoch=…)` in a notebook: the chart of `training`, displayed once and updated after each epoch."""
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    calls = chain([handle.display], repeat(handle.update))
    return lambda history: next(calls)(training(history, classes))
