"""Small label maps and tables with the value in every cell, for worked examples."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from seglab.data.classes import ClassSet
from seglab.viz.pictures import bare_axes
from seglab.viz.style import ACCENT, DIVERGING, INK, Figure, figure, styled


@styled
def label_grid(
    masks: Mapping[str, ArrayLike], classes: ClassSet | None = None, mark: ArrayLike | None = None, columns: int = 0
) -> Figure:
    """Small masks with the number in every cell, as in a worked example.

    Args:
        masks: title → integer (H, W), a few pixels a side; -1 leaves a cell empty.
        classes: gives the colours; without it cells are grey.
        mark: bool (H, W): cells with a thick border, in every mask.
        columns: at most so many side by side; by default all.
    """
    tables = {title: np.asarray(m) for title, m in masks.items()}
    alt = "; ".join(f"{title}: rows {t.tolist()}" for title, t in tables.items())
    widest = max(t.shape[1] for t in tables.values())
    tallest = max(t.shape[0] for t in tables.values())
    columns = columns or len(tables)
    rows = -(-len(tables) // columns)
    cell = min(0.42, 9.0 / columns / widest)
    size = columns * (widest * cell + 0.5), rows * (tallest * cell + 0.4)
    fig, axes = figure(*size, alt, nrows=rows, ncols=columns, squeeze=False)
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=True):
        rgb = np.full((*table.shape, 3), 238, np.uint8) if classes is None else classes.palette[table.clip(0, 255)]
        rgb = np.where((table < 0)[..., None], np.uint8(255), rgb)
        ax.imshow(rgb)
        bare_axes(ax, title)
        ax.set(xlim=(-0.5, widest - 0.5), ylim=(tallest - 0.5, -0.5))  # cells of one size in every mask
        for (y, x), value in np.ndenumerate(table):
            if value >= 0:
                dark = rgb[y, x].astype(int) @ [299, 587, 114] < 128_000
                ax.text(
                    x, y, f"{value:g}", ha="center", va="center", color="white" if dark else INK, fontsize=cell * 24
                )
            if mark is not None and np.asarray(mark)[y, x]:
                ax.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, ec=ACCENT, lw=2.2))
        ax.set_xticks(np.arange(table.shape[1] + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(table.shape[0] + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=1.5)
        ax.tick_params(which="minor", length=0)
    return fig


@styled
def value_grid(
    tables: Mapping[str, ArrayLike | pd.DataFrame], diverging: bool = False, unit: str = "", digits: int = 2,
    limits: tuple[float, float] | None = None, width: float = 0,
) -> Figure:  # fmt: skip
    """Small tables with the value in every cell, on one colour scale: a worked example, or a comparison.

    Args:
        tables: title → float (rows, columns); NaN leaves a cell empty. A DataFrame brings the names of both. Cells are
            of one size in all of them.
        diverging: for values around 0; the scale is then symmetric.
        unit: what the values are, for the description.
        limits: lowest and highest value of the scale; by default those of the data.
    """
    planes = {title: np.asarray(t, np.float64) for title, t in tables.items()}
    low, high = limits or (min(np.nanmin(p) for p in planes.values()), max(np.nanmax(p) for p in planes.values()))
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    named = [t for t in tables.values() if isinstance(t, pd.DataFrame)]
    rows, columns = (max(p.shape[axis] for p in planes.values()) for axis in (0, 1))
    margin = 1.0 if named else 0.1
    cell = 0.6 if width == 0 else (width - margin * len(planes)) / columns / len(planes)
    height = rows * min(cell, 0.6) + (1.0 if named else 0.3)
    alt = "; ".join(f"{t}: {_in_words(p, tables[t], digits)}" for t, p in planes.items())
    fig, axes = figure(
        width or len(planes) * (columns * cell + margin), height, f"{unit}. {alt}" if unit else alt,
        ncols=len(planes), squeeze=False,
    )  # fmt: skip
    colors = mpl.colormaps[DIVERGING if diverging else "Blues"]
    for ax, (title, plane) in zip(axes.flat, planes.items(), strict=True):
        shades = colors(0.5 + 0.42 * plane / (high or 1) if diverging else 0.75 * (plane - low) / ((high - low) or 1))
        shades[np.isnan(plane)] = 1
        ax.imshow(shades, aspect="auto" if named else "equal")
        bare_axes(ax, title)
        for (y, x), value in np.ndenumerate(plane):
            if not np.isnan(value):
                dark = shades[y, x, :3] @ [0.299, 0.587, 0.114] < 0.5
                text = f"{value:+.{digits}f}" if diverging else f"{value:.{digits}f}"
                ax.text(x, y, text, ha="center", va="center", color="white" if dark else INK)
        table = tables[title]
        if isinstance(table, pd.DataFrame):
            ax.set_xticks(range(len(table.columns)), table.columns, rotation=35, ha="right", rotation_mode="anchor")
            ax.set_yticks(range(len(table)), table.index)
        ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=1.5)
        ax.tick_params(which="minor", length=0)
    return fig


def _in_words(plane: NDArray[np.float64], table: Any, digits: int) -> str:
    """The rows of a small table, each with its name where it has one."""
    rows = [", ".join("empty" if np.isnan(v) else f"{v:.{digits}f}" for v in row) for row in plane]
    if isinstance(table, pd.DataFrame):
        return f"columns {', '.join(map(str, table.columns))}. " + "; ".join(
            f"{name}: {row}" for name, row in zip(table.index, rows, strict=True)
        )
    return "; ".join(f"row {i + 1}: {row}" for i, row in enumerate(rows))
