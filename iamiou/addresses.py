"""Folders behind an address (``s3://...``, ``http://...``, ``memory://...``), listed and read through fsspec.

What is read is judged like any file: sizes are counted and not believed, and no more is read than an image can need.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from iamiou.errors import ImageError, InputError, extra_missing

_CHUNK = 2**20


def is_address(place: str | Path | None) -> bool:
    """Tell an address from a path.

    >>> is_address("memory://masks"), is_address("masks"), is_address(Path("masks"))
    (True, False, False)
    """
    return isinstance(place, str) and "://" in place


def list_address(address: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders behind an address.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    InputError
        If it cannot be listed, with the reason.
    """
    system = _file_system(address)
    files: list[str] = []
    folders: list[str] = []
    try:
        for entry in system.ls(_inside(system, address), detail=True):
            name = unquote(entry["name"]) if address.startswith("http") else entry["name"]
            base = name.rstrip("/").rpartition("/")[2]
            (folders if entry["type"] == "directory" else files).append(base)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(address) from None
    except Exception as e:  # every file system of fsspec has errors of its own
        raise InputError(f"'{address}' cannot be listed ({_reason(e)}); check the address and that it answers.") from e
    return files, folders


def is_folder_address(address: str) -> bool:
    """Tell whether there is a folder that holds anything; `InputError` when nobody answers."""
    try:
        return any(list_address(address))
    except FileNotFoundError:
        return False


def read_address(address: str, name: str, limit: int | None = None) -> bytes:
    """Read a file, of a longer one ``limit + 1`` bytes.

    Parameters
    ----------
    address, name : str
        Where it is, and what to call it in a message.
    limit : int, optional
        The most bytes that are wanted.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    parts, size = [], 0
    try:
        system = _file_system(address)
        # Unknown sizes are no hindrance to a stream, and a server that sends too much is cut off.
        options = {"block_size": 0} if address.startswith("http") else {}
        with system.open(_inside(system, address), "rb", **options) as file:
            while limit is None or size <= limit:
                part = file.read(_CHUNK if limit is None else min(_CHUNK, limit + 1 - size))
                if not part:
                    break
                parts.append(part)
                size += len(part)
    except InputError:
        raise
    except Exception as e:  # every file system of fsspec has errors of its own
        raise ImageError("unreadable-file", "files cannot be read", name, _reason(e)) from e
    return b"".join(parts)


def _inside(system: Any, address: str) -> str:
    return str(system._strip_protocol(address))


@lru_cache(maxsize=8)
def _opened(start: str) -> Any:
    import fsspec

    return fsspec.core.url_to_fs(start)[0]


def _file_system(address: str) -> Any:
    try:
        return _opened("/".join(address.split("/")[:3]))  # of one protocol and host
    except ImportError as e:
        if getattr(e, "name", None) in ("fsspec", "aiohttp"):
            raise extra_missing(f"Reading '{address}'", "dask") from e
        raise InputError(f"'{address}' cannot be read: {e}.") from e
    except Exception as e:  # an unknown protocol, a missing key ...
        raise InputError(f"'{address}' cannot be read: {_reason(e)}.") from e


def _reason(error: Exception) -> str:
    """Return the system's words for what went wrong, the same for every place it went wrong in."""
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
