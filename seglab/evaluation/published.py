"""Published values beside measured ones, with the conventions behind them, which cause most of the differences.

For its six models, torchvision publishes mIoU and pixel accuracy on COCO val2017 with VOC labels, the number of
parameters and "GFLOPS" (the `meta` of its weights).
"""

import pandas as pd

from seglab.models.registry import MODELS

CONVENTIONS = (
    "scored on 5000 photographs of COCO val2017 with the 20 classes of VOC and background, not on PASCAL VOC",
    "images and targets at short side 520, whereas masks are usually scored at the size of the photograph",
    "mIoU over the data set, background counted, void ignored",
    "parameters and multiply-adds include the auxiliary head, which prediction does not need",
    "“GFLOPS” are multiply-accumulates of a 520×520 image; counted as operations they are twice as many",
)
REASONS = (
    "other images: VOC 2012 val has another fraction of background and other photographs than COCO",
    "another size at which masks are scored; thin shapes are lost at a lower resolution",
    "another way to average: over images or batches instead of over the data set, background left out",
    "objects that overlap are void in torchvision's COCO labels, and crowds count as objects",
    "another version of the weights, of the JPEG decoder, or of the resize of images",
)


def published_table() -> pd.DataFrame:
    """torchvision's values: miou and pixel_accuracy (0–1), mparams (10⁶), gmacs (10⁹), download_mb (10⁶ bytes).

    `attrs` holds the conventions. mIoU and megabytes are those of `MODELS`, the rest comes from torchvision.
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
    """The published and measured mIoU of each model in a `Results.summary()`: published, measured, difference.

    Models are matched by their key in `MODELS`, with or without `:WEIGHTS`; those without published values are left
    out. `attrs` holds possible reasons for the differences.
    """
    table = published_table()
    known = {name: name.partition(":")[0] for name in measured.index if name.partition(":")[0] in table.index}
    both = pd.DataFrame({"published": [table["miou"][k] for k in known.values()],
                         "measured": [measured["miou"][name] for name in known]},
                        index=pd.Index(list(known), name="model"))  # fmt: skip
    both["difference"] = both["measured"] - both["published"]
    both.attrs = dict(table.attrs)
    return both
