"""What a long command is doing, on one line of a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class StatusLine:
    """One line on the terminal's error stream that is written over; nothing where there is no terminal."""

    def __enter__(self) -> Callable[[str], None] | None:
        if not sys.stderr.isatty():
            self.status: Any = None
            return None
        from rich.console import Console

        self.status = Console(stderr=True).status("Starting")
        self.status.start()
        update: Callable[[str], None] = self.status.update
        return update

    def __exit__(self, *_: object) -> None:
        if self.status is not None:
            self.status.stop()
