"""Scores of one run under many weightings of the images, so small that they lie in its result.

The weights depend on the list of images alone, so the replicates of two runs on the same images are pairs: the
difference of the k-th ones is a draw of the difference. Weights are those of the Bayesian bootstrap (Rubin, Annals of
Statistics 1981, doi:10.1214/aos/1176345338).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.report import load
from iamiou.sums import means_of, ratios, summarise, weighted
from iamiou_benchmarks.sfc.distribution import group_means

#: Weightings of the images.
DRAWS = 200
#: Scores that verdicts are about.
SCORES = ("mIoU", "precision", "recall", "IA-mIoU", "IA_S", "IA_M", "IA_L")
_UNIT = 100_000

Floats = NDArray[np.float64]


def image_weights(images: tuple[str, ...], draws: int = DRAWS) -> Floats:
    """Return weights (draws, images) of mean about 1, which depend on nothing but the ids.

    >>> image_weights(("a", "b"), 3).shape
    (3, 2)
    """
    seed = hashlib.sha256("\n".join(images).encode()).digest()
    rng = np.random.Generator(np.random.PCG64(list(seed[:16])))
    # By inversion: the uniform numbers of a generator stay the same from version to version.
    return -np.log1p(-rng.random((draws, len(images))))


def replicates_of(counts: Path, groups: Sequence[str] = ()) -> dict[str, str]:
    """Return the replicates of every score in `SCORES` from saved counts, packed as text.

    Parameters
    ----------
    groups : sequence of str, optional
        Of every class but the background: the mean IoU of each group comes with them; see `group_means`.
    """
    report = load(counts)
    summary = summarise(report.counts, report.bins)
    means = [m for m in summary.scores if m.name in SCORES] + (group_means(summary, groups) if groups else [])
    sums = weighted(summary, image_weights(summary.images))
    found = means_of(means, ratios(summary, sums))
    return {mean.name: pack(column) for mean, column in zip(means, found.T, strict=True)}


def pack(values: Floats) -> str:
    """Write numbers from 0 to 1 with five digits; what is undefined is written as -1.

    >>> pack(np.array([0.25, np.nan])), unpack("25000 -1")
    ('25000 -1', array([0.25,  nan]))
    """
    return " ".join("-1" if np.isnan(v) else str(round(v * _UNIT)) for v in values.tolist())


def unpack(text: str) -> Floats:
    """Read what `pack` wrote."""
    found = np.array([int(v) for v in text.split()], np.float64)
    return np.asarray(np.where(found < 0, np.nan, found / _UNIT))
