"""Hugging Face data sets in parquet files."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as pq

from seglab.data.formats import parquet
from seglab.data.formats.pixels import read_pixels

IMAGE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
MASK = np.zeros((4, 5), np.uint8)
MASK[1], MASK[3] = 1, 255


def encoded(array):
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, count, columns=("image", "annotation"), names=True, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {columns[k]: [{"bytes": encoded(array), "path": f"p{i}.png" if names else None} for i in range(count)]
             for k, array in enumerate((IMAGE, MASK))}  # fmt: skip
    pq.write_table(pa.table(table | {"scene": list(range(count))}), path, **options)


def test_rows_are_images(tmp_path):
    write(tmp_path / "data/train-00000-of-00002.parquet", 3, row_group_size=2)
    write(tmp_path / "data/train-00001-of-00002.parquet", 1, names=False)
    write(tmp_path / "data/validation-00000-of-00001.parquet", 1)
    (tmp_path / "id2label.json").write_text('{"0": "road", "1": "car"}')
    card = parquet.recognise(tmp_path).card
    assert (card.format, card.annotations, card.images, card.masks) == (
        "parquet", "data/{split}-*.parquet", "image", "annotation",
    )  # fmt: skip
    assert card.names == ("road", "car")
    entries = parquet.entries(card)
    assert [(entry.id, entry.split) for entry in entries] == [
        ("p0", "train"), ("p1", "train"), ("p2", "train"), ("train-00001-of-00002/0", "train"),
        ("validation/p0", "val"),
    ]  # fmt: skip
    for entry in entries:
        assert (read_pixels(entry.image, card) == IMAGE).all()
        assert entry.target((4, 5)).tolist() == MASK.tolist()


def test_columns_of_bytes(tmp_path):
    table = pa.table({"img": [encoded(IMAGE)], "seg_mask": [encoded(MASK)], "depth": [encoded(MASK)]})
    pq.write_table(table, tmp_path / "all.parquet")
    proposal = parquet.recognise(tmp_path)
    assert list(proposal.question.options) == ["img and seg_mask", "depth and seg_mask"]
    assert proposal.card.annotations == "*.parquet"
    assert [entry.id for entry in parquet.entries(proposal.card)] == ["all/0"]


def test_other_parquet_files_are_not_recognised(tmp_path):
    assert parquet.recognise(tmp_path) is None
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "a.parquet")
    assert parquet.recognise(tmp_path) is None


def test_messages(tmp_path):
    write(tmp_path / "a.parquet", 1)
    card = parquet.recognise(tmp_path).card
    with pytest.raises(ValueError, match=r"a.parquet: no column 'mask' of images; it has image, annotation"):
        parquet.entries(replace(card, masks="mask"))
    with pytest.raises(ValueError, match=r"no rows in files b/\*.parquet"):
        parquet.entries(replace(card, annotations="b/*.parquet"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c/broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"broken.parquet: cannot be read as parquet"):
        parquet.recognise(tmp_path / "c")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = {"image": [{"bytes": None, "path": "x.png"}], "mask": [{"bytes": encoded(MASK), "path": "x.png"}]}
    empty = pa.table(cells, schema=pa.schema([("image", kind), ("mask", kind)]))
    (tmp_path / "d").mkdir()
    pq.write_table(empty, tmp_path / "d/e.parquet")
    with pytest.raises(ValueError, match=r"e.parquet, row 0: column 'image' holds no bytes"):
        parquet.recognise(tmp_path / "d")
