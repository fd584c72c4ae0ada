"""Label maps of every kind of file, and the one check of labels."""

import re
from collections import Counter
from io import BytesIO

import numpy as np
import pytest
import tifffile
import torch
from helpers.files import grey_png, grey_tiff, saved
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from seglab.data.classes import CLASS_SETS, ClassSet
from seglab.data.labels import check_labels, check_mask, check_pair, mask_from_colors, read_mask, relabel, write_mask

STREET, VOC = CLASS_SETS["street"], CLASS_SETS["voc"]
BINARY = ClassSet("binary", ("ground", "cell"), ((0, 0, 0), (255, 255, 255)))


def labels_of(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def test_a_palette_is_read_as_indices(tmp_path):
    image = Image.fromarray(labels_of([0, 15, 255])).convert("P")
    image.putdata([0, 15, 255])
    image.putpalette(VOC.palette.tobytes())
    mask = read_mask(saved(image, tmp_path / "a.png"))
    assert mask.tolist() == [[0, 15, 255]] and mask.dtype == torch.uint8


def test_grey_and_one_bit_values_are_unchanged(tmp_path):
    assert read_mask(saved(Image.fromarray(labels_of([3, 11, 255])), tmp_path / "a.png")).tolist() == [[3, 11, 255]]
    one_bit = Image.fromarray(labels_of([0, 255, 0])).convert("1")
    assert read_mask(saved(one_bit, tmp_path / "b.png")).tolist() == [[0, 1, 0]]


def test_16_bit_masks_need_labels_up_to_255(tmp_path):
    small, large = np.array([[3, 255]], np.uint16), np.array([[3, 26001]], np.uint16)
    assert read_mask(saved(Image.fromarray(small), tmp_path / "a.png")).tolist() == [[3, 255]]
    with pytest.raises(ValueError, match=r"labels from 3 to 26001.*instance map"):
        read_mask(saved(Image.fromarray(large), tmp_path / "b.png"))


def encoded(values: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("TIFF", {"compression": "jpeg"}), ("AVIF", {}), ("WEBP", {}),
     ("JPEG2000", {"quality_mode": "dB", "quality_layers": [20], "irreversible": True})],
)  # fmt: skip
def test_masks_compressed_with_loss_are_refused(kind, options):
    colors = STREET.palette[np.random.default_rng(0).integers(0, 11, (60, 80))]
    values = np.kron(np.random.default_rng(0).integers(0, 11, (15, 20)), np.ones((4, 4))).astype(np.uint8)
    with pytest.raises(ValueError, match=rf"{kind}.* compression changes values.*save masks as PNG"):
        read_mask(encoded(values, kind, **options))
    with pytest.raises(ValueError, match=rf"{kind}.* compression changes values.*save masks as PNG"):
        mask_from_colors(encoded(colors, kind, **options), STREET)


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate", "zstd", "lzma"]
)
def test_tiff_masks_compressed_without_loss_are_read(compression):
    values = np.random.default_rng(0).integers(0, 11, (15, 20)).astype(np.uint8)
    assert (read_mask(encoded(values, "TIFF", compression=compression)).numpy() == values).all()


@pytest.mark.parametrize("options", [{}, {"exif": b"Exif\0\0"}, {"icc_profile": b"x" * 7}])
def test_lossless_webp_is_exact(options):
    labels = np.random.default_rng(0).integers(0, 11, (60, 80))
    content = encoded(STREET.palette[labels], "WEBP", lossless=True, **options)
    assert (mask_from_colors(content, STREET).numpy() == labels).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_stored_values_of_grey_with_fewer_bits_count(bits):
    values = np.arange(39).reshape(3, 13) % min(2**bits, 11)
    for content in (grey_png(values, bits), grey_tiff(values, bits), grey_tiff(values, bits, zero_is_white=True)):
        assert read_mask(content).tolist() == values.tolist()
    for text in (f"P2\n13 3\n{2**bits - 1}\n" + " ".join(map(str, values.flat)), f"P2\n13 3\n{values.max()}\n" +
                 " ".join(map(str, values.flat))):  # fmt: skip
        assert read_mask(text.encode()).tolist() == values.tolist()
    binary = f"P5\n13 3\n{values.max()}\n".encode() + values.astype(np.uint8).tobytes()
    assert read_mask(binary).tolist() == values.tolist()


@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16])
def test_masks_in_tiff_agree_with_tifffile(tmp_path, photometric, dtype):
    values = (np.arange(60).reshape(6, 10) % (2 if dtype == np.bool_ else 11)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric)
    assert (read_mask(tmp_path / "a.tif").numpy() == tifffile.imread(tmp_path / "a.tif")).all()


def test_a_mask_in_the_colours_of_the_class_set_is_translated(tmp_path):
    labels = labels_of([0, 10, 255], [3, 3, 8])
    path = saved(Image.fromarray(STREET.palette[labels]), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"All of its 5 colours belong to class set 'street'.*mask_from_colors"):
        read_mask(path, STREET)
    assert mask_from_colors(path, STREET).tolist() == labels.tolist()


def test_other_colours_of_a_mask_are_counted(tmp_path, picture):
    path = saved(picture, tmp_path / "a.png")
    with pytest.raises(ValueError, match="6 distinct colours"):
        read_mask(path, STREET)
    with pytest.raises(ValueError, match=r"6 pixels have a colour.*such as #"):
        mask_from_colors(Image.new("RGB", (3, 2), (1, 2, 3)), STREET)


