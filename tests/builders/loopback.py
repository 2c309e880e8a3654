"""A web server on loopback with faults on order: it drops, cuts short, refuses, and serves wrong bytes."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What is served, what goes wrong next at each path, and what was asked for.

    A fault is used up by one request; "always" as the first word of a list keeps the second one for ever:
    ``drop N``: the connection breaks after N bytes of the body; ``short N``: it ends cleanly after N bytes;
    ``404`` and other codes; ``503 after N``: with Retry-After; ``wrong``: one byte is another; ``longer``: more
    bytes than asked for; ``no-range``: the whole file whatever was asked; ``changed DATA``: the file is another
    from now on; ``weak``: no usable ETag; ``empty``; ``odd-range``: an answer that starts elsewhere;
    ``moved PATH``: redirect; ``hang``: no answer.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""
    weak: bool = False
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"{self.address}{path}"

    def fault(self, path: str) -> str:
        waiting = self.faults.get(path, [])
        if not waiting:
            return ""
        return waiting[1] if waiting[0] == "always" else waiting.pop(0)

    def ranges(self, path: str) -> list[str]:
        """Return the Range headers that came for a path."""
        return [header for asked, header in self.asked if asked == path]


@contextmanager
def serving() -> Iterator[Site]:
    """Serve until the block ends."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            _answer(self, site)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up is what some of the tests are about

    with Server(("127.0.0.1", 0), Handler) as server:
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.release.set()
            server.shutdown()
            thread.join()


def _answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    path, asked = handler.path, handler.headers.get("Range", "")
    site.asked.append((path, asked))
    word, _, rest = site.fault(path).partition(" ")
    data = site.files.get(path)
    if word == "hang":
        site.release.wait(30)
        handler.close_connection = True
        return
    if word == "moved":
        _head(handler, 302, {"Location": rest, "Content-Length": "0"})
        return
    if word.isdecimal() or data is None:
        extra = {"Retry-After": rest.removeprefix("after ")} if rest.startswith("after") else {}
        _head(handler, int(word or 404), {"Content-Length": "0", **extra})
        return
    if word == "changed":
        data = site.files[path] = rest.encode()
    etag = '"' + hashlib.sha1(data).hexdigest() + '"'
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
    if word == "no-range" or handler.headers.get("If-Range", etag) != etag:
        start = 0
    if start >= len(data) > 0 and start:
        _head(handler, 416, {"Content-Length": "0", "Content-Range": f"bytes */{len(data)}"})
        return
    if word == "odd-range":
        start += 1
    body = data[start:]
    if word == "wrong":
        body = body[:-1] + bytes([body[-1] ^ 1])
    if word == "longer":
        body += b"more"
    if word == "empty":
        body = b""
    headers = {"Content-Length": str(len(body)), "ETag": f"W/{etag}" if site.weak else etag}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    _head(handler, 206 if start else 200, headers)
    if word in ("drop", "short"):
        _break(handler, body[: int(rest)], reset=word == "drop")
    else:
        handler.wfile.write(body)


def _head(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def _break(handler: BaseHTTPRequestHandler, body: bytes, *, reset: bool) -> None:
    """Send a part of the body and hang up, with a reset or as if all were said."""
    handler.wfile.write(body)
    handler.wfile.flush()
    handler.close_connection = True
    if reset:
        threading.Event().wait(0.05)  # a reset throws away what the other side has not read yet
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
    else:
        handler.connection.shutdown(socket.SHUT_WR)
