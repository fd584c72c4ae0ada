"""Images of every kind of file and array, and the sentence about each bad one."""

from io import BytesIO

import numpy as np
import pytest
import torch
from helpers.files import noise, saved
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from seglab.data.images import image_paths, read_image, to_image


def test_an_image_becomes_channels_first(tmp_path, picture):
    image = read_image(saved(picture, tmp_path / "a.png"))
    assert image.dtype == torch.uint8 and image.shape == (3, 2, 3) and image.is_contiguous()
    assert image[:, 0, 0].tolist() == [255, 0, 0] and image[:, 1, 1].tolist() == [128, 128, 128]


def test_the_smallest_image_is_writable(recwarn):
    read_image(Image.new("RGB", (1, 1)))[:] = 7
    assert not recwarn.list  # torch warns about arrays that it may not write to


def test_pil_images_and_paths_as_text_are_read_too(tmp_path, picture):
    path = saved(picture, tmp_path / "a.png")
    assert torch.equal(read_image(picture), read_image(path)) and torch.equal(read_image(str(path)), read_image(path))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    upright = np.zeros((40, 20, 3), np.uint8)
    upright[:20, :, 0] = 255  # the upper half is red
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: turn it by 270° to see it
    path = saved(Image.fromarray(np.rot90(upright).copy()), tmp_path / f"a.{suffix}", exif=exif, quality=95)
    image = read_image(path)
    assert image.shape == (3, 40, 20)
    assert image[0, 5].float().mean() > 240 and image[0, 35].float().mean() < 15
    if suffix != "tif":  # Pillow itself turns those while it decodes them
        assert read_image(path, upright=False).shape == (3, 20, 40)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "YCbCr", "HSV", "I;16"])
def test_every_mode_becomes_rgb(mode):
    image = read_image(noise().convert("L").convert(mode) if mode.startswith("I") else noise(mode))
    assert image.shape == (3, 48, 64) and image.dtype == torch.uint8


def test_transparent_pixels_are_blended_with_white(tmp_path):
    rgba = Image.fromarray(np.array([[(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 128)]], np.uint8))
    image = read_image(saved(rgba, tmp_path / "a.png"))
    assert image[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255], [127, 127, 127]]


def test_a_transparent_palette_colour_is_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    path = saved(image, tmp_path / "a.png", transparency=1)
    assert read_image(path)[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_16_bits_are_scaled(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    image = read_image(saved(Image.fromarray(values), tmp_path / "a.png"))
    assert image[0, 0].tolist() == [0, 0, 1, 1, 128, 255]  # by hand: round(v · 255 / 65535)
    assert torch.equal(read_image(Image.fromarray(values.astype(np.int32))), image)


def test_floats_are_refused():
    with pytest.raises(ValueError, match=r"float32.*8 or 16 bits"):
        read_image(Image.fromarray(np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)))


def test_the_error_about_a_missing_file_suggests_a_similar_name(tmp_path, picture):
    saved(picture, tmp_path / "street_01.png")
    with pytest.raises(ValueError, match=r"street_1\.png: no such file; did you mean 'street_01\.png'"):
        read_image(tmp_path / "street_1.png")
    with pytest.raises(ValueError, match="no such file"):
        read_image(tmp_path / "nowhere" / "a.png")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com"])
def test_the_error_about_another_file_shows_its_first_bytes(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not an image.*begins with") as caught:
        read_image(path)
    assert repr(content[:16]) in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_truncated_files_are_refused(tmp_path, suffix):
    path = saved(noise(), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=rf"a\.{suffix}: .*(damaged or cut off|not an image)"):
        read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.integers(0, 6000), st.binary(min_size=1, max_size=8), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP"]))
def test_damaged_bytes_raise_only_value_errors(tmp_path_factory, place, damage, kind):
    buffer = BytesIO()
    noise("RGB").save(buffer, kind)
    content = bytearray(buffer.getvalue())
    place %= len(content)
    content[place : place + len(damage)] = damage
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        image = read_image(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:  # the damage hit a pixel, or changed nothing
        assert image.shape[0] == 3 and image.dtype == torch.uint8


def test_every_error_of_a_decoder_becomes_a_value_error(tmp_path, picture, monkeypatch):
    path = saved(picture, tmp_path / "a.png")

    def load(_: object) -> None:
        raise SyntaxError("broken PNG file (chunk b'abcd')")

    monkeypatch.setattr(PngImageFile, "load", load)
    with pytest.raises(ValueError, match=r"a\.png: damaged or cut off \(broken PNG file"):
        read_image(path)


def test_a_decompression_bomb_is_refused(tmp_path, picture, monkeypatch):
    path = saved(noise(), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 // 2 - 1)
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS"):
        read_image(path)


def test_all_forms_of_an_image_give_equal_tensors(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    expected = torch.from_numpy(rgb).permute(2, 0, 1)
    tensor = torch.from_numpy(rgb.copy())
    for picture in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(rgb), rgb, tensor,
                    expected, np.moveaxis(rgb, -1, 0), rgb.astype(np.uint16) * 257,
                    rgb.astype(">u2") * 257):  # fmt: skip
        assert torch.equal(to_image(picture), expected)


def test_grey_and_alpha():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for picture in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None]):
        assert torch.equal(to_image(picture), torch.from_numpy(grey).expand(3, 3, 4))
    clear = np.zeros((5, 6, 4), np.uint8)
    assert (to_image(clear) == 255).all()  # what is transparent lies on white


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((4, 5, 3)), "float64; expected uint8"),
        (torch.zeros(3, 4, 5), "float32; expected uint8"),
        (np.zeros((6, 5, 2), np.uint8), r"shape \(6, 5, 2\)"),
        (np.zeros((2, 4, 5, 3), np.uint8), r"shape \(2, 4, 5, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        (torch.zeros(3, 4, 5, dtype=torch.bfloat16), r"bfloat16; expected uint8.*\.byte\(\)"),
        (np.zeros((4, 5, 3), bool), r"bool; expected uint8.*astype"),
        (Image.fromarray(np.full((4, 5), 200, np.int32)), "values from 200 to 200 in 32 bits"),
        ("nowhere.jpg", "no such file"),
    ],
)
def test_other_arrays_are_refused(picture, words):
    with pytest.raises(ValueError, match=words):
        to_image(picture)


def test_images_of_a_folder(tmp_path):
    for name in ("b.png", "a.JPG", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in image_paths([tmp_path])] == ["a.JPG", "b.png"]
    with pytest.raises(ValueError, match=r"several images are named 'b' \(.*b.png, .*b.png\)"):
        image_paths([tmp_path, tmp_path / "b.png"])
    with pytest.raises(ValueError, match=r"no such file; did you mean 'b.png'"):
        image_paths([tmp_path / "b.pgn"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        image_paths([tmp_path / "empty"])
