"""A slow, independent oracle of the metric, transcribed from its definition; it shares no line with iamiou.

Pixels are sets of ``(row, column)`` and every step of the definition is one expression on sets, so that
the reader can hold this file beside the definition and compare. It takes seconds a megapixel: maps in
tests stay small.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

Pixel = tuple[int, int]
Pixels = frozenset[Pixel]
LabelMap = NDArray[np.integer]

FOUR = ((-1, 0), (0, -1), (0, 1), (1, 0))
EIGHT = (*FOUR, (-1, -1), (-1, 1), (1, -1), (1, 1))
#: The words that the library uses for the ways to connect pixels.
CONNECTIVITIES = ("nested", "plain8", "plain4")


@dataclass(frozen=True)
class Expected:
    """What the definition gives for one image.

    ``instances`` holds ``(id, class, area, tp, fp share, components)`` by increasing id; ``phantoms`` holds
    ``(class, area)``, sorted; ``mixed`` the ids whose pixels belong to more than one class; ``classless`` the
    ids that lie on background alone and so are no instances.
    """

    confusion: tuple[tuple[int, ...], ...]
    instances: tuple[tuple[int, int, int, int, int, int], ...]
    phantoms: tuple[tuple[int, int], ...]
    mixed: tuple[int, ...]
    classless: tuple[int, ...]

    @property
    def truth(self) -> tuple[int, ...]:
        """Valid pixels of each class in the ground truth."""
        return tuple(sum(row) for row in self.confusion)

    @property
    def prediction(self) -> tuple[int, ...]:
        """Valid pixels of each class in the prediction."""
        return tuple(sum(column) for column in zip(*self.confusion, strict=True))

    @property
    def hit(self) -> tuple[int, ...]:
        """Valid pixels of each class in both."""
        return tuple(row[c] for c, row in enumerate(self.confusion))

    @property
    def background(self) -> Fraction | None:
        """IoU of the background, exact; None where the ground truth has no background."""
        if self.truth[0] == 0:
            return None
        return Fraction(self.hit[0], self.truth[0] + self.prediction[0] - self.hit[0])

    @property
    def ious(self) -> dict[int, Fraction]:
        """Instance id -> IA-IoU, exact."""
        return {k: Fraction(tp, area + fp) for k, _, area, tp, fp, _ in self.instances}


def pixels(mask: NDArray[np.bool_]) -> Pixels:
    """Return the places where a mask is true."""
    return frozenset(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def reach(start: Iterable[Pixel], inside: Collection[Pixel], steps: Sequence[Pixel]) -> Pixels:
    """Return all pixels of `inside` that walks from `start` can reach.

    >>> sorted(reach([(0, 0)], {(0, 0), (1, 1), (3, 3)}, EIGHT))
    [(0, 0), (1, 1)]
    """
    seen = set(start)
    front = list(seen)
    while front:
        row, column = front.pop()
        for down, right in steps:
            there = (row + down, column + right)
            if there in inside and there not in seen:
                seen.add(there)
                front.append(there)
    return frozenset(seen)


def plain_components(mask: Pixels, steps: Sequence[Pixel]) -> list[Pixels]:
    """Split a set of pixels into its connected components, in reading order of their first pixels."""
    found: list[Pixels] = []
    left = set(mask)
    for pixel in sorted(mask):
        if pixel in left:
            found.append(reach([pixel], left, steps))
            left -= found[-1]
    return found


def fill_holes(mask: Pixels, shape: tuple[int, int]) -> Pixels:
    """Add to a mask whatever of its complement cannot reach the border of the image in steps of four."""
    height, width = shape
    everything = frozenset((r, c) for r in range(height) for c in range(width))
    border = {(r, c) for r, c in everything if r in (0, height - 1) or c in (0, width - 1)}
    return everything - reach(border - mask, everything - mask, FOUR)


def components(mask: Pixels, shape: tuple[int, int], connectivity: str) -> list[Pixels]:
    """Split the pixels of one predicted class into components: the paper's nested rule, or plain ones."""
    if connectivity == "nested":
        return [part & mask for part in plain_components(fill_holes(mask, shape), EIGHT)]
    return plain_components(mask, {"plain8": EIGHT, "plain4": FOUR}[connectivity])


