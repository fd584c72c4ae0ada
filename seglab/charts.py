"""Charts of measured values: classes, runs, trainings, intervals. Colours and descriptions as in `style`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglab.anatomy import Flow
from seglab.classes import ClassSet
from seglab.metrics import FIXED_POINT, Counts, expected_calibration_error
from seglab.style import ACCENT, INK, PAPER, SERIES, SOFT, Figure, figure, percent, styled


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


@styled
def intervals(table: pd.DataFrame, label: str = "mIoU", zero: bool = False, width: float = 7.5) -> Figure:
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
def dots(table: pd.DataFrame, label: str = "mIoU", width: float = 9.5) -> Figure:
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
def paths(stops: Sequence[str], routes: Mapping[str, Sequence[int]], width: float = 9.5) -> Figure:
    """Ways through a course, drawn like the lines of a tram: stops from left to right, a line a route.

    Args:
        stops: names.
        routes: name → places of its stops, rising.
    """
    said = "; ".join(f"{name}: {', '.join(stops[i] for i in chosen)}" for name, chosen in routes.items())
    fig, ax = figure(width, 0.55 * len(routes) + 1.5, f"Ways through the course. {said}.")
    for row, (chosen, color) in enumerate(zip(routes.values(), SERIES, strict=False)):
        ax.plot([chosen[0], chosen[-1]], [row, row], color=color, lw=4, solid_capstyle="round", alpha=0.35)
        ax.plot(chosen, [row] * len(chosen), "o", ms=10, color=PAPER, mec=color, mew=3)
    ax.set_yticks(range(len(routes)), routes)
    ax.set_xticks(range(len(stops)), stops, rotation=40, ha="right", rotation_mode="anchor")
    ax.set(xlim=(-0.6, len(stops) - 0.4), ylim=(len(routes) - 0.5, -0.6))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(axis="x")
    return fig


@styled
def structure(flow: Flow, names: Mapping[str, str] | None = None, level: int = 1, width: float = 9.5) -> Figure:
    """A model's blocks as they run: from left to right by depth, from top to bottom by stride.

    Each box says its name and channels × height × width of what it gives; arrows are what the forward pass handed on.
    Lists of vectors, which have no place in the image, stand in a row of their own, as number × channels.

    Args:
        names: how to call blocks, path → words; others keep the last part of their path.
        level: blocks whose paths agree in so many parts have one colour.
    """
    blocks = flow.blocks[flow.blocks.index != "the rest"]
    depth, row, strides = _layout(flow)
    steps = max(depth.values()) + 1
    called = {name: (names or {}).get(name, name.rpartition(".")[2]) for name in blocks.index}
    shapes = {name: f"{b.channels} × {b.height} × {b.width}" if b.width else f"{b.height} × {b.channels}"
              for name, b in blocks.iterrows()}  # fmt: skip
    said = [f"{called[name]} {shape}".replace("\n", " ") for name, shape in shapes.items()]
    lowest, highest = min(row.values()), max(row.values())
    alt = f"Blocks and what they give, channels × height × width: {'; '.join(said)}."
    half = (0.36 if steps < 9 else 0.43, 0.3)  # of a box; many steps get narrow gaps rather than tiny letters
    room = 2 * half[0] * 72 * (width - 0.6) / steps  # points across a box
    titles, one_line = ["image", *called.values()], ["3 × 999 × 999", *shapes.values()]
    tall = _fitting(room, titles, one_line) < 7  # the channels get a line of their own
    if tall:
        shapes = {name: shape.replace(" × ", " ×\n", 1) for name, shape in shapes.items()}
    size = _fitting(room, titles, list(shapes.values()))
    fig, ax = figure(width, (0.78 if tall else 0.62) * (highest - lowest + 1) + 0.7, alt)
    group_of = {str(name): tuple(name.split(".")[:level]) for name in blocks.index}
    groups = list(dict.fromkeys(group_of.values()))
    straights = []
    for source, target in flow.edges:
        x0, x1 = depth[source] + half[0], depth[target] - half[0]
        straight = row[source] != row[target] or not any(
            row[name] == row[source] and depth[source] < depth[name] < depth[target] for name in row
        )
        straights.append(straight)
        start, end, bend = ((x0, row[source]), (x1, row[target]), 0.0) if straight else (  # around what lies between
            (x0 - half[0], row[source] + half[1]), (x1 + half[0] / 2, row[target] + half[1]), 0.2)  # fmt: skip
        ax.annotate("", end, start, zorder=1, arrowprops={
            "arrowstyle": "-|>", "color": SOFT, "lw": 1, "shrinkA": 0, "shrinkB": 0,
            "connectionstyle": f"arc3,rad={bend}"})  # fmt: skip
    boxes = {"image": ("image", f"3 ×{chr(10) if tall else ' '}{flow.size[0]} × {flow.size[1]}", SOFT)}
    for name, shape in shapes.items():
        boxes[str(name)] = (called[str(name)], shape, SERIES[groups.index(group_of[str(name)]) % len(SERIES)])
    for name, (title, shape, color) in boxes.items():
        x, y = depth[name], row[name]
        corner, round_ = (x - half[0], y - half[1]), "round,pad=0,rounding_size=0.08"
        for face, alpha in ((PAPER, 1.0), (color, 0.18)):  # what lies behind a box is hidden
            box = FancyBboxPatch(corner, 2 * half[0], 2 * half[1], boxstyle=round_, fc=face, ec="none", alpha=alpha)
            ax.add_patch(box).set_zorder(2)
        ax.text(x, y - (0.17 if tall else 0.1), title, ha="center", va="center", fontsize=size, weight="bold")
        ax.text(x, y + (0.09 if tall else 0.14), shape, ha="center", va="center", fontsize=0.82 * size, color=INK)
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(highest + (0.5 if all(straights) else 0.8), lowest - 0.5)
    said_of = {0: "lists", 1: "1"}
    if ((blocks["height"] == 1) & (blocks["width"] == 1)).any():
        said_of[max(strides)] = "1 × 1"  # a whole image in one vector is no map
    ax.set_yticks(range(len(strides)), [said_of.get(stride, f"1/{stride}") for stride in strides])
    ax.set_xticks([])
    ax.set_ylabel("size of the maps")
    ax.spines[:].set_visible(False)
    return fig


def _fitting(room: float, titles: Sequence[str], shapes: Sequence[str]) -> float:
    """The size of bold titles, and of shapes at 0.82 of it, that fits into so many points; at most 8.5."""
    titles, shapes = ([line for text in texts for line in text.splitlines()] for texts in (titles, shapes))
    return min(8.5, room / max(0.72 * max(map(len, titles)), 0.82 * 0.6 * max(map(len, shapes))))


def _layout(flow: Flow) -> tuple[dict[str, int], dict[str, float], list[int]]:
    """Where blocks stand: depth is the longest way from the image; a row holds what has one stride, twins spread out.

    Returns:
        Depth and row by name, and the stride of each row; 0 for lists, below all maps.
    """
    depth, row = {"image": 0}, {"image": 1.0}
    for name, block in flow.blocks.iterrows():
        before = [depth[source] for source, target in flow.edges if target == name and source in depth]
        depth[str(name)] = 1 + max(before, default=0)
        row[str(name)] = float(2 ** np.log2(flow.size[0] / block["height"]).round()) if block["width"] else 0.0
    strides = sorted(set(row.values()), key=lambda stride: stride or np.inf)
    row = {name: float(strides.index(stride)) for name, stride in row.items()}
    twins: dict[tuple[int, float], list[str]] = {}
    for name in row:
        twins.setdefault((depth[name], row[name]), []).append(name)
    for same in twins.values():
        for i, name in enumerate(same):
            row[name] += 0.75 * (i - (len(same) - 1) / 2)
    return depth, row, [int(stride) for stride in strides]
