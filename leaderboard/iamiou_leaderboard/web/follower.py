"""A worker that ends with the server that started it: ``python -m iamiou_leaderboard.web.follower DIR``."""

from __future__ import annotations

import os
import signal
import sys
import threading


def _watch() -> None:
    """Wait for the end of standard input, which the server holds open as long as it lives, even to a kill -9."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from iamiou.cli import main

    threading.Thread(target=_watch, daemon=True).start()
    main(["leaderboard", "worker", *sys.argv[1:]])
