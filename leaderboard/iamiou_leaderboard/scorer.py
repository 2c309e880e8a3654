"""Run one job in a process with limits, and take in what it left: strangers' bytes never meet the server's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from iamiou_leaderboard.board import Opened
from iamiou_leaderboard.jobs import Checked, Outcome, Scored
from iamiou_leaderboard.scorer_main import OUT_OF_DISK, OUT_OF_MEMORY
from iamiou_leaderboard.types import Job, ScoreRow
from iamiou_leaderboard.validation import report_of

_PASSED_ON = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT", "COVERAGE_PROCESS_START")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS")


@dataclass(frozen=True)
class Limits:
    """What one job may take.

    Parameters
    ----------
    memory : int
        Bytes of address space; the libraries alone take about half a GiB of it.
    cpu, seconds : int
        Seconds of processor time and of wall-clock time.
    file : int
        Bytes of any one file.
    """

    memory: int = 4 * 2**30
    cpu: int = 1800
    seconds: int = 3600
    file: int = 2**33


@dataclass(frozen=True)
class Failure:
    """The job could not be done; ``final`` when another attempt would end in the same way."""

    reason: str
    final: bool = False


def score_in_subprocess(
    opened: Opened,
    job: Job,
    limits: Limits,
    alive: Callable[[], bool] = lambda: True,
) -> Outcome | Failure | None:
    """Validate or score a submission in a process of its own.

    Parameters
    ----------
    opened : Opened
    job : Job
    limits : Limits
    alive : callable
        Asked several times a second; False ends the process, and nothing comes back.

    Returns
    -------
    Checked, Scored, Failure or None
        Files of a success lie in their places, complete.
    """
    folder = opened.store.folder(job.submission).resolve()
    work = folder / f"work-{job.id}-{job.attempts}"
    for left in folder.glob(f"work-{job.id}-*"):  # of attempts that were killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        work.mkdir(mode=0o700, parents=True)
        code = _run(opened, job, limits, folder, work, alive)
        if code is None:
            return None
        if isinstance(code, Failure):
            return code
        if code:
            return _ended(code, job, limits, len(opened.images))
        return _take_in(opened, job, folder, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(
    opened: Opened, job: Job, limits: Limits, folder: Path, work: Path, alive: Callable[[], bool]
) -> int | Failure | None:
    """Start the process and wait for its exit code."""
    arguments = [job.kind, str(opened.directory.resolve()), str(folder), str(work), json.dumps(asdict(limits))]
    command = [sys.executable, "-m", "iamiou_leaderboard.scorer_main", *arguments]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("NUMBA_", "IAMIOU_BOUNDS"))}
    environment |= dict.fromkeys(_ONE_THREAD, "1") | {"TMPDIR": str(work), "PYTHONPATH": os.pathsep.join(sys.path)}
    log = opened.directory / "logs" / f"{job.submission}-{job.id}-{job.attempts}.log"
    deadline = time.monotonic() + limits.seconds
    with (
        open(log, "wb", opener=_private) as out,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment, cwd=work, start_new_session=True
        ) as process,
    ):
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    return Failure(f"It took more than {limits.seconds} seconds.")
                if not alive():
                    return None
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    if log.stat().st_size == 0:
        log.unlink()
    return process.returncode


def _ended(code: int, job: Job, limits: Limits, images: int) -> Outcome | Failure:
    """Say why a process ended before its work was done."""
    reasons = {
        OUT_OF_MEMORY: f"It needs more than {limits.memory / 2**30:.3g} GiB of memory.",
        OUT_OF_DISK: "The server's disk is full, or a file grew beyond its limit.",
    }
    out_of_time = -int(getattr(signal, "SIGXCPU", 0))  # none on Windows
    reasons |= {out_of_time: f"It takes more than {limits.cpu} seconds of work.", -9: "The system killed it."}
    reason = reasons.get(code, f"The scorer ended with code {code}.")
    if job.kind == "validate" and code in (OUT_OF_MEMORY, out_of_time):
        # Honest label maps stay far below the limits; the same bytes would end in the same way.
        from iamiou.errors import Problem

        problem = Problem(
            "too-much-work", "archive takes too much to read", ("archive.zip",), f"{reason} Pack it anew."
        )
        return Checked(report_of([problem], images), None)
    return Failure(reason)


def _take_in(opened: Opened, job: Job, folder: Path, work: Path) -> Outcome:
    """Move the results to their places; the database does not know of them yet."""
    result = json.loads((work / "result.json").read_text(encoding="utf-8"))
    if job.kind == "validate":
        if result["identity"]:
            (work / "labels.zip").replace(folder / "labels.zip")
        return Checked(result["report"], result["identity"])
    rows = tuple(ScoreRow(submission=job.submission, **row) for row in result["rows"])
    for row in rows:
        place = (job.submission, row.metric, row.split)
        for path in (opened.counts_file(*place), opened.rows_file(*place)):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            (work / f"{row.split}{path.suffix}").replace(path)
    return Scored(rows)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
