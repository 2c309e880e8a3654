"""Names that people give: in one normal form, short, and made of characters that can be shown."""

from __future__ import annotations

import unicodedata

from iamiou.errors import InputError


def check_name(text: str, what: str, most: int = 64) -> str:
    """Return a name in Unicode's normal form C; refuse one that is empty, long, or not made to be read.

    Examples
    --------
    >>> check_name(" Vision Lab ", "team")
    'Vision Lab'
    >>> check_name("a" + chr(0x202E) + "b", "team")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: The team name has a character that cannot be shown (U+202E); ...
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 0 < len(name) <= most:
        raise InputError(f"The {what} name has {len(name)} characters; give 1 to {most}.")
    for c in name:
        # Controls, direction marks and other invisible ones, surrogates, private use, line separators.
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise InputError(f"The {what} name has a character that cannot be shown (U+{ord(c):04X}); leave it out.")
    return name
