"""Diagrams: the blocks of a model, and paths through the course. Widths are in inches."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from seglab.models.anatomy import Flow
from seglab.viz.style import INK, PAPER, SERIES, SOFT, Figure, figure, styled

Point = tuple[float, float]  # x in columns, y in rows of the diagram; lengths below have the same units
BOX_WIDTH, CROWDED_BOX_WIDTH, CROWDED = 0.72, 0.86, 9  # the second one from 9 columns on
BOX_HEIGHT, CORNER, TINT = 0.6, 0.08, 0.18  # radius of a corner; opacity of the colour
ONE_LINE_Y, TWO_LINES_Y = (-0.1, 0.14), (-0.17, 0.09)  # of title and shape, from the centre of a box
ROW_INCHES = {" ": 0.62, "\n": 0.78}  # for shapes of one line, of two lines
TWIN_DISTANCE = 0.75  # of blocks in one column with one stride
BEND, BEND_MARGIN = 0.2, 0.3  # curvature of arrows around other boxes; the space that they need below
LARGEST_FONT, SMALLEST_FONT, SHAPE_FONT = 8.5, 7, 0.82  # of titles, in points; of shapes, relative to titles
BOLD_LETTER, LETTER = 0.72, 0.6  # width of a letter / font size


@styled
def learning_paths(stops: Sequence[str], routes: Mapping[str, Sequence[int]], width: float = 9.5) -> Figure:
    """Paths through a course, drawn like tram lines: a line for each route (name → ascending indices of its stops)."""
    parts = "; ".join(f"{name}: {', '.join(stops[i] for i in route)}" for name, route in routes.items())
    fig, ax = figure(width, 0.55 * len(routes) + 1.5, f"Paths through the course. {parts}.")
    for row, (route, color) in enumerate(zip(routes.values(), SERIES, strict=False)):
        ax.plot([route[0], route[-1]], [row, row], color=color, lw=4, solid_capstyle="round", alpha=0.35)
        ax.plot(route, [row] * len(route), "o", ms=10, color=PAPER, mec=color, mew=3)
    ax.set_yticks(range(len(routes)), routes)
    ax.set_xticks(range(len(stops)), stops, rotation=40, ha="right", rotation_mode="anchor")
    ax.set(xlim=(-0.6, len(stops) - 0.4), ylim=(len(routes) - 0.5, -0.6))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(axis="x")
    return fig


@styled
def architecture(flow: Flow, names: Mapping[str, str] | None = None, level: int = 1, width: float = 9.5) -> Figure:
    """The blocks of a model, from left to right by depth, from top to bottom by output stride.

    A box shows the name of a block and its output as channels × height × width. Arrows show the data flow of the
    forward pass. Lists of vectors, such as queries, have a row of their own and are shown as number × channels.

    Args:
        names: path of a block → its name in the figure; by default the last part of its path.
        level: blocks whose paths share this many leading parts have one colour.
    """
    blocks = flow.blocks[flow.blocks.index != "the rest"]
    positions, strides = _layout(flow)
    titles = {"image": "image"} | {n: (names or {}).get(n, n.rpartition(".")[2]) for n in blocks.index}
    outputs = {"image": ("3", f"{flow.size[0]} × {flow.size[1]}")}
    for name, b in blocks.iterrows():
        outputs[str(name)] = (b.channels, f"{b.height} × {b.width}") if b.width else (b.height, b.channels)
    parts = "; ".join(f"{titles[n]} {outputs[n][0]} × {outputs[n][1]}".replace("\n", " ") for n in blocks.index)
    columns = max(x for x, _ in positions.values()) + 1
    box_width = BOX_WIDTH if columns < CROWDED else CROWDED_BOX_WIDTH
    points = box_width * 72 * (width - 0.6) / columns  # width of a box
    for space in (" ", "\n"):  # where letters get too small, a shape takes two lines
        shapes = {name: f"{first} ×{space}{rest}" for name, (first, rest) in outputs.items()}
        title, shape = (max(map(len, "\n".join(texts.values()).splitlines())) for texts in (titles, shapes))
        font = min(LARGEST_FONT, points / max(BOLD_LETTER * title, LETTER * SHAPE_FONT * shape))
        if font >= SMALLEST_FONT:
            break

    top, bottom = min(y for _, y in positions.values()) - 0.5, max(y for _, y in positions.values()) + 0.5
    alt = f"Blocks and their outputs, channels × height × width: {parts}."
    fig, ax = figure(width, ROW_INCHES[space] * (bottom - top) + 0.7, alt)
    bent = [_draw_arrow(ax, positions, source, target, box_width) for source, target in flow.edges]
    groups = {name: ".".join(name.split(".")[:level]) for name in blocks.index}
    colors = {group: SERIES[i % len(SERIES)] for i, group in enumerate(dict.fromkeys(groups.values()))}
    for name, position in positions.items():
        color = colors[groups[name]] if name in groups else SOFT
        _draw_box(ax, position, box_width, color, titles[name], shapes[name], font)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(bottom + (BEND_MARGIN if any(bent) else 0), top))
    row_names = {0: "lists", 1: "1"}
    if ((blocks["height"] == 1) & (blocks["width"] == 1)).any():
        row_names[max(strides)] = "1 × 1"  # one vector for the whole image
    ax.set_yticks(range(len(strides)), [row_names.get(stride, f"1/{stride}") for stride in strides])
    ax.set(xticks=[], ylabel="resolution")
    ax.spines[:].set_visible(False)
    return fig


def _layout(flow: Flow) -> tuple[dict[str, Point], list[int]]:
    """Positions of the blocks: the column is the longest path from the image, the row is the output stride.

    Returns:
        name → (x, y), x in columns and y in rows, and the stride of each row; 0 for lists of vectors, the last row.
    """
    column, stride_of = {"image": 0}, {"image": 1}
    for name, block in flow.blocks.iterrows():
        sources = [column[source] for source, target in flow.edges if target == name and source in column]
        column[str(name)] = 1 + max(sources, default=0)
        stride_of[str(name)] = 2 ** round(np.log2(flow.size[0] / block["height"])) if block["width"] else 0
    strides = sorted(set(stride_of.values()), key=lambda stride: stride or np.inf)
    cells = {name: (column[name], strides.index(stride)) for name, stride in stride_of.items()}
    taken = list(cells.values())
    positions: dict[str, Point] = {}
    for i, (name, (x, y)) in enumerate(cells.items()):
        offset = taken[:i].count((x, y)) - (taken.count((x, y)) - 1) / 2
        positions[name] = x, y + TWIN_DISTANCE * offset
    return positions, strides


def _draw_box(ax: Axes, position: Point, box_width: float, color: str, title: str, shape: str, font: float) -> None:
    x, y = position
    corner, style = (x - box_width / 2, y - BOX_HEIGHT / 2), f"round,pad=0,rounding_size={CORNER}"
    for face, alpha in ((PAPER, 1.0), (color, TINT)):  # the white box hides what is behind it
        box = FancyBboxPatch(corner, box_width, BOX_HEIGHT, boxstyle=style, fc=face, ec="none", alpha=alpha)
        ax.add_patch(box).set_zorder(2)
    title_y, shape_y = TWO_LINES_Y if "\n" in shape else ONE_LINE_Y
    ax.text(x, y + title_y, title, ha="center", va="center", fontsize=font, weight="bold")
    ax.text(x, y + shape_y, shape, ha="center", va="center", fontsize=SHAPE_FONT * font, color=INK)


def _draw_arrow(ax: Axes, positions: Mapping[str, Point], source: str, target: str, box_width: float) -> bool:
    """An arrow between two blocks; returns whether it is bent around blocks in between, in the same row."""
    (x0, y0), (x1, y1) = positions[source], positions[target]
    bent = y0 == y1 and any(y == y0 and x0 < x < x1 for x, y in positions.values())
    start, end = (x0 + box_width / 2, y0), (x1 - box_width / 2, y1)
    if bent:
        start, end = (x0, y0 + BOX_HEIGHT / 2), (x1 - box_width / 4, y1 + BOX_HEIGHT / 2)
    arrow = {"arrowstyle": "-|>", "color": SOFT, "lw": 1, "shrinkA": 0, "shrinkB": 0}
    curve = f"arc3,rad={BEND if bent else 0.0}"
    ax.annotate("", end, start, zorder=1, arrowprops=arrow | {"connectionstyle": curve})
    return bent
