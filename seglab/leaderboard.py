"""Charts of a comparison: how models stand, and what their quality costs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke

from seglab.style import PAPER, SERIES, SOFT, Figure, figure, styled


@styled
def standings(tables: Mapping[str, pd.DataFrame], label: str = "mIoU", width: float = 9.5) -> Figure:
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
def trade(table: pd.DataFrame, cost: str, label: str, width: float = 7.5) -> Figure:
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
