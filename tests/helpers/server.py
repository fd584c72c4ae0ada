"""A small web server with bad manners, to download from in tests."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler, int], None]  # the request, and how many for this path came before it


class Server:
    """`server.routes["/a.bin"] = answer`; `server.ranges["/a.bin"]` lists the Range header of each request."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.routes: dict[str, Answer] = {}
        self.ranges: dict[str, list[str | None]] = {}

    def url(self, path: str, answer: Answer) -> str:
        self.routes[path] = answer
        return self.base + path


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            seen = server.ranges.setdefault(self.path, [])
            seen.append(self.headers["Range"])
            answer = server.routes.get(self.path, status(404))
            answer(self, len(seen) - 1)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(http.server_address[1])
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        http.shutdown()
        thread.join()


def send(handler: BaseHTTPRequestHandler, code: int, body: bytes, stop: int | None = None, **headers: object) -> None:
    """Promise the whole body, and send what comes before `stop`."""
    handler.send_response(code)
    for name, value in ({"Content_Length": len(body), "Connection": "close"} | headers).items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body[:stop])


def status(code: int) -> Answer:
    return lambda handler, _: send(handler, code, b"no")


def whole(body: bytes) -> Answer:
    """A server that knows no ranges."""
    return lambda handler, _: send(handler, 200, body)


def ranged(body: bytes, stops: list[int | None], first_byte: int | None = None) -> Answer:
    """A server that resumes, but whose n-th answer breaks off after `stops[n]` bytes."""

    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        stop = stops[min(before, len(stops) - 1)]
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        if not asked:
            return send(handler, 200, body, stop)
        start = int(asked[1]) if first_byte is None else first_byte
        if start >= len(body):
            return send(handler, 416, b"", Content_Range=f"bytes */{len(body)}")
        content_range = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return send(handler, 206, body[start:], stop, Content_Range=content_range)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other, the last for good."""
    return lambda handler, before: answers[min(before, len(answers) - 1)](handler, before)


def cut_chunks(body: bytes) -> Answer:
    """Chunks without a length, as of an archive made on the fly; the first time only half of it arrives."""

    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        half = len(body) // 2
        for chunk in (body[:half], body[half:])[: 1 if before == 0 else 2]:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if before:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def endless(block: bytes, sent: list[int], **headers: object) -> Answer:
    """Chunks without a length and without an end; `sent` collects how many bytes the client took."""

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        for name, value in ({"Transfer-Encoding": "chunked"} | headers).items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        try:
            while sum(sent) < 100_000_000:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
                sent.append(len(block))
        except OSError:  # the client has closed the connection
            pass

    return answer
