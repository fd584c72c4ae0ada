"""Measurements on one data set: the store, read into arrays that share one class set.

The class set is the data set's. The predictions of a model with other classes are mapped after the argmax: a predicted
class without a counterpart counts as *other*, an error; target classes that one of the models cannot predict are void
for all of them (`unnamed`). Only images that all models have finished count.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from seglab._utils.errors import unknown
from seglab.data.classes import ClassSet, known_class_set
from seglab.data.translation import Translation, translate
from seglab.evaluation.reading import Tables
from seglab.metrics import bootstrap, comparison
from seglab.metrics.comparison import GroupedCounts, Resampled
from seglab.metrics.confusion import Counts

MODELS_AS_TRAINED = "models as trained, not architectures: their class sets differ"


@dataclass(frozen=True, eq=False)
class Measurements:
    """Runs of several models, with one or more training seeds each, on the images of one data set."""

    data: str  # name and split of the data set
    tables: Tables  # the rows of the store for this data set

    def keep(self, chosen: "pd.Series[bool]") -> "Measurements":
        """Only the chosen rows of `tables.runs`, and the rows of the other tables that belong to them."""
        if chosen.all():
            return self
        runs = self.tables.runs[chosen]
        others = self.tables.images, self.tables.counts, self.tables.bins
        return replace(self, tables=Tables(runs, *(table[table["run"].isin(runs["run"])] for table in others)))

    @property
    def names(self) -> list[str]:
        """The models, in the order in which they were evaluated."""
        return list(dict.fromkeys(self.tables.runs["name"]))

    def runs_of(self, name: str) -> list[int]:
        """The run numbers of a model, one for each training seed; raises ValueError if there is no such model."""
        if name not in self.names:
            raise unknown("model in these results", name, self.names)
        return [run for run, other, _ in self.runs() if other == name]

    def runs(self) -> Iterator[tuple[int, str, Any]]:
        """Run number, model and training seed of each run."""
        return self.tables.runs[["run", "name", "seed"]].itertuples(index=False, name=None)

    @cached_property
    def identities(self) -> dict[int, dict[str, Any]]:
        """Run → everything that decided the measurement."""
        return dict(zip(self.tables.runs["run"].tolist(), map(json.loads, self.tables.runs["identity"]), strict=True))

    @cached_property
    def facts(self) -> dict[int, dict[str, Any]]:
        """Run → further facts about it."""
        return dict(zip(self.tables.runs["run"].tolist(), map(json.loads, self.tables.runs["facts"]), strict=True))

    @cached_property
    def classes(self) -> ClassSet:
        """The data set's class set."""
        first = next(iter(self.identities.values()))
        classes = known_class_set(first["target vocabulary"], first["target classes"], first["background"])
        colors = first.get("target colors")  # of your own data
        return replace(classes, colors=tuple((r, g, b) for r, g, b in colors)) if colors else classes

    @cached_property
    def unnamed(self) -> list[str]:
        """Classes of the data set that one of the models cannot predict; they are void in all tables."""
        missing = {name for run in self.identities for name in self._translation(run).never_named}
        return [name for name in self.classes.names if name in missing]

    @cached_property
    def evaluated(self) -> list[str]:
        """The classes that are evaluated; raises ValueError if the models share none."""
        evaluated = [name for name in self.classes.names if name not in self.unnamed]
        if not evaluated:
            raise ValueError(f"{', '.join(self.names)} share no class of {self.data}; select fewer models")
        return evaluated

    def mapping(self) -> pd.DataFrame:
        """See `Results.mapping`."""
        rows = [
            (name, *pair)
            for name in self.names for run in self.runs_of(name)[:1]
            if self.identities[run]["classes"] != list(self.classes.names)
            for pair in self._translation(run).table().itertuples(index=False, name=None)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["model", "predicted", "counted as"])

    def _translation(self, run: int) -> Translation:
        identity = self.identities[run]
        own = known_class_set(identity["vocabulary"], identity["classes"], None)
        return translate(own, self.classes, identity.get("mapping"))

    @cached_property
    def images(self) -> pd.DataFrame:
        """The images that all runs have finished: id and group, by index in the data set; ValueError without any."""
        images, runs = self.tables.images, len(self.tables.runs)
        finished = images[images.groupby("image")["run"].transform("size") == runs]
        if finished.empty:
            raise ValueError(f"no image of {self.data} is finished by all of {', '.join(self.names)}; evaluate again")
        return finished.drop_duplicates("image").set_index("image")[["id", "group"]].sort_index()

    @cached_property
    def pixels(self) -> dict[int, tuple[Counts, Counts, Counts, Counts]]:
        """Run → int64 columns (rows,): index into `images`, target, prediction, number of pixels; void is left out.

        Target and prediction are indices into the K `evaluated` classes; K is a prediction of none of them.
        """
        index: dict[int | None, int] = {self.classes.index(name): i for i, name in enumerate(self.evaluated)}
        counts, pixels = self.tables.counts.groupby("run"), {}
        for run in self.identities:
            translated = dict(enumerate(self._translation(run).indices))
            targets = np.array([index.get(label, -1) for label in range(256)])
            preds = np.array([index.get(translated.get(label), len(index)) for label in range(256)])
            image, target, pred, count = counts.get_group(run)[["image", "target", "pred", "pixels"]].to_numpy().T
            columns = self.images.index.get_indexer(pd.Index(image)), targets[target], preds[pred], count
            valid = (columns[0] >= 0) & (columns[1] >= 0)
            pixels[run] = tuple(column[valid] for column in columns)
        return pixels

    @cached_property
    def parts(self) -> dict[int, Counts]:
        """Run → int64 (N, K, 3) for N images and K evaluated classes, see `metrics.parts`."""
        parts = {}
        for run, (image, target, pred, pixels) in self.pixels.items():
            shape, hit = (len(self.images), len(self.evaluated) + 1), target == pred
            hits = _sums(shape, (image[hit], target[hit]), pixels[hit])
            totals = [_sums(shape, (image, side), pixels) for side in (target, pred)]
            parts[run] = np.stack([hits, *totals], axis=-1)[:, :-1]
        return parts

    def table(self, run: int) -> Counts:
        """Confusion counts over all images: int64 (K, K+1), rows are targets; the last column is *other*."""
        _, target, pred, pixels = self.pixels[run]
        return _sums((len(self.evaluated), len(self.evaluated) + 1), (target, pred), pixels)

    def bins(self, run: int, kind: str, count: int) -> Counts:
        """Counts of boundaries or confidences over all images: int64 (count, 3), see `ImageCounts.bins`."""
        bins = self.tables.bins
        rows = bins[(bins["run"] == run) & (bins["kind"] == kind) & bins["image"].isin(self.images.index)]
        return _sums((count, 3), rows["bin"].to_numpy(), rows[["a", "b", "c"]].to_numpy())

    @cached_property
    def grouped(self) -> GroupedCounts:
        """The counts of each group of images, from which all statistics are computed."""
        codes, groups = pd.factorize(self.images["group"])
        shape = len(groups), len(self.evaluated), 3
        parts = {name: np.stack([_sums(shape, codes, self.parts[run]) for run in self.runs_of(name)])
                 for name in self.names}  # fmt: skip
        images = (next(iter(self.parts.values()))[..., 1] > 0).sum(axis=0)
        return GroupedCounts(parts, tuple(self.evaluated), images)

    @cached_property
    def resampled(self) -> Resampled | None:
        """The bootstrap resamples that all tables share; None for a single group of images."""
        return comparison.resample(self.grouped)

    def mean_iou_convention(self) -> str:
        """The convention of every mIoU whose name states no other."""
        identity, shown = next(iter(self.identities.values())), int(self.grouped.present.sum())
        background = "" if self.classes.background is None else "background counted, "
        size = "at original size" if identity["scored at"] == "original" else "at the size of the network's input"
        return f"mIoU: over the data set, the {shown} classes that it shows, void ignored, {background}{size}"

    def tiles(self) -> list[str]:
        """A note for each kind of tiles that models were evaluated in, with their names unless it is that of all."""
        named: dict[str, list[str]] = {}
        for run, name, _ in self.runs():
            named.setdefault(self.identities[run].get("tiles", "none"), []).append(name)
        return [f"evaluated in tiles of {kind}" + (f": {', '.join(dict.fromkeys(names))}" if len(named) > 1 else "")
                for kind, names in named.items() if kind != "none"]  # fmt: skip

    def convention(self) -> str:
        """The conventions of all numbers, and the limits of what they show, in one sentence."""
        identities, groups = self.identities.values(), self.grouped.groups
        total, images = next(iter(identities))["images"], len(self.images)
        counted = f"{self.data}: {images} images" if images == total else f"{self.data}: {images} of {total} images"
        counted += f" in {groups} groups" if 1 < groups < images else ""
        intervals = f"intervals of {bootstrap.LEVEL:.0%}: {comparison.scope(self.grouped)}"
        notes = [self.mean_iou_convention(), counted, intervals]
        notes += self.tiles()
        if any(identity["classes"] != list(self.classes.names) for identity in identities):
            notes.append(MODELS_AS_TRAINED)
        if self.unnamed:
            notes.append(f"void because a model lacks the class: {', '.join(self.unnamed)}")
        for field, use in (("chosen on", "weights chosen on"), ("trained on", "trained on")):
            runs = {run for run, i in self.identities.items() if (i.get(field) or "").startswith(f"{self.data} ")}
            if names := [name for name in self.names if runs & set(self.runs_of(name))]:
                notes.append(f"{use} {self.data}, which supports no claim about them: {', '.join(names)}")
        return "; ".join(notes)


def _sums(shape: tuple[int, ...], index: Any, values: Counts) -> Counts:
    """Zeros of a shape, with each value added at its index."""
    sums = np.zeros(shape, np.int64)
    np.add.at(sums, index, values)
    return sums
