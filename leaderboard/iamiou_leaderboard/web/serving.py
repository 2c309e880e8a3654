"""The server and its workers: one process answers, others score, and they end together."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import uvicorn

from iamiou.errors import InputError
from iamiou_leaderboard.board import Opened
from iamiou_leaderboard.web.app import LOCAL, create_app

#: Seconds to wait before a worker that ended is started again; doubled up to a minute while it keeps ending.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0


def names_of(host: str) -> set[str]:
    """Return the names that a server bound to ``host`` answers to.

    >>> names_of("127.0.0.1") == {"127.0.0.1", "localhost", "::1"}
    True
    """
    if host in LOCAL:
        return set(LOCAL)
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            own = {socket.gethostname(), socket.getfqdn()}
            with contextlib.suppress(OSError):
                own |= {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
            return {*LOCAL, *own}
    return {*LOCAL, host}


def bind(host: str, port: int) -> socket.socket:
    """Open the port before anything else is started; `InputError` says why it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=512)
        # Connections inherit it; asyncio leaves it out on these, and then the second half of an answer waits 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as e:
        raise InputError(f"Port {port} of '{host}' cannot be opened ({e.strerror or e}); choose another.") from e


class Workers:
    """Worker processes that are started again when they end, and ended with the server, even by kill -9.

    Parameters
    ----------
    directory : path
        The board.
    number : int
    """

    def __init__(self, directory: str | Path, number: int) -> None:
        self.stop = threading.Event()
        self.command = [sys.executable, "-m", "iamiou_leaderboard.web.follower", str(directory)]
        self.threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(number)]

    def __enter__(self) -> Workers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(20)

    def _keep(self) -> None:
        wait = FIRST_WAIT
        while not self.stop.is_set():
            began = time.monotonic()
            # The worker reads its input to the end, which comes when this process ends, however it ends.
            with subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
            ) as child:
                while child.poll() is None and not self.stop.wait(0.2):
                    pass
                _end(child)
            wait = FIRST_WAIT if time.monotonic() - began > LONGEST_WAIT else min(2 * wait, LONGEST_WAIT)
            self.stop.wait(wait)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let a worker give its job back, and end it when it takes too long."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()


def make_server(opened: Opened, host: str, public_url: str) -> uvicorn.Server:
    """Return the server of a board; the caller runs it on a socket.

    Parameters
    ----------
    opened : Opened
    host : str
        What the socket is bound to.
    public_url : str
        How others reach it.
    """
    config = uvicorn.Config(
        create_app(opened, hosts=names_of(host), public_url=public_url),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # no header of a stranger decides who is trusted
        lifespan="off",
        limit_concurrency=512,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def default_workers() -> int:
    """Return how many workers suit this machine: one core is left to the server."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))
