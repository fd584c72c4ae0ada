"""The explorer: choose an image and models, and look at what they say of it.

Everything that it shows comes from `looks` and `viewer`; here are the controls, and the order of events. Predictions
are made in a thread, so that the controls answer meanwhile.
"""

import base64
import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any

import ipywidgets as widgets
import pandas as pd
from torch import Tensor

from seglab._utils.paths import slug
from seglab.data.classes import ClassSet
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.labels import write_mask
from seglab.data.loading import data_root, load_dataset
from seglab.data.toytown import scene as toytown
from seglab.inference.fast import PRECISIONS
from seglab.inference.prediction import Prediction, predict
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model
from seglab.models.registry import MODELS
from seglab.models.weights.cards import is_available
from seglab.viz.widgets import views
from seglab.viz.widgets.viewer import Viewer, scene_data
from seglab.viz.widgets.views import SIZES, VIEWS, Question

FIRST = ("unet_mini:toytown", "segformer_mini:toytown")  # what is looked at when it opens
PHOTOGRAPH = "your photograph"
_WIDE = widgets.Layout(width="100%")


def explore(
    models: Sequence[str | Path] | None = None, data: Sequence[str] | None = None, wait: bool = False
) -> "Explorer":
    """Look at images through the eyes of several models.

    Args:
        models: what can be chosen, as for `load_model`; by default all whose weights are here.
        data: names and splits that can be chosen, as "camvid val"; by default Toytown in every weather, and the data
            sets that are here.
        wait: return only when the first image is there to be seen.
    """
    explorer = Explorer(list(map(str, models)) if models else models_here(), list(data) if data else data_here())
    if wait:
        explorer.wait()
    return explorer


def models_here() -> list[str]:
    """Models with weights that can be used without a network, as MODEL:WEIGHTS."""
    return [
        f"{name}:{weights}" for name, spec in MODELS.items() for weights in spec.weights if is_available(spec, weights)
    ]


def data_here() -> list[str]:
    """Toytown in every weather, and data sets that lie on this machine, each with a split that nobody trains on."""
    from seglab.data.catalogue import DATASETS
    from seglab.data.loading import local_datasets

    drawn = [f"toytown{'' if weather == 'clear' else f':{weather}'} test" for weather in toytown.WEATHERS]
    return drawn + [f"{name} val" for name in local_datasets() if "val" in DATASETS[name].splits]


def _dataset(data: str) -> SegmentationDataset:
    return _read(data, data_root())


@lru_cache(maxsize=8)
def _read(data: str, root: Path) -> SegmentationDataset:
    name, _, split = data.partition(" ")
    return load_dataset(name, split or None, download=False)


class _Cancelled(Exception):
    """Somebody wants something else by now."""


