"""Annotation files as tools exported them: each class has the pixels that an independent decoder counted."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from helpers.annotated import pixels

KINDS = {
    "01-coco-instances": "coco", "02-coco-labelme-export": "coco", "03-coco-panoptic": "panoptic",
    "04-labelme-json": "labelme", "06-cvat-images-xml": "cvat", "08-label-studio-json": "label_studio",
    "09-via-json": "via", "10-supervisely-json": "supervisely", "23-yolo-seg": "yolo", "33-roboflow-coco": "coco",
}  # fmt: skip
READERS = {name: import_module(f"seglab.data.formats.{name}") for name in sorted(set(KINDS.values()))}


@pytest.fixture(scope="module")
def wild(real_data) -> Path:
    if not (real_data / "wild").is_dir():
        pytest.skip(f"no folder wild in {real_data}: it has a sample of each annotation format")
    return real_data / "wild"


@pytest.mark.parametrize("kind", KINDS)
def test_each_class_has_the_pixels_of_the_truth(wild, kind):
    truth = json.loads((wild / kind / "truth.json").read_text(encoding="utf-8"))
    proposal = READERS[KINDS[kind]].recognise(wild / kind / "data")
    assert proposal is not None
    assert proposal.question is None
    assert set(truth["classes"]) <= set(proposal.card.names)
    expected = {
        Path(name).stem: {label: n for label, n in counts.items() if isinstance(n, int)}
        for name, counts in truth["pixels"].items()
    }
    entries = READERS[KINDS[kind]].entries(proposal.card)
    assert {entry.image.stem: pixels(entry, proposal.card.names) for entry in entries} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_one_reader_recognises_each(wild, kind):
    assert [name for name, reader in READERS.items() if reader.recognise(wild / kind / "data")] == [KINDS[kind]]


def test_other_kinds_are_not_recognised(wild):
    others = sorted(path for path in wild.iterdir() if path.is_dir() and path.name not in KINDS)
    assert not [path.name for path in others for reader in READERS.values() if reader.recognise(path / "data")]
