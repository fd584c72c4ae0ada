"""Data sets that are made from published ones: from small archives on a local server, and against the real files."""

import io
import tarfile
import zipfile
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from helpers.files import saved, write_image
from helpers.server import whole
from PIL import Image
from scipy.io import savemat

from seglab import CLASS_SETS, DATASETS, load_dataset
from seglab.data import derived
from seglab.data.loading import evaluation_split

NAMES = {"2007_000001": "train", "2008_000002": "train", "2008_000003": "val"}


def zipped(files):
    """An archive of these names and contents."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive.getvalue()


def served(name, server, bodies, splits):
    """The row of a data set whose downloads a local server offers."""
    items = []
    for item, body in zip(DATASETS[name].downloads, bodies, strict=True):
        path = "/" + item.url.rpartition("/")[2]
        items.append(replace(item, url=server.url(path, whole(body)), hash=None))
    return replace(DATASETS[name], downloads=tuple(items), splits=splits)


@pytest.fixture
def voc(tmp_path, monkeypatch):
    """VOC 2012 with three photographs, of which the second has no mask; and a list that names them."""
    folder = tmp_path / "data" / "VOCdevkit" / "VOC2012"
    for name in NAMES:
        write_image(folder / "JPEGImages" / f"{name}.jpg", size=(375, 500))
        if name != "2008_000002":
            labels = np.full((375, 500), 255)
            labels[:, :100], labels[:, 100:200], labels[:, 200:300] = 15, 8, 20  # person, cat, monitor
            write_image(folder / "SegmentationClass" / f"{name}.png", labels)
    monkeypatch.setattr(derived, "_listed", lambda _: iter([(split, name) for name, split in NAMES.items()]))
    return folder


def sbd(tmp_path):
    """SBD's archive, with a mask of the first two photographs: a dog."""
    path = tmp_path / "benchmark.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name in list(NAMES)[:2]:
            labels = np.zeros((375, 500), np.uint8)
            labels[100:] = 12
            savemat(tmp_path / f"{name}.mat", {"GTcls": {"Segmentation": labels}})
            archive.add(tmp_path / f"{name}.mat", f"benchmark_RELEASE/dataset/cls/{name}.mat")
    return path.read_bytes()


def test_photographs_are_made_from_voc_and_sbd(voc, server, tmp_path, monkeypatch):
    """VOC's mask where VOC has one, else SBD's; other classes are void; nothing else stays."""
    monkeypatch.setitem(DATASETS, "photographs", served("photographs", server, [sbd(tmp_path)], {"train": 2, "val": 1}))
    train, val = (load_dataset("photographs", split, root=tmp_path / "data") for split in ("train", "val"))
    assert train.ids == ("2007_000001", "2008_000002")
    assert val.ids == ("2008_000003",)
    assert train[0].image.shape == (3, 192, 256)
    in_order = [[value for value, _ in groupby(sample.target[:, 128].tolist())] for sample in train]
    assert in_order == [[255], [0, 3]]
    across = [value for value, _ in groupby(val[0].target[0].tolist())]
    assert across == [1, 2, 255]
    assert sorted(path.name for path in (tmp_path / "data" / "photographs").iterdir()) == ["images", "masks"]
    assert voc.is_dir()


def test_an_incomplete_voc_is_named(voc, server, tmp_path, monkeypatch):
    (voc / "JPEGImages" / "2008_000003.jpg").unlink()
    monkeypatch.setitem(DATASETS, "photographs", served("photographs", server, [sbd(tmp_path)], {"train": 2, "val": 1}))
    with pytest.raises(ValueError, match=r"was not installed: .*2008_000003\.jpg or its mask is missing: VOC 2012 is"):
        load_dataset("photographs", root=tmp_path / "data")
    assert not (tmp_path / "data" / "photographs").exists()


def test_seven_classes_of_voc():
    names = CLASS_SETS["voc"].names
    kept = {names[i]: CLASS_SETS["photographs"].names[j] for i, j in enumerate(derived.VOC_TO_PHOTOGRAPHS) if j != 255}
    assert kept == {name: name for name in ("background", "person", "cat", "dog", "horse", "cow", "sheep")}
    colors = dict(zip(names, CLASS_SETS["voc"].colors, strict=True))
    assert CLASS_SETS["photographs"].colors == tuple(colors[name] for name in CLASS_SETS["photographs"].names)


def test_the_lists_have_the_published_numbers_of_images():
    for name in ("photographs", "nuclei"):
        listed = list(derived._listed(name))
        assert len({image for _, image in listed}) == len(listed)
        counts = {split: sum(s == split for s, _ in listed) for split in DATASETS[name].splits}
        assert counts == DATASETS[name].splits


