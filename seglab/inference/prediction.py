"""Predict: what a model says of an image, worked out when it is asked for.

    p = predict("unet_mini:toytown", "photo.jpg")
    p.mask, p.entropy(), p.scores(["road"])

A model's head says it on a coarse grid. `Prediction` keeps that grid, and interpolates it (bilinear,
`align_corners=False`) to the image's own size once, for the classes and rows that are wanted: scores of a photograph
of twelve million pixels in 150 classes would take seven gigabytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from torch.nn.functional import interpolate

from seglab._utils.environment import device_of
from seglab.data.classes import ClassSet
from seglab.data.images import Picture, to_image
from seglab.inference.fast import FastModel
from seglab.inference.tiles import Tile, tile_weights, tiles
from seglab.masks.argmax import to_mask
from seglab.models.adapters import Mask2FormerModel, SegModel
from seglab.models.loading import load_model

_QUICK: WeakKeyDictionary[SegModel, tuple[Any, FastModel]] = WeakKeyDictionary()
STRIP = 1 << 24  # numbers of a strip of rows that are held at once, while a map is worked out


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of an image.

    Attributes:
        image: uint8 (3,H,W), upright.
        classes: the K classes.
        tiles: the whole image, or overlapping pieces of it.
        label: the model's.
        logits: whether a softmax of its scores gives probabilities; not so for Mask2Former, whose scores are sums of
            probabilities already, and are only scaled to sum to 1.
        seconds: from the image to the scores on the head's grid.
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
            return to_mask(self.tiles[0].grid, channel_dim=0, size=self.size)
        return torch.cat([strip.argmax(0).to(torch.uint8) for strip in self._strips()])

    def scores(self, classes: Sequence[str] | None = None, rows: tuple[int, int] | None = None) -> Tensor:
        """Scores at the image's size: float32 (C,R,W).

        Args:
            classes: names of the C classes that are wanted; by default all K.
            rows: from the first up to, but not including, the second; by default all H.
        """
        height, width = self.size
        start, stop = rows or (0, height)
        if not 0 <= start < stop <= height:
            raise ValueError(f"rows={rows} of an image with {height}; expected 0 ≤ start < stop ≤ {height}")
        chosen = list(range(len(self.classes))) if classes is None else [self.classes.index(name) for name in classes]
        total, weights = torch.zeros(len(chosen), stop - start, width), torch.zeros(stop - start, width)
        for tile in self.tiles:
            first, last = max(start, tile.top), min(stop, tile.top + tile.height)
            if first >= last:
                continue
            inside = _rows(tile.grid[chosen], (tile.height, tile.width), first - tile.top, last - tile.top)
            if len(self.tiles) == 1:
                return inside
            weight = tile_weights(tile.height)[first - tile.top : last - tile.top, None] * tile_weights(tile.width)
            place = slice(first - start, last - start), slice(tile.left, tile.left + tile.width)
            total[:, *place] += weight * inside
            weights[place] += weight
        return total / weights

    def probs(self, classes: Sequence[str] | None = None, rows: tuple[int, int] | None = None) -> Tensor:
        """Probabilities at the image's size, over all K classes: float32 (C,R,W), arguments as for `scores`."""
        probs = self._normalised(self.scores(rows=rows))
        return probs if classes is None else probs[[self.classes.index(name) for name in classes]]

    def confidence(self) -> Tensor:
        """Probability of the most likely class: float32 (H,W), 1/K to 1."""
        return self._map(lambda probs: probs.amax(0))

    def margin(self) -> Tensor:
        """Probability of the most likely class minus that of the next: float32 (H,W), 0 to 1."""
        return self._map(lambda probs: _margin(probs))

    def entropy(self) -> Tensor:
        """How undecided the model is: −Σ p log₂ p in bits, float32 (H,W), 0 to log₂ K."""
        return self._map(lambda probs: torch.special.entr(probs).sum(0) / torch.log(torch.tensor(2.0)))

    def table(self) -> pd.DataFrame:
        """What was found: a row a class, most pixels first: pixels, share, confidence (mean over its pixels)."""
        labels, confidence = self.mask.flatten().long(), self.confidence().flatten().double()
        pixels = torch.bincount(labels, minlength=len(self.classes))
        sums = torch.zeros(len(self.classes), dtype=torch.float64).index_add_(0, labels, confidence)
        columns = {"pixels": pixels, "share": pixels / len(labels), "confidence": sums / pixels}
        table = pd.DataFrame({"class": self.classes.names} | {name: column.numpy() for name, column in columns.items()})
        return table[table["pixels"] > 0].sort_values("pixels", ascending=False, kind="stable").set_index("class")

    def _normalised(self, scores: Tensor) -> Tensor:
        return scores.softmax(0) if self.logits else scores / scores.sum(0).clamp(min=1e-12)

    def _map(self, of: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([of(self._normalised(strip)) for strip in self._strips()])

    def _strips(self) -> Iterator[Tensor]:
        """Scores of all classes, a few rows at a time."""
        height, width = self.size
        step = max(1, STRIP // (len(self.classes) * width))
        for start in range(0, height, step):
            yield self.scores(rows=(start, min(start + step, height)))


def _margin(probs: Tensor) -> Tensor:
    first, second = probs.topk(2, dim=0)[0]
    return first - second


def _rows(grid: Tensor, size: tuple[int, int], start: int, stop: int) -> Tensor:
    """Some rows of a grid (K,h',w') interpolated to `size`: (K, stop − start, W)."""
    height, width = size
    if (start, stop) == (0, height):
        return interpolate(grid[None], size, mode="bilinear", align_corners=False)[0]
    # The centre of row r lies at (r + ½)·h'/H − ½ on the grid, and no higher than its first row.
    place = ((torch.arange(start, stop) + 0.5) * (grid.shape[1] / height) - 0.5).clamp(min=0)
    above = place.long()
    below = (above + 1).clamp(max=grid.shape[1] - 1)
    part = (place - above)[:, None]
    between = grid[:, above] * (1 - part) + grid[:, below] * part
    return interpolate(between[None], (stop - start, width), mode="bilinear", align_corners=False)[0]


def predict(
    model: str | Path | SegModel,
    image: Picture,
    *,
    precision: str = "float32",
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    device: str | torch.device | None = None,
) -> Prediction:
    """What a model says of an image.

    The image is brought to the size that the model was made for; its scores go from the head's grid to the image's
    own size at once, when they are asked for.

    Args:
        model: a model, or a name for `load_model`.
        image: a path, a PIL image, an array or a tensor, see `files.to_image`.
        precision: "float32", or "bfloat16", see `FastModel`.
        tile: (H, W) of pieces that are looked at one by one, for an image in which objects would become too small if
            it were brought to the model's size. By default the whole image at once.
        overlap: pixels that neighbouring tiles share at least; there the scores of both count, the more the nearer
            to the middle of a tile. By default 64, and at most a quarter of a tile's shorter side.
        device: where a model given by name runs; by default a GPU where there is one.

    Raises:
        ValueError: an image that cannot be read, or is far too long; tiles that do not fit together; scores that are
            no numbers; a module that is not wrapped; what `load_model` refuses.

    A wrapped module that keeps something while it computes is for one thread. Its weights and settings may change
    between calls; hooks do not count.
    """
    if isinstance(model, nn.Module) and not isinstance(model, SegModel):
        own = type(model).__name__
        raise ValueError(f"{own} is a module of your own: predict(seglab.models.adapters.wrap(it, classes), image)")
    if not isinstance(model, SegModel):
        model = load_model(model, device=device)
    return next(predictions(model, [image], precision=precision, tile=tile, overlap=overlap))


def predictions(
    model: SegModel,
    images: Iterable[Picture],
    *,
    precision: str = "float32",
    batch: int | None = None,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
) -> Iterator[Prediction]:
    """What a model says of many images, one after the other: memory does not grow with their number.

    One that cannot be read raises its error in its turn, after what was said of those before it.

    Args:
        batch: images, or tiles, of one size that go through the network at once; by default 8, and on a CPU one, since
            the maps of several do not fit into its caches. The others are as for `predict`.
    """
    if isinstance(images, str | Path | bytes | Image.Image) or getattr(images, "ndim", 4) < 4:
        raise ValueError("expected several images, as [image] or a batch (B,3,H,W); of a single one tells predict")
    quick, coming = _quick(model, precision), iter(images)
    if batch is None:
        batch = 1 if quick.device.type == "cpu" else 8
    if batch < 1:
        raise ValueError(f"batch={batch}; expected at least 1 image")
    while True:
        several, problem = _several(coming, batch)
        for _, same in groupby(several, key=lambda image: image.shape):
            yield from _predict(quick, model, list(same), tile, overlap, batch)
        if problem:
            raise problem
        if len(several) < batch:
            return


def _several(coming: Iterator[Picture], count: int) -> tuple[list[Tensor], Exception | None]:
    """The next images, and what is wrong with the one after them."""
    read: list[Tensor] = []
    try:
        for picture in islice(coming, count):
            read.append(to_image(picture))
    except Exception as error:
        return read, error
    return read, None


def _predict(
    quick: FastModel,
    model: SegModel,
    images: list[Tensor],
    tile: tuple[int, int] | None,
    overlap: int | None,
    batch: int,
) -> list[Prediction]:
    """Images of one size."""
    start = perf_counter()
    height, width = images[0].shape[1:]
    places = [(0, 0, height, width)] if tile is None else tiles((height, width), tile, overlap)
    pieces = [image[:, top : top + h, left : left + w] for image in images for top, left, h, w in places]
    grids = [g for i in range(0, len(pieces), batch) for g in quick(torch.stack(pieces[i : i + batch])).cpu()]
    if not all(grid.isfinite().all() for grid in grids):
        raise ValueError(f"{model.label} gives scores that are NaN or infinite")
    seconds = (perf_counter() - start) / len(images)
    logits = not isinstance(model, Mask2FormerModel)
    parts = [tuple(Tile(*place, grid) for place, grid in zip(places, grids[i:], strict=False))
             for i in range(0, len(grids), len(places))]  # fmt: skip
    return [Prediction(image, model.classes, part, model.label, logits, seconds)
            for image, part in zip(images, parts, strict=True)]  # fmt: skip


def _quick(model: SegModel, precision: str) -> FastModel:
    """The model on the fast path; made anew when its weights or settings have changed."""
    state = [*model.parameters(), *model.buffers()]
    # Whoever writes through `.data` or NumPy leaves the version of a tensor as it was; its sum tells.
    told = [(t.data_ptr(), 0 if t.is_inference() else t._version, float(t.detach().sum())) for t in state]
    mark = precision, model.short, device_of(model), repr(model), told
    known, quick = _QUICK.get(model, (None, None))
    if quick is None or known != mark:
        quick = FastModel(model, precision)
        _QUICK[model] = mark, quick
    return quick
