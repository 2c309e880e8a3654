"""The order of painting, and how much of each piece is left to be seen: from run lengths, without painting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from iamiou.coco import Rle
from iamiou_builders.model import Piece
from iamiou_builders.overlaps import rles_of, shared_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray


def painting_order(pieces: Sequence[Piece]) -> list[int]:
    """Return the places of pieces in the order of painting: small ones lie on top.

    Large first; of equally large ones void comes last, so that doubt wins, then LVIS's, then the higher id.
    """

    def key(k: int) -> tuple[int, bool, str, int, bytes]:
        piece = pieces[k]
        return -piece.area, piece.label == 0, piece.origin, piece.annotation, piece.counts

    return sorted(range(len(pieces)), key=key)


def visible_areas(pieces: Sequence[Piece], height: int, width: int, shared: NDArray[np.int64]) -> list[int]:
    """Count the pixels of each piece that no later one covers.

    Parameters
    ----------
    pieces : sequence of Piece
        In the order of painting.
    height, width : int
    shared : int64 array, (n, n)
        From `intersections`.

    Returns
    -------
    list of int
        Exactly what painting would leave.
    """
    rles: list[Rle] = rles_of([p.counts for p in pieces], height, width)
    areas = []
    for k, piece in enumerate(pieces):
        above = [k + 1 + int(j) for j in np.flatnonzero(shared[k, k + 1 :])]
        if _apart(shared, above):
            areas.append(piece.area - int(shared[k, above].sum()))
        else:
            areas.append(piece.area - shared_pixels(rles[k], [rles[j] for j in above]))
    return areas


def _apart(shared: NDArray[np.int64], above: Sequence[int]) -> bool:
    """Tell whether no two of some pieces overlap: then what they cover adds up, and no union is needed."""
    if len(above) < 2:
        return True
    among = shared[np.ix_(above, above)]
    return bool(np.count_nonzero(among) == len(above))
