"""A board's server and worker as processes, a client's view of them, and a connection that breaks."""

from __future__ import annotations

import contextlib
import os
import random
import re
import selectors
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iamiou_leaderboard.board import open_board
from iamiou_leaderboard.client import Remote, digest_of
from tests.command import COMMAND
from tests.fakes import Scene
from tests.leaderboard.boards import packed, predictions

START = 60.0  # seconds that a process may take to start on a busy machine


class Process:
    """One ``iamiou leaderboard`` command, ended by kill -9 or by its context."""

    def __init__(self, *arguments: Any, before: Sequence[str] = ()) -> None:
        self.command = [*before, *COMMAND, "leaderboard", *(str(a) for a in arguments)]
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would, and its children with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> str:
        """Ask it to end, and return the rest of what it printed."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            out, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        return out.decode() if out else ""

    def children(self) -> list[int]:
        """Return the ids of the processes that it started."""
        found: list[int] = []
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{self.pid}/task").iterdir():
                found += [int(p) for p in (thread / "children").read_text().split()]
        return found

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Server(Process):
    """``iamiou leaderboard serve``, once it answers."""

    def __init__(self, board: Path, *, port: int = 0, workers: int = 0, before: Sequence[str] = ()) -> None:
        super().__init__("serve", board, "--port", port, "--workers", workers, before=before)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self._first_line())
        assert found, "the server did not start"
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        until(self.answers)

    def _first_line(self) -> str:
        assert self.process.stdout
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            out = b""
            while b"Serving" not in out or not out.endswith(b"\n"):
                assert ready.select(START), out
                piece = os.read(self.process.stdout.fileno(), 4096)
                assert piece, out.decode()
                out += piece
        return out.decode()

    def answers(self) -> bool:
        """Tell whether a page can be had."""
        try:
            with urllib.request.urlopen(f"{self.url}/rules", timeout=5):
                return True
        except OSError:
            return False


def until(done: Callable[[], Any], seconds: float = START) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def token(board: Path, team: str = "Lab") -> str:
    """Make a team's token."""
    opened = open_board(board)
    try:
        return opened.store.create_token(team)
    finally:
        opened.close()


def variant(images: Sequence[Scene], number: int, *, noise: int = 0) -> bytes:
    """Return an archive that differs from those of other numbers in some pixels; ``noise`` images do not shrink."""
    rng = np.random.default_rng(number)

    def change(labels: np.ndarray) -> np.ndarray:
        out = labels.copy()
        out[rng.integers(out.shape[0]), :] = 5
        return out

    files = predictions(images, change)
    for image in list(images)[:noise]:
        files |= predictions([image], lambda a: rng.integers(0, 21, a.shape, dtype=np.uint8))
    return packed(files)


def send(remote: Remote, archive: Path, meta: Mapping[str, Any], progress: Callable[[int, int], None]) -> str:
    """Submit as ``iamiou submit`` does, once the predictions are packed."""
    submission_id = remote.create(meta, archive.stat().st_size, digest_of(archive))
    remote.upload(submission_id, archive, progress)
    return submission_id


class BreakingWire:
    """A proxy that breaks every connection after a random number of bytes, until it was told to let all through."""

    def __init__(self, port: int, seed: int, most: int) -> None:
        self.target, self.random, self.most, self.broken, self.whole = port, random.Random(seed), most, 0, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        left = 2**60 if self.whole else self.random.randrange(200, self.most)
        with near, socket.create_connection(("127.0.0.1", self.target)) as far, selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            with contextlib.suppress(OSError):
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(4096)[:left]  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)
                        left -= len(data)
                        if left <= 0:
                            self.broken += 1
                            return

    def close(self) -> None:
        self.listener.close()
