"""The stored class pixels are equal to a new count."""

import pytest
from class_pixels import class_pixels

from seglab import load_dataset
from seglab.course.studies import stored_class_pixels


def test_stored_toytown_agrees_with_a_count():
    ds = load_dataset("toytown", "val").subset(range(20))
    counted = class_pixels(ds, progress=False)
    assert counted.sum() == 20 * 192 * 256
    assert list(counted.index) == list(stored_class_pixels().columns)
    stored = stored_class_pixels().loc["toytown train"]
    assert stored.sum() == 1200 * 192 * 256
    assert (counted / counted.sum() - stored / stored.sum()).abs().max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "val"])
def test_stored_camvid_equals_a_count(real_data, split):
    counted = class_pixels(load_dataset("camvid", split, root=real_data), progress=False)
    assert (counted == stored_class_pixels().loc[f"camvid {split}"]).all()
