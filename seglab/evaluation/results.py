"""Every table that follows from what was measured on one data set.

    results = Results.open("results.sqlite", "toytown test")
    results.summary(), results.iou_table(), results.compare()

A value is the mean over the training seeds of a model where it has several; `seeds` shows each. Where vocabularies
differ (see `measured`), tables compare models as they were trained, not architectures, and say so.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from seglab import metrics
from seglab._utils.errors import unknown
from seglab.data.classes import IGNORE_INDEX
from seglab.evaluation.evaluators import BOUNDARY, CALIBRATION
from seglab.evaluation.measurements import Measurements
from seglab.metrics import comparison


class Results(Measurements):
    """What was measured on one data set, as tables: `Results.open(path)`, or what `evaluate` returns.

    Tables that claim something carry their conventions in `attrs["note"]`.
    """

    @property
    def counts(self) -> pd.DataFrame:
        """The counts themselves: model, seed, id, target, pred, pixels. Classes by name, each side in its own words."""
        merged = self.tables.counts.merge(self.tables.images[["run", "image", "id"]])
        runs, said = self.tables.runs.set_index("run"), np.empty(len(merged), object)
        for run, identity in self.identities.items():
            rows = (merged["run"] == run).to_numpy()
            said[rows] = _words(identity["classes"])[merged.loc[rows, "pred"]]
        return pd.DataFrame({
            "model": merged["run"].map(runs["name"]), "seed": merged["run"].map(runs["seed"]), "id": merged["id"],
            "target": _words(self.classes.names)[merged["target"]], "pred": said, "pixels": merged["pixels"],
        })  # fmt: skip

    def identity(self) -> pd.DataFrame:
        """What decided each measurement: a row a field, a column a run."""
        columns = {}
        for run, name, seed in self._runs():
            title = f"{name}, seed {seed}" if len(self.runs_of(name)) > 1 else name
            columns[title] = {field: str(value) for field, value in self.identities[run].items()}
        return pd.DataFrame(columns)

    def _runs(self) -> Iterator[tuple[int, str, Any]]:
        return self.tables.runs[["run", "name", "seed"]].itertuples(index=False, name=None)

    def data_table(self) -> pd.DataFrame:
        """What the targets hold: share of pixels of each class, and images that show it; void last."""
        rows = self.tables.counts
        rows = rows[(rows["run"] == self.tables.runs["run"].iloc[0]) & rows["image"].isin(self.images.index)]
        pixels, images = rows.groupby("target")["pixels"].sum(), rows.groupby("target")["image"].nunique()
        labels = [*range(len(self.classes)), IGNORE_INDEX]
        table = pd.DataFrame({"share": pixels / pixels.sum(), "images": images}).reindex(labels, fill_value=0)
        return table.set_axis(pd.Index([*self.classes.names, "void"], name="class"))

    # Over the data set ------------------------------------------------------------------------------------------------

    def summary(self) -> pd.DataFrame:
        """One row a model, best first: quality with its interval, and what it costs.

        Returns:
            miou, low, high, pixel_accuracy, seeds (each one's mIoU), ms (median of an image, from the decoded image to
            its mask; on a CPU, by one thread), mparams (millions), gmacs (10⁹ multiply-accumulates), memory_mb (see
            `cost`), why (in place of an interval).
        """
        table = comparison.mean_iou_table(self.grouped, self.resampled)
        table = table.join(pd.DataFrame.from_dict({name: self._cost(name) for name in self.names}, orient="index"))
        order = ["miou", "low", "high", "pixel_accuracy", "seeds", "ms", "mparams", "gmacs", "memory_mb", "why"]
        return self._noted(table[order])

    def _cost(self, name: str) -> dict[str, float]:
        runs = self.runs_of(name)
        accuracy = np.mean([metrics.pixel_accuracy(self.table(run)) for run in runs])
        took = self.tables.images.loc[self.tables.images["run"].isin(runs), "microseconds"].dropna()
        row = {"pixel_accuracy": float(accuracy), "ms": float(took.median()) / 1000 if len(took) else np.nan}
        counted = self.facts[runs[0]].get("cost")
        keys = {"mparams": ("params", 1e6), "gmacs": ("macs", 1e9), "memory_mb": ("peak_bytes", 1e6)}
        return row | {name: counted[key] / unit if counted else np.nan for name, (key, unit) in keys.items()}

    def iou_table(self) -> pd.DataFrame:
        """IoU of each class (rows) for each model (columns), NaN for one that is neither shown nor predicted.

        The last row is the mean over the classes that the data show. Exploratory.
        """
        table = pd.DataFrame({name: self.grouped.iou[name].mean(axis=0) for name in self.names}, index=self.evaluated)
        table.loc["mean"] = [self.grouped.miou(name).mean() for name in self.names]
        return self._noted(table.rename_axis("class"), "exploratory; ")

    def iou_style(self) -> Any:
        """`iou_table` as a styled table: bold is every model that cannot be told from the best one."""
        table = self.iou_table()
        bold = comparison.not_separable(self.grouped, self.resampled).reindex(table.index, fill_value=False)
        css = bold.map(lambda chosen: "font-weight: bold" if chosen else "")
        # Always the same, but another one for other tables: rules of two tables on one page must not meet.
        mark = hashlib.sha256("\n".join([self.data, *self.names]).encode()).hexdigest()[:10]
        style = table.style.apply(lambda _: css, axis=None).format("{:.3f}", na_rep="–").hide(names=True).set_uuid(mark)
        return style.format_index(escape="html", axis=0).format_index(escape="html", axis=1)  # names are only text

    def class_table(self, name: str) -> pd.DataFrame:
        """IoU of each class of one model with its interval: iou, low, high, images, why. Exploratory."""
        self.runs_of(name)
        return self._noted(comparison.class_table(self.grouped, self.resampled, name), "exploratory; ")

    def seeds(self) -> pd.DataFrame:
        """Every training, the lowest seed of a model first: model, seed, miou."""
        runs = self.tables.runs
        frames = [
            pd.DataFrame(
                {"model": name, "seed": runs.loc[runs["name"] == name, "seed"], "miou": self.grouped.miou(name)}
            )
            for name in self.names
        ]
        return pd.concat(frames, ignore_index=True)

    def compare(self) -> pd.DataFrame:
        """The primary result: mIoU differences of all pairs, with simultaneous intervals; see `pairwise_table`."""
        return self._noted(comparison.pairwise_table(self.grouped, self.resampled))

    def conventions(self, batch: int = 8) -> pd.DataFrame:
        """The same counts under every convention in use: rows conventions, columns models (first seed).

        The first row is the mIoU of all other tables; see `metrics.conventions`.
        """
        background = self.classes.background
        if background is not None:
            name = self.classes.names[background]
            background = self.evaluated.index(name) if name in self.evaluated else None
        columns = {}
        for name in self.names:
            table = metrics.conventions_of(self.parts[self.runs_of(name)[0]], batch, background)
            ours = pd.Series({self.mean_iou_convention(): self.grouped.miou(name)[0]})
            columns[name] = pd.concat([ours, table.set_index("convention")["value"]])
        return pd.DataFrame(columns).rename_axis("convention")

    def confusion(self, name: str) -> pd.DataFrame:
        """Pixels over all images and seeds: rows are targets, columns predictions, the last one *other* if needed."""
        table = np.sum([self.table(run) for run in self.runs_of(name)], axis=0)
        frame = pd.DataFrame(table, index=pd.Index(self.evaluated, name="target"), columns=[*self.evaluated, "other"])
        return (frame if frame["other"].any() else frame.drop(columns="other")).rename_axis(columns="pred")

    # Image by image ---------------------------------------------------------------------------------------------------

    def per_image(self) -> pd.DataFrame:
        """A row for each model, seed and image: model, seed, id, group, miou, pixel_accuracy, IoU of each class.

        The miou of an image is over the classes that are in its target or its prediction.
        """
        frames = []
        for run, name, seed in self._runs():
            parts = self.parts[run]
            ious = pd.DataFrame(metrics.iou(parts), columns=self.evaluated)
            right, labelled = parts[..., 0].sum(axis=1), parts[..., 1].sum(axis=1)
            accuracy = np.divide(right, labelled, out=np.full(len(parts), np.nan), where=labelled > 0)
            named = self.images.reset_index(drop=True).assign(miou=ious.mean(axis=1), pixel_accuracy=accuracy)
            frames.append(named.join(ious).assign(model=name, seed=seed))
        table = pd.concat(frames, ignore_index=True).astype({"seed": "Int64"})
        return table[["model", "seed", *table.columns.drop(["model", "seed"])]]

    def worst(self, name: str, count: int = 5) -> pd.DataFrame:
        """The images that a model (its first seed) does worst on, by their own mIoU: rows of `per_image`.

        An image without any label is none of them.
        """
        place = self.tables.runs["run"].tolist().index(self.runs_of(name)[0])
        rows = self.per_image()[place * len(self.images) : (place + 1) * len(self.images)]
        return rows.dropna(subset="miou").nsmallest(count, "miou").reset_index(drop=True)

    def where(self, name: str, target: str, pred: str | None = None) -> pd.DataFrame:
        """The images in which a model (its first seed) calls one class another: id, pixels, most pixels first.

        Args:
            pred: what it says instead of `target`, as a column of `confusion`; None for all that it gets wrong about
                that class, missed or wrongly named.
        """
        words = [*self.evaluated, "other"]
        for word in (target, *([] if pred is None else [pred])):
            if word not in words:
                raise unknown("judged class", word, words)
        image, targets, preds, pixels = self._pixels[self.runs_of(name)[0]]
        t = words.index(target)
        chosen = (targets == t) != (preds == t) if pred is None else (targets == t) & (preds == words.index(pred))
        counted = np.bincount(image[chosen], weights=pixels[chosen], minlength=len(self.images)).astype(np.int64)
        table = pd.DataFrame({"id": self.images["id"].to_numpy(), "pixels": counted})
        table = table[table["pixels"] > 0].sort_values("pixels", ascending=False, kind="stable")
        return table.reset_index(drop=True)

    # Boundaries and confidence ----------------------------------------------------------------------------------------

    def boundary_iou(self) -> pd.DataFrame:
        """Boundary IoU (Cheng et al. 2021) of each class for each model, and the mean over the shown classes.

        Raises:
            ValueError: boundaries were not counted for all models.
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
        """How sure a model was, and how often right: pixels, confidence and accuracy of each bin; `attrs["ece"]`.

        Raises:
            ValueError: confidences were not counted, or the model has none.
        """
        counts = self.calibration_counts(name)
        pixels, right, fixed = counts.astype(float).T
        some = np.where(pixels > 0, pixels, np.nan)
        confidence, accuracy = fixed / metrics.FIXED_POINT / some, right / some
        table = pd.DataFrame({"pixels": counts[:, 0], "confidence": confidence, "accuracy": accuracy})
        table.attrs["ece"] = float(metrics.expected_calibration_error(counts))
        return table.rename_axis("bin")

    def calibration_counts(self, name: str) -> metrics.Counts:
        """What `calibration` is made from: int64 (bins, 3), over all seeds; raises what it raises."""
        counts: metrics.Counts = np.sum([self.bins(r, CALIBRATION, metrics.BINS) for r in self.runs_of(name)], axis=0)
        if not counts.any():
            raise ValueError(f"no confidences of {name} are here; evaluate(…, calibration=True), and see its docstring")
        return counts

    def _noted(self, table: pd.DataFrame, before: str = "") -> pd.DataFrame:
        table.attrs["note"] = before + self.convention()
        return table


def _words(names: Any) -> Any:
    """Names of all labels that there can be: object (256,)."""
    return np.array([*names, *["void"] * (256 - len(names))], object)
