"""Sums of floating-point numbers without any rounding, so that their order and grouping cannot matter.

Every finite float64 is a whole multiple of 2**-1074, so a sum of such numbers is a Python integer of that unit;
integers add exactly in any order, on any number of machines. Rounding happens once, at the end, and gives what
`math.fsum` gives for all the numbers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

#: Binary digits behind the point of the unit, 2**-1074: the smallest positive float64.
_DIGITS = 1074
_MANTISSA = 53


def exact_sums(keys: NDArray[np.integer], values: NDArray[np.float64], size: int) -> tuple[int, ...]:
    """Add up numbers by key.

    Parameters
    ----------
    keys : integer array, (n,)
        From 0 to ``size`` - 1.
    values : float64 array, (n,)
        Finite.
    size : int
        Number of sums.

    Returns
    -------
    tuple of int
        ``size`` sums in units of 2**-1074; `rounded` makes floats of them.

    Examples
    --------
    >>> sums = exact_sums(np.array([0, 1, 0, 0]), np.array([1e100, 0.5, 1.0, -1e100]), 3)
    >>> [rounded(total) for total in sums]
    [1.0, 0.5, 0.0]
    """
    totals = [0] * size
    if len(values) == 0:
        return tuple(totals)
    fraction, exponent = np.frexp(values)
    mantissa = np.ldexp(fraction, _MANTISSA).astype(np.int64)
    shift = exponent.astype(np.int64) + (_DIGITS - _MANTISSA)  # from -52, for the smallest, to 2045
    group = np.asarray(keys, np.int64) * 4096 + (shift + 64)
    order = np.argsort(group, kind="stable")
    group, mantissa = group[order], mantissa[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    # Halves of 32 bits, so that even 2**31 numbers of one exponent cannot overflow an int64.
    high, low = (np.add.reduceat(half, starts).tolist() for half in (mantissa >> 32, mantissa & 0xFFFFFFFF))
    for place, upper, lower in zip(group[starts].tolist(), high, low, strict=True):
        whole, digits = (upper << 32) + lower, place % 4096 - 64
        totals[place // 4096] += whole << digits if digits >= 0 else whole >> -digits
    return tuple(totals)


def exact_sum(values: Iterable[float]) -> int:
    """Add up some numbers; in units of 2**-1074.

    >>> rounded(exact_sum([0.1] * 10))
    1.0
    """
    numbers = np.fromiter(values, np.float64)
    return exact_sums(np.zeros(len(numbers), np.int64), numbers, 1)[0]


def added(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """Add sums of the same keys."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def rounded(total: int) -> float:
    """Return the float64 nearest to a sum, a tie going to the even one, as `math.fsum` rounds."""
    return total / (1 << _DIGITS)  # Python divides integers with one correct rounding
