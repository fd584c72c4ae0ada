"""Every figure of the workbook: one style, fixed class colours, a description in words for those who cannot see it.

Each function returns a `Figure`. At the end of a notebook cell it shows itself; its `alt` text, derived from
the data, travels with it into the notebook and into exported pages.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MplFigure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.classes import ClassSet
from seglab.masks import colorize, outlines, overlay
from seglab.metrics import FIXED_POINT, Counts
from seglab.palette import SAFE_21, hex_colors

INK, SOFT, ACCENT, PAPER = "#1f2933", "#8794a1", "#d1495b", "#ffffff"
SERIES = ("#30638e", "#d1495b", "#edae49", "#00798c", "#7b5ea7", "#66a182", "#8d6a4f", "#5c6b73")
HEAT, DIVERGING = "magma", "RdBu_r"
STYLE: Any = {
    "figure.facecolor": PAPER, "savefig.facecolor": PAPER, "font.size": 9.5, "font.family": "DejaVu Sans",
    "text.color": INK, "axes.edgecolor": SOFT, "axes.labelcolor": INK, "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.prop_cycle": cycler(color=SERIES),
    "xtick.color": INK, "ytick.color": INK, "xtick.major.size": 0, "ytick.major.size": 0, "axes.axisbelow": True,
    "grid.color": "#e4e8ec", "grid.linewidth": 0.8, "legend.frameon": False, "image.interpolation": "nearest",
    "hatch.linewidth": 0.8,
}  # fmt: skip
DPI, SHOWN = 144, 2 / 3  # drawn larger than shown, so that it is sharp on dense displays


class Figure(MplFigure):
    """A matplotlib figure that shows itself in notebooks without pyplot, and carries a description.

    Attributes:
        alt: what there is to see, in words.
    """

    alt: str = ""

    def png(self) -> bytes:
        """The figure as PNG bytes, as for `ipywidgets.Image(value=…)`."""
        buffer = BytesIO()
        FigureCanvasAgg(self)
        # No date and no version in the file: the same figure is the same bytes.
        self.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.06, metadata={"Software": None})
        return buffer.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        png = self.png()
        width = int.from_bytes(png[16:20], "big")  # from the PNG header
        data = {"image/png": b64encode(png).decode("ascii"), "text/plain": f"<Figure: {self.alt}>"}
        return data, {"image/png": {"alt": self.alt, "width": round(width * SHOWN)}}


def figure(width: float, height: float, alt: str, **grid: Any) -> tuple[Figure, Any]:
    """An empty figure in the house's style and its axes; `grid` as for `Figure.subplots`.

    Args:
        width, height: inches; 9.5 inches fill the page.
        alt: what there will be to see, in words.
    """
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        fig.alt = alt
        return fig, fig.subplots(**grid)


def styled(draw: Any) -> Any:
    """Draw within the house's style, whatever the reader has set."""

    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    drawn.__name__, drawn.__doc__ = draw.__name__, draw.__doc__
    drawn.__wrapped__ = draw  # type: ignore[attr-defined]
    return drawn


# In words -----------------------------------------------------------------------------------------------


def describe(mask: ArrayLike | Tensor, classes: ClassSet, most: int = 6) -> str:
    """What a mask shows, in words: `"road 31 %, building 28 %, sky 13 %, void 2 %"`."""
    counts = np.bincount(np.asarray(mask, np.uint8).ravel(), minlength=256)
    total = max(int(counts.sum()), 1)
    labels = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]
    names = {k: "void" if k == classes.ignore_index else classes.names[k] for k in labels}
    said = [f"{names[k]} {_percent(counts[k] / total)}" for k in labels[:most]]
    return ", ".join(said + (["…"] if len(labels) > most else []))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


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
def confusion(confmat: ArrayLike | Tensor, classes: ClassSet, width: float = 6.5) -> Figure:
    """A confusion matrix as shares of each target class; rows are targets. Classes without pixels are left out."""
    table = np.asarray(confmat, np.float64)
    present = np.flatnonzero(table.sum(0) + table.sum(1))
    shares = table[np.ix_(present, present)] / np.maximum(table.sum(1)[present, None], 1)
    names = [classes.names[k] for k in present]
    worst = [(shares[i, j], names[i], names[j]) for i in range(len(names)) for j in range(len(names)) if i != j]
    mistakes = "; ".join(f"{100 * s:.0f} % of {a} called {b}" for s, a, b in sorted(worst, reverse=True)[:3] if s > 0)
    right = ", ".join(f"{n} {_percent(shares[i, i])}" for i, n in enumerate(names))
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
def reliability(counts: Counts, width: float = 4.2) -> Figure:
    """How often the model was right at each confidence, from `metrics.calibration_counts`."""
    pixels, right, fixed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    seen = pixels > 0
    confidence, accuracy = fixed[seen] / FIXED_POINT / pixels[seen], right[seen] / pixels[seen]
    pairs = ", ".join(f"{c:.2f} → {a:.2f}" for c, a in zip(confidence, accuracy, strict=True))
    fig, ax = figure(width, width, f"Reliability diagram, confidence → share right: {pairs}.")
    ax.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=":")
    ax.plot(confidence, accuracy, "o-", color=SERIES[0], ms=4)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share right", aspect="equal")
    ax.grid()
    return fig


@styled
def lines(table: pd.DataFrame, xlabel: str, ylabel: str, width: float = 7.5, height: float = 3.2) -> Figure:
    """One line a column over the index."""
    said = "; ".join(f"{c} from {s.iloc[0]:.3g} to {s.iloc[-1]:.3g}" for c, s in table.items())
    fig, ax = figure(width, height, f"{ylabel} over {xlabel}: {said}.")
    for name, column in table.items():
        ax.plot(table.index, column, label=str(name))
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


@styled
def numbers(
    tables: Mapping[str, ArrayLike | pd.DataFrame], diverging: bool = False, unit: str = "", digits: int = 2,
    limits: tuple[float, float] | None = None, width: float = 0,
) -> Figure:  # fmt: skip
    """Small tables with the value in every cell, on one colour scale: a worked example, or a comparison.

    Args:
        tables: title → float (rows, columns); NaN leaves a cell empty. A DataFrame brings the names of both.
        diverging: for values around 0; the scale is then symmetric.
        unit: what the values are, for the description.
        limits: lowest and highest value of the scale; by default those of the data.
    """
    planes = {title: np.asarray(t, np.float64) for title, t in tables.items()}
    low, high = limits or (min(np.nanmin(p) for p in planes.values()), max(np.nanmax(p) for p in planes.values()))
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    named = [t for t in tables.values() if isinstance(t, pd.DataFrame)]
    (rows, columns), margin = next(iter(planes.values())).shape, 1.0 if named else 0.1
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
            ax.set_xticks(range(columns), table.columns, rotation=35, ha="right", rotation_mode="anchor")
            ax.set_yticks(range(rows), table.index)
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


@styled
def every_run(table: pd.DataFrame, width: float = 9.5) -> Figure:
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
