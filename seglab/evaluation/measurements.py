"""What was measured on one data set: the store, read into arrays of one vocabulary.

The vocabulary is the data set's. Where a model has another one, its predictions are mapped after the argmax: what has
no counterpart counts as *other*, an error; targets that one of the models cannot name are void for all of them
(`unnamed`). Only images that all of them have finished count.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from seglab._utils.errors import unknown
from seglab.data.classes import ClassSet, known_class_set
from seglab.data.translation import Translation, translate
from seglab.evaluation.store import Tables, read
from seglab.metrics import bootstrap, comparison
from seglab.metrics.comparison import GroupedCounts, Resampled
from seglab.metrics.confusion import Counts

MODELS_AS_TRAINED = "models as trained, not architectures: their vocabularies differ"


@dataclass(frozen=True, eq=False)
class Measurements:
    """Runs of several models, and of several seeds of each, on the images of one data set.

    Attributes:
        data: name and split of the data set.
        tables: what the store holds of it, see `store`.
    """

    data: str
    tables: Tables

    @classmethod
    def open(cls, path: str | Path, data: str | None = None) -> Self:
        """Read a store.

        Args:
            data: which of its data sets, as "camvid val"; may be left out if there is only one.

        Raises:
            ValueError: no such store or data set; nothing in it yet; several data sets and none chosen.
        """
        tables = read(path)
        names = list(dict.fromkeys(tables.runs["data"]))
        if not names:
            raise ValueError(f"{path} holds no runs yet; evaluate a model into it")
        if data is None and len(names) > 1:
            raise ValueError(f"{path} holds {', '.join(names)}; choose one: Results.open(path, data)")
        data = data or names[0]
        if data not in names:
            raise unknown("data set in this store", data, names)
        return cls(data, tables)._keep(tables.runs["data"] == data)

    def select(self, *names: str) -> Self:
        """Only these models. Their images and classes are then those that these models share."""
        for name in names:
            self.runs_of(name)
        return self._keep(self.tables.runs["name"].isin(names))

    def of_seed(self, seed: int) -> Self:
        """The same with one training seed only."""
        return self._keep(self.tables.runs["seed"] == seed)

    def _keep(self, chosen: "pd.Series[bool]") -> Self:
        runs = self.tables.runs[chosen]
        whole = self.tables.images, self.tables.counts, self.tables.bins
        return replace(self, tables=Tables(runs, *(table[table["run"].isin(runs["run"])] for table in whole)))

    # Runs -------------------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The models, in the order in which they were judged."""
        return list(dict.fromkeys(self.tables.runs["name"]))

    def runs_of(self, name: str) -> list[int]:
        """Numbers of the runs of a model, one for each seed.

        Raises:
            ValueError: no such model.
        """
        runs = self.tables.runs
        if name not in self.names:
            raise unknown("model in these results", name, self.names)
        return runs.loc[runs["name"] == name, "run"].tolist()

    @cached_property
    def identities(self) -> dict[int, dict[str, Any]]:
        """Run → what decided the measurement."""
        return {run: json.loads(text) for run, text in self._column("identity")}

    @cached_property
    def facts(self) -> dict[int, dict[str, Any]]:
        """Run → what else is known of it."""
        return {run: json.loads(text) for run, text in self._column("facts")}

    def _column(self, name: str) -> Iterator[tuple[int, Any]]:
        return zip(self.tables.runs["run"].tolist(), self.tables.runs[name], strict=True)

    # Vocabularies and images ------------------------------------------------------------------------------------------

    @cached_property
    def classes(self) -> ClassSet:
        """The data set's own classes."""
        first = next(iter(self.identities.values()))
        return known_class_set(first["target vocabulary"], first["target classes"], first["background"])

    @cached_property
    def unnamed(self) -> list[str]:
        """Classes of the data that one of the models has no word for; void in these tables."""
        missing = {name for run in self.identities for name in self._translation(run).never_named}
        return [name for name in self.classes.names if name in missing]

    @cached_property
    def evaluated(self) -> list[str]:
        """The classes that are judged.

        Raises:
            ValueError: there is none that all models have a word for.
        """
        judged = [name for name in self.classes.names if name not in self.unnamed]
        if not judged:
            raise ValueError(f"{', '.join(self.names)} share no class of {self.data}; select fewer models")
        return judged

    def _translation(self, run: int) -> Translation:
        identity = self.identities[run]
        return translate(known_class_set(identity["vocabulary"], identity["classes"], None), self.classes)

    @cached_property
    def images(self) -> pd.DataFrame:
        """The images that every run has finished: id, group. The index is their place in the data set.

        Raises:
            ValueError: there is none.
        """
        images, runs = self.tables.images, len(self.tables.runs)
        counted = images.groupby("image")["run"].size()
        finished = images[images["image"].isin(counted.index[counted == runs])]
        if finished.empty:
            raise ValueError(f"no image of {self.data} is finished by all of {', '.join(self.names)}; evaluate goes on")
        return finished.drop_duplicates("image").set_index("image")[["id", "group"]].sort_index()

    # Counts -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _pixels(self) -> dict[int, tuple[Counts, Counts, Counts, Counts]]:
        """Run → row of the image in `images`, target and prediction as places in `judged`, pixels.

        A prediction that means none of the K judged classes is K. Void is left out.
        """
        places: dict[int | None, int] = {self.classes.index(name): place for place, name in enumerate(self.evaluated)}
        others, by_run, pixels = len(places), self.tables.counts.groupby("run"), {}
        for run in self.identities:
            words = dict(enumerate(self._translation(run).indices))
            meant = np.array([places.get(label, -1) for label in range(256)])
            said = np.array([places.get(words.get(label), others) for label in range(256)])
            image, target, pred, count = by_run.get_group(run)[["image", "target", "pred", "pixels"]].to_numpy().T
            columns = self.images.index.get_indexer(pd.Index(image)), meant[target], said[pred], count
            judged = (columns[0] >= 0) & (columns[1] >= 0)
            pixels[run] = tuple(column[judged] for column in columns)
        return pixels

    @cached_property
    def parts(self) -> dict[int, Counts]:
        """Run → int64 (N, K, 3), for each image and judged class, see `metrics.parts`."""
        return {run: self._parts(*pixels) for run, pixels in self._pixels.items()}

    def _parts(self, image: Counts, target: Counts, pred: Counts, pixels: Counts) -> Counts:
        parts, hit = np.zeros((len(self.images), len(self.evaluated) + 1, 3), np.int64), target == pred
        np.add.at(parts[..., 0], (image[hit], target[hit]), pixels[hit])
        np.add.at(parts[..., 1], (image, target), pixels)
        np.add.at(parts[..., 2], (image, pred), pixels)
        return parts[:, :-1]

    def table(self, run: int) -> Counts:
        """Counts over all images: int64 (K, K+1), rows targets; predictions that mean none of the K classes last."""
        table = np.zeros((len(self.evaluated), len(self.evaluated) + 1), np.int64)
        _, target, pred, pixels = self._pixels[run]
        np.add.at(table, (target, pred), pixels)
        return table

    def bins(self, run: int, kind: str, count: int) -> Counts:
        """Counts of boundaries or confidences over all images: int64 (count, 3), see `judges`."""
        bins, table = self.tables.bins, np.zeros((count, 3), np.int64)
        rows = bins[(bins["run"] == run) & (bins["kind"] == kind) & bins["image"].isin(self.images.index)]
        np.add.at(table, rows["bin"].to_numpy(), rows[["a", "b", "c"]].to_numpy())
        return table

    # Statistics -------------------------------------------------------------------------------------------------------

    @cached_property
    def grouped(self) -> GroupedCounts:
        """Everything that statistics need."""
        codes, groups = pd.factorize(self.images["group"])

        def grouped(run: int) -> Counts:
            sums = np.zeros((len(groups), len(self.evaluated), 3), np.int64)
            np.add.at(sums, codes, self.parts[run])
            return sums

        parts = {name: np.stack([grouped(run) for run in self.runs_of(name)]) for name in self.names}
        images = (next(iter(self.parts.values()))[..., 1] > 0).sum(axis=0)
        return GroupedCounts(parts, tuple(self.evaluated), images)

    @cached_property
    def resampled(self) -> Resampled | None:
        """The bootstrap that all tables share; None where the images are one clip."""
        return comparison.resample(self.grouped)

    def mean_iou_convention(self) -> str:
        """What every mIoU here is, unless its name says otherwise."""
        identity, shown = next(iter(self.identities.values())), int(self.grouped.present.sum())
        counted = "" if self.classes.background is None else "background counted, "
        size = "at original size" if identity["scored at"] == "original" else "at the size of the network's input"
        return f"mIoU: over the data set, the {shown} classes that it shows, void ignored, {counted}{size}"

    def convention(self) -> str:
        """What every number here is, in a sentence."""
        identities, groups = self.identities.values(), self.grouped.groups
        whole, images = next(iter(identities))["images"], len(self.images)
        here = f"{self.data}: {images} images" if images == whole else f"{self.data}: {images} of {whole} images"
        here += f" in {groups} groups" if 1 < groups < images else ""
        notes = [
            self.mean_iou_convention(),
            here,
            f"intervals of {bootstrap.LEVEL:.0%}: {comparison.scope(self.grouped)}",
        ]
        if any(identity["classes"] != list(self.classes.names) for identity in identities):
            notes.append(MODELS_AS_TRAINED)
        if self.unnamed:
            notes.append(f"void because a model has no word for it: {', '.join(self.unnamed)}")
        for fact, did in (("chosen on", "chose the weights of"), ("trained on", "trained")):
            runs = [run for run, i in self.identities.items() if (i.get(fact) or "").startswith(f"{self.data} ")]
            if names := [name for name in self.names if set(runs) & set(self.runs_of(name))]:
                notes.append(f"{self.data} {did} {', '.join(names)}: it cannot carry a claim about them")
        return "; ".join(notes)
