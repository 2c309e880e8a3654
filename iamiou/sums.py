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

from iamiou.entries import Entries, entries_of
from iamiou.scores import bin_names
from iamiou.totals import Totals, totals_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    column, value : ndarray of int32 and float64, shape (entries,)
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
    column: NDArray[np.int32]
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


def summarise(counts: Counts, bins: tuple[int, ...]) -> Summary:
    """Turn counts into the per-image sums behind every headline score, for sizes parted by ``bins``."""
    return summary_of(entries_of(counts, bins), totals_of(counts, bins), bins)


def summary_of(entries: Entries, totals: Totals, bins: tuple[int, ...]) -> Summary:
    """Turn what is kept of every image, and of all together, into the sums behind every headline score."""
    mean_area = totals.area / np.maximum(totals.instances.sum(axis=1), 1)  # of all images: a constant
    names = {name: part.shape[1] for name, part in _columns(entries.dense(0, 0), mean_area, bins).items()}
    step = max(1, BLOCK // sum(names.values()))
    ranges = [(k, min(k + step, len(entries.images))) for k in range(0, max(len(entries.images), 1), step)]
    sizes, column, value = _all_packed(_columns(entries.dense(*block), mean_area, bins) for block in ranges)
    # Columns that hold nothing anywhere are left out; one more column, which is always zero, stands for all of them.
    used = np.flatnonzero(np.bincount(column, minlength=sum(names.values())))
    where = np.full(sum(names.values()), used.size)
    where[used] = np.arange(used.size)
    ends = np.cumsum([*names.values()]).tolist()
    at = {name: where[end - width : end] for (name, width), end in zip(names.items(), ends, strict=True)}
    (top, bottom, need), family = _families(at, bin_names(bins))
    return Summary(
        images=entries.images,
        num_classes=entries.num_classes,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        column=where.astype(np.int32)[column],
        value=value,
        width=used.size,
        top=top,
        bottom=bottom,
        need=need,
        family=family,
        scores=_headline_means(family, bin_names(bins)),
    )


def _columns(part: Mapping[str, Floats], mean_area: Floats, bins: tuple[int, ...]) -> dict[str, Floats]:
    """Make all columns of some images, (images, as many as there are of a kind) each.

    Background is class 0 of the instances over all sizes: one an image that shows it, with its plain IoU.
    """
    truth, prediction, hit = part["truth"], part["prediction"], part["hit"]
    per_image = np.where(truth > 0, hit / np.maximum(truth + prediction - hit, 1), 0.0)
    classes = (truth > 0).sum(axis=1, keepdims=True)
    out = {"truth": truth, "prediction": prediction, "hit": hit, "union": truth + prediction - hit}
    out |= {"image": np.minimum(classes, 1), "image IoU": per_image.sum(axis=1, keepdims=True) / np.maximum(classes, 1)}
    names = bin_names(bins)
    n = np.sum([part[f"instances {k}"] for k in range(len(names))], axis=0)
    ia = np.sum([part[f"IA {k}"] for k in range(len(names))], axis=0)
    out["iTP"] = mean_area * part["share"]
    out["iUnion"] = n * mean_area + prediction - hit  # the weighted iTP + iFN of a class sum to its area
    found = np.sum([part[f"found {k}"] for k in range(len(names))], axis=0)
    out |= {"found": found, "all": n.sum(axis=1, keepdims=True)}
    n[:, 0], ia[:, 0] = truth[:, 0] > 0, per_image[:, 0]
    out |= {"instances": n, "IA": ia}
    for k, name in enumerate(names):
        inside = part[f"instances {k}"]
        out |= {f"instances_{name}": inside, f"IA_{name}": part[f"IA {k}"], f"found_{name}": part[f"found {k}"]}
        out[f"all_{name}"] = inside.sum(axis=1, keepdims=True)
    return out


def _all_packed(blocks: Iterable[Mapping[str, Floats]]) -> tuple[Ints, NDArray[np.int32], Floats]:
    sizes: list[Ints] = []
    columns: list[NDArray[np.int32]] = []
    values: list[Floats] = []
    for block in blocks:
        for kept, part in zip((sizes, columns, values), _packed(block), strict=True):
            kept.append(part)  # type: ignore[attr-defined]  # three lists of three types
    column = np.concatenate(columns)
    columns.clear()  # millions of images must not lie here twice for longer than needed
    return np.concatenate(sizes), column, np.concatenate(values)


def _packed(columns: Mapping[str, Floats]) -> tuple[Ints, NDArray[np.int32], Floats]:
    """Return how many entries every image has, and their columns and values."""
    table = np.concatenate([*columns.values()], axis=1)
    row, column = np.nonzero(table)
    return np.bincount(row, minlength=len(table)), column.astype(np.int32), table[row, column]


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
