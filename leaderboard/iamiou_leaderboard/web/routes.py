"""The addresses of the pages and their forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from iamiou.errors import InputError
from iamiou_leaderboard import views
from iamiou_leaderboard.types import BoardError
from iamiou_leaderboard.web import pages
from iamiou_leaderboard.web.api import Here, create, end
from iamiou_leaderboard.web.sessions import FORM_FIELD, Sessions, Visit
from iamiou_leaderboard.web.site import ASSETS, Site, asset
from iamiou_leaderboard.web.uploads import BUFFER

router = APIRouter(include_in_schema=False)
#: Fields of a form, and bytes of each but the archive.
_FIELDS, _FIELD = 40, 64 * 1024


def sessions_of(request: Request) -> Sessions:
    """Return who knows the visitors."""
    found: Sessions = request.app.state.sessions
    return found


def _page(request: Request, visit: Visit, text: str, status: int = 200) -> Response:
    answer = HTMLResponse(text, status)
    sessions_of(request).keep_nonce(answer, visit)
    return answer


@router.get("/")
def board(request: Request, here: Here) -> Response:
    """Show the table."""
    visit, asked = sessions_of(request).visit(request), request.query_params
    classes = asked.get("classes") == "1"
    return HTMLResponse(pages.board_page(here, visit, split=asked.get("split"), filters=dict(asked), classes=classes))


@router.get("/submissions/{submission_id}")
def submission(request: Request, here: Here, submission_id: str) -> Response:
    """Show one submission."""
    visit = sessions_of(request).visit(request)
    view = views.submission_view(here.opened, submission_id, viewer=visit.viewer)
    return HTMLResponse(pages.submission_page(here, visit, view))


@router.get("/compare")
def compare(request: Request, here: Here) -> Response:
    """Show two submissions side by side."""
    visit, asked = sessions_of(request).visit(request), request.query_params
    view = views.comparison_view(
        here.opened, asked.get("a", ""), asked.get("b", ""), split=asked.get("split"), viewer=visit.viewer
    )
    return HTMLResponse(pages.comparison_page(here, visit, view))


@router.get("/rules")
def rules(request: Request, here: Here) -> Response:
    """Show the rules and the data set."""
    return HTMLResponse(pages.rules_page(here, sessions_of(request).visit(request)))


@router.get("/submit")
def submit(request: Request, here: Here) -> Response:
    """Show the form."""
    visit = sessions_of(request).visit(request)
    return _page(request, visit, pages.submit_page(here, visit))


@router.get("/sign-in")
def sign_in(request: Request, here: Here) -> Response:
    """Show the form for the token."""
    visit = sessions_of(request).visit(request)
    return _page(request, visit, pages.sign_in_page(here, visit))


@router.get("/assets/{name}")
def assets(request: Request, name: str) -> Response:
    """Send the style sheet or the script: two names, no path."""
    if name not in ASSETS:
        raise BoardError("There is no such file.", "not-found", 404)
    kept = "public, max-age=31536000, immutable" if request.url.query else "no-cache"
    return Response(asset(name), headers={"content-type": ASSETS[name], "cache-control": kept})


async def _form(request: Request) -> tuple[Visit, FormData]:
    """Read a form and make sure that it is ours; who may not send one has it refused unread."""
    visit = await run_in_threadpool(sessions_of(request).visit, request)
    if visit.nonce:
        raise BoardError("This form is too old or not from this site; load the page again.", "form", 403)
    try:
        form = await request.form(max_files=1, max_fields=_FIELDS, max_part_size=_FIELD)
    except MultiPartException as e:
        raise BoardError(f"The form cannot be read: {e.message}", "form", 400) from e
    sessions_of(request).check_form(visit, _text(form, FORM_FIELD))
    return visit, form


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


@router.post("/sign-in")
async def signed_in(request: Request, here: Here) -> Response:
    """Take a token."""
    visit, form = await _form(request)
    token = _text(form, "token").strip()
    if await run_in_threadpool(here.store.viewer_of, token) is None:
        text = pages.sign_in_page(here, visit, "This access token is not valid, or not any more; ask for another.")
        return HTMLResponse(text, 401)
    answer = RedirectResponse("/submit", 303)
    sessions_of(request).sign_in(answer, token)
    return answer


@router.post("/sign-out")
async def signed_out(request: Request) -> Response:
    """Forget the token."""
    await _form(request)
    answer = RedirectResponse("/", 303)
    sessions_of(request).sign_out(answer)
    return answer


@router.post("/submissions/{submission_id}/{action}")
async def change(request: Request, here: Here, submission_id: str, action: str) -> Response:
    """Withdraw or cancel a submission."""
    visit, _ = await _form(request)
    if action not in ("cancel", "withdraw"):
        raise BoardError("There is no such page.", "not-found", 404)
    await run_in_threadpool(end, here, submission_id, visit.viewer, action)
    return RedirectResponse(here.links.submission(submission_id), 303)


@router.post("/submit/announce")
async def announced(request: Request, here: Here) -> Response:
    """Take the fields of the form from the page's script, which uploads the archive in pieces after."""
    visit, form = await _member_form(request)
    size = _text(form, "size")
    made = await run_in_threadpool(
        create, here, visit.viewer, meta_of(form), int(size) if size.isdecimal() and len(size) < 16 else 0, None
    )
    return JSONResponse(made.model_dump(), 201)


