"""The connected components of a truth that is read by strips, as instances: the same numbers as of the whole map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iamiou.big_maps import BigMap
from iamiou.kernels import as_bytes


class Components:
    """Numbers the components of the truth in raster order: once over all strips to join them, then strip by strip.

    A number is kept for every component of every strip: those of the image, and those that cross from strip to strip.
    """

    def __init__(self, semantic: BigMap, rows: int, reach: int) -> None:
        self.reach, self.rows, self.starts = reach, rows, [1]
        self.labels = np.empty((rows, semantic.shape[1]), np.int32)
        parts = [np.zeros(1, np.uint32)]
        borders: list[tuple[NDArray[np.uint32], NDArray[np.uint32]]] = []
        above: tuple[NDArray[np.integer], NDArray[np.uint32]] | None = None
        strip = np.empty((rows, semantic.shape[1]), semantic.dtype)
        for first in range(0, semantic.shape[0], rows):
            part = strip[: semantic.shape[0] - first]
            semantic.fill(first, part)
            start = self.starts[-1]
            found = self._label(part)
            rim = [(part[k].copy(), self._numbers(part[k], self.labels[k], start)) for k in (0, len(part) - 1)]
            if above is not None:
                borders.append(_touching(*above, *rim[0], reach))
            above = rim[1]
            parts.append(np.arange(start, start + found, dtype=np.uint32))
            self.starts.append(start + found)
        self.number = self._join(np.concatenate(parts), borders)

    def fill(self, first: int, strip: NDArray[np.integer], out: NDArray[np.integer]) -> None:
        """Put the components' numbers of one strip into ``out``."""
        self._label(strip)
        start = self.starts[first // self.rows]
        mine = self.number[start - 1 : self.starts[first // self.rows + 1]].astype(np.int32)
        mine[0] = 0  # background
        np.take(mine, self.labels[: len(strip)], out=out)

    def _label(self, strip: NDArray[np.integer]) -> int:
        from iamiou.components import label_map

        height, width = strip.shape
        found = label_map(as_bytes(strip), strip.itemsize, height, width, self.reach, self.labels[:height])
        return int(found)

    @staticmethod
    def _numbers(values: NDArray[np.integer], labels: NDArray[np.int32], start: int) -> NDArray[np.uint32]:
        return np.where(values != 0, labels + (start - 1), 0).astype(np.uint32)

    @staticmethod
    def _join(
        parent: NDArray[np.uint32], borders: list[tuple[NDArray[np.uint32], NDArray[np.uint32]]]
    ) -> NDArray[np.uint32]:
        from iamiou.borders import join, number

        for above, below in borders:
            join(parent, above, below)
        number(parent)
        return parent


def _touching(
    above: NDArray[np.integer],
    above_labels: NDArray[np.uint32],
    below: NDArray[np.integer],
    below_labels: NDArray[np.uint32],
    reach: int,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the pairs of labels that touch across the border of two strips."""
    width, ones, others = len(above), [], []
    for shift in range(-reach, reach + 1):
        a, b = slice(max(0, shift), width + min(0, shift)), slice(max(0, -shift), width - max(0, shift))
        same = (above[a] == below[b]) & (above[a] != 0)
        pairs = above_labels[a][same], below_labels[b][same]
        if len(pairs[0]):
            fresh = np.append(True, (pairs[0][1:] != pairs[0][:-1]) | (pairs[1][1:] != pairs[1][:-1]))
            ones.append(pairs[0][fresh])
            others.append(pairs[1][fresh])
    nothing = np.empty(0, np.uint32)
    return np.concatenate([nothing, *ones]), np.concatenate([nothing, *others])
