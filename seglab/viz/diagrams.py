"""Diagrams: the blocks of a model, and paths through the course."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import FancyBboxPatch

from seglab.models.anatomy import Flow
from seglab.viz.style import INK, PAPER, SERIES, SOFT, Figure, figure, styled


@styled
def learning_paths(stops: Sequence[str], routes: Mapping[str, Sequence[int]], width: float = 9.5) -> Figure:
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
def architecture(flow: Flow, names: Mapping[str, str] | None = None, level: int = 1, width: float = 9.5) -> Figure:
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
