"""Files from the network: an interrupted download is resumed, and each file is verified before it is in place.

`pooch` decides whether a file must be downloaded, verifies its hash and moves it into place. None of its downloaders
can resume, so the transfer is done here: received bytes lie in `NAME.part` beside the file until it is complete.
"""

import shutil
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from stat import S_IFDIR, S_IFMT, S_IFREG
from typing import Any

import pooch
import requests
from tqdm.auto import tqdm

pooch.get_logger().setLevel("WARNING")  # its messages would interleave with the progress bar


LONGER = 1.2  # times the announced size: where a download is stopped


class _TooLong(Exception):
    """A file is longer than announced."""


def fetch(
    url: str,
    path: str | Path,
    hash: str | None = None,
    progress: bool = True,
    num_bytes: int | None = None,
    retries: int = 5,
    pause: float = 1.0,
) -> Path:
    """Download `url` to `path`, unless the file is there already; returns the path.

    Args:
        hash: `"sha256:…"` or `"md5:…"`; None skips verification (then verify the content yourself).
        num_bytes: size of the file; a download that becomes longer than 1.2 times as much is stopped and deleted.
        retries: how many attempts in a row may fail without receiving a byte; the next failure is raised.
        pause: seconds before the next attempt; doubled after each failure, up to 30.

    Raises:
        ValueError: no connection, no such file, one that is too long, or a file with another hash; the message gives
            the remedy.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    limit = None if num_bytes is None else LONGER * num_bytes
    transfer = partial(_transfer, part=part, limit=limit, progress=progress, retries=retries, pause=pause)
    try:
        pooch.retrieve(url, hash, fname=path.name, path=path.parent, downloader=transfer)
    except requests.RequestException as error:
        raise ValueError(
            f"could not download {path.name} ({human(num_bytes)}) from {url}: {_reason(error)}. Try again later"
            f" (received bytes are kept), or get the file elsewhere and put it at {path.resolve()}. The data set"
            " 'toytown' needs no download."
        ) from error
    except _TooLong as error:
        part.unlink(missing_ok=True)
        raise ValueError(
            f"{path.name} from {url} is longer than the {human(num_bytes)} that were announced: {error}. It was"
            f" deleted; try again later, or put the right file at {path.resolve()}."
        ) from error
    except ValueError as error:  # the hash differs, and pooch has deleted the file
        raise ValueError(
            f"{path.name} from {url} is not the expected file ({hash}): a login page, a new version, or a damaged"
            f" transfer. It was deleted; try again, or put the right file at {path.resolve()}."
        ) from error
    return path


def unpack(archive: str | Path, folder: str | Path, member: str = "", progress: bool = True) -> Path:
    """Unpack a zip or tar archive as `folder`, which appears complete or not at all; returns the folder.

    Args:
        folder: must not exist yet.
        member: unpack only this folder of the archive.

    Raises:
        ValueError: the archive is damaged, holds links or paths that lead out of the folder, is larger than the
            free disk space, or has no such member. Nothing is unpacked then.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists already; remove it to unpack {archive.name} again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        try:
            _extract(archive, Path(temporary, "all"), member, progress)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
            raise ValueError(f"{archive} is damaged ({error}); delete it and download it again") from error
        unpacked = Path(temporary, "all", member)
        if not unpacked.is_dir():
            raise ValueError(f"{archive} holds no folder {member!r}")
        unpacked.replace(folder)
    return folder


def human(num_bytes: int | None) -> str:
    """`815585330` → `"816 MB"`."""
    if num_bytes is None:
        return "size unknown"
    units = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1))
    unit, factor = next((u, f) for u, f in units if num_bytes >= f or f == 1)
    return f"{num_bytes / factor:.3g} {unit}"


