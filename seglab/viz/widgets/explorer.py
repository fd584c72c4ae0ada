"""The explorer: its controls and its display. `views` computes what is shown; `worker` runs the models in a thread."""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets as widgets

from seglab._utils.paths import file_names, slug
from seglab._utils.text import csv_text
from seglab.data.catalogue import DATASETS
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.loading import local_datasets
from seglab.data.photographs import photograph
from seglab.data.toytown import scene as toytown
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction, predict
from seglab.inference.runtimes.choice import RUNTIMES
from seglab.models.adapters import SegModel
from seglab.models.registry import MODELS
from seglab.models.weights.cards import is_available
from seglab.models.weights.zoo import photograph_model
from seglab.viz.widgets import views
from seglab.viz.widgets.adding import ModelField
from seglab.viz.widgets.html import FOLDER
from seglab.viz.widgets.joint import Joint, join
from seglab.viz.widgets.sources import Data, Model, Source, data_sources, model_sources
from seglab.viz.widgets.viewer import Viewer, scene_data
from seglab.viz.widgets.views import CLASS_VIEWS, SIZES, VIEWS, Selection
from seglab.viz.widgets.worker import Worker

DEFAULT_MODELS = ("unet_mini:toytown", "segformer_mini:toytown")  # selected when the explorer opens
PHOTOGRAPH = "your photograph"
EXAMPLE = "chelsea.png"  # a cat
# Colours of JupyterLab's theme, and those of the light one elsewhere.
# The theme's own colour of text, which can be read on light and on dark; a bar marks a problem.
NOTE = "line-height: 1.4; padding: .2rem 0; color: var(--jp-ui-font-color1)"
PROBLEM = f"{NOTE}; padding-left: .6rem; border-left: 4px solid #d1495b"
COPY_BUTTON = """<button type="button" data-code="{code}"
onclick="navigator.clipboard.writeText(this.dataset.code); this.textContent = 'copied'">copy as code</button>"""


def explore(
    models: Model | Iterable[Model] | Mapping[str, Model] | None = None,
    data: Data | Iterable[Data] | None = None,
    wait: bool = False,
) -> "Explorer":
    """Compare the predictions of several models on images of data sets and on photographs.

    Models may have other classes than the data. Their predictions are translated where there is a counterpart; other
    classes are shown beside those of the data. IoU is computed for the classes that all models have.

    Args:
        models: one or several to choose from: names or checkpoints as for `load_model`, or models; as a mapping with
            their names. By default all models whose weights need no download. Without models and data it opens on the
            cat of scikit-image, with the best model for photographs.
        data: one or several to choose from, several as a list: names and splits, as "camvid val"; your own data as a
            folder or a dataset.yaml, a str or Path, of which all images are shown; a pair of such a name or path and a
            split, as ("~/my leaves", "val"); data sets of `load_dataset`. By default Toytown, and the data sets on this
            machine.
        wait: return only when the first predictions are shown.

    Raises:
        ValueError: a model or data of another kind, an unknown data set or split, or data that are not on this machine.
            A model is loaded when it is first used; what `load_model` refuses then is shown in the explorer.
    """
    sources = data_sources(available_data() if data is None else data)
    if data is not None:
        for source in sources.values():  # an error is raised here, not when an entry is chosen
            source.load()
    photo = (EXAMPLE, photograph(EXAMPLE).read_bytes()) if models is data is None else None
    explorer = Explorer(model_sources(available_models() if models is None else models), sources, photo)
    if wait:
        explorer.wait()
    return explorer


def available_models() -> list[str]:
    """Models that can predict without a download, as MODEL:WEIGHTS."""
    return [f"{name}:{weights}" for name, spec in MODELS.items() for weights, row in spec.weights.items()
            if row.classes and is_available(spec, weights)]  # fmt: skip


def available_data() -> list[str]:
    """Toytown in every weather, and the data sets on this machine, each with a split that is not for training."""
    toytowns = [f"toytown{'' if weather == 'clear' else f':{weather}'} test" for weather in toytown.WEATHERS]
    return toytowns + [f"{name} val" for name in local_datasets() if "val" in DATASETS[name].splits]


def _row(*children: widgets.Widget) -> widgets.Box:
    """Widgets side by side, in several rows where the page is narrow; none of them is cut."""
    for child in children:
        child.layout.flex, child.layout.max_width = "0 0 auto", "100%"
    return widgets.Box(children, layout=widgets.Layout(flex_flow="row wrap", width="100%"))


