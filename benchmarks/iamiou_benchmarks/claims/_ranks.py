"""Rank correlations of many draws at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from iamiou.replicates import TAILS
from iamiou_benchmarks.claims._statistics import Floats, pearson


def kendall(a: ArrayLike, b: ArrayLike) -> float:
    """Return Kendall's tau-b of two series, NaN where one of them is constant.

    >>> round(kendall([1, 2, 3, 4], [1, 10, 100, 50]), 3)
    0.667
    """
    x, y = (np.asarray(v, np.float64) for v in (a, b))
    first, second = np.triu_indices(len(x), 1)
    signs = (np.sign(v[first] - v[second]) for v in (x, y))
    # Correlation without taking off the mean: append the mirrored pairs, whose mean is 0.
    return pearson(*(np.concatenate([s, -s]) for s in signs))


def along(measure: Callable[[Floats, Floats], float], a: Floats, b: Floats) -> Floats:
    """Return a measure of every row of two tables, (D, n) both, as (D,); of two series as ()."""
    if a.ndim == 1:
        return np.array(measure(a, b))
    return np.array([measure(x, y) for x, y in zip(a, b, strict=True)])


def around(value: float, draws: Floats, most: float = 1.0) -> tuple[float, float]:
    """Return the 95 % interval of a statistic by draws of it, moved so that their median is the value.

    A draw adds noise to ranks that have some already, and so lies below the correlation that it is a draw of; without
    the move an interval might leave out its own value.

    Parameters
    ----------
    value : float
    draws : float (R,)
    most : float
        The largest that the statistic, or its absolute value, can be.
    """
    low, high = value - np.nanmedian(draws) + np.nanquantile(draws, TAILS)
    return max(float(low), -most), min(float(high), most)