def test_grey_saved_as_rgb_is_recognised(tmp_path):
    with pytest.raises(ValueError, match="All channels are equal"):
        read_mask(saved(Image.fromarray(labels_of([0, 1])).convert("RGB"), tmp_path / "a.png"))


def test_a_written_mask_is_read_back(tmp_path):
    mask = torch.randint(0, 11, (20, 30), dtype=torch.uint8)
    mask[3, 4] = 255
    write_mask(tmp_path / "m.png", mask, STREET)
    assert torch.equal(read_mask(tmp_path / "m.png", STREET), mask)
    colors = np.asarray(Image.open(tmp_path / "m.png").convert("RGB"))
    assert (colors == STREET.palette[mask.numpy()]).all()


def mask_of(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.uint8)


def test_labels_of_the_class_set_and_void_pass():
    check_mask(mask_of(*range(11), 255), STREET, "a.png")
    check_mask(mask_of(0, 255), VOC, "a.png")  # background and an outline: nothing wrong with that
    check_mask(mask_of(0, 1, 255), BINARY, "a.png")


def test_labels_outside_the_class_set_are_listed_with_their_pixels():
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


def test_the_hint_about_labels_from_one_does_not_make_background_void():
    with pytest.raises(ValueError, match=r"0 occurs too, so are there 12 classes\? Then add the missing"):
        check_mask(mask_of(0, 5, 11), STREET, "a.png")


def test_relabel_translates_and_refuses_unlisted_labels():
    assert relabel(mask_of(0, 255, 0), {0: 0, 255: 1}, "a.png", BINARY).tolist() == [[0, 1, 0]]
    with pytest.raises(ValueError, match=r"label 7 \(2 pixels\), but labels=\{raw: index, …\} lists only 0, 255; add"):
        relabel(mask_of(0, 7, 7), {0: 0, 255: 1}, "a.png", BINARY)


@pytest.mark.parametrize(
    ("labels", "said"),
    [({0: 0, 1: 2}, "translates 1 to 2, which is no class of 'binary'; expected an index from 0 to 1, or 255"),
     ({0: -1}, "translates 0 to -1"), ({0: 254}, "to 254"), ({0: 0.0}, "to 0.0"), ({0: "cell"}, "to 'cell'"),
     ({256: 0}, "raw label 256"), ({-1: 0}, "raw label -1"), ({"0": 0}, "raw label '0'")],
)  # fmt: skip
def test_labels_that_lead_to_no_class_are_refused(labels, said):
    """Such pixels would be counted nowhere."""
    with pytest.raises(ValueError, match=said):
        relabel(mask_of(0, 1), labels, "a.png", BINARY)


def test_image_and_mask_must_have_one_size():
    check_pair(torch.zeros(3, 4, 6), torch.zeros(4, 6), "a")
    with pytest.raises(ValueError, match=r"a: the image is 4 × 6 pixels.*its mask 6 × 4; .*EXIF"):
        check_pair(torch.zeros(3, 4, 6), torch.zeros(6, 4), "a")
    with pytest.raises(ValueError, match=r"its mask 4 × 5; pair them"):
        check_pair(torch.zeros(3, 4, 6), torch.zeros(4, 5), "a")


@given(
    labels=st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4, 254, 255, 300]), max_size=20),
    count=st.integers(1, 5),
    ignore_index=st.sampled_from([None, 255, 0, -1]),
)
def test_exactly_the_labels_outside_are_listed_with_their_pixels(labels, count, ignore_index):
    pixels = Counter(labels)
    outside = {label: n for label, n in pixels.items() if label != ignore_index and not 0 <= label < count}
    counted = torch.tensor(list(pixels), dtype=torch.int64), torch.tensor(list(pixels.values()), dtype=torch.int64)
    for tensor, n in ((torch.tensor(labels, dtype=torch.int64), None), counted):
        try:
            check_labels(tensor, count, "the target", ignore_index, pixels=n)
            listed = {}
        except ValueError as error:
            found = re.findall(r"(-?\d+) \((\d+) pixels?\)", str(error))
            listed = {int(label): int(n) for label, n in found}
            assert str(error).startswith("the target has label") and f"(0…{count - 1}" in str(error)
        assert listed == outside


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.uint32, torch.int64])
def test_labels_of_every_integer_type_are_checked(dtype):
    check_labels(torch.tensor([[0, 1], [1, 0]], dtype=dtype), BINARY, "the mask")
    check_labels(torch.zeros(0, dtype=dtype), BINARY, "the mask")
    check_labels(torch.tensor([True, False]), BINARY, "the mask")
    with pytest.raises(
        ValueError, match=r"^the mask has label 1 \(2 pixels\) outside the 1 class \(0…0; void is 255\)"
    ):
        check_labels(torch.tensor([[0, 1], [1, 0]], dtype=dtype), 1, "the mask")


def test_void_is_not_allowed_without_an_ignore_index():
    with pytest.raises(ValueError, match=r"label 255 \(1 pixel\) outside the 2 classes of 'binary' \(0…1\)\. .*0/255"):
        check_labels(torch.tensor([0, 255]), BINARY, "the prediction", None)
