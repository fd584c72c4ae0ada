"""The table of models, the page of one, and the list of weights to fetch."""

import json

from typer.testing import CliRunner

from seglab.__main__ import app
from seglab.models.registry import MODELS
from seglab.models.weights import cards, published

LRASPP = "lraspp_mobilenet_v3_large"


def test_the_table_of_models(caches, lraspp, monkeypatch):
    table = cards.table()
    assert list(table.index) == list(MODELS)
    columns = ["year", "classes", "miou", "download"]
    assert list(table.loc["deeplabv3_resnet50", columns]) == [2017, "voc", 0.664, "168 MB"]
    assert table.loc["unet_mini", "download"] == "bundled"
    assert table.loc["segformer_b0", "measured_on"] == "ADE20K val"
    assert not table["available"][:9].any()
    path = published.files(MODELS[LRASPP], "coco")[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(lraspp[1])
    assert cards.table()["available"][LRASPP] == "coco"
    run = CliRunner().invoke(app, ["models"])
    assert run.exit_code == 0
    assert all(name in run.output for name in MODELS)


def test_a_page_of_a_model(caches, tmp_path, monkeypatch):
    run = CliRunner().invoke(app, ["models", "mask2former_swin_tiny"])
    for words in ("arXiv:2112.01527", "47.44 million", "CC BY-NC 4.0", "0.821", "190 MB", "seglab fetch mask2former"):
        assert words in run.output
    run = CliRunner().invoke(app, ["models", "unet_mimi"])
    assert run.exit_code == 1
    assert "did you mean 'unet_mini'" in run.output

    monkeypatch.setattr("seglab.models.weights.zoo.zoo_dir", lambda: tmp_path)
    monkeypatch.setattr(cards, "zoo_dir", lambda: tmp_path)
    assert "not available: the file of the weights is missing" in cards.page("unet_mini")["unet_mini:toytown"]
    (tmp_path / "unet_mini-toytown.safetensors").write_bytes(b"weights")
    measured = {"data": "toytown test", "convention": "void ignored", "miou": 0.654, "iou": {"sky": 0.9, "pole": None}}
    shifted = measured | {"data": "toytown:night test", "miou": 0.321}
    card = {"command": "seglab train …", "minutes": 4.5, "sha256": "abc", "measured": measured, "shifted": shifted}
    (tmp_path / "unet_mini-toytown.json").write_text(json.dumps(card))
    lines = cards.page("unet_mini")["unet_mini:toytown"]
    assert "mIoU 0.654 on toytown test" in lines
    assert "mIoU 0.321 on toytown:night test, whose images are of another kind" in lines
    assert "IoU: sky 0.90" in lines
    assert "4.5 minutes of: seglab train …" in lines
    assert "sha256 abc" in lines
    row = cards.table().loc["unet_mini"]
    assert list(row[["miou", "measured_on", "available"]]) == [0.654, "toytown test", "toytown"]


def test_fetch_without_a_name_lists_all_weights(caches):
    run = CliRunner().invoke(app, ["fetch"])
    assert run.exit_code == 1
    assert all(label in run.output for label in published.labels())
    assert "give --all (1.3" in run.output
    run = CliRunner().invoke(app, ["fetch", "fcn_resnet50"])
    assert run.exit_code == 1
    assert "fcn_mini, a small FCN for the eleven street classes, needs no download" in run.output
