"""The rule behind intervals and comparisons: resampling over images that knows what few images hide.

Found by simulation, see docs/protocol.md. Image weights alone say too little: a class that one image carries
never moves under them, so an interval for small objects comes out far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from iamiou.sums import Floats, Mean, Summary, means_of, ratios, terms

#: The interval covers this share; its ends are the quantiles beside it.
LEVEL = 0.95
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

#: A class whose effective number of images is below this tells nothing about its own spread.
ALONE = 1.5

#: Cap on an image's share of a class in the jackknife: its deviation counts ten times at most.
LEVERAGE = 0.9


@dataclass(frozen=True)
class Replicates:
    """What resampling says about scores, or about differences of scores.

    Parameters
    ----------
    value : ndarray of float64, shape (S,)
        The score (or the difference) itself.
    bias : ndarray of float64, shape (S,)
        By how much the resamples lie above it on average.
    noise : ndarray of float64, shape (R, S)
        Draws around zero, as spread as the error of the score.
    stretch : ndarray of float64, shape (S,)
        Student's factor, for the spread itself is only an estimate; NaN where no class has two images, so that
        nothing tells the spread.
    """

    value: Floats
    bias: Floats
    noise: Floats
    stretch: Floats

    def interval(self) -> Floats:
        """Return low and high, shape (2, S); NaN where nothing tells the spread."""
        return np.asarray(self.value - self.bias + self.stretch * np.quantile(self.noise, TAILS, axis=0))


def exponential_totals(parts: Sequence[Summary], resamples: int, rng: np.random.Generator) -> list[Floats]:
    """Sum the images with weights from the Dirichlet distribution (up to a factor, which ratios do not see).

    Rubin, The Bayesian Bootstrap, Annals of Statistics 1981, doi:10.1214/aos/1176345338.

    Parameters
    ----------
    parts : sequence of Summary
        Over the same images, which get the same weights.
    resamples : int
        R.
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray of float64, shape (R, width + 1)
    """
    out = [np.zeros((resamples, part.width + 1)) for part in parts]
    for first, last in parts[0].blocks(resamples):
        # Single precision halves the time; its error of 1e-6 is far below the chance of 1,000 resamples.
        weight = rng.standard_exponential((last - first, resamples), dtype=np.float32).T
        for part, total in zip(parts, out, strict=True):
            np.add(total, weight @ part.rows(first, last, np.float32), out=total)
    return out


@dataclass(frozen=True)
class _Spread:
    """Squares of each ratio's per-image deviations, all of shape (F,): plain, jackknife, and effective images."""

    plain: Floats
    jackknife: Floats
    images: Floats


def _spread(parts: Sequence[Summary], signs: Sequence[int], full: Sequence[Floats]) -> _Spread:
    """Measure how much each image moves each ratio, or each difference of ratios.

    Leaving image i out moves the ratio a/b by e/(1-h) with e = (a_i - b_i a/b) / b and h = b_i / b.
    """
    shape = parts[0].top.size
    plain, jackknife, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    quotient = [np.nan_to_num(ratios(part, total)) for part, total in zip(parts, full, strict=True)]
    for first, last in parts[0].blocks(0):
        moved, gone = np.zeros((last - first, shape)), np.zeros((last - first, shape))
        for part, sign, total, q in zip(parts, signs, full, quotient, strict=True):
            rows = part.rows(first, last)
            scale = sign / np.where(total[part.bottom] > 0, total[part.bottom], np.inf)
            share = rows[:, part.bottom] * np.abs(scale)
            e = rows[:, part.top] * scale - share * (q * sign)
            moved += e
            gone += e / (1 - np.minimum(share, LEVERAGE))
            square += (share**2).sum(axis=0) / len(parts)
        plain += (moved**2).sum(axis=0)
        jackknife += (gone**2).sum(axis=0)
    return _Spread(plain, jackknife, 1 / np.where(square > 0, square, np.inf))


def _unseen(spread: _Spread, coefficient: Floats) -> tuple[float, float]:
    """Return the variance that the resamples of a score miss, and its degrees of freedom; NaN when unknown.

    Each class is brought up to its jackknife variance. A class that one image carries has none of its own and
    borrows the pooled one-image variance of the others; in a gap, small borrows from small and large from
    large. Degrees of freedom after Satterthwaite, Biometrics Bulletin 1946, doi:10.2307/3002019.
    """
    variance = doubt = plain = 0.0
    for members in (np.flatnonzero(coefficient > 0), np.flatnonzero(coefficient < 0)):
        images, own = spread.images[members], spread.jackknife[members]
        known = images >= ALONE
        if not known.any() and (members.size or not coefficient.any()):
            return np.nan, np.nan
        freedom, one_image = images[known] - 1, (own * images)[known]  # variance of a class as if it had one image
        alone = (1 / images[~known]).sum()
        lent = alone / freedom.sum() if alone else 0.0
        variance += own[known].sum() + (one_image * freedom).sum() * lent
        doubt += (((1 / (images[known] * freedom) + lent) * one_image) ** 2 * freedom).sum()
        plain += spread.plain[members].sum()
    missed = max(variance - plain, 0.0) * np.abs(coefficient).max() ** 2
    return float(missed), float(variance**2 / doubt) if doubt > 0 else np.inf


