"""One rule for commands that write files: files that seglab did not make are left alone.

A folder that a command writes to has a mark: an empty file `.seglab-COMMAND`. A folder with other files and without the
mark was not made by seglab; only `--force` writes there. While a command writes, it holds a lock on the mark, which
the operating system releases even when the process is killed; a second command is refused at once. A function that
claims a folder can be called by a command that has claimed it, in the same thread.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout
from typer import Option

from seglab._utils.paths import PART

# The option of the commands that write into a folder.
Force = Annotated[bool, Option("--force", help="Write into that folder although it holds other files.")]
SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}  # which file managers leave


@contextmanager
def claim(
    folder: str | Path, command: str, force: bool = False, made_before: Callable[[Path], bool] = lambda _: False
) -> Iterator[Path]:
    """Make a folder one's own while a command writes into it; gives the folder, which exists then.

    Call this before anything that takes long, so that a folder that cannot be used is reported at once. A folder that
    is made here and is empty after an error is removed again.

    Args:
        command: which command writes there: "report", "train", "predict", "evaluate".
        force: also write into a folder with files that this command did not write. Writing still replaces only files
            of the names that the command writes, and a folder in use stays refused.
        made_before: whether a folder without a mark is one that an earlier version made; it is marked then.

    Raises:
        ValueError: the folder holds other files, is in use by another process, or cannot be written to.
    """
    folder = Path(folder)
    mark = folder / f"{PART}{command}"
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        foreign = _others(folder) if folder.is_dir() and not mark.is_file() and not force else []
        if foreign and not made_before(folder):
            raise ValueError(
                f"{folder} holds files that `seglab {command}` did not write, such as {foreign[0]!r}; choose another"
                " folder, or give --force, which replaces files of the names that are written"
            )
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(mark, timeout=0, is_singleton=True)
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"another process writes to {folder}; wait until it has finished, or choose another folder"
        ) from None
    except OSError as error:
        raise ValueError(f"{folder} cannot be written to ({error.strerror or error}); choose another folder") from None
    try:
        for path in folder.glob(f"{PART}*.part"):  # left by a process that was killed
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield folder
    except BaseException:
        with suppress(OSError):
            if missing and not _others(folder):
                mark.unlink()
                for path in missing:
                    path.rmdir()
        raise
    finally:
        lock.release()


def check_absent(file: Path, force: bool = False) -> None:
    """Raise a ValueError if a file that is to be written exists, unless `force` allows to replace it."""
    if file.exists() and not force:
        raise ValueError(f"{file} exists already and is kept; choose another name, or add --force to replace it")


def _others(folder: Path) -> list[str]:
    """The names of files in a folder, without marks, unfinished files and those of file managers."""
    names = (path.name for path in folder.iterdir())
    return sorted(name for name in names if not name.startswith(PART) and name not in SYSTEM_FILES)
