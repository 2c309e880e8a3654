"""Plain tables for the terminal, safe to show whatever a submitter called himself."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set rows under a head, columns as wide as they need.

    >>> print(table(["id", "name"], [["1", "a"], ["22", "b"]]))
    id  name
    1   a
    22  b
    """
    lines = [head, *rows]
    widths = [max(_width(line[k]) for line in lines) for k in range(len(head))]
    return "\n".join(
        "  ".join(text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def day(stamp: int | None) -> str:
    """Write a date."""
    return "–" if stamp is None else time.strftime("%Y-%m-%d", time.gmtime(stamp))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
