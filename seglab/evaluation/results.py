"""`Results`: every table that follows from the measurements on one data set.

    results = Results.open("results.sqlite", "toytown test")
    results.summary(), results.iou_table(), results.compare()

A value is the mean over a model's training seeds if there are several; `seeds` lists each. Where class sets differ (see
`measurements`), tables compare models as they were trained, not architectures, and their note states it.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seglab import metrics
from seglab._utils.errors import unknown
from seglab.data.classes import IGNORE_INDEX, ClassSet
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION
from seglab.evaluation.measurements import Measurements
from seglab.evaluation.reading import read
from seglab.metrics import comparison
from seglab.metrics.comparison import GroupedCounts
from seglab.metrics.measures import ratio


class Results:
    """The measurements on one data set as tables: `Results.open(path)`, or what `evaluate` returns.

    Tables that support a claim carry their conventions in `attrs["note"]`. They are computed from `measurements`, whose
    main attributes and methods (`names`, `classes`, `images`, `runs_of`, `convention`, …) the results have, too.
    """

    def __init__(self, measurements: Measurements) -> None:
        self.measurements = m = measurements
        self.data, self.tables, self.names, self.identities = m.data, m.tables, m.names, m.identities
        self.runs_of, self.bins, self.convention = m.runs_of, m.bins, m.convention
        self.mean_iou_convention = m.mean_iou_convention

    @classmethod
    def open(cls, path: str | Path, data: str | None = None) -> "Results":
        """Read a store; `data` is one of its data sets, as "camvid val", and may be left out if there is only one.

        Raises ValueError if there is no such store or data set, no run, or no `data` although there are several.
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
        return cls(Measurements(data, tables).keep(tables.runs["data"] == data))

    def select(self, *names: str) -> "Results":
        """Only these models, on the images and classes that they share; raises ValueError if one is missing."""
        for name in names:
            self.runs_of(name)
        return Results(self.measurements.keep(self.tables.runs["name"].isin(names)))

    def of_seed(self, seed: int) -> "Results":
        """Only the runs of one training seed."""
        return Results(self.measurements.keep(self.tables.runs["seed"] == seed))

    @property
    def classes(self) -> ClassSet:
        return self.measurements.classes

    @property
    def evaluated(self) -> list[str]:
        return self.measurements.evaluated

    @property
    def images(self) -> pd.DataFrame:
        return self.measurements.images

    @property
    def parts(self) -> dict[int, metrics.Counts]:
        return self.measurements.parts

    @property
    def grouped(self) -> GroupedCounts:
        return self.measurements.grouped

    @property
    def counts(self) -> pd.DataFrame:
        """The counts: model, seed, id, target, pred, pixels; classes by name, each side in its own class set."""
        merged = self.tables.counts.merge(self.tables.images[["run", "image", "id"]])
        runs, preds = self.tables.runs.set_index("run"), np.empty(len(merged), object)
        for run, identity in self.identities.items():
            rows = (merged["run"] == run).to_numpy()
            preds[rows] = _label_names(identity["classes"])[merged.loc[rows, "pred"]]
        return pd.DataFrame({
            "model": merged["run"].map(runs["name"]), "seed": merged["run"].map(runs["seed"]), "id": merged["id"],
            "target": _label_names(self.classes.names)[merged["target"]], "pred": preds, "pixels": merged["pixels"],
        })  # fmt: skip

    def identity(self) -> pd.DataFrame:
        """Everything that decided each measurement: rows are fields, columns are runs."""
        columns = {}
        for run, name, seed in self.measurements.runs():
            title = f"{name}, seed {seed}" if len(self.runs_of(name)) > 1 else name
            columns[title] = {field: str(value) for field, value in self.identities[run].items()}
        return pd.DataFrame(columns)

    def mapping(self) -> pd.DataFrame:
        """For each model with other classes than the data, a row per class: model, predicted (its class), counted as.

        The last one is the class of the data as which the predicted class counts, "–" where there is none.
        """
        return self.measurements.mapping()

    def data_table(self) -> pd.DataFrame:
        """What the targets hold: fraction of pixels of each class (share), and images that show it; void last."""
        rows = self.tables.counts
        rows = rows[(rows["run"] == self.tables.runs["run"].iloc[0]) & rows["image"].isin(self.images.index)]
        pixels, images = rows.groupby("target")["pixels"].sum(), rows.groupby("target")["image"].nunique()
        labels = [*range(len(self.classes)), IGNORE_INDEX]
        table = pd.DataFrame({"share": pixels / pixels.sum(), "images": images}).reindex(labels, fill_value=0)
        return table.set_axis(pd.Index([*self.classes.names, "void"], name="class"))

    def summary(self) -> pd.DataFrame:
        """One row per model, best first: quality with its interval, and cost.

        Returns:
            miou, low, high, pixel_accuracy, seeds (mIoU of each), ms (median from the decoded image to its mask; one
            thread of a CPU), mparams (10⁶), gmacs (10⁹), memory_mb (see `models.cost`), why (an interval is missing).
        """
        table = comparison.mean_iou_table(self.grouped, self.measurements.resampled)
        units = {"mparams": ("params", 1e6), "gmacs": ("macs", 1e9), "memory_mb": ("peak_bytes", 1e6)}
        for name in self.names:
            runs = self.runs_of(name)
            accuracies = [metrics.pixel_accuracy(self.measurements.table(run)) for run in runs]
            times = self.tables.images.loc[self.tables.images["run"].isin(runs), "microseconds"].dropna()
            cost = self.measurements.facts[runs[0]].get("cost")
            table.loc[name, "pixel_accuracy"] = np.mean(accuracies)
            table.loc[name, "ms"] = float(times.median()) / 1000 if len(times) else np.nan
            for column, (key, unit) in units.items():
                table.loc[name, column] = cost[key] / unit if cost else np.nan
        order = ["miou", "low", "high", "pixel_accuracy", "seeds", "ms", "mparams", "gmacs", "memory_mb", "why"]
        return self._with_note(table[order])

    def iou_table(self) -> pd.DataFrame:
        """IoU of each class (rows) for each model (columns), NaN for a class in neither target nor prediction.

        The last row is the mean over the classes that the targets show. Exploratory.
        """
        table = pd.DataFrame({name: self.grouped.iou[name].mean(axis=0) for name in self.names}, index=self.evaluated)
        table.loc["mean"] = [self.grouped.miou(name).mean() for name in self.names]
        return self._with_note(table.rename_axis("class"), "exploratory; ")

    def iou_style(self) -> Any:
        """`iou_table` as a pandas Styler: bold is each model that is not significantly different from the best one."""
        table = self.iou_table()
        bold = comparison.not_separable(self.grouped, self.measurements.resampled)
        css = bold.reindex(table.index, fill_value=False).map(lambda chosen: "font-weight: bold" if chosen else "")
        # The same id each time, but another one for other tables, so that CSS rules of two tables on a page differ.
        uuid = hashlib.sha256("\n".join([self.data, *self.names]).encode()).hexdigest()[:10]
        style = table.style.apply(lambda _: css, axis=None).format("{:.3f}", na_rep="–").hide(names=True).set_uuid(uuid)
        return style.format_index(escape="html", axis=0).format_index(escape="html", axis=1)

    def class_table(self, name: str) -> pd.DataFrame:
        """IoU of each class of one model with its interval: iou, low, high, images, why. Exploratory."""
        self.runs_of(name)
        return self._with_note(comparison.class_table(self.grouped, self.measurements.resampled, name), "exploratory; ")

    def seeds(self) -> pd.DataFrame:
        """Each training, ordered by seed within a model: model, seed, miou."""
        miou = np.concatenate([self.grouped.miou(name) for name in self.names])
        runs = self.tables.runs[["name", "seed"]].rename(columns={"name": "model"})
        return runs.assign(miou=miou).reset_index(drop=True)

    def compare(self) -> pd.DataFrame:
        """The primary result: mIoU differences of all pairs, with simultaneous intervals; see `pairwise_table`."""
        return self._with_note(comparison.pairwise_table(self.grouped, self.measurements.resampled))

    def conventions(self, batch: int = 8) -> pd.DataFrame:
        """The same counts under every common convention: rows are conventions, columns models (first seed).

        The first row is the mIoU of all other tables; see `metrics.conventions`.
        """
        indices = [self.classes.index(name) for name in self.evaluated]
        background = indices.index(self.classes.background) if self.classes.background in indices else None
        columns = {}
        for name in self.names:
            table = metrics.conventions_of(self.parts[self.runs_of(name)[0]], batch, background)
            ours = pd.Series({self.mean_iou_convention(): self.grouped.miou(name)[0]})
            columns[name] = pd.concat([ours, table.set_index("convention")["value"]])
        return self._with_note(pd.DataFrame(columns).rename_axis("convention"))

    def confusion(self, name: str) -> pd.DataFrame:
        """Pixels over all images and seeds: rows are targets, columns predictions; *other* is last, if it occurs."""
        table = np.sum([self.measurements.table(run) for run in self.runs_of(name)], axis=0)
        frame = pd.DataFrame(table, index=pd.Index(self.evaluated, name="target"), columns=[*self.evaluated, "other"])
        return (frame if frame["other"].any() else frame.drop(columns="other")).rename_axis(columns="pred")

    def per_image(self) -> pd.DataFrame:
        """One row per model, seed and image: model, seed, id, group, miou, pixel_accuracy, IoU of each class.

        The miou of an image is the mean over the classes in its target or its prediction.
        """
        frames = []
        for run, name, seed in self.measurements.runs():
            parts = self.parts[run]
            ious = pd.DataFrame(metrics.iou(parts), columns=self.evaluated)
            hits, labelled = parts[..., :2].sum(axis=1).astype(float).T
            images = self.images.reset_index(drop=True)
            images = images.assign(miou=ious.mean(axis=1), pixel_accuracy=ratio(hits, labelled))
            frames.append(images.join(ious).assign(model=name, seed=seed))
        table = pd.concat(frames, ignore_index=True).astype({"seed": "Int64"})
        return table[["model", "seed", *table.columns.drop(["model", "seed"])]]

    def worst(self, name: str, count: int = 5) -> pd.DataFrame:
        """The images with the lowest mIoU of a model (first seed): rows of `per_image`, without unlabelled images."""
        position = list(self.identities).index(self.runs_of(name)[0])
        rows = self.per_image()[position * len(self.images) : (position + 1) * len(self.images)]
        return rows.dropna(subset="miou").nsmallest(count, "miou").reset_index(drop=True)

    def where(self, name: str, target: str, pred: str | None = None) -> pd.DataFrame:
        """The images in which a model (first seed) predicts one class as another: id, pixels, most pixels first.

        `pred` is a column of `confusion`; None counts all errors of the class: its pixels predicted as another class,
        and pixels of other classes predicted as this one. Raises ValueError for an unknown model or class.
        """
        names = [*self.evaluated, "other"]
        for given in (target, *([] if pred is None else [pred])):
            if given not in names:
                raise unknown("evaluated class", given, names)
        image, targets, preds, pixels = self.measurements.pixels[self.runs_of(name)[0]]
        t = names.index(target)
        chosen = (targets == t) != (preds == t) if pred is None else (targets == t) & (preds == names.index(pred))
        counted = np.bincount(image[chosen], weights=pixels[chosen], minlength=len(self.images)).astype(np.int64)
        table = pd.DataFrame({"id": self.images["id"].to_numpy(), "pixels": counted})
        table = table[table["pixels"] > 0].sort_values("pixels", ascending=False, kind="stable")
        return table.reset_index(drop=True)

    def boundary_iou(self) -> pd.DataFrame:
        """Boundary IoU (Cheng et al. 2021) of each class for each model, and the mean over the shown classes.

        Raises ValueError if boundaries were not counted for all models.
        """
        without = [name for name in self.names if not all(self.identities[r]["boundary"] for r in self.runs_of(name))]
        if without:
            raise ValueError(f"no boundaries of {', '.join(without)} were counted; evaluate(…, boundary=True)")
        columns = {}
        for name in self.names:
            counts = [self.bins(run, BOUNDARY, len(self.classes)) for run in self.runs_of(name)]
            values = np.mean([metrics.boundary_iou_per_class(table) for table in counts], axis=0)
            columns[name] = pd.Series(values, index=self.classes.names)[self.evaluated]
        table = pd.DataFrame(columns)
        table.loc["mean"] = table[self.grouped.present].mean()
        return table.rename_axis("class")

    def calibration(self, name: str) -> pd.DataFrame:
        """Pixels, mean confidence and accuracy of each confidence bin; the calibration error in `attrs["ece"]`.

        Raises ValueError if confidences were not counted, or the model has none.
        """
        counts = self.calibration_counts(name)
        pixels, right, fixed = counts.astype(float).T
        confidence, accuracy = ratio(fixed / metrics.FIXED_POINT, pixels), ratio(right, pixels)
        table = pd.DataFrame({"pixels": counts[:, 0], "confidence": confidence, "accuracy": accuracy})
        table.attrs["ece"] = float(metrics.expected_calibration_error(counts))
        return table.rename_axis("bin")

    def calibration_counts(self, name: str) -> metrics.Counts:
        """The counts of `calibration`: int64 (bins, 3), over all seeds; raises the same errors."""
        counts: metrics.Counts = np.sum([self.bins(r, CALIBRATION, metrics.BINS) for r in self.runs_of(name)], axis=0)
        if not counts.any():
            raise ValueError(f"no confidences of {name} were counted; evaluate(…, calibration=True): see its docstring")
        return counts

    def _with_note(self, table: pd.DataFrame, before: str = "") -> pd.DataFrame:
        table.attrs["note"] = before + self.convention()
        return table


def _label_names(names: Any) -> Any:
    """The names of all possible labels, as an array of objects (256,)."""
    return np.array([*names, *["void"] * (256 - len(names))], object)