@router.post("/submit")
async def submitted(request: Request, here: Here) -> Response:
    """Take the form with its archive from a browser without script."""
    visit, form = await _member_form(request)
    try:
        archive = form.get("archive")
        if not isinstance(archive, UploadFile) or not archive.size:
            raise BoardError("There is no archive; choose a .zip file.", "archive", 422)
        made = await run_in_threadpool(create, here, visit.viewer, meta_of(form), archive.size, None)
        await run_in_threadpool(_store, here, made.id, archive)
    except (BoardError, InputError) as e:
        status = e.status if isinstance(e, BoardError) else 422
        given = {k: v for k, v in form.items() if isinstance(v, str)}
        return HTMLResponse(await run_in_threadpool(_again, here, visit, given, str(e)), status)
    finally:
        await form.close()
    return RedirectResponse(here.links.submission(made.id), 303)


async def _member_form(request: Request) -> tuple[Visit, FormData]:
    """Read a form of a team; an archive from anybody else is refused before it is read."""
    visit = await run_in_threadpool(sessions_of(request).visit, request)
    if visit.viewer.role == "anonymous":
        raise BoardError("Sign in first; submitting needs an access token.", "token", 401)
    return await _form(request)


def _again(here: Site, visit: Visit, given: Mapping[str, str], problem: str) -> str:
    return pages.submit_page(here, visit, given=given, problem=problem)


def _store(here: Site, submission_id: str, archive: UploadFile) -> None:
    """Move an archive from the form's temporary file into the board."""
    archive.file.seek(0)
    here.store.append(submission_id, 0, iter(lambda: archive.file.read(BUFFER), b""))
    here.store.finish_upload(submission_id)


def meta_of(form: FormData) -> dict[str, Any]:
    """Return what submission.json would say, out of the fields that were filled in."""
    names = "method supervision backbone stage kind extra_data postprocessing paper code date".split()
    meta: dict[str, Any] = {name: _text(form, name).strip() for name in names if _text(form, name).strip()}
    if pretrained := _text(form, "coco_pretrained"):
        meta["coco_pretrained"] = pretrained == "true"
    if models := [m.strip() for m in _text(form, "foundation_models").split(",") if m.strip()]:
        meta["foundation_models"] = models
    seed = _text(form, "seed").strip()
    if seed:
        meta["seed"] = int(seed) if seed.lstrip("-").isdecimal() and len(seed) < 19 else seed
    return meta
