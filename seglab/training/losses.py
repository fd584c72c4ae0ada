"""Losses: what training minimises. Four of them, and sums of them.

Each takes `logits` float (B,K,H,W) and `target` integer (B,H,W), where 255 is void, and returns a scalar. What a model
says about a void pixel changes nothing. Each is finite always: a batch without a labelled pixel costs 0 and has a
gradient of zeros. Half-precision logits are taken to float32 first.
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
    """Cross-entropy: −log p of the true class, averaged over the labelled pixels.

    Args:
        weights: float (K,), how much a pixel of each class counts; the mean is a weighted one.
    """
    logits, target = checked(logits, target)
    surprise = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="none")  # (B,H,W), 0 at void
    return _weighted_mean(surprise, target, weights)


def focal(logits: Tensor, target: Tensor, weights: Tensor | None = None, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017): (1−p)^γ × cross-entropy, so that pixels the model is sure of hardly count.

    γ = 0 is cross-entropy. `weights` (K,) are the paper's α.
    """
    logits, target = checked(logits, target)
    surprise = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="none")  # −log p
    doubt = -torch.expm1(-surprise)  # 1 − p, exact also where p is nearly 1
    doubt = doubt.clamp(min=1e-12)  # at 0 the slope of a power below 1 is infinite
    return _weighted_mean(doubt**gamma * surprise, target, weights)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016): 1 − 2·Σp·g / (Σp + Σg), averaged over the classes in `target`.

    Σ runs over the labelled pixels of the whole batch; g is 1 where the class is true. Every class present counts the
    same, however few its pixels. (The paper squares the terms of the denominator; most code since does not.)
    """
    probs, truth = by_class(*checked(logits, target))
    present = truth.any(dim=1)
    overlap, total = (probs * truth).sum(dim=1), probs.sum(dim=1) + truth.sum(dim=1)
    return (1 - 2 * overlap[present] / total[present]).sum() / present.sum().clamp(min=1)


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Lovász-softmax loss (Berman et al. 2018): a smooth stand-in for 1 − IoU, averaged over the classes in `target`.

    Order the pixels of the batch by their error, the worst first. As the first one, two, three … of them are declared
    wrong, 1 − IoU of a class climbs from 0 to 1; each error is weighted by the step it causes.
    """
    probs, truth = by_class(*checked(logits, target))
    present = truth.any(dim=1)
    errors, order = (truth - probs)[present].abs().sort(dim=1, descending=True)  # void comes last, with no error
    truth = truth[present].gather(1, order)
    total = truth.sum(dim=1, keepdim=True)
    intersection = total - truth.cumsum(dim=1)
    union = total + (1 - truth).cumsum(dim=1)
    jaccard = F.pad(1 - intersection.to(errors) / union, (1, 0))  # it starts at 0: nothing is wrong yet
    return (errors * jaccard.diff(dim=1)).sum() / present.sum().clamp(min=1)


def checked(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """`logits` in at least float32 and `target` as int64, once it is sure that they fit together.

    Raises:
        ValueError: the two do not lie on the same grid, or a label is neither a class nor void.
    """
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        shapes = f"{tuple(logits.shape)} and {tuple(target.shape)}"
        raise ValueError(f"logits (B,K,H,W) and target (B,H,W) do not fit together: {shapes}")
    check_labels(target, logits.shape[1], "the target")
    half = logits.dtype in (torch.float16, torch.bfloat16)
    return logits.float() if half else logits, target.long()


def by_class(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities float (K,N) and truth int64 (K,N), 0 or 1, of all N pixels of the batch; both are 0 at void."""
    num_classes, valid = logits.shape[1], target != IGNORE_INDEX
    probs = logits.softmax(dim=1) * valid[:, None]
    truth = F.one_hot(target.where(valid, num_classes), num_classes + 1)[..., :num_classes]  # void: a class too many
    return probs.transpose(0, 1).flatten(1), truth.movedim(-1, 0).flatten(1)


def _weighted_mean(losses: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of `losses` (B,H,W), each weighted by its class and void by 0; 0 where there is nothing to average."""
    valid = target != IGNORE_INDEX
    share = valid.to(losses) if weights is None else weights.to(losses)[target.where(valid, 0)] * valid
    return (share * losses).sum() / share.sum().clamp(min=torch.finfo(losses.dtype).tiny)


# The table that `seglab train --loss` reads: a name here can be a term of a sum.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "ce": cross_entropy,
    "focal": focal,
    "dice": dice,
    "lovasz": lovasz,
}
_TAKE_WEIGHTS = ("ce", "focal")  # the other two count every class the same by construction


def criterion(recipe: str = "ce", weights: Tensor | Sequence[float] | None = None) -> Criterion:
    """A loss, or a sum of losses, from its recipe: `criterion("ce+dice")(logits, target)`.

    Args:
        recipe: names from `LOSSES`, joined by "+".
        weights: (K,) class weights, for the terms that take them (ce and focal).

    Raises:
        ValueError: a term is not in `LOSSES`, or weights are given and no term takes them.
    """
    terms = [term.strip() for term in recipe.split("+")]
    for term in terms:
        if term not in LOSSES:
            raise unknown("loss", term, LOSSES)
    losses: list[Criterion] = [LOSSES[term] for term in terms]
    if weights is not None:
        if not set(terms) & set(_TAKE_WEIGHTS):
            raise ValueError(f"class weights mean nothing to {recipe!r}: only {' and '.join(_TAKE_WEIGHTS)} take them")
        given = torch.as_tensor(weights)
        losses = [partial(LOSSES[term], weights=given) if term in _TAKE_WEIGHTS else LOSSES[term] for term in terms]
    return lambda logits, target: torch.stack([loss(logits, target) for loss in losses]).sum()


def class_weights(pixel_counts: ArrayLike, how: str = "median") -> Tensor:
    """Weights that let rare classes count more, from how many pixels each class has.

    Args:
        pixel_counts: (K,), or (images, K), which median frequency makes use of.
        how: "inverse", 1/frequency, scaled so that equally frequent classes weigh 1; or "median", median frequency /
            frequency (Eigen & Fergus 2015), where a class's frequency is its share of the images in which it occurs.

    Returns:
        float32 (K,). A class without a pixel weighs as much as the rarest one that has some. `weights ** 0.5` is
        milder, and often better.

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
        around = ((counts > 0) * counts.sum(axis=1, keepdims=True)).sum(axis=0)  # pixels of the images that hold it
        frequency = np.where(present, pixels, 1) / np.where(present, around, 1)
        weights = np.median(frequency[present]) / frequency
    else:
        raise unknown("kind of class weights", how, ("inverse", "median"))
    return torch.tensor(np.where(present, weights, weights[present].max()), dtype=torch.float32)
