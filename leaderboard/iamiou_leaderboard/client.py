"""The submitter's half of the protocol: announce, upload in pieces that go on where they broke off, ask."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from iamiou import __version__
from iamiou.errors import IamiouError, IncompleteError, InputError
from iamiou.labels import ClassList
from iamiou_leaderboard.ids import is_id
from iamiou_leaderboard.types import ImageInfo

#: Bytes of one piece of an upload: what is lost when the connection breaks.
PIECE = 2**20
_MOST_ANSWER = 2**27
_TIMEOUT = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Answers that a server gives, or a proxy before it, while it is being started again.
_AWAY = (502, 503, 504)

#: Called with the bytes that have arrived, and all bytes.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Facts:
    """What a client has to know of a board."""

    name: str
    primary: str
    max_archive: int
    classes: ClassList
    images: tuple[ImageInfo, ...]


class Target(Protocol):
    """Where a submission goes: a server, or the folder of a board."""

    def facts(self) -> Facts:
        """Return what predictions are checked against."""

    def create(self, meta: Mapping[str, Any], size: int, sha256: str) -> str:
        """Announce an archive and return the id; the id of before where its upload broke off."""

    def upload(self, submission_id: str, archive: Path, progress: Progress) -> None:
        """Send what has not arrived yet, and finish."""

    def view(self, submission_id: str) -> Mapping[str, Any]:
        """Return what may be seen of the submission."""

    def page(self, submission_id: str) -> str:
        """Say where the submission can be looked at."""


class Refused(InputError):
    """The server said no; ``code`` and ``status`` are its own."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class _Away(Exception):
    """The server could not be reached, or the connection broke."""


