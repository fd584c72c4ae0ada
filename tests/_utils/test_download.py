"""Downloads over unreliable connections, and archives with unsafe paths."""

import gzip
import hashlib
import io
import random
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from helpers.server import Server, cut_chunks, endless, in_turn, ranged, send, serving, status, whole

from seglab._utils import download
from seglab._utils.download import human, unpack

BODY = random.Random(0).randbytes(400_000)
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
fetch = partial(download.fetch, pause=0.001, progress=False)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("hash", [SHA256, MD5, None])
def test_a_file_is_downloaded_once(server, tmp_path, hash):
    url = server.url("/a.bin", whole(BODY))
    path = tmp_path / "new" / "a.bin"
    assert fetch(url, path, hash) == path and path.read_bytes() == BODY
    fetch(url, path, hash)
    assert server.ranges["/a.bin"] == [None] and leftovers(path.parent) == ["a.bin"]


def test_a_broken_connection_is_resumed(server, tmp_path):
    url = server.url("/a.bin", ranged(BODY, [150_000, 100_000, None]))
    fetch(url, tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    first, second, third = server.ranges["/a.bin"]
    assert first is None and [second, third] == sorted([second, third])
    assert 0 < int(second[6:-1]) <= 150_000 < int(third[6:-1]) <= 250_000


def test_a_killed_download_is_resumed_later(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY[:123_456])
    fetch(server.url("/a.bin", ranged(BODY, [None])), tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY and server.ranges["/a.bin"] == ["bytes=123456-"]


def test_without_ranges_the_download_starts_over(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    fetch(server.url("/a.bin", whole(BODY)), tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_resume_at_another_byte_starts_over(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    fetch(server.url("/a.bin", ranged(BODY, [None], first_byte=0)), tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_complete_part_needs_no_more_bytes(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    fetch(server.url("/a.bin", ranged(BODY, [None])), tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY and len(server.ranges["/a.bin"]) == 1


def test_a_part_of_a_longer_file_is_dropped(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY + b"x")
    fetch(server.url("/a.bin", ranged(BODY, [None])), tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_chunks_that_break_off_are_noticed_without_a_length(server, tmp_path):
    fetch(server.url("/a.zip", cut_chunks(BODY)), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == BODY


def test_a_busy_server_is_tried_again(server, tmp_path):
    fetch(server.url("/a.bin", in_turn(status(503), status(429), whole(BODY))), tmp_path / "a.bin", SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY and len(server.ranges["/a.bin"]) == 3


def test_any_number_of_breaks_is_resumed_while_bytes_arrive(server, tmp_path):
    fetch(server.url("/a.bin", ranged(BODY, [70_000])), tmp_path / "a.bin", SHA256, retries=1)
    assert (tmp_path / "a.bin").read_bytes() == BODY and len(server.ranges["/a.bin"]) > 4


def test_retries_end_when_no_bytes_arrive(server, tmp_path):
    url = server.url("/a.bin", in_turn(ranged(BODY, [150_000]), status(503)))
    with pytest.raises(ValueError, match="the server replied 503"):
        fetch(url, tmp_path / "a.bin", SHA256, retries=2)
    assert len(server.ranges["/a.bin"]) == 4 and leftovers(tmp_path) == ["a.bin.part"]


def test_the_error_about_a_missing_file_has_a_remedy(server, tmp_path):
    with pytest.raises(ValueError, match="404") as caught:
        fetch(f"{server.base}/a.bin", tmp_path / "a.bin", SHA256, num_bytes=815_585_330)
    for words in ("a.bin (816 MB)", server.base, f"put it at {tmp_path / 'a.bin'}", "'toytown' needs no download"):
        assert words in str(caught.value)
    assert len(server.ranges["/a.bin"]) == 1 and leftovers(tmp_path) == []


def test_the_error_without_a_network_has_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.bin"
        with pytest.raises(ValueError, match=r"no connection.*put it at .*toytown"):
            fetch(url, tmp_path / "a.bin", retries=1)


def test_a_file_with_another_hash_is_deleted(server, tmp_path):
    url = server.url("/a.bin", whole(b"<html>please log in</html>"))
    with pytest.raises(ValueError, match=r"not the expected file \(sha256:.*login page.*put the right file at"):
        fetch(url, tmp_path / "a.bin", SHA256)
    assert leftovers(tmp_path) == []
    server.routes["/a.bin"] = whole(BODY)
    fetch(url, tmp_path / "a.bin", SHA256)  # the next attempt starts from the beginning


def test_a_file_put_there_by_hand_needs_no_network(tmp_path):
    (tmp_path / "a.bin").write_bytes(BODY)
    fetch("http://127.0.0.1:1/a.bin", tmp_path / "a.bin", SHA256)


def test_compression_on_the_wire_is_declined(server, tmp_path):
    accepted = []

    def answer(handler, _):
        accepted.append(handler.headers["Accept-Encoding"])
        send(handler, 200, BODY)

    fetch(server.url("/a.bin", answer), tmp_path / "a.bin")
    assert accepted == ["identity"]


def test_bytes_that_were_compressed_nevertheless_are_stored_as_they_are_sent(server, tmp_path):
    """Ten megabytes of zeros become ten kilobytes; some servers also send .tar.gz files with this header."""
    body = gzip.compress(bytes(10_000_000))
    url = server.url("/a.gz", lambda handler, _: send(handler, 200, body, Content_Encoding="gzip"))
    assert fetch(url, tmp_path / "a.gz", num_bytes=len(body)).read_bytes() == body


@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}])
def test_a_download_without_an_end_is_stopped(server, tmp_path, headers):
    sent: list[int] = []
    url = server.url("/a.bin", endless(BODY[:50_000], sent, **headers))
    with pytest.raises(ValueError, match=r"a\.bin .* is longer than the 1 MB that were announced.*1\.2 MB were sent"):
        fetch(url, tmp_path / "a.bin", num_bytes=1_000_000)
    assert leftovers(tmp_path) == [] and sum(sent) < 20_000_000  # more is on the way, in the buffers of the network


@pytest.mark.parametrize("answer", [whole(BODY), ranged(BODY, [100_000, None])])
def test_a_file_that_is_longer_than_announced_is_refused(server, tmp_path, answer):
    url = server.url("/a.bin", answer)
    with pytest.raises(ValueError, match=r"longer than the 333 kB that were announced: the server has 400 kB"):
        fetch(url, tmp_path / "a.bin", SHA256, num_bytes=333_000)
    assert leftovers(tmp_path) == []
    fetch(url, tmp_path / "a.bin", SHA256, num_bytes=334_000)  # 1.2 times as much is allowed


def test_the_progress_of_a_resumed_file_includes_its_first_part(server, tmp_path, capsys):
    (tmp_path / "a.bin.part").write_bytes(BODY[:200_000])
    fetch(server.url("/a.bin", ranged(BODY, [None])), tmp_path / "a.bin", progress=True)
    assert "a.bin: 100%" in capsys.readouterr().err


def make_zip(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return path


def make_tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


KINDS = [(make_zip, "a.zip"), (make_tar, "a.tar"), (make_tar, "a.tar.gz")]
unpack_quietly = partial(unpack, progress=False)


@pytest.mark.parametrize(("make", "name"), KINDS)
def test_a_folder_of_an_archive_is_unpacked(tmp_path, make, name):
    archive = make(tmp_path / name, {"top/keep/x/1.txt": b"one", "top/keep/2.txt": b"two", "top/keeper/3.txt": b"no"})
    unpack_quietly(archive, tmp_path / "out" / "here", member="top/keep")
    here = tmp_path / "out" / "here"
    assert {p.relative_to(here).as_posix(): p.read_bytes() for p in here.rglob("*.txt")} == {
        "x/1.txt": b"one",
        "2.txt": b"two",
    }
    assert leftovers(tmp_path / "out") == ["here"]


@pytest.mark.parametrize(("make", "name"), KINDS)
@pytest.mark.parametrize("path", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_paths_that_lead_out_are_refused(tmp_path, make, name, path):
    archive = make(tmp_path / name, {"good.txt": b"good", path: b"evil"})
    with pytest.raises(ValueError, match=r"a path that leads out of the folder, .*evil\.txt.*nothing was unpacked"):
        unpack_quietly(archive, tmp_path / "out" / "here")
    assert leftovers(tmp_path / "out") == [] and not list(tmp_path.rglob("*evil.txt"))


@pytest.mark.parametrize(("make", "name"), KINDS)
@pytest.mark.parametrize("target", ["../..", "/etc", "good.txt"])
def test_links_are_refused(tmp_path, make, name, target):
    archive = make(tmp_path / name, {"good.txt": b"good"}, links={"link": target})
    with pytest.raises(ValueError, match="a link or a device, 'link'"):
        unpack_quietly(archive, tmp_path / "out" / "here")
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize(("make", "name"), KINDS)
def test_an_archive_larger_than_the_disk_is_refused(tmp_path, make, name, monkeypatch):
    archive = make(tmp_path / name, {"zeros": bytes(10_000_000)})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 9_999_999}))
    with pytest.raises(ValueError, match="unpacks to 10 MB, but only 10 MB are free"):
        unpack_quietly(archive, tmp_path / "here")


def test_damaged_archives_leave_nothing(tmp_path):
    zipped = make_zip(tmp_path / "a.zip", {"noise": BODY})
    content = bytearray(zipped.read_bytes())
    content[200_000] ^= 1
    zipped.write_bytes(content)
    tarred = make_tar(tmp_path / "a.tar.gz", {"noise": BODY})
    tarred.write_bytes(tarred.read_bytes()[:-50_000])
    for archive in (zipped, tarred):
        with pytest.raises(ValueError, match=r"damaged.*download it again"):
            unpack_quietly(archive, tmp_path / "out" / "here")
    assert leftovers(tmp_path / "out") == []


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="neither a zip nor a tar archive"):
        unpack_quietly(tmp_path / "a.zip", tmp_path / "here")


def test_a_member_must_exist_and_the_folder_must_not(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"x/1.txt": b"one"})
    with pytest.raises(ValueError, match="holds no folder 'y'"):
        unpack_quietly(archive, tmp_path / "here", member="y")
    (tmp_path / "here").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        unpack_quietly(archive, tmp_path / "here")


def test_sizes_are_readable():
    assert [human(n) for n in (None, 5, 1500, 815_585_330, 1_999_639_040)] == [
        "size unknown", "5 bytes", "1.5 kB", "816 MB", "2 GB",
    ]  # fmt: skip
