"""Files from the network: resumed where they broke off, verified, and never half there.

`pooch` decides whether a file has to be fetched, verifies its hash and puts it into place; the transfer
itself is ours, since none of pooch's downloaders resumes. What has arrived lies in `NAME.part` beside the
file until it is complete, so that a broken connection or a killed process costs nothing.
"""

import shutil
import tarfile
import tempfile
import time
import zipfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import pooch
import requests
from tqdm.auto import tqdm

_CHUNK = 1 << 16
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError)

pooch.get_logger().setLevel("WARNING")  # its reports would interleave with the progress bar


def fetch(
    url: str,
    path: str | Path,
    hash: str | None = None,
    progress: bool = True,
    num_bytes: int | None = None,
    retries: int = 5,
    pause: float = 1.0,
) -> Path:
    """Have the file behind `url` at `path`: at once if it lies there already, else downloaded.

    Args:
        hash: `"sha256:…"` or `"md5:…"`; None accepts what comes (then verify the content yourself).
        progress: show a progress bar.
        num_bytes: how big the file is, for the error message.
        retries: attempts that may fail in a row, without a byte arriving, before the next failure is final.
        pause: seconds before the next attempt; doubled each time, up to 30.

    Raises:
        ValueError: no connection, no such file, or another file than the hash promises; it says what to do.
    """
    path = Path(path)
    transfer = partial(
        _transfer, part=path.with_name(path.name + ".part"), progress=progress, retries=retries, pause=pause
    )
    try:
        pooch.retrieve(url, hash, fname=path.name, path=path.parent, downloader=transfer)
    except requests.RequestException as error:
        raise ValueError(
            f"could not download {path.name} ({human(num_bytes)}) from {url}: {_reason(error)}. Try again later"
            f" (what has arrived is kept), or get it elsewhere and put it at {path.resolve()}. The data set"
            " 'toytown' needs no download."
        ) from error
    except ValueError as error:  # pooch has deleted the file
        raise ValueError(
            f"{path.name} from {url} is not the expected file ({hash}): a login page, a new version, or a damaged"
            f" transfer. It was deleted; try again, or put the right file at {path.resolve()}."
        ) from error
    return path


def unpack(
    archive: str | Path,
    folder: str | Path,
    member: str = "",
    progress: bool = True,
) -> Path:
    """Unpack a zip or tar archive as `folder`, which appears complete or not at all.

    Args:
        folder: must not exist yet.
        member: unpack only this folder of the archive.

    Raises:
        ValueError: the archive is damaged, holds links or paths that lead out of the folder, is larger
            than the free disk space, or has no such member; nothing of it is left behind.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists already; remove it to unpack {archive.name} again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        try:
            if zipfile.is_zipfile(archive):
                _unzip(archive, Path(temporary), member, progress)
            elif tarfile.is_tarfile(archive):
                _untar(archive, Path(temporary), member, progress)
            else:
                raise ValueError(f"{archive} is neither a zip nor a tar archive; delete it and download it again")
        except _DAMAGED as error:
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
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.3g} {unit}"
    return f"{num_bytes} bytes"


def _transfer(
    url: str, output_file: str, _pooch: object, *, part: Path, progress: bool, retries: int, pause: float
) -> None:
    """A downloader for pooch: as many attempts as it takes, each going on where the last one broke off."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part, progress)
            break
        except requests.RequestException as error:
            failures = 0 if _size(part) > before else failures + 1
            if failures > retries or not _passes(error):
                raise
            time.sleep(min(30, pause * 2**failures))
    part.replace(output_file)


def _attempt(url: str, part: Path, progress: bool) -> None:
    """Append to `part` what is missing; start over where the server cannot resume."""
    have = _size(part)
    # Uncompressed, so that bytes on the wire are bytes of the file and ranges mean the same to both sides.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        content_range = response.headers.get("Content-Range", "")
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            if content_range == f"bytes */{have}":  # it was complete, but not yet in its place
                return
            part.unlink()  # the beginning of some other file
            raise requests.ConnectionError(f"the server has fewer than the {have} bytes that were here")
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content and content_range.startswith(f"bytes {have}-")
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        bar = tqdm(
            desc=part.stem, initial=start, total=start + int(length) if length else None,
            unit="B", unit_scale=True, disable=not progress,
        )  # fmt: skip
        with bar, part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))


def _passes(error: requests.RequestException) -> bool:
    """Whether trying again may help: not after "404 Not Found" and the like."""
    status = error.response.status_code if error.response is not None else 503
    return status >= 500 or status in (requests.codes.request_timeout, requests.codes.too_many_requests)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    return f"no connection ({type(error).__name__})"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unzip(archive: Path, temporary: Path, member: str, progress: bool) -> None:
    with zipfile.ZipFile(archive) as opened:
        infos = [i for i in opened.infolist() if _within(i.filename, member)]
        links = [i.filename for i in infos if i.external_attr >> 16 & 0o170000 not in (0, 0o100000, 0o040000)]
        _check_members(archive, [i.filename for i in infos], links, sum(i.file_size for i in infos), temporary)
        for info in tqdm(infos, desc=f"unpacking {archive.name}", unit="file", disable=not progress):
            opened.extract(info, temporary / "all")


def _untar(archive: Path, temporary: Path, member: str, progress: bool) -> None:
    with tarfile.open(archive) as opened:
        infos = [i for i in opened.getmembers() if _within(i.name, member)]
        links = [i.name for i in infos if not (i.isfile() or i.isdir())]
        _check_members(archive, [i.name for i in infos], links, sum(i.size for i in infos), temporary)
        for info in tqdm(infos, desc=f"unpacking {archive.name}", unit="file", disable=not progress):
            opened.extract(info, temporary / "all", filter="data")


def _within(name: str, member: str) -> bool:
    return PurePosixPath(name).is_relative_to(member) if member else True


def _check_members(archive: Path, names: list[str], links: list[str], total: int, temporary: Path) -> None:
    """Refuse the whole archive if anything in it could land outside, or if it does not fit."""
    paths = [(name, PureWindowsPath(name)) for name in names]  # knows both slashes, and drives
    outside = [name for name, path in paths if path.drive or path.root or ".." in path.parts]
    if outside or links:
        kind = "a path that leads out of the folder" if outside else "a link or a device"
        raise ValueError(f"{archive} holds {kind}, {(outside or links)[0]!r}; nothing was unpacked, do not trust it")
    free = shutil.disk_usage(temporary).free
    if total > free:
        raise ValueError(f"{archive} unpacks to {human(total)}, but only {human(free)} are free on this disk")
