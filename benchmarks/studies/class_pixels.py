"""Counts the pixels of each class in Toytown and CamVid, for notebooks 01 and 07.

    python benchmarks/studies/class_pixels.py       a minute; CamVid has to be in SEGLAB_DATA

The result is `data/results/class_pixels.csv`: a row for each data set and split, a column for each class, and void.
"""

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from seglab import load_dataset
from seglab.course.studies import results_dir
from seglab.data.dataset import SegmentationDataset

SETS = (("camvid", "train"), ("camvid", "val"), ("toytown", "train"))


def class_pixels(dataset: SegmentationDataset, progress: bool = True) -> pd.Series:
    """Pixels of each class, and of void, in a whole data set: int64, by class name."""
    counts = np.zeros(256, np.int64)
    for i in tqdm(range(len(dataset)), desc=f"counting {dataset.name}", unit="image", disable=not progress):
        counts += np.bincount(dataset[i].target.numpy().ravel(), minlength=256)
    classes = dataset.classes
    named = dict(zip(classes.names, counts[: len(classes)].tolist(), strict=True))
    return pd.Series(named | {"void": int(counts[classes.ignore_index])}, name=f"{dataset.name} {dataset.split}")


def main() -> None:
    table = pd.DataFrame([class_pixels(load_dataset(name, split)) for name, split in SETS])
    table.to_csv(results_dir() / "class_pixels.csv", index_label="dataset", lineterminator="\n")
    print(table.to_string())


if __name__ == "__main__":
    main()
