"""The explorer: its controls and its display. `views` computes what is shown; `worker` runs the models in a thread."""

import html
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from seglab._utils.paths import slug
from seglab.data.catalogue import DATASETS
from seglab.data.classes import ClassSet
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.loading import data_root, load_dataset, local_datasets
from seglab.data.toytown import scene as toytown
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction, predict
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.models.weights.cards import is_available
from seglab.viz.widgets import views
from seglab.viz.widgets.html import FOLDER
from seglab.viz.widgets.viewer import Viewer, scene_data
from seglab.viz.widgets.views import CLASS_VIEWS, SIZES, VIEWS, Selection
from seglab.viz.widgets.worker import Worker

DEFAULT_MODELS = ("unet_mini:toytown", "segformer_mini:toytown")  # selected when the explorer opens
PHOTOGRAPH = "your photograph"
COPY_BUTTON = """<button type="button" data-code="{code}"
onclick="navigator.clipboard.writeText(this.dataset.code); this.textContent = 'copied'">copy as code</button>"""


def explore(
    models: Sequence[str | Path] | None = None, data: Sequence[str] | None = None, wait: bool = False
) -> "Explorer":
    """Compare the predictions of several models on images of data sets and on photographs.

    Args:
        models: to choose from, names as for `load_model`; by default all whose weights need no download.
        data: to choose from, names and splits, as "camvid val"; by default Toytown, and the data sets on this machine.
        wait: return only when the first predictions are shown.
    """
    explorer = Explorer(list(map(str, models or available_models())), list(data or available_data()))
    if wait:
        explorer.wait()
    return explorer


def available_models() -> list[str]:
    """Models whose weights need no download, as MODEL:WEIGHTS."""
    return [f"{name}:{weights}" for name, spec in MODELS.items() for weights in spec.weights
            if is_available(spec, weights)]  # fmt: skip


def available_data() -> list[str]:
    """Toytown in every weather, and the data sets on this machine, each with a split that is not for training."""
    toytowns = [f"toytown{'' if weather == 'clear' else f':{weather}'} test" for weather in toytown.WEATHERS]
    return toytowns + [f"{name} val" for name in local_datasets() if "val" in DATASETS[name].splits]


def _dataset(data: str) -> SegmentationDataset:
    return _cached_dataset(data, data_root())


@lru_cache(maxsize=8)
def _cached_dataset(data: str, root: Path) -> SegmentationDataset:
    name, _, split = data.partition(" ")
    return load_dataset(name, split or None, download=False)


