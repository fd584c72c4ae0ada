"""Every data set: check, fingerprint, pickling."""

import hashlib
import os
import pickle

import numpy as np
import pytest
import torch
from helpers.files import write_image

from seglab import load_dataset
from seglab._utils.hashing import sha256_file


def test_different_drawn_scenes_have_different_fingerprints():
    prints = {
        load_dataset(name, "val", size=size).subset(scenes).fingerprint()
        for name in ("toytown", "toytown:fog")
        for size in ((96, 128), (96, 160))
        for scenes in ((0, 1), (0, 2))
    }
    assert len(prints) == 8
    assert load_dataset("toytown", "val", size=(96, 128)).subset((0, 1)).fingerprint() in prints


def test_the_fingerprint_is_the_hash_of_a_sha256sum_listing(tmp_path):
    listing = ""
    for path in (
        write_image(tmp_path / "images" / "a.png"),
        write_image(tmp_path / "masks" / "a.png", np.zeros((4, 6))),
    ):
        listing += f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tmp_path).as_posix()}\n"
    dataset = load_dataset("folder", root=tmp_path, classes="voc")
    before = dataset.fingerprint()
    assert before == hashlib.sha256(listing.encode()).hexdigest()
    write_image(tmp_path / "masks" / "a.png", np.ones((4, 6)))
    assert dataset.fingerprint() != before


def test_a_file_name_that_is_not_utf_8(tmp_path):
    """As an archive of another age unpacks: Latin-1's é."""
    name = os.fsdecode(b"caf\xe9")
    try:
        files = (
            write_image(tmp_path / f"images/{name}.png"),
            write_image(tmp_path / f"masks/{name}.png", np.zeros((4, 6))),
        )
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    dataset = load_dataset("folder", root=tmp_path, classes="voc")
    assert dataset[0].id == dataset.ids[0] == dataset.groups[0] == "caf\\udce9"
    listing = b"".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.parent.name}/".encode() + b"caf\xe9.png\n"
        for path in files
    )
    assert dataset.fingerprint() == hashlib.sha256(listing).hexdigest()


def test_pipes_and_devices_are_no_images_of_a_data_set(tmp_path):
    write_image(tmp_path / "images/a.png")
    write_image(tmp_path / "masks/a.png", np.zeros((4, 6)))
    os.mkfifo(tmp_path / "images/b.png")
    os.mkfifo(tmp_path / "masks/b.png")
    dataset = load_dataset("folder", root=tmp_path, classes="voc")
    assert dataset.ids == ("a",) and dataset.fingerprint()
    with pytest.raises(ValueError, match=r"b\.png is a folder, a pipe or a device"):
        sha256_file(tmp_path / "images/b.png")


def test_check_lists_all_bad_files_and_at_most_ten(tmp_path):
    for i in range(14):
        write_image(tmp_path / "images" / f"{i:02}.png")
        write_image(tmp_path / "masks" / f"{i:02}.png", np.full((4, 6), 77 if i > 1 else 0))
    (tmp_path / "masks" / "00.png").write_bytes(b"")
    dataset = load_dataset("folder", root=tmp_path, classes="street")
    with pytest.raises(ValueError, match="13 of 14 images in 'folder' cannot be used") as caught:
        dataset.check(progress=False)
    lines = str(caught.value).splitlines()
    assert len(lines) == 12 and "00.png: not an image" in lines[1] and lines[-1].strip() == "…"
    assert "02.png has label 77 (24 pixels) outside the 11 classes of 'street'" in lines[2]


def test_a_data_set_can_be_pickled(real_data):
    dataset = load_dataset("coco", root=real_data).subset((0, 1))
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[1].target, dataset[1].target) and again.ids == dataset.ids
