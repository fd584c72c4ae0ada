"""The explorer: its controls and its display. `views` computes what is shown; `worker` runs the models in a thread."""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import ipywidgets as widgets

from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.photographs import photograph
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction, predict
from seglab.inference.runtimes.choice import RUNTIMES
from seglab.models.adapters import SegModel
from seglab.models.weights.zoo import photograph_model
from seglab.viz.widgets import views
from seglab.viz.widgets.adding import ModelField
from seglab.viz.widgets.details import Details, Shown, row
from seglab.viz.widgets.html import FOLDER
from seglab.viz.widgets.joint import Joint, join
from seglab.viz.widgets.photographs import Photographs
from seglab.viz.widgets.sources import (
    Data,
    Model,
    Source,
    available_data,
    available_models,
    data_sources,
    model_sources,
)
from seglab.viz.widgets.still import Kept
from seglab.viz.widgets.viewer import Viewer, scene_data
from seglab.viz.widgets.views import SIZES, Selection
from seglab.viz.widgets.worker import Worker

DEFAULT_MODELS = ("unet_mini:toytown", "segformer_mini:toytown")  # selected when the explorer opens
PHOTOGRAPHS = "your photographs"  # entry of the menu of data
OFTEN = 0.5  # seconds between two displays while models are running
EXAMPLE = "chelsea.png"  # a cat
# Colours of JupyterLab's theme, and those of the light one elsewhere.
# The theme's own colour of text, which can be read on light and on dark; a bar marks a problem.
NOTE = "line-height: 1.4; padding: .2rem 0; color: var(--jp-ui-font-color1)"
PROBLEM = f"{NOTE}; padding-left: .6rem; border-left: 4px solid #d1495b"


def explore(
    models: Model | Iterable[Model] | Mapping[str, Model] | None = None,
    data: Data | Iterable[Data] | None = None,
    wait: bool = False,
    photos: Iterable[str | Path] = (),
) -> "Explorer":
    """Compare the predictions of several models on images of data sets and on photographs.

    Models may have other classes than the data. Their predictions are translated where there is a counterpart; other
    classes are shown beside those of the data. IoU is computed for the classes that all models have.

    Args:
        models: one or several to choose from: names or checkpoints as for `load_model`, or models; as a mapping with
            their names. By default all models whose weights need no download; until the reader chooses, the best one
            for photographs is selected for a photograph, and two for street scenes otherwise. Without models, data and
            photographs it opens on the cat of scikit-image.
        data: one or several to choose from, several as a list: names and splits, as "camvid val"; your own data as a
            folder or a dataset.yaml, a str or Path, of which all images are shown; a pair of such a name or path and a
            split, as ("~/my leaves", "val"); data sets of `load_dataset`. By default Toytown, and the data sets on this
            machine.
        wait: return only when the first predictions are shown.
        photos: paths of photographs; the explorer opens on the first. Others can be dropped onto the image.

    Raises:
        ValueError: a model or data of another kind, an unknown data set or split, or data that are not on this machine.
            A model is loaded when it is first used; what `load_model` refuses then is shown in the explorer.
    """
    sources = data_sources(available_data() if data is None else data)
    if data is not None:
        for source in sources.values():  # an error is raised here, not when an entry is chosen
            source.load()
    paths = [Path(photo).expanduser() for photo in photos]
    if not paths and models is data is None:
        paths = [photograph(EXAMPLE)]
    choice = model_sources(available_models() if models is None else models)
    explorer = Explorer(choice, sources, paths, suggesting=models is None)
    if wait:
        explorer.wait()
    return explorer


