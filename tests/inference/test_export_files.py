"""Exported files: they agree with their model, run without seglab and torch, and replace nothing."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from PIL import Image
from torchvision.transforms.v2.functional import resize
from typer.testing import CliRunner

from seglab import evaluate, load_dataset, load_model, predict
from seglab.__main__ import app
from seglab.data.formats.tables import find
from seglab.data.photographs import photograph
from seglab.data.toytown import scene
from seglab.inference import export_files
from seglab.inference.export_files import export
from seglab.models.adapters import wrap
from seglab.models.sources.exported import exported_model, open_file
from seglab.models.sources.stated import Stated
from seglab.models.weights.zoo import zoo_dir

# Architecture → the weights of it that come last in the alphabet.
BUNDLED = {label.partition(":")[0]: label for label in sorted(
    path.stem.replace("-", ":") for path in zoo_dir().glob("*.safetensors"))}  # fmt: skip
NO_SEGLAB = "import sys; sys.modules['seglab'] = sys.modules['torch'] = None\n"  # so that importing them fails


@pytest.fixture(scope="module")
def net():
    return load_model("fcn_mini:toytown", device="cpu")


@pytest.fixture(scope="module")
def street(net, tmp_path_factory):
    """The model as an ONNX file, written by the command."""
    path = tmp_path_factory.mktemp("export") / "street.onnx"
    result = CliRunner().invoke(app, ["export", net.label, "--to", str(path)])
    assert result.exit_code == 0, result.output
    different, pixels = map(int, re.search(r"(\d+) of (\d+) pixels", result.output).groups())
    assert pixels == 512 * 512 + 300 * 451 + 600 * 512 + 2 * 192 * 256
    assert different <= pixels / 10_000
    return path


@pytest.mark.slow
def test_the_snippet_of_the_readme_gives_the_same_mask_without_seglab_and_torch(net, street):
    snippet = next(part for part in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"),
                                               re.DOTALL) if "onnxruntime" in part)  # fmt: skip
    turned = Image.Exif()
    turned[0x0112] = 6  # stored on its side, as by a telephone
    photo = Image.fromarray(scene.scene(5, (300, 400)).image.transpose(1, 2, 0))
    photo.transpose(Image.Transpose.ROTATE_90).save(street.parent / "photo.jpg", quality=95, exif=turned)
    code = NO_SEGLAB + snippet + "\nnp.save('mask.npy', mask)"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=street.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mask = np.load(street.parent / "mask.npy")
    expected = predict(net, street.parent / "photo.jpg").mask.numpy()
    assert len(np.unique(expected)) > 3
    assert mask.shape == expected.shape
    assert (mask != expected).sum() <= mask.size / 10_000
    assert net.classes.names[int(np.bincount(mask.ravel()).argmax())] in done.stdout


def test_of_the_snippet_only_the_rounding_of_the_resize_differs(net):
    """With torchvision's resize instead of Pillow's, the other steps of the README give the mask of `predict`."""
    for name in ("chelsea.png", "rocket.jpg"):
        photo = Image.open(photograph(name)).convert("RGB")
        size = [net.short * side // min(photo.size) for side in photo.size]
        resized = resize(torch.from_numpy(np.array(photo)).permute(2, 0, 1), size[::-1], antialias=True)
        difference = np.abs(
            np.asarray(photo.resize(size, Image.Resampling.BILINEAR)) - resized.permute(1, 2, 0).numpy()
        )
        assert set(np.unique(difference)) == {0, 1, 255}
        assert (difference > 0).mean() < 0.002
        with torch.inference_mode():
            scores = net(net.preprocess(resized))[0].numpy()
        mask = np.stack([Image.fromarray(s).resize(photo.size, Image.Resampling.BILINEAR) for s in scores]).argmax(0)
        assert np.array_equal(mask, predict(net, photograph(name)).mask)


@pytest.mark.slow
def test_an_exported_model_has_the_facts_and_the_counts_of_its_model(net, street, tmp_path):
    file = load_model(street)
    assert (file.label, file.classes, file.short, file.mean, file.std) == (
        "street.onnx", net.classes, net.short, net.mean, net.std,
    )  # fmt: skip
    assert file.facts["licence"] == net.spec.weights["toytown"].licence
    assert file.facts["stride"] == 8
    counts = evaluate([net, file], load_dataset("toytown", "test").subset(range(3)), store=tmp_path / "s.sqlite").counts
    own, other = (part[["id", "target", "pred", "pixels"]] for _, part in counts.groupby("model", sort=False))
    both = own.merge(other, on=["id", "target", "pred"], how="outer").fillna({"pixels_x": 0, "pixels_y": 0})
    assert (both["pixels_x"] - both["pixels_y"]).abs().sum() / 2 <= 3 * 192 * 256 / 10_000


@pytest.mark.slow
def test_pt2_takes_any_batch_and_size(net, tmp_path):
    path = tmp_path / "street.pt2"
    agreement = export(net, path)
    assert agreement.different == 0
    file = exported_model(str(path), Stated())
    for shape in ((1, 3, 97, 131), (3, 3, 64, 80)):
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert (file(images) - net(images)).abs().max() < 1e-4
    assert (file.facts["precision"], file.logits, list(tmp_path.iterdir())) == ("float32", True, [path])


@pytest.mark.slow
def test_half_precision_and_argmax(net, tmp_path):
    path = tmp_path / "masks.pt2"
    agreement = export(net, path, precision="float16", argmax=True)
    assert 0 <= agreement.different <= agreement.pixels / 100
    mask = open_file(path)(torch.zeros(2, 3, 50, 70))
    assert (mask.dtype, mask.shape) == (torch.uint8, (2, 50, 70))
    with pytest.raises(ValueError, match=r"masks.pt2: it gives a mask.*without\s--argmax"):
        exported_model(str(path), Stated())


@pytest.mark.parametrize("name", ["classes.csv", "labelmap.txt", "id2label.json"])
def test_files_of_classes_are_read_by_the_readers_of_annotation_formats(net, tmp_path, name):
    assert export(net, tmp_path / name) is None
    table = find(tmp_path)
    assert table.names == net.classes.names
    if name != "id2label.json":
        assert tuple(table.colors.values()) == net.classes.colors


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize("name", BUNDLED.values(), ids=BUNDLED)
def test_every_bundled_model_is_exported_and_loaded_again(name, suffix, tmp_path):
    """A file of each architecture gives the masks of its model on photographs."""
    model, path = load_model(name, device="cpu"), tmp_path / f"x{suffix}"
    if name.startswith(("mask2former", "unet_lite")):
        model.short = (96, 128)  # not every format can have them for all sizes; with one size it takes seconds
    export(model, path)
    file = load_model(path, device="cpu")
    for photo in ("chelsea.png", "rocket.jpg"):
        expected, mask = (predict(each, photograph(photo)).mask for each in (model, file))
        assert (mask != expected).sum() <= expected.numel() / 10_000
        assert len(expected.unique()) > 1


class Rounded(torch.nn.Module):
    """Pads the height to an even number in a way that torch.export cannot store for all heights."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 1)

    def forward(self, images):
        more = math.ceil(images.shape[-2] / 2) * 2 - images.shape[-2]
        return torch.nn.functional.pad(self.layer(images), (0, 0, 0, more))


