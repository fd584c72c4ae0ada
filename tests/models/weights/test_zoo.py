"""The bundled weights are those of their cards."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from seglab import load_model
from seglab._utils import hashing
from seglab.models.weights import cards, zoo

NAME = "unet_mini-toytown"


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A copy of the weights and of their card, in the place of the zoo."""
    folder = tmp_path / "data" / "zoo"
    folder.mkdir(parents=True)
    for suffix in (".safetensors", ".json"):
        shutil.copy(zoo.zoo_dir() / f"{NAME}{suffix}", folder)
    monkeypatch.setattr(zoo, "share_dir", lambda: tmp_path)
    return folder / f"{NAME}.safetensors"


def test_a_flipped_bit_in_bundled_weights_is_never_silent(copy):
    content = copy.read_bytes()
    load_model("unet_mini:toytown", device="cpu")
    for second, place in enumerate(np.random.default_rng(0).integers(0, 8 * len(content), 60).tolist()):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        copy.write_bytes(damaged)
        os.utime(copy, (second, second))  # clocks of file systems may be coarser than this loop is fast
        with pytest.raises(ValueError, match=r"is damaged: its SHA-256 is not the one in unet_mini-toytown\.json"):
            zoo.verify(copy)
    for name in ("unet_mini:toytown", copy):
        with pytest.raises(ValueError, match="is damaged"):
            load_model(name, device="cpu")
    copy.write_bytes(content)
    load_model("unet_mini:toytown", device="cpu")


def test_weights_are_hashed_once_for_each_state_of_the_file(copy):
    zoo.verify(copy)
    before = hashing._sha256_of_state.cache_info().misses
    zoo.verify(copy)
    assert hashing._sha256_of_state.cache_info().misses == before


@pytest.mark.parametrize("change", [
    "", "[]", "{", "[" * 100_000, {"sha256": 5}, {"measured": []}, {"measured": {}}, {"minutes": "5"},
    {"command": None}, {"measured": {"miou": "a", "data": "b", "iou": {}, "convention": "c"}},
], ids=lambda change: str(change)[:40])  # fmt: skip
def test_damaged_cards_are_named(copy, change):
    path = copy.with_suffix(".json")
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | change) if isinstance(change, dict) else change)
    for use in (lambda: load_model("unet_mini:toytown", device="cpu"), lambda: cards.page("unet_mini")):
        with pytest.raises(ValueError, match=r"unet_mini-toytown\.json is damaged \(.*\); restore the file"):
            use()
