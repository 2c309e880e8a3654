"""Scores: pure functions of `Totals`, and so of `Counts`. A score that nothing defines is NaN.

IA-mIoU and its size bins: Mun et al., Small Objects Matters in Weakly-supervised Semantic Segmentation,
WACV 2024, arXiv 2309.14117, as docs/protocol.md states it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from iamiou.bins import DEFAULT_BINS, bin_names, bin_of, parse_bins, size_edges
from iamiou.counts import AREA, CLASS, IMAGE, Counts
from iamiou.exact import rounded
from iamiou.totals import Totals, totals_of

__all__ = [
    "DEFAULT_BINS",
    "PIXEL_SCORES",
    "ClassScores",
    "bin_names",
    "bin_of",
    "class_scores",
    "classes_with_gap",
    "headline",
    "headline_of",
    "mean",
    "of_pixels",
    "parse_bins",
    "ratio",
    "scores_of_classes",
    "size_edges",
    "support",
    "support_of",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
T = TypeVar("T")

#: Headline scores that need no instances, all that is left with ``metrics="miou"``.
PIXEL_SCORES = ("mIoU", "mIoU_union", "mIoU_per_image", "precision", "recall")


def mean(values: Iterable[float]) -> float:
    """Return the mean of the defined values, exactly rounded whatever their order; NaN of none."""
    defined = [v for v in values if not math.isnan(v)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def ratio(part: NDArray[np.integer] | Floats, whole: NDArray[np.integer] | Floats) -> Floats:
    """Divide, NaN where the whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    out: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return out


@dataclass(frozen=True)
class ClassScores:
    """Scores of every class; arrays of float64 (C,) or (C, bins), NaN where undefined."""

    iou: Floats
    precision: Floats
    recall: Floats
    iiou: Floats
    ia_iou: Floats
    instances: Ints
    ia_iou_by_bin: Floats
    instances_by_bin: Ints
    found_by_bin: Ints


def class_scores(counts: Counts, bins: tuple[int, ...] = DEFAULT_BINS) -> ClassScores:
    """Compute the scores of every class.

    Parameters
    ----------
    counts : Counts
        C classes.
    bins : tuple of int
        Sides in pixels.

    Returns
    -------
    ClassScores
        A class without ground truth is NaN throughout; background has no size bin, and its IA-IoU is the mean of
        its plain IoU over the images that show it.

    Examples
    --------
    >>> class_scores(Counts.zero(3)).iou
    array([nan, nan, nan])
    """
    return scores_of_classes(totals_of(counts, bins))


def scores_of_classes(totals: Totals) -> ClassScores:
    """Compute `class_scores` from totals that are at hand."""
    truth, prediction, hit = totals.truth, totals.prediction, totals.hit
    shown, shape = truth > 0, totals.instances.shape
    n = totals.instances.sum(1)
    ia_bin = np.reshape(
        [_mean(*pair) for pair in zip(totals.iou, totals.instances.ravel().tolist(), strict=True)], shape
    )
    sums = [sum(totals.iou[k : k + shape[1]]) for k in range(0, len(totals.iou), shape[1])]
    ia = np.array([_mean(*pair) for pair in zip(sums, n.tolist(), strict=True)])
    n[0], ia[0] = totals.background[1], _mean(*totals.background)
    return ClassScores(
        np.where(shown, ratio(hit, truth + prediction - hit), np.nan),
        np.where(shown, ratio(hit, prediction), np.nan),
        ratio(hit, truth),
        _iiou(totals),
        ia,
        n,
        ia_bin,
        totals.instances,
        totals.found,
    )


def _mean(total: int, number: int) -> float:
    """Divide an exact sum; NaN of none."""
    return rounded(total) / number if number else math.nan


def _iiou(totals: Totals) -> Floats:
    """Return Cityscapes' iIoU of every class, (C,): pixels of an instance weigh mean area / its area.

    Cordts et al., The Cityscapes Dataset, CVPR 2016, arXiv 1604.01685. The mean area of a class is that of the
    instances at hand, where the benchmark uses constants of its training set.
    """
    n = totals.instances.sum(1)
    itp = ratio(totals.area, n) * [rounded(share) for share in totals.share]
    # The weighted pixels of a class sum to its area again, so that iTP + iFN is the area.
    return np.where(n > 0, ratio(itp, totals.area + totals.prediction - totals.hit), np.nan)