def _transfer(
    url: str, output_file: str, _pooch: object, *, part: Path, limit: float | None, progress: bool, retries: int,
    pause: float,
) -> None:  # fmt: skip
    """A downloader for pooch: repeated attempts, each of which continues where the previous one stopped."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part, limit, progress)
            break
        except requests.RequestException as error:
            failures = 0 if _size(part) > before else failures + 1
            if failures > retries or not _is_temporary(error):
                raise
            time.sleep(min(30, pause * 2**failures))
    part.replace(output_file)


def _attempt(url: str, part: Path, limit: float | None, progress: bool) -> None:
    """Append the missing bytes to `part`, up to `limit`; start from its beginning when the server cannot resume."""
    received = _size(part)
    # Without compression, so that ranges count bytes of the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={received}-"} if received else {})
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        content_range = response.headers.get("Content-Range", "")
        if received and response.status_code == requests.codes.requested_range_not_satisfiable:
            if content_range == f"bytes */{received}":  # complete, but not yet moved into place
                return
            part.unlink()  # the beginning of another file
            raise requests.ConnectionError(f"the server's file is shorter than the {received} bytes received before")
        response.raise_for_status()
        # Bytes are stored as they are sent: a few compressed ones could become more than the disk can hold.
        response.raw.headers.discard("Content-Encoding")
        partial_content = response.status_code == requests.codes.partial_content
        resumed = partial_content and content_range.startswith(f"bytes {received}-")
        start, length = received if resumed else 0, response.headers.get("Content-Length")
        if limit is not None and length and start + int(length) > limit:
            raise _TooLong(f"the server has {human(start + int(length))}")
        bar = tqdm(
            desc=part.stem, initial=start, total=start + int(length) if length else None,
            unit="B", unit_scale=True, disable=not progress,
        )  # fmt: skip
        with bar, part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(1 << 16):
                if limit is not None and file.tell() + len(chunk) > limit:
                    raise _TooLong(f"more than {human(int(limit))} were sent")
                file.write(chunk)
                bar.update(len(chunk))


def _is_temporary(error: requests.RequestException) -> bool:
    """Whether another attempt may succeed; False after "404 Not Found" and the like."""
    status = error.response.status_code if error.response is not None else 503
    return status >= 500 or status in (requests.codes.request_timeout, requests.codes.too_many_requests)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server replied {error.response.status_code} {error.response.reason}"
    return "no reply" if isinstance(error, requests.Timeout) else f"no connection ({type(error).__name__})"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _extract(archive: Path, folder: Path, member: str, progress: bool) -> None:
    """Extract `member` of an archive into `folder`, after a check of all its entries and of the free disk space.

    By itself `zipfile` renames unsafe paths, and `tarfile` stops at the first one with the others unpacked.
    """
    is_zip = zipfile.is_zipfile(archive)
    if not is_zip and not tarfile.is_tarfile(archive):
        raise ValueError(f"{archive} is neither a zip nor a tar archive; delete it and download it again")
    with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as opened:
        extract: Callable[..., object]
        entries: list[tuple[Any, str, int, bool]]  # entry, name, bytes, whether it is a plain file or a folder
        if isinstance(opened, zipfile.ZipFile):
            plain = (0, S_IFREG, S_IFDIR)  # 0: written by a system without Unix modes
            entries = [(i, i.filename, i.file_size, S_IFMT(i.external_attr >> 16) in plain) for i in opened.filelist]
            extract = opened.extract
        else:
            entries = [(i, i.name, i.size, i.isfile() or i.isdir()) for i in opened]
            extract = partial(opened.extract, filter="data")
        entries = [entry for entry in entries if not member or PurePosixPath(entry[1]).is_relative_to(member)]
        for _, name, _, is_plain in entries:
            path = PureWindowsPath(name)  # recognises both slashes, and drives
            outside = path.drive or path.root or ".." in path.parts
            if outside or not is_plain:
                kind = "a path that leads out of the folder" if outside else "a link or a device"
                raise ValueError(f"{archive} holds {kind}, {name!r}; nothing was unpacked, do not trust it")
        total, free = sum(entry[2] for entry in entries), shutil.disk_usage(folder.parent).free
        if total > free:
            raise ValueError(f"{archive} unpacks to {human(total)}, but only {human(free)} are free on this disk")
        for entry, *_ in tqdm(entries, desc=f"unpacking {archive.name}", unit="file", disable=not progress):
            extract(entry, folder)
