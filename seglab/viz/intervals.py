"""Charts of a comparison: values with their uncertainty, and quality against cost. Widths are in inches."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from seglab.viz.style import ACCENT, INK, PAPER, SERIES, SOFT, Figure, figure, styled


def _label_rows(ax: Axes, names: Iterable[object], label: str = "") -> None:
    """Name the rows 0, 1, … from top to bottom, and label the axis of values."""
    texts = [str(name) for name in names]
    ax.set_yticks(range(len(texts)), texts)
    ax.set(ylim=(len(texts) - 0.5, -0.5), xlabel=label)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


@styled
def run_dots(table: pd.DataFrame, width: float = 9.5) -> Figure:
    """Every run (row) as a dot, one panel for each measure (column), one line for each group (index).

    The shaded band is the range of the runs in the first group.
    """
    groups = {group: table.loc[[group]] for group in dict.fromkeys(table.index)}
    size, parts = (width, 0.34 * len(groups) + 0.7), []
    fig, axes = figure(*size, "", ncols=len(table.columns), sharey=True, squeeze=False)
    for ax, measure in zip(axes.flat, table.columns, strict=True):
        texts = []
        for y, (group, runs) in enumerate(groups.items()):
            values, color = runs[measure].to_numpy(), SERIES[y % len(SERIES)]
            mean, low, high = values.mean(), values.min(), values.max()
            texts.append(f"{group} {mean:.2f} ({low:.2f} to {high:.2f})")
            if y == 0:
                ax.axvspan(low, high, color=color, alpha=0.13, lw=0)
            ax.plot([mean] * 2, [y - 0.3, y + 0.3], color=color, lw=2)
            ax.plot(values, np.full(len(values), y), "o", color=color, ms=5.5, mec=PAPER, mew=0.7, alpha=0.85)
        parts.append(f"{measure}: {', '.join(texts)}")
        _label_rows(ax, groups)
        ax.set_title(measure)
        ax.margins(x=0.12)
        ax.locator_params(axis="x", nbins=4)
    fig.alt = f"Every run as a dot; mean and range of each group. {'. '.join(parts)}."
    return fig


@styled
def forest_plot(table: pd.DataFrame, label: str = "mIoU", zero: bool = False, width: float = 7.5) -> Figure:
    """Values (first column) with intervals (columns low and high, NaN for none), one row each, the first on top.

    `zero` draws the line of no difference; intervals that exclude zero are dark.
    """
    fig, ax = figure(width, 0.34 * len(table) + 0.8, "")
    parts = []
    for y, (name, row) in enumerate(table.iterrows()):
        value, low, high = row.iloc[0], row["low"], row["high"]
        parts.append(f"{name} {value:.3f}" + ("" if np.isnan(low) else f" ({low:.3f} to {high:.3f})"))
        color = SERIES[0] if not zero else INK if low > 0 or high < 0 else SOFT
        ax.plot([low, high], [y, y], color=color, lw=2, solid_capstyle="butt")
        ax.plot(value, y, "o", color=color, ms=6)
    if zero:
        ax.axvline(0, color=ACCENT, lw=1)
    _label_rows(ax, table.index, label)
    fig.alt = f"{label} with intervals: {'; '.join(parts)}."
    return fig


@styled
def coverage(table: pd.DataFrame, truth: float, label: str = "mIoU", width: float = 9.5) -> Figure:
    """Confidence intervals from many test sets (rows; columns value, low, high), sorted by their value.

    They should contain `truth`, the value on a very large set.
    """
    rows = table.sort_values("value", ignore_index=True)
    covered = (rows["low"] <= truth) & (truth <= rows["high"])
    alt = f"Intervals of the {label} from {len(rows)} test sets; {int(covered.sum())} contain {truth:.3f}"
    fig, ax = figure(width, 3.2, f"{alt}, the value on a very large set.")
    for selected, color, name in ((rows[covered], SERIES[0], "contains it"), (rows[~covered], ACCENT, "misses it")):
        ax.vlines(selected.index, selected["low"], selected["high"], color=color, alpha=0.75,
                  lw=max(0.6, 300 / len(rows)), label=f"{name}: {len(selected)}")  # fmt: skip
    ax.plot(rows.index, rows["value"], color=INK, lw=1)
    ax.axhline(truth, color=INK, lw=1, ls=":")
    ax.set(xlabel="test set, sorted by its value", ylabel=label, xlim=(-1, len(rows)))
    for line in ax.legend(ncols=2, loc="upper left").get_lines():
        line.set_linewidth(3)
    ax.grid(axis="y")
    return fig


@styled
def dot_plot(table: pd.DataFrame, label: str = "mIoU", width: float = 9.5) -> Figure:
    """One number in several versions: a row for each row of the table, a dot for each column; NaN draws no dot."""
    parts = [f"{name}: " + ", ".join(f"{c} {v:.3f}" for c, v in row.dropna().items()) for name, row in table.iterrows()]
    height, count = 0.29 * len(table) + 0.6, table.shape[1]
    alt = f"{label} in {len(table)} versions. {'; '.join(parts)}."
    fig, ax = figure(width, height + (0.25 if count > 1 else 0), alt)
    for i, (name, values) in enumerate(table.items()):
        offset = min(0.2, 0.6 / count) * (i - (count - 1) / 2)  # so that equal values do not cover each other
        y, color = np.arange(len(table)) + offset, SERIES[i % len(SERIES)]
        ax.plot(values, y, "o", color=color, ms=7, mec=PAPER, mew=0.7, label=str(name))
    _label_rows(ax, table.index, label)
    ax.grid(axis="y")
    if count > 1:
        ax.legend(ncols=count, loc="lower left", bbox_to_anchor=(0, 1))
    return fig


@styled
def histograms(
    values: Mapping[str, ArrayLike], label: str = "mIoU", level: float = 0.95, zero: bool = False, width: float = 9.5
) -> Figure:
    """Distributions of float (N,) values, one row for each name, on a common axis.

    The middle `level` (a fraction) of each is dark; `zero` draws the line of no difference.
    """
    samples, parts = {name: np.asarray(v, np.float64) for name, v in values.items()}, []
    fig, axes = figure(width, 0.85 * len(samples) + 0.55, "", nrows=len(samples), sharex=True, squeeze=False)
    edges = np.histogram_bin_edges(np.concatenate(list(samples.values())), 69)
    for i, (ax, (name, sample)) in enumerate(zip(axes.flat, samples.items(), strict=True)):
        low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
        parts.append(f"{name} {low:.3f} to {high:.3f}")
        for bar in ax.hist(sample, edges, color=SERIES[i % len(SERIES)])[2]:
            bar.set_alpha(0.95 if low <= bar.get_x() + bar.get_width() / 2 <= high else 0.35)
        ax.set_title(f"{name}: {low:.3f} to {high:.3f}", fontsize=9.5)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        if zero:
            ax.axvline(0, color=ACCENT, lw=1)
    axes.flat[-1].set_xlabel(label)
    fig.alt = f"Histograms of {label}; the middle {level:.0%} of each: {'; '.join(parts)}."
    return fig


@styled
def leaderboard(tables: Mapping[str, pd.DataFrame], label: str = "mIoU", width: float = 9.5) -> Figure:
    """Values with intervals: a panel for each data set, a row for each model, in the order of the first table.

    Each table has models as rows, the value in the first column, and columns low and high (NaN for no interval).
    """
    names, parts = next(iter(tables.values())).index, []
    size, shared = (width, 0.36 * len(names) + 0.9), {"sharex": True, "sharey": True}
    fig, axes = figure(*size, "", ncols=len(tables), squeeze=False, **shared)
    for ax, (data, table) in zip(axes.flat, tables.items(), strict=True):
        parts.append(f"{data}: " + ", ".join(f"{name} {value:.3f}" for name, value in table.iloc[:, 0].items()))
        rows = table.reindex(names)
        for y, (value, low, high) in enumerate(zip(rows.iloc[:, 0], rows["low"], rows["high"], strict=True)):
            color = SERIES[y % len(SERIES)]
            ax.plot([low, high], [y, y], color=color, lw=3, alpha=0.4, solid_capstyle="round")
            ax.plot(value, y, "o", color=color, ms=7, mec=PAPER, mew=0.8)
            if not np.isnan(value):
                ax.annotate(f"{value:.2f}", (value, y), (0, 7), textcoords="offset points", ha="center", fontsize=8)
        _label_rows(ax, names, label)
        ax.set(title=data, ylim=(len(names) - 0.5, -0.7))
    fig.alt = f"{label} of each model. {'. '.join(parts)}."
    return fig


@styled
def quality_against_cost(table: pd.DataFrame, cost: str, label: str, width: float = 7.5) -> Figure:
    """mIoU against cost, a dot for each model. The line joins the models that no cheaper model exceeds (Pareto front).

    Rows are models; columns are miou, low, high, and `cost`, > 0 or NaN to leave a model out. `label` names its unit.
    """
    rows = table.dropna(subset=cost).sort_values(cost)
    parts = "; ".join(f"{name} {row['miou']:.3f} at {row[cost]:.3g}" for name, row in rows.iterrows())
    fig, ax = figure(width, 3.6, f"mIoU against {label}: {parts}.")
    best = rows[rows["miou"] >= rows["miou"].cummax()]
    ax.plot(best[cost], best["miou"], color=SOFT, lw=1, ls="--", zorder=1)
    for name, row in rows.iterrows():
        position, color = (row[cost], row["miou"]), SERIES[list(table.index).index(name) % len(SERIES)]
        ax.plot([row[cost]] * 2, [row["low"], row["high"]], color=color, lw=3, alpha=0.4)
        ax.plot(*position, "o", color=color, ms=8, mec=PAPER)
        text = ax.annotate(str(name), position, (9, 0), textcoords="offset points", va="center", fontsize=8.5)
        text.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])  # the line passes behind the text
    if rows[cost].max() > 5 * rows[cost].min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.margins(x=0.18)
    ax.set(xlabel=label, ylabel="mIoU")
    ax.grid()
    return fig
