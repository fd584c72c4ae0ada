"""The project's folders: beside the package in a checkout, under `share/seglab` after `pip install`.

Both have the same layout: `notebooks/`, `data/results/`, `data/zoo/`, `constraints.txt`.
"""

import hashlib
import os
import re
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from unicodedata import normalize

PART = ".seglab-"  # first letters of an unfinished file's name
LONGEST = 180  # bytes of a name that becomes a part of a file's name; most file systems allow 255 in all


def project_root() -> Path | None:
    """The checkout that holds this package; None when it was installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def share_dir() -> Path | None:
    """The folder with the notebooks and trained weights; None when there is neither a checkout nor a wheel's."""
    if root := project_root():
        return root
    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    shares = (Path(sysconfig.get_path("data", scheme)) / "share" / "seglab" for scheme in schemes)
    return next((share for share in shares if share.is_dir()), None)


def working_root() -> Path:
    """The folder for downloads and results: the checkout, or the current directory."""
    return project_root() or Path.cwd()


def cache_dir() -> Path:
    """The folder for what can be made again, as the graphs of models: SEGLAB_CACHE, else one of the system's caches."""
    import pooch

    return Path(os.environ.get("SEGLAB_CACHE") or pooch.os_cache("seglab"))


def slug(text: str) -> str:
    """A name as part of a path: `"toytown:night test"` → `"toytown-night-test"`."""
    return "".join(c if c.isalnum() or c in "._" else "-" for c in text).strip("-.") or "data"


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Each name → a name for its file: the `slug`, with a hash of the name where two names would share one file.

    Many file systems ignore case and composition of letters. A slug that is too long for a file is shortened.
    """
    slugs = {name: slug(name) for name in names}
    alike = Counter(map(_folded, slugs.values()))
    return {name: text if alike[_folded(text)] == 1 and len(text.encode()) <= LONGEST else _with_hash(text, name)
            for name, text in slugs.items()}  # fmt: skip


def _folded(text: str) -> str:
    return normalize("NFC", text).casefold()


def _with_hash(text: str, name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{text.encode()[:LONGEST].decode(errors='ignore')}-{digest}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, renamed to `path` at the end: a killed process leaves the old or the new file.

    The temporary name is unique, so that two processes can write the same file; after an error it is removed. What a
    killed process leaves is removed by `folders.claim`.
    """
    unfinished = path.with_name(f"{PART}{token_hex(8)}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


# Personal paths. URLs (https://…/tmp/…) are left alone; a path may follow the code of a terminal colour.
_START, _END = r"(?:(?<![\w.:/~…-])|(?<=\dm))", r"(?![\w.-])"
_PATHS = [
    (re.compile(r"ipykernel_\d+/\d+\.py"), "ipykernel/cell.py"),
    (re.compile(r"[^\s'\"(<]*/lib/python3\.\d+/site-packages"), "…/site-packages"),
    (re.compile(_START + r"(/(private/)?var/folders/[\w+-]+/[\w+-]+/T|/tmp)" + _END), "…"),
    (re.compile(_START + r"(/(home|Users)/[\w.-]+|/root|[A-Z]:\\+Users\\+[\w.-]+)" + _END), "~"),
]


def hide_paths(text: str) -> str:
    """Replace this machine's project folders, and any machine's home and temporary folders, by `~` and `…`."""
    own = {Path(sys.prefix), Path.cwd(), Path(tempfile.gettempdir()), project_root()} - {None, Path.home()}
    folders = [str(folder) for folder in own if folder and len(folder.parts) > 2]  # not /usr and /
    for folder in sorted(folders, key=len, reverse=True):  # the longest first: one folder may lie in another
        text = re.sub(_START + re.escape(folder) + _END, "…", text)
    for pattern, replacement in _PATHS:
        text = pattern.sub(replacement, text)
    return text
