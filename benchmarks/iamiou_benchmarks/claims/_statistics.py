"""Ranks, their correlation, and intervals for what few sources or few seeds can tell."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iamiou.replicates import TAILS, student_factor

Floats = NDArray[np.float64]
#: Draws behind an interval.
DRAWS = 4000
_NORMAL = NormalDist().inv_cdf(TAILS[1])


def ranks(values: ArrayLike) -> Floats:
    """Return ranks from 1; equal values share the mean of theirs.

    >>> ranks([0.3, 0.1, 0.3, 0.7]).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    _, which, count = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[which])


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Return the correlation of two series; NaN where one of them is constant.

    >>> pearson([1, 2, 3], [2, 4, 6]), pearson([1, 2], [1, 1])
    (1.0, nan)
    """
    x, y = (np.asarray(v, np.float64) for v in (a, b))
    x, y = x - x.mean(), y - y.mean()
    below = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / below if below > 0 else float("nan")


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return the rank correlation of two series.

    >>> spearman([1, 2, 3, 4], [1, 10, 100, 50])
    0.8
    """
    return pearson(ranks(a), ranks(b))


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
    half = student_factor(len(x) - 1) * _NORMAL * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean() - half), float(x.mean() + half)


def of_spreads(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float]:
    """Return the ratio of two standard deviations with its 95 % interval by Fisher's F, for normal values.

    The quantiles of F are those of a million draws.

    >>> [round(v, 1) for v in of_spreads([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])]  # F(4, 4) goes from 1/9.6 to 9.6
    [0.5, 0.2, 1.5]
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(x), len(y)) < 2 or not y.std() or not x.std():
        return float("nan"), float("nan"), float("nan")
    rng = np.random.Generator(np.random.PCG64(0))
    above, below = (rng.chisquare(len(v) - 1, 1_000_000) / (len(v) - 1) for v in (x, y))
    ratio = float(x.std(ddof=1) / y.std(ddof=1))
    ends = np.sqrt(np.quantile(above / below, TAILS))
    return ratio, float(ratio / ends[1]), float(ratio / ends[0])


def word(low: float, high: float) -> str:
    """Return the verdict on a difference that is claimed to be above 0.

    >>> word(0.1, 0.4), word(-0.4, -0.1), word(-0.1, 0.4), word(float("nan"), float("nan"))
    ('confirmed', 'reversed', 'not shown', 'not shown')
    """
    return "confirmed" if low > 0 else "reversed" if high < 0 else "not shown"