class Explorer(widgets.VBox):
    """See `explore`. It shows `sample` and `predictions` (by model); there are none before the first run ends."""

    def __init__(self, models: list[str], data: list[str]) -> None:
        self._load = cache(lambda name: (model := load_model(name), model.short))
        self._photo: Sample | None = None
        self._photo_note = ""
        self.predictions: dict[str, Prediction] = {}
        self.sample: Sample | None = None
        self.worker = Worker()
        self._create_controls(models, data)
        sample, classes = _dataset(data[0])[0], _dataset(data[0]).classes
        self.viewer = Viewer(scene_data(sample.image, {}, classes, sample.target), on_photo=self.load_photograph)
        self.picture, self.table = widgets.Image(format="png", layout=widgets.Layout(max_width="100%")), widgets.HTML()
        self.code = widgets.Textarea(layout=widgets.Layout(width="100%", height="11em"))
        self.links, self.copy, self.note, self.problem = (widgets.HTML() for _ in range(4))
        row, buttons = widgets.Layout(width="100%"), widgets.HBox([self.run, self.worker.stop])
        super().__init__([
            widgets.HBox([self.data, self.index], layout=row),
            widgets.HBox([self.models, widgets.VBox([self.precision, self.short, buttons]),
                          widgets.VBox([self.worker.progress, self.note, self.problem])], layout=row),
            widgets.Tab([
                widgets.VBox([self.viewer, self.table]),
                widgets.VBox([widgets.HBox([self.view, self.class_name]), self.picture]),
                widgets.VBox([self.links, self.copy, self.code]),
            ], titles=["masks", "scores and uncertainty", "save"]),
        ])  # fmt: skip
        self.start()

    def _create_controls(self, models: list[str], data: list[str]) -> None:
        first, label = _dataset(data[0]), {"style": {"description_width": "5.5em"}}
        sizes = [("as trained" if short == 0 else f"short side {short}", short) for short in SIZES]
        selected = [name for name in DEFAULT_MODELS if name in models] or models[:2]
        self.data = widgets.Dropdown(options=data, description="data", **label)
        self.index = widgets.IntSlider(0, 0, len(first) - 1, description="image", continuous_update=False,
                                       layout=widgets.Layout(width="26em"), **label)  # fmt: skip
        self.models = widgets.SelectMultiple(options=models, value=selected, description="models", **label,
                                             rows=min(7, len(models)), layout=widgets.Layout(width="24em"))  # fmt: skip
        self.precision = widgets.Dropdown(options=PRECISIONS, description="precision", **label)
        self.short = widgets.Dropdown(options=sizes, description="size", **label)
        self.view = widgets.Dropdown(options=VIEWS, value="probability", description="view", **label)
        self.class_name = widgets.Dropdown(options=first.classes.names, description="class", **label)
        self.run = widgets.Button(description="run", tooltip="predict again")
        self.run.on_click(lambda _: self.start())
        self.data.observe(self._select_data, "value")
        for control in (self.index, self.models, self.precision, self.short):
            control.observe(lambda _: self.start(), "value")
        for control in (self.view, self.class_name):
            control.observe(self._draw, "value")

    @property
    def selection(self) -> Selection:
        """The state of the controls."""
        photo = self._photo if self.data.value == PHOTOGRAPH else None
        data, index = (photo.id, None) if photo else (self.data.value, self.index.value)
        return Selection(self.models.value, data, index, self.precision.value, self.short.value, self.view.value,
                         self.class_name.value or "")  # fmt: skip

    def _select_data(self, _: Any) -> None:
        self.index.disabled = photo = self.data.value == PHOTOGRAPH
        if not photo:
            try:
                last = len(_dataset(self.data.value)) - 1
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
        self.worker.start(self._predict(self.selection), 2 * len(self.models.value), self._report_error)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the predictions are shown, at most for this time."""
        self.worker.wait(seconds)

    def _predict(self, selection: Selection) -> Iterator[Callable[[], None]]:
        """The task of the worker: it reports each model before it runs, and shows all predictions at the end."""
        if not selection.models:
            raise ValueError("choose at least one model")
        sample = self._photo if selection.index is None else _dataset(selection.data)[selection.index]
        assert sample
        predictions = {}
        for i, name in enumerate(selection.models, 1):
            yield partial(self._report, f"{name} is running ({i} of {len(selection.models)}) …")
            model, trained_short = self._load(name)
            yield partial(setattr, model, "short", selection.short or trained_short)  # not once it is cancelled
            predictions[name] = predict(model, sample.image, precision=selection.precision)
        yield partial(self._show, selection, sample, predictions)

    def _show(self, selection: Selection, sample: Sample, predictions: dict[str, Prediction]) -> None:
        self.predictions, self.sample = predictions, sample
        first = next(iter(predictions.values())).classes
        classes = first if selection.index is None else _dataset(selection.data).classes
        self.viewer.show(*views.viewer_input(sample, predictions, classes))
        title, self._table = views.class_table(sample, predictions, classes)
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
        self._report(self._note(predictions, classes, selection.index is None))

    def _note(self, predictions: dict[str, Prediction], classes: ClassSet, photo: bool) -> str:
        sentences = [", ".join(f"{name}: {1000 * p.seconds:.0f} ms" for name, p in predictions.items()) + "."]
        if photo:
            known = f"{len(classes)} classes: {', '.join(classes.names)}."
            sentences += [f"{next(iter(predictions))} assigns every pixel to one of {known}", self._photo_note]
        if others := [name for name, p in predictions.items() if p.classes.names != classes.names]:
            sentences.append(f"Classes of {', '.join(others)} are translated where there is a counterpart.")
        return " ".join(sentences)

    def _draw(self, _: Any = None) -> None:
        """The figure of the second tab, and the files and the code of the third."""
        with self.worker.lock:  # the last drawing shows the last predictions
            view, class_name = self.view.value, self.class_name.value or ""
            if not self.predictions or (view in CLASS_VIEWS and not class_name):
                self.picture.value = b""
                return
            self.picture.value = views.figure(self.predictions, view, class_name).png()
            self.code.value = views.code(self.selection)
            self.copy.value = COPY_BUTTON.format(code=html.escape(self.code.value, quote=True))
            stem = slug(f"{self.selection.data}-{self.selection.index or 0}")
            files = [(f"{stem}-{view}.png", "this view", "image/png", self.picture.value)]
            for name, p in self.predictions.items():
                files.append((f"{stem}-{slug(name)}.png", f"mask of {name}", "image/png", views.mask_png(p)))
            csv = self._table.to_csv(lineterminator="\n").encode()
            files.append((f"{stem}.csv", "the table", "text/csv", csv))
            self.links.value = "Save: " + " · ".join(views.download_link(*file) for file in files)

    def _report_error(self, error: Exception) -> None:
        self._report(problem=str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")

    def _report(self, note: str = "", problem: str = "") -> None:
        self.note.value = f'<span style="color: #62707d">{html.escape(note)}</span>'
        alert = f'<span role="alert" style="color: #b3261e">{html.escape(problem)}</span>'
        self.problem.value = alert if problem else ""
