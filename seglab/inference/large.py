"""A photograph of any size: its mask, table and overlay with a part of the scores in memory at a time.

`predict` keeps the scores of all tiles, at fine output strides many times the memory of the photograph.
"""

from collections.abc import Callable, Iterable

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from seglab.inference.prediction import as_probs, class_table, fast_model, predict
from seglab.inference.runtimes.choice import TORCH
from seglab.inference.tiles import score_strips, strips, tiles
from seglab.masks.painting import overlay
from seglab.models.adapters import SegModel

Advance = Callable[[float], object]  # is called with the fraction of the work that is done since the last call
_ROWS = 256  # that are painted at once; a multiple of the period of the stripes that some class sets have
_FEW = 16  # rows whose probabilities are computed at once


def mask_and_table(
    model: SegModel,
    image: Tensor,
    *,
    tile: tuple[int, int] | None = None,
    precision: str = "float32",
    runtime: str = TORCH,
    advance: Advance,
) -> tuple[Tensor, pd.DataFrame]:
    """`Prediction.mask` and `Prediction.table` of an image uint8 (3,H,W); for the options see `predict`.

    Raises:
        ValueError: as `predict`.
    """
    size, tile, count = (image.shape[1], image.shape[2]), tile or model.tile, len(model.classes)
    boxes = tiles(size, tile)
    parts: Iterable[tuple[slice, Tensor]]
    if len(boxes) == 1:
        whole = predict(model, image, precision=precision, tile=tile, runtime=runtime)
        mask, parts = whole.mask, ((slice(*rows), whole.scores(rows=rows)) for rows in strips(size, 4 * count))
    else:
        fast = fast_model(model, precision, runtime)
        mask, parts = torch.empty(size, dtype=torch.uint8), score_strips(fast, image, boxes, count, fast.batch)
    pixels, sums = torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.float64)
    for rows, scores in parts:
        if len(boxes) > 1:
            mask[rows] = scores.argmax(0)
        for labels, some in zip(mask[rows].split(_FEW), scores.split(_FEW, dim=1), strict=True):
            confidence = as_probs(some, logits=model.logits).amax(0).flatten().double()
            pixels += torch.bincount(labels.flatten(), minlength=count)
            sums.index_add_(0, labels.flatten().long(), confidence)
        advance(scores.shape[1] / size[0])
        del scores, some  # before the next ones are computed
    return mask, class_table(model.classes, pixels, sums)


def painted(image: Tensor, mask: Tensor, model: SegModel, alpha: float, advance: Advance) -> Image.Image:
    """The `overlay` of an image uint8 (3,H,W) and its mask uint8 (H,W) as an image of Pillow."""
    height, width = mask.shape
    whole = Image.new("RGB", (width, height))
    for top in range(0, height, _ROWS):
        strip = overlay(image[:, top : top + _ROWS], mask[top : top + _ROWS], model.classes, alpha)
        whole.paste(Image.fromarray(strip.permute(1, 2, 0).numpy()), (0, top))
        advance(strip.shape[1] / height)
    return whole
