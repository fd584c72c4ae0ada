"""Images of every kind of file and array, and the sentence about each bad one."""

import os
import subprocess
import sys
import time
from io import BytesIO

import numpy as np
import pytest
import tifffile
import torch
from helpers.files import noise, saved
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile
from skimage.color import rgb2lab
from skimage.data import astronaut

from seglab.data import images
from seglab.data.images import image_paths, open_image, orientation, read_image, to_image, turned_upright


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


@pytest.mark.parametrize("value", [*range(1, 9), 0, 9, 77])
def test_all_orientations_agree_with_pillow(value):
    exif = Image.Exif()
    exif[0x0112] = value
    buffer = BytesIO()
    noise().save(buffer, "PNG", exif=exif)
    image = Image.open(buffer)
    assert orientation(image) == (value if value in range(1, 9) else 1)
    assert np.array_equal(np.asarray(turned_upright(image)), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("suffix", ["webp", "png", "jpg", "tif"])
def test_exif_that_cannot_be_read_does_not_turn_the_image(tmp_path, suffix):
    path = saved(noise(), tmp_path / f"a.{suffix}", exif=b"zzzz") if suffix != "tif" else tmp_path / "a.tif"
    if suffix == "tif":
        saved(noise(), path, tiffinfo={0x0112: 77})
    assert read_image(path).shape == (3, 48, 64)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "YCbCr", "LAB", "I;16"])
def test_an_image_converted_in_strips_equals_one_converted_whole(mode, monkeypatch):
    image = noise().convert("L").convert(mode) if mode.startswith("I") else noise(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(noise("L"))
    whole = read_image(image)
    monkeypatch.setattr(images, "_STRIP", 64 * 7)  # seven rows; 48 is not a multiple
    assert torch.equal(read_image(image), whole)


def test_lab_colours_of_a_tiff(tmp_path):
    """The oracle is scikit-image; eight bits for a* and b* change a colour by at most 12."""
    rgb = astronaut()[::8, ::8]
    lab = rgb2lab(rgb)
    stored = np.concatenate([np.rint(lab[..., :1] * 2.55).astype(np.uint8),
                             np.rint(lab[..., 1:]).astype(np.int8).view(np.uint8)], axis=-1)  # fmt: skip
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="cielab")
    assert np.abs(read_image(tmp_path / "a.tif").numpy().transpose(1, 2, 0).astype(int) - rgb).max() <= 12
    tifffile.imwrite(
        tmp_path / "b.tif", np.moveaxis(stored, -1, 0).copy(), photometric="cielab", planarconfig="separate"
    )
    with pytest.raises(ValueError, match=r"b\.tif: L\*a\*b\* colours in separate planes; save it as RGB"):
        read_image(tmp_path / "b.tif")


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


def test_a_flipped_bit_in_a_png_is_never_silent():
    """Decoding alone ignores wrong checksums: of these 400 bits, 109 would give another image."""
    pixels = np.kron(np.arange(4800).reshape(60, 80) % 11, np.ones((4, 4))).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    content, expected = buffer.getvalue(), read_image(buffer.getvalue())
    for place in np.random.default_rng(1).integers(0, 8 * len(content), 400).tolist():
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        try:
            image = read_image(bytes(damaged))
        except ValueError:
            continue
        assert torch.equal(image, expected), place


def test_a_postscript_file_starts_no_program(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "gs"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    noise().save(tmp_path / "photo.png", "EPS")
    for read in (read_image, open_image):
        with pytest.raises(ValueError, match=r"photo\.png: not an image that Pillow reads"):
            read(tmp_path / "photo.png")
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_an_image_larger_than_the_memory_is_not_called_damaged(tmp_path):
    Image.new("1", (13_000, 13_000)).save(tmp_path / "scan.png")
    code = """if True:
        import resource, sys
        from seglab.data.images import read_image
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + 100 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        try:
            read_image(sys.argv[1])
        except ValueError as error:
            print(error)
        """
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "scan.png")], text=True,
                          capture_output=True, check=False)  # fmt: skip
    assert "scan.png: larger than the free memory; make the image smaller" in done.stdout, done.stderr


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


def test_pipes_and_devices_are_never_opened(tmp_path, picture):
    saved(picture, tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")  # opening it would wait for a writer, without end
    (tmp_path / "c.png").symlink_to("/dev/zero")
    (tmp_path / "d.png").mkdir()
    assert image_paths([tmp_path]) == [tmp_path / "a.png"]
    for name, kind in (("b.png", "a pipe or a device"), ("c.png", "a pipe or a device"), ("d.png", "a folder")):
        for read in (read_image, open_image):
            with pytest.raises(ValueError, match=rf"{name}: cannot be read, it is {kind}"):
                read(tmp_path / name)
    with pytest.raises(ValueError, match="it is a pipe"):
        image_paths([tmp_path / "b.png"])


@pytest.mark.slow
def test_fifty_thousand_images_are_listed_at_once(tmp_path):
    for i in range(50_000):
        (tmp_path / f"{i:06d}.png").touch()
    start = time.process_time()  # other programs do not count
    assert len(image_paths([tmp_path])) == 50_000
    assert time.process_time() - start < 2
