"""Numba loops that number components over the borders between strips, for truth without instances."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.jit import jit
from iamiou.runs import union

_U4 = types.uint32[::1]


@jit([types.void(_U4, _U4, _U4)])
def join(parent: NDArray[np.uint32], above: NDArray[np.uint32], below: NDArray[np.uint32]) -> None:
    """Join pairs of labels, one of either side of the border between two strips, under the smaller."""
    for k in range(above.shape[0]):
        union(parent, above[k], below[k])


@jit([types.int64(_U4)])
def number(parent: NDArray[np.uint32]) -> int:
    """Put for every label the number of its component, 1..n in order of their first labels; label 0 is none."""
    n = np.uint32(0)
    for k in range(1, parent.shape[0]):
        p = parent[k]
        if p == k:
            n += np.uint32(1)
            parent[k] = n
        else:
            parent[k] = parent[p]  # smaller, so numbered already
    return n
