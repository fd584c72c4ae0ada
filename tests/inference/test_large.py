"""Photographs of any size: the results of `Prediction`, with a part of the scores in memory."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from seglab import overlay, predict
from seglab.data.images import to_image
from seglab.inference import tiles
from seglab.inference.large import mask_and_table, painted

PHOTOGRAPH = to_image(astronaut())[:, :390, :501].contiguous()


@pytest.mark.slow
@pytest.mark.parametrize("tile", [None, (128, 128), (200, 501), (390, 97), (64, 300), (1000, 1000)])
def test_mask_and_table_equal_those_of_a_prediction(model, monkeypatch, tile):
    """The strips have other rows than the tiles."""
    monkeypatch.setattr(tiles, "STRIP", 11 * 501 * 37)
    expected = predict(model, PHOTOGRAPH, tile=tile)
    parts = []
    mask, table = mask_and_table(model, PHOTOGRAPH, tile=tile, advance=parts.append)
    assert torch.equal(mask, expected.mask)
    pd.testing.assert_frame_equal(table, expected.table(), check_exact=False, rtol=1e-6)
    assert sum(parts) == pytest.approx(1)
    assert len(parts) > 5


def test_the_overlay_is_painted_in_strips(model):
    mask = predict(model, PHOTOGRAPH).mask
    stripes = model.classes.safe()
    stripes = type(stripes)(stripes.name, stripes.names, stripes.colors, hatches=tuple(range(len(stripes))))
    for classes in (model.classes, stripes):
        view = type("Model", (), {"classes": classes})
        image = painted(PHOTOGRAPH, mask, view, 0.5, lambda part: None)
        assert torch.equal(to_image(image), overlay(PHOTOGRAPH, mask, classes, 0.5))


def test_scores_that_are_not_finite_are_refused(model, monkeypatch):
    monkeypatch.setattr(type(model), "forward", lambda self, images: torch.full((len(images), 11, 4, 4), float("nan")))
    for tile in (None, (200, 200)):
        with pytest.raises(ValueError, match="NaN or infinite"):
            mask_and_table(model, PHOTOGRAPH, tile=tile, advance=lambda part: None)


MEMORY = """if True:
    import sys
    from pathlib import Path
    from seglab import load_model
    from seglab.inference.folder import segment
    model = load_model("unet_mini:toytown", device="cpu")
    def peak():
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    segment(model, [Path("small.png")], Path("out"), tile=(256, 256))
    before = peak()
    segment(model, [Path("large.jpg")], Path("out"), tile=eval(sys.argv[1]))
    print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("tile", [None, (256, 256)])
def test_a_large_photograph_takes_four_times_its_memory_and_a_bar_is_shown(tmp_path, tile):
    if not Path("/proc/self/status").is_file():
        pytest.skip("the peak of memory is read from /proc, which Linux has")
    Image.new("RGB", (64, 48)).save(tmp_path / "small.png")
    Image.effect_noise((4500, 3000), 64).convert("RGB").save(tmp_path / "large.jpg")
    done = subprocess.run([sys.executable, "-c", MEMORY, repr(tile)], cwd=tmp_path, capture_output=True, text=True,
                          check=True)  # fmt: skip
    scores = 0 if tile is None else 3 * 25 * 4 * 11 * 192 * 192  # of the model, for three rows of 25 tiles
    assert int(done.stdout.split()[-1]) - scores < 4 * 3 * 4500 * 3000
    assert "%|" in done.stderr
