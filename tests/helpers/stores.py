"""Stores filled with random label maps, as `evaluate` would fill them."""

import numpy as np

from seglab.data.classes import class_set
from seglab.evaluation.store import Store
from seglab.metrics.confusion import pair_counts

VOID = 255
SIZE = (12, 16)


def masks(count, classes=11, seed=0, void=0.1, size=SIZE):
    """Random label maps, uint8 (count, H, W); the first classes are the most frequent."""
    random = np.random.default_rng(seed)
    labels = np.minimum(random.geometric(2.5 / classes, (count, *size)) - 1, classes - 1).astype(np.uint8)
    labels[random.random(labels.shape) < void] = VOID
    return labels


def spoilt(targets, fraction=0.3, classes=11, seed=1):
    """Predictions that are wrong for a fraction of the pixels; void pixels have some prediction, too."""
    wrong = np.random.default_rng(seed).random(targets.shape) < fraction
    return np.where(wrong | (targets == VOID), masks(len(targets), classes, seed, 0, targets.shape[1:]), targets)


def fill(path, name, targets, preds, *, data="toys test", classes="street", own=None, seed=None, groups=None,
         images=None, bins=None, facts=None, microseconds=None, **identity):  # fmt: skip
    """Put a run into a store as `evaluate` does: label maps in, counts out."""
    classes, own = class_set(classes), class_set(own or classes)
    groups = groups or [f"image {i}" for i in range(len(targets))]
    known = {
        "data": data, "fingerprint": "f00d", "images": len(targets), "groups": len(set(groups)),
        "target vocabulary": classes.name, "target classes": list(classes.names), "background": classes.background,
        "vocabulary": own.name, "classes": list(own.names), "scored at": "original", "test-time augmentation": "none",
        "boundary": bins is not None, "calibration": bins is not None,
    }  # fmt: skip
    with Store(path) as store:
        run = store.run(name, seed, data, known | identity, facts or {})
        for i in range(len(targets)) if images is None else images:
            table = pair_counts(preds[i], targets[i]).numpy()
            counts = [(int(t), int(p), int(table[t, p])) for t, p in zip(*table.nonzero(), strict=True)]
            store.add(run, i, (f"image {i}", groups[i], microseconds), counts, bins[i] if bins else [])


def labelled(pred, target):
    """Target and prediction at the labelled pixels, flat."""
    return target[target != VOID], pred[target != VOID]