class Explorer(widgets.VBox):
    """See `explore`. It shows `sample` and `predictions` (by model); there are none before the first run ends."""

    def __init__(self, models: Mapping[str, Source[SegModel]], data: Mapping[str, Source[SegmentationDataset]],
                 photo: tuple[str, bytes] | None = None) -> None:  # fmt: skip
        self._models, self._data = dict(models), data
        self._trained_short: dict[str, int | tuple[int, int] | None] = {}  # by model, before a size was chosen
        self._photo: Sample | None = None
        self._photo_note = ""
        self.predictions: dict[str, Prediction] = {}
        self.sample: Sample | None = None
        self.worker = Worker()
        first = next(iter(data.values())).load()
        self._create_controls(list(models), list(data), first)
        self.add = ModelField(self.models, self._models, self.worker, self._report, self._report_error)
        sample = first[0]
        self.viewer = Viewer(scene_data(sample.image, {}, first.classes, sample.target), on_photo=self.load_photograph)
        self.picture, self.table = widgets.Image(format="png", layout=widgets.Layout(max_width="100%")), widgets.HTML()
        self.code = widgets.Textarea(layout=widgets.Layout(width="100%", height="11em"))
        self.links, self.copy, self.note, self.problem, self.hint = (widgets.HTML() for _ in range(5))
        tabs = widgets.Tab([
            widgets.VBox([self.viewer, self.table]),
            widgets.VBox([_row(self.view, self.class_name), self.hint, self.picture]),
            widgets.VBox([self.links, self.copy, self.code]),
        ], titles=["masks", "scores and uncertainty", "save"]).add_class("seglab-tabs")  # fmt: skip
        buttons = _row(self.run, self.worker.stop, self.worker.progress)
        how = widgets.VBox([self.precision, self.runtime, self.short, buttons])
        settings = _row(widgets.VBox([self.models, self.add]), how)
        super().__init__([_row(self.data, self.index), settings, self.note, self.problem, tabs])
        if photo:
            self.models.value = [photograph_model()]
            self.load_photograph(*photo)
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
        self.view = widgets.Dropdown(options=VIEWS, value="probability", description="view", **label)
        self.class_name = widgets.Dropdown(options=first.classes.names, description="class", layout=wide, **label)
        self.run = widgets.Button(description="run", tooltip="predict again", layout=widgets.Layout(width="6em"))
        self.run.on_click(lambda _: self.start())
        self.data.observe(self._select_data, "value")
        for control in (self.index, self.models, self.precision, self.runtime, self.short):
            control.observe(lambda _: self.start(), "value")
        for control in (self.view, self.class_name):
            control.observe(self._draw, "value")

    @property
    def selection(self) -> Selection:
        """The state of the controls."""
        photo = self._photo if self.data.value == PHOTOGRAPH else None
        data, index = (photo.id, None) if photo else (self.data.value, self.index.value)
        return Selection(self.models.value, data, index, self.precision.value, self.runtime.value, self.short.value,
                         self.view.value, self.class_name.value or "")  # fmt: skip

    def _select_data(self, _: Any) -> None:
        self.index.disabled = photo = self.data.value == PHOTOGRAPH
        if not photo:
            try:
                last = len(self._data[self.data.value].load()) - 1
            except ValueError as error:
                self._report_error(error)
                return
            with self.index.hold_trait_notifications():  # one run, not two
                self.index.max, self.index.value = last, min(self.index.value, last)
        self.start()

    def load_photograph(self, name: str, content: bytes) -> None:
        """Show an image file, given by its name and its bytes; it is kept in memory only."""
        try:
            image, self._photo_note = views.downsized(content)
        except ValueError as error:
            self._report(problem=str(error).replace("the image", name, 1))
            return
        self._photo = Sample(image, None, name, name)  # type: ignore[arg-type]
        if PHOTOGRAPH not in self.data.options:
            self.data.options = [*self.data.options, PHOTOGRAPH]
        if self.data.value == PHOTOGRAPH:
            self.start()
        else:
            self.data.value = PHOTOGRAPH

    def start(self) -> None:
        """Predict what is selected, in a thread; predictions under way are cancelled."""
        selection, finished = self.selection, dict[str, Prediction]()
        steps, on_stop = 2 * len(selection.models), partial(self._stop, selection, finished)
        self.worker.start(self._predict(selection, finished), steps, self._report_error, on_stop)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the predictions are shown, at most for this time."""
        self.worker.wait(seconds)

    def _sample(self, selection: Selection) -> Sample:
        photo = self._photo if selection.index is None else None
        return photo or self._data[selection.data].load()[selection.index or 0]

    def _predict(self, selection: Selection, finished: dict[str, Prediction]) -> Iterator[Callable[[], None]]:
        """The task of the worker: it reports each model before it runs, and shows all predictions at the end."""
        if not selection.models:
            raise ValueError("choose at least one model")
        sample = self._sample(selection)
        for i, name in enumerate(selection.models, 1):
            yield partial(self._report, f"{name} is running ({i} of {len(selection.models)}) …")
            model = self._models[name].load()
            short = self._trained_short.setdefault(name, model.short)
            chosen = short if isinstance(short, tuple) else selection.short or short  # a network for one size only
            yield partial(setattr, model, "short", chosen)  # not once it is cancelled
            finished[name] = predict(model, sample.image, precision=selection.precision, runtime=selection.runtime)
        yield partial(self._show, selection, sample, finished)

    def _stop(self, selection: Selection, finished: Mapping[str, Prediction]) -> None:
        """Show what was finished before the cancellation."""
        finished = dict(finished)  # the model under way may still be added
        if finished:
            self._show(selection, self._sample(selection), finished)
        sentence = f"cancelled after {len(finished)} of {len(selection.models)}"
        self._report(sentence if finished or not self.predictions else f"{sentence}; the masks shown are those before")

    def _show(self, selection: Selection, sample: Sample, predictions: dict[str, Prediction]) -> None:
        self.predictions, self.sample = predictions, sample
        first = next(iter(predictions.values())).classes
        classes = first if selection.index is None else self._data[selection.data].load().classes
        joint = join(predictions, classes)
        self.viewer.show(*views.viewer_input(sample, joint))
        title, self._table = views.class_table(sample, joint)
        rows = self._table.rename_axis(None).to_html(float_format="{:.3f}".format, na_rep="–", border=0)
        style = (FOLDER / "table.css").read_text(encoding="utf-8")
        self.table.value = f'<div class="seglab-table"><style>{style}</style><b>{title}</b>{rows}</div>'
        names = [name for name in first.names if all(name in p.classes.names for p in predictions.values())]
        if self.class_name.options != tuple(names):
            selected = self.class_name.value
            self.class_name.unobserve(self._draw, "value")  # otherwise each of these changes would draw
            self.class_name.options = names
            if selected in names:
                self.class_name.value = selected
            self.class_name.observe(self._draw, "value")
        self._draw()
        self._report(self._note(joint, selection.index is None))

    def _note(self, joint: Joint, photo: bool) -> str:
        predictions = joint.predictions
        sentences = joint.sentences(target=not photo)
        if photo:
            known = f"{len(joint.data)} classes: {', '.join(joint.data.names)}."
            sentences = [
                f"{next(iter(predictions))} assigns every pixel to one of {known}",
                self._photo_note,
                *sentences,
            ]
        times = ", ".join(f"{name}: {1000 * p.seconds:.0f} ms" for name, p in predictions.items())
        return " ".join([*sentences, f"{times}."])

    def _draw(self, _: Any = None) -> None:
        """The figure of the second tab, and the files and the code of the third."""
        with self.worker.lock:  # the last drawing shows the last predictions
            if not self.predictions:
                return
            selection, self.hint.value = replace(self.selection, models=tuple(self.predictions)), ""
            if selection.view in CLASS_VIEWS and not selection.class_name:
                selection = replace(selection, view="overlay")
                self.hint.value = (
                    "The selected models have no class in common; instead of one class, overlays are shown."
                )
            self.picture.value = views.figure(self.predictions, selection.view, selection.class_name).png()
            data = None if selection.index is None else self._data[selection.data].code
            self.code.value = views.code(selection, data, {name: source.code for name, source in self._models.items()})
            self.copy.value = COPY_BUTTON.format(code=html.escape(self.code.value, quote=True))
            stem = slug(f"{selection.data}-{selection.index or 0}")
            files = [(f"{stem}-{selection.view}.png", "this view", "image/png", self.picture.value)]
            names = file_names(self.predictions)
            for name, p in self.predictions.items():
                files.append((f"{stem}-{names[name]}.png", f"mask of {name}", "image/png", views.mask_png(p)))
            csv = csv_text(self._table).encode(errors="backslashreplace")
            files.append((f"{stem}.csv", "the table", "text/csv", csv))
            self.links.value = "Save: " + " · ".join(views.download_link(*file) for file in files)

    def _report_error(self, error: Exception) -> None:
        self._report(problem=str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")

    def _report(self, note: str = "", problem: str = "") -> None:
        self.note.value = f'<div role="status" style="{NOTE}">{html.escape(note)}</div>' if note else ""
        alert = f'<div role="alert" style="{PROBLEM}">{html.escape(problem)}</div>'
        self.problem.value = alert if problem else ""