@dataclass(frozen=True)
class Remote:
    """A board behind HTTP.

    Parameters
    ----------
    url : str
        "https://board.lab.example"; a path in front of the board's own is kept.
    token : str
    patience : float
        Seconds that a server may be away before the upload is given up for now.

    Examples
    --------
    >>> Remote("ftp://board.lab.example", "")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: '--to ftp://board.lab.example' is no address of a board; give http(s)://HOST or a folder.
    """

    url: str
    token: str = field(repr=False)
    patience: float = 60.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment
        if wrong or parts.username is not None:
            raise InputError(f"'--to {self.url}' is no address of a board; give http(s)://HOST or a folder.")
        if any(not "!" <= c <= "~" for c in self.token):
            raise InputError("The access token has a blank or another character that none has; copy it again.")

    @property
    def unprotected(self) -> bool:
        """True when the token travels over a network as it is."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in _LOOPBACK

    def facts(self) -> Facts:
        """Return what predictions are checked against."""
        try:
            return facts_of(self._ask("GET", "/rules"))
        except (KeyError, TypeError, ValueError) as e:
            raise self._strange() from e

    def create(self, meta: Mapping[str, Any], size: int, sha256: str) -> str:
        """Announce an archive; asked again with the same one, the server answers with the id that it gave."""
        body = {"meta": dict(meta), "size": size, "sha256": sha256}
        found = str(self._ask("POST", "/submissions", body).get("id", ""))
        if not is_id(found):
            raise self._strange()
        return found

    def upload(self, submission_id: str, archive: Path, progress: Progress) -> None:
        """Send what has not arrived yet, and finish.

        Raises
        ------
        IncompleteError
            When the server stays away; the same command goes on from there.
        """
        place, size = f"/submissions/{submission_id}/archive", archive.stat().st_size
        with open(archive, "rb") as file:
            at, lost, pause = self._offset(place), time.monotonic(), _FIRST_PAUSE
            while at < size:
                progress(at, size)
                file.seek(at)
                before = at
                try:
                    at = self._send_piece(place, at, file.read(PIECE))
                except _Away:
                    time.sleep(min(pause, self.patience / 10))
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    at = self._offset(place)  # some of the piece may have arrived
                if at != before:
                    lost, pause = time.monotonic(), _FIRST_PAUSE
                elif time.monotonic() - lost > self.patience:
                    raise self._gave_up(f"at {at} of {size} bytes")
        progress(size, size)
        self._ask("POST", f"/submissions/{submission_id}/complete", {})

    def view(self, submission_id: str) -> Mapping[str, Any]:
        """Return what may be seen of the submission."""
        return self._ask("GET", f"/submissions/{submission_id}")

    def page(self, submission_id: str) -> str:
        """Return the address of the submission's page."""
        return f"{self.url.rstrip('/')}/submissions/{submission_id}"

    def _send_piece(self, place: str, at: int, data: bytes) -> int:
        """Send bytes that begin at an offset, and return where the next ones begin."""
        headers = {"Upload-Offset": str(at), "Content-Type": "application/octet-stream"}
        try:
            self._request("PATCH", place, data, headers)
        except Refused as e:
            if e.code != "offset":
                raise
            return self._offset(place)  # a piece that broke off was still being written
        return at + len(data)

    def _offset(self, place: str) -> int:
        found = self._patiently("HEAD", place)[0].get("Upload-Offset", "")
        if not found.isdecimal():
            raise self._strange()
        return int(found)

    def _ask(self, method: str, place: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        answer = self._patiently(method, place, data, {"Content-Type": "application/json"} if data else {})[1]
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._strange()
        return found

    def _patiently(
        self, method: str, place: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """Make a request that does no harm when it is made twice, again and again while the server is away."""
        start, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return self._request(method, place, data, headers)
            except _Away as e:
                if time.monotonic() - start > self.patience:
                    raise self._gave_up(str(e)) from e
                time.sleep(min(pause, self.patience / 10))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _request(
        self, method: str, place: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of the answer; raise `_Away` or what the server refused."""
        address = f"{self.url.rstrip('/')}/api/v1{place}"
        request = urllib.request.Request(address, data=data, method=method, headers=dict(headers or {}))
        request.add_header("User-Agent", f"iamiou/{__version__}")
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with _opener(self.url).open(request, timeout=_TIMEOUT) as answer:
                return answer.headers, answer.read(_MOST_ANSWER)
        except urllib.error.HTTPError as e:
            with e:
                raise self._refusal(e) from e
        except (OSError, http.client.HTTPException) as e:  # URLError is an OSError
            reason = getattr(e, "reason", e)
            raise _Away(getattr(reason, "strerror", None) or str(reason) or type(e).__name__) from e

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        if error.code in _AWAY:
            return _Away(f"it answers {error.code}")
        if error.code in (301, 302, 303, 307, 308):
            where = error.headers.get("Location", "")[:200]
            return InputError(f"{self.url} has moved to {where!a}; give that address with --to if you trust it.")
        found: Any = None
        with contextlib.suppress(ValueError, OSError, http.client.HTTPException):
            found = json.loads(error.read(2**20))
        if not isinstance(found, dict) or "message" not in found:
            found = {"message": f"{self.url} answers {error.code}; check --to.", "code": ""}
        if error.headers.get("Upload-Offset") is not None:  # an answer to HEAD has no body
            found["code"] = "offset"
        message = "".join(c if c.isprintable() else " " for c in str(found["message"]))[:1000]
        if error.code >= 500 and error.code != 507:
            return IamiouError(f"The server failed: {message} Tell its operator.")
        return Refused(message, str(found.get("code", "")), error.code)

    def _strange(self) -> InputError:
        return InputError(f"{self.url} answers, but not as a board of this version does; check --to.")

    def _gave_up(self, reason: str) -> IncompleteError:
        return IncompleteError(
            f"{self.url} cannot be reached ({reason}). Check --to and the network, and run the same command again; "
            "an upload goes on where it broke off."
        )


def facts_of(rules: Mapping[str, Any]) -> Facts:
    """Take the facts out of a board's rules; KeyError, TypeError or ValueError when these are something else.

    Examples
    --------
    >>> rules = {"name": "b", "primary": "IA-mIoU", "max_archive": 9, "images": [["a", 2, 3, "hidden"]]}
    >>> facts_of(rules | {"classes": {"name": "voc", "names": ["background", "aeroplane"]}}).images
    (ImageInfo(id='a', height=2, width=3, split='hidden'),)
    """
    classes = ClassList(str(rules["classes"]["name"]), tuple(str(n) for n in rules["classes"]["names"]))
    images = tuple(ImageInfo(str(i), int(h), int(w), str(split)) for i, h, w, split in rules["images"])
    if not images or any(min(i.height, i.width) < 1 for i in images):
        raise ValueError("no images")
    return Facts(str(rules["name"]), str(rules["primary"]), int(rules["max_archive"]), classes, images)


def digest_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow nobody: the token is for one server, and a redirect would turn POST into GET."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@cache  # each one reads the certificates of the system anew
def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy cannot reach this machine's own ports.
    direct = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in _LOOPBACK else []
    return urllib.request.build_opener(_NoRedirect, *direct)
