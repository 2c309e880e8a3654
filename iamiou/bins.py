"""Sizes of objects: sides of squares in pixels part small from large."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError

Ints = NDArray[np.int64]

#: Sides of the squares that part small from medium and medium from large, in pixels (COCO's 32 and 96).
DEFAULT_BINS = (32, 96)


def size_edges(bins: tuple[int, ...]) -> Ints:
    """Return the areas at which a new size bin begins.

    >>> size_edges((32, 96)).tolist()
    [1024, 9216]
    """
    return np.array([side * side for side in bins], np.int64)


def bin_names(bins: tuple[int, ...]) -> tuple[str, ...]:
    """Return short names of the size bins, smallest first.

    >>> bin_names((32, 96)), bin_names((64,)), bin_names((16, 32, 64))
    (('S', 'M', 'L'), ('S', 'L'), ('1', '2', '3', '4'))
    """
    if len(bins) == 2:
        return ("S", "M", "L")
    return ("S", "L") if len(bins) == 1 else tuple(str(k + 1) for k in range(len(bins) + 1))


def parse_bins(text: str) -> tuple[int, ...]:
    """Read ``"32,96"``: sides of squares in pixels, increasing.

    Raises
    ------
    InputError
        If they are not increasing positive integers.
    """
    try:
        bins = tuple(int(side) for side in text.split(","))
    except ValueError:
        bins = ()
    if not bins or bins[0] < 1 or bins[-1] > 2**31 or any(a >= b for a, b in pairwise(bins)):
        raise InputError(f"'{text}' is no list of sizes; give increasing sides in pixels, like 32,96.")
    return bins


def bin_of(area: Ints, bins: tuple[int, ...]) -> Ints:
    """Return the size bin of every area: an instance of exactly ``side * side`` pixels is in the larger bin.

    >>> bin_of(np.array([1023, 1024, 9215, 9216]), (32, 96)).tolist()
    [0, 1, 1, 2]
    """
    return np.searchsorted(size_edges(bins), area, side="right").astype(np.int64)
