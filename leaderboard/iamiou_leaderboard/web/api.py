"""The API: the same content as the pages, and what programs that submit need."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from iamiou_leaderboard import views
from iamiou_leaderboard.meta import parse_meta
from iamiou_leaderboard.types import (
    BoardError,
    ComparisonView,
    HistoryPoint,
    Submission,
    SubmissionView,
    Table,
    Viewer,
    not_found,
)
from iamiou_leaderboard.web import pages
from iamiou_leaderboard.web.answers import Announcement, Id, Rules, Upload, refusals
from iamiou_leaderboard.web.csv_table import to_csv
from iamiou_leaderboard.web.links import API
from iamiou_leaderboard.web.sessions import Sessions, Visit
from iamiou_leaderboard.web.site import Site
from iamiou_leaderboard.web.uploads import OCTETS, piece, receive

Split = Annotated[str | None, Query(pattern="^(public|hidden)$", description="By default the split that ranks.")]
Filter = Annotated[str, Query(max_length=300)]
Filters = dict[str, str]


def viewer(request: Request) -> Viewer:
    """Return who asks."""
    sessions: Sessions = request.app.state.sessions
    return sessions.caller(request)


def member(request: Request) -> Viewer:
    """Return who asks; only teams and the admin come through."""
    sessions: Sessions = request.app.state.sessions
    return sessions.member(request)


def site(request: Request) -> Site:
    """Return the board."""
    here: Site = request.app.state.site
    return here


Here = Annotated[Site, Depends(site)]
Anyone = Annotated[Viewer, Depends(viewer)]
Member = Annotated[Viewer, Depends(member)]
router = APIRouter(prefix=API, tags=["board"])


def owned(here: Site, submission_id: str, who: Viewer) -> Submission:
    """Return a submission; refuse what belongs to another team, in the words for what does not exist."""
    found = here.store.submission(submission_id)
    if not who.owns(found.team):
        raise not_found(submission_id)
    return found


def end(here: Site, submission_id: str, who: Viewer, how: str) -> None:
    """Cancel or withdraw a submission, and say who did."""
    by = "its team" if owned(here, submission_id, who).team == who.team else "the operator"
    if how == "cancel":
        here.store.cancel(submission_id, who.team, f"Cancelled by {by}.")
    else:
        here.store.withdraw(submission_id, who.team, f"Withdrawn by {by}.")


def create(here: Site, who: Viewer, meta: dict[str, Any], size: int, sha256: str | None) -> Upload:
    """Announce a submission."""
    if size > here.board.max_archive:
        raise BoardError(
            f"The archive is larger than the {here.board.max_archive:,} bytes of this board.", "too-large", 413
        )
    checked = parse_meta(meta).to_dict()
    made = here.store.create_submission(
        who.team, checked, archive_size=size, archive_sha256=sha256, quota=here.board.quota
    )
    return Upload(id=made.id, upload=f"{API}/submissions/{made.id}/archive", offset=here.store.upload_offset(made.id))


def filters(supervision: Filter = "", backbone: Filter = "", extra_data: Filter = "", kind: Filter = "") -> Filters:
    """Return what the table is filtered by."""
    return {"supervision": supervision, "backbone": backbone, "extra_data": extra_data, "kind": kind}


Chosen = Annotated[Filters, Depends(filters)]


@router.get("/board", responses=refusals(404))
def board(here: Here, who: Anyone, chosen: Chosen, split: Split = None) -> Table:
    """Return the table of a split."""
    return pages.table_of(here, split, chosen, Visit(who))


@router.get("/board.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}, **refusals(404)})
def board_csv(here: Here, who: Anyone, chosen: Chosen, split: Split = None) -> Response:
    """Return the table as CSV."""
    text = to_csv(pages.table_of(here, split, chosen, Visit(who)))
    name = {"content-disposition": 'attachment; filename="board.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=name)


@router.get("/history", responses=refusals(404), dependencies=[Depends(viewer)])
def history(here: Here, split: Split = None) -> list[HistoryPoint]:
    """Return the submissions that were the best when they came, oldest first."""
    return views.history(here.opened, split=split)


@router.get("/rules", responses=refusals(), dependencies=[Depends(viewer)])
def rules(here: Here) -> Rules:
    """Return the rules and what is known of the data set."""
    return Rules(**views.rules(here.opened))


@router.get("/compare", responses=refusals(404, 409))
def compare(
    here: Here, who: Anyone, a: Annotated[str, Query(max_length=64)], b: Annotated[str, Query(max_length=64)],
    split: Split = None,
) -> ComparisonView:  # fmt: skip
    """Compare two scored submissions; differences are B minus A."""
    return views.comparison_view(here.opened, a, b, split=split, viewer=who)


@router.get("/submissions", tags=["submissions"], responses=refusals())
def my_submissions(here: Here, who: Member) -> list[SubmissionView]:
    """Return the submissions of one's team, newest first."""
    mine = here.store.submissions(team=who.team)[::-1]
    return [views.submission_view(here.opened, s.id, viewer=who) for s in mine[:100]]


