"""Names of submissions: 26 characters that sort by time and cannot be guessed."""

from __future__ import annotations

import re
import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_ID = re.compile(f"[0-7][{_ALPHABET}]{{25}}")


def new_id(now: float | None = None) -> str:
    """Return a new id: 48 bits of milliseconds, 80 bits of chance.

    Examples
    --------
    >>> len(new_id()), new_id(1) < new_id(2)
    (26, True)
    """
    stamp = int((time.time() if now is None else now) * 1000)
    number = stamp << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> 5 * k & 31] for k in range(25, -1, -1))


def is_id(text: str) -> bool:
    """Tell whether a text has the form of an id, before it becomes part of a path.

    Examples
    --------
    >>> is_id(new_id()), is_id("../../etc/passwd")
    (True, False)
    """
    return _ID.fullmatch(text) is not None