def headline(counts: Counts, bins: tuple[int, ...] = DEFAULT_BINS) -> dict[str, float]:
    """Compute every score of a data set.

    Returns
    -------
    dict
        ``mIoU`` (classes with ground truth), ``IA-mIoU`` (with background), ``IA-mIoU_fg``, ``IA_S`` ... (classes
        with an instance of that size), ``gap_SL`` (largest minus smallest bin over the classes that have both),
        ``mIoU_union`` (classes in truth or prediction), ``mIoU_per_image`` (mean over images of the mean over the
        classes shown: Wang et al., Revisiting Evaluation Metrics for Semantic Segmentation, NeurIPS 2023,
        arXiv 2310.19252), ``iIoU``, ``precision``, ``recall`` (means over classes) and ``found@50`` (share of the
        instances with IA-IoU >= 0.5), also by bin. All from 0 to 1 (``gap_SL`` from -1), NaN where undefined.

    Examples
    --------
    >>> headline(Counts.zero(3))["mIoU"]
    nan
    """
    return headline_of(totals_of(counts, bins), bins)


def headline_of(totals: Totals, bins: tuple[int, ...] = DEFAULT_BINS) -> dict[str, float]:
    """Compute `headline` from totals that are at hand."""
    per = scores_of_classes(totals)
    names = bin_names(bins)
    n, found = per.instances_by_bin.sum(0), per.found_by_bin.sum(0)
    scores = {"mIoU": mean(per.iou), "IA-mIoU": mean(per.ia_iou), "IA-mIoU_fg": mean(per.ia_iou[1:])}
    scores |= {f"IA_{name}": mean(per.ia_iou_by_bin[:, k]) for k, name in enumerate(names)}
    scores["gap_SL"] = mean(per.ia_iou_by_bin[:, -1] - per.ia_iou_by_bin[:, 0])
    scores["mIoU_union"] = mean(ratio(totals.hit, totals.truth + totals.prediction - totals.hit))
    scores["mIoU_per_image"] = _mean(*totals.per_image)
    scores |= {"iIoU": mean(per.iiou), "precision": mean(per.precision), "recall": mean(per.recall)}
    scores["found@50"] = float(ratio(found.sum(keepdims=True), n.sum(keepdims=True))[0])
    scores |= {f"found@50_{name}": float(v) for name, v in zip(names, ratio(found, n), strict=True)}
    return scores


def of_pixels(values: Mapping[str, T]) -> dict[str, T]:
    """Keep what needs no instances, for evaluations that counted none.

    >>> of_pixels({"mIoU": 0.8, "IA_S": 0.3})
    {'mIoU': 0.8}
    """
    return {name: value for name, value in values.items() if name in PIXEL_SCORES}


def support(counts: Counts, bins: tuple[int, ...] = DEFAULT_BINS) -> dict[str, dict[str, int]]:
    """Count the images, instances and classes that every headline score rests on."""
    totals, rows = totals_of(counts, bins), counts.instances
    where = bin_of(rows[:, AREA], bins)
    gap = np.isin(rows[:, CLASS], classes_with_gap(totals)) & ((where == 0) | (where == len(bins)))
    return support_of(totals, len(np.unique(rows[gap, IMAGE])), bins)


def classes_with_gap(totals: Totals) -> Ints:
    """Return the classes with instances both of the smallest and of the largest size."""
    return np.flatnonzero((totals.instances[:, 0] > 0) & (totals.instances[:, -1] > 0))


def support_of(totals: Totals, gap_images: int, bins: tuple[int, ...] = DEFAULT_BINS) -> dict[str, dict[str, int]]:
    """Compute `support` from totals that are at hand, and from the number of images that ``gap_SL`` rests on."""

    def tally(images: int, number: Ints) -> dict[str, int]:
        return {"images": int(images), "instances": int(number.sum()), "classes": int(number.astype(bool).sum())}

    objects = tally(totals.images_with[0], totals.instances.sum(1))
    background, both = totals.background[1], classes_with_gap(totals)
    n, classes = objects["instances"], objects["classes"]
    pixels = {"images": totals.images, "instances": n, "classes": int((totals.truth > 0).sum())}
    out = dict.fromkeys(PIXEL_SCORES, pixels)
    out["IA-mIoU"] = {
        "images": totals.images,
        "instances": n + background,
        "classes": classes + int(background > 0),
    }
    out |= dict.fromkeys(("IA-mIoU_fg", "iIoU", "found@50"), objects)
    out["gap_SL"] = tally(gap_images, totals.instances[both][:, [0, -1]].sum(1))
    for k, name in enumerate(bin_names(bins)):
        out[f"IA_{name}"] = out[f"found@50_{name}"] = tally(totals.images_with[1 + k], totals.instances[:, k])
    return out
