"""Label maps that stay where they are: read by strips of full rows, never as a whole."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from iamiou.errors import ImageError
from iamiou.labels import VOID_16BIT

#: Maps with more pixels are read by strips of about this many, unless the caller says otherwise.
WINDOW = 2**24


@dataclass(frozen=True)
class Place:
    """Where on earth a map lies.

    Parameters
    ----------
    crs : str
        Its coordinate system, "" for none.
    transform : tuple of 6 float
        Column and row to coordinates, as GeoTIFF gives it: a, b, c, d, e, f.
    """

    crs: str
    transform: tuple[float, ...]

    def __str__(self) -> str:
        a, b, c, d, e, f = self.transform
        turned = f", turned by {b:g} and {d:g}" if b or d else ""
        return f"{self.crs or 'no CRS'}, corner {c:.10g} {f:.10g}, pixels of {a:.10g} x {e:.10g}{turned}"

    def differs(self, other: Place) -> bool:
        """Tell whether the systems differ or the corners of the maps lie apart by more than a hundredth of a pixel."""
        size = max(abs(x) for k in (0, 1, 3, 4) for x in (self.transform[k], other.transform[k]))
        apart = (abs(x - y) for x, y in zip(self.transform, other.transform, strict=True))
        # The steps a pixel may differ by so much less as the map has pixels.
        most = (size / 100 / (1 if k in (2, 5) else 2**15) for k in range(6))
        return self.crs != other.crs or any(x > y for x, y in zip(apart, most, strict=True))


@dataclass(frozen=True, eq=False)
class BigMap:
    """A label map of any size, of which a strip at a time is in memory.

    Parameters
    ----------
    shape : (int, int)
        Height and width.
    dtype : numpy.dtype
        What `fill` gives labels of.
    fill : callable
        ``fill(first, out)`` puts the rows from ``first`` on into ``out``, a C-contiguous (n, width) array; its
        dtype may be another one that holds the labels. Raises `ImageError`.
    rows : int
        Rows of a strip that suit the file and the window.
    window : int
        Pixels of a window that were asked for; a map with no more is read as a whole.
    place : Place, optional
        Georeference of the file.

    Examples
    --------
    >>> big = from_array(np.arange(6, dtype=np.uint8).reshape(3, 2), window=4)
    >>> [strip.tolist() for strip in big.strips()]
    [[[0, 1], [2, 3]], [[4, 5]]]
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    fill: Callable[[int, np.ndarray], None]
    rows: int
    window: int = WINDOW
    place: Place | None = None

    @property
    def size(self) -> int:
        """Pixels."""
        return self.shape[0] * self.shape[1]

    def strips(self) -> Iterator[np.ndarray]:
        """Read the map from top to bottom; the memory of a strip is used again for the next."""
        buffer = np.empty((min(self.rows, self.shape[0]), self.shape[1]), self.dtype)
        for first in range(0, self.shape[0], self.rows):
            strip = buffer[: self.shape[0] - first]
            self.fill(first, strip)
            yield strip

    def whole(self) -> np.ndarray:
        """Read the map as one array."""
        out = np.empty(self.shape, self.dtype)
        self.fill(0, out)
        return out

    def extremes(self) -> tuple[int, int, int]:
        """Return the lowest label, the highest, and the highest but 65535 (0 where there is no other)."""
        low, high, below = np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0
        for strip in self.strips():
            top = int(strip.max())
            low, high = min(low, int(strip.min())), max(high, top)
            if top >= VOID_16BIT:
                top = int(strip.max(initial=0, where=strip != VOID_16BIT))
            below = max(below, top)
        return low, high, below

    def narrowed(self, dtype: np.dtype[Any]) -> BigMap:
        """Return the same map with labels of another dtype, which has to hold them."""
        return replace(self, dtype=dtype)


def from_array(labels: np.ndarray, window: int = WINDOW) -> BigMap:
    """Wrap a 2-D array, which may be a memory-mapped file.

    What was read of a file that is mapped for reading is given back to the system, so that the memory of a process
    does not grow with it.
    """
    pages = _pages(labels)

    def fill(first: int, out: np.ndarray) -> None:
        out[...] = labels[first : first + len(out)]
        if pages is not None:
            pages.madvise(mmap.MADV_DONTNEED)

    dtype = labels.dtype.newbyteorder("=")
    return BigMap(labels.shape, dtype, fill, rows_of(labels.shape, window), window)


def background(like: np.ndarray | BigMap) -> np.ndarray | BigMap:
    """Return a map of background of the size of another one, for an image that has no prediction."""
    if not isinstance(like, BigMap):
        return np.zeros_like(like)
    return replace(like, dtype=np.dtype(np.uint8), fill=lambda _, out: out.fill(0), place=None)


def in_memory(labels: np.ndarray | BigMap, name: str) -> np.ndarray:
    """Return a map as an array.

    Raises
    ------
    ImageError
        If it is larger than a window.
    """
    if not isinstance(labels, BigMap):
        return labels
    if labels.size <= labels.window:
        return labels.whole()
    raise ImageError(
        "too-large", "maps are read by windows and never as a whole", name, "{} x {}".format(*labels.shape)
    )


def rows_of(shape: tuple[int, ...], window: int, block: int = 1) -> int:
    """Return how many rows make a strip of about ``window`` pixels, in whole blocks of rows.

    >>> rows_of((32768, 32768), 2**24), rows_of((100, 1000), 10), rows_of((5000, 1000), 300_000, 256)
    (512, 1, 256)
    """
    rows = max(1, window // shape[1])
    return min(shape[0], max(block, rows - rows % block))


def _pages(labels: np.ndarray) -> mmap.mmap | None:
    """Return the mapping behind an array, where its pages can be dropped without loss: mapped for reading only."""
    base: Any = labels
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode != "r":
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None
