"""What every reader returns, patterns of paths, and the way from raw labels to class indices."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import VOID, Card
from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels, color_codes

Labels = NDArray[np.uint8]  # (H, W), class indices; 255 is void
SPLITS = {"training": "train", "valid": "val", "validation": "val", "testing": "test",
          "train": "train", "val": "val", "test": "test"}  # fmt: skip
Target = Callable[[tuple[int, int]], Labels]


@dataclass(frozen=True)
class Entry:
    """An image and its annotation, not read yet.

    Attributes:
        id: unique within the data set, without a suffix.
        split: "" where the layout has none.
        image: a file; or a function that returns its pixels, (H, W), (H, W, C) of any number type.
        target: (H, W) of the stored image → class indices of this size.
        files: every file that is read.
    """

    id: str
    split: str
    image: Path | Callable[[], NDArray[Any]]
    target: Target
    files: tuple[Path, ...]


def regex(pattern: str, length: int | None = None) -> re.Pattern[str]:
    """The regular expression of a pattern. A suffix ".*" stands for any suffix; a placeholder has one value.

    Args:
        length: the number of characters of {id}.
    """
    parts = {
        "id": f"(?P<id>.{{{length}}})" if length else "(?P<id>.+?)", "split": "(?P<split>[^/]+?)",
        "group": "(?P<group>[^/]+)", "class": "(?P<class>[^/]+?)", "number": r"0*(?P<number>\d+)",
    }  # fmt: skip
    text = re.escape(pattern).replace(r"\*", "[^/]*")
    for name, part in parts.items():
        text = text.replace(re.escape("{" + name + "}"), part, 1).replace(re.escape("{" + name + "}"), f"(?P={name})")
    return re.compile(text)


def listing(root: Path, suffixes: Sequence[str] = ("",)) -> list[str]:
    """The regular files below a folder with these suffixes, as relative POSIX paths, sorted.

    Hidden files, pipes and devices are left out. Links to folders are followed, but not into a folder around them.
    """
    found: list[str] = []
    folders: list[tuple[Path, str, tuple[Path, ...]]] = [(root, "", (root.resolve(), *root.resolve().parents))]
    while folders:
        folder, start, around = folders.pop()
        for item in os.scandir(folder) if folder.is_dir() else ():
            if item.name.startswith((".", "__MACOSX")):
                continue
            with suppress(OSError, RuntimeError):  # a link to itself
                if item.is_dir() and (real := Path(item.path).resolve()) not in around:
                    folders.append((Path(item.path), f"{start}{item.name}/", (*around, real)))
                elif item.name.lower().endswith(tuple(suffixes)) and item.is_file():
                    found.append(start + item.name)
    return sorted(found, key=lambda path: path.split("/"))


def matches(root: Path, pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """The files below `root` that fit a pattern, sorted, each with the values of its placeholders."""
    compiled = regex(pattern)
    # The fixed beginning of the pattern is the folder to search.
    start = pattern.partition("{")[0].partition("*")[0].rpartition("/")[0]
    for path in listing(root / start):
        if found := compiled.fullmatch(f"{start}/{path}" if start else path):
            yield root / start / path, found.groupdict()


def to_labels(raw: NDArray[Any], card: Card, name: str | Path) -> Labels:
    """Raw values of a mask → class indices, in this order: colours, threshold, divide, reduce_zero, labels, check.

    Args:
        raw: integers (H, W), or colours (H, W, 3) uint8. −1 and 255 are void unless `card.labels` lists them.
        name: what is read, for messages.

    Raises:
        ValueError: a colour or a value that the card does not explain; the message counts its pixels.
    """
    values = _from_colors(raw, card, name) if raw.ndim == 3 else raw.astype(np.int64)
    if card.threshold is not None and raw.ndim == 2:
        values = (raw >= card.threshold).astype(np.int64)
    if card.divide:
        values = values // card.divide
    if card.reduce_zero:
        void = (values <= 0) | (values == IGNORE_INDEX)
        values = np.where(void, IGNORE_INDEX, values - 1)
    if card.labels:
        values = _translated(values, card, name)
    values = np.where(values == -1, IGNORE_INDEX, values)
    import torch

    check_labels(torch.from_numpy(values), len(card.names), name)
    return values.astype(np.uint8)


def _index(meaning: int | str, card: Card) -> int:
    return IGNORE_INDEX if meaning == VOID else meaning if isinstance(meaning, int) else card.names.index(meaning)


def _looked_up(
    values: NDArray[Any], meanings: Mapping[Any, int | str], card: Card
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """The class index of each value, and the pixels of each value that `meanings` lacks, most frequent first."""
    order = np.array(sorted(meanings))
    position = np.searchsorted(order, values).clip(max=len(order) - 1)
    found, pixels = np.unique(values[order[position] != values], return_counts=True)
    foreign = sorted(zip(found.tolist(), pixels.tolist(), strict=True), key=lambda item: (-item[1], -item[0]))
    return np.array([_index(meanings[v], card) for v in order.tolist()], np.int64)[position], dict(foreign)


def _from_colors(rgb: NDArray[Any], card: Card, name: str | Path) -> NDArray[np.int64]:
    if not card.colors:
        raise ValueError(f"{name}: the mask holds colours; state the colour of each class under colors: in the card")
    codes = color_codes(rgb)
    meanings = {int(color_codes(color)): label for label, color in card.colors.items()}
    labels, foreign = _looked_up(codes, meanings, card)
    if foreign:
        listed = ", ".join(f"#{code:06x} ({n} pixels)" for code, n in [*foreign.items()][:5])
        raise ValueError(
            f"{name}: {len(foreign)} of {len(np.unique(codes))} colours are not in the card: {listed}. Add them under"
            " colors:, or save the mask without anti-aliasing and without lossy compression"
        )
    return labels


def _translated(values: NDArray[np.int64], card: Card, name: str | Path) -> NDArray[np.int64]:
    # −1 and 255 are void unless they are listed. Labels of annotation tools, which are texts, are no values of masks.
    stated = {value: index for value, index in card.labels.items() if isinstance(value, int)}
    labels, foreign = _looked_up(values, {-1: VOID, IGNORE_INDEX: VOID, **stated}, card)
    if foreign:
        listed = ", ".join(f"{value} ({n} pixels)" for value, n in sorted(foreign.items())[:10])
        raise ValueError(f"{name}: values that labels: in the card does not list: {listed}; add them")
    return labels


def check_size(found: tuple[int, int], size: tuple[int, int], card: Card, name: str | Path) -> None:
    """Raise a ValueError unless a mask fits its image (H, W): equal, or with `size: upsample` of its aspect ratio."""
    (h, w), (height, width) = found, size
    sizes = f"{name}: the image is {height} × {width} pixels (height × width), its mask {h} × {w}"
    if found == size[::-1] != size and card.size == "equal":
        other = "upright" if card.orientation == "stored" else "stored"
        raise ValueError(f"{sizes}; does one of them ignore the EXIF orientation? Then state orientation: {other}")
    if found != size and (card.size == "equal" or abs(h * width - w * height) > max(width, height)):
        remedy = "state size: upsample" if card.size == "equal" else "masks of another aspect ratio are not upsampled"
        raise ValueError(f"{sizes}; {remedy}, or pair images and masks by their names")


def fitted(labels: Labels, size: tuple[int, int], card: Card, name: str | Path) -> Labels:
    """Class indices at the size (H, W) of their image: unchanged, or upsampled where the card states so.

    Upsampling is nearest-exact: output pixel i has the label at (i + 0.5) · h / H.

    Raises:
        ValueError: as `check_size`.
    """
    (h, w), (height, width) = labels.shape, size
    check_size((h, w), size, card, name)
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in ((height, h), (width, w)))
    return labels if labels.shape == size else labels[rows[:, None], columns]


def fields(values: Mapping[str, str]) -> tuple[str, str]:
    """The values of a pattern's placeholders → split ("" without one) and id, which begins with the group."""
    name, split = values.get("id") or values.get("number") or "", values.get("split") or ""
    group = values.get("group")
    return SPLITS.get(split.lower(), split), f"{group}/{name}".rstrip("/") if group else name
