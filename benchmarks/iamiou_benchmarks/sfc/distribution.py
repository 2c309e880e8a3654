"""How often training images show each class: counts, SFC's distribution coefficient, and groups of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iamiou.sums import Mean, Summary
from iamiou_benchmarks.datasets.data import DataSet

Floats = NDArray[np.float64]

#: From the classes that most training images show to those that fewest show.
GROUPS = ("Many", "Medium", "Few")


def image_counts(data: DataSet) -> NDArray[np.int64]:
    """Return how many training images show each class, (C - 1,), by their image labels."""
    total = np.zeros(len(data.classes) - 1, np.int64)
    for image_id in data.splits["train"]:
        total += data.multi_hot(image_id).astype(np.int64)
    return total


def distribution_coefficient(counts: Sequence[int] | NDArray[np.integer], extra: float) -> Floats:
    """Return SFC's weight of every class (eq. 6), large at both ends of the distribution, of mean 1.

    DC_c = [G_c / (n_c + E)] / mean over k of [G_k / (n_k + E)] with G_c = sum over j of |n_c - n_j|.

    Parameters
    ----------
    counts : (C - 1,)
        n: images that show each class.
    extra : float
        E: how often the bank shows a class beyond that.

    Returns
    -------
    float64 (C - 1,)
        0 for a class that no image shows, which is left out of the mean; 1 for all where no count differs.

    Examples
    --------
    >>> distribution_coefficient([40, 10, 10], 0).tolist()
    [0.6, 1.2, 1.2]
    """
    n = np.asarray(counts, np.float64)
    gap = np.abs(n[:, None] - n[None]).sum(1)
    if not gap.any():
        return np.ones(len(n))
    there = n > 0
    share = np.divide(gap, n + extra, out=np.zeros(len(n)), where=there)
    return np.asarray(share / share[there].mean())


def extra_samples(images: int, batch: int, draws: int, classes: int, factor: float) -> float:
    """Return E: how often the bank shows each class in an epoch, times a factor.

    >>> extra_samples(10582, 16, 4, 20, 3)  # of VOC; the published program has 396 written out, from 660 steps
    396.6
    """
    return (images // batch) * draws * factor / classes


def class_groups(counts: Sequence[int] | NDArray[np.integer]) -> tuple[str, ...]:
    """Part classes into three groups as equal as can be, by how many training images show them.

    Ranks, not numbers of images, part them, so that every data set has three groups; the earlier class counts as the
    more frequent of two equal ones.

    >>> class_groups([5, 90, 40, 7, 300])
    ('Few', 'Many', 'Medium', 'Medium', 'Many')
    """
    order = np.argsort(-np.asarray(counts, np.int64), kind="stable")
    names = np.empty(len(order), object)
    for name, part in zip(GROUPS, np.array_split(order, len(GROUPS)), strict=True):
        names[part] = name
    return tuple(names.tolist())


def group_means(summary: Summary, groups: Sequence[str]) -> list[Mean]:
    """Return the mean IoU of every group of classes as scores ``IoU_Many``, ``IoU_Medium`` and ``IoU_Few``.

    Parameters
    ----------
    groups : sequence of str
        Of every class but the background, as `class_groups` gives them.
    """
    iou = np.arange(summary.num_classes) + summary.family["IoU"].start
    members = {name: iou[1:][[g == name for g in groups]] for name in GROUPS}
    return [Mean(f"IoU_{name}", at, np.zeros(0, np.int64)) for name, at in members.items()]
