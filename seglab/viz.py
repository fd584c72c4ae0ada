"""Pictures: images, masks, overlays, small tables of numbers. Class colours never change; see `style`."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.classes import ClassSet
from seglab.masks import colorize, outlines, overlay
from seglab.palette import SAFE_21, hex_colors
from seglab.style import ACCENT, DIVERGING, HEAT, INK, SOFT, STYLE, Figure, figure, percent, styled

# In words -----------------------------------------------------------------------------------------------


def describe(mask: ArrayLike | Tensor, classes: ClassSet, most: int = 6) -> str:
    """What a mask shows, in words: `"road 31 %, building 28 %, sky 13 %, void 2 %"`."""
    counts = np.bincount(np.asarray(mask, np.uint8).ravel(), minlength=256)
    total = max(int(counts.sum()), 1)
    labels = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]
    names = {k: "void" if k == classes.ignore_index else classes.names[k] for k in labels}
    said = [f"{names[k]} {percent(counts[k] / total)}" for k in labels[:most]]
    return ", ".join(said + (["…"] if len(labels) > most else []))


# Pictures -----------------------------------------------------------------------------------------------


def _hwc(image: Any) -> NDArray[Any]:
    """An image in either layout, or a plane of values, as matplotlib wants it."""
    array = np.asarray(image)
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] == 3 and array.shape[-1] != 3 else array


def _bare(ax: Axes, title: str = "") -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title)


@styled
def pictures(images: Sequence[Any] | Mapping[str, Any], columns: int = 0, alt: str = "", width: float = 9.5) -> Figure:
    """Pictures side by side.

    Args:
        images: uint8 (3, H, W) or (H, W, 3) each; a mapping gives their titles.
        columns: at most so many in a row; by default all, up to four.
        alt: what there is to see; by default the titles.
    """
    titles = list(images) if isinstance(images, Mapping) else [""] * len(images)
    shown = [_hwc(i) for i in (images.values() if isinstance(images, Mapping) else images)]
    if not shown:
        raise ValueError("no pictures to show")
    columns = columns or min(len(shown), 4)
    rows = -(-len(shown) // columns)
    ratio = shown[0].shape[0] / shown[0].shape[1]
    height = rows * (width / columns * ratio + (0.25 if any(titles) else 0.05))
    fig, axes = figure(
        width, height, alt or "; ".join(t for t in titles if t), nrows=rows, ncols=columns, squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, title in zip(axes.flat, shown, titles, strict=False):
        ax.set_axis_on()
        ax.imshow(image)
        _bare(ax, title)
    return fig


@styled
def scene(image: Any, mask: Any, classes: ClassSet, title: str = "", alpha: float = 0.6, width: float = 9.5) -> Figure:
    """An image, its mask and both together, with a legend of the classes that occur."""
    painted = overlay(np.ascontiguousarray(_hwc(image)), np.asarray(mask), classes, alpha)
    shown = {title or "image": image, "mask": colorize(np.asarray(mask), classes), "overlay": painted}
    alt = f"{title or 'An image'}, its mask and both together: {describe(mask, classes)}."
    fig = pictures(shown, alt=alt, width=width)
    legend(fig, classes, mask)
    return fig


def legend(fig: Figure, classes: ClassSet, *masks: Any, columns: int = 6) -> None:
    """Add the names and colours of the classes that occur in the masks below a figure."""
    found = np.unique(np.concatenate([np.asarray(m, np.uint8).ravel() for m in masks]))
    handles = [_patch(classes, int(k)) for k in found]
    fig.set_figheight(fig.get_figheight() + 0.22 * -(-len(handles) // columns))
    with mpl.rc_context(STYLE):
        fig.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=1.2)


def _patch(classes: ClassSet, k: int) -> Patch:
    void = k == classes.ignore_index
    hatching = ("", "--", "||", "//", "\\\\", "++", "xx", "-|")
    return Patch(
        facecolor=classes.palette[k] / 255,
        edgecolor=SOFT,
        linewidth=0.5,
        hatch=hatching[classes.hatches[k] % 8] if classes.hatches and not void else None,
        label="void" if void else classes.names[k],
    )


@styled
def labels(
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
        _bare(ax, title)
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


def binary_colors(mask: ArrayLike | Tensor, color: str = ACCENT) -> NDArray[np.uint8]:
    """A yes/no map as a picture, uint8 (H, W, 3): what is True in one colour, the rest light grey."""
    yes = np.asarray(mask).astype(bool)[..., None]
    return np.where(yes, np.array(hex_colors(color.lstrip("#"))[0], np.uint8), np.uint8(236))


def soft_colors(share: ArrayLike | Tensor, color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A soft mask as a picture, uint8 (H, W, 3): from light grey where it is 0 to the colour where it is 1."""
    part = np.asarray(share, np.float64).clip(0, 1)[..., None]
    return np.rint(236 + (np.array(color) - 236) * part).astype(np.uint8)


