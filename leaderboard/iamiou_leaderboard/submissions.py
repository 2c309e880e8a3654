"""Submissions: made within the quota, looked up, cancelled, withdrawn, never deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from iamiou_leaderboard.accounts import Accounts, team_id
from iamiou_leaderboard.ids import is_id, new_id
from iamiou_leaderboard.names import check_name
from iamiou_leaderboard.tables import job, submission, team
from iamiou_leaderboard.types import BoardError, Quota, State, Submission, not_found

_DAY = 86_400
_OPEN = tuple(state for state in State if not state.final)


class Submissions(Accounts):
    """The table of submissions."""

    def create_submission(
        self,
        team: str,
        meta: Mapping[str, Any],
        *,
        archive_size: int,
        archive_sha256: str | None = None,
        quota: Quota | None = None,
        now: float | None = None,
    ) -> Submission:
        """Add a submission, whose archive has still to be uploaded.

        Parameters
        ----------
        team : str
        meta : mapping
            submission.json, checked already; ``method`` and ``kind`` are read here.
        archive_size : int
            Bytes that will be uploaded.
        archive_sha256 : str, optional
            Held against what arrives. When the same archive was announced before with the same meta data, the
            submission of then comes back: a broken upload goes on, and an answer that was lost is given again.
        quota : Quota, optional
            Without one there is no limit.
        now : float, optional

        Raises
        ------
        BoardError
            "quota" when the team has to wait.
        """
        now = time.time() if now is None else now
        row = {
            "id": new_id(now),
            "method": check_name(str(meta.get("method", "")), "method"),
            "kind": "baseline" if meta.get("kind") == "baseline" else "submission",
            "meta": json.dumps(dict(meta), ensure_ascii=False, sort_keys=True),
            "state": State.RECEIVED,
            "reason": "",
            "archive_size": archive_size,
            "archive_sha256": archive_sha256,
            "created": int(now),
        }
        with self.write() as connection:
            number = team_id(connection, check_name(team, "team"))
            if (known := _same_upload(connection, number, row)) is not None:
                return get(connection, known)
            if quota:
                _check_quota(connection, number, quota, now)
            connection.execute(submission.insert().values(**row, team_id=number))
            self.audit(team, "created", str(row["id"]), on=connection)
            return get(connection, str(row["id"]))

    def submission(self, submission_id: str) -> Submission:
        """Return one submission; `BoardError` "not-found" when there is none."""
        with self.read() as connection:
            return get(connection, submission_id)

    def submissions(self, *, team: str | None = None, state: State | None = None) -> list[Submission]:
        """Return all submissions of a team and a state, oldest first."""
        query = _query().order_by(submission.c.id)
        if team is not None:
            query = query.where(_team.c.name == team)
        if state is not None:
            query = query.where(submission.c.state == state)
        with self.read() as connection:
            return [_submission(row) for row in connection.execute(query)]

    def cancel(self, submission_id: str, actor: str, reason: str = "Cancelled by its team.") -> Submission:
        """Stop a submission that has no score yet."""
        with self.write() as connection:
            now = get(connection, submission_id, lock=True)
            if now.state.final:
                raise _conflict(now, "cancelled", "only one without a score can be")
            stop = job.update().where(job.c.submission_id == submission_id, job.c.state.in_(("queued", "running")))
            connection.execute(stop.values(state="failed", owner=None, lease_until=None, error="cancelled"))
            set_state(connection, submission_id, State.CANCELLED, reason, finished=int(time.time()))
            self.audit(actor, "cancelled", submission_id, on=connection)
            return get(connection, submission_id)

    def withdraw(self, submission_id: str, actor: str, reason: str = "Withdrawn by its team.") -> Submission:
        """Take a scored submission off the board; it stays in the database and in the quota."""
        with self.write() as connection:
            now = get(connection, submission_id, lock=True)
            if now.state != State.SCORED:
                raise _conflict(now, "withdrawn", "only a scored one can be")
            stop = job.update().where(job.c.submission_id == submission_id, job.c.state.in_(("queued", "running")))
            connection.execute(stop.values(state="failed", owner=None, lease_until=None, error="withdrawn"))
            set_state(connection, submission_id, State.WITHDRAWN, reason)
            self.audit(actor, "withdrawn", submission_id, on=connection)
            return get(connection, submission_id)


_team = team


def get(connection: Connection, submission_id: str, *, lock: bool = False) -> Submission:
    """Return a submission inside a transaction, for a change when ``lock``."""
    if not is_id(submission_id):
        raise not_found(submission_id)
    query = _query().where(submission.c.id == submission_id)
    row = connection.execute(query.with_for_update(of=submission) if lock else query).first()
    if row is None:
        raise not_found(submission_id)
    return _submission(row)


def set_state(connection: Connection, submission_id: str, state: State, reason: str = "", **values: Any) -> None:
    """Change the state and other columns of a submission."""
    change = submission.update().where(submission.c.id == submission_id)
    connection.execute(change.values(state=state, reason=reason, **values))


def _query() -> sa.Select[Any]:
    columns = [c for c in submission.c if c.name != "team_id"]
    return sa.select(*columns, team.c.name.label("team")).join(team, team.c.id == submission.c.team_id)


def _submission(row: sa.Row[Any]) -> Submission:
    values = dict(row._mapping)
    values |= {"state": State(row.state), "meta": json.loads(row.meta)}
    return Submission(**values | {"report": row.report and json.loads(row.report)})


def _conflict(now: Submission, what: str, rule: str) -> BoardError:
    return BoardError(f"The submission {now.id} is {now.state} and cannot be {what}; {rule}.", "conflict", 409)


def _same_upload(connection: Connection, number: int, row: Mapping[str, Any]) -> str | None:
    """Return the id of a submission of the same archive, with the same meta data, that did not come to nothing."""
    same = [submission.c[name] == row[name] for name in ("meta", "archive_size", "archive_sha256")]
    alive = submission.c.state.in_((*_OPEN, State.SCORED))
    query = sa.select(submission.c.id).where(submission.c.team_id == number, alive, *same)
    query = query.order_by(submission.c.id.desc())
    found: str | None = connection.execute(query).scalar() if row["archive_sha256"] else None
    return found


def _check_quota(connection: Connection, number: int, quota: Quota, now: float) -> None:
    """Refuse a team that has used up what it may; failed ones cost nothing but an attempt."""
    # PostgreSQL lets two requests count at once; the row of the team makes them queue up.
    connection.execute(sa.select(team.c.id).where(team.c.id == number).with_for_update())
    mine = sa.select(sa.func.count()).where(submission.c.team_id == number)
    if quota.attempts:
        tried = connection.execute(mine.where(submission.c.created > now - _DAY)).scalar_one()
        if tried >= quota.attempts:
            text = (
                f"Your team has made {tried} attempts in 24 hours, and {quota.attempts} are allowed; try again later."
            )
            raise BoardError(text, "quota", 429)
    if quota.scored:
        counted = (submission.c.scored > now - quota.days * _DAY) | submission.c.state.in_(_OPEN)
        used = connection.execute(mine.where(counted)).scalar_one()
        if used >= quota.scored:
            text = (
                f"Your team has {used} submissions scored or under way in {quota.days} days, and {quota.scored} are "
                "allowed; rejected and failed ones do not count. Try again later."
            )
            raise BoardError(text, "quota", 429)
