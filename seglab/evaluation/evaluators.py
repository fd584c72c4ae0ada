"""Evaluators: what can be evaluated is a model on the fast path, or label maps that another program wrote.

An evaluator takes samples and returns for each the counts that the store keeps.
"""

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from seglab._utils.environment import cpu_name, device_of
from seglab._utils.hashing import FileHashes, sha256_state
from seglab.data.classes import ClassSet, class_set
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.labels import check_mask, check_translation, read_mask, relabel
from seglab.data.translation import relevant, translation_table
from seglab.evaluation.store import ImageRow
from seglab.inference.fast import FastModel, network_size
from seglab.inference.runtimes.choice import AUTO, TORCH, checked, usable
from seglab.inference.tiles import STRIP, Box, Tile, blended, score_strips, strips, tiles, usual_overlap
from seglab.masks.argmax import to_mask
from seglab.metrics.boundary import boundary_counts
from seglab.metrics.calibration import BINS, calibration_counts
from seglab.metrics.confusion import Counts, pair_counts
from seglab.models.adapters import SegModel
from seglab.models.cost import cost

BOUNDARY, CALIBRATION = "boundary", "calibration"  # kinds of bins
COMPARED = 4  # images on which another runtime is compared with torch


@dataclass(frozen=True)
class Options:
    """What is computed for each image; see `evaluation.loop.evaluate`."""

    size: str = "original"
    precision: str = "float32"
    boundary: bool = False
    calibration: bool = False
    tile: tuple[int, int] | None = None
    overlap: int | None = None
    mapping: Mapping[str, str | None] | None = None
    runtime: str | Mapping[tuple[str, int | None], str] = TORCH  # for all models; or name and seed → runtime


@dataclass(frozen=True)
class ImageCounts:
    """What the store keeps of one image, see `Store.add`; void is counted, each side in its own class set.

    The time is that from the decoded image to its mask, on a CPU in one thread while other threads compute other
    images; None for label maps of another program.
    """

    row: ImageRow  # id, group, microseconds
    counts: list[list[int]]  # rows (target, pred, pixels)
    bins: list[tuple[str | int, ...]]  # rows (kind, bin, a, b, c)


class Evaluator(ABC):
    """Computes the counts of samples. Several threads may call it at the same time."""

    seed: int | None = None  # of the model's training
    identity: dict[str, Any]  # everything that decides the predictions
    facts: dict[str, Any]  # further facts about the model
    device = torch.device("cpu")
    peak_bytes = 0  # estimate of the memory needed for one image

    def __init__(self, name: str, classes: ClassSet, options: Options, target: ClassSet) -> None:
        self.name, self.classes, self.options, self.target = name, classes, options, target
        self.mapping = relevant(options.mapping, classes)  # of the user, also a part of the identity
        self.translation = translation_table(classes, target, self.mapping)

    @abstractmethod
    def __call__(self, samples: Sequence[Sample]) -> list[ImageCounts]:
        """The counts of each sample."""

    def _counts(
        self, sample: Sample, pred: Tensor, target: Tensor, microseconds: int | None = None,
        confidences: Counts | None = None,
    ) -> ImageCounts:  # fmt: skip
        table = pair_counts(pred, target)
        pairs = table.nonzero()
        counts = torch.cat([pairs, table[pairs[:, 0], pairs[:, 1], None]], dim=1).tolist()
        bins: list[tuple[str | int, ...]] = []
        if self.options.boundary:
            edges = boundary_counts(self._translated(pred), target, len(self.target)).tolist()
            bins += [(BOUNDARY, i, *row) for i, row in enumerate(edges) if any(row)]
        if confidences is not None:
            bins += [(CALIBRATION, i, *row) for i, row in enumerate(confidences.tolist())]
        return ImageCounts((sample.id, sample.group, microseconds), counts, bins)

    def _translated(self, pred: Tensor) -> Tensor:
        """A mask in the classes of the data; some rows at a time, because indices take eight times its memory."""
        if self.classes.names == self.target.names:
            return pred
        return torch.cat([self.translation[rows.long()] for rows in pred.split(256)])


