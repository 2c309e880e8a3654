"""Curves over the size of an instance: the local mean IA-IoU with its interval, and the histogram of sizes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: Standard deviation of the smoothing window, in natural logarithms of area: a factor of two.
WIDTH = float(np.log(2.0))
#: A point of the curve is undefined where the window holds fewer instances than this.
ENOUGH = 5.0
#: Aimed-at ratio between the two edges of a bar of the histogram.
BAR = 1.45

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AreaCurve:
    """Local mean of IA-IoU as a function of the area of the instance.

    Parameters
    ----------
    area : ndarray of float64, shape (points,)
        Where the curve was evaluated, in pixels, evenly spaced in the logarithm.
    iou, low, high : ndarray of float64, shape (points,)
        The mean and the ends of its interval; NaN where fewer than `ENOUGH` instances stand behind it.
    support : ndarray of float64, shape (points,)
        Number of instances in the window, each counted by its weight of at most 1.
    """

    area: Floats
    iou: Floats
    low: Floats
    high: Floats
    support: Floats


@dataclass(frozen=True)
class SizeHistogram:
    """Number of instances by area.

    Parameters
    ----------
    edges : ndarray of float64, shape (bars + 1,)
        Ends of the bars in pixels; a bar holds ``edges[i] <= area < edges[i + 1]``.
    count, found : ndarray of int64, shape (bars,)
        All instances, and those with an IA-IoU of at least 0.5.
    """

    edges: Floats
    count: Ints
    found: Ints


def iou_against_area(
    area: Ints, iou: Floats, image: Ints, *, points: int = 97, resamples: int = 400, level: float = 0.95, seed: int = 0
) -> AreaCurve:
    """Smooth IA-IoU over the logarithm of area.

    Every instance counts once, whatever its class, with a Gaussian weight in log area whose standard
    deviation is `WIDTH` (Nadaraya-Watson). The interval comes from the Bayesian bootstrap over images
    (Rubin 1981, doi:10.1214/aos/1176345338): the instances of an image stay together.

    Parameters
    ----------
    area : ndarray of int64, shape (M,)
        Pixels of each instance, at least 1.
    iou : ndarray of float64, shape (M,)
    image : ndarray of int64, shape (M,)
        Index of the image of each instance.
    points, resamples, seed : int
        Places along the axis, draws of the bootstrap, its seed. Without draws the interval is NaN.
    level : float
        Coverage that the interval aims at.

    Returns
    -------
    AreaCurve
        Empty when there is no instance.

    Examples
    --------
    >>> area = np.repeat([100, 1600], 50)
    >>> curve = iou_against_area(area, np.where(area < 1000, 0.25, 0.75), np.arange(100), points=3)
    >>> curve.area.round(), curve.iou.round(2)
    (array([ 100.,  400., 1600.]), array([0.25, 0.5 , 0.75]))
    """
    if len(area) == 0:
        nothing = np.empty(0)
        return AreaCurve(nothing, nothing, nothing, nothing, nothing)
    _, image = np.unique(image, return_inverse=True)
    images = int(image.max()) + 1
    log_area = np.log(area.astype(np.float64))
    grid = np.linspace(log_area.min(), log_area.max(), points)
    total = np.empty((points, images))
    weight = np.empty((points, images))
    support = np.empty(points)
    for i, x in enumerate(grid):  # one place at a time: memory stays flat in the number of instances
        w = np.exp(-0.5 * ((log_area - x) / WIDTH) ** 2)
        total[i] = np.bincount(image, w * iou, images)
        weight[i] = np.bincount(image, w, images)
        support[i] = w.sum()
    low, high = _interval(total, weight, resamples, level, seed)
    thin = support < ENOUGH
    mean, low, high = (np.where(thin, np.nan, a) for a in (total.sum(1) / weight.sum(1), low, high))
    return AreaCurve(np.exp(grid), mean, low, high, support)


def _interval(total: Floats, weight: Floats, resamples: int, level: float, seed: int) -> tuple[Floats, Floats]:
    """Percentiles of the weighted means under exponential weights on the images."""
    points, images = total.shape
    if resamples == 0:
        return np.full(points, np.nan), np.full(points, np.nan)
    rng = np.random.default_rng(seed)
    above = np.zeros((resamples, points))
    below = np.zeros((resamples, points))
    for start in range(0, images, 4096):  # blocks of images keep the weights below 20 MB
        part = slice(start, start + 4096)
        drawn = rng.standard_exponential((resamples, total[:, part].shape[1]))
        above += drawn @ total[:, part].T
        below += drawn @ weight[:, part].T
    low, high = np.percentile(above / below, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return low, high


def histogram_edges(area: Ints, bins: Ints) -> Floats:
    """Return ends of bars about a factor `BAR` apart, so that no bar straddles the edge of a size bin.

    >>> histogram_edges(np.array([800, 3000]), np.array([1024, 2048])).round()
    array([ 706., 1024., 1448., 2048., 2970., 4306.])
    """
    edges = [float(edge) for edge in bins]
    for a, b in pairwise(edges):
        parts = max(1, round(float(np.log(b / a)) / float(np.log(BAR))))
        edges += list(np.geomspace(a, b, parts + 1)[1:-1])
    edges.sort()
    while edges[0] > area.min():
        edges.insert(0, edges[0] / BAR)
    while edges[-1] <= area.max():
        edges.append(edges[-1] * BAR)
    return np.array(edges)


def size_histogram(area: Ints, iou: Floats, bins: Ints) -> SizeHistogram:
    """Count the instances by area, and those that were found.

    Parameters
    ----------
    area : ndarray of int64, shape (M,)
        Pixels of each instance.
    iou : ndarray of float64, shape (M,)
        Their IA-IoU; from 0.5 on an instance counts as found.
    bins : ndarray of int64
        Areas that part the size bins, increasing.

    Returns
    -------
    SizeHistogram
        Empty when there is no instance.

    Examples
    --------
    >>> h = size_histogram(np.array([900, 1024, 1100]), np.array([0.2, 0.5, 0.9]), np.array([1024]))
    >>> h.edges.round(), h.count, h.found
    (array([ 706., 1024., 1485.]), array([1, 2]), array([0, 2]))
    """
    if len(area) == 0:
        return SizeHistogram(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    edges = histogram_edges(area, bins)
    bar = np.searchsorted(edges, area, side="right") - 1
    bars = len(edges) - 1
    return SizeHistogram(edges, np.bincount(bar, minlength=bars), np.bincount(bar[iou >= 0.5], minlength=bars))
