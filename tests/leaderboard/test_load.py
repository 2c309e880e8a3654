"""Many clients at once, and a disk that fills: every archive is scored once, pages answer, and the server stays."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from iamiou_leaderboard.board import open_board
from iamiou_leaderboard.client import Refused, Remote, digest_of
from iamiou_leaderboard.types import State
from tests.leaderboard.boards import drawn, make_board
from tests.leaderboard.live import Process, Server, send, token, until, variant
from tests.leaderboard.test_kills import check_books

IMAGES = drawn(10)
META = {"method": "ours", "kind": "submission"}
CLIENTS, WORKERS = 8, 2
PAGES = ("/", "/api/v1/board", "/rules", "/submit")


class Reader:
    """Loads one page after another and notes how long each took, until told to stop."""

    def __init__(self, url: str) -> None:
        self.url, self.times, self.stop = url, [], threading.Event()  # type: ignore[var-annotated]

    def load(self, path: str) -> None:
        started = time.perf_counter()
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            assert answer.status == 200 and answer.read()
        self.times.append(time.perf_counter() - started)

    def run(self) -> None:
        while not self.stop.is_set():
            for path in PAGES:
                self.load(path)
            self.stop.wait(0.05)

    def summary(self) -> str:
        low = statistics.median(self.times)
        high = statistics.quantiles(self.times, n=100)[98]
        return f"median {1000 * low:.0f} ms, 99th percentile {1000 * high:.0f} ms of {len(self.times)} pages"


def submit_all(url: str, secret: str, numbers: range, folder: Path) -> None:
    """Be one client, which submits one archive after another."""
    remote = Remote(url, secret)
    for number in numbers:
        path = folder / f"{number}.zip"
        path.write_bytes(variant(IMAGES, number))
        send(remote, path, META | {"method": f"run {number}"}, lambda *_: None)


@pytest.mark.parametrize("archives", [8, pytest.param(200, marks=pytest.mark.soak)])
def test_every_archive_is_scored_once_while_pages_answer(archives, tmp_path, capsys):
    board = make_board(tmp_path / "board", IMAGES)
    opened = open_board(board)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(board))
        idle, busy = Reader(server.url), Reader(server.url)
        for _ in range(10 if archives < 200 else 50):
            for path in PAGES:
                idle.load(path)
        for _ in range(WORKERS):
            stack.enter_context(Process("worker", board))
        each = archives // CLIENTS
        started = time.monotonic()
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            reading = pool.submit(busy.run)
            teams = [token(board, f"Team {k}") for k in range(CLIENTS)]
            sending = [
                pool.submit(submit_all, server.url, teams[k], range(k * each, (k + 1) * each), tmp_path)
                for k in range(CLIENTS)
            ]
            try:
                for one in sending:
                    one.result()
                sent = time.monotonic() - started
                until(lambda: all(s.state.final for s in opened.store.submissions()), 60 + 10 * archives)
            finally:
                busy.stop.set()
            reading.result()
        took = time.monotonic() - started
        check_books(opened, archives)
    opened.close()
    assert statistics.median(busy.times) < 5
    with capsys.disabled():
        sys.stdout.write(
            f"\nload: {CLIENTS} clients, {archives} archives, {WORKERS} workers on {os.cpu_count()} cores: "
            f"received in {sent:.0f} s, all scored once in {took:.0f} s\n"
            f"  idle:       {idle.summary()}\n  under load: {busy.summary()}\n"
        )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 12 MB, where that may be done; it fills for real."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("mounting a small disk takes rights that this user does not have")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


#: Files of the server end at 8 MB, which is met as a full disk is, and needs no rights.
SMALL_FILES = ("bash", "-c", 'ulimit -f 8192; exec "$@"', "-")


def check_full(board: Path, server: Server, folder: Path) -> None:
    """Upload too much: that upload is rejected, and the next honest one is scored."""
    remote, path = Remote(server.url, token(board), patience=5), folder / "archive.zip"
    path.write_bytes(np.random.default_rng(0).bytes(16_000_000))
    with pytest.raises(Refused, match="disk is full") as e:
        send(remote, path, META, lambda *_: None)
    assert (e.value.status, e.value.code) == (507, "disk-full")
    opened = open_board(board)
    (rejected,) = opened.store.submissions()
    assert rejected.state == State.REJECTED and "disk is full" in rejected.reason
    assert list(opened.store.folder(rejected.id).iterdir()) == []
    assert server.answers()
    path.write_bytes(variant(IMAGES, 0))
    submission_id = send(remote, path, META, lambda *_: None)
    with Process("worker", board):
        until(lambda: opened.store.submission(submission_id).state.final)
    after = opened.store.submission(submission_id)
    assert after.state == State.SCORED, after.reason
    assert after.archive_sha256 == digest_of(path)
    opened.close()


def test_a_disk_that_fills_rejects_the_upload_and_keeps_serving(small_disk, tmp_path):
    board = make_board(small_disk / "board", IMAGES)
    with Server(board) as server:
        check_full(board, server, tmp_path)


def test_a_limit_on_files_is_met_as_a_full_disk(tmp_path):
    board = make_board(tmp_path / "board", IMAGES)
    with Server(board, before=SMALL_FILES) as server:
        check_full(board, server, tmp_path)
