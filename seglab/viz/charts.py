"""Charts of measured values: classes, runs, trainings, intervals. Colours and descriptions as in `style`."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.data.classes import ClassSet
from seglab.metrics.calibration import FIXED_POINT, expected_calibration_error
from seglab.metrics.confusion import Counts
from seglab.viz.style import INK, SERIES, SOFT, Figure, figure, percent, styled


@styled
def class_bars(
    values: Mapping[str, ArrayLike], classes: ClassSet, label: str = "IoU", log: bool = False, width: float = 9.5
) -> Figure:
    """A bar for every class: IoU, share of pixels, or another value, for one source or several.

    Args:
        values: source → (K,) values in the order of the classes; NaN where a class is absent.
        label: what the values are.
        log: logarithmic axis.
    """
    tables = {name: np.asarray(v, np.float64) for name, v in values.items()}

    def said(value: float) -> str:
        return "absent" if np.isnan(value) else f"{value:.2%}" if log else f"{value:.2f}"

    each = [
        f"{n}: " + ", ".join(f"{c} {said(v)}" for c, v in zip(classes.names, t, strict=True)) for n, t in tables.items()
    ]
    alt = f"{label} of each class. {'. '.join(each)}."
    fig, ax = figure(width, 3.0, alt)
    place = np.arange(len(classes))
    share = 0.8 / len(tables)
    for i, (name, table) in enumerate(tables.items()):
        x = place + (i - (len(tables) - 1) / 2) * share
        alone = len(tables) == 1
        colors = classes.palette[: len(classes)] / 255 if alone else SERIES[i % len(SERIES)]
        if log:  # a bar would end at an arbitrary floor
            ax.plot(place, table, "o", ms=7, color=SERIES[i % len(SERIES)], label=name, alpha=0.85)
        else:
            ax.bar(x, table, share * 0.94, color=colors, label=name)
        for xi, value in zip(x, table, strict=True):
            if np.isnan(value):
                ax.text(xi, 0.01, "–", ha="center", color=SOFT, transform=ax.get_xaxis_transform())
    tilt = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(classes) > 8 else {}
    ax.set_xticks(place, classes.names, **tilt)
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
    """A confusion matrix as shares of each target class; rows are targets. Classes without pixels are left out."""
    table = np.asarray(confmat, np.float64)
    present = np.flatnonzero(table.sum(0) + table.sum(1))
    shares = table[np.ix_(present, present)] / np.maximum(table.sum(1)[present, None], 1)
    names = [classes.names[k] for k in present]
    worst = [(shares[i, j], names[i], names[j]) for i in range(len(names)) for j in range(len(names)) if i != j]
    mistakes = "; ".join(f"{100 * s:.0f} % of {a} called {b}" for s, a, b in sorted(worst, reverse=True)[:3] if s > 0)
    right = ", ".join(f"{n} {percent(shares[i, i])}" for i, n in enumerate(names))
    fig, ax = figure(
        width, width * 0.92, f"Confusion matrix. Right: {right}. Most frequent mistakes: {mistakes or 'none'}."
    )
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("prediction")
    ax.set_ylabel("target")
    ax.spines[:].set_visible(False)
    if len(names) <= 25:
        for (i, j), share in np.ndenumerate(shares):
            if share >= 0.005:
                ax.text(
                    j,
                    i,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if share > 0.5 else INK,
                )
    ax.set_title("% of each target class")
    return fig


@styled
def reliability(counts: Counts | Mapping[str, Counts], width: float = 4.2) -> Figure:
    """How often a model was right at each confidence; the larger a dot, the more pixels. Several models by name.

    Args:
        counts: from `metrics.calibration_counts`; or name → such counts.
    """
    models = counts if isinstance(counts, Mapping) else {"": counts}
    fig, ax = figure(width, width, "")
    ax.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":")
    said = []
    for (name, table), color in zip(models.items(), SERIES, strict=False):
        pixels, right, fixed = np.moveaxis(np.asarray(table, np.float64), -1, 0)
        seen = pixels > 0
        confidence, accuracy = fixed[seen] / FIXED_POINT / pixels[seen], right[seen] / pixels[seen]
        error = f"expected calibration error {expected_calibration_error(table):.2f}"
        ax.plot(confidence, accuracy, color=color, lw=1, label=f"{name}\n{error}" if name else "")
        ax.scatter(confidence, accuracy, 12 + 200 * pixels[seen] / pixels.sum(), color=color, alpha=0.85)
        pairs = ", ".join(f"{c:.2f} → {a:.2f}" for c, a in zip(confidence, accuracy, strict=True))
        said.append(f"{name + ', ' if name else ''}{error}: {pairs}")
    fig.alt = f"Reliability diagram, confidence → share right. {'. '.join(said)}."
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share right", aspect="equal")
    ax.grid()
    if any(models):
        ax.legend(loc="upper left", fontsize=8)
    return fig


@styled
def lines(
    table: pd.DataFrame, xlabel: str, ylabel: str, width: float = 7.5, height: float = 3.2,
    classes: ClassSet | None = None,
) -> Figure:  # fmt: skip
    """One line a column over the index, its points marked where they are few.

    A column named after one of `classes` has its colour.
    """
    colors = dict(zip(classes.names, classes.palette / 255, strict=False)) if classes else {}
    ends = {c: s.dropna() for c, s in table.items()}
    said = "; ".join(f"{c} from {s.iloc[0]:.3g} to {s.iloc[-1]:.3g}" for c, s in ends.items() if len(s))
    fig, ax = figure(width, height, f"{ylabel} over {xlabel}: {said}.")
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
    """Losses on the left; on the right mIoU, and behind it the IoU of each class in its colour."""
    last = history.iloc[-1]
    alt = f"Training over {len(history)} epochs: loss {last['loss']:.2f}, validation loss {last['val_loss']:.2f}, "
    fig, (left, right) = figure(
        width, 3.0, f"{alt}mIoU {last['miou']:.2f}, at best {history['miou'].max():.2f}.", ncols=2
    )
    left.plot(history.index, history["loss"], color=SOFT, label="training loss")
    left.plot(history.index, history["val_loss"], color=SERIES[0], label="validation loss")
    left.set(xlabel="epoch", title="loss", ylim=(0, None))
    lines = {name: (classes.palette[k] / 255, 1.0) for k, name in enumerate(classes.names)} | {"miou": (INK, 2.2)}
    for name, (color, thick) in lines.items():
        right.plot(history.index, history[name], color=color, lw=thick, alpha=1 if name == "miou" else 0.75)
    ends = last[list(lines)].fillna(0).sort_values()
    for height, name in zip(_apart(ends.to_numpy(float), 0.055), ends.index, strict=True):
        shown, weight = ("mIoU", "bold") if name == "miou" else (name, "normal")
        right.annotate(
            shown, (1.01, height), xycoords=("axes fraction", "data"), fontsize=7.5, va="center", weight=weight
        )
    right.set(xlabel="epoch", title="IoU on the validation images", ylim=(0, 1))
    for ax in (left, right):
        ax.grid(axis="y")
    left.legend(loc="upper right")
    return fig


def _apart(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Rising heights, moved as little as need be to lie at least `gap` apart, between 0 and 1 where they fit."""
    up = np.maximum.accumulate(heights - gap * np.arange(len(heights))) + gap * np.arange(len(heights))
    down = np.minimum(up, 1 - gap * np.arange(len(heights))[::-1])
    return np.asarray(down, np.float64)


def live_chart(classes: ClassSet) -> Callable[[pd.DataFrame], None]:
    """For `fit(on_epoch=…)` in a notebook: a chart of losses and mIoU that grows with every epoch."""
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    draw = handle.display

    def show(history: pd.DataFrame) -> None:
        nonlocal draw
        draw(training(history, classes))
        draw = handle.update

    return show
