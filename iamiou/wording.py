"""Plain sentences about the scores of a report, for readers who do not live in the numbers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from iamiou.counts import AREA, CLASS, IMAGE
from iamiou.resample import FEW_IMAGES
from iamiou.scores import bin_of

if TYPE_CHECKING:
    from iamiou.report import Report


def number(value: float | None, digits: int = 3) -> str:
    """Write a score, or a dash where it is undefined.

    >>> number(0.28714), number(float("nan")), number(None)
    ('0.287', '–', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "image"), plural(1449, "image"), plural(2, "class")
    ('1 image', '1,449 images', '2 classes')
    """
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def size_words(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return words for the size bins.

    >>> size_words(("S", "M", "L")), size_words(("1", "2", "3", "4"))
    (('small', 'medium', 'large'), ('size 1', 'size 2', 'size 3', 'size 4'))
    """
    words = {"S": "small", "M": "medium", "L": "large"}
    return tuple(words.get(n, f"size {n}") for n in names)


def size_ranges(bins: tuple[int, ...]) -> tuple[str, ...]:
    r"""Return the range of each size bin, in pixels and as squares.

    >>> size_ranges((32, 96))
    ('under 32²\xa0px', '32² to 96²\xa0px', 'from 96²\xa0px')
    """
    middle = tuple(f"{a}² to {b}²\u00a0px" for a, b in pairwise(bins))
    return (f"under {bins[0]}²\u00a0px", *middle, f"from {bins[-1]}²\u00a0px")


def thin_classes(report: Report, size_bin: int | None = None) -> tuple[int, int]:
    """Count the classes with instances in fewer than `FEW_IMAGES` images, and all classes with instances.

    Parameters
    ----------
    report : Report
    size_bin : int or None
        Index of the size bin; None for all instances.
    """
    rows = report.counts.instances
    if size_bin is not None:
        rows = rows[bin_of(rows[:, AREA], report.bins) == size_bin]
    pairs = np.unique(rows[:, [CLASS, IMAGE]], axis=0)
    _, images = np.unique(pairs[:, 0], return_counts=True)
    return int((images < FEW_IMAGES).sum()), len(images)


def thin_note(report: Report, size_bin: int | None = None) -> str:
    """Say that a score rests on classes with few images; empty when it does not."""
    thin, classes = thin_classes(report, size_bin)
    return f"{thin} of {plural(classes, 'class')} in fewer than {FEW_IMAGES} images" if thin else ""


def gap(report: Report) -> tuple[str, str]:
    """Say in one line, and then in a few sentences, what lies between small and large instances."""
    by_bin = report.class_scores.ia_iou_by_bin[:, [0, -1]]
    shared = by_bin[~np.isnan(by_bin).any(1)]
    if len(shared) == 0:
        return (
            "Sizes cannot be compared here.",
            "No class has both small and large instances in this data set, so the gap between them is not defined.",
        )
    small, large = shared.mean(0).tolist()
    difference = report.scores["gap_SL"]
    low, high = report.intervals.get("gap_SL", (float("nan"), float("nan")))
    span = f" (95 % interval {_signed(low)} to {_signed(high)})" if not math.isnan(low) else ""
    sides = (
        f"Over the {plural(len(shared), 'class')} with both, IA-IoU is {number(small)} on small instances and "
        f"{number(large)} on large ones: a gap of {_signed(difference)}{span}. "
    )
    return _verdict(difference, low, high), (sides + _beside_miou(report, difference) + _caution(report)).strip()


def _verdict(difference: float, low: float, high: float) -> str:
    """Judge by the interval; without one, a gap below 0.02 is none."""
    if math.isnan(low):
        low, high = (difference, difference) if abs(difference) >= 0.02 else (-1.0, 1.0)
    if low > 0:
        return "Small objects are segmented less well than large ones."
    if high < 0:
        return "Small objects are segmented better than large ones here."
    return "These images do not settle whether small objects fare worse."


def _beside_miou(report: Report, difference: float) -> str:
    """Recall that mIoU does not show a gap, where there is one."""
    miou = report.scores["mIoU"]
    if math.isnan(miou) or difference < 0.1:
        return ""
    return f"mIoU alone, at {number(miou)}, does not tell: large instances hold most of the pixels. "


def _caution(report: Report) -> str:
    """Say how little the small side rests on, where it is little."""
    rows = report.counts.instances
    small = rows[bin_of(rows[:, AREA], report.bins) == 0]
    thin, classes = thin_classes(report, 0)
    if not thin:
        return ""
    images = len(np.unique(small[:, IMAGE]))
    return (
        f"The small side rests on {plural(len(small), 'instance')} in {plural(images, 'image')}, and {thin} of "
        f"{plural(classes, 'class')} {'has' if thin == 1 else 'have'} them in fewer than {FEW_IMAGES} images: "
        "take the size of the gap with care."
    )


def _signed(value: float) -> str:
    """Write a difference with a true minus sign.

    >>> _signed(-0.25)
    '−0.250'
    """
    return number(value).replace("-", "−")
