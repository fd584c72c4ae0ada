"""What can be judged: a model on the fast path, or the label maps that another program wrote.

A judge takes samples and gives for each the rows that the store keeps of it.
"""

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from seglab._utils.environment import cpu_name, device_of
from seglab._utils.hashing import sha256_file, sha256_state
from seglab.data.classes import ClassSet, class_set
from seglab.data.dataset import Sample
from seglab.data.labels import check_mask, read_mask, relabel
from seglab.data.translation import translation_table
from seglab.inference.fast import FastModel, network_size
from seglab.masks.argmax import to_mask
from seglab.metrics.boundary import boundary_counts
from seglab.metrics.calibration import calibration_counts
from seglab.metrics.confusion import pair_counts
from seglab.models.adapters import Mask2FormerModel, SegModel
from seglab.models.cost import cost

BOUNDARY, CALIBRATION = "boundary", "calibration"  # kinds of bins


@dataclass(frozen=True)
class Options:
    """What is done with each image; see `evaluation.evaluate`."""

    size: str = "original"
    precision: str = "float32"
    boundary: bool = False
    calibration: bool = False


@dataclass(frozen=True)
class Row:
    """What is kept of an image.

    Attributes:
        microseconds: from the decoded image to its mask; on a CPU by one thread, while its neighbours look at other
            images. None where nobody computed.
        counts: (target, pred, pixels) each, void included, each side in its own vocabulary.
        bins: (kind, bin, a, b, c) each.
    """

    microseconds: int | None
    counts: list[tuple[int, int, int]]
    bins: list[tuple[str, int, int, int, int]]


class Evaluator(ABC):
    """One thing that is judged. Several threads may call it at once.

    Attributes:
        name: how tables call it.
        seed: of its training, where that is known.
        identity: what decides what it predicts.
        facts: what else is to be known of it.
        classes: its vocabulary.
        device: where it computes.
        peak_bytes: memory that it takes for an image, about.
    """

    name: str
    seed: int | None = None
    device = torch.device("cpu")
    peak_bytes = 0
    identity: dict[str, Any]
    facts: dict[str, Any]
    classes: ClassSet

    def __init__(self, options: Options, target: ClassSet) -> None:
        self.options, self.target = options, target

    @abstractmethod
    def __call__(self, samples: Sequence[Sample]) -> list[Row]:
        """A row for each sample."""

    def _row(self, pred: Tensor, target: Tensor, microseconds: int | None, probs: Tensor | None = None) -> Row:
        table = pair_counts(pred, target)
        places = table.nonzero()
        counts = torch.cat([places, table[places[:, 0], places[:, 1], None]], dim=1)
        bins: list[tuple[str, int, int, int, int]] = []
        if self.options.boundary:
            said = self._translation[pred.long()]
            tables = boundary_counts(said, target, len(self.target)).tolist()
            bins += [(BOUNDARY, i, *row) for i, row in enumerate(tables) if any(row)]
        if probs is not None:
            bins += [(CALIBRATION, i, *row) for i, row in enumerate(calibration_counts(probs, target).tolist())]
        return Row(microseconds, [tuple(row) for row in counts.tolist()], bins)

    @cached_property
    def _translation(self) -> Tensor:
        return translation_table(self.classes, self.target)


