"""Outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from iamiou.errors import InputError


def check_writable(path: str | Path, *, folder: bool = False) -> None:
    """Refuse an output that could not be written, before any work is done for it.

    Parameters
    ----------
    path : path
        The file, in a folder that exists, or the folder, which may have to be made.
    folder : bool
        Which of the two it is.

    Raises
    ------
    InputError
        With the reason.

    Examples
    --------
    >>> check_writable("nowhere/report.html")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: 'nowhere/report.html' cannot be written: there is no folder 'nowhere'; make it first.
    """
    place = Path(path)
    if place.exists() and place.is_dir() != folder:
        kinds = ("file", "folder") if folder else ("folder", "file")
        raise InputError(f"'{path}' cannot be written: it is a {kinds[0]}; give the name of a {kinds[1]}.")
    parents = [place, *place.parents] if folder else [place.parent]
    above = next((p for p in parents if p.exists()), parents[-1])
    if not above.exists():
        raise InputError(f"'{path}' cannot be written: there is no folder '{above}'; make it first.")
    if not above.is_dir():
        raise InputError(f"'{path}' cannot be written: '{above}' is a file; choose another place.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"'{path}' cannot be written: nothing may be written in '{above}'; choose another place.")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file beside ``path`` for writing bytes; it takes the name only when all went well.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as e:
        raise InputError(f"'{path}' cannot be written ({e.strerror}); give a path in a folder that exists.") from e
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)  # mkstemp gives 0600; an output belongs to its folder's readers
        Path(name).replace(path)
    except BaseException as e:
        Path(name).unlink(missing_ok=True)
        if isinstance(e, OSError):
            raise InputError(f"'{path}' cannot be written ({e.strerror}); free some space or give another path.") from e
        raise
