"""What every request and every answer goes through first: host, origin, size of the body, headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Scripts and styles come from this server alone, and no page of another site may frame or post to it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with it browsers send "Origin: null" from this site's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
SAFE = ("GET", "HEAD", "OPTIONS")
#: Bytes that a request may carry where no archive is expected.
SMALL_BODY = 256 * 1024


@dataclass(frozen=True)
class Refusal(Exception):
    """A request that goes no further; ``message`` is for the person who sent it."""

    status: int
    code: str
    message: str


@dataclass(frozen=True)
class Guard:
    """ASGI application around the board's own.

    Parameters
    ----------
    app : ASGI application
    hosts : frozenset of str
        Names that the server answers to, without port: another name is a rebound address (DNS rebinding).
    cap : callable
        From method and path to the largest body in bytes.
    secure : bool
        Visitors come over https.
    """

    app: ASGIApp
    hosts: frozenset[str]
    cap: Callable[[str, str], int]
    secure: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, then let the application answer with the headers added."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}
        sender = _Headers(send, secure=self.secure, signed_in=bool(names & {b"cookie", b"authorization"}))
        try:
            body = _Capped(receive, self._check(scope), endless=b"transfer-encoding" in names)
            sender.body = body
            await self.app(scope, body, sender)
        except Refusal as e:
            if not sender.started:
                await _refuse(e, sender)

    def _check(self, scope: Scope) -> int:
        """Return how large the body may be, or raise `Refusal`."""
        found: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        hosts = found.get("host", [])
        if len(hosts) != 1 or host_name(hosts[0]) not in self.hosts:
            raise Refusal(
                421, "host", "This server does not answer to that name; its owner adds it with serve --public-url."
            )
        if scope["method"] not in SAFE:
            self._check_origin(found, hosts[0])
        limit = self.cap(scope["method"], scope["path"])
        length = found.get("content-length", ["0"])[0]
        if length.isdecimal() and int(length) > limit:
            raise too_large(limit)
        return limit

    def _check_origin(self, found: dict[str, list[str]], host: str) -> None:
        """Refuse what a page of another site makes a browser send; programs send neither header."""
        mine = f"{'https' if self.secure else 'http'}://{host}"
        foreign = any(origin != mine for origin in found.get("origin", []))
        if foreign or any(site not in ("same-origin", "none") for site in found.get("sec-fetch-site", [])):
            raise Refusal(403, "origin", "This request came from a page of another site, and nothing was done.")


def host_name(host: str) -> str:
    """Take the port off a Host header; "" where it is malformed.

    >>> host_name("127.0.0.1:8000"), host_name("[::1]:80"), host_name("board.lab.example"), host_name("a@b")
    ('127.0.0.1', '::1', 'board.lab.example', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    return "" if parts.username is not None or parts.path else (parts.hostname or "")


def too_large(limit: int) -> Refusal:
    """Say how much would be taken."""
    return Refusal(413, "too-large", f"This is larger than the {limit:,} bytes that are taken here.")


class _Capped:
    """The body of a request, cut off with a refusal when it goes on beyond the limit, whatever it announced."""

    def __init__(self, receive: Receive, limit: int, *, endless: bool) -> None:
        self.receive, self.limit, self.seen, self.open = receive, limit, 0, endless

    async def __call__(self) -> Message:
        message = await self.receive()
        self.seen += len(message.get("body", b""))
        self.open = self.open and bool(message.get("more_body", False))
        if self.seen > self.limit:
            raise too_large(self.limit)
        return message


class _Headers:
    """Add the headers to whatever the application answers, errors too."""

    body: _Capped | None = None

    def __init__(self, send: Send, *, secure: bool, signed_in: bool) -> None:
        self.send, self.secure, self.signed_in, self.started = send, secure, signed_in, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            body = self.body
            if body and body.seen > body.limit and message["status"] != 413:
                raise too_large(body.limit)  # somebody caught the first one and took it for a bad body
            self.started = True
            headers = list(message.get("headers", []))
            names = {name.lower() for name, _ in headers}
            extra = HEADERS | {"cache-control": "no-store" if self.signed_in else "no-cache"}
            extra |= {"vary": "Cookie, Authorization"}
            if body and body.open:  # nobody reads on, and it may never end
                extra |= {"connection": "close"}
            if self.secure:
                extra |= {"strict-transport-security": "max-age=31536000"}
            headers += [(n.encode(), v.encode()) for n, v in extra.items() if n.encode() not in names]
            message = {**message, "headers": headers}
        await self.send(message)


async def _refuse(refusal: Refusal, send: _Headers) -> None:
    body = json.dumps({"code": refusal.code, "message": refusal.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
