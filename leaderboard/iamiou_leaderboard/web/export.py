"""The board as a folder of files: the same templates, no server, no outside address."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iamiou.errors import InputError
from iamiou_leaderboard import views
from iamiou_leaderboard.board import Opened
from iamiou_leaderboard.types import BoardRow, ComparisonView
from iamiou_leaderboard.web import pages
from iamiou_leaderboard.web.csv_table import to_csv
from iamiou_leaderboard.web.links import Links
from iamiou_leaderboard.web.sessions import ANONYMOUS, Visit
from iamiou_leaderboard.web.site import ASSETS, Site, asset

#: Stands in every exported folder, so that a later export may replace it.
MARK = "iamiou-board.json"
_VISIT = Visit(ANONYMOUS)


def export(opened: Opened, out: str | Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Write a board as files that any browser opens and any web host serves.

    Parameters
    ----------
    opened : Opened
    out : path
        A new or empty folder, or an earlier export, which is replaced as a whole.
    progress : callable, optional
        Called with the number of pages done and of all.

    Returns
    -------
    int
        How many pages were written.

    Raises
    ------
    InputError
        When the folder holds something else, or cannot be written.
    """
    place = Path(out)
    _check(place)
    try:
        made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    except OSError as e:
        raise InputError(f"'{out}' cannot be written ({e.strerror}); give a folder in one that exists.") from e
    try:
        number = _write(opened, made, progress)
        made.chmod(0o755)
        _replace(made, place)
    except BaseException as e:
        shutil.rmtree(made, ignore_errors=True)
        if isinstance(e, OSError):
            raise InputError(f"'{out}' cannot be written ({e.strerror}); free some space or choose another.") from e
        raise
    return number


def _check(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise InputError(f"'{place}' is a file; give the name of a folder.")
    if place.is_dir() and any(place.iterdir()) and not (place / MARK).is_file():
        raise InputError(f"'{place}' holds other files, and nothing is mixed with them; give a new or empty folder.")


def _replace(made: Path, place: Path) -> None:
    """Put the new folder where the old one was."""
    old = made.with_name(f"{made.name}.old")
    if place.exists():
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _write(opened: Opened, made: Path, progress: Callable[[int, int], None] | None) -> int:
    """Write every page that has an address on the server and needs none."""
    first = opened.board.splits[0]
    top = Site(opened, Links(first, static=True, root=""), written=int(time.time()))
    below = Site(opened, Links(first, static=True, root="../"), written=top.written)
    ids, pairs = _entries(opened)
    total, done = len(ids) + len(pairs) + 2, 0

    def put(address: str, content: str | bytes) -> None:
        path = made / address.removeprefix("../")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    for name in ASSETS:
        put(top.links.asset(name), asset(name))
    _boards(top, put)
    step()
    put(top.links.rules(), pages.rules_page(top, _VISIT))
    put(top.links.rules("json"), _json(views.rules(opened)))
    step()
    for entry in ids:
        view = views.submission_view(opened, entry)
        others = [{"a": a, "b": b, "split": s, "text": text} for (a, b, s), text in pairs.items() if entry in (a, b)]
        put(below.links.submission(entry), pages.submission_page(below, _VISIT, view, others))
        put(below.links.submission(entry, "json"), _json(views.as_json(view)))
        step()
    for a, b, split in pairs:
        compared = views.comparison_view(opened, a, b, split=split)
        put(
            below.links.compare(a, b, split),
            pages.comparison_page(below, _VISIT, compared, _tabs(below, compared, pairs)),
        )
        put(below.links.compare(a, b, split, "json"), _json(views.as_json(compared)))
        step()
    put(MARK, _json({"board": opened.board.name, "written": top.written, "pages": total}))
    return total


def _boards(site: Site, put: Callable[[str, str | bytes], None]) -> None:
    """Write the table of every split, with and without columns for classes, and as json and csv."""
    for split in site.board.splits:
        for classes in (False, True):
            page = pages.board_page(site, _VISIT, split=split, filters={}, classes=classes)
            put(site.links.board(split, classes=classes), page)
        table = pages.table_of(site, split, {}, _VISIT)
        put(site.links.board(split, form="json"), _json(views.as_json(table)))
        put(site.links.board(split, form="csv"), to_csv(table))


def _entries(opened: Opened) -> tuple[list[str], dict[tuple[str, str, str], str]]:
    """Return the submissions that have a page, and the pairs worth one: each with the row above and with the first."""
    ids: dict[str, None] = {}
    pairs: dict[tuple[str, str, str], str] = {}
    for split in opened.board.splits:
        rows = [row for row in views.board_table(opened, split=split).rows if row.id]
        ids |= dict.fromkeys(row.id for row in rows if row.id)
        for k, row in enumerate(rows[1:], 1):
            for above in (rows[k - 1], rows[0]):
                if above.id and row.id:
                    pairs[above.id, row.id, split] = _pair_text(above, row, split)
    return list(ids), pairs


def _pair_text(above: BoardRow, row: BoardRow, split: str) -> str:
    return f"{row.method} ({row.team}) against {above.method} ({above.team}), {split} split"


def _tabs(site: Site, view: ComparisonView, pairs: dict[tuple[str, str, str], str]) -> dict[str, str]:
    a, b = view.a.id, view.b.id
    return {s: site.links.compare(a, b, s) for s in site.board.splits if (a, b, s) in pairs}


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
