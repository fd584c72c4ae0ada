"""Stacks and volumes: each page is an image."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from seglab.data.formats import masks, volumes
from seglab.data.formats.pixels import read_pixels

PAGES = np.arange(3 * 5 * 6, dtype=np.uint8).reshape(3, 5, 6)
MASKS = (PAGES % 7 < 2).astype(np.uint8) * 255


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack", **options)


@pytest.mark.parametrize("names", [("train-volume.tif", "train-labels.tif"), ("images/a.tif", "masks/a.tif"),
                                   ("x_image.tiff", "x_mask.tiff")])  # fmt: skip
def test_tiff_stacks(tmp_path, names):
    for name, array in zip(names, (PAGES, MASKS), strict=True):
        write(tmp_path / name, array)
    assert masks.recognise(tmp_path) is None
    proposal = volumes.recognise(tmp_path)
    assert (proposal.card.format, proposal.card.labels, proposal.question) == ("volumes", {0: 0, 255: 1}, None)
    entries = volumes.entries(proposal.card)
    assert [entry.id[-2:] for entry in entries] == ["/0", "/1", "/2"]
    for page, entry in enumerate(entries):
        assert (read_pixels(entry.image, proposal.card)[..., 0] == PAGES[page]).all()
        assert (entry.target((5, 6)) == MASKS[page] // 255).all()
        assert entry.files == (tmp_path / names[0], tmp_path / names[1])


def test_several_stacks_are_groups(tmp_path):
    for name in "ab":
        write(tmp_path / f"images/{name}.tif", PAGES.astype(np.uint16) * 40)
        write(tmp_path / f"masks/{name}.tif", MASKS, compression="zlib")
    write(tmp_path / "images/c.tif", PAGES)
    proposal = volumes.recognise(tmp_path)
    assert (proposal.card.groups, proposal.card.range, proposal.card.unannotated) == (r"^(.+)/\d+$", (0, 4095), "skip")
    assert [entry.id for entry in volumes.entries(proposal.card)] == ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2"]
    filled = replace(proposal.card, unannotated="background", range=None)
    assert not volumes.entries(filled)[-1].target((5, 6)).any()


def test_stacks_that_differ(tmp_path):
    write(tmp_path / "images/a.tif", PAGES)
    write(tmp_path / "masks/a.tif", MASKS[:2])
    card = volumes.recognise(tmp_path).card
    with pytest.raises(ValueError, match=r"a.tif: 3 pages, and its masks a.tif have 2; pair them by name"):
        volumes.entries(card)
    with pytest.raises(ValueError, match=r"no stack images/{id}.tiff with masks"):
        volumes.entries(replace(card, images="images/{id}.tiff"))


def test_nifti_slices_run_along_the_largest_spacing(tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="NIfTI needs nibabel: pip install nibabel")
    image = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3) - 20
    mask = (image % 3 == 0).astype(np.uint8)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    for spacing, axis in (((1, 1, 5), 2), ((1, 4, 1), 1), ((1, 1, 1), 2)):
        for name, array in (("imagesTr/x_0000.nii.gz", image), ("labelsTr/x.nii.gz", mask)):
            nibabel.save(nibabel.Nifti1Image(array, np.diag([*spacing, 1])), tmp_path / name)
        volumes._volume.cache_clear()
        card = volumes.recognise(tmp_path).card
        assert card.range == (-20, 39)
        entries = volumes.entries(card)
        assert len(entries) == image.shape[axis]
        for k, entry in enumerate(entries):
            expected = mask.take(k, axis).T  # rows are the second of the two other axes
            assert (entry.target(expected.shape) == expected).all()
            assert (entry.image() == image.take(k, axis).T).all()


def test_nifti_without_nibabel(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "nibabel", None)
    for name in ("images/a.nii.gz", "labels/a.nii.gz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"a.nii.gz: NIfTI files need the package nibabel; install it: pip install nibabel"
    ):
        volumes.recognise(tmp_path)


def test_folders_without_stacks(tmp_path):
    assert volumes.recognise(tmp_path) is None
    write(tmp_path / "images/a.tif", PAGES[0])
    write(tmp_path / "masks/a.tif", MASKS[0])
    assert volumes.recognise(tmp_path) is None
    assert [entry.id for entry in masks.entries(masks.recognise(tmp_path).card)] == ["a"]
