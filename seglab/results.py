"""Results that travel with the workbook: tables in `data/results/`, so that a notebook needs no data to show them.

`class_pixels.csv` is made by

    for name, split in (("toytown", "train"), ("camvid", "train"), ("camvid", "val")):
        store_class_pixels(load_dataset(name, split))
"""

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from seglab.data import SegmentationDataset
from seglab.places import share_dir


def results_dir() -> Path:
    """Where the stored tables lie."""
    share = share_dir()
    if share is None:
        raise ValueError("the stored results were not installed; install seglab from its folder: pip install .")
    return share / "data" / "results"


def class_pixels(dataset: SegmentationDataset, progress: bool = True) -> pd.Series:
    """Pixels of each class, and of void, over a whole data set. int64, by class name."""
    counts = np.zeros(256, np.int64)
    for i in tqdm(range(len(dataset)), desc=f"counting {dataset.name}", unit="image", disable=not progress):
        counts += np.bincount(dataset[i].target.numpy().ravel(), minlength=256)
    classes = dataset.classes
    named = dict(zip(classes.names, counts[: len(classes)].tolist(), strict=True))
    return pd.Series(named | {"void": int(counts[classes.ignore_index])}, name=f"{dataset.name} {dataset.split}")


def stored_class_pixels() -> pd.DataFrame:
    """Counted pixels of street data sets: one row a data set and split, one column a class, and void."""
    return pd.read_csv(results_dir() / "class_pixels.csv", index_col=0)


def store_class_pixels(dataset: SegmentationDataset) -> None:
    """Count a data set and put its row into the stored table."""
    path = results_dir() / "class_pixels.csv"
    row = class_pixels(dataset)
    table = stored_class_pixels().drop(index=row.name, errors="ignore") if path.exists() else pd.DataFrame()
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([table, row.to_frame().T]).sort_index().to_csv(path, index_label="dataset", lineterminator="\n")
