"""Confidence intervals over images, from per-image sums: no pixel is read again.

The default rule and what it is worth were found by simulation; the table stands in docs/protocol.md and
``benchmarks/intervals/simulate.py`` prints it.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from iamiou.errors import InputError
from iamiou.replicates import TAILS, exponential_totals, replicate
from iamiou.sums import Floats, Summary, means_of, ratios, summarise, weighted

if TYPE_CHECKING:
    from iamiou.counts import Counts

METHODS = ("bayesian-t", "bayesian", "percentile", "bca")
DEFAULT = "bayesian-t"

#: A class with fewer images behind it makes an interval weak.
FEW_IMAGES = 5


def intervals(
    counts: Counts, bins: tuple[int, ...], *, resamples: int = 1000, seed: int = 0, method: str = DEFAULT
) -> dict[str, tuple[float, float]]:
    """Compute a 95 % interval over images for every headline score.

    Parameters
    ----------
    counts : Counts
    bins : tuple of int
        Sides that separate the size bins.
    resamples, seed : int
        The same seed gives the same intervals.
    method : {"bayesian-t", "bayesian", "percentile", "bca"}
        ``bayesian-t`` is what `replicate` says. ``bayesian`` takes quantiles of the Bayesian bootstrap as they
        are. ``percentile`` and ``bca`` (Efron, Better Bootstrap Confidence Intervals, JASA 1987,
        doi:10.1080/01621459.1987.10478410) draw images with replacement; a class that a draw does not hold
        is left out of that draw's means.

    Returns
    -------
    dict of str to (low, high)
        A score that is undefined, or that no two images stand behind, has no entry.

    Raises
    ------
    InputError
        If the method is not one of these, or there are no resamples.
    """
    return summary_intervals(summarise(counts, bins), resamples=resamples, seed=seed, method=method)


def summary_intervals(
    summary: Summary, *, resamples: int = 1000, seed: int = 0, method: str = DEFAULT
) -> dict[str, tuple[float, float]]:
    """Compute `intervals` from sums that are at hand."""
    if method not in METHODS:
        raise InputError(f"'{method}' is no method for intervals; take one of {', '.join(METHODS)}.")
    if resamples < 1:
        raise InputError(f"{resamples} resamples give no interval; ask for 1000, or for 0 to leave intervals out.")
    rng = np.random.Generator(np.random.PCG64(seed))
    score = means_of(summary.scores, ratios(summary, summary.totals()))
    if method == "bayesian-t":
        ends = replicate([summary], [1], summary.scores, resamples, rng).interval()
    else:
        bayesian = method == "bayesian"
        sums = (
            exponential_totals([summary], resamples, rng)[0]
            if bayesian
            else multinomial_totals(summary, resamples, rng)
        )
        draws = means_of(summary.scores, ratios(summary, sums))
        tails = _bca_tails(summary, score, draws) if method == "bca" else [TAILS] * score.size
        ends = np.stack([_quantiles(draw, tail) for draw, tail in zip(draws.T, tails, strict=True)], axis=1)
    return {
        mean.name: (max(float(low), -1.0 if mean.minus.size else 0.0), min(float(high), 1.0))
        for mean, value, low, high in zip(summary.scores, score, *ends, strict=True)
        if not np.isnan([value, low, high]).any()
    }


def multinomial_totals(part: Summary, resamples: int, rng: np.random.Generator) -> Floats:
    """Sum the images of ``resamples`` draws with replacement, shape (R, width + 1)."""
    n = len(part.images)
    weight = np.empty((resamples, n))
    for row in weight:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return weighted(part, weight)


def _quantiles(draws: Floats, tails: tuple[float, float]) -> Floats:
    """Return quantiles of the defined draws, NaN of none."""
    defined = draws[~np.isnan(draws)]
    return np.quantile(defined, tails) if defined.size else np.full(2, np.nan)


def _bca_tails(summary: Summary, score: Floats, draws: Floats) -> list[tuple[float, float]]:
    """Return the corrected quantiles of each score; the acceleration comes from leaving out each image in turn."""
    total, normal = summary.totals(), NormalDist()
    without = np.concatenate(
        [
            means_of(summary.scores, ratios(summary, np.maximum(total - summary.rows(*block), 0.0)))
            for block in summary.blocks(0)
        ]
    )
    tails = []
    for left, value, draw in zip(without.T, score, draws.T, strict=True):
        kept = left[~np.isnan(left)]
        pull = kept.mean() - kept if kept.size else kept
        square = float((pull**2).sum())
        acceleration = float((pull**3).sum()) / (6 * square**1.5) if square > 0 else 0.0
        drawn = draw[~np.isnan(draw)]
        same = np.isclose(drawn, value, rtol=0, atol=1e-12)
        below = float((drawn[~same] < value).sum() + same.sum() / 2)
        shift = normal.inv_cdf(min(max(below, 0.5), drawn.size - 0.5) / drawn.size) if drawn.size else 0.0
        z = [shift + normal.inv_cdf(tail) for tail in TAILS]
        low, high = (normal.cdf(shift + x / (1 - acceleration * x)) for x in z)
        tails.append((low, high))
    return tails


def weak(counts: Counts, bins: tuple[int, ...]) -> frozenset[str]:
    """Name the headline scores that rest on a class with fewer than `FEW_IMAGES` images.

    Parameters
    ----------
    counts : Counts
    bins : tuple of int

    Returns
    -------
    frozenset of str
        For size bins, images with an instance of the class in that bin are counted.
    """
    return weak_scores(summarise(counts, bins))


def weak_scores(summary: Summary) -> frozenset[str]:
    """Name `weak` scores from sums that are at hand."""
    images = np.bincount(summary.column, minlength=summary.width + 1)[summary.need]  # no entry is zero
    defined = ~np.isnan(ratios(summary, summary.totals()))
    out = set()
    for mean in summary.scores:
        sides = [side for side in (mean.members, mean.minus) if side.size]
        live = np.all([defined[side] for side in sides], axis=0)
        if any((images[side][live] < FEW_IMAGES).any() for side in sides):
            out.add(mean.name)
    return frozenset(out)
