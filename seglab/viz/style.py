"""The house's style: colours, fonts, and a figure that shows itself with a description in words.

Each function of `viz` and `charts` returns a `Figure`. At the end of a notebook cell it shows itself; its `alt` text,
derived from the data, travels with it into the notebook and into exported pages.
"""

from base64 import b64encode
from io import BytesIO
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MplFigure

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


def percent(share: float) -> str:
    """0.314 → "31 %"."""
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"
