"""Images in files of every kind as uint8 (H, W, 3)."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from seglab.data.card import Card
from seglab.data.formats import pixels
from seglab.data.formats.findings import Findings
from seglab.data.formats.pixels import read_pixels
from seglab.data.formats.raw import pixel_values
from seglab.data.images import read_image

LABELS = np.array([[0, 1, 2], [2, 1, 0]])
CARD = Card("", ("a", "b", "c"))


def described(path):
    """The fields and the sentences for one image."""
    found = Findings()
    pixels.describe([path], found)
    return found.changes, found.evidence


def png16(array):
    """A PNG of 16-bit colours (H, W, 3), which Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_ordinary_images_are_read_as_elsewhere(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (4, 5, 4)).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    Image.fromarray(rgba[..., 0]).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        expected = read_image(tmp_path / name).numpy().transpose(1, 2, 0)
        assert (read_pixels(tmp_path / name, CARD) == expected).all()
        assert (read_pixels((tmp_path / name).read_bytes(), CARD) == expected).all()


def test_a_range_makes_12_bits_visible(tmp_path):
    values = np.array([[0, 819, 4095, 60000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", values)
    np.save(tmp_path / "a.npy", values)
    for suffix in ("png", "tif", "npy"):
        found = read_pixels(tmp_path / f"a.{suffix}", Card("", range=(0, 4095)))
        assert found.tolist() == [[[0] * 3, [51] * 3, [255] * 3, [255] * 3]]
        assert read_pixels(tmp_path / f"a.{suffix}", CARD)[0, :, 0].tolist() == [0, 3, 16, 233]  # of 65535


def test_16_bit_colours_in_png(tmp_path):
    values = np.array([[(0, 819, 4095), (4094, 2000, 1)]], np.uint16)
    (tmp_path / "a.png").write_bytes(png16(values))
    assert (pixel_values(tmp_path / "a.png") == values).all()
    assert read_pixels(tmp_path / "a.png", Card("", range=(0, 4095))).tolist() == [[[0, 51, 255], [255, 125, 0]]]
    changes, evidence = described(tmp_path / "a.png")
    assert changes == {"range": (0, 4095)}
    assert evidence == ["The images hold uint16 values from 0 to 4095; 0 becomes 0 and 4095 becomes 255."]


@pytest.mark.parametrize("low, high, kind, expected", [
    (0, 4080, "uint16", (0, 4095)), (300, 7559, "uint16", (0, 8191)), (0, 200, "uint16", (0, 255)),
    (5, 40000, "uint16", None), (-1000, 3000, "int16", (-1000, 3000)), (0, 0.9, "float32", (0, 1)),
    (0, 200.5, "float32", (0, 200.5)),
])  # fmt: skip
def test_ranges_that_are_proposed(low, high, kind, expected):
    assert pixels.value_range(low, high, np.dtype(kind)) == expected


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("options", [{"photometric": "rgb"}, {"photometric": "minisblack", "planarconfig": "contig"}])
def test_a_fourth_band_of_a_tiff_is_no_opacity(tmp_path, kind, options):
    scale = 1 if kind == "uint8" else 257
    values = np.full((3, 3, 4), 100 * scale, kind)
    values[..., 3] = 7 * scale  # as opacity it would turn the image nearly white
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    assert (read_pixels(tmp_path / "a.tif", CARD) == 100).all()
    assert (read_pixels(tmp_path / "a.tif", Card("", bands=(3,))) == 7).all()
    assert read_pixels(tmp_path / "a.tif", Card("", bands=(3, 0, 1)))[0, 0].tolist() == [7, 100, 100]
    changes, evidence = described(tmp_path / "a.tif")
    assert changes["bands"] == (0, 1, 2)
    assert evidence[0] == "a.tif has 4 bands; the first three are read as red, green and blue."
    with pytest.raises(ValueError, match=r"a.tif: 4 bands; state one or three of 0 to 3 as bands:"):
        read_pixels(tmp_path / "a.tif", Card("", bands=(0, 4, 1)))


def test_more_bands_and_pages(tmp_path):
    tifffile.imwrite(
        tmp_path / "six.tif", np.zeros((5, 4, 6), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(ValueError, match=r"six.tif: 6 bands; state one or three of 0 to 5 as bands:"):
        read_pixels(tmp_path / "six.tif", CARD)
    planes = np.arange(2 * 5 * 4, dtype=np.uint8).reshape(2, 5, 4)
    tifffile.imwrite(tmp_path / "pages.tif", planes, photometric="minisblack")
    with pytest.raises(ValueError, match=r"pages.tif: 2 pages; format: volumes reads each as an image"):
        read_pixels(tmp_path / "pages.tif", CARD)
    assert (read_pixels(tmp_path / "pages.tif", Card("", bands=(1,)))[..., 0] == planes[1]).all()
    assert described(tmp_path / "pages.tif")[0] == {"bands": (0,)}


def test_numbers_that_need_a_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-100.0, 300.0]], np.float32))
    with pytest.raises(ValueError, match=r"a.tif: float32 values from -100 to 300; .* range: \[-100, 300\]"):
        read_pixels(tmp_path / "a.tif", CARD)
    assert read_pixels(tmp_path / "a.tif", Card("", range=(-100, 300)))[0, :, 0].tolist() == [0, 255]


def test_compressed_tiff(tmp_path):
    values = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    Image.fromarray(values).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert (read_pixels(tmp_path / "a.tif", CARD) == values).all()
    Image.fromarray(np.dstack([values, values[..., :1]])).save(tmp_path / "b.tif", compression="tiff_lzw")
    assert (read_pixels(tmp_path / "b.tif", CARD) == values).all()
    Image.fromarray(values).convert("CMYK").save(tmp_path / "c.tif")
    assert abs(read_pixels(tmp_path / "c.tif", CARD).astype(int) - values).max() <= 2


def test_functions_give_pixels_too():
    assert read_pixels(lambda: np.array([[0, 100]], np.uint16), Card("", range=(0, 100)))[0, :, 1].tolist() == [0, 255]
    with pytest.raises(ValueError, match="page 3: an array of shape"):
        read_pixels(lambda: np.zeros(3), CARD, "page 3")


def test_sizes_from_headers(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 9), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert pixels.sizes(tmp_path / "a.jpg") == ((4, 9), 6)
    assert pixels.turned((4, 9), 6) == (9, 4) and pixels.turned((4, 9), 3) == (4, 9)
    tifffile.imwrite(
        tmp_path / "b.tif", np.zeros((4, 9, 5), np.float32), photometric="minisblack", planarconfig="contig"
    )
    np.save(tmp_path / "c.npy", np.zeros((4, 9)))
    assert pixels.sizes(tmp_path / "b.tif")[0] == pixels.sizes(tmp_path / "c.npy")[0] == (4, 9)