class ModelEvaluator(Evaluator):
    """Evaluates a model at the input size that it was trained for, whole images or in tiles.

    Its cost is that of an image of `size` (H, W).
    """

    def __init__(self, name: str, model: SegModel, size: tuple[int, int], options: Options, target: ClassSet) -> None:
        super().__init__(name or model.label, model.classes, options, target)
        self.model, self.device, run = model, device_of(model), model.facts.get("run", {})
        self.seed, self.tile = run.get("seed"), options.tile or model.tile
        chosen = options.runtime
        self.runtime = chosen if isinstance(chosen, str) else chosen.get((self.name, self.seed), TORCH)
        checked(self.runtime, usable(model))
        comparable = model.classes.names == target.names and model.logits
        self.calibrates = options.calibration and comparable
        self.identity = {
            "model": model.spec.name, "weights": sha256_state(model.net.state_dict()),
            "vocabulary": model.classes.name, "classes": list(model.classes.names), "short side": model.short,
            "precision": options.precision, "device": self.device.type,
            "trained on": run.get("train"), "chosen on": run.get("val"), **model.normalisation,
        }  # fmt: skip
        boxes = self._boxes(size)
        if self.tile:
            overlap = usual_overlap(self.tile) if options.overlap is None else options.overlap
            self.identity["tiles"] = f"{self.tile[0]} × {self.tile[1]}, overlap {overlap}"
        costs = cost(model, network_size(boxes[0][2:], model.short))
        costs = replace(costs, macs=len(boxes) * costs.macs)
        # In strips: the scores of a strip, their softmax and one more such tensor, and those of the tiles behind it.
        strip = 3 * min(STRIP, len(model.classes) * size[0] * size[1]) * (self.calibrates or len(boxes) > 1)
        behind = 3 * len(model.classes) * boxes[0][2] * size[1] * (len(boxes) > 1)
        self.peak_bytes = costs.peak_bytes + 4 * (strip + behind)
        processor = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else cpu_name()
        self.facts = {"title": model.spec.title, "family": model.spec.family, "cost": asdict(costs),
                      "processor": processor}  # fmt: skip
        self._first: FastModel | None = None
        self._own, self._lock = threading.local(), threading.Lock()

    @property
    def fast(self) -> FastModel:
        """The model on the fast path, built when it is first needed; each thread has its own copy."""
        if not hasattr(self._own, "fast"):
            with self._lock:
                self._first = self._first or FastModel(self.model, self.options.precision)
                self._own.fast = self._first.twin()
        return self._own.fast

    def settle(self, dataset: SegmentationDataset, stored: Mapping[str, Any] | None) -> None:
        """Decide on the runtime by means of some images; the identity holds it where it is not torch.

        Args:
            stored: the identity of this run in the store, if it was started before: "auto" keeps to its runtime.

        Raises:
            ValueError: see `FastModel.settle`.
        """
        runtime, before = self.runtime, torch.get_num_threads()
        if runtime == AUTO and stored:
            runtime = stored.get("runtime", TORCH).partition(" ")[0]
        if runtime == TORCH:
            return
        torch.set_num_threads(1)  # as for each image
        try:
            self._first = FastModel(self.model, self.options.precision, runtime)
            self._first.expected = -(-len(dataset) // before)
            images = [dataset[i].image for i in {k * (len(dataset) - 1) // (COMPARED - 1) for k in range(COMPARED)}]
            boxes = [self._boxes((image.shape[1], image.shape[2]))[0] for image in images]
            self._first.settle([image[:, top : top + h, left : left + w]
                                for image, (top, left, h, w) in zip(images, boxes, strict=True)])  # fmt: skip
        finally:
            torch.set_num_threads(before)
        if self._first.used != TORCH:
            self.identity["runtime"] = self._first.used

    def _boxes(self, size: tuple[int, int]) -> list[Box]:
        """The tiles of an image of `size` (H, W); the whole image as one where there are none."""
        return tiles(size, self.tile, self.options.overlap)

    def __call__(self, samples: Sequence[Sample]) -> list[ImageCounts]:
        """The counts of each sample; consecutive samples of the same size form one batch, or are cut into tiles."""
        counts: list[ImageCounts] = []
        for (height, width), same in groupby(samples, key=lambda sample: sample.target.shape):
            boxes, group = self._boxes((height, width)), list(same)
            counts += self._batch(group) if len(boxes) == 1 else [self._in_tiles(sample, boxes) for sample in group]
        return counts

    def _batch(self, samples: list[Sample]) -> list[ImageCounts]:
        images = torch.stack([sample.image for sample in samples])
        targets = torch.stack([sample.target for sample in samples])
        fast = self.fast
        start = perf_counter_ns()
        scores = fast(images)
        height, width = targets.shape[-2:]
        size = (height, width) if self.options.size == "original" else fast.size_of(images)
        masks = to_mask(scores, size=size).cpu()  # waits for a GPU
        microseconds = (perf_counter_ns() - start) // (1000 * len(samples))
        if size != (height, width):
            targets = interpolate(targets[None], size, mode="nearest-exact")[0]
        confidences = [self._confidences(s, target) if self.calibrates else None
                       for s, target in zip(scores, targets, strict=True)]  # fmt: skip
        rows = zip(samples, masks, targets, confidences, strict=True)
        return [self._counts(sample, mask, target, microseconds, c) for sample, mask, target, c in rows]

    def _confidences(self, scores: Tensor, target: Tensor) -> Counts:
        """The calibration counts of low-resolution scores (K,h',w'), interpolated a few rows at a time."""
        size, counts = (target.shape[0], target.shape[1]), np.zeros((BINS, 3), np.int64)
        for rows in strips(size, len(scores)):
            part = blended([Tile(0, 0, *size, scores)], size, rows, range(len(scores)))
            counts += calibration_counts(part.softmax(0).cpu(), target[slice(*rows)])
        return counts

    def _in_tiles(self, sample: Sample, boxes: list[Box]) -> ImageCounts:
        """The counts of the mask that `predict` gives for the same tiles."""
        masks: list[Tensor] = []
        confidences, fast, nanoseconds = np.zeros((BINS, 3), np.int64), self.fast, -perf_counter_ns()
        for rows, scores in score_strips(fast, sample.image, boxes, len(self.classes), fast.batch):
            masks.append(scores.argmax(0).to(torch.uint8))
            nanoseconds += perf_counter_ns()
            if self.calibrates:
                confidences += calibration_counts(scores.softmax(0), sample.target[rows])
            nanoseconds -= perf_counter_ns()
        nanoseconds += perf_counter_ns()
        counted = confidences if self.calibrates else None
        return self._counts(sample, torch.cat(masks), sample.target, nanoseconds // 1000, counted)


@dataclass(frozen=True)
class Predictions:
    """Label maps that another program wrote, evaluated like a model: `FOLDER/ID.png` for each image."""

    folder: str | Path
    classes: str | ClassSet  # of the label maps, or its key in CLASS_SETS; label 255 is "none of these", an error
    name: str = ""  # of the model in tables; by default the folder's name
    labels: Mapping[int, int] | None = None  # value in the files → class index or 255, if they differ

    def path(self, sample_id: str) -> Path:
        """The file of an image's prediction; raises ValueError if it is missing."""
        path = Path(self.folder) / f"{sample_id}.png"
        if not path.is_file():
            raise ValueError(f"{path} is missing; predictions are label maps, one ID.png for each image of the data")
        return path


class LabelMapEvaluator(Evaluator):
    """Evaluates label maps that another program wrote."""

    def __init__(self, name: str, maps: Predictions, ids: Sequence[str], options: Options, target: ClassSet) -> None:
        folder, classes = Path(maps.folder).resolve(), class_set(maps.classes)
        super().__init__(name or maps.name or folder.name, classes, options, target)
        if options.size != "original":
            raise ValueError("stored predictions are scored at their own size; use size='original'")
        check_translation(maps.labels or {}, classes)
        self.maps, self.facts = maps, {"title": self.name}
        self.hashes = FileHashes()
        digests = {sample_id: self.hashes.add(maps.path(sample_id)) for sample_id in ids}
        listing = "".join(f"{digest}  {sample_id}\n" for sample_id, digest in sorted(digests.items()))
        labels = {str(raw): index for raw, index in sorted((maps.labels or {}).items())}
        self.identity = {
            "model": "stored predictions", "weights": hashlib.sha256(listing.encode()).hexdigest(), "labels": labels,
            "vocabulary": classes.name, "classes": list(classes.names),
        }  # fmt: skip

    def __call__(self, samples: Sequence[Sample]) -> list[ImageCounts]:
        return [self._counts(sample, self._mask(sample), sample.target) for sample in samples]

    def _mask(self, sample: Sample) -> Tensor:
        path = self.maps.path(sample.id)
        mask = read_mask(path, self.classes)
        self.hashes.check([path])
        if self.maps.labels is not None:
            mask = relabel(mask, self.maps.labels, path, self.classes)
        check_mask(mask, self.classes, path)
        if mask.shape != sample.target.shape:
            raise ValueError(
                f"{path} is {tuple(mask.shape)} and the target {tuple(sample.target.shape)}; write masks at the image's"
                " size, from scores interpolated to it: labels must not be interpolated"
            )
        return mask
