"""Decide which files are read by windows: TIFF, and .npy files of more pixels than a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from iamiou.big_maps import BigMap, rows_of
from iamiou.errors import ImageError
from iamiou.masks import NPY_HEAD, broken_npy, npy_layout


def open_big(
    path: str, name: str, *, shape: tuple[int, int] | None, max_pixels: int, window: int | None
) -> BigMap | np.ndarray | None:
    """Open a label map that is not read as the bytes of its file.

    Parameters
    ----------
    path : str
        The file, on a disk.
    name : str
        Image id or file, for the message.
    shape : (height, width), optional
        The size that the map must have, in pixels.
    max_pixels : int
        The most pixels that the header may claim.
    window : int or None
        Pixels of a strip; None for whole arrays only.

    Returns
    -------
    BigMap, ndarray or None
        None for a file that others read: PNG, and .npy of at most ``window`` pixels. An array only without a window.

    Raises
    ------
    ImageError
        If the file is damaged, of another size, too large, or no label map.
    """
    ending = path[-5:].lower()
    if ending.endswith((".tif", ".tiff")):
        from iamiou.raster import open_tiff

        tiff = open_tiff(path, name, shape=shape, max_pixels=max_pixels, window=window or max_pixels)
        return tiff if window else tiff.whole()
    if window and ending.endswith(".npy"):
        return _open_npy(path, name, shape, max_pixels, window)
    return None


def _open_npy(path: str, name: str, shape: tuple[int, int] | None, max_pixels: int, window: int) -> BigMap | None:
    try:
        length = Path(path).stat().st_size
        if length <= window:  # bytes, and a label has one at least
            return None
        with open(path, "rb") as file:
            head = file.read(NPY_HEAD)
    except OSError as e:
        raise _unreadable(name, e) from e
    size, fortran, dtype, start = npy_layout(head, name, shape, max_pixels)
    if size[0] * size[1] <= window:
        return None
    if length - start != size[0] * size[1] * dtype.itemsize:
        expected = size[0] * size[1] * dtype.itemsize
        raise broken_npy(name, f"{length - start} bytes of data, expected {expected}")

    def fill(first: int, out: np.ndarray) -> None:
        try:
            if fortran:
                out[...] = np.memmap(path, dtype, "r", start, size, "F")[first : first + len(out)]
            else:
                _read_rows(path, name, dtype, start + first * size[1] * dtype.itemsize, out)
        except OSError as e:
            raise _unreadable(name, e) from e

    return BigMap(size, dtype.newbyteorder("="), fill, rows_of(size, window), window)


def _read_rows(path: str, name: str, dtype: np.dtype[Any], start: int, out: np.ndarray) -> None:
    """Read rows into memory that is there already, unless they need another dtype."""
    rows: Any = out if out.dtype == dtype else np.empty(out.shape, dtype)
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        view = memoryview(rows).cast("B")
        while len(view):
            got = file.readinto(view)
            if not got:
                raise broken_npy(name, "it became shorter while it was read")
            view = view[got:]
    if rows is not out:
        out[...] = rows


def _unreadable(name: str, error: OSError) -> ImageError:
    return ImageError("unreadable-file", "files cannot be read", name, error.strerror or str(error))
