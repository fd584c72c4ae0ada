"""The second and the third tab of the explorer: scores and uncertainty; files and code to save.

They are drawn when they are shown, because the figure takes longer than the predictions.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

import ipywidgets as widgets
import pandas as pd

from seglab.viz.widgets import views
from seglab.viz.widgets.joint import Predictions
from seglab.viz.widgets.views import CLASS_VIEWS, VIEWS, Selection

SCORES, SAVE = 1, 2  # indices of the tabs
NOTHING_IN_COMMON = "The selected models have no class in common; instead of one class, overlays are shown."
COPY_BUTTON = """<button type="button" data-code="{code}"
onclick="navigator.clipboard.writeText(this.dataset.code); this.textContent = 'copied'">copy as code</button>"""


@dataclass(frozen=True)
class Shown:
    """What both tabs are about; `data` and `models` are the expressions of `views.code`, `page` makes an HTML file."""

    selection: Selection
    predictions: Predictions
    table: pd.DataFrame
    data: str | None
    models: Mapping[str, str | None]
    page: Callable[[], str]


def row(*children: widgets.Widget) -> widgets.Box:
    """Widgets side by side, in several rows where the page is narrow; none of them is cut."""
    for child in children:
        child.layout.flex, child.layout.max_width = "0 0 auto", "100%"
    return widgets.Box(children, layout=widgets.Layout(flex_flow="row wrap", width="100%"))


class Details:
    """`scores` and `save` are the content of the tabs, `view` and `class_name` choose the figure.

    `lock` is held while the widgets change.
    """

    def __init__(self, lock: RLock) -> None:
        label, wide = {"style": {"description_width": "5.5em"}}, widgets.Layout(width="26em")
        self.view = widgets.Dropdown(options=VIEWS, value="probability", description="view", **label)
        self.class_name = widgets.Dropdown(options=(), description="class", layout=wide, **label)
        self.picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))
        self.hint, self.links, self.copy = (widgets.HTML() for _ in range(3))
        self.code = widgets.Textarea(layout=widgets.Layout(width="100%", height="11em"))
        for control in (self.view, self.class_name):
            control.observe(self._draw, "value")
        self.scores = widgets.VBox([row(self.view, self.class_name), self.hint, self.picture])
        self.save = widgets.VBox([self.links, self.copy, self.code])
        self.shown: Shown | None = None
        self._open, self._lock, self._drawn = 0, lock, Selection((), "")

    def show(self, shown: Shown) -> None:
        """Other predictions; the class stays selected where all models have it."""
        first, *others = shown.predictions.values()
        names = [name for name in first.classes.names if all(name in p.classes.names for p in others)]
        self.shown, self._drawn = shown, Selection((), "")
        if self.class_name.options != tuple(names):
            selected = self.class_name.value
            self.class_name.unobserve(self._draw, "value")  # otherwise each of these changes would draw
            self.class_name.options = names
            self.class_name.value = selected if selected in names else next(iter(names), None)
            self.class_name.observe(self._draw, "value")
        self._draw()

    def open(self, tab: int) -> None:
        """Draw what this tab shows; 0 for none of them."""
        self._open = tab
        self._draw()

    def _draw(self, _: Any = None) -> None:
        with self._lock:  # the last drawing shows the last predictions
            shown = self.shown
            if not shown or self._open not in (SCORES, SAVE):
                return
            view, name, hint = self.view.value, self.class_name.value or "", ""
            if view in CLASS_VIEWS and not name:
                view, hint = "overlay", NOTHING_IN_COMMON
            selection = replace(shown.selection, models=tuple(shown.predictions), view=view, class_name=name)
            self.hint.value = hint
            if selection != self._drawn:
                self.picture.value = views.figure(shown.predictions, view, name).png()
                self._drawn = selection
            if self._open == SAVE:
                self.code.value = views.code(selection, shown.data, shown.models)
                self.copy.value = COPY_BUTTON.format(code=html.escape(self.code.value, quote=True))
                self.links.value = views.files(
                    selection, shown.predictions, self.picture.value, shown.table, shown.page()
                )
