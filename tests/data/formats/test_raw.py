"""The values that files of masks hold."""

from io import BytesIO

import numpy as np
import pytest
import tifffile
from helpers.files import grey_png, grey_tiff
from PIL import Image
from scipy.io import savemat

from seglab.data.card import Card
from seglab.data.formats.raw import load, read_raw

LABELS = np.array([[0, 1, 2], [2, 1, 0]])
CARD = Card("", ("a", "b", "c"))


@pytest.mark.parametrize("name", ["m.png", "m.bmp", "m.gif", "m.tif", "m.webp"])
def test_masks_in_image_files(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / name, **options)
    assert read_raw(tmp_path / name, CARD).tolist() == LABELS.tolist()
    if name.endswith("webp"):
        Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / name, quality=100)
        with pytest.raises(ValueError, match="state threshold: 128"):
            read_raw(tmp_path / name, CARD)


@pytest.mark.parametrize("kind", ["uint16", "int32", "int64", "uint32", "float32", "float64"])
def test_masks_of_other_number_types(tmp_path, kind):
    np.save(tmp_path / "m.npy", LABELS.astype(kind))
    savemat(tmp_path / "m.mat", {"mask": LABELS.astype(kind)})
    tifffile.imwrite(tmp_path / "m.tif", LABELS.astype(kind))
    for suffix in ("npy", "mat", "tif"):
        assert read_raw(tmp_path / f"m.{suffix}", CARD).tolist() == LABELS.tolist()
    if kind == "uint16":
        Image.fromarray(LABELS.astype(kind)).save(tmp_path / "m.png")
        assert read_raw(tmp_path / "m.png", CARD).tolist() == LABELS.tolist()


def test_masks_in_palettes_bits_and_channels(tmp_path):
    palette = Image.fromarray(LABELS.astype(np.uint8))
    palette.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    palette.save(tmp_path / "palette.png")
    assert read_raw(tmp_path / "palette.png", CARD).tolist() == LABELS.tolist()
    Image.fromarray(LABELS == 1).save(tmp_path / "bits.png")
    assert read_raw(tmp_path / "bits.png", CARD).tolist() == (LABELS == 1).astype(int).tolist()
    three = np.repeat(LABELS[..., None], 3, 2).astype(np.uint8)
    Image.fromarray(three).save(tmp_path / "three.png")
    assert read_raw(tmp_path / "three.png", CARD).tolist() == LABELS.tolist()
    four = np.dstack([three, np.full((2, 3), 255, np.uint8)])
    four[1, 0, 3] = 0  # a transparent pixel holds nothing
    Image.fromarray(four).save(tmp_path / "four.png")
    assert read_raw(tmp_path / "four.png", CARD).tolist() == [[0, 1, 2], [0, 1, 0]]
    four[1, 0, 3] = 90
    Image.fromarray(four).save(tmp_path / "four.png")
    with pytest.raises(ValueError, match=r"four.png: partly transparent pixels have no definite class"):
        load(tmp_path / "four.png")


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_grey_with_fewer_bits_and_white_zeros_is_read_as_stored(tmp_path, bits):
    (tmp_path / "m.png").write_bytes(grey_png(LABELS, bits))
    (tmp_path / "black.tif").write_bytes(grey_tiff(LABELS, bits))
    (tmp_path / "white.tif").write_bytes(grey_tiff(LABELS, bits, zero_is_white=True))
    for name in ("m.png", "black.tif", "white.tif"):
        assert read_raw(tmp_path / name, CARD).tolist() == LABELS.tolist()


def test_a_tiff_with_lossy_compression_needs_a_threshold(tmp_path):
    Image.fromarray(np.kron([[0, 255]], np.ones((16, 16))).astype(np.uint8)).save(
        tmp_path / "m.tif", compression="jpeg"
    )
    with pytest.raises(ValueError, match=r"m.tif: lossy compression .* state threshold: 128"):
        read_raw(tmp_path / "m.tif", CARD)