def test_photographs_equal_the_real_ones_byte_for_byte(real_data, tmp_path):
    """Every photograph that the small copy of VOC has; another JPEG library may write other bytes, not other masks."""
    voc, ours = real_data / "VOCdevkit" / "VOC2012", real_data / "photographs"
    if not ours.is_dir():
        pytest.skip(f"{ours} not found: set SEGLAB_DATA to a folder that has it, or call load_dataset('photographs')")
    pairs = [(s, n) for s, n in derived._listed("photographs") if (voc / "JPEGImages" / f"{n}.jpg").is_file()]
    assert len(pairs) > 300
    near = 0
    for split, name in pairs[::4]:
        with Image.open(voc / "SegmentationClass" / f"{name}.png") as labels:
            derived.write_photograph(tmp_path, split, voc / "JPEGImages" / f"{name}.jpg", labels)
        made, real = (folder / "masks" / split / f"{name}.png" for folder in (tmp_path, ours))
        assert np.array_equal(np.array(Image.open(made)), np.array(Image.open(real)))
        made, real = (np.array(Image.open(f / "images" / split / f"{name}.jpg")).astype(int) for f in (tmp_path, ours))
        near += np.abs(made - real).max() <= 2
    assert near == len(pairs[::4])


# --- nuclei -----------------------------------------------------------------------------------------------------------


def test_nuclei_by_hand():
    """Two nuclei that touch by an edge. The codes run down the columns; the image's border is no boundary."""
    left, right = "1 4 7 4 13 4", "19 4 25 4 31 4"  # columns 0–2 and 3–5, rows 0–3 of 6
    assert derived.nuclei_target([left, right], (6, 7)).tolist() == [
        [1, 1, 2, 2, 1, 2, 0],
        [1, 1, 2, 2, 1, 2, 0],
        [1, 1, 2, 2, 1, 2, 0],
        [2, 2, 2, 2, 2, 2, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


def test_a_corner_of_background_makes_no_boundary():
    target = derived.nuclei_target(["1 12 14 3"], (4, 4))  # all pixels but one in the corner
    assert target.tolist() == [[1, 1, 2, 0], [1, 1, 1, 2], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_nuclei_are_made_from_the_archives(server, tmp_path, monkeypatch):
    """From both stages; a large image is reduced; nothing but images and masks stays."""
    listed = {"a" * 12: "train", "b" * 12: "val", "c" * 12: "test", "d" * 12: "stained"}
    images = {}
    for i, name in enumerate(listed):
        size = (640, 700) if i == 2 else (20, 30)
        path = saved(Image.fromarray(np.full((*size, 4), 40 * i, np.uint8)), tmp_path / f"{name}.png")
        images[f"{name}{'0' * 52}"] = path.read_bytes()
    stage = {n: zipped({f"{k}/images/{k}.png": v for k, v in images.items() if (k[0] == "c") == (n == "test")})
             for n in ("train", "test")}  # fmt: skip
    codes = {image: "1 1280 1281 1280" if image[0] == "c" else "22 3 42 3 62 3" for image in images}
    train = "ImageId,EncodedPixels\n" + "".join(f"{k},{v}\n" for k, v in codes.items() if k[0] != "c")
    test = "ImageId,EncodedPixels,Height,Width,Usage\n" + "".join(
        f"{k},{v},640,700,Ignored\n" for k, v in codes.items() if k[0] == "c"
    )
    monkeypatch.setattr(derived, "_listed", lambda _: iter([(split, name) for name, split in listed.items()]))
    bodies = [stage["train"], stage["test"], train.encode(), test.encode()]
    monkeypatch.setitem(DATASETS, "nuclei", served("nuclei", server, bodies, dict.fromkeys(listed.values(), 1)))
    samples = {split: load_dataset("nuclei", split, root=tmp_path / "data")[0] for split in listed.values()}
    assert [samples[split].id for split in ("train", "stained")] == ["a" * 12, "d" * 12]
    expected = np.zeros((20, 30), int)
    expected[1:4, 1:4], expected[2, 2] = 2, 1
    assert samples["train"].target.tolist() == expected.tolist()
    assert samples["test"].image.shape == (3, 320, 350)
    assert samples["test"].target[0].tolist() == [1, 2] + [0] * 348
    assert sorted(path.name for path in (tmp_path / "data" / "nuclei").iterdir()) == ["images", "masks"]
    assert evaluation_split("nuclei") == "test"


def test_real_nuclei_follow_the_same_rule(real_data):
    """In images that were not reduced no nucleus touches background by an edge without a boundary."""
    if not (folder := real_data / "nuclei").is_dir():
        pytest.skip(f"{folder} not found: set SEGLAB_DATA to a folder that has it, or call load_dataset('nuclei')")
    seen = 0
    for split in DATASETS["nuclei"].splits:
        for sample in load_dataset("nuclei", split, root=real_data):
            target = np.pad(sample.target.numpy(), 1, constant_values=2)
            if min(sample.target.shape) < derived.LARGEST_SHORT:
                inside = target[1:-1, 1:-1] == 1
                shifted = (target[:-2, 1:-1], target[2:, 1:-1], target[1:-1, :-2], target[1:-1, 2:])
                assert not any((inside & (other == 0)).any() for other in shifted)
                seen += 1
    assert seen > 100
