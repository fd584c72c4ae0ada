"""34 kinds of data as people have them: inspected, described by a card that is written, and read, pixel by pixel."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seglab import load_dataset
from seglab.__main__ import app
from seglab.data.card import CARD, card_text, read_card
from seglab.data.inspection import answered, inspect
from seglab.data.loading import data_root

pytestmark = pytest.mark.slow
# Kind → the beginning of the answer to its question, where it leaves one open.
ANSWERS = {
    "13-camvid-kaggle": "void", "16-drive-tif-gif": "1", "19-16-bit-instance-ids": "class × 1000",
    "31-mmseg-reduce-zero": "void", "32-mask-of-half-size": "upsample",
}  # fmt: skip
SUBFOLDERS = {"27-exif-rotated": ("masks-drawn-stored", "masks-drawn-upright")}
KINDS = [
    "01-coco-instances", "02-coco-labelme-export", "03-coco-panoptic", "04-labelme-json", "05-voc-tree-npy",
    "06-cvat-images-xml", "07-cvat-segmentation-mask", "08-label-studio-json", "09-via-json", "10-supervisely-json",
    "11-roboflow-png-masks", "12-rgb-class-dict", "13-camvid-kaggle", "14-binary-0-255", "15-colour-masks-named-jpg",
    "16-drive-tif-gif", "17-one-file-per-object", "18-one-file-per-class", "19-16-bit-instance-ids", "20-tiff-stacks",
    "21-mat-labels", "22-npy-labels", "23-yolo-seg", "24-hf-parquet", "25-multispectral-tif", "26-16-bit-grey",
    "27-exif-rotated", "28-huge-aerial", "29-nnunet", "30-nifti", "31-mmseg-reduce-zero", "32-mask-of-half-size",
    "33-roboflow-coco", "34-jpeg-binary-masks",
]  # fmt: skip
Pixels = dict[str, int]  # class name or "void" → pixels


@pytest.fixture(scope="session")
def wild() -> Path:
    folder = data_root() / "wild"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: set SEGLAB_DATA to a folder with the 34 kinds of data")
    return folder


def run(*arguments: object) -> str:
    """Run `seglab` with these arguments; returns what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], terminal_width=200)
    assert done.exit_code == 0, done.output
    return done.output


def pixels_of(folder: Path) -> dict[str, Pixels]:
    """Image id → the pixels of each class, as `load_dataset` reads them."""
    dataset = load_dataset(folder)
    names = dict(enumerate(dataset.classes.names)) | {255: "void"}
    counts = {sample.id: sample.target.flatten().bincount(minlength=256) for sample in dataset}
    return {key: {names[i]: int(n) for i, n in enumerate(count) if n} for key, count in counts.items()}


def true_pixels(kind: Path, subfolder: str = "") -> tuple[list[str], list[Pixels]]:
    """The class names of truth.json, and the pixels of each image; remarks are left out."""
    truth = json.loads((kind / "truth.json").read_text(encoding="utf-8"))
    known = {*truth["classes"], "void", "background"}
    prefix = subfolder.rpartition("-")[2]
    images = [
        {name: int(n) for name, n in image.items() if name in known and n}
        for key, image in truth["pixels"].items() if key.startswith(prefix) and ".npy" not in key
    ]  # fmt: skip
    return truth["classes"], images


def with_names(image: Pixels, names: list[str]) -> Pixels:
    """The pixels under the names of truth.json: masks alone state no names, but the order of classes."""
    found = {}
    for name, count in image.items():
        index = 1 if name == "object" else int(number[1]) if (number := re.fullmatch(r"class_(\d+)", name)) else None
        found[name if index is None else names[index]] = count
    return found


def alike(images: list[Pixels]) -> Counter[tuple[tuple[str, int], ...]]:
    return Counter(tuple(sorted(image.items())) for image in images)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_class_has_its_pixels(wild, tmp_path, kind):
    if kind == "30-nifti":
        pytest.importorskip("nibabel", reason="NIfTI needs nibabel: pip install nibabel")
    for subfolder in SUBFOLDERS.get(kind, ("",)):
        folder = tmp_path / (subfolder or kind)
        shutil.copytree(wild / kind / "data" / subfolder, folder)
        proposal = inspect(folder)
        assert (proposal.question is not None) == (kind in ANSWERS)
        answer = ["--answer", ANSWERS[kind]] if kind in ANSWERS else []
        assert "written to" in run("datasets", "--inspect", folder, "--write", *answer)
        card = read_card(folder)
        assert card == answered(proposal, ANSWERS.get(kind))
        (folder / CARD).write_text(card_text(card), encoding="utf-8")
        assert read_card(folder) == card
        names, expected = true_pixels(wild / kind, subfolder)
        found = [with_names(image, names) for image in pixels_of(folder).values()]
        check = COMPARISONS.get(kind, assert_equal)
        check(found, expected, wild / kind)