def _coefficients(means: Sequence[Mean], quotient: Floats) -> Floats:
    """Write scores as weighted sums of ratios, shape (F, S); a column of zeros where no class counts."""
    out = np.zeros((quotient.size, len(means)))
    for column, mean in zip(out.T, means, strict=True):
        live = ~np.isnan(terms(mean, quotient))
        column[mean.members[live]] = 1 / max(live.sum(), 1)
        if mean.minus.size:
            column[mean.minus[live]] = -1 / max(live.sum(), 1)
    return out


def replicate(
    parts: Sequence[Summary], signs: Sequence[int], means: Sequence[Mean], resamples: int, rng: np.random.Generator
) -> Replicates:
    """Resample scores (one part, sign 1) or differences of scores (two parts, signs -1 and 1).

    The rule: Bayesian image weights; their mean shift is taken for the bias of the score; normal noise adds
    what few images hide (see `_unseen`); and Student's factor stretches the result.

    Parameters
    ----------
    parts : sequence of Summary
        Over the same images and the same ground truth.
    signs : sequence of int
    means : sequence of Mean
        Which scores; S of them.
    resamples : int
        R.
    rng : numpy.random.Generator

    Returns
    -------
    Replicates
    """
    full = [part.totals() for part in parts]
    draws = exponential_totals(parts, resamples, rng)
    noise, value = np.zeros((resamples, len(means))), np.zeros(len(means))
    used = np.zeros((parts[0].top.size, len(means)))
    for part, sign, total, drawn in zip(parts, signs, full, draws, strict=True):
        quotient = ratios(part, total)
        used = _coefficients(means, quotient)
        value += sign * (np.nan_to_num(quotient) @ used)
        noise += sign * (np.nan_to_num(ratios(part, drawn) - quotient) @ used)
    bias = noise.mean(axis=0)
    spread = _spread(parts, signs, full)
    missed, freedom = np.array([_unseen(spread, column) for column in used.T]).T
    noise += rng.standard_normal(noise.shape) * np.sqrt(np.nan_to_num(missed)) - bias
    return Replicates(value, bias, noise, np.array([student_factor(nu) for nu in freedom]))


def student_factor(freedom: float) -> float:
    """Return how much wider Student's 95 % interval is than the normal one; NaN for NaN.

    With t = sqrt(nu) tan(x) the density is proportional to cos(x)^(nu - 1), which is summed on a grid.

    Examples
    --------
    >>> [round(student_factor(nu) * 1.959964, 3) for nu in (1, 2, 5, 30, 1000, math.inf)]
    [12.706, 4.303, 2.571, 2.042, 1.962, 1.96]
    """
    if math.isnan(freedom) or freedom > 1000:
        return freedom if math.isnan(freedom) else 1.0
    freedom = max(freedom, 0.5)
    step = math.pi / 8000
    x = np.arange(4000) * step
    mass = np.cumsum(np.cos(x + step / 2) ** (freedom - 1))  # up to x + step
    quantile = math.sqrt(freedom) * math.tan(np.interp(LEVEL * mass[-1], mass, x + step))
    return float(quantile / NormalDist().inv_cdf(TAILS[1]))


def swap_test(a: Summary, b: Summary, means: Sequence[Mean], swaps: int, rng: np.random.Generator) -> Floats:
    """Test whether two runs differ, by exchanging their predictions image by image at random.

    If both runs are as good, it does not matter which prediction of an image is called A: exact for every
    score, however few images a class has. Fisher's paired randomisation test; for scores that are no mean over
    images: Noreen, Computer-Intensive Methods for Testing Hypotheses, Wiley 1989.

    Parameters
    ----------
    a, b : Summary
        Over the same images and the same ground truth.
    means : sequence of Mean
        Which scores; S of them.
    swaps : int
        Number of random exchanges R; the smallest p-value is 1 / (R + 1).
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (S,)
        Two-sided p-values; 1 where the score is undefined.
    """
    columns_a, columns_b = (np.concatenate([part.top, part.bottom, part.need]) for part in (a, b))
    total_a, total_b = a.totals()[columns_a], b.totals()[columns_b]
    middle, half = (total_a + total_b) / 2, np.zeros((swaps, columns_a.size))
    for first, last in a.blocks(swaps):
        sign = rng.integers(0, 2, (last - first, swaps), dtype=np.int8).T - 0.5
        moved = a.rows(first, last)[:, columns_a] - b.rows(first, last)[:, columns_b]
        used = np.flatnonzero(moved.any(axis=0))  # most denominators are the truth's and never move
        half[:, used] += sign @ moved[:, used]
    observed = _exchanged(means, total_b) - _exchanged(means, total_a)
    swapped = _exchanged(means, middle - half) - _exchanged(means, middle + half)
    beyond = np.abs(swapped) >= np.abs(observed) - 1e-12  # rounding must not break ties
    return np.asarray(np.where(np.isnan(observed), 1.0, (1 + beyond.sum(axis=0)) / (1 + swaps)))


def _exchanged(means: Sequence[Mean], sums: Floats) -> Floats:
    """Compute scores, shape (..., S), from sums of numerators, denominators and needs, shape (..., 3 F)."""
    top, bottom, need = np.split(sums, 3, axis=-1)
    counted = (bottom > 0.25) & (need > 0.25)  # both are sums of integers, but for rounding
    return means_of(means, np.divide(top, bottom, out=np.full(top.shape, np.nan), where=counted))