def instance_colors(instance: ArrayLike | Tensor) -> NDArray[np.uint8]:
    """Object numbers as colours, uint8 (H, W, 3): each object its own, what is no object light grey."""
    numbers = np.asarray(instance).astype(np.int64)
    rgb = np.array(SAFE_21, np.uint8)[(numbers - 1) % len(SAFE_21)]
    rgb[numbers == 0] = 236
    return rgb


def panoptic_colors(mask: ArrayLike | Tensor, instance: ArrayLike | Tensor, classes: ClassSet) -> NDArray[np.uint8]:
    """Classes as colours and objects as shades of them, with a white line around each object. uint8 (H, W, 3)."""
    labels, numbers = np.asarray(mask), np.asarray(instance).astype(np.int32)
    rgb = colorize(labels, classes).astype(np.float64)
    light = np.where(numbers > 0, (numbers * 5 % 8) / 8 - 0.35, 0)[..., None]  # neighbours in number differ much
    rgb = np.where(light > 0, rgb + (255 - rgb) * light, rgb * (1 + light))
    rgb[outlines(numbers) & (numbers > 0)] = 255
    return rgb.astype(np.uint8)


def label_colors(mask: ArrayLike | Tensor, classes: ClassSet) -> NDArray[np.uint8]:
    """Like `colorize`, for masks that are broken: labels that no class has become white. uint8 (H, W, 3)."""
    labels = np.asarray(mask).astype(np.uint8)
    rgb = classes.palette[labels]
    rgb[(labels >= len(classes)) & (labels != classes.ignore_index)] = 255
    return rgb


@styled
def spotlights(
    image: Any, maps: Mapping[str, tuple[ArrayLike | Tensor, tuple[int, int] | None]], columns: int = 0,
    width: float = 9.5,
) -> Figure:  # fmt: skip
    """An image, lit where a map is high: where a place looks, or what reaches it.

    Args:
        image: uint8 (3, H, W) or (H, W, 3).
        maps: title → float (h, w) ≥ 0, of any size, brightest where it is highest; and the pixel (row, column) that it
            belongs to, which gets a ring, or None.
        columns: at most so many in a row; by default all, up to four.
    """
    pixels = _hwc(image).astype(np.float64)
    dark = 0.25 * pixels.mean(axis=-1, keepdims=True)
    lit, said = {}, []
    for title, (values, _) in maps.items():
        light = np.asarray(values, np.float64) / max(float(np.max(np.asarray(values))), 1e-12)
        y, x = (np.arange(n) * m // n for n, m in zip(pixels.shape[:2], light.shape, strict=True))
        spot = light[y][:, x, None]
        lit[title] = (dark + (pixels - dark) * spot).astype(np.uint8)
        bright = percent(float((light > 0.5).mean()))
        said.append(f"{title}: {bright} of the picture at least half as bright as its peak")
    fig = pictures(lit, columns, f"An image, lit where a map is high. {'; '.join(said)}.", width)
    for ax, (_, place) in zip(fig.axes, maps.values(), strict=False):
        if place is not None:
            ax.plot(place[1], place[0], "o", ms=9, mfc="none", mec="white", mew=3.4)
            ax.plot(place[1], place[0], "o", ms=9, mfc="none", mec=ACCENT, mew=1.8)
    return fig


# Values -----------------------------------------------------------------------------------------------


@styled
def heat_maps(
    maps: Mapping[str, ArrayLike | Tensor], columns: int = 0, limits: tuple[float, float] | None = None,
    diverging: bool = False, unit: str = "", width: float = 9.5,
) -> Figure:  # fmt: skip
    """Planes of values with one common colour scale.

    Args:
        maps: title → float (H, W).
        limits: lowest and highest value of the scale; by default those of the data.
        diverging: for values around 0; the scale is then symmetric.
        unit: label of the scale.
    """
    planes = {title: np.asarray(m, np.float64) for title, m in maps.items()}
    low, high = limits or (min(np.nanmin(p) for p in planes.values()), max(np.nanmax(p) for p in planes.values()))
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    columns = columns or min(len(planes), 4)
    rows = -(-len(planes) // columns)
    first = next(iter(planes.values()))
    alt = f"{unit or 'values'}: " + "; ".join(
        f"{t} from {np.nanmin(p):.2g} to {np.nanmax(p):.2g}, mean {np.nanmean(p):.2g}" for t, p in planes.items()
    )
    height = rows * (width / columns * first.shape[0] / first.shape[1] * 0.93 + 0.25)
    fig, axes = figure(width, height, alt, nrows=rows, ncols=columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, plane) in zip(axes.flat, planes.items(), strict=False):
        ax.set_axis_on()
        drawn = ax.imshow(plane, cmap=DIVERGING if diverging else HEAT, vmin=low, vmax=high)
        _bare(ax, title)
    bar = fig.colorbar(drawn, ax=axes, shrink=0.8, pad=0.01, aspect=24)
    bar.outline.set_visible(False)
    bar.set_label(unit)
    return fig


@styled
def numbers(
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
        _bare(ax, title)
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
