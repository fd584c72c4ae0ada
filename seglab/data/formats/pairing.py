"""Which files of a folder are images and which are their masks: patterns, found by folders and by equal names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath

from seglab.data.formats.joining import Pair, join

_SPLIT = re.compile(
    r"(?<![a-z])(training|train|validation|valid|val|testing|test)(?![a-z])"
    r"|^(train|val|test)(?=annot|labels?$|masks?$|images?$)",
    re.IGNORECASE,
)
# A word of a folder's or file's name states its role; the first role below wins.
_ROLES = {
    "other": r"objects?|instances?|panoptic|colou?rs?|visuali[sz]ations?|viz|vis|overlays?|depth|npy|polygons|"
             "previews?",
    "mask": r"masks?|labels?|labell?ed|gt|truth|groundtruth|annot\w*|anno?s?|seg|segm\w*|targets?|manual|lbl|cls"
            "|trimaps?|trainannot|testannot|valannot|roi|fov|converted|l",
    "image": r"images?|imgs?|jpe?g|photos?|raw|rgb|frames?|data|inputs?|pictures?|orig\w*|left|volumes?|scans?",
}  # fmt: skip
_FIELD_OF_VIEW = re.compile(r"mask|fov\w*|roi\w*|valid\w*|areas?|fields?")


@dataclass(frozen=True)
class Pairing:
    """Patterns of images and masks, and the files that they pair.

    Attributes:
        kind: "maps" (one mask an image), "classes" (one file a class) or "objects" (one file an object).
        pairs: images with their masks.
        lonely: images without a mask.
        likely: how well the names fit the roles of image and mask.
    """

    images: str
    masks: str
    kind: str
    pairs: tuple[Pair, ...] = ()
    lonely: tuple[str, ...] = ()
    likely: int = 0

    @property
    def files(self) -> int:
        """How many files the patterns explain."""
        return sum(1 + len(pair.masks) for pair in self.pairs)


def role(name: str) -> str:
    """The role that a name states: "other", "mask", "image" or ""."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    return next((kind for kind, words_of in _ROLES.items() if any(re.fullmatch(words_of, w) for w in words)), "")


def pairings(files: Sequence[str]) -> list[Pairing]:
    """Every way to pair these files by patterns, the best first."""
    sets = _file_sets(files)
    candidates: dict[tuple[str, str], Pairing] = {}
    for folder, stems, suffix in sets:
        for other, mask_stems, mask_suffix in sets:
            if len(sets) > 60 or (folder, stems, suffix) == (other, mask_stems, mask_suffix):
                continue
            for image, mask, kind in _patterns((folder, stems), (other, mask_stems)):
                candidates.setdefault(
                    (image + suffix, mask + mask_suffix), Pairing(image + suffix, mask + mask_suffix, kind)
                )
    likely = [replace(c, likely=_likely(c)) for c in candidates.values()]
    joined = [checked(c, files) for c in sorted(likely, key=lambda c: -c.likely)[:400] if c.likely >= 0]
    found = [c for c in joined if c.pairs and (c.kind != "maps" or all(len(pair.masks) == 1 for pair in c.pairs))]
    return sorted(found, key=lambda c: (-c.likely, -c.files, c.kind != "maps", len(c.lonely), c.masks.count("*")))


def checked(pairing: Pairing, files: Sequence[str]) -> Pairing:
    """The pairing with the pairs that its patterns make of these files."""
    pairs = join(pairing.images, pairing.masks, files)
    splits = {split for pair in pairs if pair.masks and (split := pair.values.get("split"))}
    if len(splits) == 1:  # one split is no split: the folder is part of the pattern
        split = splits.pop()
        images, masks = (pattern.replace("{split}", split) for pattern in (pairing.images, pairing.masks))
        return checked(replace(pairing, images=images, masks=masks), files)
    lonely = tuple(pair.image for pair in pairs if not pair.masks)
    return replace(pairing, pairs=tuple(pair for pair in pairs if pair.masks), lonely=lonely)


def _likely(pairing: Pairing) -> int:
    """How well names fit the roles: the last part of a pattern with a role decides, before that what differs."""
    images, masks = (pattern.split("/") for pattern in (pairing.images, pairing.masks))
    differing = [(a, b) for a, b in zip(images, masks, strict=False) if a != b] if len(images) == len(masks) else []
    ours, theirs = zip(*differing, strict=True) if differing else (images, masks)

    def stated(parts: Sequence[str]) -> str:
        names = [re.sub(r"\{\w+\}|\.\*|\.\w+$", " ", part) for part in parts]
        return next(filter(None, (role(name) for name in reversed(names))), "")

    image, mask = stated(ours), stated(theirs)
    return {"mask": 2, "": 0, "image": -4, "other": -1}[mask] + {"image": 1, "": 0, "mask": -3, "other": -3}[image]