def share(t: int, o: int, f: int) -> int:
    """Return the part of a component's f false positives that an instance bears."""
    return f if o == 0 else math.floor(Fraction(f * t, t + o))


def one_image(
    pred: LabelMap,
    sem: LabelMap,
    inst: LabelMap,
    num_classes: int,
    *,
    connectivity: str = "nested",
    sem_void: int = 255,
    inst_void: int = 255,
) -> Expected:
    """Apply the definition to one image."""
    valid = pixels((sem != sem_void) & (inst != inst_void))
    predicted = [pixels(pred == c) for c in range(num_classes)]
    true = [pixels(sem == c) & valid for c in range(num_classes)]
    parts = [components(p, pred.shape, connectivity) if c else [] for c, p in enumerate(predicted)]
    ids = sorted({int(inst[p]) for p in valid} - {0})
    own = {k: pixels(inst == k) & valid for k in ids}
    classes = {k: sorted({int(sem[p]) for p in own[k]}) for k in ids}
    rows = []
    touched: set[Pixels] = set()
    for k in ids:
        c = classes[k][-1]
        if c == 0:
            continue
        others = true[c] - own[k]
        tp = fp = touching = 0
        for part in parts[c]:
            t, o = len(part & own[k]), len(part & others)
            if t:
                tp, fp, touching = tp + t, fp + share(t, o, len(part & valid) - t - o), touching + 1
                touched.add(part)
        rows.append((k, c, len(own[k]), tp, fp, touching))
    return Expected(
        confusion=tuple(tuple(len(t & p) for p in predicted) for t in true),
        instances=tuple(rows),
        phantoms=tuple(
            sorted(
                (c, len(p & valid)) for c in range(1, num_classes) for p in parts[c] if p & valid and p not in touched
            )
        ),
        mixed=tuple(k for k in ids if len(classes[k]) > 1),
        classless=tuple(k for k in ids if classes[k] == [0]),
    )


def mean(values: Iterable[float | Fraction]) -> float:
    """Return the mean, exactly rounded sum first; NaN of nothing."""
    collected = [float(v) for v in values]
    return math.fsum(collected) / len(collected) if collected else math.nan


def class_means(images: Sequence[Expected], low: int = 0, high: float = math.inf) -> dict[int, float]:
    """Class -> mean IA-IoU over its instances of ``low <= area < high``; background only without bounds."""
    by_class: dict[int, list[Fraction]] = {}
    for image in images:
        if (low, high) == (0, math.inf) and image.background is not None:
            by_class.setdefault(0, []).append(image.background)
        for k, c, area, *_ in image.instances:
            if low <= area < high:
                by_class.setdefault(c, []).append(image.ious[k])
    return {c: mean(by_class[c]) for c in sorted(by_class)}


def headline(images: Sequence[Expected], sides: Sequence[int] = (32, 96)) -> dict[str, float]:
    """Return the scores that the definition names, for a data set and three size bins.

    IA-IoU_c by class, their means with and without background, the means by size bin, the gap over the
    classes that have both small and large instances, and mIoU by both conventions.
    """
    small, large = sides[0] ** 2, sides[1] ** 2
    every = class_means(images)
    bins = [class_means(images, *edges) for edges in ((0, small), (small, large), (large, math.inf))]
    both = bins[0].keys() & bins[2].keys()
    confusion = np.sum([image.confusion for image in images], axis=0)
    hit, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    iou = {c: hit[c] / (true[c] + predicted[c] - hit[c]) for c in range(len(hit)) if true[c] + predicted[c]}
    return {
        "IA-mIoU": mean(every.values()),
        "IA-mIoU_fg": mean(v for c, v in every.items() if c),
        "IA_S": mean(bins[0].values()),
        "IA_M": mean(bins[1].values()),
        "IA_L": mean(bins[2].values()),
        "gap_SL": mean(bins[2][c] for c in both) - mean(bins[0][c] for c in both),
        "mIoU": mean(v for c, v in iou.items() if true[c]),
        "mIoU_union": mean(iou.values()),
    }


def found(images: Sequence[Expected], low: int = 0, high: float = math.inf) -> float:
    """Return the share of instances in a size range whose IA-IoU is at least one half; NaN of nothing."""
    hits = [image.ious[k] >= Fraction(1, 2) for image in images for k, _, a, *_ in image.instances if low <= a < high]
    return fmean(hits) if hits else math.nan
