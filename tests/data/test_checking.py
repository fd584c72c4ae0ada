"""What the check of a data set prints and warns of; its contact sheet; the command `seglab datasets`."""

import numpy as np
import pytest
from helpers.files import write_image
from helpers.own import leaves, save_pair
from PIL import Image
from typer.testing import CliRunner

from seglab import load_dataset
from seglab.__main__ import app
from seglab.data.checking import check_data
from seglab.data.sheet import contact_sheet


def run(*arguments):
    return CliRunner().invoke(app, ["datasets", *map(str, arguments)], terminal_width=200)


def check(folder, *splits):
    return check_data(load_dataset(folder), {name: load_dataset(folder, name) for name in splits}, progress=False)


def warned(found, *words):
    return [sentence for sentence in found.warnings if all(word in sentence for word in words)]


def test_pixels_images_and_fractions(tmp_path):
    folder = leaves(tmp_path / "leaves", ["a", "b"])
    save_pair(folder, "b", [[0, 0, 0], [0, 0, 255]])
    found = check(folder)
    assert found.classes["pixels"].to_dict() == {"background": 8, "leaf": 3, "void": 1}
    assert found.classes["images"].to_dict() == {"background": 2, "leaf": 1, "void": 1}
    assert found.classes.loc["leaf", "fraction"] == 0.25
    assert found.facts["images"] == "2, in 2 groups" and found.facts["sizes"] == "2 × 3 (2) (height × width)"
    assert found.facts["values"] == "0–255 of 0–255" and not found.warnings and not found.problems


def test_sizes_and_widths_of_objects(tmp_path):
    """Leaves of 24 and 48 pixels, in an image of 48 × 72; background is left out."""
    found = check(leaves(tmp_path / "leaves", ["a", "b"], scale=24))
    assert found.sizes == {(48, 72): 2}
    assert found.widths[["class", "rows", "columns"]].to_numpy().tolist() == [["leaf", 48, 72]] * 2
    assert 24 < found.widths["width"].median() < 72
    assert found.facts["objects"] == f"median width in pixels: leaf {found.widths['width'].median():.1f}"


def test_a_class_without_pixels_and_void(tmp_path):
    folder = leaves(tmp_path / "leaves", ["a"])
    save_pair(folder, "a", [[0, 255, 255], [255, 255, 255]])
    found = check(folder)
    assert warned(found, "No pixel has class leaf") and warned(found, "83% of the pixels are void")


def test_dark_images(tmp_path):
    folder = leaves(tmp_path / "leaves", ["a"])
    Image.fromarray(np.full((2, 3), 4000, np.uint16)).save(folder / "images" / "a.png")
    assert warned(check(folder), "only 0 to 16 of 0 to 255", "range:")
    leaves(folder, ["b"], "range: [0, 4095]")
    Image.fromarray(np.full((2, 3), 4000, np.uint16)).save(folder / "images" / "a.png")
    assert not warned(check(folder), "only")


def test_numbers_of_objects(tmp_path):
    folder = tmp_path / "cells"
    for name in "ab":
        save_pair(folder, name, [[1, 0, 2, 0, 3], [0, 0, 0, 0, 0], [4, 0, 5, 0, 6]])
    names = ", ".join(f"c{k}" for k in range(7))
    (folder / "dataset.yaml").write_text(f'names: [{names}]\nimages: "images/{{id}}.png"\nmasks: "masks/{{id}}.png"')
    assert warned(check(folder), "numbered objects", "labels:")


def test_exif_orientation(tmp_path):
    folder = leaves(tmp_path / "leaves", ["a"])
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(folder / "images" / "a.png").save(folder / "images" / "a.png", exif=exif)
    assert warned(check(folder), "1 images have an EXIF orientation, such as a.png", "orientation: upright")


def test_bands_that_are_not_used(tmp_path):
    import tifffile

    folder = leaves(tmp_path / "leaves", ["a"])
    (folder / "images" / "a.png").unlink()
    bands = np.random.default_rng(0).integers(0, 256, (2, 3, 5), np.uint8)
    tifffile.imwrite(folder / "images" / "a.tif", bands, photometric="minisblack", planarconfig="contig")
    text = (folder / "dataset.yaml").read_text().replace("images/{id}.png", "images/{id}.tif")
    (folder / "dataset.yaml").write_text(text + "bands: [0, 1, 2]")
    assert warned(check(folder), "more bands than are used, such as a.tif with 5")


def test_splits_that_share_images_or_groups(tmp_path):
    folder = leaves(
        tmp_path / "leaves", ["x_1", "x_2", "y_1", "z_1"], "splits: {train: [x_1], val: [x_2, y_1]}\ngroups: '^(.)'"
    )
    (folder / "images" / "y_1.png").write_bytes((folder / "images" / "x_1.png").read_bytes())
    found = check(folder, "train", "val")
    assert warned(found, "1 images occur more than once: x_1.png, y_1.png")
    assert warned(found, "train and val share 1 images: x_1.png, y_1.png; training refuses")
    assert warned(found, "1 groups are in several splits (x)") and warned(found, "1 images are in no split")
    assert found.facts["splits"] == "train 1, val 2" and found.facts["images"] == "4, in 3 groups"