class Explorer(widgets.VBox):
    """See `explore`.

    Attributes:
        question: what is shown, or being worked out.
        said: model → its prediction; empty as long as there is none.
        viewer: the masks.
    """

    def __init__(self, models: list[str], data: list[str]) -> None:
        self._loaded: dict[str, tuple[SegModel, int | None]] = {}
        self._photo: tuple[str, Tensor] | None = None
        self._smaller = ""  # what is said of a photograph that is shown smaller than it is
        self._lock, self._cancel, self._thread = RLock(), Event(), Thread()
        self.said: dict[str, Prediction] = {}
        self.sample: Sample | None = None
        self._controls(models, data)
        first = _dataset(data[0])
        sample = first[0]
        self.viewer = Viewer(scene_data(sample.image, {}, first.classes, sample.target), {}, on_photo=self.take)
        self.map, self.table = widgets.Image(format="png", layout=widgets.Layout(max_width="100%")), widgets.HTML()
        self.links, self.code = widgets.HTML(), widgets.Textarea(layout=widgets.Layout(width="100%", height="11em"))
        self.copy = widgets.HTML()
        tabs = widgets.Tab([
            widgets.VBox([self.viewer, self.table]),
            widgets.VBox([widgets.HBox([self.view, self.class_name]), self.map]),
            widgets.VBox([self.links, self.copy, self.code]),
        ], titles=["masks", "scores and doubt", "take along"])  # fmt: skip
        super().__init__([
            widgets.HBox([self.data, self.index], layout=_WIDE),
            widgets.HBox([self.models, widgets.VBox([self.precision, self.short, widgets.HBox([self.run, self.stop])]),
                          widgets.VBox([self.progress, self.note, self.problem])], layout=_WIDE),
            tabs,
        ])  # fmt: skip
        self.start()

    def _controls(self, models: list[str], data: list[str]) -> None:
        said = {"style": {"description_width": "5.5em"}}
        self.data = widgets.Dropdown(options=data, description="data", **said)
        self.index = widgets.IntSlider(0, 0, len(_dataset(data[0])) - 1, description="image", continuous_update=False,
                                       layout=widgets.Layout(width="26em"), **said)  # fmt: skip
        first = [name for name in FIRST if name in models] or models[:2]
        self.models = widgets.SelectMultiple(options=models, value=first, description="models",
                                             rows=min(7, len(models)), layout=widgets.Layout(width="24em"),
                                             **said)  # fmt: skip
        self.precision = widgets.Dropdown(options=PRECISIONS, description="precision", **said)
        sizes = [("as trained" if short == 0 else f"short side {short}", short) for short in SIZES]
        self.short = widgets.Dropdown(options=sizes, description="size", **said)
        self.view = widgets.Dropdown(options=list(VIEWS), value="probability", description="view", **said)
        self.class_name = widgets.Dropdown(options=_dataset(data[0]).classes.names, description="class", **said)
        self.run = widgets.Button(description="run", tooltip="look again")
        self.stop = widgets.Button(description="cancel", disabled=True)
        self.progress = widgets.IntProgress(0, 0, 1, layout=widgets.Layout(width="18em"))
        self.note, self.problem = widgets.HTML(), widgets.HTML()
        self.data.observe(self._chose_data, "value")
        for control in (self.index, self.models, self.precision, self.short):
            control.observe(lambda _: self.start(), "value")
        for control in (self.view, self.class_name):
            control.observe(self._drawn, "value")
        self.run.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self.cancel())

    # What is asked --------------------------------------------------------------------------------------------------

    @property
    def question(self) -> Question:
        """What is shown, or being worked out."""
        photo = self._photo if self.data.value == PHOTOGRAPH else None
        return Question(tuple(self.models.value), photo[0] if photo else self.data.value,
                        None if photo else self.index.value, self.precision.value, self.short.value, self.view.value,
                        self.class_name.value or "")  # fmt: skip

    def _chose_data(self, _: Any) -> None:
        self.index.disabled = photo = self.data.value == PHOTOGRAPH
        if not photo:
            try:
                last = len(_dataset(self.data.value)) - 1
            except ValueError as error:
                self._say(problem=str(error))
                return
            with self.index.hold_trait_notifications():  # one run, not two
                self.index.max, self.index.value = last, min(self.index.value, last)
        self.start()

    def take(self, name: str, photo: bytes) -> None:
        """A photograph that somebody chose or dropped in; it stays in memory."""
        try:
            image, self._smaller = views.downsized(photo)
        except ValueError as error:
            self._say(problem=str(error).replace("the image", name, 1))
            return
        self._photo = name, image
        if PHOTOGRAPH not in self.data.options:
            self.data.options = [*self.data.options, PHOTOGRAPH]
        if self.data.value == PHOTOGRAPH:
            self.start()
        else:
            self.data.value = PHOTOGRAPH

    # Working it out -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Work out what is asked; what was under way is given up."""
        self.cancel()
        with self._lock:
            self._cancel = Event()
            self._thread = Thread(target=self._work, args=(self.question, self._cancel), daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Give up what is under way, after the model that is at work; what is shown stays."""
        with self._lock:
            self._cancel.set()
            self.stop.disabled = True

    def wait(self, seconds: float | None = None) -> None:
        """Until there is nothing under way."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _work(self, question: Question, cancelled: Event) -> None:
        """In a thread of its own; it changes something only as long as nobody wants something else."""
        try:
            if not question.models:
                raise ValueError("choose at least one model")
            sample, said = self._sample(question), {}
            for done, name in enumerate(question.models):
                with self._unless(cancelled):
                    self._advance(name, done, len(question.models))
                said[name] = predict(self._model(name, question.short), sample.image, precision=question.precision)
            with self._unless(cancelled):
                self._show(question, sample, said)
        except _Cancelled:
            return
        except Exception as error:  # whatever it is, the reader is told, and the controls go on working
            message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            with suppress(_Cancelled), self._unless(cancelled):
                self._say(problem=message)
        self.progress.value, self.stop.disabled = self.progress.max, True

    @contextmanager
    def _unless(self, cancelled: Event) -> Iterator[None]:
        with self._lock:
            if cancelled.is_set():
                raise _Cancelled
            yield

    def _advance(self, name: str, done: int, models: int) -> None:
        self.progress.max, self.progress.value, self.stop.disabled = models, done, False
        self._say(f"{name} is looking ({done + 1} of {models}) …")

    def _sample(self, question: Question) -> Sample:
        if question.index is None:
            assert self._photo
            return Sample(self._photo[1], None, self._photo[0], self._photo[0])  # type: ignore[arg-type]
        return _dataset(question.data)[question.index]

    def _model(self, name: str, short: int) -> SegModel:
        if name not in self._loaded:
            model = load_model(name)
            self._loaded[name] = model, model.short
        model, own = self._loaded[name]
        model.short = short or own
        return model

    # Showing it -----------------------------------------------------------------------------------------------------

    def _show(self, question: Question, sample: Sample, said: dict[str, Prediction]) -> None:
        self.said, self.sample = said, sample
        classes = self._vocabulary(question, said)
        self.viewer.show(*views.scene(sample, said, classes))
        if sample.target is None:
            table = pd.DataFrame({name: p.table()["share"] for name, p in said.items()}).fillna(0.0)
            table = table.sort_values(table.columns[0], ascending=False)
            title = "Share of pixels"
        else:
            masks = views.in_one_vocabulary(said, classes)
            table, title = views.iou(masks, sample.target, classes), "IoU on this image"
        self._table = table.rename_axis("class")
        rows = self._table.rename_axis(None).to_html(float_format="{:.3f}".format, na_rep="–", border=0)
        self.table.value = f'<div class="seglab-table">{_COMPACT}<b>{title}</b>{rows}</div>'
        known = [name for name in next(iter(said.values())).classes.names
                 if all(name in p.classes.names for p in said.values())]  # fmt: skip
        chosen = self.class_name.value
        self.class_name.unobserve(self._drawn, "value")  # or it would be drawn for each of these
        self.class_name.options = known
        if chosen in known:
            self.class_name.value = chosen
        self.class_name.observe(self._drawn, "value")
        self._drawn()
        self._say(self._words(said, classes))

    def _vocabulary(self, question: Question, said: dict[str, Prediction]) -> ClassSet:
        return next(iter(said.values())).classes if question.index is None else _dataset(question.data).classes

    def _words(self, said: dict[str, Prediction], classes: ClassSet) -> str:
        each = [f"{name}: {1000 * p.seconds:.0f} ms" for name, p in said.items()]
        others = [name for name, p in said.items() if p.classes.names != classes.names]
        first = next(iter(said.values()))
        told = [", ".join(each) + "."]
        if self.data.value == PHOTOGRAPH:
            names = ", ".join(first.classes.names)
            told += [f"{next(iter(said))} knows {len(first.classes)} classes and nothing else: {names}.", self._smaller]
        if others:
            told.append(f"{', '.join(others)} spoke of other classes, translated where there is a counterpart.")
        return " ".join(told)

    def _drawn(self, _: Any = None) -> None:
        """The map, and what can be taken along."""
        view, class_name = self.view.value, self.class_name.value or ""
        if not self.said or (VIEWS[view] and not class_name):
            self.map.value = b""
            return
        self.map.value = views.figure(self.said, view, class_name).png()
        self.code.value = views.code(self.question)
        self.copy.value = _COPY.format(code=html.escape(self.code.value, quote=True))
        stem = slug(f"{self.question.data}-{self.question.index or 0}")
        pictures = {
            f"{stem}-{view}.png": ("this view", "image/png", self.map.value),
            **{
                f"{stem}-{slug(name)}.png": (f"mask of {name}", "image/png", _mask_png(p))
                for name, p in self.said.items()
            },
            f"{stem}.csv": ("the table", "text/csv", self._table.to_csv(lineterminator="\n").encode()),
        }
        self.links.value = "Save: " + " · ".join(_link(*file) for file in pictures.items())

    def _say(self, note: str = "", problem: str = "") -> None:
        self.note.value = f'<span style="color: #62707d">{html.escape(note)}</span>'
        told = f'<span role="alert" style="color: #b3261e">{html.escape(problem)}</span>'
        self.problem.value = told if problem else ""


def _mask_png(p: Prediction) -> bytes:
    buffer = BytesIO()
    write_mask(buffer, p.mask, p.classes)
    return buffer.getvalue()


def _link(name: str, file: tuple[str, str, bytes]) -> str:
    """A link that saves a file where the browser is; nothing is written where the kernel is."""
    words, kind, content = file
    encoded = base64.b64encode(content).decode()
    file_name, underlined = html.escape(name, quote=True), 'style="text-decoration: underline"'
    return f'<a {underlined} download="{file_name}" href="data:{kind};base64,{encoded}">{html.escape(words)}</a>'


_COPY = """<button type="button" data-code="{code}"
onclick="navigator.clipboard.writeText(this.dataset.code); this.textContent = 'copied'">copy as code</button>"""
_COMPACT = """<style>.seglab-table { line-height: 1.35; padding-top: .5rem; }
.seglab-table table { border-collapse: collapse; }
.seglab-table td, .seglab-table th { padding: 1px 1.1rem 1px 0; text-align: right; font-variant-numeric: tabular-nums; }
.seglab-table tbody th { font-weight: 400; text-align: left; }</style>"""
