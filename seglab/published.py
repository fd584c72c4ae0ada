"""Published values, as data, ready to stand beside measured ones.

torchvision publishes for its six models: mIoU and pixel accuracy on COCO val2017 with VOC labels, parameters,
"GFLOPS". The figures are those of `torchvision.models.segmentation` 0.29 (the `meta` of its weights); here they stand
with the conventions behind them, which is where most differences to one's own measurement come from.
"""

import pandas as pd

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
# name → mIoU, pixel accuracy, millions of parameters, 10⁹ multiply-adds, megabytes of weights
_TORCHVISION = {
    "fcn_resnet50": (0.605, 0.914, 35.322218, 152.717, 135.009),
    "fcn_resnet101": (0.637, 0.919, 54.314346, 232.738, 207.711),
    "deeplabv3_resnet50": (0.664, 0.924, 42.004074, 178.722, 160.515),
    "deeplabv3_resnet101": (0.674, 0.924, 60.996202, 258.743, 233.217),
    "deeplabv3_mobilenet_v3_large": (0.603, 0.912, 11.029328, 10.452, 42.301),
    "lraspp_mobilenet_v3_large": (0.579, 0.912, 3.221538, 2.086, 12.49),
}


def published_table() -> pd.DataFrame:
    """What torchvision publishes: miou, pixel_accuracy (0–1), mparams, gmacs, download_mb; conventions in `attrs`."""
    columns = ["miou", "pixel_accuracy", "mparams", "gmacs", "download_mb"]
    table = pd.DataFrame.from_dict(_TORCHVISION, orient="index", columns=columns).rename_axis("model")
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
