"""`seglab predict`: masks, overlays and the table in a folder."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from seglab import CLASS_SETS, load_dataset, overlay, predict
from seglab.data.images import to_image
from seglab.data.labels import read_mask
from seglab.data.toytown import scene as toytown
from seglab.inference.folder import _stored_table, segment

STREET = CLASS_SETS["street"]


def seglab(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "seglab", *map(str, arguments)], capture_output=True, text=True,
                          check=False)  # fmt: skip


def draw(path: Path, seed: int = 30_001) -> Path:
    Image.fromarray(toytown.scene(seed).image.transpose(1, 2, 0)).save(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every finished file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_masks_overlays_and_table(tmp_path, model):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    draw(photos / "scene.png")
    (photos / "broken.jpg").write_bytes(b"nothing")
    run = seglab("predict", photos, "--model", "unet_mini:toytown", "--out", out)
    assert run.returncode == 1
    assert "broken.jpg: not an image" in run.stderr
    assert "Traceback" not in run.stderr
    assert "predicts 11 classes: sky, building" in run.stdout
    p = predict(model, photos / "scene.png")
    assert torch.equal(read_mask(out / "scene_mask.png", STREET), p.mask)
    assert torch.equal(to_image(out / "scene_overlay.png"), overlay(p.image, p.mask, STREET, 0.6))
    table = pd.read_csv(out / "table.csv")
    assert table["pixels"].sum() == p.mask.numel()
    assert set(table["image"]) == {"scene.png"}


@pytest.mark.slow
def test_the_folder_of_the_photographs_is_refused(tmp_path):
    (tmp_path / "a_mask.png").write_bytes(b"mine")
    run = seglab("predict", draw(tmp_path / "a.png"), "--model", "unet_mini:toytown", "--out", tmp_path)
    assert run.returncode == 1
    assert "holds the pictures, and masks would be mixed with them" in run.stderr
    assert (tmp_path / "a_mask.png").read_bytes() == b"mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "street.png/inside"), "street.png"),
        (("--device", "cuda:77"), "device 'cuda:77' cannot be used on this machine; available: cpu"),
        (("--device", "abacus"), "device 'abacus' cannot be used on this machine"),
    ],
)
def test_errors_have_no_traceback(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    run = seglab("predict", draw(tmp_path / "street.png"), "--model", "unet_mini:toytown", *arguments)
    assert run.returncode == 1
    assert message in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--alpha", "2"), "alpha=2.0; expected the weight of the colours, a number from 0 to 1"),
        (("--tile", "0", "64"), "tile=(0, 64); expected a height and a width"),
        (("--precision", "float12"), "unknown precision 'float12'"),
        (("--format", "cocoo"), "unknown format 'cocoo'; did you mean 'coco'? Known: masks, coco, panoptic"),
    ],
)
def test_an_invalid_option_is_reported_once(tmp_path, arguments, message):
    pictures = [draw(tmp_path / f"{i}.png") for i in range(3)]
    run = seglab("predict", *pictures, "--model", "unet_mini:toytown", "--out", tmp_path / "out", *arguments)
    assert run.returncode == 1
    assert run.stderr.count(message) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_killed_call_is_continued(tmp_path):
    """After SIGKILL, finished photographs are kept, and the files equal those of a call that was not killed."""
    photos, out, whole = (tmp_path / name for name in ("photos", "out", "whole"))
    photos.mkdir()
    for i in range(40):
        draw(photos / f"{i}.png", 30_000 + i)
    command = "predict", photos, "--model", "unet_mini:toytown", "--format", "panoptic", "--out"
    running = subprocess.Popen([sys.executable, "-m", "seglab", *map(str, (*command, out))],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while len(list(out.glob("*_mask.png"))) < 3:
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.wait()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*_mask.png")}
    assert len(finished) < 40
    assert seglab(*command, out).returncode == seglab(*command, whole).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    made = contents(whole)
    assert len(made) == 40 * 3 + 2
    assert contents(out) == made

    draw(photos / "0.png", 30_077)  # another photograph under the same name
    assert seglab(*command, out).returncode == 0
    changed = {name for name, content in contents(out).items() if made[name] != content}
    annotations = {"annotations/panoptic_predicted.json", "annotations/panoptic_predicted/0.png"}
    assert changed == {"0_mask.png", "0_overlay.png", "table.csv"} | annotations
    assert seglab(*command, out, "--precision", "bfloat16").returncode == 0  # other settings: all masks are made again
    with Image.open(out / "1_mask.png") as image:
        assert json.loads(image.info["seglab"])["precision"] == "bfloat16"


@pytest.mark.parametrize("format", ["coco", "panoptic"])
def test_annotations_are_read_back_as_the_predicted_masks(tmp_path, model, format):
    """Beside the photographs, of which one is stored turned, and without predicting again."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    draw(photos / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(toytown.scene(30_002).image.transpose(1, 2, 0)).save(photos / "ä b.jpg", exif=exif)
    paths = sorted(photos.iterdir())
    segment(model, paths, out, progress=False)
    before = contents(out)
    segment(model, paths, out, format=format, progress=False)
    after = contents(out)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("annotations/") for name in after.keys() - before.keys())

    shutil.copytree(out / "annotations", photos / "annotations")
    dataset = load_dataset(photos)
    assert dataset.classes.names == STREET.names
    assert dataset.ids == ("a", "ä b")
    for path, sample in zip(paths, dataset, strict=True):
        p = predict(model, path)
        assert torch.equal(sample.image, p.image)
        assert torch.equal(sample.target, p.mask)


def test_unusable_photographs_have_no_annotation(tmp_path, model):
    draw(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    _, problems = segment(model, sorted(tmp_path.iterdir()), tmp_path / "out", format="coco", progress=False)
    assert len(problems) == 1
    content = json.loads((tmp_path / "out/annotations/instances_predicted.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["a.png"]


@pytest.mark.parametrize("text", [None, "[]", "5", "{", "[" * 10_000, "{}", '{"table": 5}', '{"table": {"a": [1]}}'])
def test_masks_of_other_programs_have_no_stored_table(tmp_path, text):
    about = PngInfo()
    if text is not None:
        about.add_text("seglab", text)
    Image.new("L", (4, 4)).save(tmp_path / "a_mask.png", pnginfo=about)
    assert _stored_table(tmp_path / "a_mask.png", {}) is None
    (tmp_path / "a_mask.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    assert _stored_table(tmp_path / "a_mask.png", {}) is None
    assert _stored_table(tmp_path / "missing.png", {}) is None
