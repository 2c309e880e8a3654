"""Per-image sums that every headline score is made of, so that resampling never reads a pixel again.

A headline score is a mean of ratios: ``mean over classes of (sum over images of a) / (sum over images of b)``.
`Summary` keeps the ``a`` and ``b`` of every image as columns of one sparse matrix; weighting the images is then
one matrix product. Precision is float64; the columns of pixels are exact up to 2**53.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iamiou.counts import AREA, CLASS, FP, IMAGE, TP
from iamiou.scores import bin_names, bin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from iamiou.counts import Counts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Numbers that one block of images may hold in memory at a time (8 MB of float64).
BLOCK = 1_000_000


@dataclass(frozen=True)
class Mean:
    """A score as the mean of some ratios, or as the difference of two such means.

    Parameters
    ----------
    name : str
        As in `iamiou.scores.headline`.
    members : ndarray of int64, shape (G,)
        Which ratios of the summary; one that is undefined is left out of the mean.
    minus : ndarray of int64, shape (G,) or (0,)
        The ratios that are taken off, class by class; both of a pair must be defined.
    """

    name: str
    members: Ints
    minus: Ints


@dataclass(frozen=True)
class Summary:
    """Columns of sums per image, sparse, images in the order of their ids.

    Parameters
    ----------
    images : tuple of str
        The ids, sorted.
    num_classes : int
    starts : ndarray of int64, shape (N + 1,)
        Entries of image ``i`` are ``starts[i]:starts[i + 1]``.
    column, value : ndarray of int64 and float64, shape (entries,)
        Where an entry stands and what it holds.
    width : int
        Number of columns that hold anything; one more, always zero, stands for all others.
    top, bottom, need : ndarray of int64, shape (F,)
        Columns of the numerator and the denominator of each ratio, and the one that must hold something for
        the ratio to count: a class without truth is left out.
    family : dict of str to slice
        Where the ratios of one kind stand: ``"IoU"``, ``"IA-IoU"``, ``"IA-IoU_S"``, ... one a class.
    scores : tuple of Mean
        The headline scores.
    """

    images: tuple[str, ...]
    num_classes: int
    starts: Ints
    column: Ints
    value: Floats
    width: int
    top: Ints
    bottom: Ints
    need: Ints
    family: dict[str, slice]
    scores: tuple[Mean, ...]

    def rows(self, first: int, last: int, dtype: type[np.floating] = np.float64) -> Floats:
        """Return the dense sums of the images ``first`` to ``last``, shape (last - first, width + 1)."""
        begin, end = int(self.starts[first]), int(self.starts[last])
        dense: Floats = np.zeros((last - first, self.width + 1), dtype)
        row = np.repeat(np.arange(last - first), np.diff(self.starts[first : last + 1]))
        dense[row, self.column[begin:end]] = self.value[begin:end]
        return dense

    def totals(self) -> Floats:
        """Return the sums over all images, shape (width + 1,)."""
        return np.asarray(np.bincount(self.column, self.value, self.width + 1), np.float64)

    def blocks(self, resamples: int) -> Iterator[tuple[int, int]]:
        """Cut the images into ranges small enough that neither the rows nor their weights fill the memory."""
        step = max(64, BLOCK // max(self.width + 1, self.top.size, resamples, 1))
        for first in range(0, len(self.images), step):
            yield first, min(first + step, len(self.images))


def weighted(summary: Summary, weights: Floats) -> Floats:
    """Sum the images with weights, shape (R, N), into sums of shape (R, width + 1)."""
    out = np.zeros((len(weights), summary.width + 1))
    for first, last in summary.blocks(len(weights)):
        out += weights[:, first:last] @ summary.rows(first, last)
    return out


def ratios(summary: Summary, sums: Floats) -> Floats:
    """Divide numerators by denominators, (..., width + 1) to (..., F); NaN where a ratio does not count."""
    bottom = sums[..., summary.bottom]
    counted = (bottom > 0) & (sums[..., summary.need] > 0)
    out: Floats = np.full(bottom.shape, np.nan)
    return np.divide(sums[..., summary.top], bottom, out=out, where=counted)


def terms(mean: Mean, quotient: Floats) -> Floats:
    """Return what a score is the mean of, shape (..., G); NaN for a class that does not count."""
    value = quotient[..., mean.members]
    return value - quotient[..., mean.minus] if mean.minus.size else value


def means_of(means: Sequence[Mean], quotient: Floats) -> Floats:
    """Compute S scores from ratios, (..., F) to (..., S).

    A class whose ratio is undefined is left out of its mean; NaN where no class is left.
    """
    out = np.full((*quotient.shape[:-1], len(means)), np.nan)
    for k, mean in enumerate(means):
        value = terms(mean, quotient)
        count = np.asarray((~np.isnan(value)).sum(axis=-1))
        np.divide(np.asarray(np.nansum(value, axis=-1)), count, out=out[..., k], where=count > 0)
    return out


class _Columns:
    """Collect named dense columns of shape (N, k) and keep their entries that are not zero."""

    def __init__(self) -> None:
        self.at: dict[str, Ints] = {}
        self.width = 0
        self._entries: list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]] = []

    def add(self, name: str, dense: Floats | Ints) -> None:
        image, column = np.nonzero(dense)
        self._entries.append((image, column + self.width, dense[image, column].astype(np.float64)))
        self.at[name] = np.arange(self.width, self.width + dense.shape[1])
        self.width += dense.shape[1]

    def pack(self, num_images: int) -> tuple[Ints, Ints, Floats, Ints]:
        """Return starts, columns, values, and for every column its place among those that hold anything."""
        image, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        order = np.argsort(image, kind="stable")
        used, place = np.unique(column, return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=num_images))])
        where = np.full(self.width, used.size)
        where[used] = np.arange(used.size)
        return starts.astype(np.int64), place[order].astype(np.int64), value[order], where


def summarise(counts: Counts, bins: tuple[int, ...]) -> Summary:
    """Turn counts into the per-image sums behind every headline score, for sizes parted by ``bins``."""
    order = sorted(range(len(counts.images)), key=counts.images.__getitem__)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    columns = _Columns()
    truth, prediction, hit = counts.truth[order], counts.prediction[order], counts.hit[order]
    columns.add("truth", truth)
    columns.add("prediction", prediction)
    columns.add("hit", hit)
    columns.add("union", truth + prediction - hit)
    per_image = _iou(truth, prediction, hit)
    classes = (truth > 0).sum(axis=1, keepdims=True)
    columns.add("image", np.minimum(classes, 1))
    columns.add("image IoU", per_image.sum(axis=1, keepdims=True) / np.maximum(classes, 1))
    image = place[counts.instances[:, IMAGE]]
    _add_instances(columns, image, counts.instances, truth, prediction - hit, per_image[:, 0], bins)
    starts, column, value, where = columns.pack(len(counts.images))
    at = {name: where[place] for name, place in columns.at.items()}
    (top, bottom, need), family = _families(at, bin_names(bins))
    return Summary(
        images=tuple(counts.images[i] for i in order),
        num_classes=counts.num_classes,
        starts=starts,
        column=column,
        value=value,
        width=int(column.max(initial=-1)) + 1,
        top=top,
        bottom=bottom,
        need=need,
        family=family,
        scores=_headline_means(family, bin_names(bins)),
    )


def _iou(truth: Ints, prediction: Ints, hit: Ints) -> Floats:
    """Return the IoU of every image and class, 0 where the truth does not show the class."""
    return np.asarray(np.where(truth > 0, hit / np.maximum(truth + prediction - hit, 1), 0.0), np.float64)


def _add_instances(
    columns: _Columns, image: Ints, rows: Ints, truth: Ints, false: Ints, background: Floats, bins: tuple[int, ...]
) -> None:
    """Add number and IA-IoU of the instances by class and bin, those found, and iIoU's weighted hits.

    Background is class 0 of the instances over all sizes: one an image that shows it, with its plain IoU.
    """
    label, area, tp, fp = (rows[:, k] for k in (CLASS, AREA, TP, FP))
    iou, one, size = tp / (area + fp), np.ones(len(rows)), bin_of(area, bins)

    def table(weight: Floats) -> Floats:
        flat: Floats = np.bincount(image * truth.shape[1] + label, weight, truth.size).astype(np.float64, copy=False)
        return flat.reshape(truth.shape)

    n, ia = table(one), table(iou)
    number = n.sum(axis=0)
    mean_area = table(area.astype(np.float64)).sum(axis=0) / np.maximum(number, 1)  # of all images: a constant
    columns.add("iTP", table(mean_area[label] * tp / area))
    columns.add("iUnion", n * mean_area + false)  # the weighted iTP + iFN of a class sum to its area
    n[:, 0], ia[:, 0] = truth[:, 0] > 0, background
    columns.add("instances", n)
    columns.add("IA", ia)
    found = (2 * tp >= area + fp).astype(np.float64)
    columns.add("found", table(found).sum(axis=1, keepdims=True))
    columns.add("all", table(one).sum(axis=1, keepdims=True))
    for k, name in enumerate(bin_names(bins)):
        inside = (size == k).astype(np.float64)
        columns.add(f"instances_{name}", table(inside))
        columns.add(f"IA_{name}", table(iou * inside))
        columns.add(f"found_{name}", table(found * inside).sum(axis=1, keepdims=True))
        columns.add(f"all_{name}", table(inside).sum(axis=1, keepdims=True))


def _families(at: dict[str, Ints], names: tuple[str, ...]) -> tuple[tuple[Ints, ...], dict[str, slice]]:
    """List all ratios: columns of numerator, denominator and need, and where each kind stands."""
    kinds = {
        "IoU": ("hit", "union", "truth"),
        "IoU_union": ("hit", "union", "union"),
        "IA-IoU": ("IA", "instances", "instances"),
        "iIoU": ("iTP", "iUnion", "instances"),
        "precision": ("hit", "prediction", "truth"),
        "recall": ("hit", "truth", "truth"),
        "image IoU": ("image IoU", "image", "image"),
        "found": ("found", "all", "all"),
    }
    for name in names:
        kinds[f"IA-IoU_{name}"] = (f"IA_{name}", f"instances_{name}", f"instances_{name}")
        kinds[f"found_{name}"] = (f"found_{name}", f"all_{name}", f"all_{name}")
    family, start = {}, 0
    for kind, (top, _, _) in kinds.items():
        family[kind] = slice(start, start + at[top].size)
        start += at[top].size
    return tuple(np.concatenate([at[part[i]] for part in kinds.values()]) for i in range(3)), family


def _headline_means(family: dict[str, slice], names: tuple[str, ...]) -> tuple[Mean, ...]:
    """Say of which ratios each headline score is the mean."""
    none = np.zeros(0, np.int64)

    def members(kind: str, skip: int = 0) -> Ints:
        return np.arange(family[kind].start + skip, family[kind].stop)

    def mean(name: str, kind: str, skip: int = 0) -> Mean:
        return Mean(name, members(kind, skip), none)

    small, large = (members(f"IA-IoU_{name}", 1) for name in (names[0], names[-1]))
    return (
        mean("mIoU", "IoU"),
        mean("IA-mIoU", "IA-IoU"),
        mean("IA-mIoU_fg", "IA-IoU", 1),
        *(mean(f"IA_{name}", f"IA-IoU_{name}", 1) for name in names),
        Mean("gap_SL", large, small),
        mean("mIoU_union", "IoU_union"),
        mean("mIoU_per_image", "image IoU"),
        mean("iIoU", "iIoU", 1),
        mean("precision", "precision"),
        mean("recall", "recall"),
        mean("found@50", "found"),
        *(mean(f"found@50_{name}", f"found_{name}") for name in names),
    )


def class_means(summary: Summary, kind: str) -> tuple[Mean, ...]:
    """Return the score of every class on its own, for ``kind`` "IoU" or "IA-IoU"; named by its label."""
    where, none = summary.family[kind], np.zeros(0, np.int64)
    return tuple(Mean(str(c), np.array([where.start + c]), none) for c in range(summary.num_classes))