def test_images_that_cannot_be_used_are_listed(tmp_path):
    folder = leaves(tmp_path / "leaves", ["a", "b"])
    (folder / "images" / "b.png").write_bytes(b"no image")
    found = check(folder)
    assert len(found.problems) == 1 and "b.png" in found.problems[0]
    shown = run("--check", folder)
    assert shown.exit_code == 1 and "1 of 2 images" in shown.output and "b.png" in shown.output


def test_the_contact_sheet_has_image_overlay_and_legend(tmp_path):
    dataset = load_dataset(leaves(tmp_path / "leaves", ["a", "b", "c"], "colors: {leaf: '#00ff00'}"))
    sheet = contact_sheet(dataset)
    assert sheet.mode == "RGB" and sheet.width > sheet.height > 300
    colors = {color for _, color in sheet.getcolors(1 << 20)}
    assert (0, 255, 0) in colors  # of the legend
    assert run("--check", dataset.root, "--sheet", tmp_path / "sheet.png").exit_code == 0
    assert Image.open(tmp_path / "sheet.png").size == sheet.size
    mine = write_image(tmp_path / "mine.png").read_bytes()
    refused = run("--check", dataset.root, "--sheet", tmp_path / "mine.png")
    assert refused.exit_code == 1 and "exists already and is kept" in refused.output
    assert (tmp_path / "mine.png").read_bytes() == mine
    assert run("--check", dataset.root, "--sheet", tmp_path / "mine.png", "--force").exit_code == 0
    assert Image.open(tmp_path / "mine.png").size == sheet.size
    refused = run("--check", dataset.root, "--sheet", tmp_path / "sheet.doc")
    assert refused.exit_code == 1 and "sheet.png" in refused.output


def test_the_known_data_sets_are_listed_and_checked(monkeypatch, tmp_path):
    assert "toytown" in run().output and "--inspect DIR" in run().output
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    missing = run("--check", "camvid", "val")
    assert missing.exit_code == 1 and "allow the download" in missing.output


def test_check_prints_what_was_read(tmp_path):
    folder = leaves(tmp_path / "leaves", card="splits: {train: [a, b], val: [c, d]}")
    shown = run("--check", folder)
    assert shown.exit_code == 0 and "leaf" in shown.output and "12" in shown.output
    assert "splits: train 2, val 2" in shown.output and f"All 4 images of {folder}" in shown.output
    assert f"All 2 images of {folder} val" in run("--check", folder, "val").output


@pytest.fixture
def plain(tmp_path):
    for name in ("p1", "p2"):
        save_pair(tmp_path / "plain", name, [[0, 1, 2], [0, 1, 2]])
    return tmp_path / "plain"


def test_inspect_prints_and_writes_a_card_once(plain):
    shown = run("--inspect", plain)
    assert shown.exit_code == 0 and "names: [" in shown.output and "• " in shown.output and "--write" in shown.output
    assert not (plain / "dataset.yaml").exists()
    assert "written to" in run("--inspect", plain, "--write").output
    kept = (plain / "dataset.yaml").read_text()
    assert kept in shown.output
    (plain / "dataset.yaml").write_text("name: edited\n" + kept)
    refused = run("--inspect", plain, "--write")
    assert refused.exit_code == 1 and "--force" in refused.output
    assert (plain / "dataset.yaml").read_text().startswith("name: edited")
    assert run("--inspect", plain, "--write", "--force").exit_code == 0
    assert (plain / "dataset.yaml").read_text() == kept


def test_a_question_is_printed_and_answered(tmp_path):
    for name in ("p1", "p2"):
        save_pair(tmp_path, name, [[0, 100, 3], [0, 1, 300 % 256]])
    from helpers.annotated import save_json

    content = {
        "images": [{"id": 1, "file_name": "p1.png", "height": 2, "width": 3}],
        "categories": [{"id": 1, "name": "leaf"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]}],
    }
    save_json(tmp_path / "a.json", content)
    shown = run("--inspect", tmp_path)
    assert shown.exit_code == 0 and "  1  coco" in shown.output and "  2  masks" in shown.output
    refused = run("--inspect", tmp_path, "--write")
    assert refused.exit_code == 1 and not (tmp_path / "dataset.yaml").exists()
    assert run("--inspect", tmp_path, "--write", "--answer", "1").exit_code == 0
    assert load_dataset(tmp_path).classes.names == ("background", "leaf")


@pytest.mark.parametrize("options", [["--write"], ["--answer", "1"], ["--sheet", "x.png"], ["val"], ["--force"]])
def test_options_without_their_step_are_refused(options):
    shown = run(*options)
    assert shown.exit_code == 1 and "has no meaning here" in shown.output


def test_the_help_explains_the_three_steps():
    shown = " ".join(run("--help").output.split())
    assert "--inspect DIR --write" in shown and "--check DIR --sheet" in shown and "--data DIR" in shown
