"""Who asks: the access token of a program's header or of a browser's cookie, and the proof that a form is ours."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from iamiou_leaderboard.types import BoardError, Viewer

if TYPE_CHECKING:
    from iamiou_leaderboard.store import Store
    from iamiou_leaderboard.types import Board

ANONYMOUS = Viewer()
#: A form holds this in a hidden field, a script sends it as this header.
FORM_FIELD, FORM_HEADER = "form_token", "x-form-token"
#: Seconds that a browser keeps the access token.
KEPT = 30 * 24 * 3600


@dataclass(frozen=True)
class Visit:
    """One request to a page.

    Parameters
    ----------
    viewer : Viewer
    form_token : str
        What a form on the page carries back.
    nonce : str
        To be kept by a browser that has nothing yet which the form could be tied to; else "".
    """

    viewer: Viewer
    form_token: str = ""
    nonce: str = ""


@dataclass(frozen=True)
class Sessions:
    """Reads and writes the two cookies; the server itself keeps no sessions.

    Parameters
    ----------
    store : Store
    board : Board
    secure : bool
        Visitors come over https.
    secret : bytes
        Signs the forms; a new one at every start, so a form older than the server has to be loaded again.
    """

    store: Store
    board: Board
    secure: bool = False
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def cookie(self) -> str:
        """Name of the cookie with the access token; cookies know no port, and a machine may have several boards."""
        text = f"{self.board.name}\n{self.board.created}\n{sorted(self.board.digests.items())}"
        return f"iamiou_{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def visit(self, request: Request) -> Visit:
        """Return who loads a page; a cookie that became worthless is as good as none."""
        token = request.cookies.get(self.cookie, "")
        viewer = self.store.viewer_of(token) if token else None
        holder, nonce = token if viewer else request.cookies.get(f"{self.cookie}_form", ""), ""
        if not holder:
            holder = nonce = secrets.token_urlsafe(16)
        return Visit(viewer or ANONYMOUS, self._sign(holder), nonce)

    def check_form(self, visit: Visit, sent: str) -> None:
        """Refuse a form that did not come from a page of this server to this visitor.

        Raises
        ------
        BoardError
            403.
        """
        if visit.nonce or not hmac.compare_digest(visit.form_token.encode(), sent.encode("utf-8", "replace")):
            raise BoardError("This form is too old or not from this site; load the page again.", "form", 403)

    def caller(self, request: Request) -> Viewer:
        """Return who uses the API: by the header, or by the cookie and, for a change, the form token as a header.

        Raises
        ------
        BoardError
            401 for a wrong, expired or revoked token, 403 for a change that a cookie alone asks for.
        """
        header = request.headers.get("authorization")
        if header is None:
            visit = self.visit(request)
            if visit.viewer.role != "anonymous" and request.method not in ("GET", "HEAD"):
                self.check_form(visit, request.headers.get(FORM_HEADER, ""))
            return visit.viewer
        scheme, _, token = header.partition(" ")
        found = self.store.viewer_of(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise BoardError("This access token is not valid, or not any more; ask for another.", "token", 401)
        return found

    def member(self, request: Request) -> Viewer:
        """Return who uses the API, when it is a team or the admin; `BoardError` 401 for everybody else."""
        found = self.caller(request)
        if found.role == "anonymous":
            raise BoardError("This needs an access token; the board's operator gives them out.", "token", 401)
        return found

    def sign_in(self, response: Response, token: str) -> None:
        """Keep the access token in the browser, out of reach of scripts and of other sites."""
        self._set(response, self.cookie, token, KEPT)
        response.delete_cookie(f"{self.cookie}_form", path="/")

    def sign_out(self, response: Response) -> None:
        """Forget it."""
        response.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="lax")

    def keep_nonce(self, response: Response, visit: Visit) -> None:
        """Tie the forms of a page to the browser that loads it."""
        if visit.nonce:
            self._set(response, f"{self.cookie}_form", visit.nonce, None)

    def _set(self, response: Response, name: str, value: str, age: int | None) -> None:
        response.set_cookie(name, value, max_age=age, path="/", secure=self.secure, httponly=True, samesite="lax")

    def _sign(self, holder: str) -> str:
        return hmac.new(self.secret, holder.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
