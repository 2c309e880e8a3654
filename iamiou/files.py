"""Outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from iamiou.errors import InputError


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
