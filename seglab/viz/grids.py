"""Small label maps and tables with the value in every cell, for worked examples."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from seglab.data.classes import ClassSet
from seglab.viz.pictures import bare_axes, value_range
from seglab.viz.style import ACCENT, DIVERGING, INK, Figure, figure, styled


@styled
def label_grid(
    masks: Mapping[str, ArrayLike], classes: ClassSet | None = None, mark: ArrayLike | None = None, columns: int = 0
) -> Figure:
    """Small masks with the label in every cell. Cells have one size in all masks.

    Args:
        masks: title → integer (H, W), a few pixels a side; -1 leaves a cell empty.
        classes: gives the colours; without it cells are grey.
        mark: bool (H, W): cells with a thick border, in every mask.
        columns: largest number of masks in a row; by default all.
    """
    tables = {title: np.asarray(m) for title, m in masks.items()}
    alt = "; ".join(f"{title}: rows {t.tolist()}" for title, t in tables.items())
    tallest, widest = (max(t.shape[axis] for t in tables.values()) for axis in (0, 1))
    columns = columns or len(tables)
    rows = -(-len(tables) // columns)
    cell = min(0.42, 9.0 / columns / widest)  # inches
    size = columns * (widest * cell + 0.5), rows * (tallest * cell + 0.4)
    fig, axes = figure(*size, alt, nrows=rows, ncols=columns, squeeze=False)
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=True):
        rgb = np.full((*table.shape, 3), 238, np.uint8) if classes is None else classes.palette[table.clip(0, 255)]
        rgb = np.where((table < 0)[..., None], np.uint8(255), rgb) / 255
        bare_axes(ax, title)
        texts = [[f"{value:g}" if value >= 0 else "" for value in row] for row in table]
        _draw_cells(ax, rgb, texts, (tallest, widest), fontsize=cell * 24)
        for y, x in np.argwhere(np.asarray(mark)) if mark is not None else ():
            ax.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, ec=ACCENT, lw=2.2))
    return fig


@styled
def value_grid(
    tables: Mapping[str, ArrayLike | pd.DataFrame], diverging: bool = False, unit: str = "", digits: int = 2,
    limits: tuple[float, float] | None = None, width: float = 0,
) -> Figure:  # fmt: skip
    """Small tables with the value in every cell, on one colour scale. Cells have one size in all tables.

    Args:
        tables: title → float (rows, columns); NaN leaves a cell empty. A DataFrame also names its rows and columns.
        diverging: for values around 0; the scale is then symmetric.
        unit: what the values measure, for the alternative text.
        digits: decimal places.
        limits: lowest and highest value of the scale; by default those of the data.
        width: inches; by default 0.6 for each cell.
    """
    planes = {title: np.asarray(t, np.float64) for title, t in tables.items()}
    low, high = value_range(planes.values(), limits, diverging)
    named = any(isinstance(t, pd.DataFrame) for t in tables.values())
    rows, columns = (max(p.shape[axis] for p in planes.values()) for axis in (0, 1))
    margin, count = 1.0 if named else 0.1, len(planes)
    cell = 0.6 if width == 0 else (width - margin * count) / columns / count
    size = width or count * (columns * cell + margin), rows * min(cell, 0.6) + (1.0 if named else 0.3)
    alt = "; ".join(f"{title}: {_table_text(p, tables[title], digits)}" for title, p in planes.items())
    fig, axes = figure(*size, f"{unit}. {alt}" if unit else alt, ncols=count, squeeze=False)
    colors, sign = mpl.colormaps[DIVERGING if diverging else "Blues"], "+" if diverging else ""
    for ax, (title, plane) in zip(axes.flat, planes.items(), strict=True):
        shades = colors(0.5 + 0.42 * plane / (high or 1) if diverging else 0.75 * (plane - low) / ((high - low) or 1))
        shades[np.isnan(plane)] = 1
        texts = [["" if np.isnan(value) else f"{value:{sign}.{digits}f}" for value in row] for row in plane]
        bare_axes(ax, title)
        _draw_cells(ax, shades, texts, (rows, columns), "auto" if named else "equal")
        if isinstance(table := tables[title], pd.DataFrame):
            ax.set_xticks(range(len(table.columns)), table.columns, rotation=35, ha="right", rotation_mode="anchor")
            ax.set_yticks(range(len(table)), table.index)
    return fig


def _draw_cells(
    ax: Axes, rgb: NDArray[Any], texts: list[list[str]], size: tuple[int, int], aspect: Any = "equal", **font: Any
) -> None:
    """Cells with texts and white borders: colours (rows, columns, 3 or 4) in [0, 1]; axes for `size` cells."""
    ax.imshow(rgb, aspect=aspect)
    for (y, x), text in np.ndenumerate(np.array(texts)):
        dark = rgb[y, x, :3] @ [0.299, 0.587, 0.114] < 0.5  # luma (ITU-R BT.601)
        if text:
            ax.text(x, y, text, ha="center", va="center", color="white" if dark else INK, **font)
    ax.set_xticks(np.arange(size[1] + 1) - 0.5, minor=True)  # also extends the axes to this size
    ax.set_yticks(np.arange(size[0] + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="minor", length=0)


def _table_text(plane: NDArray[np.float64], table: Any, digits: int) -> str:
    """The values of a small table as text, row by row, with the names of rows and columns if it has any."""
    rows = [", ".join("empty" if np.isnan(v) else f"{v:.{digits}f}" for v in row) for row in plane]
    if not isinstance(table, pd.DataFrame):
        return "; ".join(f"row {i}: {row}" for i, row in enumerate(rows, 1))
    named = "; ".join(f"{name}: {row}" for name, row in zip(table.index, rows, strict=True))
    return f"columns {', '.join(map(str, table.columns))}. {named}"
