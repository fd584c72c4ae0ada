"""The explorer's field for a further model."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import ipywidgets as widgets

from seglab.models.adapters import SegModel
from seglab.viz.widgets.sources import Source, model_sources
from seglab.viz.widgets.worker import Worker


class ModelField(widgets.Text):
    """A text field. The model that it names, as for `load_model`, is loaded in a thread, added to a menu and selected.

    Args:
        menu: the names of the models; a change of its value shows their predictions.
        sources: name in the menu → model, to which the model is added.
        report, report_error: called with a sentence, or with an error of the loading.
    """

    def __init__(self, menu: widgets.SelectMultiple, sources: dict[str, Source[SegModel]], worker: Worker,
                 report: Callable[[str], None], report_error: Callable[[Exception], None]) -> None:  # fmt: skip
        super().__init__(description="add", placeholder="a model: name, hf:…, smp:…, tv:…, or a file",
                         continuous_update=False,
                         layout=menu.layout, style={"description_width": menu.style.description_width})  # fmt: skip
        self._menu, self._sources, self._worker = menu, sources, worker
        self._report, self._report_error = report, report_error
        self.observe(lambda _: self._enter(), "value")

    def _enter(self) -> None:
        name = self.value.strip()
        name = str(Path(name).expanduser()) if name.startswith("~") else name
        if name in self._sources:
            self._select(name, self._menu.value)
        elif name:
            self._worker.start(self._load(name), 1, self._report_error)

    def _load(self, name: str) -> Iterator[Callable[[], None]]:
        """The task of the worker."""
        yield partial(self._report, f"{name} is being loaded …")
        ((label, source),) = model_sources(name).items()
        source.load()
        yield partial(self._add, name if label in self._sources else label, source)

    def _add(self, label: str, source: Source[SegModel]) -> None:
        selected, self._sources[label] = self._menu.value, source
        self._menu.options = list(self._sources)  # nothing is selected after this
        self._menu.rows = min(7, len(self._sources))
        self._select(label, selected)

    def _select(self, label: str, selected: tuple[str, ...]) -> None:
        self.value = ""  # ready for the next name
        self._menu.value = list(dict.fromkeys([*selected, label]))
