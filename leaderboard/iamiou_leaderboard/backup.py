"""Back up a board in use: first the database as of one moment, then the files that it names."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from iamiou.errors import InputError
from iamiou.files import check_writable
from iamiou_leaderboard.board import open_board


def back_up(directory: str | Path, out: str | Path) -> int:
    """Copy a board to a new folder that is a board itself; return the number of submissions.

    A file that the database names was complete before the database named it, and only archives ever go away, when
    the label maps that were decoded from them lie beside them. So copying files after the database misses nothing.

    Raises
    ------
    InputError
        If the folder exists, or the database is not SQLite.
    """
    place = Path(out)
    if place.exists():
        raise InputError(f"'{out}' exists; give the name of a new folder.")
    check_writable(out, folder=True)
    opened = open_board(directory)
    try:
        if not opened.store.sqlite:
            raise InputError("The board's database is PostgreSQL: save it with pg_dump first, then copy the folder.")
        making = place.with_name(f".{place.name}.making-{os.getpid()}")
        making.mkdir(mode=0o700, parents=True)
        try:
            with contextlib.closing(opened.store.engine.raw_connection()) as connection:
                connection.execute("VACUUM INTO ?", (str(making / "board.sqlite3"),))
            for name in ("board.json", "images.json"):
                shutil.copy2(opened.directory / name, making / name)
            for name in ("truth", "submissions", "counts", "rows", "logs"):
                _copy(opened.directory / name, making / name)
            making.rename(place)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    finally:
        opened.close()
    copy = open_board(place)
    number = len(copy.store.submissions())
    copy.store.audit("admin", "restored-from-backup")
    copy.close()
    return number


def _copy(source: Path, target: Path) -> None:
    """Copy a folder whose files come and go meanwhile; what is half written has no name that counts."""
    target.mkdir(mode=0o700)
    for entry in sorted(os.scandir(source), key=lambda e: e.name):
        with contextlib.suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("work-"):
                    _copy(Path(entry.path), target / entry.name)
            elif not entry.name.startswith("."):
                shutil.copy2(entry.path, target / entry.name)
