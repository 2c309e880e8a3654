"""One attempt to get a file over http, going on where an earlier one had stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

from iamiou import __version__
from iamiou.errors import InputError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

#: Status codes after which the same request may go well a little later.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 2**16

Pools = Callable[[str], "PoolManager"]


@dataclass(frozen=True)
class Wanted:
    """One file to be had.

    Parameters
    ----------
    url : str
        http or https address.
    path : Path
        Where the file goes; its folder has to exist.
    size : int or None
        Bytes that it must have, where known.
    sha256 : str
        Checksum that it must have; empty when unknown.
    most : int
        More bytes than this are refused.
    """

    url: str
    path: Path
    size: int | None = None
    sha256: str = ""
    most: int = 2**34


class TryAgainError(Exception):
    """A failure that may pass; ``after`` is the pause that the server asks for."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class GiveUpError(Exception):
    """A failure that will not pass."""


@contextmanager
def connections(timeout: float, threads: int) -> Iterator[Pools]:
    """Give a function that returns the connections for an address: through the environment's proxy or direct."""
    try:
        from urllib3 import PoolManager, ProxyManager, Timeout, make_headers
        from urllib3.util import parse_url
    except ImportError as e:
        raise InputError("Fetching files needs urllib3; type: pip install 'iamiou[builders]'") from e

    limits: dict[str, Any] = {
        "timeout": Timeout(connect=min(10.0, timeout), read=timeout),
        "maxsize": threads,
        "block": False,
    }
    direct = PoolManager(**limits)
    proxies: dict[str, PoolManager] = {}
    for scheme, address in getproxies().items():
        if scheme in ("http", "https"):
            auth = parse_url(address).auth
            headers = make_headers(proxy_basic_auth=auth) if auth else None
            proxies[scheme] = ProxyManager(address, proxy_headers=headers, **limits)

    def of(url: str) -> PoolManager:
        parts = parse_url(url)
        through = proxies.get(parts.scheme or "")
        return direct if through is None or proxy_bypass(parts.host or "") else through

    try:
        yield of
    finally:
        for pool in (direct, *proxies.values()):
            pool.clear()


def attempt(pool: PoolManager, want: Wanted, part: Path, stop: threading.Event) -> int:
    """Ask once and write what comes behind what is there already; return the bytes that came."""
    from urllib3 import Retry
    from urllib3.exceptions import HTTPError, LocationValueError

    start, headers = _range(want, part)
    rules = Retry(total=None, connect=0, read=0, redirect=5, status=0, other=0, respect_retry_after_header=False)
    try:
        answer = pool.request(
            "GET", want.url, headers=headers, preload_content=False, retries=rules, enforce_content_length=False
        )  # fmt: skip
    except LocationValueError as e:
        raise GiveUpError(f"is no http address ({e})") from e
    except HTTPError as e:
        raise TryAgainError(_plain(e)) from e
    try:
        return _receive(answer, want, part, start, stop)
    except HTTPError as e:
        raise TryAgainError(_plain(e)) from e
    finally:
        answer.close()


def _range(want: Wanted, part: Path) -> tuple[int, dict[str, str]]:
    """Return where to go on, and the headers that ask for it.

    Without the server's mark of the version, and without a checksum that would tell afterwards, a half file might
    be completed with the half of another: then it starts anew.
    """
    headers = {"User-Agent": f"iamiou/{__version__}", "Accept-Encoding": "identity"}
    start = size_of(part)
    mark = tag_of(part).read_text(encoding="ascii") if tag_of(part).is_file() else ""
    if start and (mark or want.sha256):
        headers["Range"] = f"bytes={start}-"
        if mark:
            headers["If-Range"] = mark
        return start, headers
    return 0, headers


def _receive(answer: BaseHTTPResponse, want: Wanted, part: Path, start: int, stop: threading.Event) -> int:
    """Judge the answer and write its body."""
    if answer.status == 416 or (answer.status == 206 and _first_byte(answer) != start):
        drop(part)
        raise TryAgainError("the server could not go on where the download had stopped")
    if answer.status in PASSING:
        raise TryAgainError(f"the server answered {answer.status} {answer.reason or ''}".rstrip(), _pause(answer))
    if answer.status not in (200, 206):
        raise GiveUpError(f"the server answered {answer.status} {answer.reason or ''}".rstrip())
    start = start if answer.status == 206 else 0
    length = answer.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    _check_size(want, total)
    mark = _mark(answer)
    if start == 0 and mark:
        tag_of(part).write_text(mark, encoding="ascii")
    elif start == 0:
        tag_of(part).unlink(missing_ok=True)
    came = 0
    with open(part, "ab" if start else "wb") as file:
        while block := answer.read1(_CHUNK):  # not stream(), which keeps back what came before a break
            if stop.is_set():
                raise TryAgainError("the download was stopped")
            came += file.write(block)
            _check_size(want, None, start + came)
    if total is not None and start + came < total:
        raise TryAgainError(f"the connection ended after {start + came:,} of {total:,} bytes")
    return came


def _check_size(want: Wanted, total: int | None, so_far: int = 0) -> None:
    if want.size is not None and total is not None and total != want.size:
        raise GiveUpError(f"the server offers {total:,} bytes instead of {want.size:,}")
    if max(so_far, total or 0) > want.most:
        raise GiveUpError(f"the server sends more than {want.most:,} bytes")


def _first_byte(answer: BaseHTTPResponse) -> int | None:
    """Read ``bytes 5-9/10``."""
    word = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(word) if word.isdecimal() else None


def _mark(answer: BaseHTTPResponse) -> str:
    """Return what names this version of the file in If-Range; a weak ETag does not."""
    etag: str = answer.headers.get("ETag", "")
    mark = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
    return mark if mark.isascii() else ""


def _pause(answer: BaseHTTPResponse) -> float:
    """Return the seconds of Retry-After, where it gives seconds."""
    after: str = answer.headers.get("Retry-After", "")
    return float(after) if after.isdecimal() else 0.0


def _plain(error: Exception) -> str:
    """Say in words what went wrong on the line."""
    from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError, TimeoutError

    inner = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(inner, NameResolutionError):
        return "the server's name is not known here"
    if isinstance(inner, NewConnectionError):
        return "there is no connection to the server"
    if isinstance(inner, TimeoutError):
        return "the server did not answer in time"
    cause = inner.args[1] if isinstance(inner, ProtocolError) and len(inner.args) > 1 else inner
    return f"the connection broke ({type(cause).__name__})"


def tag_of(part: Path) -> Path:
    """Return where the server's mark of the version of a half file is kept."""
    return part.with_name(f"{part.name}.tag")


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def drop(part: Path) -> None:
    """Throw a half file away."""
    for path in (part, tag_of(part)):
        with suppress(FileNotFoundError):
            path.unlink()
