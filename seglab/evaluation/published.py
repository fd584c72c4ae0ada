"""Published values, as data, ready to stand beside measured ones.

torchvision publishes for its six models: mIoU and pixel accuracy on COCO val2017 with VOC labels, parameters,
"GFLOPS" (the `meta` of its weights). Here they stand with the conventions behind them, which is where most differences
to one's own measurement come from.
"""

import pandas as pd

from seglab.models.registry import MODELS

CONVENTIONS = (
    "scored on 5000 photographs of COCO val2017 with the 20 classes of VOC and background, not on PASCAL VOC",
    "images and targets at short side 520, where one's own masks usually have the size of the photograph",
    "mIoU over the data set, background counted, void ignored",
    "parameters and multiply-adds include the auxiliary head, which prediction does not need",
    "“GFLOPS” are multiply-accumulates of a 520×520 image; counted as operations they are twice as many",
)
REASONS = (
    "other images: VOC 2012 val has another share of background and other photographs than COCO",
    "another size at which masks are scored; thin shapes are lost on the smaller grid",
    "another way to average: over images or batches instead of over the data set, background left out",
    "objects that overlap are void in torchvision's COCO labels, and crowds count as objects",
    "another version of the weights, of the decoder of JPEG files, or of the resize of images",
)


def published_table() -> pd.DataFrame:
    """What torchvision publishes: miou, pixel_accuracy (0–1), mparams, gmacs, download_mb; conventions in `attrs`.

    mIoU and megabytes (10⁶ bytes) are those of `MODELS`, the rest is what `torchvision` says of its weights.
    """
    from torchvision.models import get_model_weights

    rows = {}
    for name, spec in MODELS.items():
        if known := spec.weights.get("coco"):
            meta = get_model_weights(name)[known.source].meta
            accuracy = meta["_metrics"]["COCO-val2017-VOC-labels"]["pixel_acc"] / 100
            rows[name] = (known.miou, accuracy, meta["num_params"] / 1e6, meta["_ops"], known.num_bytes / 1e6)
    columns = ["miou", "pixel_accuracy", "mparams", "gmacs", "download_mb"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("model")
    table.attrs["conventions"], table.attrs["reasons"] = list(CONVENTIONS), list(REASONS)
    return table


def beside(measured: pd.DataFrame) -> pd.DataFrame:
    """A `Results.summary()` and the published values of the same models, side by side.

    Args:
        measured: rows named as in `MODELS`, with or without `:WEIGHTS`.

    Returns:
        Columns published, measured, difference (of mIoU), for models that have both; the reasons why they may differ
        in `attrs`.
    """
    table = published_table()
    known = {name: name.partition(":")[0] for name in measured.index if name.partition(":")[0] in table.index}
    both = pd.DataFrame({"published": [table["miou"][k] for k in known.values()],
                         "measured": [measured["miou"][name] for name in known]},
                        index=pd.Index(list(known), name="model"))  # fmt: skip
    both["difference"] = both["measured"] - both["published"]
    both.attrs = dict(table.attrs)
    return both