class Explorer(Kept, widgets.VBox):
    """See `explore`. It shows `sample` and `predictions` (by model); there are none before the first run ends."""

    def __init__(self, models: Mapping[str, Source[SegModel]], data: Mapping[str, Source[SegmentationDataset]],
                 photos: Iterable[Path] = (), suggesting: bool = False) -> None:  # fmt: skip
        self._models, self._data, self._photos = dict(models), data, Photographs(photos)
        self._suggesting = suggesting  # whether models are selected that suit the image, until the reader selects some
        self._trained_short: dict[str, int | tuple[int, int] | None] = {}  # by model, before a size was chosen
        self._sides: dict[str, Any] = {}  # the two layers as they were last set here
        self.predictions: dict[str, Prediction] = {}
        self.sample: Sample | None = None
        self.worker = Worker()
        first = next(iter(data.values())).load()
        self._create_controls(list(models), list(data), first)
        self.add = ModelField(self.models, self._models, self.worker, self._report, self._report_error)
        sample = first[0]
        self.viewer = Viewer(scene_data(sample.image, {}, first.classes, sample.target), on_photo=self.load_photograph)
        self.details = Details(self.worker.lock)
        self.status, self.problem, self.note, self.table = (widgets.HTML() for _ in range(4))
        self.status.layout.min_height = "1.8em"  # a line of its own, so that the page does not move
        self.tabs = widgets.Tab([
            widgets.VBox([self.viewer, self.table]),
            self.details.scores,
            self.details.save,
        ], titles=["masks", "scores and uncertainty", "save"]).add_class("seglab-tabs")  # fmt: skip
        buttons = row(self.run, self.worker.stop, self.worker.progress)
        how = widgets.VBox([self.precision, self.runtime, self.short, buttons])
        settings = row(widgets.VBox([self.models, self.add]), how)
        self.tabs.observe(lambda change: self.details.open(change["new"] or 0), "selected_index")
        parts = [row(self.data, self.index), settings, self.status, self.problem, self.note, self.tabs]
        super().__init__(parts)
        if self._photos:
            self._show_photograph(0)
        else:
            self.start()

    def _create_controls(self, models: list[str], data: list[str], first: SegmentationDataset) -> None:
        label, wide = {"style": {"description_width": "5.5em"}}, widgets.Layout(width="26em")
        sizes = [("as trained" if short == 0 else f"short side {short}", short) for short in SIZES]
        selected = [name for name in DEFAULT_MODELS if name in models] or models[:2]
        self.data = widgets.Dropdown(options=data, description="data", layout=wide, **label)
        self.index = widgets.IntSlider(0, 0, len(first) - 1, description="image", continuous_update=False,
                                       layout=wide, **label)  # fmt: skip
        self.models = widgets.SelectMultiple(options=models, value=selected, description="models", layout=wide, **label,
                                             rows=min(7, len(models)))  # fmt: skip
        self.precision = widgets.Dropdown(options=PRECISIONS, description="precision", **label)
        self.runtime = widgets.Dropdown(options=RUNTIMES, description="runtime", **label)
        self.short = widgets.Dropdown(options=sizes, description="size", **label)
        self.run = widgets.Button(description="run", tooltip="predict again", layout=widgets.Layout(width="6em"))
        self.run.on_click(lambda _: self.start())
        self.data.observe(self._select_data, "value")
        self.models.observe(self._select_models, "value")
        for control in (self.index, self.precision, self.runtime, self.short):
            control.observe(lambda _: self.start(), "value")

    @property
    def selection(self) -> Selection:
        """The state of the controls."""
        photo = self.data.value == PHOTOGRAPHS
        data, index = (self._photos.names[self.index.value], None) if photo else (self.data.value, self.index.value)
        return Selection(self.models.value, data, index, self.precision.value, self.runtime.value, self.short.value)

    def _select_data(self, _: Any = None) -> None:
        photo = self.data.value == PHOTOGRAPHS
        try:
            last = len(self._photos if photo else self._data[self.data.value].load()) - 1
        except ValueError as error:
            self._report_error(error)
            return
        with self.index.hold_trait_notifications():  # one run, not two
            self.index.max, self.index.value = last, min(self.index.value, last)
        self.index.disabled = last == 0
        if self._suggesting:
            self._suggest([photograph_model()] if photo else DEFAULT_MODELS)
        self.start()

    def _suggest(self, names: Iterable[str]) -> None:
        """Select these models, as far as they are in the list."""
        if found := [name for name in names if name in self.models.options]:
            self.models.value = found
            self._suggesting = True

    def _select_models(self, _: Any) -> None:
        self._suggesting = False
        self.start()

    def load_photograph(self, name: str, content: bytes) -> None:
        """Show an image file, given by its name and its bytes; it is kept in memory only."""
        self.worker.cancel()
        self._report(f"{name} is being read ({len(content) / 1e6:.1f} MB) …")
        try:
            self._photos.add(name, content)
        except ValueError as error:
            self._report(problem=str(error))
            return
        self._show_photograph(len(self._photos) - 1)

    def _show_photograph(self, index: int) -> None:
        if PHOTOGRAPHS not in self.data.options:
            self.data.options = [*self.data.options, PHOTOGRAPHS]
        with self.index.hold_trait_notifications():
            self.index.max, self.index.value = len(self._photos) - 1, index
        if self.data.value == PHOTOGRAPHS:
            self._select_data()
        else:
            self.data.value = PHOTOGRAPHS

    def start(self) -> None:
        """Predict what is selected, in a thread; predictions under way are cancelled."""
        selection, finished = self.selection, dict[str, Prediction]()
        steps, on_stop = 2 * len(selection.models) + 2, partial(self._stop, selection, finished)
        self.worker.start(self._predict(selection, finished), steps, self._report_error, on_stop)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the predictions are shown, at most for this time; whether they are."""
        return self.worker.wait(seconds)

    def _sample(self, selection: Selection) -> Sample:
        if selection.index is None:
            return self._photos[selection.data][0]
        return self._data[selection.data].load()[selection.index]

    def _predict(self, selection: Selection, finished: dict[str, Prediction]) -> Iterator[Callable[[], None]]:
        """The task of the worker: it reports each model before it runs; masks are shown as models finish."""
        if not selection.models:
            raise ValueError("choose at least one model")
        self._sides = {side: value for side, value in self.viewer.state.items() if side in ("left", "right")}
        sides, count, shown = dict(self._sides), len(selection.models), perf_counter()
        yield partial(self._report, f"{selection.data} is being read …")
        sample = self._sample(selection)
        for i, name in enumerate(selection.models, 1):
            yield partial(self._report, f"{name} is running ({i} of {count}) …")
            model = self._models[name].load()
            short = self._trained_short.setdefault(name, model.short)
            chosen = short if isinstance(short, tuple) else selection.short or short  # a network for one size only
            yield partial(setattr, model, "short", chosen)  # not once it is cancelled
            finished[name] = predict(model, sample.image, precision=selection.precision, runtime=selection.runtime)
            if i < count and perf_counter() - shown > OFTEN:
                yield partial(self._show, selection, sample, dict(finished), sides)
                shown = perf_counter()
        yield partial(self._show, selection, sample, finished, sides)
        times = ", ".join(f"{name}: {1000 * p.seconds:.0f} ms" for name, p in finished.items())
        yield partial(self._report, f"Inference took {times}.")

    def _stop(self, selection: Selection, finished: Mapping[str, Prediction]) -> None:
        """Show what was finished before the cancellation."""
        finished = dict(finished)  # the model under way may still be added
        if finished:
            self._show(selection, self._sample(selection), finished)
        sentence = f"cancelled after {len(finished)} of {len(selection.models)}"
        self._report(sentence if finished or not self.predictions else f"{sentence}; the masks shown are those before")

    def _show(
        self, selection: Selection, sample: Sample, predictions: dict[str, Prediction], sides: Mapping[str, Any] = {}
    ) -> None:
        """Show the masks; `sides` are the layers that the reader chose before there were fewer of them."""
        self.predictions, self.sample = predictions, sample
        first = next(iter(predictions.values())).classes
        photo = selection.index is None
        joint = join(predictions, first if photo else self._data[selection.data].load().classes)
        unchanged = all(self.viewer.state.get(side) == value for side, value in self._sides.items())
        self.viewer.show(*views.viewer_input(sample, joint), **(sides if unchanged else {}))
        self._sides = {side: self.viewer.state[side] for side in sides}
        title, table = views.class_table(sample, joint)
        rows = table.rename_axis(None).to_html(float_format="{:.3f}".format, na_rep="–", border=0)
        style = (FOLDER / "table.css").read_text(encoding="utf-8")
        self.table.value = f'<div class="seglab-table"><style>{style}</style><b>{title}</b>{rows}</div>'
        self.note.value = _text(self._note(joint, selection.data if photo else None))
        code = None if photo else self._data[selection.data].code
        codes = {name: source.code for name, source in self._models.items()}
        shown = Shown(selection, predictions, table, code, codes, lambda: self.viewer.to_html(selection.data))
        self.details.show(shown)

    def _note(self, joint: Joint, photo: str | None) -> str:
        """What a reader has to know about the classes; `photo` is the name of a photograph."""
        if photo is None:
            return " ".join(joint.sentences())
        model = next(iter(joint.predictions))
        known = f"{len(joint.data)} classes: {', '.join(joint.data.names)}."
        chosen = "It was selected because it is trained on photographs of everyday scenes." if self._suggesting else ""
        sentences = [f"{photo}: {model} assigns every pixel to one of {known}", chosen, self._photos[photo][1]]
        return " ".join(filter(None, [*sentences, *joint.sentences(target=False)]))

    def _report_error(self, error: Exception) -> None:
        self._report(problem=str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")

    def _report(self, status: str = "", problem: str = "") -> None:
        self.status.value = _text(status, 'role="status"')
        alert = f'<div role="alert" style="{PROBLEM}">{html.escape(problem)}</div>'
        self.problem.value = alert if problem else ""


def _text(text: str, attributes: str = "") -> str:
    """A paragraph in the colour of the theme; empty without text."""
    return f'<div {attributes} style="{NOTE}">{html.escape(text)}</div>' if text else ""
