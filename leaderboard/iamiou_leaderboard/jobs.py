"""Jobs, in the same database as what they are about: leased, never lost, never done twice."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from iamiou_leaderboard.submissions import get, set_state
from iamiou_leaderboard.tables import job, pair, score, submission, team
from iamiou_leaderboard.types import Job, ScoreRow, State
from iamiou_leaderboard.uploads import Uploads, new_job

ATTEMPTS = 3
LEASE = 60.0

_RUNNING = {"validate": State.VALIDATING, "score": State.SCORING}
_ALIVE = (State.QUEUED, State.SCORING, State.SCORED)
_COLUMNS = [
    job.c[name] for name in ("id", "submission_id", "kind", "state", "owner", "lease_until", "attempts", "error")
]


@dataclass(frozen=True)
class Checked:
    """The archive was read: its report, and the identity of its label maps, None when it is rejected."""

    report: Mapping[str, Any]
    identity: str | None


@dataclass(frozen=True)
class Scored:
    """The label maps were scored, on every split of the board."""

    rows: tuple[ScoreRow, ...]


Outcome = Checked | Scored


@dataclass(frozen=True)
class PairRow:
    """A paired comparison of the primary score of two submissions: upper minus lower, interval, p-value."""

    difference: float
    low: float | None
    high: float | None
    p: float


class Jobs(Uploads):
    """The queue, and what comes out of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._scores: dict[int, ScoreRow] = {}  # they never change

    def claim(self, worker: str, now: float | None = None, lease: float = LEASE) -> Job | None:
        """Take the next job, or one whose worker has not been heard of; None when there is nothing to do."""
        now = time.time() if now is None else now
        free = (job.c.state == "queued") | ((job.c.state == "running") & (job.c.lease_until < now))
        wanted = (
            sa.select(job.c.id)
            .where(free, job.c.attempts < ATTEMPTS)
            .order_by(job.c.priority, job.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self.write() as connection:
            number = connection.execute(wanted).scalar()
            if number is None:
                return None
            taken = {"state": "running", "owner": worker, "lease_until": now + lease, "attempts": job.c.attempts + 1}
            change = job.update().where(job.c.id == number).values(**taken).returning(*_COLUMNS)
            mine = Job(*connection.execute(change).one())
            if mine.kind in _RUNNING:
                set_state(connection, mine.submission, _RUNNING[mine.kind])
            self.audit(worker, f"{mine.kind}-started", mine.submission, f"attempt {mine.attempts}", on=connection)
        return mine

    def heartbeat(self, mine: Job, now: float | None = None, lease: float = LEASE) -> bool:
        """Say that the worker is alive; False when the job is not its own any more."""
        now = time.time() if now is None else now
        with self.write() as connection:
            change = job.update().where(_is(mine)).values(lease_until=now + lease)
            return connection.execute(change).rowcount == 1

    def finish_job(self, mine: Job, outcome: Outcome, now: float | None = None) -> bool:
        """Record what came out; False, and nothing recorded, when the job is not this worker's any more."""
        stamp = int(time.time() if now is None else now)
        for _ in range(2):  # a second time when another worker queued the same label maps in this moment
            try:
                with self.write() as connection:
                    done = job.update().where(_is(mine)).values(state="done", owner=None, lease_until=None)
                    if connection.execute(done).rowcount != 1:
                        return False
                    if isinstance(outcome, Checked):
                        self._checked(connection, mine, outcome, stamp)
                    else:
                        self._scored(connection, mine, outcome, stamp)
                return True
            except IntegrityError:
                continue
        raise RuntimeError(f"the outcome of job {mine.id} contradicts the database")

    def fail_job(self, mine: Job, reason: str, *, final: bool = False) -> None:
        """Give a job back after a failure of ours; the third one, or a ``final`` one, is the end."""
        with self.write() as connection:
            if connection.execute(sa.select(job.c.id).where(_is(mine)).with_for_update()).scalar() is not None:
                self._fail(connection, mine, reason, final or mine.attempts >= ATTEMPTS)

    def release(self, mine: Job) -> None:
        """Give a job back untried, because the worker has to stop."""
        back = {"state": "queued", "owner": None, "lease_until": None, "attempts": job.c.attempts - 1}
        with self.write() as connection:
            if connection.execute(job.update().where(_is(mine)).values(**back)).rowcount and mine.kind in _RUNNING:
                self._wait_again(connection, mine)

    def reap(self, now: float | None = None) -> int:
        """Free the jobs of workers that are gone, and end those that failed too often; return how many."""
        now = time.time() if now is None else now
        with self.read() as connection:
            running = [Job(*row) for row in connection.execute(sa.select(*_COLUMNS).where(job.c.state == "running"))]
        freed = 0
        for lost in running:
            # Before the lease runs out only a process that is gone proves anything.
            if (lost.lease_until or 0) >= now and not _died(lost.owner or ""):
                continue
            with self.write() as connection:
                same = sa.and_(_is(lost), job.c.lease_until == lost.lease_until)  # no heartbeat since
                if connection.execute(sa.select(job.c.id).where(same).with_for_update()).scalar() is not None:
                    reason = "The worker stopped while it had this submission."
                    self._fail(connection, lost, reason, lost.attempts >= ATTEMPTS)
                    freed += 1
        self.give_up_uploads(now)
        return freed

    def queue_length(self, before: str | None = None) -> int:
        """Count the jobs that wait or run, or those before the job of one submission."""
        active = job.c.state.in_(("queued", "running"))
        query = sa.select(sa.func.count()).select_from(job).where(active)
        with self.read() as connection:
            if before is not None:
                mine = sa.select(sa.func.min(job.c.id)).where(active, job.c.submission_id == before)
                number = connection.execute(mine).scalar()
                if number is None:
                    return 0
                query = query.where(job.c.id < number, job.c.priority <= 5)
            return int(connection.execute(query).scalar_one())

    def rescore(self, metric: str, actor: str = "admin") -> int:
        """Queue every scored submission that has no score of a metric version; return how many."""
        has = sa.select(score.c.submission_id).where(score.c.metric == metric)
        waits = sa.select(job.c.submission_id).where(job.c.kind == "rescore", job.c.state.in_(("queued", "running")))
        where = (submission.c.state == State.SCORED, submission.c.id.not_in(has), submission.c.id.not_in(waits))
        with self.write() as connection:
            stale = [row.id for row in connection.execute(sa.select(submission.c.id).where(*where))]
            for submission_id in stale:
                connection.execute(job.insert().values(new_job(submission_id, "rescore")))
                self.audit(actor, "rescore-queued", submission_id, f"metric {metric}", on=connection)
        return len(stale)

    def retry(self, actor: str = "admin") -> int:
        """Queue everything that ended in error again, with new attempts; return how many.

        What was checked already is scored at once; of the others the archive was kept.
        """
        with self.write() as connection:
            failed = sa.select(submission.c.id).where(submission.c.state == State.ERROR)
            done = [row.id for row in connection.execute(failed) if self._retry(connection, row.id, actor)]
        return len(done)

    def _retry(self, connection: Connection, submission_id: str, actor: str) -> bool:
        now = get(connection, submission_id, lock=True)
        checked = now.content_sha256 is not None
        if checked and _twin(connection, now.team, now.content_sha256 or "", now.id):
            return False  # its team has submitted the same label maps again, and these are on the board
        set_state(connection, now.id, State.QUEUED if checked else State.RECEIVED, finished=None)
        connection.execute(job.insert().values(new_job(now.id, "score" if checked else "validate")))
        self.audit(actor, "tried-again", now.id, now.reason, on=connection)
        return True

    def score_rows(self, *, split: str | None = None, submission_id: str | None = None) -> dict[int, ScoreRow]:
        """Return scores by their numbers, oldest first, of all states and metric versions."""
        query = sa.select(score.c.id).order_by(score.c.id)
        query = query if split is None else query.where(score.c.split == split)
        query = query if submission_id is None else query.where(score.c.submission_id == submission_id)
        with self.read() as connection:
            wanted = [row.id for row in connection.execute(query)]
            new = [number for number in wanted if number not in self._scores]
            for first in range(0, len(new), 500):
                for row in connection.execute(sa.select(score).where(score.c.id.in_(new[first : first + 500]))):
                    self._scores[row.id] = _score_row(row)
        return {number: self._scores[number] for number in wanted}

    def pairs(self) -> dict[tuple[int, int], PairRow]:
        """Return the comparisons that were made, by the numbers of the upper and the lower score."""
        with self.read() as connection:
            return {
                (row.better, row.worse): PairRow(row.difference, row.low, row.high, row.p)
                for row in connection.execute(sa.select(pair))
            }

    def add_pair(self, better: int, worse: int, found: PairRow) -> None:
        """Keep a comparison; another worker may have been faster."""
        with contextlib.suppress(IntegrityError), self.write() as connection:
            connection.execute(pair.insert().values(better=better, worse=worse, **vars(found)))

    def _checked(self, connection: Connection, mine: Job, outcome: Checked, stamp: int) -> None:
        report = json.dumps(outcome.report, ensure_ascii=False)
        if outcome.identity is None:
            text = "The predictions cannot be scored; the report names every problem."
            set_state(connection, mine.submission, State.REJECTED, text, report=report, finished=stamp)
            self.audit("board", "rejected", mine.submission, on=connection)
            return
        identity = outcome.identity
        owner = get(connection, mine.submission).team
        if (first := _twin(connection, owner, identity, mine.submission)) is not None:
            text = f"The same label maps are on the board already, as submission {first}."
            values = {"report": report, "duplicate_of": first, "content_sha256": identity, "finished": stamp}
            set_state(connection, mine.submission, State.REJECTED, text, **values)
            self.audit("board", "duplicate", mine.submission, first, on=connection)
            return
        set_state(connection, mine.submission, State.QUEUED, report=report, content_sha256=identity)
        connection.execute(job.insert().values(new_job(mine.submission, "score")))
        self.audit("board", "accepted", mine.submission, f"identity {identity}", on=connection)

    def _scored(self, connection: Connection, mine: Job, outcome: Scored, stamp: int) -> None:
        for row in outcome.rows:
            connection.execute(score.insert().values(_columns(row)))
        if mine.kind == "score":
            set_state(connection, mine.submission, State.SCORED, finished=stamp, scored=stamp)
        self.audit("board", "scored", mine.submission, f"metric {outcome.rows[0].metric}", on=connection)

    def _fail(self, connection: Connection, mine: Job, reason: str, last: bool) -> None:
        state = {"state": "failed" if last else "queued", "owner": None, "lease_until": None, "error": reason}
        connection.execute(job.update().where(job.c.id == mine.id).values(**state))
        self.audit("board", f"{mine.kind}-failed", mine.submission, f"attempt {mine.attempts}: {reason}", on=connection)
        if mine.kind not in _RUNNING:
            return
        if last:
            times = "once" if mine.attempts == 1 else f"{mine.attempts} times"
            text = f"Our fault, tried {times}: {reason} It does not count; ask the operator to try again."
            set_state(connection, mine.submission, State.ERROR, text, finished=int(time.time()))
        else:
            self._wait_again(connection, mine)

    def _wait_again(self, connection: Connection, mine: Job) -> None:
        """Show a submission as waiting again, without a new upload."""
        state = State.RECEIVED if mine.kind == "validate" else State.QUEUED
        if not get(connection, mine.submission, lock=True).state.final:
            set_state(connection, mine.submission, state)


def _twin(connection: Connection, owner: str, identity: str, but: str) -> str | None:
    """Return the submission of a team that has the same label maps on the board, or on their way there."""
    same = (team.c.name == owner, submission.c.content_sha256 == identity, submission.c.state.in_(_ALIVE))
    query = sa.select(submission.c.id).join(team, team.c.id == submission.c.team_id).where(*same)
    found: str | None = connection.execute(query.where(submission.c.id != but)).scalar()
    return found


def worker_name() -> str:
    """Return a name that tells other processes of this host whether the worker is alive."""
    return f"{socket.gethostname()}:{os.getpid()}:{_birth(os.getpid())}"


def _birth(pid: int) -> str:
    """Return when a process began, in the kernel's ticks, so that a number used again is not taken for it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _died(owner: str) -> bool:
    """Tell whether a worker of this host is gone for certain."""
    host, _, rest = owner.partition(":")
    pid, _, birth = rest.partition(":")
    if host != socket.gethostname() or not pid.isdecimal() or not birth:
        return False
    return _birth(int(pid)) != birth


def _is(mine: Job) -> sa.ColumnElement[bool]:
    """Return the condition that a job is still the same attempt of the same worker."""
    return sa.and_(
        job.c.id == mine.id, job.c.state == "running", job.c.owner == mine.owner, job.c.attempts == mine.attempts
    )


def _columns(row: ScoreRow) -> dict[str, Any]:
    values = dict(vars(row)) | {"submission_id": row.submission, "primary_value": row.primary}
    values |= {name: json.dumps(dict(values[name]), ensure_ascii=False) for name in ("report", "environment")}
    return {name: values[name] for name in (c.name for c in score.c) if name in values}


def _score_row(row: sa.Row[Any]) -> ScoreRow:
    report, environment = json.loads(row.report), json.loads(row.environment)
    both = (row.split, row.metric, row.dataset_digest, row.code, row.primary_value, report, environment)
    return ScoreRow(row.submission_id, *both, row.started, row.finished)
