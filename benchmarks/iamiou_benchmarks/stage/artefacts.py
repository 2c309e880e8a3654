"""What stages leave for each other: typed npz files without pickle, with their kind and version in them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou.files import replacing

#: Version of the files; a stage's key holds it, so that artefacts of two versions are never mixed.
VERSION = 1


def save(path: Path, kind: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays under a kind; the file appears whole, and the same arrays give the same bytes.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "a.npz"
    >>> save(path, "cam", {"cam": np.zeros((1, 2, 2), np.float32)})
    >>> load(path, "cam")["cam"].shape
    (1, 2, 2)
    """
    head = {"iamiou_kind": np.array(kind), "iamiou_version": np.array(VERSION)}
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **head, **dict(arrays))


def load(path: Path, kind: str) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of a file of this kind.

    Raises
    ------
    InputError
        If it is no such file, of another kind, or of another version.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as e:
        raise InputError(f"'{path}' cannot be read as an artefact of iamiou ({e}); run its stage again.") from e
    if "iamiou_kind" not in arrays or "iamiou_version" not in arrays:
        raise InputError(f"'{path}' is no artefact of iamiou: it does not say its kind and version.")
    found, version = str(arrays.pop("iamiou_kind")), int(arrays.pop("iamiou_version"))
    if version != VERSION:
        raise InputError(
            f"'{path}' is an artefact of version {version}, this iamiou has version {VERSION}; run its stage again."
        )
    if found != kind:
        raise InputError(f"'{path}' holds '{found}', not '{kind}'; the stage takes the wrong input, see 'inputs'.")
    return arrays


def folder_digest(folder: Path) -> str:
    """Return sha256 over names and bytes of the artefacts (npz and png) in a folder, at any depth."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".npz", ".png")):
        digest.update(
            f"{path.relative_to(folder).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return digest.hexdigest()
