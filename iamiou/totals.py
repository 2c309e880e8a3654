"""Totals: sums over images that every headline score and every class score is a short function of.

They add exactly, integers and exact sums alike, so that any split of the images gives the same totals, bit by bit,
whether the rows of the instances are still at hand or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.bins import bin_of
from iamiou.counts import AREA, CLASS, FP, IMAGE, PHANTOM_AREA, PHANTOM_CLASS, TP, Counts
from iamiou.exact import added, exact_sum, exact_sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Totals:
    """Sums over some images of a data set with C classes and B size bins; its size does not depend on their number.

    Parameters
    ----------
    images : int
        How many.
    confusion : int64 array, (C, C)
        As in `Counts`.
    truth, prediction, hit : int64 array, (C,)
        Valid pixels of a class in the truth, in the prediction, in both.
    area : int64 array, (C,)
        Pixels of all instances.
    instances, found : int64 array, (C, B)
        Instances, and those with IA-IoU of at least 0.5.
    iou : tuple of int
        Exact sums of IA-IoU, C * B of them, in units of `iamiou.exact`.
    share : tuple of int
        Exact sums, by class, of the part of every instance that was hit: TP / area.
    background, per_image : tuple of (int, int)
        Exact sum and number: of the background's IoU over the images that show it; of the mean IoU of every image.
    phantoms, phantom_pixels : int64 array, (C, B)
        Predicted components that touch no instance of their class.
    images_with : int64 array, (1 + B,)
        Images that have an instance, and one of every size bin.
    """

    images: int
    confusion: Ints
    truth: Ints
    prediction: Ints
    hit: Ints
    area: Ints
    instances: Ints
    found: Ints
    iou: tuple[int, ...]
    share: tuple[int, ...]
    background: tuple[int, ...]
    per_image: tuple[int, ...]
    phantoms: Ints
    phantom_pixels: Ints
    images_with: Ints

    def __add__(self, other: Totals) -> Totals:
        """Add the totals of other images."""
        sums: list[Any] = []
        for part in fields(self):
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            sums.append(added(mine, theirs) if isinstance(mine, tuple) else mine + theirs)
        return Totals(*sums)


def totals_of(counts: Counts, bins: tuple[int, ...]) -> Totals:
    """Sum up counts of N images.

    Parameters
    ----------
    counts : Counts
    bins : tuple of int
        Sides in pixels that part the size bins.

    Examples
    --------
    >>> zero = totals_of(Counts.zero(3), (32, 96))
    >>> (zero + zero).images, zero.instances.shape
    (0, (3, 3))
    """
    rows, iou = counts.instances, counts.iou()
    label, area, tp, fp = (rows[:, k] for k in (CLASS, AREA, TP, FP))
    c, b = counts.num_classes, len(bins) + 1
    size = bin_of(area, bins)
    cell, of_phantom = label * b + size, _cells(counts.phantoms, bins)
    background = image_background_iou(counts)
    background = background[~np.isnan(background)]
    means = image_mean_iou(counts)
    number = [len(np.unique(rows[use, IMAGE])) for use in (slice(None), *(size == k for k in range(b)))]
    return Totals(
        images=len(counts.images),
        confusion=counts.confusion,
        truth=counts.truth.sum(0),
        prediction=counts.prediction.sum(0),
        hit=counts.hit.sum(0),
        area=_table(label, area, c),
        instances=_table(cell, np.ones_like(cell), c * b).reshape(c, b),
        found=_table(cell, 2 * tp >= area + fp, c * b).reshape(c, b),
        iou=exact_sums(cell, iou, c * b),
        share=exact_sums(label, np.asarray(tp / area, np.float64), c),
        background=(exact_sum(background), len(background)),
        per_image=(exact_sum(means), len(means)),
        phantoms=_table(of_phantom, np.ones_like(of_phantom), c * b).reshape(c, b),
        phantom_pixels=_table(of_phantom, counts.phantoms[:, PHANTOM_AREA], c * b).reshape(c, b),
        images_with=np.array(number, np.int64),
    )


def image_background_iou(counts: Counts) -> Floats:
    """Return the plain IoU of the background of every image, (N,); NaN where the truth has none."""
    truth, hit = counts.truth[:, 0], counts.hit[:, 0]
    union = truth + counts.prediction[:, 0] - hit
    return np.where(truth > 0, hit / np.maximum(union, 1), np.nan)


def image_mean_iou(counts: Counts) -> list[float]:
    """Return the mean IoU over the classes that an image shows, for the images that show any."""
    image, label = np.nonzero(counts.truth)
    hit = counts.hit[image, label]
    iou = hit / (counts.truth[image, label] + counts.prediction[image, label] - hit)
    ends = np.cumsum(np.bincount(image, minlength=len(counts.images))).tolist()
    flat, begin, means = iou.tolist(), 0, []
    for end in ends:
        if end > begin:
            means.append(math.fsum(flat[begin:end]) / (end - begin))
        begin = end
    return means


def _cells(phantoms: Ints, bins: tuple[int, ...]) -> Ints:
    return phantoms[:, PHANTOM_CLASS] * (len(bins) + 1) + bin_of(phantoms[:, PHANTOM_AREA], bins)


def _table(key: Ints, value: NDArray[np.integer] | NDArray[np.bool_], size: int) -> Ints:
    """Add up integers by key."""
    out = np.zeros(size, np.int64)
    np.add.at(out, key, value)
    return out