def test_masks_of_colours(tmp_path):
    colors = {"a": (0, 0, 0), "b": (9, 0, 0), "c": (0, 9, 0), "void": (255, 255, 255)}
    table = np.array(list(colors.values()), np.uint8)
    Image.fromarray(table[[[0, 1, 2], [3, 3, 0]]]).save(tmp_path / "m.png")
    card = Card("", ("a", "b", "c"), colors=colors)
    assert read_raw(tmp_path / "m.png", card).tolist() == [[0, 1, 2], [255, 255, 0]]
    Image.fromarray(table[[[0, 0, 3]]]).save(tmp_path / "grey.png")  # only grey colours
    assert read_raw(tmp_path / "grey.png", card).tolist() == [[0, 0, 255]]
    with pytest.raises(
        ValueError, match=r"m.png: the mask holds colours; state the colour of each class under colors:"
    ):
        read_raw(tmp_path / "m.png", CARD)
    with pytest.raises(ValueError, match=r"m.png: 1 of 4 colours are not in the card: #ffffff \(2 pixels\)"):
        read_raw(tmp_path / "m.png", Card("", ("a", "b", "c"), colors={k: colors[k] for k in "abc"}))


def test_lossy_masks_need_a_threshold(tmp_path):
    Image.fromarray(np.kron([[0, 255]], np.ones((8, 8))).astype(np.uint8)).save(tmp_path / "m.jpg")
    with pytest.raises(ValueError, match=r"m.jpg: lossy compression .* state threshold: 128"):
        read_raw(tmp_path / "m.jpg", CARD)
    Image.open(tmp_path / "m.jpg").convert("RGB").save(tmp_path / "rgb.jpg")
    for name in ("m.jpg", "rgb.jpg"):
        labels = read_raw(tmp_path / name, Card("", ("a", "b"), threshold=128))
        assert labels.tolist() == [[0] * 8 + [1] * 8] * 8
    Image.open(tmp_path / "m.jpg").save(tmp_path / "png.jpg", format="PNG")  # read by its content
    assert not load(tmp_path / "png.jpg")[1]


def test_matlab_structures(tmp_path):
    regions, border = LABELS.astype(np.uint8), (LABELS > 1).astype(np.uint8)
    savemat(
        tmp_path / "sbd.mat", {"GTcls": {"Boundaries": border, "Segmentation": regions, "CategoriesPresent": [1, 2]}}
    )
    assert read_raw(tmp_path / "sbd.mat", CARD).tolist() == LABELS.tolist()
    savemat(tmp_path / "two.mat", {"x": regions, "y": regions})
    with pytest.raises(ValueError, match=r"two.mat: expected one array of labels .*found x \(2, 3\), y \(2, 3\)"):
        load(tmp_path / "two.mat")


def test_files_that_are_no_masks(tmp_path):
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).random((2, 3)))
    with pytest.raises(ValueError, match=r"scores.npy: float64 values that are no whole numbers"):
        load(tmp_path / "scores.npy")
    np.save(tmp_path / "deep.npy", np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"deep.npy: an array of shape \(2, 3, 4\); a mask is \(height, width\)"):
        load(tmp_path / "deep.npy")
    for name in ("a.npy", "a.mat", "a.tif", "a.png"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ValueError, match=name):
            load(tmp_path / name)
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 5, 6), np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match=r"stack.tif: an array of shape \(3, 5, 6\)"):
        load(tmp_path / "stack.tif")
    frames = [Image.fromarray(np.full((4, 4), k, np.uint8)) for k in range(2)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"film.gif: 2 pages; a mask has one"):
        load(tmp_path / "film.gif")


def test_bytes_of_masks():
    buffer = BytesIO()
    Image.fromarray(LABELS.astype(np.uint8)).save(buffer, "PNG")
    assert read_raw(buffer.getvalue(), CARD).tolist() == LABELS.tolist()
