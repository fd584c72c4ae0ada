"""Where the project's own files lie: beside the package in a checkout, under `share/seglab` after `pip install`.

Both trees are laid out alike: `notebooks/`, `data/results/`, `data/zoo/`, `constraints.txt`.
"""

import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def project_root() -> Path | None:
    """The checkout that this package is imported from; None when it was installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def share_dir() -> Path | None:
    """The folder that holds notebooks and trained weights; None when neither a checkout nor a wheel brought it."""
    if root := project_root():
        return root
    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    shares = (Path(sysconfig.get_path("data", scheme)) / "share" / "seglab" for scheme in schemes)
    return next((share for share in shares if share.is_dir()), None)


def slug(text: str) -> str:
    """A name as part of a path: `"toytown:night test"` → `"toytown-night-test"`."""
    return "".join(c if c.isalnum() or c in "._" else "-" for c in text).strip("-.") or "data"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what is to lie at `path`. Killed at any moment, this leaves the old file or the new one."""
    unfinished = path.with_name(path.name + ".part")
    yield unfinished
    unfinished.replace(path)


def working_root() -> Path:
    """The folder that downloads and results go under: the checkout, or where the command runs."""
    return project_root() or Path.cwd()


# Paths of somebody's machine, whoever ran the notebook. Addresses (https://…/tmp/…) are left alone; a path may
# follow the code of a terminal colour.
_START, _END = r"(?:(?<![\w.:/~…-])|(?<=\dm))", r"(?![\w.-])"
_PATHS = [
    (re.compile(r"ipykernel_\d+/\d+\.py"), "ipykernel/cell.py"),
    (re.compile(r"[^\s'\"(<]*/lib/python3\.\d+/site-packages"), "…/site-packages"),
    (re.compile(_START + r"(/(private/)?var/folders/[\w+-]+/[\w+-]+/T|/tmp)" + _END), "…"),
    (re.compile(_START + r"(/(home|Users)/[\w.-]+|/root|[A-Z]:\\+Users\\+[\w.-]+)" + _END), "~"),
]


def hide_paths(text: str) -> str:
    """Replace this machine's folders, and any machine's home and temporary folders, by `~` and `…`."""
    for folder in _own_folders():
        text = re.sub(_START + re.escape(folder) + _END, "…", text)
    for pattern, instead in _PATHS:
        text = pattern.sub(instead, text)
    return text


def _own_folders() -> list[str]:
    folders = {Path(sys.prefix), Path.cwd(), Path(tempfile.gettempdir()), project_root()} - {None, Path.home()}
    # The longest first, since one may lie in another; /usr and / are everybody's.
    return sorted((str(folder) for folder in folders if folder and len(folder.parts) > 2), key=len, reverse=True)
