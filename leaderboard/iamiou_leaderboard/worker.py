"""The worker: takes jobs, keeps their leases, gives them back when it must stop, compares neighbours when idle."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from sqlalchemy.exc import OperationalError

from iamiou_leaderboard.board import Opened, open_board
from iamiou_leaderboard.jobs import LEASE, worker_name
from iamiou_leaderboard.scorer import Failure, Limits, score_in_subprocess
from iamiou_leaderboard.types import BoardError, Job, State

_REAP_EVERY = 5.0
_PAUSE = 2.0
#: Where the archive is still needed, after an error for another try.
_PENDING = (State.RECEIVED, State.VALIDATING, State.ERROR)
_OVER = (State.REJECTED, State.ERROR, State.CANCELLED)


def work(
    directory: str | Path,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    limits: Limits | None = None,
    lease: float = LEASE,
    poll: float = 0.3,
) -> int:
    """Do the jobs of a board until ``stop`` is set; return how many were done.

    Parameters
    ----------
    directory : path
    once : bool
        Return when nothing waits.
    stop : threading.Event, optional
        Set: the job at hand is given back and the function returns.
    limits : Limits, optional
        Of one job.
    lease, poll : float
        Seconds until other workers may take a job over, and between two looks into an empty queue.
    """
    opened, stop = open_board(directory), stop or threading.Event()
    name, done, reaped = worker_name(), 0, 0.0
    try:
        while not stop.is_set():
            try:
                if time.monotonic() - reaped > _REAP_EVERY:
                    reaped = time.monotonic()
                    opened.store.reap()
                    sweep(opened)
                job = opened.store.claim(name, lease=lease)
                if job is not None:
                    done += do(opened, job, stop, limits or Limits(), lease)
                elif not compare_neighbours(opened):
                    if once:
                        break
                    stop.wait(poll)
            except OperationalError:  # a full disk, a database that restarts: leases bring back what was under way
                if once:
                    raise
                stop.wait(_PAUSE)
    finally:
        opened.close()
    return done


def do(opened: Opened, job: Job, stop: threading.Event, limits: Limits, lease: float) -> bool:
    """Do one job and record what came out; False when it was not done, or not by this worker."""
    beat = time.monotonic()

    def alive() -> bool:
        nonlocal beat
        if time.monotonic() - beat > lease / 6:
            beat = time.monotonic()
            return opened.store.heartbeat(job, lease=lease)
        return not stop.is_set()

    try:
        outcome = score_in_subprocess(opened, job, limits, alive)
    except Exception as e:  # a disk that is full, files that somebody moved: this job's trouble, not the worker's
        outcome = Failure(f"The worker could not handle it ({type(e).__name__}).")
        _log(opened, job, e)
    if outcome is None:
        opened.store.release(job)
        return False
    if isinstance(outcome, Failure):
        opened.store.fail_job(job, outcome.reason, final=outcome.final)
        return False
    done = opened.store.finish_job(job, outcome)
    sweep(opened, job.submission)
    return done


def sweep(opened: Opened, only: str | None = None) -> None:
    """Remove archives that were decoded or refused, and what attempts that broke off left behind."""
    base = opened.directory / "submissions"
    for folder in [base / only] if only else list(base.iterdir()):
        left = [path for path in folder.glob("*") if path.name != "labels.zip"]
        try:
            state = opened.store.submission(folder.name).state if left else State.RECEIVED
        except BoardError:  # a backup may hold files that are younger than its database
            continue
        for path in left:
            if path.suffix in (".zip", ".part"):
                if state not in _PENDING:
                    path.unlink(missing_ok=True)
            elif state in _OVER:
                shutil.rmtree(path, ignore_errors=True)


def compare_neighbours(opened: Opened) -> bool:
    """Compare one pair of rows that stand next to one another and were not compared yet; False when all are."""
    from iamiou_leaderboard.ranking import compare_pair, missing_pair

    for split in opened.board.splits:
        if (pair := missing_pair(opened, split)) is not None:
            compare_pair(opened, split, *pair)
            return True
    return False


def _log(opened: Opened, job: Job, error: Exception) -> None:
    """Keep what an operator needs to find the cause, where submitters do not see it."""
    import contextlib
    import traceback

    path = opened.directory / "logs" / f"{job.submission}-{job.id}-{job.attempts}-worker.log"
    with contextlib.suppress(OSError):
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
