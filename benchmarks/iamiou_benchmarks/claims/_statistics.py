"""Rank correlation, and intervals for what few sources or few seeds can tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ConstantInputWarning, kendalltau, pearsonr, rankdata
from scipy.stats import f as fisher
from scipy.stats import t as student

from iamiou.replicates import TAILS, student_factor

Floats = NDArray[np.float64]
#: Draws behind an interval.
DRAWS = 4000


def spearman(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the rank correlation along the last axis; NaN where a series is constant.

    >>> spearman([1, 2, 3, 4], [[1, 10, 100, 50], [4, 3, 2, 1]]).round(3).tolist()
    [0.8, -1.0]
    """
    return pearson(rankdata(a, axis=-1), rankdata(b, axis=-1))


def pearson(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the correlation along the last axis; NaN where a series is constant.

    >>> pearson([1, 2, 4], [2, 4, 8]).round(3).tolist(), pearson([1, 2], [1, 1]).tolist()
    (1.0, nan)
    """
    x, y = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    with warnings.catch_warnings(category=ConstantInputWarning, action="ignore"):
        return np.asarray(pearsonr(x, y, axis=-1).statistic)


def kendall(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return Kendall's tau-b along the last axis; NaN where a series is constant.

    >>> kendall([1, 2, 3, 4], [1, 10, 100, 50]).round(3).tolist()
    0.667
    """
    of_rows = np.vectorize(lambda x, y: kendalltau(x, y).statistic, otypes=[np.float64], signature="(n),(n)->()")
    return np.asarray(of_rows(a, b))


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


def clustered(groups: Sequence[Hashable], measure: Callable[[NDArray[np.int64]], Floats]) -> tuple[Floats, Floats]:
    """Return the 95 % interval of statistics of sets that come in groups, by drawing whole groups with replacement.

    The draws are stretched by Student's factor with the number of groups less one, for so few groups spread too
    little when they are drawn from themselves.

    Parameters
    ----------
    groups : sequence
        The group of each set.
    measure : callable
        ``measure(indices)`` gives the statistics, (S,), of the sets with these indices, which may repeat.

    Returns
    -------
    low, high : float64 (S,)
        NaN with fewer than two groups.
    """
    names = list(dict.fromkeys(groups))
    value = measure(np.arange(len(groups)))
    if len(names) < 2:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    members = [np.flatnonzero([g == name for g in groups]) for name in names]
    rng = np.random.Generator(np.random.PCG64(0))
    chosen = rng.integers(0, len(names), (DRAWS, len(names)))
    drawn = np.array([measure(np.concatenate([members[k] for k in row])) for row in chosen])
    apart = drawn - np.nanmedian(drawn, axis=0)
    low, high = value + student_factor(len(names) - 1) * np.nanquantile(apart, TAILS, axis=0)
    return low, high


def of_mean(values: ArrayLike) -> tuple[float, float]:
    """Return Student's 95 % interval of a mean; NaN for fewer than two values.

    >>> [round(end, 3) for end in of_mean([1.0, 2.0, 3.0])]  # 2 -+ 4.303 / sqrt(3)
    [-0.484, 4.484]
    """
    x = np.asarray(values, np.float64)
    if len(x) < 2:
        return float("nan"), float("nan")
    half = float(student.ppf(TAILS[1], len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return float(x.mean()) - half, float(x.mean()) + half


def of_spreads(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float]:
    """Return the ratio of two standard deviations with its 95 % interval by Fisher's F, for normal values.

    >>> [round(v, 1) for v in of_spreads([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])]  # F(4, 4) goes from 1/9.6 to 9.6
    [0.5, 0.2, 1.5]
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(x), len(y)) < 2 or not y.std() or not x.std():
        return float("nan"), float("nan"), float("nan")
    ratio = float(x.std(ddof=1) / y.std(ddof=1))
    low, high = (float(v) for v in np.sqrt(fisher.ppf(TAILS, len(x) - 1, len(y) - 1)))
    return ratio, ratio / high, ratio / low


def word(low: float, high: float) -> str:
    """Return the verdict on a difference that is claimed to be above 0.

    >>> word(0.1, 0.4), word(-0.4, -0.1), word(-0.1, 0.4), word(float("nan"), float("nan"))
    ('confirmed', 'reversed', 'not shown', 'not shown')
    """
    return "confirmed" if low > 0 else "reversed" if high < 0 else "not shown"
