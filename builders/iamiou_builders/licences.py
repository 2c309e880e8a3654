"""COCO's licences by number, and what they allow a page to show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """One licence: its name, address, and whether it forbids commercial use and altered copies."""

    name: str
    url: str
    non_commercial: bool = False
    no_derivatives: bool = False


_CC = "https://creativecommons.org/licenses"

#: The table that every COCO and LVIS file carries.
LICENCES = {
    1: Licence("CC BY-NC-SA 2.0", f"{_CC}/by-nc-sa/2.0/", non_commercial=True),
    2: Licence("CC BY-NC 2.0", f"{_CC}/by-nc/2.0/", non_commercial=True),
    3: Licence("CC BY-NC-ND 2.0", f"{_CC}/by-nc-nd/2.0/", non_commercial=True, no_derivatives=True),
    4: Licence("CC BY 2.0", f"{_CC}/by/2.0/"),
    5: Licence("CC BY-SA 2.0", f"{_CC}/by-sa/2.0/"),
    6: Licence("CC BY-ND 2.0", f"{_CC}/by-nd/2.0/", no_derivatives=True),
    7: Licence("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: Licence("United States Government Work", "https://www.usa.gov/government-works"),
}
UNKNOWN = Licence("unknown", "", non_commercial=True, no_derivatives=True)


def licence(number: int | None) -> Licence:
    """Return a licence by COCO's number; what is unknown allows nothing.

    >>> licence(4).name, licence(None).no_derivatives
    ('CC BY 2.0', True)
    """
    return UNKNOWN if number is None else LICENCES.get(number, UNKNOWN)


def may_be_cut(number: int | None) -> bool:
    """Tell whether a crop of the picture may be shown: an altered copy.

    >>> [n for n in (*LICENCES, None) if not may_be_cut(n)]
    [3, 6, None]
    """
    return not licence(number).no_derivatives
