"""How compact an object is, and how a score goes with it at equal size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from iamiou.counts import AREA, CLASS, ID, IMAGE, Counts
from iamiou_benchmarks.claims._disturb import Ids, objects_in
from iamiou_benchmarks.claims._statistics import clustered, pearson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Smaller objects are left out: their outline is a handful of pixels.
LEAST = 50
#: Objects of one band differ in area by this factor at most.
BAND = 2**0.5
#: A band with fewer objects has no quartiles.
ENOUGH = 8


def perimeter(mask: NDArray[np.bool_]) -> float:
    """Return the length of an outline, holes and parts included, by Crofton's formula with four directions.

    The crossings of all rows, columns and diagonals with the outline are counted; a disk's length comes out right, and
    that of a square that lies straight 5 % too short, where counting the edges of pixels makes a disk 27 % too long.

    Examples
    --------
    >>> y, x = np.mgrid[-50:51, -50:51]
    >>> round(perimeter(x * x + y * y < 40 * 40) / (2 * np.pi * 40), 2)
    0.99
    """
    m = np.pad(mask, 1)
    straight = (m[1:] != m[:-1]).sum() + (m[:, 1:] != m[:, :-1]).sum()
    slanted = (m[1:, 1:] != m[:-1, :-1]).sum() + (m[1:, :-1] != m[:-1, 1:]).sum()
    return float(np.pi / 8 * (straight + slanted / np.sqrt(2)))


def compactness(area: Floats, length: Floats) -> Floats:
    """Return 4 pi A / P², 1 for a disk and less for all else, but for what a few pixels can show.

    >>> round(float(compactness(np.array(100.0), np.array(40.0))), 3)  # a square
    0.785
    """
    return np.asarray(4 * np.pi * area / length**2)


def compactness_of(instance: Ids) -> dict[int, float]:
    """Return the compactness of every object of an instance map by its id."""
    found = {}
    for k, place in objects_in(instance):
        mask = instance[place] == k
        found[k] = float(compactness(np.array(mask.sum(), np.float64), np.array(perimeter(mask))))
    return found


@dataclass(frozen=True)
class Objects:
    """Objects with their scores, arrays of one length each.

    Parameters
    ----------
    image, label : int64
        Index of the image, class.
    area : int64
        Pixels.
    compactness, score : float64
        4 pi A / P², and IA-IoU.
    """

    image: Ints
    label: Ints
    area: Ints
    compactness: Floats
    score: Floats


def objects_of(counts: Counts, known: Sequence[Mapping[int, float]]) -> Objects:
    """Put scores and compactness together, of all objects of at least `LEAST` pixels.

    Parameters
    ----------
    known : sequence of mapping of int to float
        `compactness_of` the images, in the order of ``counts.images``.
    """
    rows = counts.instances
    keep = rows[:, AREA] >= LEAST
    rows, score = rows[keep], counts.iou()[keep]
    shape = np.array([known[image][k] for image, k in rows[:, [IMAGE, ID]].tolist()])
    return Objects(rows[:, IMAGE], rows[:, CLASS], rows[:, AREA], shape, score)


def at_equal_size(objects: Objects, score: Floats, within_class: bool = False) -> tuple[float, float, float]:
    """Return the rank correlation of a score with compactness at equal area, and its 95 % interval over images.

    Ranks of both are freed of a cubic in the rank of the area, within classes also of the class's mean.
    """

    def measure(at: Ints) -> Floats:
        size = rankdata(objects.area[at]) / len(at)
        columns = [np.ones(len(at)), size, size**2, size**3]
        if within_class:
            columns += [(objects.label[at] == c).astype(np.float64) for c in np.unique(objects.label[at])[1:]]
        known = np.stack(columns, 1)
        both = np.stack([rankdata(score[at]), rankdata(objects.compactness[at])], 1)
        rest = both - known @ np.linalg.lstsq(known, both, rcond=None)[0]
        return pearson(rest[:, :1].T, rest[:, 1:].T)

    value = float(measure(np.arange(len(score)))[0])
    low, high = clustered(objects.image.tolist(), measure)
    return value, max(float(low[0]), -1.0), min(float(high[0]), 1.0)


def quartiles(objects: Objects) -> Ints:
    """Return 0 for the least compact quarter of the objects of equal size, to 3 for the most compact.

    Equal is what lies in one band of area; an object of a band with fewer than `ENOUGH` gets -1.

    Examples
    --------
    >>> n = np.zeros(8, np.int64)
    >>> eight = Objects(n, n, n + 100, np.arange(8) / 8, np.ones(8))
    >>> quartiles(eight).tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    band = np.floor(np.log(objects.area) / np.log(BAND)).astype(np.int64)
    out = np.full(len(band), -1)
    for b in np.unique(band):
        mine = np.flatnonzero(band == b)
        if len(mine) >= ENOUGH:
            order = np.argsort(objects.compactness[mine], kind="stable")
            out[mine[order]] = np.arange(len(mine)) * 4 // len(mine)
    return out


def means_by_quartile(objects: Objects, quartile: Ints, score: Floats, weights: Floats) -> Floats:
    """Return the mean score of every quartile under weightings of the images, (R, images) to (R, 4)."""
    found = []
    for q in range(4):
        mine = quartile == q
        w = weights[:, objects.image[mine]]
        found.append((w * score[mine]).sum(1) / w.sum(1))
    return np.stack(found, 1)
