"""The application: pages, API and uploads of one board behind the guard."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from iamiou import __version__
from iamiou.errors import InputError, name_some
from iamiou_leaderboard.types import BoardError
from iamiou_leaderboard.web import api, pages, routes
from iamiou_leaderboard.web.guard import SMALL_BODY, Guard
from iamiou_leaderboard.web.links import API, Links
from iamiou_leaderboard.web.sessions import Sessions
from iamiou_leaderboard.web.site import Site, assets_version

if TYPE_CHECKING:
    from iamiou_leaderboard.board import Opened

LOCAL = ("127.0.0.1", "localhost", "::1")
_ARCHIVE = re.compile(rf"PATCH {API}/submissions/[0-9A-Z]{{26}}/archive")


def create_app(opened: Opened, *, hosts: Iterable[str] = LOCAL, public_url: str = "") -> Guard:
    """Return the ASGI application of a board.

    Parameters
    ----------
    opened : Opened
    hosts : iterable of str
        Names that the server answers to.
    public_url : str
        How others reach it; its host is one more name, and with https cookies are kept to it.
    """
    secure = public_url.startswith("https://")
    names = frozenset(hosts) | ({urlsplit(public_url).hostname or ""} if public_url else set())
    app = FastAPI(
        title=f"iamiou board: {opened.board.name}",
        description="Reading needs no token; a submission needs one, sent as `Authorization: Bearer ...`.",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    links = Links(opened.board.splits[0], version=assets_version())
    app.state.site = Site(opened, links, public_url=public_url)
    app.state.sessions = Sessions(opened.store, opened.board, secure)
    app.include_router(api.router)
    app.include_router(routes.router)
    for kind in (InputError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _failed)

    def cap(method: str, path: str) -> int:
        if _ARCHIVE.fullmatch(f"{method} {path}"):
            return opened.board.max_archive
        # The form's fields and boundaries come on top of the archive.
        return opened.board.max_archive + SMALL_BODY if (method, path) == ("POST", "/submit") else SMALL_BODY

    return Guard(app, names, cap, secure)


def _failed(request: Request, error: Exception) -> Response:
    """Turn an error into an answer: a page for people, json for programs, never a traceback."""
    status, code, message = _explain(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if code == "offset" and status == 409:
        headers |= _true_offset(request)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    path = request.url.path
    if path.startswith(f"{API}/") or path == "/submit/announce":
        return JSONResponse({"code": code, "message": message}, status, headers)
    sessions: Sessions = request.app.state.sessions
    visit = sessions.visit(request)
    return HTMLResponse(pages.message_page(request.app.state.site, visit, status, message), status, headers)


def _explain(error: Exception) -> tuple[int, str, str]:
    """Return the status, a code for machines and a sentence for people."""
    if isinstance(error, BoardError):
        return error.status, error.code, str(error)
    if isinstance(error, RequestValidationError):
        return 422, "value", _values(error)
    if isinstance(error, InputError):
        return 422, "input", str(error)
    if isinstance(error, HTTPException):
        words = {404: "There is no such page.", 405: "This address does not take that method."}
        return error.status_code, "http", words.get(error.status_code, str(error.detail))
    return 500, "bug", "Something went wrong on the server, not with you; its operator finds the cause in the log."


def _values(error: RequestValidationError) -> str:
    """Name the values that do not fit, without repeating them."""
    found = [f"{'.'.join(str(p) for p in e['loc'])} ({e['msg']})" for e in error.errors()]
    return f"{'A value does' if len(found) == 1 else 'Some values do'} not fit: {name_some(found)}."


def _true_offset(request: Request) -> dict[str, str]:
    """Say from where a broken upload goes on."""
    submission_id = str(request.path_params.get("submission_id", ""))
    site: Site = request.app.state.site
    try:
        return {"upload-offset": str(site.store.upload_offset(submission_id))}
    except InputError:
        return {}
