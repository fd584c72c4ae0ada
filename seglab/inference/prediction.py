"""`predict`: the scores of a model for an image, and the mask and probabilities computed from them on demand.

    p = predict("unet_mini:toytown", "photo.jpg")
    p.mask, p.entropy(), p.scores(["road"])

A `Prediction` keeps low-resolution scores and interpolates them once (bilinear, `align_corners=False`), to the image's
own size and for the requested classes and rows only: all scores of a photograph of twelve million pixels in 150
classes would take seven gigabytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from seglab._utils.environment import device_of
from seglab.data.classes import ClassSet
from seglab.data.images import Picture, to_image
from seglab.inference.fast import FastModel
from seglab.inference.runtimes.choice import TORCH
from seglab.inference.tiles import Tile, blended, strips, tiles
from seglab.masks.argmax import to_mask
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model

_FAST_MODELS: WeakKeyDictionary[SegModel, tuple[Any, FastModel]] = WeakKeyDictionary()  # model → its state, fast model


@dataclass(frozen=True, eq=False)
class Prediction:
    """The scores of a model for an image (3,H,W), and what follows from them.

    Attributes:
        image: uint8 (3,H,W), upright.
        classes, label: the K classes and the name of the model.
        tiles: the whole image as one tile, or overlapping tiles.
        logits: whether a softmax gives probabilities; scores of Mask2Former are divided by their sum over the classes.
        seconds: from the image to the low-resolution scores.
    """

    image: Tensor
    classes: ClassSet
    tiles: tuple[Tile, ...]
    label: str
    logits: bool
    seconds: float

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.image.shape[1], self.image.shape[2]

    @cached_property
    def mask(self) -> Tensor:
        """The most likely class of each pixel: uint8 (H,W)."""
        if len(self.tiles) == 1:
            return to_mask(self.tiles[0].scores, channel_dim=0, size=self.size)
        return torch.cat([strip.argmax(0).to(torch.uint8) for strip in self._strips()])

    def scores(self, classes: Sequence[str] | None = None, rows: tuple[int, int] | None = None) -> Tensor:
        """Scores at the image's size: float32 (C,R,W).

        Args:
            classes: names of the C classes to return; by default all K.
            rows: the first row and the one after the last; by default all H rows.

        Raises:
            ValueError: a class is unknown; rows outside the image.
        """
        height = self.size[0]
        start, stop = rows or (0, height)
        if not 0 <= start < stop <= height:
            raise ValueError(f"rows={rows} of an image with {height}; expected 0 ≤ start < stop ≤ {height}")
        indices = list(range(len(self.classes))) if classes is None else [self.classes.index(name) for name in classes]
        return blended(self.tiles, self.size, (start, stop), indices)

    def probs(self, classes: Sequence[str] | None = None, rows: tuple[int, int] | None = None) -> Tensor:
        """Probabilities at the image's size, normalised over all K classes: float32 (C,R,W); see `scores`."""
        probs = as_probs(self.scores(rows=rows), self.logits)
        return probs if classes is None else probs[[self.classes.index(name) for name in classes]]

    def confidence(self) -> Tensor:
        """Probability of the most likely class: float32 (H,W), 1/K to 1."""
        return self._from_probs(lambda probs: probs.amax(0))

    def margin(self) -> Tensor:
        """Probability of the most likely class minus that of the second: float32 (H,W), 0 to 1."""
        return self._from_probs(lambda probs: torch.sub(*probs.topk(2, dim=0)[0]))

    def entropy(self) -> Tensor:
        """Entropy of the class probabilities, −Σ p log₂ p in bits: float32 (H,W), 0 to log₂ K."""
        return self._from_probs(lambda probs: torch.special.entr(probs).sum(0) / torch.log(torch.tensor(2.0)))

    def table(self) -> pd.DataFrame:
        """Each predicted class, most pixels first: pixels, share (fraction of the image), confidence (their mean)."""
        labels, confidence = self.mask.flatten().long(), self.confidence().flatten().double()
        pixels = torch.bincount(labels, minlength=len(self.classes))
        sums = torch.zeros(len(self.classes), dtype=torch.float64).index_add_(0, labels, confidence)
        return class_table(self.classes, pixels, sums)

    def _from_probs(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([function(as_probs(strip, self.logits)) for strip in self._strips()])

    def _strips(self) -> Iterator[Tensor]:
        """Scores of all classes, a few rows at a time."""
        for rows in strips(self.size, len(self.classes)):
            yield self.scores(rows=rows)


def as_probs(scores: Tensor, logits: bool) -> Tensor:
    """Scores (K,R,W) as probabilities: by a softmax, or divided by their sum over the classes."""
    return scores.softmax(0) if logits else scores / scores.sum(0).clamp(min=1e-12)


def class_table(classes: ClassSet, pixels: Tensor, sums: Tensor) -> pd.DataFrame:
    """The table of a `Prediction` from the pixels of each class, int64 (K,), and the sums of their confidence, (K,)."""
    columns = {"pixels": pixels, "share": pixels / pixels.sum(), "confidence": sums / pixels}
    table = pd.DataFrame({"class": classes.names} | {name: column.numpy() for name, column in columns.items()})
    return table[table["pixels"] > 0].sort_values("pixels", ascending=False, kind="stable").set_index("class")


def predict(
    model: str | Path | SegModel,
    image: Picture,
    *,
    precision: str = "float32",
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
    runtime: str = TORCH,
) -> Prediction:
    """The prediction of a model for one image, which is resized to the model's size (`SegModel.short`).

    Args:
        model: a model, or a name for `load_model`.
        image: a path, a PIL image, an array or a tensor, see `data.images.to_image`.
        precision: "float32" or "bfloat16", see `FastModel`.
        tile: (H, W) in pixels of tiles that are predicted one by one, for an image whose objects would become too
            small at the model's size; by default those of the model (`SegModel.tile`), or the whole image at once.
        overlap: smallest overlap of neighbouring tiles in pixels, where scores are averaged with more weight towards
            the middle of a tile; by default 64, at most a quarter of a tile's shorter side.
        device: of a model given by name; by default a GPU where there is one.
        runtime: "torch", "onnxruntime" or "openvino" (pip install 'seglab[fast]'; on a CPU), or "auto" for the fastest
            that agrees with torch, see `runtimes.choice`. The first image takes longer on another runtime than torch.

    Raises:
        ValueError: an image that cannot be read or is too long; tiles that do not fit together; NaN or infinite
            scores; a module that is not wrapped; a name that `load_model` refuses; a runtime that cannot be used.

    Weights and settings of the model may change between calls; hooks are not noticed. A wrapped module that keeps
    something while it computes must be used from one thread only.
    """
    if isinstance(model, nn.Module) and not isinstance(model, SegModel):
        own = type(model).__name__
        raise ValueError(f"{own} is a module of your own: predict(seglab.models.adapters.wrap(it, classes), image)")
    if not isinstance(model, SegModel):
        model = load_model(model, device=device)
    return next(predictions(model, [image], precision=precision, tile=tile, overlap=overlap, runtime=runtime))


def predictions(
    model: SegModel,
    images: Iterable[Picture],
    *,
    precision: str = "float32",
    batch: int | None = None,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    runtime: str = TORCH,
) -> Iterator[Prediction]:
    """The predictions for many images, one after the other: memory does not grow with their number.

    An image that cannot be read raises its error after the predictions for the images before it.

    Args:
        batch: images or tiles of one size in one forward pass; by default 8, and 1 on a CPU, whose caches are small.
        precision, tile, overlap, runtime: see `predict`. "auto" compares runtimes where many `images` follow; that
            needs their number, as a list has it.
    """
    if isinstance(images, str | Path | bytes | Image.Image) or getattr(images, "ndim", 4) < 4:
        raise ValueError("expected several images, as [image] or a batch (B,3,H,W); use predict for a single image")
    fast, remaining, tile = fast_model(model, precision, runtime), iter(images), tile or model.tile
    fast.expected = max(fast.expected, len(images) if isinstance(images, Sized) else 1)
    batch = fast.batch if batch is None else batch
    if batch < 1:
        raise ValueError(f"batch={batch}; expected at least 1 image")
    error: Exception | None = None
    while error is None:
        several: list[Tensor] = []
        try:
            for picture in islice(remaining, batch):
                several.append(to_image(picture))
        except Exception as problem:
            error = problem
        for _, same in groupby(several, key=lambda image: image.shape):
            yield from _predict(fast, model, list(same), batch, tile, overlap)
        if len(several) < batch:
            break
    if error:
        raise error


def _predict(
    fast: FastModel, model: SegModel, group: list[Tensor], batch: int, tile: tuple[int, int] | None, overlap: int | None
) -> Iterator[Prediction]:
    """The predictions for a group of images of one size."""
    start = perf_counter()
    height, width = group[0].shape[1:]
    boxes = tiles((height, width), tile, overlap)
    crops = [image[:, top : top + h, left : left + w] for image in group for top, left, h, w in boxes]
    parts = [crops[i : i + batch] for i in range(0, len(crops), batch)]
    # Without a copy of a single image.
    scores = [s for part in parts for s in fast(torch.stack(part) if len(part) > 1 else part[0][None]).cpu()]
    if not all(s.isfinite().all() for s in scores):
        raise ValueError(f"{model.label} gives scores that are NaN or infinite")
    seconds, logits = (perf_counter() - start) / len(group), model.logits
    for i, image in enumerate(group):
        scored = tuple(Tile(*box, s) for box, s in zip(boxes, scores[i * len(boxes) :], strict=False))
        yield Prediction(image, model.classes, scored, model.label, logits, seconds)


def fast_model(model: SegModel, precision: str, runtime: str = TORCH) -> FastModel:
    """The model on the fast path; made again after its weights or settings have changed."""
    state = [*model.parameters(), *model.buffers()]
    # A change through `.data` or NumPy leaves the version of a tensor as it was, but changes its sum.
    marks = [(t.data_ptr(), 0 if t.is_inference() else t._version, float(t.detach().sum())) for t in state]
    current = precision, runtime, model.short, model.mean, model.std, device_of(model), repr(model), marks
    known, fast = _FAST_MODELS.get(model, (None, None))
    if fast is None or known != current:
        fast = FastModel(model, precision, runtime)
        _FAST_MODELS[model] = current, fast
    return fast