class ModelEvaluator(Evaluator):
    """A model, at the size that it was made for.

    Args:
        size: (H, W) of an image of the data set, for which its cost is counted.
    """

    def __init__(self, name: str, model: SegModel, size: tuple[int, int], options: Options, target: ClassSet) -> None:
        super().__init__(options, target)
        self.model, self.classes, self.device = model, model.classes, device_of(model)
        self.name, run = name or model.label, model.facts.get("run", {})
        self.seed = run.get("seed")
        comparable = model.classes.names == target.names and not isinstance(model, Mask2FormerModel)
        self.calibrates = options.calibration and comparable
        self.identity = {
            "model": model.spec.name, "weights": sha256_state(model.net.state_dict()),
            "vocabulary": model.classes.name, "classes": list(model.classes.names), "short side": model.short,
            "precision": options.precision, "device": self.device.type,
            "trained on": run.get("train"), "chosen on": run.get("val"),
        }  # fmt: skip
        counted = cost(model, network_size(size, model.short))
        # Confidences need scores, their softmax and one more of these at the size of the image.
        self.peak_bytes = counted.peak_bytes + self.calibrates * 3 * 4 * len(model.classes) * size[0] * size[1]
        self.facts = {"title": model.spec.title, "family": model.spec.family, "cost": asdict(counted),
                      "processor": _processor(self.device)}  # fmt: skip
        self._first: FastModel | None = None
        self._own, self._lock = threading.local(), threading.Lock()

    @property
    def quick(self) -> FastModel:
        """The model on the fast path, made when it is first needed; each thread has its own."""
        if not hasattr(self._own, "quick"):
            with self._lock:
                self._first = self._first or FastModel(self.model, self.options.precision)
                self._own.quick = self._first.twin()
        return self._own.quick

    def __call__(self, samples: Sequence[Sample]) -> list[Row]:
        """Neighbours of one size go through the network together."""
        groups = groupby(samples, key=lambda sample: sample.target.shape)
        return [row for _, group in groups for row in self._rows(list(group))]

    def _rows(self, samples: list[Sample]) -> list[Row]:
        images = torch.stack([sample.image for sample in samples])
        targets = torch.stack([sample.target for sample in samples])
        quick = self.quick
        start = perf_counter_ns()
        scores = quick(images)
        height, width = targets.shape[-2:]
        size = (height, width) if self.options.size == "original" else quick.size_of(images)
        masks = to_mask(scores, size=size).cpu()  # waits for a GPU
        microseconds = (perf_counter_ns() - start) // (1000 * len(samples))
        if size != (height, width):
            targets = interpolate(targets[None], size, mode="nearest-exact")[0]
        probs: Sequence[Tensor | None] = [None] * len(samples)
        if self.calibrates:
            probs = [interpolate(s[None], size, mode="bilinear").softmax(1)[0].cpu() for s in scores]
        return [self._row(m, t, microseconds, p) for m, t, p in zip(masks, targets, probs, strict=True)]


@dataclass(frozen=True)
class Predictions:
    """Label maps that another program wrote, to be judged like a model: `FOLDER/ID.png` for each image.

    Attributes:
        classes: what their values stand for, or its key in `CLASS_SETS`; 255 is "none of these", an error.
        name: how tables call them; by default the folder's name.
        labels: raw value → class index or 255, where they hold something else than class indices.
    """

    folder: str | Path
    classes: str | ClassSet
    name: str = ""
    labels: Mapping[int, int] | None = None

    @property
    def label(self) -> str:
        """Its name in tables."""
        return self.name or Path(self.folder).resolve().name

    def path(self, sample_id: str) -> Path:
        """Where the prediction for an image lies.

        Raises:
            ValueError: it does not.
        """
        path = Path(self.folder) / f"{sample_id}.png"
        if not path.is_file():
            raise ValueError(f"{path} is missing; predictions are label maps, one ID.png for each image of the data")
        return path


class LabelMapEvaluator(Evaluator):
    """Predictions from elsewhere, as they are."""

    def __init__(self, name: str, stored: Predictions, ids: Sequence[str], options: Options, target: ClassSet) -> None:
        super().__init__(options, target)
        if options.size != "original":
            raise ValueError("stored predictions are scored at their own size, the original one")
        self.name, self.classes, self.stored = name or stored.label, class_set(stored.classes), stored
        hashes = {sample_id: sha256_file(stored.path(sample_id)) for sample_id in ids}
        labels = {str(raw): index for raw, index in sorted((stored.labels or {}).items())}
        self.identity = {"model": "stored predictions", "weights": _hash_of(hashes), "labels": labels,
                         "vocabulary": self.classes.name, "classes": list(self.classes.names)}  # fmt: skip
        self.facts = {"title": self.name}

    def __call__(self, samples: Sequence[Sample]) -> list[Row]:
        return [self._row(self._mask(sample), sample.target, None) for sample in samples]

    def _mask(self, sample: Sample) -> Tensor:
        path = self.stored.path(sample.id)
        mask = read_mask(path, self.classes)
        if self.stored.labels is not None:
            mask = relabel(mask, self.stored.labels, path)
        check_mask(mask, self.classes, path)
        if mask.shape != sample.target.shape:
            raise ValueError(
                f"{path} is {tuple(mask.shape)} and the target {tuple(sample.target.shape)}; write masks at the image's"
                " size, from scores interpolated to it: labels must not be interpolated"
            )
        return mask


def _hash_of(hashes: Mapping[str, str]) -> str:
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def _processor(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