def is_area(pattern: str, images: str) -> bool:
    """Whether masks are named as a field of view: "mask/{id}_mask.gif" beside "1st_manual/{id}_manual1.gif"."""
    words = re.findall(r"[A-Za-z]+", re.sub(r"\{\w+\}|\.\w+$", " ", pattern))
    return any(_FIELD_OF_VIEW.fullmatch(word.lower()) for word in words) and pattern != images


Folder = tuple[str, ...]
Names = tuple[str, ...]


def _file_sets(files: Sequence[str]) -> list[tuple[tuple[Folder, Names], Names, str]]:
    """Sets of files that are alike: ((pattern of the folder, its groups), stems, suffix)."""
    paths = [PurePosixPath(path) for path in files]
    folders = _folder_patterns({path.parent.parts for path in paths})
    members: dict[Folder, list[PurePosixPath]] = defaultdict(list)
    for path in paths:
        members[folders[path.parent.parts]].append(path)
    sets = []
    for folder, inside in members.items():
        by_suffix: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in inside:
            by_suffix[_suffix(path.name)].append(path)
        subsets = list(by_suffix.items()) + ([(".*", inside)] if len(by_suffix) > 1 else [])
        for suffix, some in subsets:
            stems = [path.name.removesuffix(_suffix(path.name)) for path in some]
            groups = [path.parts[folder.index("{group}")] if "{group}" in folder else "" for path in some]
            chosen = list(zip(groups, stems, strict=True))
            parts = [chosen]
            derived = _derived(set(stems))
            if derived:
                parts += [[c for c in chosen if c[1] not in derived], [c for c in chosen if c[1] in derived]]
            roles = {kind: [c for c in chosen if role(c[1]) == kind] for kind in ("image", "mask", "")}
            parts += [some for some in roles.values() if some and len(some) < len(chosen)]
            for part in parts:
                if part:
                    sets.append(((folder, tuple(g for g, _ in part)), tuple(s for _, s in part), suffix))
    return list(dict.fromkeys(sets))


def _suffix(name: str) -> str:
    return ".nii.gz" if name.lower().endswith(".nii.gz") else PurePosixPath(name).suffix


def _derived(stems: set[str]) -> set[str]:
    """Stems that are another stem with an ending: "a_mask" beside "a"."""
    return {stem for stem in stems
            if any(stem[:k] in stems and not stem[k].isalnum() for k in range(1, len(stem)))}  # fmt: skip


def _folder_patterns(folders: set[Folder]) -> dict[Folder, Folder]:
    """Each folder with {split} for the name of a split, and {group} for folders that are alike."""
    words = {match[0].lower() for folder in folders for part in folder if (match := _SPLIT.search(part))}
    patterns = {folder: _with_split(folder) if len(words) > 1 else folder for folder in folders}
    for depth in range(max((len(folder) for folder in folders), default=0)):
        inner: dict[Folder, dict[str, set[Folder]]] = defaultdict(lambda: defaultdict(set))
        for pattern in patterns.values():
            if len(pattern) > depth:
                inner[pattern[:depth]][pattern[depth]].add(pattern[depth + 1 :])
        alike = {prefix for prefix, children in inner.items() if "{group}" not in prefix and _alike(prefix, children)}
        for folder, pattern in patterns.items():
            if len(pattern) > depth and pattern[:depth] in alike:
                patterns[folder] = (*pattern[:depth], "{group}", *pattern[depth + 1 :])
    return patterns


def _alike(prefix: Folder, children: dict[str, set[Folder]]) -> bool:
    if len(children) < 2 or any("{split}" in name for name in children):
        return False
    same = len({frozenset(inside) for inside in children.values()}) == 1
    numbered = len({re.sub(r"[0-9a-f]*\d[0-9a-f]*", "0", name) for name in children}) == 1
    roles = not numbered and any(role(name) for name in children)
    inside = {part for folder in next(iter(children.values())) for part in folder}
    return same and not roles and (len(children) > 2 or any(role(part) for part in (*prefix, *inside)))


def _with_split(folder: Folder) -> Folder:
    for part in folder:
        if match := _SPLIT.search(part):
            word = re.compile(rf"(?<![A-Za-z]){re.escape(match[0])}(?![a-z])|^{re.escape(match[0])}")
            return tuple(word.sub("{split}", other, count=1) for other in folder)
    return folder


