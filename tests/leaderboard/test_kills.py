"""kill -9 at random points of upload, validation and scoring: nothing is lost, scored twice, or stuck."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from iamiou_leaderboard import client
from iamiou_leaderboard.board import Opened, open_board
from iamiou_leaderboard.client import Remote, digest_of
from iamiou_leaderboard.types import State
from tests.leaderboard.boards import drawn, make_board, packed, predictions, submit
from tests.leaderboard.live import Process, Server, send, token, until, variant

IMAGES = drawn(10)
META = {"method": "ours", "kind": "submission"}
#: What each phase kills; a phase lasts about so many seconds, and the moment is drawn from it.
VICTIMS = {
    "upload": ("server", "all"),
    "validating": ("worker", "scorer", "all"),
    "scoring": ("worker", "scorer", "all"),
}
LENGTH = {"upload": 1.0, "validating": 1.2, "scoring": 1.2}


class Laboratory:
    """A board with a server and a worker that can be killed and come back."""

    def __init__(self, board: Path) -> None:
        self.board, self.server = board, Server(board)
        self.port, self.worker = self.server.port, Process("worker", board)

    def kill(self, victim: str) -> None:
        """End processes without a warning, and start them again."""
        if victim == "scorer":
            for pid in self.worker.children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        if victim in ("worker", "all"):
            self.worker.kill()
        if victim in ("server", "all"):
            self.server.kill()
            self.server = Server(self.board, port=self.port)
        if victim in ("worker", "all"):
            self.worker = Process("worker", self.board)

    def close(self) -> None:
        self.worker.end()
        self.server.end()


class Upload(threading.Thread):
    """A client in a thread of its own; the server may go and come back while it sends."""

    def __init__(self, remote: Remote, archive: Path) -> None:
        super().__init__(daemon=True)
        self.remote, self.archive, self.id, self.done = remote, archive, "", 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.id = send(self.remote, self.archive, META, self._note)
        except BaseException as e:
            self.error = e

    def _note(self, done: int, total: int) -> None:
        self.done = done


def one_kill(laboratory: Laboratory, opened: Opened, remote: Remote, path: Path, rng: random.Random) -> tuple[str, str]:
    """Submit, kill at a random point of a random phase, and wait until the submission is scored."""
    phase = rng.choice(list(VICTIMS))
    victim = rng.choice(VICTIMS[phase])
    upload = Upload(remote, path)
    upload.start()
    sha256 = digest_of(path)
    if phase == "upload":
        mark = rng.uniform(0, path.stat().st_size)
        until(lambda: upload.done >= mark or not upload.is_alive())
        time.sleep(rng.uniform(0, 0.02))
    else:
        until(lambda: _state(opened, sha256) in (phase, State.SCORED))
        time.sleep(rng.uniform(0, LENGTH[phase]))
    hit = _state(opened, sha256) or "announcing"
    if hit == "received" and upload.is_alive():
        hit = "upload"
    laboratory.kill(victim)
    upload.join(60)
    assert not upload.is_alive() and upload.error is None, upload.error
    until(lambda: opened.store.submission(upload.id).state.final)
    after = opened.store.submission(upload.id)
    assert after.state == State.SCORED, (phase, victim, after.reason)
    return hit, victim


def _state(opened: Opened, sha256: str) -> str:
    found = [s for s in opened.store.submissions() if s.archive_sha256 == sha256]
    return found[-1].state.value if found else ""


def kill_often(kills: int, seed: int, board: Path, folder: Path) -> Counter[tuple[str, str]]:
    """Return how often which process was killed in which state."""
    rng, opened, laboratory = random.Random(seed), open_board(board), Laboratory(board)
    remote = Remote(laboratory.server.url, token(board), patience=60)
    hits: Counter[tuple[str, str]] = Counter()
    try:
        for k in range(kills):
            path = folder / "archive.zip"
            path.write_bytes(variant(IMAGES, k, noise=4))
            hits[one_kill(laboratory, opened, remote, path, rng)] += 1
        check_books(opened, kills)
    finally:
        laboratory.close()
        opened.close()
    return hits


def check_books(opened: Opened, expected: int) -> None:
    """Every submission has one score a split, no job is left, no file lies about, the database is whole."""
    entries = opened.store.submissions()
    assert [s.state for s in entries] == [State.SCORED] * expected
    for split in opened.board.splits:
        scored = [row.submission for row in opened.store.score_rows(split=split).values()]
        assert sorted(scored) == sorted(s.id for s in entries)
        for entry in entries:
            (row,) = opened.store.score_rows(split=split, submission_id=entry.id).values()
            assert opened.counts_file(entry.id, row.metric, split).exists()
            assert opened.rows_file(entry.id, row.metric, split).exists()
    assert opened.store.queue_length() == 0
    # The worker has just recorded its last job and may still be putting things away.
    until(lambda: all({p.name for p in opened.store.folder(s.id).iterdir()} == {"labels.zip"} for s in entries), 30)
    with contextlib.closing(sqlite3.connect(opened.directory / "board.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.soak)])
def test_nothing_is_lost_scored_twice_or_stuck(kills, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(client, "PIECE", 8192)
    board = make_board(tmp_path / "board", IMAGES)
    seed = 0 if kills == 10 else random.randrange(2**32)
    started = time.monotonic()
    hits = kill_often(kills, seed, board, tmp_path)
    assert sum(hits.values()) == kills
    if kills >= 200:  # so that all of them were really attacked
        assert {state for state, _ in hits} >= {"upload", "validating", "scoring"}
    with capsys.disabled():
        counts = ", ".join(f"{victim} while {state} {n}" for (state, victim), n in sorted(hits.items()))
        seconds = time.monotonic() - started
        sys.stdout.write(f"\nkills: seed {seed}, {kills} in {seconds:.0f} s, all scored once: {counts}\n")


def test_serve_starts_a_worker_again_that_was_killed(tmp_path):
    board = make_board(tmp_path / "board", IMAGES)
    opened = open_board(board)
    entry = submit(opened, packed(predictions(IMAGES)))
    with Server(board, workers=1) as server:
        until(server.children)
        until(lambda: opened.store.submission(entry.id).state == State.VALIDATING)
        (worker,) = server.children()
        os.kill(worker, signal.SIGKILL)
        until(lambda: opened.store.submission(entry.id).state.final)
        assert worker not in server.children()
        check_books(opened, 1)
    assert any("worker stopped" in line["detail"] for line in opened.store.audit_log())
    opened.close()


def test_three_failures_end_in_error_with_the_reason(tmp_path):
    """A submission whose scorer is killed every time is given up, and does not count against the quota."""
    board = make_board(tmp_path / "board", IMAGES)
    opened = open_board(board)
    entry = submit(opened, packed(predictions(IMAGES)))
    with Process("worker", board) as worker:

        def given_up() -> bool:
            for pid in worker.children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return opened.store.submission(entry.id).state.final

        until(given_up)
    after = opened.store.submission(entry.id)
    assert after.state == State.ERROR
    assert "tried 3 times" in after.reason and after.scored is None
    opened.close()
