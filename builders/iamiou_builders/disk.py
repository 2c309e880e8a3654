"""Files of a build: hashes, and writing only what is not there already."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

from iamiou.errors import IamiouError, IncompleteError, InputError
from iamiou.files import replacing


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes.

    >>> path = getfixture("tmp_path") / "empty"
    >>> path.touch()
    >>> sha256_of(path)[:8]
    'e3b0c442'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put(path: Path, data: bytes) -> bool:
    """Write a file unless it holds these bytes already, so that a second run changes no file; tell whether it wrote.

    Raises
    ------
    IncompleteError
        If the disk is full.
    InputError
        If the file cannot be written for another reason.
    """
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(data)
    except InputError as e:
        if isinstance(e.__cause__, OSError):
            raise cannot_write(path, e.__cause__) from e
        raise
    except OSError as e:
        raise cannot_write(path, e) from e
    return True


def cannot_write(path: Path, error: OSError) -> IamiouError:
    """Return the sentence for a file that cannot be written; after a full disk the build can go on."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return IncompleteError(
            f"'{path}' cannot be written: {error.strerror}. Free some space and run the same command again; "
            "what is there already is kept."
        )
    return InputError(f"'{path}' cannot be written ({error.strerror or error}); give another --out.")