def _patterns(
    images: tuple[tuple[Folder, Names], Names], masks: tuple[tuple[Folder, Names], Names]
) -> Iterator[tuple[str, str, str]]:
    """Patterns without suffixes of images and masks with these folders and stems, and the kind of masks."""
    ((folder, groups), stems), ((mask_folder, mask_groups), mask_stems) = images, masks
    if "{group}" in folder and "{group}" in mask_folder and len(set(groups)) == len(stems):
        # One image a folder, which is its id.
        own = "{id}" if stems == groups else stems[0] if len(set(stems)) == 1 else ""
        mask = "{id}" if mask_stems == mask_groups else mask_stems[0] if len(set(mask_stems)) == 1 else "*"
        if own:
            kind = "objects" if mask == "*" and folder != mask_folder else "maps"
            as_id = [tuple("{id}" if part == "{group}" else part for part in parts) for parts in (folder, mask_folder)]
            yield "/".join((*as_id[0], own)), "/".join((*as_id[1], mask)), kind
    if "{group}" in mask_folder and "{group}" not in folder:  # a folder for each class
        mask_folder = tuple("{class}" if part == "{group}" else part for part in mask_folder)
        for own, mask, kind in _names(tuple(set(stems)), tuple(set(mask_stems))):
            if kind == "maps":
                yield "/".join((*folder, own)), "/".join((*mask_folder, mask)), "classes"
        return
    for own, mask, kind in _names(tuple(sorted(set(stems))), tuple(sorted(set(mask_stems)))):
        yield "/".join((*folder, own)), "/".join((*mask_folder, mask)), kind


@lru_cache(4096)
def _names(stems: Names, mask_stems: Names) -> list[tuple[str, str, str]]:
    """Patterns of two sets of stems with ids in common: equal stems first, then constant beginnings and endings."""
    found: list[tuple[str, str, str]] = []
    if first := tuple(stem for stem in stems if stem.endswith("_0000")):  # the first channel of nnU-Net
        ids = {stem.removesuffix("_0000") for stem in first}
        if ids & set(mask_stems):
            return [("{id}_0000", "{id}", "maps")]
    beginning, ending = _constant(stems, 1), _constant(stems, -1)
    mask_beginning = _constant(mask_stems, 1)
    for start, end in dict.fromkeys((("", ""), ("", ending), (beginning, ""), (beginning, ending))):
        if any(len(stem) <= len(start) + len(end) for stem in stems):
            continue
        ids = {stem[len(start) : len(stem) - len(end)] for stem in stems}
        for mask_start in dict.fromkeys(("", mask_beginning)):
            rests = Counter(_rest(stem[len(mask_start) :], ids) for stem in mask_stems)
            unexplained = rests.pop(None, 0)
            if 2 * unexplained > len(mask_stems) or not rests:
                continue
            own = f"{start}{{id}}{end}"
            found += [(own, f"{mask_start}{{id}}{rest}", kind) for rest, kind in _endings(Counter(rests))]
        if found:
            return found
    numbers = [{tuple(int(n) for n in re.findall(r"\d+", stem)) for stem in some} for some in (stems, mask_stems)]
    if numbers[0] & numbers[1] and all(len(n) == 1 for some in numbers for n in some):
        named = [{re.sub(r"\d+", "{number}", stem) for stem in some} for some in (stems, mask_stems)]
        if len(named[0]) == len(named[1]) == 1:
            found.append((named[0].pop(), named[1].pop(), "maps"))
    return found


def _rest(stem: str, ids: set[str]) -> str | None:
    """What follows the longest id at the beginning of a stem; None without one."""
    for end in range(len(stem), 0, -1):
        if stem[:end] in ids and not (stem[end : end + 1].isdigit() and stem[end - 1].isdigit()):
            return stem[end:]
    return None


def _endings(rests: "Counter[str | None]") -> list[tuple[str, str]]:
    """Endings of masks, and their kind, by how often each occurs."""
    named = [str(rest) for rest in rests]
    if len(named) == 1:
        return [(named[0], "maps")]
    delimiters = {rest[:1] for rest in named}
    stated = [rest for rest in named if role(rest) in ("mask", "other") or rest == ""]
    if stated and not all(rest == "" for rest in stated):
        return [(rest, "maps") for rest in stated]
    if len(delimiters) == 1 and "" not in delimiters:
        delimiter = delimiters.pop()
        if all(rest[1:].isdigit() for rest in named):
            return [(delimiter + "*", "objects")]
        if not delimiter.isalnum():
            return [(delimiter + "{class}", "classes")]
    return [(rest, "maps") for rest in named if 2 * rests[rest] >= max(rests.values())]


def _constant(stems: Names, direction: int) -> str:
    """What all stems begin (1) or end (-1) with, cut where a word or a number would be split."""
    turned = [stem[::direction] for stem in stems]
    low, high = min(turned), max(turned)
    length = next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    common = low[:length][::direction]
    if len(stems) == 1:  # a single file: the word that states its role
        words = re.findall(r"[_\-. ][A-Za-z]+\d?$" if direction < 0 else r"^[A-Za-z]+[_\-. ]", stems[0])
        return words[0] if words and role(words[0]) else ""
    if direction < 0:
        match = re.search(r"[_\-. ].*$|[A-Za-z]+$", common)
        return re.sub(r"^([_\-. ]\d+)+(?=[_\-. ]|$)", "", match[0]) if match else ""
    match = re.search(r"^.*[_\-. ]|^[A-Za-z]+", common)
    return re.sub(r"(\d+[_\-. ])+$", "", match[0]) if match else ""
