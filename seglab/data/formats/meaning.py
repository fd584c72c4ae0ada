"""What the values of masks mean: fields of a card, sentences that name the values, and questions they leave open."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seglab.data.card import VOID
from seglab.data.classes import IGNORE_INDEX
from seglab.data.formats.findings import Findings, listed
from seglab.data.formats.tables import ClassTable
from seglab.data.formats.values import Values
from seglab.data.labels import color_codes
from seglab.data.palette import Color

_VOID_COLOR = 0xE0E0C0  # of the borders in PASCAL VOC


def explain(values: Values, table: ClassTable | None, void_is_zero: bool = False) -> Findings:
    """What the values of masks mean.

    Args:
        void_is_zero: the layout is one where 0 often is void (MMSegmentation).

    Raises:
        ValueError: values that are no labels: blurred colours, or a lossy file of more than two classes.
    """
    found = Findings()
    if values.read < values.total:
        found.note(f"{values.read} of {values.total} masks were read.")
    if values.lossy:
        _lossy(values, table, found)
    elif values.colors:
        _colors(values, table, found)
    else:
        _numbers(values, table, found, void_is_zero)
    return found


def _lossy(values: Values, table: ClassTable | None, found: Findings) -> None:
    total = sum(values.numbers.values())
    near = sum(n for value, n in values.numbers.items() if min(value, 255 - value) < 48)
    if values.colors or near < 0.9 * total:
        raise ValueError(
            "the masks were saved with lossy compression (JPEG), which changed their values; save them as PNG from the"
            " annotation tool"
        )
    sentence = (
        f"The masks are lossy (JPEG) and hold {len(values.numbers)} values near 0 and 255; from 128 on is class 1."
    )
    found.note(sentence, threshold=128, names=_names(2, table, found))


def _names(count: int, table: ClassTable | None, found: Findings) -> tuple[str, ...]:
    if table is not None and len(table.names) == count:
        return table.names
    found.note("The names of the classes are stated nowhere; replace those under names:.")
    return tuple(f"class_{index}" for index in range(count))


def _rgb(code: int) -> Color:
    return code >> 16, code >> 8 & 255, code & 255


def _pixels(counts: Mapping[int, int], form: str = "{}") -> str:
    return listed(counts, form + " ({} pixels)", most=12)


def _colors(values: Values, table: ClassTable | None, found: Findings) -> None:
    counts = dict(values.colors.most_common())
    if values.numbers:
        found.note("Some masks hold colours and others numbers; numbers are read as labels.")
    if table is not None and table.colors:
        known = {int(color_codes(color)) for color in table.colors.values()}
        used = sum(code in known for code in counts)
        sentence = f"{table.path.name} lists {len(table.colors)} classes with colours; the masks hold {used} of them."
        found.note(sentence, names=table.names, colors=dict(table.colors))
        if foreign := {code: n for code, n in counts.items() if code not in known}:
            found.note(f"Colours that {table.path.name} does not list: {_pixels(foreign, '#{:06x}')}.")
        if table.void:
            _ask_void_name(table, found)
        return
    if len(counts) > 64:
        most = _pixels(dict([*counts.items()][:4]), "#{:06x}")
        raise ValueError(
            f"the masks hold {len(counts)} colours, such as {most}; save them without"
            " anti-aliasing and without lossy compression, or list the colours of the classes in class_dict.csv"
            " (name,r,g,b)"
        )
    void = {VOID: _rgb(_VOID_COLOR)} if _VOID_COLOR in counts else {}
    classes = [code for code, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if code != _VOID_COLOR]
    names = _names(len(classes), table, found)
    found.changes |= {"names": names, "colors": dict(zip(names, map(_rgb, classes), strict=True)) | void}
    found.note(f"The masks hold {len(counts)} colours: {_pixels(counts, '#{:06x}')}.")
    if void:
        found.note("#e0e0c0 is void, as the borders of objects in PASCAL VOC.")


def _ask_void_name(table: ClassTable, found: Findings) -> None:
    name = table.void
    names, labels = table.labels(void=name)
    colors = {VOID if key == name else key: color for key, color in table.colors.items()}
    as_void = {"names": names, "colors": colors} if colors else {"names": names, "labels": labels}
    found.ask(
        f"{table.path.name} lists a class {name!r}. Is it void, so that its pixels are not evaluated, or a class?",
        {"void": as_void, "class": {"names": table.names}},
    )


def _numbers(values: Values, table: ClassTable | None, found: Findings, void_is_zero: bool) -> None:
    counts = {value: n for value, n in values.numbers.items() if value != -1}
    found.note(f"The masks hold the values {_pixels(dict(sorted(counts.items())))}.")
    if -1 in values.numbers:
        found.note("−1 is void.")
    largest = max(counts, default=0)
    binary = set(counts) <= {0, largest} and (10 <= largest <= 255 or largest == 65535)
    expected = len(table.names) if table is not None else 2
    if binary and largest and (table is None or expected == 2):
        names, sentence = _names(2, table, found), f"The two values 0 and {largest} are two classes."
        found.note(sentence, labels={0: 0, largest: 1}, names=names)
    elif largest > IGNORE_INDEX:
        _ask_instances(counts, table, found)
    elif table is not None:
        _with_table(set(counts), table, found, void_is_zero)
    elif values.instances and len(values.instances) == values.read:
        _ask_objects(
            f"Each mask holds the values 1 to n, each one connected region (n up to {largest}).", counts, found
        )
    else:
        _without_table(set(counts), found, void_is_zero)


def _ask_instances(counts: Mapping[int, int], table: ClassTable | None, found: Findings) -> None:
    divided = max(value // 1000 for value in counts)
    labels = table.labels()[1] if table is not None else {}
    names = table.names if table is not None else tuple(f"class_{index}" for index in range(divided + 1))
    by_class = {"divide": 1000, "names": names} | ({"labels": labels} if labels else {})
    one = {"threshold": 1, "names": ("background", "object")}
    options = {"class × 1000 + object": by_class, "each value above 0 is an object of one class": one}
    if divided > 253 or max(counts) < 1000:
        options.pop("class × 1000 + object")
        options["the values are no labels"] = {"names": ()}
    found.ask(f"The masks hold values up to {max(counts)}, which are no class indices. What do they mean?", options)


def _ask_objects(text: str, counts: Mapping[int, int], found: Findings) -> None:
    classes = tuple(f"class_{index}" for index in range(max(counts) + 1))
    one = {"threshold": 1, "names": ("background", "object")}
    found.ask(f"{text} Are they objects of one class, or classes?", {"objects": one, "classes": {"names": classes}})


def _with_table(raw: set[int], table: ClassTable, found: Findings, void_is_zero: bool) -> None:
    names, labels = table.labels()
    name, count = table.path.name, len(names)
    known = set(labels) or set(range(count))
    found.note(f"{name} lists {count} classes.", names=names, labels=labels)
    if raw == {0, IGNORE_INDEX}:
        found.ask(
            f"The masks hold only 0 and 255, and {name} lists {count} classes. Is 255 void, or class 1?",
            {"void": {}, "class": {"labels": {0: 0, 255: 1}}},
        )
    elif table.void and table.values:  # nnU-Net's "ignore"
        names, labels = table.labels(void=table.void)
        found.note(f"{table.void!r} is void.", names=names, labels=labels)
    elif table.void:
        _ask_void_name(table, found)
    elif not table.values and raw - {0, IGNORE_INDEX} <= set(range(1, count + 1)) and (count in raw or void_is_zero):
        shifted = {"reduce_zero": True}
        if count in raw and 0 not in raw:
            found.note(f"The labels count from 1 to {count}.", reduce_zero=True)
        else:
            options: dict[str, dict[str, Any]] = {"void": shifted}
            options |= {"class": {}} if count not in raw else {"background": {"names": ("background", *names)}}
            found.ask(f"{name} lists {count} classes. Does 0 mean void, or is it a class?", options)
    elif foreign := raw - known - {IGNORE_INDEX}:
        found.note(f"Values that {name} does not list: {', '.join(map(str, sorted(foreign)))}; add their classes.")
    if IGNORE_INDEX in raw - known and len(raw) > 2:
        found.note("255 is void.")


def _without_table(raw: set[int], found: Findings, void_is_zero: bool) -> None:
    ordered = sorted(raw)
    if len(ordered) > 2 and min(np.diff(ordered)) >= 10:  # grey levels
        labels = {value: index for index, value in enumerate(ordered)}
        names = _names(len(ordered), None, found)
        found.note("The values are far apart, so each is a class.", labels=labels, names=names)
        if IGNORE_INDEX in raw:
            without = {"labels": {v: i for v, i in labels.items() if v != IGNORE_INDEX}, "names": names[:-1]}
            found.ask("Is 255 void, or a class?", {"class": {"labels": labels, "names": names}, "void": without})
        return
    largest = max(raw - {IGNORE_INDEX}, default=0)
    if IGNORE_INDEX in raw:
        found.note("255 is void.")
    names = _names(largest + 1, None, found)
    found.changes["names"] = names
    if largest and 0 not in raw:
        found.note("0 does not occur: the labels count from 1.", reduce_zero=True, names=names[:-1])
    elif void_is_zero and largest > 1:
        found.ask(
            "0 is void in some data sets with img_dir/ and ann_dir/ (reduce_zero_label). Is it void here, or a class?",
            {"void": {"reduce_zero": True, "names": names[:-1]}, "class": {"names": names}},
        )
