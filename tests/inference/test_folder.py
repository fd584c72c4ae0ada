"""`seglab predict`: masks, overlays and the table in a folder."""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from seglab import CLASS_SETS, load_dataset, overlay, predict
from seglab.__main__ import app
from seglab._utils.folders import claim
from seglab.data.images import to_image
from seglab.data.labels import read_mask
from seglab.data.toytown import scene as toytown
from seglab.inference.folder import _stored_table, segment
from seglab.models import loading

STREET = CLASS_SETS["street"]
PHOTOS = 16  # of the call that is killed after the third


def seglab(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "seglab", *map(str, arguments)], capture_output=True, text=True,
                          check=False)  # fmt: skip


def draw(path: Path, seed: int = 30_001) -> Path:
    Image.fromarray(toytown.scene(seed).image.transpose(1, 2, 0)).save(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every finished file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".seglab-")]
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
    for i in range(PHOTOS):
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
    assert len(finished) < PHOTOS
    left = out / "annotations" / "panoptic_predicted" / ".seglab-0.part"  # as if it had been killed there
    left.parent.mkdir(parents=True)
    left.touch()
    assert seglab(*command, out).returncode == seglab(*command, whole).returncode == 0
    assert not left.exists()
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    made = contents(whole)
    assert len(made) == PHOTOS * 3 + 3  # the table, the annotations and the page
    assert contents(out) == made

    draw(photos / "0.png", 30_077)  # another photograph under the same name
    refused = seglab(*command, out)
    assert refused.returncode == 1 and "0_mask.png was not made from" in refused.stderr
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert seglab(*command, out, "--force").returncode == 0
    changed = {name for name, content in contents(out).items() if made[name] != content}
    annotations = {"annotations/panoptic_predicted.json", "annotations/panoptic_predicted/0.png"}
    assert changed == {"0_mask.png", "0_overlay.png", "table.csv", "index.html"} | annotations
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


@pytest.mark.parametrize("before", ["img_mask.png", "img_overlay.png", "table.csv", "thesis.tex"])
def test_files_of_somebody_else_are_kept(tmp_path, model, before):
    photo = draw(tmp_path / "img.png")
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / before
    Image.new("L", (4, 4)).save(mine, format="PNG")
    kept = mine.read_bytes()
    with pytest.raises(ValueError, match=rf"`seglab predict` did not write, such as '{before}'.* --force"):
        segment(model, [photo], tmp_path / "out", progress=False)
    assert contents(tmp_path / "out") == {before: kept}
    segment(model, [photo], tmp_path / "out", progress=False, force=True)
    assert (mine.read_bytes() == kept) is (before == "thesis.tex")


def test_masks_of_another_photograph_are_kept(tmp_path, model):
    """With the same name in another folder, or with another suffix; a copy of the photograph is the same one."""
    photos, out = [tmp_path / name for name in ("day1/img.png", "day2/img.png", "day2/img.webp", "day3/img.png")], None
    for seed, path in enumerate(photos):
        path.parent.mkdir(exist_ok=True)
        draw(path, 30_001 + seed)
    shutil.copy(photos[0], photos[3])
    out = tmp_path / "out"
    segment(model, photos[:1], out, progress=False)
    first = contents(out)
    for other in photos[1:3]:
        table, (problem,) = segment(model, [other], out, progress=False)
        assert table.empty and f"img_mask.png was not made from {other}, and is kept" in problem
        assert contents(out) == first
    for same in (photos[0], photos[3]):
        assert segment(model, [same], out, progress=False)[1] == []
        assert contents(out) == first
    (out / "img_mask.png").unlink()  # as after a kill between the two files
    assert "img_overlay.png was not made from" in segment(model, photos[1:2], out, progress=False)[1][0]
    segment(model, photos[:1], out, progress=False)
    assert contents(out) == first
    Image.new("L", (4, 4)).save(out / "img_mask.png")  # drawn by hand
    assert "img_mask.png was not made from" in segment(model, photos[:1], out, progress=False)[1][0]
    (out / ".seglab-predict").unlink()  # of an earlier version
    shutil.copy(out / "img_overlay.png", out / "old_mask.png")
    segment(model, photos[1:2], out, progress=False, force=True)
    assert contents(out)["img_mask.png"] != first["img_mask.png"]


def test_a_folder_in_use_is_refused_before_a_model_is_loaded(tmp_path, monkeypatch):
    photo = draw(tmp_path / "img.png")
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    with claim(tmp_path / "out", "predict"), ThreadPoolExecutor(1) as pool:
        arguments = ["predict", str(photo), "--out", str(tmp_path / "out")]
        told = pool.submit(lambda: CliRunner().invoke(app, arguments)).result()
    assert told.exit_code == 1 and "another process writes to" in told.output


@pytest.mark.slow
def test_an_error_at_each_write_is_resumed(tmp_path, model, monkeypatch):
    photos = [draw(tmp_path / f"{i}.png", 30_001 + i) for i in range(2)]
    segment(model, photos, tmp_path / "whole", format="panoptic", progress=False)
    renamed = Path.replace
    for stop_at in range(1, 9):  # 2 · 2 masks and overlays, 2 panoptic masks, annotations, the table
        out, writes = tmp_path / str(stop_at), [0]

        def stopped(path, target, writes=writes, stop_at=stop_at):
            writes[0] += 1
            if writes[0] == stop_at:
                raise KeyboardInterrupt if stop_at % 2 else OSError(28, "No space left on device")
            return renamed(path, target)

        monkeypatch.setattr(Path, "replace", stopped)
        with suppress(KeyboardInterrupt, OSError):
            segment(model, photos, out, format="panoptic", progress=False)
        assert writes[0] >= stop_at
        monkeypatch.setattr(Path, "replace", renamed)
        segment(model, photos, out, format="panoptic", progress=False)
        assert contents(out) == contents(tmp_path / "whole")
        assert not list(out.rglob("*.part"))


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


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path):
    photo = draw(tmp_path / "a\x1b[2J\u202eb.png")
    arguments = ["predict", str(photo), "--model", "unet_mini:toytown", "--out", str(tmp_path / "out\x07")]
    for _ in range(2):
        shown = CliRunner().invoke(app, arguments).output
        assert "\\x1b[2J" in shown and not {"\x1b", "\u202e", "\x07"} & set(shown)
        photo.write_bytes(b"damaged")