def test_a_remedy_where_torch_export_needs_one_size(tmp_path):
    model = wrap(Rounded(), "membrane")
    with pytest.raises(ValueError, match=r"cannot be exported by torch.export: .*; choose one size .* --size"):
        export(model, tmp_path / "x.pt2")
    assert not list(tmp_path.iterdir())


def test_one_size_for_all_images(net, tmp_path):
    with pytest.raises(ValueError, match=r"mask2former_mini:toytown is exported as ONNX for .* one size only"):
        export(load_model("mask2former_mini:toytown", device="cpu"), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
    result = CliRunner().invoke(app, ["export", net.label, "--to", str(tmp_path / "x.pt2"), "--size", "96", "128"])
    assert result.exit_code == 0, result.output
    file = load_model(tmp_path / "x.pt2", device="cpu")
    assert file.short == (96, 128)
    assert predict(file, photograph("chelsea.png")).tiles[0].scores.shape[1:] == (12, 16)


@pytest.mark.slow
def test_nothing_is_replaced_or_left_behind(net, tmp_path, monkeypatch):
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")
    with pytest.raises(ValueError, match=r"kept.csv exists already and is kept; choose another name, or add --force"):
        export(net, kept)
    assert kept.read_text() == "mine"
    export(net, kept, force=True)
    assert kept.read_text().startswith("index,name")
    with pytest.raises(ValueError, match=r"unknown file ending '.tflite'.*onnx"):
        export(net, tmp_path / "x.tflite")
    with pytest.raises(ValueError, match="there is no folder"):
        export(net, tmp_path / "missing" / "x.pt2")
    with pytest.raises(ValueError, match="unknown precision 'int8'"):
        export(net, tmp_path / "x.pt2", precision="int8")
    with pytest.raises(ValueError, match="fcn_mini is untrained"):
        export(load_model("fcn_mini", weights=None, device="cpu"), tmp_path / "x.pt2")
    monkeypatch.setitem(export_files.LARGEST_DIFFERENCE, "float32", -1)
    with pytest.raises(ValueError, match=r"x.pt2 was not written: 0 of .* pixels differ"):
        export(net, tmp_path / "x.pt2")
    assert list(tmp_path.iterdir()) == [kept]