@router.get("/submissions/{submission_id}", tags=["submissions"], responses=refusals(404))
def submission(here: Here, who: Anyone, submission_id: Id) -> SubmissionView:
    """Return a submission; its own team sees its validation report too."""
    return views.submission_view(here.opened, submission_id, viewer=who)


@router.post("/submissions", tags=["submissions"], status_code=201, responses=refusals(429))
def announce(here: Here, who: Member, body: Announcement) -> Upload:
    """Announce a submission; its archive goes to the address in the answer, then `complete`."""
    return create(here, who, body.meta, body.size, body.sha256)


_OFFSET = {"headers": {"Upload-Offset": {"schema": {"type": "integer"}, "description": "Where the next byte belongs."}}}


@router.head(
    "/submissions/{submission_id}/archive", tags=["submissions"], status_code=204,
    responses={204: {"description": "How far the upload is.", **_OFFSET}, **refusals(404)},
)  # fmt: skip
def upload_state(here: Here, who: Member, submission_id: Id) -> Response:
    """Say how many bytes have arrived."""
    length = owned(here, submission_id, who).archive_size
    return _at(here.store.upload_offset(submission_id), {"upload-length": str(length)})


def _at(offset: int, more: dict[str, str] | None = None) -> Response:
    return Response(status_code=204, headers={"upload-offset": str(offset), **(more or {})})


@router.patch(
    "/submissions/{submission_id}/archive", tags=["submissions"], status_code=204, openapi_extra=OCTETS,
    responses={204: {"description": "Taken.", **_OFFSET}, **refusals(404, 409, 415, 507)},
)  # fmt: skip
async def upload_piece(
    request: Request, here: Here, who: Member, submission_id: Id, upload_offset: Annotated[int, Header(ge=0, le=2**53)]
) -> Response:
    """Take the bytes from an offset on; what arrived counts even when the connection breaks."""
    return _at(await receive(request, piece(here.store, who, submission_id), upload_offset))


@router.post("/submissions/{submission_id}/complete", tags=["submissions"], responses=refusals(404, 409))
def complete(here: Here, who: Member, submission_id: Id) -> SubmissionView:
    """End the upload; the submission goes into the queue."""
    owned(here, submission_id, who)
    here.store.finish_upload(submission_id)
    return views.submission_view(here.opened, submission_id, viewer=who)


@router.post("/submissions/{submission_id}/cancel", tags=["submissions"], responses=refusals(404, 409))
def cancel(here: Here, who: Member, submission_id: Id) -> SubmissionView:
    """Stop a submission that has no score yet."""
    end(here, submission_id, who, "cancel")
    return views.submission_view(here.opened, submission_id, viewer=who)


@router.post("/submissions/{submission_id}/withdraw", tags=["submissions"], responses=refusals(404, 409))
def withdraw(here: Here, who: Member, submission_id: Id) -> SubmissionView:
    """Take a scored submission off the table."""
    end(here, submission_id, who, "withdraw")
    return views.submission_view(here.opened, submission_id, viewer=who)
