"""The losses that training minimises: cross-entropy, focal, Dice, Lovász, and their sums.

Each takes `logits` float (B,K,H,W) and `target` integer (B,H,W), where 255 is void, and returns a scalar in at least
float32. Predictions at void pixels change nothing. The loss is always finite: without a labelled pixel it is 0, with a
gradient of zeros.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F

from seglab._utils.errors import unknown
from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels
from seglab.models.spec import Criterion


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy: −log p of the true class, averaged over the labelled pixels, with class weights (K,) if given."""
    logits, target = checked(logits, target)
    nll = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="none")  # (B,H,W), 0 at void
    return _weighted_mean(nll, target, weights)


def focal(logits: Tensor, target: Tensor, weights: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017): (1−p)^γ × cross-entropy, so that well classified pixels hardly count.

    γ = 0 is cross-entropy. `weights` (K,) are the paper's α.
    """
    logits, target = checked(logits, target)
    nll = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="none")  # −log p
    error = (-torch.expm1(-nll)).clamp(min=1e-12)  # 1 − p, exact near 0, where the slope of a power can be infinite
    return _weighted_mean(error**gamma * nll, target, weights)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016): 1 − 2·Σp·g / (Σp + Σg), averaged over the classes in `target`.

    Σ runs over the labelled pixels of the whole batch; g is 1 where the class is true. Every class present has the
    same weight, however few its pixels. (The paper squares the terms of the denominator; most code since does not.)
    """
    probs, truth = by_class(*checked(logits, target))
    present = truth.any(dim=1)
    overlap, total = (probs * truth).sum(dim=1), probs.sum(dim=1) + truth.sum(dim=1)
    return (1 - 2 * overlap[present] / total[present]).sum() / present.sum().clamp(min=1)


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovász-softmax loss (Berman et al. 2018): a surrogate of 1 − IoU, averaged over the classes in `target`.

    The pixels of the batch are sorted by their error, the largest first. While the first one, two, three … of them
    count as wrong, 1 − IoU of a class rises from 0 to 1; each error is weighted by the step that it causes.
    """
    probs, truth = by_class(*checked(logits, target))
    present = truth.any(dim=1)
    errors, order = (truth - probs)[present].abs().sort(dim=1, descending=True)  # void comes last, with no error
    truth = truth[present].gather(1, order)
    total = truth.sum(dim=1, keepdim=True)
    intersection = total - truth.cumsum(dim=1)
    union = total + (1 - truth).cumsum(dim=1)
    jaccard = F.pad(1 - intersection.to(errors) / union, (1, 0))  # it starts at 0: no pixel is wrong yet
    return (errors * jaccard.diff(dim=1)).sum() / present.sum().clamp(min=1)


def checked(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """`logits` in at least float32 and `target` as int64.

    Raises:
        ValueError: their shapes do not fit together, or a label is neither a class nor void.
    """
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        shapes = f"{tuple(logits.shape)} and {tuple(target.shape)}"
        raise ValueError(f"logits (B,K,H,W) and target (B,H,W) do not fit together: {shapes}")
    check_labels(target, logits.shape[1], "the target")
    return logits.to(torch.promote_types(logits.dtype, torch.float32)), target.long()


def by_class(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities float (K,N) and truth int64 (K,N), 0 or 1, of all N pixels of the batch; both are 0 at void."""
    num_classes, valid = logits.shape[1], target != IGNORE_INDEX
    probs = logits.softmax(dim=1) * valid[:, None]
    truth = F.one_hot(target.where(valid, num_classes), num_classes + 1)[..., :num_classes]  # void: an extra class
    return probs.transpose(0, 1).flatten(1), truth.movedim(-1, 0).flatten(1)


def _weighted_mean(losses: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of `losses` (B,H,W), weighted by class and with 0 at void; 0 without a labelled pixel."""
    valid = target != IGNORE_INDEX
    pixel_weights = valid.to(losses) if weights is None else weights.to(losses)[target.where(valid, 0)] * valid
    return (pixel_weights * losses).sum() / pixel_weights.sum().clamp(min=torch.finfo(losses.dtype).tiny)


# The terms of `Recipe.loss`. Dice and Lovász give every class the same weight by construction.
LOSSES: dict[str, Callable[..., Tensor]] = {"ce": cross_entropy, "focal": focal, "dice": dice, "lovasz": lovasz}
_WEIGHTED = ("ce", "focal")


def takes_weights(recipe: str) -> bool:
    """Whether a term of a loss, such as "ce+dice", takes class weights."""
    return any(term.strip() in _WEIGHTED for term in recipe.split("+"))


def criterion(recipe: str = "ce", weights: Tensor | Sequence[float] | None = None) -> Criterion:
    """A loss, or a sum of losses: `criterion("ce+dice")(logits, target)`. Class weights (K,) apply to ce and focal.

    Raises:
        ValueError: a term is not in `LOSSES`, or weights are given and no term takes them.
    """
    terms = [term.strip() for term in recipe.split("+")]
    if wrong := [term for term in terms if term not in LOSSES]:
        raise unknown("loss", wrong[0], LOSSES)
    if weights is not None and not takes_weights(recipe):
        raise ValueError(f"{recipe!r} takes no class weights: only {' and '.join(_WEIGHTED)} do; add one of them")
    options = {} if weights is None else {"weights": torch.as_tensor(weights)}
    losses = [partial(LOSSES[term], **options) if term in _WEIGHTED else LOSSES[term] for term in terms]
    return lambda logits, target: torch.stack([loss(logits, target) for loss in losses]).sum()


def class_weights(pixel_counts: ArrayLike, how: str = "median") -> Tensor:
    """Class weights that give rare classes more influence: float32 (K,). Often their square root works better.

    A class without a pixel gets the weight of the rarest class that has some.

    Args:
        pixel_counts: (K,), or (images, K), which median frequency uses.
        how: "inverse", 1/frequency, scaled so that equally frequent classes weigh 1; or "median", median frequency /
            frequency (Eigen & Fergus 2015), where a class's frequency is its fraction of the images that contain it.

    Raises:
        ValueError: `how` is neither, or a count is negative or not finite.
    """
    counts = np.atleast_2d(np.asarray(pixel_counts, dtype=np.float64))  # (images, K)
    if counts.ndim != 2 or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError("pixel_counts is (K,) or (images, K), finite and not negative")
    pixels, present = counts.sum(axis=0), counts.any(axis=0)
    if not present.any():
        return torch.ones(len(pixels))
    if how == "inverse":
        weights = pixels.sum() / present.sum() / np.where(present, pixels, 1)
    elif how == "median":
        around = ((counts > 0) * counts.sum(axis=1, keepdims=True)).sum(axis=0)  # pixels of the images that contain it
        frequency = np.where(present, pixels, 1) / np.where(present, around, 1)
        weights = np.median(frequency[present]) / frequency
    else:
        raise unknown("kind of class weights", how, ("inverse", "median"))
    return torch.tensor(np.where(present, weights, weights[present].max()), dtype=torch.float32)
