"""Thousands of damaged images, masks and checkpoints: each is read, or refused in a sentence, and none takes long.

`SEGLAB_FUZZ=10000` sets how many; by default 300.
"""

import json
import os
import random
import struct
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.files import grey_png, grey_tiff, noise
from PIL import Image
from safetensors.torch import save

from seglab import predict
from seglab.data.classes import CLASS_SETS
from seglab.data.images import image_paths, open_image, orientation, read_image
from seglab.data.labels import mask_from_colors, read_mask
from seglab.models.checkpoints import read_checkpoint, save_model
from seglab.models.loading import load_model

COUNT = int(os.environ.get("SEGLAB_FUZZ", 300))
STREET = CLASS_SETS["street"]
SECONDS = 20  # of processor time for one small file: far more than any takes, far less than a hang


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


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Flipped bits, other bytes, extreme lengths, pieces left out, repeated or of other files, and an early end."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) or 1) if rng.random() < 0.5 else rng.randrange(min(len(data), 80) or 1)
        match rng.randrange(7):
            case 0 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                data[place : place + 1] = rng.randbytes(1)
            case 2:
                extreme = rng.choice((0, 1, 0x7F, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.getrandbits(32)))
                data[place : place + 4] = struct.pack(rng.choice("<>") + "I", extreme)
            case 3:
                del data[place : place + rng.randrange(1, 40)]
            case 4:
                data[place:place] = data[rng.randrange(len(data) or 1) :][: rng.randrange(1, 200)]
            case 5:
                data[place : place + 8] = rng.choice(
                    (b"\0" * 8, b"\xff" * 8, b"%!PS-Ado", b"<script>", b"II*\0\x08\0\0\0")
                )
            case 6 if rng.random() < 0.3:
                del data[place:]
    return bytes(data)


def read_all(path: Path) -> None:
    content = path.read_bytes()
    orientation(open_image(path))
    for read in (read_image, read_mask, lambda source: mask_from_colors(source, STREET)):
        tensor = read(content)
        assert tensor.dtype == torch.uint8
        assert 0 not in tensor.shape


def checkpoint(card: object, tensors: dict[str, torch.Tensor]) -> bytes:
    return save(tensors, {"seglab": json.dumps(card)})


def changed(value: object, rng: random.Random) -> object:
    """A value of JSON with one part of it replaced, removed or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        rest = {k: v for k, v in value.items() if k != key}
        return rest if rng.random() < 0.15 else value | {key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.6:
        place = rng.randrange(len(value))
        return [*value[:place], changed(value[place], rng), *value[place + 1 :]]
    strange = (None, True, -1, 0, 10**30, 1e308, float("nan"), "", "a", "\x1b[2J", "</style><script>", "x" * 10_000,
               "\ud800", [], [[]], {}, {"a": 1}, [value], {"x": value}, str(value))  # fmt: skip
    return rng.choice(strange)


def hold(content: bytes, path: Path, read: Callable[[Path], object]) -> str:
    """How a file ended: "read" or "refused"; anything else than a sentence fails the test."""
    path.write_bytes(content)
    start = time.process_time()
    try:
        read(path)
        outcome = "read"
    except (ValueError, OSError) as error:
        assert len(str(error)) > 15, repr(error)
        assert type(error) is ValueError or isinstance(error, OSError), repr(error)  # no UnicodeError, for example
        outcome = "refused"
    assert time.process_time() - start < SECONDS
    return outcome


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
