"""What every page needs: the board, the templates and how a value is written."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2

from iamiou import __version__
from iamiou.scores import bin_names
from iamiou.wording import number, plural, size_ranges, size_words
from iamiou_leaderboard.web.drawings import day, difference_bar
from iamiou_leaderboard.web.links import Links
from iamiou_leaderboard.web.sessions import ANONYMOUS, Visit

if TYPE_CHECKING:
    from iamiou_leaderboard.board import Opened
    from iamiou_leaderboard.store import Store
    from iamiou_leaderboard.types import Board

ASSETS = {"style.css": "text/css; charset=utf-8", "board.js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True)
class Site:
    """A board and where its pages go.

    Parameters
    ----------
    opened : Opened
    links : Links
    written : int
        Seconds since 1970 at which a static page was made; 0 on a server.
    public_url : str
        How others reach the server, for the command lines that are shown; "" when unknown.
    """

    opened: Opened
    links: Links
    written: int = 0
    public_url: str = ""

    @property
    def board(self) -> Board:
        """The configuration."""
        return self.opened.board

    @property
    def store(self) -> Store:
        """The database and the files of the submissions."""
        return self.opened.store

    def render(self, template: str, visit: Visit | None = None, **values: Any) -> str:
        """Return a page."""
        shared = {"board": self.board, "links": self.links, "site": self, "visit": visit or Visit(ANONYMOUS)}
        return environment().get_template(template).render(**shared, **values)


@cache
def environment() -> jinja2.Environment:
    """Return the templates; every value is escaped, a name that is not there is a bug."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("iamiou_leaderboard.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(number=number, plural=plural, day=day, minute=minute, signed=signed, direction=direction)
    made.globals.update(heat=heat, label=label, headline=headline, difference_bar=difference_bar, version=__version__)
    made.globals.update(size_bytes=size_bytes, bin_names=bin_names, size_words=size_words, size_ranges=size_ranges)
    return made


@cache
def asset(name: str) -> bytes:
    """Return a style sheet or script; only names in `ASSETS` exist."""
    return (files("iamiou_leaderboard.web") / "assets" / name).read_bytes()


@cache
def assets_version() -> str:
    """Return what changes whenever a style sheet or script does."""
    return hashlib.sha256(b"".join(asset(name) for name in sorted(ASSETS))).hexdigest()[:12]


def minute(seconds: int | None) -> str:
    """Write a time to the second, in UTC.

    >>> minute(1764000000)
    '2025-11-24 16:00:00 UTC'
    """
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def signed(value: float | None) -> str:
    """Write a difference with its sign, a true minus.

    >>> signed(-0.25), signed(0.101), signed(0.0001), signed(None)
    ('−0.250', '+0.101', '0.000', '–')
    """
    text = number(value)
    if value is None or not float(text):
        return text.removeprefix("-")
    return text.replace("-", "−") if value < 0 else f"+{text}"


def direction(value: float) -> str:
    """Return the class of a difference's colour; one that is shown as 0 has none.

    >>> direction(0.02), direction(-0.02), direction(0.0004)
    ('up', 'down', '')
    """
    return "" if abs(value) < 0.0005 else "up" if value > 0 else "down"


def heat(value: float | None) -> str:
    """Return the class of a cell's colour in 20 steps; inline styles are not allowed on the pages.

    >>> heat(0.52), heat(None)
    ('heat h10', 'none')
    """
    return "none" if value is None else f"heat h{max(0, min(20, round(value * 20)))}"


def label(name: str) -> str:
    """Write a key of the meta data for people.

    >>> label("coco_pretrained"), label("extra_data"), label("iamiou")
    ('COCO pretrained', 'Extra data', 'iamiou')
    """
    text = name.replace("_", " ")
    return text if text == "iamiou" else (text[:1].upper() + text[1:]).replace("Coco", "COCO")


def headline(name: str) -> tuple[str, str]:
    """Split the name of a score before its subscript.

    >>> headline("IA_S"), headline("mIoU")
    (('IA', 'S'), ('mIoU', ''))
    """
    head, _, sub = name.partition("_")
    return head, sub


def size_bytes(size: int) -> str:
    """Write a number of bytes for people.

    >>> size_bytes(2**31), size_bytes(1500)
    ('2.0 GiB', '1.5 KiB')
    """
    value, unit = float(size), "bytes"
    for bigger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, bigger
    return f"{value:.1f} {unit}" if unit != "bytes" else f"{size} bytes"
