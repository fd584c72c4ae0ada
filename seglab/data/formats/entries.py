"""What every reader returns, patterns of paths, and the way from raw labels to class indices."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.card import VOID, Card
from seglab.data.classes import IGNORE_INDEX
from seglab.data.labels import check_labels

Labels = NDArray[np.uint8]  # (H, W), class indices; 255 is void
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


def matches(root: Path, pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """The files below `root` that fit a pattern, sorted, each with the values of its placeholders."""
    compiled = regex(pattern)
    # The fixed beginning of the pattern is the folder to search.
    start = root / pattern.partition("{")[0].partition("*")[0].rpartition("/")[0]
    for path in sorted(start.rglob("*")) if start.is_dir() else []:
        relative = path.relative_to(root)
        found = compiled.fullmatch(relative.as_posix())
        if found and path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield path, found.groupdict()


def fill(pattern: str, values: Mapping[str, str]) -> str:
    """A pattern with the values of its placeholders: `fill("masks/{id}.png", {"id": "a"})` → "masks/a.png"."""
    for name, value in values.items():
        pattern = pattern.replace("{" + name + "}", value)
    return pattern


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


def color_codes(rgb: NDArray[Any]) -> NDArray[np.int64]:
    """Colours (..., 3) → 0xRRGGBB (...)."""
    channels = rgb.astype(np.int64)
    return channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]


def _from_colors(rgb: NDArray[Any], card: Card, name: str | Path) -> NDArray[np.int64]:
    codes = color_codes(rgb)
    known = {int(color_codes(np.array(color))): IGNORE_INDEX if label == VOID else card.names.index(label)
             for label, color in card.colors.items()}  # fmt: skip
    if not known:
        raise ValueError(f"{name}: the mask holds colours; state the colour of each class under colors: in the card")
    order = np.array(sorted(known))
    position = np.searchsorted(order, codes).clip(max=len(order) - 1)
    if (order[position] != codes).any():
        found, pixels = np.unique(codes, return_counts=True)
        foreign = [(int(n), int(code)) for code, n in zip(found, pixels, strict=True) if int(code) not in known]
        listed = ", ".join(f"#{code:06x} ({n} pixels)" for n, code in sorted(foreign, reverse=True)[:5])
        raise ValueError(
            f"{name}: {len(foreign)} of {len(found)} colours are not in the card: {listed}. Add them under colors:, or"
            " save the mask without anti-aliasing and without lossy compression"
        )
    return np.array([known[code] for code in order.tolist()], np.int64)[position]


def _translated(values: NDArray[np.int64], card: Card, name: str | Path) -> NDArray[np.int64]:
    # −1 and 255 are void unless they are listed.
    meanings = {-1: VOID, IGNORE_INDEX: VOID, **card.labels}
    order = np.array(sorted(meanings))
    position = np.searchsorted(order, values).clip(max=len(order) - 1)
    if (foreign := order[position] != values).any():
        found, pixels = np.unique(values[foreign], return_counts=True)
        listed = ", ".join(f"{value} ({n} pixels)" for value, n in list(zip(found, pixels, strict=True))[:10])
        raise ValueError(f"{name}: values that labels: in the card does not list: {listed}; add them")

    def index(meaning: int | str) -> int:
        return IGNORE_INDEX if meaning == VOID else meaning if isinstance(meaning, int) else card.names.index(meaning)

    return np.array([index(meanings[value]) for value in order.tolist()], np.int64)[position]


def fitted(labels: Labels, size: tuple[int, int], card: Card, name: str | Path) -> Labels:
    """Class indices at the size (H, W) of their image: unchanged, or upsampled where the card states so.

    Upsampling is nearest-exact: output pixel i has the label at (i + 0.5) · h / H.

    Raises:
        ValueError: another size and `size: equal`; or another aspect ratio.
    """
    if labels.shape == size:
        return labels
    (h, w), (height, width) = labels.shape, size
    sizes = f"{name}: the image is {height} × {width} pixels (height × width), its mask {h} × {w}"
    if (h, w) == (width, height) and card.size == "equal":
        other = "upright" if card.orientation == "stored" else "stored"
        raise ValueError(f"{sizes}; does one of them ignore the EXIF orientation? Then state orientation: {other}")
    if card.size == "equal" or abs(h * width - w * height) > max(width, height):
        remedy = "state size: upsample" if card.size == "equal" else "masks of another aspect ratio are not upsampled"
        raise ValueError(f"{sizes}; {remedy}, or pair images and masks by their names")
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in ((height, h), (width, w)))
    return labels[rows[:, None], columns]


def fields(values: Mapping[str, str]) -> tuple[str, str]:
    """The values of a pattern's placeholders → split ("" without one) and id, which begins with the group."""
    name = values.get("id") or values.get("number") or ""
    group = values.get("group")
    return values.get("split") or "", f"{group}/{name}".rstrip("/") if group else name
