"""What was measured on one data set, and every table that follows from it.

    results = Results.open("results.sqlite", "toytown test")
    results.summary(), results.iou_table(), results.compare()

A value is the mean over the training seeds of a model where it has several; `seeds` shows each. Where a model's
vocabulary is another one than the data set's, its predictions are mapped after the argmax: what has no counterpart
counts as *other*, an error; targets that one of the models cannot name are void for all of them (`unnamed`). Such
tables compare models as they were trained, not architectures.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seglab import compare, metrics
from seglab.bootstrap import RESAMPLES, Counts
from seglab.classes import CLASS_SETS, IGNORE_INDEX, ClassSet, translate
from seglab.compare import Resampled, Sheet
from seglab.errors import unknown
from seglab.judges import BOUNDARY, CALIBRATION
from seglab.store import Tables, read

MODELS_AS_TRAINED = "models as trained, not architectures: their vocabularies differ"
CHOSEN_HERE = "its weights were chosen on these very images"


@dataclass(frozen=True, eq=False)
class Results:
    """Runs of several models, and of several seeds of each, on the images of one data set.

    Attributes:
        data: name and split of the data set.
        tables: what the store holds of it, see `store`.
    """

    data: str
    tables: Tables

    @classmethod
    def open(cls, path: str | Path, data: str | None = None) -> "Results":
        """Read a store.

        Args:
            data: which of its data sets, as "camvid val"; may be left out if there is only one.

        Raises:
            ValueError: no such store or data set; several data sets and none chosen.
        """
        tables = read(path)
        names = list(dict.fromkeys(tables.runs["data"]))
        if data is None:
            if len(names) != 1:
                raise ValueError(f"{path} holds {', '.join(names) or 'nothing'}; choose: Results.open(path, data)")
            data = names[0]
        if data not in names:
            raise unknown("data set in this store", data, names)
        return cls(data, tables)._keep(tables.runs["data"] == data)

    def select(self, *names: str) -> "Results":
        """Only these models."""
        for name in names:
            if name not in self.names:
                raise unknown("model in these results", name, self.names)
        return self._keep(self.tables.runs["name"].isin(names))

    def _keep(self, chosen: "pd.Series[bool]") -> "Results":
        runs = self.tables.runs[chosen]
        whole = self.tables.images, self.tables.counts, self.tables.bins
        return replace(self, tables=Tables(runs, *(table[table["run"].isin(runs["run"])] for table in whole)))

    # What was measured ------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The models, in the order in which they were judged."""
        return list(dict.fromkeys(self.tables.runs["name"]))

    @property
    def counts(self) -> pd.DataFrame:
        """The counts themselves: model, seed, id, target, pred, pixels. Classes by name, each side in its own words."""
        runs = self.tables.runs.set_index("run")
        merged = self.tables.counts.merge(self.tables.images[["run", "image", "id"]])
        words = {run: _words(identity["classes"]) for run, identity in self._identities.items()}
        own = _words(self.classes.names)
        table = pd.DataFrame({
            "model": merged["run"].map(runs["name"]), "seed": merged["run"].map(runs["seed"]), "id": merged["id"],
            "target": [own[t] for t in merged["target"]],
            "pred": [words[run][p] for run, p in zip(merged["run"], merged["pred"], strict=True)],
            "pixels": merged["pixels"],
        })  # fmt: skip
        return table.reset_index(drop=True)

    def identity(self) -> pd.DataFrame:
        """What decided each measurement: a row a field, a column a run."""
        columns = {self._title(run): fields for run, fields in self._identities.items()}
        return pd.DataFrame({name: {k: str(v) for k, v in fields.items()} for name, fields in columns.items()})

    @cached_property
    def _identities(self) -> dict[int, dict[str, Any]]:
        return self.tables.runs.set_index("run")["identity"].map(json.loads).to_dict()

    @cached_property
    def _facts(self) -> dict[int, dict[str, Any]]:
        return self.tables.runs.set_index("run")["facts"].map(json.loads).to_dict()

    def _title(self, run: int) -> str:
        row = self.tables.runs.set_index("run").loc[run]
        several = (self.tables.runs["name"] == row["name"]).sum() > 1
        return f"{row['name']}, seed {row['seed']}" if several else str(row["name"])

    def _runs_of(self, name: str) -> list[int]:
        if name not in self.names:
            raise unknown("model in these results", name, self.names)
        return self.tables.runs.loc[self.tables.runs["name"] == name, "run"].tolist()

    # Vocabularies and images ------------------------------------------------------------------------------------------

    @cached_property
    def classes(self) -> ClassSet:
        """The data set's own classes."""
        first = next(iter(self._identities.values()))
        return _class_set(first["target vocabulary"], first["target classes"], first["background"])

    @cached_property
    def unnamed(self) -> list[str]:
        """Classes of the data that one of the models has no word for; void in these tables."""
        missing = {name for run in self._identities for name in self._translation(run).never_named}
        return [name for name in self.classes.names if name in missing]

    @property
    def judged(self) -> list[str]:
        """The classes that are judged."""
        return [name for name in self.classes.names if name not in self.unnamed]

    def _translation(self, run: int) -> Any:
        identity = self._identities[run]
        return translate(_class_set(identity["vocabulary"], identity["classes"], None), self.classes)

    @cached_property
    def images(self) -> pd.DataFrame:
        """The images that every run has finished: id, group. The index is their place in the data set."""
        images, runs = self.tables.images, len(self.tables.runs)
        counted = images.groupby("image")["run"].size()
        finished = images[images["image"].isin(counted.index[counted == runs])]
        if finished.empty:
            raise ValueError(f"no image of {self.data} is finished by all of {', '.join(self.names)}; evaluate goes on")
        return finished.drop_duplicates("image").set_index("image")[["id", "group"]].sort_index()

    def _tables_of(self, run: int, by: str = "image") -> Counts:
        """Counts of judged pixels: int64 (N or G, K, K+1), predictions that mean none of the K classes last."""
        classes = [self.classes.index(name) for name in self.judged]
        place = np.full(256, -1)
        place[classes] = np.arange(len(classes))  # of a target's class among the judged ones; −1 is void
        said = np.full(256, len(classes))
        for own, target in enumerate(self._translation(run).indices):
            if target in classes:
                said[own] = place[target]
        keys = self.images.index if by == "image" else self.images["group"]
        codes, unique = pd.factorize(keys)
        row_of = pd.Series(codes, index=self.images.index)
        rows = self.tables.counts[self.tables.counts["run"] == run]
        rows = rows[rows["image"].isin(row_of.index) & (place[rows["target"]] >= 0)]
        table = np.zeros((len(unique), len(classes), len(classes) + 1), np.int64)
        where = row_of.loc[rows["image"]].to_numpy(), place[rows["target"]], said[rows["pred"]]
        np.add.at(table, where, rows["pixels"].to_numpy())
        return table

    @cached_property
    def sheet(self) -> Sheet:
        """Everything that statistics need."""
        by_group = {name: np.stack([_parts(self._tables_of(run, "group")) for run in self._runs_of(name)])
                    for name in self.names}  # fmt: skip
        first = self._tables_of(int(self.tables.runs["run"].iloc[0]))
        shown = (first.sum(axis=2) > 0).sum(axis=0)
        return Sheet(by_group, tuple(self.judged), shown)

    @cached_property
    def resampled(self) -> Resampled | None:
        """The bootstrap that all tables here share; None where the images are one clip."""
        return compare.resample(self.sheet, RESAMPLES)

    def convention(self) -> str:
        """What every mIoU here is, in a sentence."""
        identity = next(iter(self._identities.values()))
        shown = int(self.sheet.present.sum())
        sentence = f"mIoU: over the data set, the {shown} classes that it shows, void ignored, "
        sentence += "" if self.classes.background is None else "background counted, "
        sentence += "at original size" if identity["scored at"] == "original" else "at the size of the network's input"
        names = [f"{self.data}: {len(self.images)} images"]
        if len(self.images) < identity["images"]:
            names = [f"{self.data}: {len(self.images)} of {identity['images']} images, unfinished"]
        notes = [sentence, *names, f"intervals of {compare.LEVEL:.0%}: {compare.scope(self.sheet)}"]
        if any(i["classes"] != list(self.classes.names) for i in self._identities.values()):
            notes.append(MODELS_AS_TRAINED)
        if self.unnamed:
            notes.append(f"void because a model has no word for it: {', '.join(self.unnamed)}")
        chosen = [i["chosen on"] for i in self._identities.values() if i.get("chosen on")]
        if any(split.startswith(f"{self.data} ") for split in chosen):
            notes.append(f"{self.data} chose the weights of some models: it cannot carry a claim about them")
        return "; ".join(notes)

    # Tables -----------------------------------------------------------------------------------------------------------

    def summary(self) -> pd.DataFrame:
        """One row a model, best first: quality with its interval, and what it costs.

        Returns:
            miou, low, high, pixel_accuracy, seeds, ms (median of an image, from the decoded image to its mask),
            mparams (millions), gmacs (10⁹ multiply-accumulates), memory_mb (see `cost`). Conventions are in
            `attrs["note"]`.
        """
        table = compare.mean_iou_table(self.sheet, self.resampled)
        extra = {name: self._cost(name) for name in self.names}
        table = table.join(pd.DataFrame.from_dict(extra, orient="index"))
        table.attrs["note"] = self.convention()
        order = ["miou", "low", "high", "pixel_accuracy", "seeds", "ms", "mparams", "gmacs", "memory_mb", "why"]
        return table[order]

    def _cost(self, name: str) -> dict[str, float]:
        runs = self._runs_of(name)
        accuracy = np.mean([metrics.pixel_accuracy(self._tables_of(run).sum(axis=0)) for run in runs])
        took = self.tables.images.loc[self.tables.images["run"].isin(runs), "microseconds"].dropna()
        row = {"pixel_accuracy": float(accuracy), "ms": float(took.median()) / 1000 if len(took) else np.nan}
        counted = self._facts[runs[0]].get("cost")
        keys = {"mparams": ("params", 1e6), "gmacs": ("macs", 1e9), "memory_mb": ("peak_bytes", 1e6)}
        return row | {name: counted[key] / unit if counted else np.nan for name, (key, unit) in keys.items()}

    def iou_table(self) -> pd.DataFrame:
        """IoU of each class (rows) for each model (columns), and their mean; exploratory. NaN for an absent class."""
        table = pd.DataFrame({name: self.sheet.iou(name).mean(axis=0) for name in self.names}, index=self.judged)
        table.loc["mean"] = [self.sheet.miou(name).mean() for name in self.names]
        table.attrs["note"] = f"exploratory; {self.convention()}"
        return table.rename_axis("class")

    def iou_style(self) -> Any:
        """`iou_table` as a styled table: bold is every model that cannot be told from the best one."""
        bold = compare.not_separable(self.sheet, self.resampled).reindex(self.iou_table().index, fill_value=False)
        css = bold.map(lambda chosen: "font-weight: bold" if chosen else "")
        return self.iou_table().style.apply(lambda _: css, axis=None).format("{:.3f}", na_rep="–").set_uuid("iou")

    def class_table(self, name: str) -> pd.DataFrame:
        """IoU of each class of one model with its interval: iou, low, high, images, why. Exploratory."""
        self._runs_of(name)
        return compare.class_table(self.sheet, self.resampled, name)

    def seeds(self) -> pd.DataFrame:
        """Every training: model, seed, miou."""
        runs = self.tables.runs
        frames = [
            pd.DataFrame({"model": name, "seed": runs.loc[runs["name"] == name, "seed"], "miou": self.sheet.miou(name)})
            for name in self.names
        ]
        return pd.concat(frames, ignore_index=True)

    def compare(self) -> pd.DataFrame:
        """The primary result: mIoU differences of all pairs, with simultaneous intervals; see `pairwise_table`."""
        table = compare.pairwise_table(self.sheet, self.resampled)
        table.attrs["note"] = self.convention()
        return table

    def conventions(self, batch: int = 8) -> pd.DataFrame:
        """The same counts under every convention in use: rows conventions, columns models (first seed)."""
        background = self.classes.background
        if background is not None and self.classes.names[background] not in self.judged:
            background = None
        tables = {name: metrics.conventions(self._tables_of(self._runs_of(name)[0]), batch, background)
                  for name in self.names}  # fmt: skip
        return pd.DataFrame({name: table.set_index("convention")["value"] for name, table in tables.items()})

    def per_image(self) -> pd.DataFrame:
        """A row for each model, seed and image: miou (over the classes of that image), pixel_accuracy, each class."""
        frames = []
        for run, name, seed in self.tables.runs[["run", "name", "seed"]].itertuples(index=False):
            tables = self._tables_of(run)
            ious = pd.DataFrame(metrics.iou_per_class(tables), columns=self.judged)
            right = [float(metrics.pixel_accuracy(table)) for table in tables]
            named = self.images.reset_index(drop=True).assign(miou=ious.mean(axis=1), pixel_accuracy=right)
            frames.append(named.join(ious).assign(model=name, seed=seed))
        table = pd.concat(frames, ignore_index=True).astype({"seed": "Int64"})
        first = ["model", "seed", "id", "group"]
        return table[[*first, *table.columns.drop(first)]]

    def worst(self, name: str, count: int = 5) -> pd.DataFrame:
        """The images that a model (its first seed) does worst on, by their own mIoU."""
        first = self.tables.runs["run"] == self._runs_of(name)[0]
        return self._keep(first).per_image().nsmallest(count, "miou").reset_index(drop=True)

    def confusion(self, name: str) -> pd.DataFrame:
        """Pixels over all images and seeds: rows are targets, columns predictions, the last one *other* if needed."""
        table = np.sum([self._tables_of(run).sum(axis=0) for run in self._runs_of(name)], axis=0)
        frame = pd.DataFrame(table, index=pd.Index(self.judged, name="target"), columns=[*self.judged, "other"])
        return (frame if frame["other"].any() else frame.drop(columns="other")).rename_axis(columns="pred")

    def boundary_iou(self) -> pd.DataFrame:
        """Boundary IoU (Cheng et al. 2021) of each class for each model, and the mean over the shown classes."""
        columns = {}
        for name in self.names:
            values = [metrics.boundary_iou_per_class(self._bins(run, BOUNDARY, len(self.classes)))
                      for run in self._runs_of(name)]  # fmt: skip
            columns[name] = pd.Series(np.mean(values, axis=0), index=self.classes.names)[self.judged]
        table = pd.DataFrame(columns)
        table.loc["mean"] = table[self.sheet.present].mean()
        return table.rename_axis("class")

    def calibration(self, name: str) -> pd.DataFrame:
        """How sure a model was, and how often right: pixels, confidence and accuracy of each bin; `attrs["ece"]`.

        Raises:
            ValueError: confidences were not counted, or the model has none.
        """
        counts = np.sum([self._bins(run, CALIBRATION, 15) for run in self._runs_of(name)], axis=0)
        if not counts.any():
            raise ValueError(f"no confidences of {name} are here; evaluate(…, calibration=True), and see its docstring")
        pixels, right, fixed = counts.astype(float).T
        some = np.where(pixels > 0, pixels, np.nan)
        table = pd.DataFrame({"pixels": counts[:, 0], "confidence": fixed / metrics.FIXED_POINT / some,
                              "accuracy": right / some})  # fmt: skip
        table.attrs["ece"] = float(metrics.expected_calibration_error(counts))
        return table.rename_axis("bin")

    def _bins(self, run: int, kind: str, count: int) -> Counts:
        bins = self.tables.bins
        rows = bins[(bins["run"] == run) & (bins["kind"] == kind) & bins["image"].isin(self.images.index)]
        if kind == BOUNDARY and not self._identities[run]["boundary"]:
            raise ValueError("boundaries were not counted; evaluate(…, boundary=True)")
        table = np.zeros((count, 3), np.int64)
        np.add.at(table, rows["bin"].to_numpy(), rows[["a", "b", "c"]].to_numpy())
        return table

    def data_table(self) -> pd.DataFrame:
        """What the targets hold: share of pixels of each class, and images that show it; void last."""
        run = self.tables.runs["run"].iloc[0]
        rows = self.tables.counts
        rows = rows[(rows["run"] == run) & rows["image"].isin(self.images.index)]
        pixels, images = rows.groupby("target")["pixels"].sum(), rows.groupby("target")["image"].nunique()
        labels = [*range(len(self.classes)), IGNORE_INDEX]
        table = pd.DataFrame({"share": pixels / pixels.sum(), "images": images}).reindex(labels, fill_value=0)
        return table.set_axis(pd.Index([*self.classes.names, "void"], name="class"))


def _parts(tables: Counts) -> Counts:
    """(G, K, K+1) counts → (G, K, 3): hits, pixels of the target, pixels predicted."""
    classes = tables.shape[1]
    hits = np.diagonal(tables, axis1=1, axis2=2)
    return np.stack([hits, tables.sum(axis=2), tables.sum(axis=1)[:, :classes]], axis=-1)


def _class_set(name: str, names: list[str], background: int | None) -> ClassSet:
    """The known class set of this name, if it has these classes; else one of one's own."""
    known = CLASS_SETS.get(name)
    if known is not None and list(known.names) == names:
        return known
    from seglab.palette import voc_colors

    return ClassSet(name, tuple(names), voc_colors(len(names)), background=background)


def _words(names: Any) -> Mapping[int, str]:
    return {i: names[i] if i < len(names) else "void" for i in range(256)}
