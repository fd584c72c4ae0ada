"""The stored tables are what counting gives."""

import pytest

from seglab import load_dataset
from seglab.course.studies import class_pixels, stored_class_pixels


def test_toytown_is_stored_as_it_is_drawn():
    ds = load_dataset("toytown", "val").subset(range(20))
    counted = class_pixels(ds, progress=False)
    assert counted.sum() == 20 * 192 * 256
    assert list(counted.index) == list(stored_class_pixels().columns)
    stored = stored_class_pixels().loc["toytown train"]
    assert stored.sum() == 1200 * 192 * 256
    assert (counted / counted.sum() - stored / stored.sum()).abs().max() < 0.05


@pytest.mark.parametrize("split", ["train", "val"])
def test_camvid_is_stored_as_it_is(real_data, split):
    counted = class_pixels(load_dataset("camvid", split, root=real_data), progress=False)
    assert (counted == stored_class_pixels().loc[f"camvid {split}"]).all()
