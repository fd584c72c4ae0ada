"""Charts of a comparison: how models stand, and what their quality costs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from seglab.viz.style import ACCENT, INK, PAPER, SERIES, SOFT, Figure, figure, styled


@styled
def run_dots(table: pd.DataFrame, width: float = 9.5) -> Figure:
    """Every run as a dot, one panel a column; the shaded band is the range of the runs in the first group.

    Args:
        table: one row a run; the index names the group (a loss, a model), the columns are measures.
    """
    groups = list(dict.fromkeys(table.index))
    parts = {g: table.loc[[g]] for g in groups}
    said = [
        f"{c}: " + ", ".join(f"{g} {p[c].mean():.2f} ({p[c].min():.2f} to {p[c].max():.2f})" for g, p in parts.items())
        for c in table.columns
    ]
    alt = f"Every run as a dot; mean and range of each group. {'. '.join(said)}."
    fig, axes = figure(
        width, 0.34 * len(groups) + 0.7, alt, ncols=len(table.columns), sharey=True, squeeze=False
    )  # fmt: skip
    for ax, measure in zip(axes.flat, table.columns, strict=True):
        for y, part in enumerate(parts.values()):
            values, color = part[measure].to_numpy(), SERIES[y % len(SERIES)]
            if y == 0:
                ax.axvspan(values.min(), values.max(), color=color, alpha=0.13, lw=0)
            ax.plot([values.mean()] * 2, [y - 0.3, y + 0.3], color=color, lw=2)
            ax.plot(values, np.full(len(values), y), "o", color=color, ms=5.5, mec=PAPER, mew=0.7, alpha=0.85)
        ax.set_title(measure)
        ax.set_ylim(len(groups) - 0.5, -0.5)
        ax.margins(x=0.12)
        ax.grid(axis="x")
        ax.spines["left"].set_visible(False)
        ax.locator_params(axis="x", nbins=4)
    axes.flat[0].set_yticks(range(len(groups)), groups)
    return fig


@styled
def forest_plot(table: pd.DataFrame, label: str = "mIoU", zero: bool = False, width: float = 7.5) -> Figure:
    """Values with their intervals, one row each, the first on top.

    Args:
        table: columns low and high, and the value in the first column; the index names the rows. NaN for no interval.
        zero: draw the line of no difference; intervals that leave it out are dark.
    """
    values = table.iloc[:, 0].to_numpy(float)
    low, high = table["low"].to_numpy(float), table["high"].to_numpy(float)
    names = [str(name) for name in table.index]
    said = [f"{n} {v:.3f}" + ("" if np.isnan(a) else f" ({a:.3f} to {b:.3f})")
            for n, v, a, b in zip(names, values, low, high, strict=True)]  # fmt: skip
    fig, ax = figure(width, 0.34 * len(table) + 0.8, f"{label} with intervals: {'; '.join(said)}.")
    for y, (value, a, b) in enumerate(zip(values, low, high, strict=True)):
        told = not zero or a > 0 or b < 0
        color = (INK if told else SOFT) if zero else SERIES[0]
        ax.plot([a, b], [y, y], color=color, lw=2, solid_capstyle="butt")
        ax.plot(value, y, "o", color=color, ms=6)
    if zero:
        ax.axvline(0, color=ACCENT, lw=1)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(label)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    return fig


@styled
def coverage(table: pd.DataFrame, truth: float, label: str = "mIoU", width: float = 9.5) -> Figure:
    """Intervals from many test sets, sorted by their value, and the value that they are meant to hold.

    Args:
        table: one row a test set: value, low, high.
        truth: the value of a very large set.
    """
    rows = table.sort_values("value", ignore_index=True)
    held = (rows["low"] <= truth) & (truth <= rows["high"])
    alt = f"{len(rows)} test sets, each with its interval of the {label}; {int(held.sum())} hold the value {truth:.3f}."
    fig, ax = figure(width, 3.2, f"{alt} The others miss it on either side.")
    for chosen, color, name in ((held, SERIES[0], "holds it"), (~held, ACCENT, "misses it")):
        some = rows[chosen]
        ax.vlines(some.index, some["low"], some["high"], color=color, lw=max(0.6, 300 / len(rows)),
                  label=f"{name}: {len(some)}", alpha=0.75)  # fmt: skip
    ax.plot(rows.index, rows["value"], color=INK, lw=1)
    ax.axhline(truth, color=INK, lw=1, ls=":")
    ax.set(xlabel="test set, sorted by its value", ylabel=label, xlim=(-1, len(rows)))
    for line in ax.legend(ncols=2, loc="upper left").get_lines():
        line.set_linewidth(3)
    ax.grid(axis="y")
    return fig


@styled
def dot_plot(table: pd.DataFrame, label: str = "mIoU", width: float = 9.5) -> Figure:
    """One number in several versions: a row for each, a dot for each column. NaN leaves a place empty."""
    said = [f"{name}: " + ", ".join(f"{c} {v:.3f}" for c, v in row.dropna().items()) for name, row in table.iterrows()]
    height = 0.29 * len(table) + 0.6 + 0.25 * (table.shape[1] > 1)
    fig, ax = figure(width, height, f"{label} in {len(table)} versions. {'; '.join(said)}.")
    rows = np.arange(len(table))
    for i, (name, values) in enumerate(table.items()):
        y = rows + min(0.2, 0.6 / table.shape[1]) * (i - (table.shape[1] - 1) / 2)  # equal ones hide nobody
        ax.plot(values, y, "o", color=SERIES[i % len(SERIES)], ms=7, mec=PAPER, mew=0.7, label=str(name))
    ax.set_yticks(rows, [str(name) for name in table.index])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel(label)
    ax.spines["left"].set_visible(False)
    ax.grid()
    if table.shape[1] > 1:
        ax.legend(ncols=table.shape[1], loc="lower left", bbox_to_anchor=(0, 1))
    return fig


@styled
def histograms(
    values: Mapping[str, ArrayLike], label: str = "mIoU", level: float = 0.95, zero: bool = False, width: float = 9.5
) -> Figure:
    """How values are spread, one row a name on a common axis; the middle `level` of them is dark.

    Args:
        zero: draw the line of no difference.
    """
    drawn = {name: np.asarray(v, np.float64) for name, v in values.items()}
    tails = [(1 - level) / 2, (1 + level) / 2]
    middle = {name: np.quantile(v, tails) for name, v in drawn.items()}
    said = "; ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in middle.items())
    alt = f"Histograms of {label}; the middle {level:.0%} of each: {said}."
    fig, axes = figure(width, 0.85 * len(drawn) + 0.55, alt, nrows=len(drawn), sharex=True, squeeze=False)
    everything = np.concatenate(list(drawn.values()))
    edges = np.linspace(everything.min(), everything.max(), 70)
    for i, (ax, (name, sample)) in enumerate(zip(axes.flat, drawn.items(), strict=True)):
        low, high = middle[name]
        color = SERIES[i % len(SERIES)]
        _, _, bars = ax.hist(sample, edges, color=color)
        for bar in bars:
            bar.set_alpha(0.95 if low <= bar.get_x() + bar.get_width() / 2 <= high else 0.35)
        ax.set_title(f"{name}: {low:.3f} to {high:.3f}", fontsize=9.5)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        if zero:
            ax.axvline(0, color=ACCENT, lw=1)
    axes.flat[-1].set_xlabel(label)
    return fig


@styled
def leaderboard(tables: Mapping[str, pd.DataFrame], label: str = "mIoU", width: float = 9.5) -> Figure:
    """Several models on several data sets: a panel a data set, a row a model, its value and its interval.

    Args:
        tables: data set → rows models; the value in the first column, columns low and high (NaN for no interval). The
            first table gives the order of the rows.
    """
    names = [str(name) for name in next(iter(tables.values())).index]
    said = [
        f"{data}: " + ", ".join(f"{n} {row.iloc[0]:.3f}" for n, row in table.iterrows())
        for data, table in tables.items()
    ]
    fig, axes = figure(
        width, 0.36 * len(names) + 0.9, f"{label} of each model. {'. '.join(said)}.", ncols=len(tables),
        sharex=True, sharey=True, squeeze=False,
    )  # fmt: skip
    for ax, (data, table) in zip(axes.flat, tables.items(), strict=True):
        rows = table.reindex(names)
        for y, (value, low, high) in enumerate(zip(rows.iloc[:, 0], rows["low"], rows["high"], strict=True)):
            color = SERIES[y % len(SERIES)]
            ax.plot([low, high], [y, y], color=color, lw=3, alpha=0.4, solid_capstyle="round")
            ax.plot(value, y, "o", color=color, ms=7, mec=PAPER, mew=0.8)
            if not np.isnan(value):
                ax.annotate(f"{value:.2f}", (value, y), (0, 7), textcoords="offset points", ha="center", fontsize=8)
        ax.set_title(data)
        ax.set_xlabel(label)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
    axes.flat[0].set_yticks(range(len(names)), names)
    axes.flat[0].set_ylim(len(names) - 0.5, -0.7)
    return fig


@styled
def quality_against_cost(table: pd.DataFrame, cost: str, label: str, width: float = 7.5) -> Figure:
    """Quality against what it costs, a dot a model; the line joins those that no cheaper one beats.

    Args:
        table: rows models; columns miou, low, high, and `cost`.
        cost: the column that says what it costs, > 0; on a logarithmic axis where they differ much. Models without it
            are left out.
        label: what it is, with its unit.
    """
    rows = table.dropna(subset=cost).sort_values(cost)
    said = "; ".join(f"{name} {row['miou']:.3f} at {row[cost]:.3g}" for name, row in rows.iterrows())
    fig, ax = figure(width, 3.6, f"mIoU against {label}: {said}.")
    best = rows[rows["miou"] >= rows["miou"].cummax()]
    ax.plot(best[cost], best["miou"], color=SOFT, lw=1, ls="--", zorder=1)
    places = {name: SERIES[i % len(SERIES)] for i, name in enumerate(table.index)}
    for name, row in rows.iterrows():
        ax.plot([row[cost]] * 2, [row["low"], row["high"]], color=places[name], lw=3, alpha=0.4)
        ax.plot(row[cost], row["miou"], "o", color=places[name], ms=8, mec=PAPER)
        named = ax.annotate(
            str(name), (row[cost], row["miou"]), (9, 0), textcoords="offset points", va="center", fontsize=8.5
        )
        named.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])  # the line passes behind the words
    if rows[cost].max() > 5 * rows[cost].min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.margins(x=0.18)
    ax.set(xlabel=label, ylabel="mIoU")
    ax.grid()
    return fig
