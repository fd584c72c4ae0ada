"""The style of all figures: colours, fonts, and a figure class with alternative text.

Every drawing function of `viz` returns a `Figure`. At the end of a notebook cell it displays itself. Its `alt` text is
derived from the data and is stored in the notebook and in exported pages.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import RLock
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MplFigure
from PIL import Image

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
DPI = 144
SHOWN = 2 / 3  # displayed width / width of the PNG in pixels; below 1, so that figures are sharp on dense displays

DRAWING = RLock()  # rcParams belong to all threads: two that draw at once would mix their styles


@contextmanager
def _in_style() -> Iterator[None]:
    with DRAWING, mpl.rc_context(STYLE):
        yield


styled = _in_style()  # decorator: the function draws in this style, whatever rcParams the reader has set


class Figure(MplFigure):
    """A matplotlib figure that displays itself in notebooks, in 256 colours; `alt` is its alternative text."""

    alt: str = ""

    def png(self) -> bytes:
        """The figure as PNG bytes, as for `ipywidgets.Image(value=…)`."""
        buffer = BytesIO()
        FigureCanvasAgg(self)
        with DRAWING:  # no date and no version in the file: equal figures give equal bytes
            metadata = {"Software": None}
            self.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.06, metadata=metadata)
        return buffer.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        picture, buffer = Image.open(BytesIO(self.png())).convert("RGB"), BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)  # a third of the bytes
        data = {"image/png": b64encode(buffer.getvalue()).decode("ascii"), "text/plain": f"<Figure: {self.alt}>"}
        return data, {"image/png": {"alt": self.alt, "width": round(picture.width * SHOWN)}}


@styled
def figure(width: float, height: float, alt: str, **grid: Any) -> tuple[Figure, Any]:
    """An empty figure and its axes; width and height in inches, 9.5 fill a page; `grid` as for `Figure.subplots`."""
    fig = Figure(figsize=(width, height), layout="constrained")
    fig.alt = alt
    return fig, fig.subplots(**grid)


def percent(fraction: float) -> str:
    """0.314 → "31 %"."""
    return f"{100 * fraction:.0f} %" if fraction >= 0.01 else "< 1 %"
