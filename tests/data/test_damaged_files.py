"""Thousands of damaged images, masks and checkpoints: each is read, or refused in a sentence, and none takes long."""

import json
import random
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.files import grey_png, grey_tiff, noise
from helpers.fuzz import COUNT, changed, hold, mutated
from PIL import Image
from safetensors.torch import save

from seglab import predict
from seglab.data.classes import CLASS_SETS
from seglab.data.images import image_paths, open_image, orientation, read_image
from seglab.data.labels import mask_from_colors, read_mask
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.models.loading import load_model

STREET = CLASS_SETS["street"]


def pictures() -> list[bytes]:
    """Small images of every format, mode and compression."""
    labels = np.arange(600).reshape(20, 30) % 11
    palette = Image.fromarray(labels.astype(np.uint8))
    palette.putpalette(STREET.palette.tobytes())
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "text"
    made: list[tuple[Image.Image, str, dict[str, object]]] = [
        *((noise(mode, (30, 20)), "PNG", {}) for mode in ("RGB", "RGBA", "LA", "L", "1")),
        *((noise("RGB", (30, 20)), kind, {})
          for kind in ("JPEG", "BMP", "TIFF", "WEBP", "GIF", "AVIF", "JPEG2000", "PPM")),
        *((noise("RGB", (30, 20)), kind, {"exif": exif}) for kind in ("JPEG", "PNG", "WEBP", "TIFF")),
        *((noise("L", (30, 20)), "TIFF", {"compression": c}) for c in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")),
        (palette, "PNG", {}), (palette, "PNG", {"transparency": 3}), (palette, "TIFF", {}), (palette, "GIF", {}),
        (palette, "PNG", {"save_all": True, "append_images": [palette.transpose(0)]}),
        (noise("CMYK", (30, 20)), "JPEG", {}), (noise("LAB", (30, 20)), "TIFF", {}),
        (noise("YCbCr", (30, 20)), "TIFF", {}),
        (noise("RGB", (30, 20)), "JPEG", {"progressive": True}), (noise("RGB", (30, 20)), "WEBP", {"lossless": True}),
        (Image.fromarray((labels * 5000).astype(np.uint16)), "PNG", {}),
        (Image.fromarray((labels * 5000).astype(np.uint16)), "TIFF", {}),
        (Image.fromarray(labels.astype(np.float32)), "TIFF", {}),
        (Image.fromarray(labels.astype(np.int32)), "TIFF", {}),
    ]  # fmt: skip
    files = [grey_png(labels % 4, 2), grey_tiff(labels, 4), b"P2 3 2 7 " + b"1 2 3 4 5 6 " * 2]
    for image, kind, options in made:
        buffer = BytesIO()
        image.save(buffer, kind, **options)
        files.append(buffer.getvalue())
    return files


def read_all(path: Path) -> None:
    content = path.read_bytes()
    orientation(open_image(path))
    for read in (read_image, read_mask, lambda source: mask_from_colors(source, STREET)):
        tensor = read(content)
        assert tensor.dtype == torch.uint8
        assert 0 not in tensor.shape


def checkpoint(card: object, tensors: dict[str, torch.Tensor]) -> bytes:
    return save(tensors, {"seglab": json.dumps(card)})


@pytest.mark.filterwarnings("ignore")
def test_damaged_images_and_masks(tmp_path):
    files, rng, outcomes = pictures(), random.Random(0), []
    undamaged = [hold(content, tmp_path / "a.png", read_image) for content in files]
    assert undamaged.count("refused") == 2  # floats, and small numbers with 32 bits
    for i in range(COUNT):
        content = mutated(rng.choice(files), rng)
        with warnings.catch_warnings(action="ignore"):
            outcomes += [hold(content, tmp_path / f"{i % 7}.png", read) for read in (read_image, read_mask, read_all)]
    assert {"read", "refused"} == set(outcomes)
    assert image_paths([tmp_path])


def test_damaged_cards_of_checkpoints(tmp_path):
    model = load_model("unet_mini", weights=None, device="cpu")
    save_model(model, tmp_path / "c.safetensors", run={"size": [192, 256], "train": "toytown train 9 a", "seed": 0})
    card, state = read_checkpoint(tmp_path / "c.safetensors")
    del card["sha256"]  # it would find every change
    image = torch.zeros(3, 40, 50, dtype=torch.uint8)
    rng, outcomes = random.Random(1), []
    for i in range(COUNT):
        whole = i % 20 == 0  # large files take longer
        content = checkpoint(changed(card, rng), state if whole else {"a": torch.zeros(3)})
        content = mutated(content, rng) if not whole and rng.random() < 0.3 else content
        outcomes.append(hold(content, tmp_path / "c.safetensors", lambda path: predict(str(path), image)))
    assert set(outcomes) == {"read", "refused"}
