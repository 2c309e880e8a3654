"""What every image adds to the scores, without the rows of its instances: some hundred bytes an image.

Intervals resample images, so that they need each image's part in every score. `Entries` keeps it as one sparse matrix
of sums over the image; `iamiou.sums` makes of it, block by block, all columns that resampling needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.bins import bin_of
from iamiou.counts import AREA, CLASS, FP, IMAGE, TP, Counts, check_disjoint

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Numbers of the dense table of a block of images.
_BLOCK = 1 << 21


@dataclass(frozen=True, eq=False)
class Entries:
    """Sums over each of N images with C classes and B size bins; only those that are not 0.

    Parameters
    ----------
    num_classes, num_bins : int
        C and B.
    images : tuple of str
        The ids, sorted.
    starts : int64 array, (N + 1,)
        Image ``i`` has the entries from ``starts[i]`` up to ``starts[i + 1]``.
    column : int32 array, (entries,)
        Where an entry stands, see `columns`; increasing within an image.
    value : float64 array, (entries,)
        What it holds; pixels and numbers are exact up to 2**53.
    """

    num_classes: int
    num_bins: int
    images: tuple[str, ...]
    starts: Ints
    column: NDArray[np.int32]
    value: Floats

    def dense(self, first: int, last: int) -> dict[str, Floats]:
        """Return the sums of the images ``first`` to ``last`` by name, each (last - first, as many as it has)."""
        places = columns(self.num_classes, self.num_bins)
        begin, end = int(self.starts[first]), int(self.starts[last])
        table: Floats = np.zeros((last - first, max(place.stop for place in places.values())))
        row = np.repeat(np.arange(last - first), np.diff(self.starts[first : last + 1]))
        table[row, self.column[begin:end]] = self.value[begin:end]
        return {name: table[:, place] for name, place in places.items()}

    def images_with(self, classes: Ints) -> int:
        """Count the images with an instance of one of some classes in the smallest or the largest size bin."""
        places = columns(self.num_classes, self.num_bins)
        wanted = np.zeros(max(place.stop for place in places.values()), np.bool_)
        for k in (0, self.num_bins - 1):
            wanted[places[f"instances {k}"].start + classes] = True
        at = np.flatnonzero(wanted[self.column])
        return len(np.unique(np.searchsorted(self.starts, at, side="right")))


def columns(num_classes: int, num_bins: int) -> dict[str, slice]:
    """Say which columns hold what.

    ``truth``, ``prediction``, ``hit``: pixels by class; ``share``: TP / area of the instances, by class; and, for every
    bin ``k``, ``instances k`` and ``IA k``: number and IA-IoU by class, and ``found k``: how many have 0.5.

    >>> columns(21, 3)["share"], columns(21, 3)["found 2"]
    (slice(63, 84, None), slice(212, 213, None))
    """
    widths = dict.fromkeys(("truth", "prediction", "hit", "share"), num_classes)
    for k in range(num_bins):
        widths |= {f"instances {k}": num_classes, f"IA {k}": num_classes, f"found {k}": 1}
    ends = np.cumsum([*widths.values()]).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


def entries_of(counts: Counts, bins: tuple[int, ...]) -> Entries:
    """Sum up every image of some counts.

    Parameters
    ----------
    counts : Counts
        Of N images, which are taken in blocks: dense tables of all of them would fill the memory.
    bins : tuple of int
        Sides in pixels that part the size bins.
    """
    order = sorted(range(len(counts.images)), key=counts.images.__getitem__)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    image = place[counts.instances[:, IMAGE]]
    by_image = np.argsort(image, kind="stable")  # the instances of an image stay in the order of their ids
    image = image[by_image]
    step = max(1, _BLOCK // max(place.stop for place in columns(counts.num_classes, len(bins) + 1).values()))
    blocks = []
    for first in range(0, max(1, len(order)), step):
        rows = order[first : first + step]
        begin, end = np.searchsorted(image, [first, first + len(rows)])
        chosen = counts.instances[by_image[begin:end]]
        blocks.append(_block(counts, rows, chosen, image[begin:end] - first, bins))
    return merge_entries(blocks)


def _block(counts: Counts, rows: list[int], instances: Ints, image: Ints, bins: tuple[int, ...]) -> Entries:
    """Sum up some images, whose ids are increasing; ``image`` says which of them an instance is in."""
    n, c = len(rows), counts.num_classes
    label, area, tp, fp = (instances[:, k] for k in (CLASS, AREA, TP, FP))
    iou, size = tp / (area + fp), bin_of(area, bins)

    def table(weight: NDArray[np.float64 | np.bool_]) -> Floats:
        """Add up by image and class, the instances of an image in the order of their ids."""
        return np.bincount(image * c + label, weight, n * c).astype(np.float64, copy=False).reshape(n, c)

    parts = [counts.truth[rows], counts.prediction[rows], counts.hit[rows], table(tp / area)]
    for k in range(len(bins) + 1):
        inside = size == k
        found = np.bincount(image[inside & (2 * tp >= area + fp)], minlength=n)
        parts += [table(inside), table(iou * inside), found[:, None]]
    return _packed(c, len(bins) + 1, tuple(counts.images[k] for k in rows), parts)


def _packed(num_classes: int, num_bins: int, images: tuple[str, ...], parts: Sequence[NDArray[Any]]) -> Entries:
    rows, places, values, start = [], [], [], 0
    for part in parts:
        row, column = np.nonzero(part)
        rows.append(row)
        places.append((column + start).astype(np.int32))
        values.append(part[row, column].astype(np.float64))
        start += part.shape[1]
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(images)))]).astype(np.int64)
    return Entries(num_classes, num_bins, images, starts, np.concatenate(places)[order], np.concatenate(values)[order])


def merge_entries(parts: Sequence[Entries]) -> Entries:
    """Put the entries of disjoint sets of images together, sorted by image id.

    Raises
    ------
    InputError
        If an image occurs more than once.
    """
    parts = sorted(parts, key=lambda part: part.images[:1])
    names = [name for part in parts for name in part.images]
    check_disjoint(names)
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    column = np.concatenate([part.column for part in parts])
    value = np.concatenate([part.value for part in parts])
    if any(a > b for a, b in pairwise(names)):
        order = sorted(range(len(names)), key=names.__getitem__)
        begins = (np.cumsum(sizes) - sizes)[order]
        names, sizes = [names[k] for k in order], sizes[order]
        gather = np.arange(len(column)) + np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
        column, value = column[gather], value[gather]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    first = parts[0]
    return Entries(first.num_classes, first.num_bins, tuple(names), starts, column, value)
