"""Images that occur more than once."""

import shutil

import pytest
from helpers.own import leaves, save_pair
from typer.testing import CliRunner

from seglab import load_dataset
from seglab.__main__ import app
from seglab.data.duplicates import check_no_shared_images, duplicates, shared_images


@pytest.fixture
def leaky(tmp_path):
    """Image d, of val, is a copy of a, of train."""
    folder = leaves(tmp_path / "leaky", card="splits: {train: [a, b], val: [c, d]}")
    shutil.copy(folder / "images" / "a.png", folder / "images" / "d.png")
    return folder


def test_equal_files_are_found(leaky):
    equal = duplicates(load_dataset(leaky))
    assert [[record.id for _, record in some] for some in equal] == [["a", "d"]]
    assert shared_images(load_dataset(leaky, "train"), load_dataset(leaky, "val")) == [
        (leaky / "images" / "a.png", leaky / "images" / "d.png")
    ]


def test_a_split_shares_all_images_with_itself_and_drawn_scenes_none(leaky):
    train = load_dataset(leaky, "train")
    assert len(shared_images(train, load_dataset(leaky, "train"))) == 2
    toytown = load_dataset("toytown", "val")
    assert shared_images(toytown, toytown) == []


def test_pages_of_one_file_are_compared_by_their_pixels(tmp_path):
    import numpy as np
    import tifffile

    volume = np.random.default_rng(0).integers(0, 255, (4, 8, 8), np.uint8)
    volume[3] = volume[0]
    tifffile.imwrite(tmp_path / "train-volume.tif", volume, photometric="minisblack")
    tifffile.imwrite(tmp_path / "train-labels.tif", (volume > 99).astype(np.uint8), photometric="minisblack")
    assert [len(some) for some in duplicates(load_dataset(tmp_path))] == [2]


def test_training_refuses_shared_images(leaky, tmp_path):
    with pytest.raises(
        ValueError, match=r"1 images are in the training and in the validation data, .*a\.png and .*d\.png"
    ):
        check_no_shared_images(load_dataset(leaky, "train"), load_dataset(leaky, "val"))
    command = ["train", "unet_mini", "--data", str(leaky), "--out", str(tmp_path / "run"), "--epochs", "1"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1 and "d.png" in refused.output and not (tmp_path / "run").exists()
    save_pair(leaky, "d", [[0, 0, 1], [0, 1, 1]])
    check_no_shared_images(load_dataset(leaky, "train"), load_dataset(leaky, "val"))
