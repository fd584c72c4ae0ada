"""Hugging Face data sets: parquet files with a column of images and a column of masks.

In the card, `annotations` is the pattern of the files, and `images` and `masks` are the names of the columns.
"""

import re
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from seglab.data.card import Card, Proposal
from seglab.data.formats.entries import Entry, Labels, fields, fitted, listing, matches
from seglab.data.formats.meaning import explain
from seglab.data.formats.pairing import role
from seglab.data.formats.pixels import describe_range
from seglab.data.formats.raw import load, pixel_values, read_raw
from seglab.data.formats.tables import find
from seglab.data.formats.values import count
from seglab.data.images import read_image


def recognise(folder: Path) -> Proposal | None:
    """A card for a folder with parquet files of images and masks; None without them."""
    files = listing(folder, (".parquet",))
    columns = [_image_columns(folder / path) for path in files[:1]]
    masks = [name for name in columns[0] if _is_mask(name)] if columns else []
    images = [name for name in columns[0] if not _is_mask(name)] if columns else []
    if not masks or not images:
        return None
    pattern = _pattern(files)
    card = Card(folder, format="parquet", images=images[0], masks=masks[0], annotations=pattern)
    rows = [(path, row) for path, _ in matches(folder, pattern) for row in range(_file(path).metadata.num_rows)]
    found = explain(count([partial(_loaded, path, masks[0], row) for path, row in rows]), find(folder))
    found.evidence.insert(
        0, f"{len(files)} files {pattern} hold {len(rows)} rows with images {images[0]!r} and masks {masks[0]!r}."
    )
    describe_range([pixel_values(_cell(path, images[0], row)) for path, row in rows[:: len(rows) // 20 or 1]], found)
    if len(masks) > 1 or len(images) > 1:
        found.ask(
            f"The columns {', '.join(images + masks)} hold images. Which are the images and which the masks?",
            {f"{i} and {m}": {"images": i, "masks": m} for i in images for m in masks},
        )
    return found.proposal(card)


def _loaded(path: Path, column: str, row: int) -> tuple[NDArray[Any], bool]:
    return load(_cell(path, column, row))


def _pattern(files: list[str]) -> str:
    """ "data/train-00000-of-00001.parquet" and one of val → "data/{split}-*.parquet"; one split is no split."""
    names = [PurePosixPath(path) for path in files]
    parents = {f"{name.parent}/".removeprefix("./") for name in names}
    splits = {match[1] if (match := re.match(r"([A-Za-z]+)-\d", name.name)) else "" for name in names}
    start = parents.pop() if len(parents) == 1 else "{group}/"
    if "" in splits:
        return f"{start}*.parquet"
    return f"{start}{splits.pop() if len(splits) == 1 else '{split}'}-*.parquet"


def entries(card: Card) -> list[Entry]:
    """The rows of the files that fit `annotations`, in their order.

    Raises:
        ValueError: no file fits, or a column is missing.
    """
    found: list[Entry] = []
    taken: set[str] = set()
    for path, values in matches(card.root, card.annotations):
        columns = _image_columns(path)
        for name in (card.images, card.masks):
            if name not in columns:
                raise ValueError(f"{path}: no column {name!r} of images; it has {', '.join(columns) or 'none'}")
        split = fields(values)[0]
        for row, stated in enumerate(_paths(path, card.images)):
            name = stated or f"{path.stem}/{row}"
            name = f"{values.get('split') or path.stem}/{name}" if name in taken else name
            taken.add(name)
            image, target = partial(_image, path, row, card), partial(_target, path, row, card)
            found.append(Entry(name, split, image, target, (path,)))
    if not found:
        raise ValueError(f"{card.root}: no rows in files {card.annotations}; correct annotations: in the card")
    return found


def _is_mask(column: str) -> bool:
    return role(column) == "mask"


@lru_cache(16)
def _file(path: Path) -> Any:
    from pyarrow import ArrowInvalid, parquet

    try:
        return parquet.ParquetFile(path)
    except (ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: cannot be read as parquet ({error}); download it again") from error


def _image_columns(path: Path) -> list[str]:
    """The columns that hold files of images: bytes, or bytes with a path."""
    from pyarrow import types

    def holds_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def is_file(kind: Any) -> bool:
        return bool(types.is_struct(kind) and any(f.name == "bytes" and holds_bytes(f.type) for f in kind))

    return [f.name for f in _file(path).schema_arrow if holds_bytes(f.type) or is_file(f.type)]


@lru_cache(4)
def _row_group(path: Path, column: str, group: int) -> Any:
    return _file(path).read_row_group(group, columns=[column]).column(0)


def _cell(path: Path, column: str, row: int) -> bytes:
    """The file of an image in a cell.

    Raises:
        ValueError: the cell is empty.
    """
    metadata, within, group = _file(path).metadata, row, 0
    while within >= metadata.row_group(group).num_rows:
        within -= metadata.row_group(group).num_rows
        group += 1
    value = _row_group(path, column, group)[within].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    if not content:
        raise ValueError(
            f"{path}, row {row}: column {column!r} holds no bytes; push the data set with its images embedded"
        )
    return bytes(content)


def _paths(path: Path, column: str) -> list[str]:
    """The name of the image of each row, without suffix; "" where none is stated."""
    file = _file(path)
    if file.schema_arrow.field(column).type.num_fields == 0 or "path" not in [
        k.name for k in file.schema_arrow.field(column).type
    ]:
        return [""] * int(file.metadata.num_rows)
    names = [(value or {}).get("path") or "" for value in file.read(columns=[f"{column}.path"]).column(0).to_pylist()]
    return [str(PurePosixPath(name.replace("\\", "/")).with_suffix("")) if name else "" for name in names]


def _image(path: Path, row: int, card: Card) -> NDArray[Any]:
    content, upright = _cell(path, card.images, row), card.orientation == "upright"
    if card.range or card.bands:
        return pixel_values(content, upright)
    return read_image(content, upright).numpy().transpose(1, 2, 0)


def _target(path: Path, row: int, card: Card, size: tuple[int, int]) -> Labels:
    name = f"{path}, row {row}"
    return fitted(read_raw(_cell(path, card.masks, row), card, name), size, card, name)
