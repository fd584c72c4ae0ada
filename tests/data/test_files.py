"""Every kind of image and mask file that people have, and the sentence that each bad one gets."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from torch import Tensor

from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.images import image_paths, read_image, to_image
from seglab.data.labels import check_mask, check_pair, mask_from_colors, read_mask, relabel, write_mask

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]
BINARY = ClassSet("binary", ("ground", "cell"), ((0, 0, 0), (255, 255, 255)))


@pytest.fixture
def picture() -> Image.Image:
    """2 high, 3 wide: red, green, blue; black, grey, white."""
    rows = [[(255, 0, 0), (0, 255, 0), (0, 0, 255)], [(0, 0, 0), (128, 128, 128), (255, 255, 255)]]
    return Image.fromarray(np.array(rows, np.uint8))


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def noise(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


# ---- images ------------------------------------------------------------------------------------------------


def test_an_image_becomes_channels_first(tmp_path, picture):
    image = read_image(saved(picture, tmp_path / "a.png"))
    assert image.dtype == torch.uint8 and image.shape == (3, 2, 3) and image.is_contiguous()
    assert image[:, 0, 0].tolist() == [255, 0, 0] and image[:, 1, 1].tolist() == [128, 128, 128]


def test_the_smallest_image_is_writable(recwarn):
    read_image(Image.new("RGB", (1, 1)))[:] = 7
    assert not recwarn.list  # torch warns about arrays that it may not write to


def test_a_pil_image_and_a_path_as_text_work_too(tmp_path, picture):
    path = saved(picture, tmp_path / "a.png")
    assert torch.equal(read_image(picture), read_image(path)) and torch.equal(read_image(str(path)), read_image(path))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_rotation_is_honoured(tmp_path, suffix):
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


def test_transparent_pixels_lie_on_white(tmp_path):
    rgba = Image.fromarray(np.array([[(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 128)]], np.uint8))
    image = read_image(saved(rgba, tmp_path / "a.png"))
    assert image[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255], [127, 127, 127]]


def test_a_transparent_palette_colour_is_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    path = saved(image, tmp_path / "a.png", transparency=1)
    assert read_image(path)[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]


def test_16_bits_are_scaled_not_cut(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    image = read_image(saved(Image.fromarray(values), tmp_path / "a.png"))
    assert image[0, 0].tolist() == [0, 0, 1, 1, 128, 255]  # by hand: round(v · 255 / 65535)
    assert torch.equal(read_image(Image.fromarray(values.astype(np.int32))), image)


def test_floats_are_refused():
    with pytest.raises(ValueError, match=r"float32.*8 or 16 bits"):
        read_image(Image.fromarray(np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)))


def test_a_missing_file_names_the_nearest(tmp_path, picture):
    saved(picture, tmp_path / "street_01.png")
    with pytest.raises(ValueError, match=r"street_1\.png: no such file; did you mean 'street_01\.png'"):
        read_image(tmp_path / "street_1.png")
    with pytest.raises(ValueError, match="no such file"):
        read_image(tmp_path / "nowhere" / "a.png")


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com"])
def test_what_is_no_image_shows_how_it_begins(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not an image.*begins with") as caught:
        read_image(path)
    assert repr(content[:16]) in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_truncated_file_says_so(tmp_path, suffix):
    path = saved(noise(), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=rf"a\.{suffix}: .*(damaged or cut off|not an image)"):
        read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.integers(0, 6000), st.binary(min_size=1, max_size=8), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP"]))
def test_damaged_bytes_raise_nothing_but_a_value_error(tmp_path_factory, place, damage, kind):
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


def test_whatever_a_decoder_raises_is_explained(tmp_path, picture, monkeypatch):
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


# ---- masks -------------------------------------------------------------------------------------------------


def labels_of(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def test_a_palette_is_read_as_indices(tmp_path):
    image = Image.fromarray(labels_of([0, 15, 255])).convert("P")
    image.putdata([0, 15, 255])
    image.putpalette(VOC.palette.tobytes())
    mask = read_mask(saved(image, tmp_path / "a.png"))
    assert mask.tolist() == [[0, 15, 255]] and mask.dtype == torch.uint8


def test_grey_and_one_bit_are_read_as_they_are(tmp_path):
    assert read_mask(saved(Image.fromarray(labels_of([3, 11, 255])), tmp_path / "a.png")).tolist() == [[3, 11, 255]]
    one_bit = Image.fromarray(labels_of([0, 255, 0])).convert("1")
    assert read_mask(saved(one_bit, tmp_path / "b.png")).tolist() == [[0, 1, 0]]


def test_16_bit_masks_only_with_labels_that_fit(tmp_path):
    small, large = np.array([[3, 255]], np.uint16), np.array([[3, 26001]], np.uint16)
    assert read_mask(saved(Image.fromarray(small), tmp_path / "a.png")).tolist() == [[3, 255]]
    with pytest.raises(ValueError, match=r"labels from 3 to 26001.*instance map"):
        read_mask(saved(Image.fromarray(large), tmp_path / "b.png"))


def test_a_jpeg_mask_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"JPEG.*save masks as PNG"):
        read_mask(saved(Image.fromarray(labels_of([0, 1])), tmp_path / "a.jpg"))


def test_a_mask_of_our_colours_can_be_translated(tmp_path):
    labels = labels_of([0, 10, 255], [3, 3, 8])
    path = saved(Image.fromarray(STREET.palette[labels]), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"All of its 5 colours belong to class set 'street'.*mask_from_colors"):
        read_mask(path, STREET)
    assert mask_from_colors(path, STREET).tolist() == labels.tolist()


def test_a_mask_of_other_colours_counts_them(tmp_path, picture):
    path = saved(picture, tmp_path / "a.png")
    with pytest.raises(ValueError, match="6 distinct colours"):
        read_mask(path, STREET)
    with pytest.raises(ValueError, match=r"6 pixels have a colour.*such as #"):
        mask_from_colors(Image.new("RGB", (3, 2), (1, 2, 3)), STREET)


def test_grey_saved_as_rgb_is_recognised(tmp_path):
    with pytest.raises(ValueError, match="All channels are equal"):
        read_mask(saved(Image.fromarray(labels_of([0, 1])).convert("RGB"), tmp_path / "a.png"))


def mask_of(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.uint8)


def test_labels_of_the_class_set_and_void_pass():
    check_mask(mask_of(*range(11), 255), STREET, "a.png")
    check_mask(mask_of(0, 255), VOC, "a.png")  # background and an outline: nothing wrong with that
    check_mask(mask_of(0, 1, 255), BINARY, "a.png")


def test_foreign_labels_are_listed_with_their_pixels():
    with pytest.raises(
        ValueError, match=r"a\.png has labels 12 \(2 pixels\), 40 \(1 pixel\) outside the 11 classes of 'street'"
    ):
        check_mask(mask_of(0, 12, 40, 12), STREET, "a.png")
    with pytest.raises(ValueError, match="and 10 more"):
        check_mask(mask_of(*range(100, 120)), STREET, "a.png")


def test_a_binary_mask_saved_as_0_255_is_recognised():
    with pytest.raises(ValueError, match=r"0/255.*labels=\{0: 0, 255: 1\} if 255 is 'cell'"):
        check_mask(mask_of(0, 255), BINARY, "a.png")


def test_labels_that_count_from_one_are_recognised():
    with pytest.raises(
        ValueError, match=r"count from 1\? Then translate the mask with labels=\{1: 0, …, 11: 10, 0: 255\}"
    ):
        check_mask(mask_of(1, 5, 11), STREET, "a.png")


def test_relabel_translates_and_refuses_what_it_was_not_told():
    assert relabel(mask_of(0, 255, 0), {0: 0, 255: 1}, "a.png").tolist() == [[0, 1, 0]]
    with pytest.raises(ValueError, match=r"label 7 \(2 pixels\) not listed in labels=.*which has 0, 255"):
        relabel(mask_of(0, 7, 7), {0: 0, 255: 1}, "a.png")


def test_image_and_mask_must_have_one_size():
    check_pair(torch.zeros(3, 4, 6), torch.zeros(4, 6), "a")
    with pytest.raises(ValueError, match=r"a: the image is 4 × 6 pixels.*its mask 6 × 4; .*EXIF"):
        check_pair(torch.zeros(3, 4, 6), torch.zeros(6, 4), "a")
    with pytest.raises(ValueError, match=r"its mask 4 × 5; pair them"):
        check_pair(torch.zeros(3, 4, 6), torch.zeros(4, 5), "a")


# ---- images in any form ------------------------------------------------------------------------------------


def test_the_same_picture_however_it_comes(tmp_path):
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
    ("picture", "said"),
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
def test_what_is_no_picture_is_refused(picture, said):
    with pytest.raises(ValueError, match=said):
        to_image(picture)


def test_a_mask_comes_back_from_its_file(tmp_path):
    mask = torch.randint(0, 11, (20, 30), dtype=torch.uint8)
    mask[3, 4] = 255
    write_mask(tmp_path / "m.png", mask, STREET)
    assert torch.equal(read_mask(tmp_path / "m.png", STREET), mask)
    colors = np.asarray(Image.open(tmp_path / "m.png").convert("RGB"))
    assert (colors == STREET.palette[mask.numpy()]).all()


def test_pictures_in_folders(tmp_path):
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