def assert_equal(found: list[Pixels], expected: list[Pixels], _: Path) -> None:
    assert alike(found) == alike(expected)


def assert_void(found: list[Pixels], expected: list[Pixels], _: Path) -> None:
    """Kind 13: its class Void is void."""
    assert alike(found) == alike([{("void" if k == "Void" else k): n for k, n in image.items()} for image in expected])


def assert_colors(found: list[Pixels], _: list[Pixels], kind: Path) -> None:
    """Kind 15: truth.json counts colours, which have no names."""
    truth = json.loads((kind / "truth.json").read_text(encoding="utf-8"))["pixels"]
    expected = [sorted(n for _, n in image["most"]) for image in truth.values()]
    assert sorted(sorted(image.values()) for image in found) == sorted(expected)


def assert_view(found: list[Pixels], expected: list[Pixels], kind: Path) -> None:
    """Kind 16: pixels outside the field of view are void, and everything inside has its class."""
    truth = json.loads((kind / "truth.json").read_text(encoding="utf-8"))["pixels"]
    outside = sorted(image["outside the field of view"] for image in truth.values())
    assert sorted(image["void"] for image in found) == outside
    for image in found:
        assert sum(image.values()) in [sum(other.values()) for other in expected]


def assert_upsampled(found: list[Pixels], expected: list[Pixels], _: Path) -> None:
    """Kind 32: a pixel of the mask is four of the image, up to half a row or column at the border."""
    assert len(found) == len(expected)
    for image, other in zip(found, expected, strict=True):
        assert image == pytest.approx({name: 4 * n for name, n in other.items()}, rel=0.02)
    assert found[0] == {name: 4 * n for name, n in expected[0].items()}  # of even height and width


def assert_first(found: list[Pixels], expected: list[Pixels], _: Path) -> None:
    """Kind 28: truth.json has the large image only."""
    assert expected[0] in found


COMPARISONS = {
    "13-camvid-kaggle": assert_void, "15-colour-masks-named-jpg": assert_colors, "16-drive-tif-gif": assert_view,
    "28-huge-aerial": assert_first, "32-mask-of-half-size": assert_upsampled,
}  # fmt: skip


def test_a_folder_without_a_card_is_read_where_no_question_is_open(wild):
    assert len(load_dataset(wild / "01-coco-instances" / "data")) == 4
    with pytest.raises(ValueError, match=r"Is it void.* 1: void, 2: class.*--answer 1"):
        load_dataset(wild / "13-camvid-kaggle" / "data")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("01-coco-instances", "stone"),
        ("04-labelme-json", "person"),
        ("07-cvat-segmentation-mask", "tiger"),
        ("12-rgb-class-dict", "straight"),
        ("23-yolo-seg", "kudzu"),
    ],
)
def test_a_model_is_trained_evaluated_and_reported(wild, tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(wild / kind / "data", "mine")
    run("datasets", "--inspect", "mine", "--write")
    assert name in run("datasets", "--check", "mine", "--sheet", "sheet.png") and Path("sheet.png").is_file()
    trained = run("train", "unet_mini", "--data", "mine", "--epochs", 1, "--size", 48, 64, "--batch", 2)
    assert name in trained and "on mine val, in runs" in trained
    model = "runs/unet_mini-mine-0/best.safetensors"
    evaluated = run("evaluate", model, "--data", "mine", "--store", "results.sqlite")
    assert name in evaluated and "unet_mini:mine" in evaluated
    photo = next(path for path in Path("mine").rglob("*") if path.suffix in (".jpg", ".png"))
    assert "predicts" in run("predict", photo, "--model", model, "--data", "mine")
    run("report", "--models", f"first={model}", "--data", "mine", "--out", "report")
    page = Path("report/index.html").read_text(encoding="utf-8")
    assert name in page and "mine" in page
    assert name in Path("report/tables/mine-val/iou.csv").read_text(encoding="utf-8")
