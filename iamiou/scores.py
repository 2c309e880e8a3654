"""Scores: pure functions of `Counts`. A score that nothing defines is NaN.

IA-mIoU and its size bins: Mun et al., Small Objects Matters in Weakly-supervised Semantic Segmentation,
WACV 2024, arXiv 2309.14117, as docs/protocol.md states it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from iamiou.counts import AREA, CLASS, IMAGE, TP, Counts
from iamiou.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
T = TypeVar("T")

#: Sides of the squares that part small from medium and medium from large, in pixels (COCO's 32 and 96).
DEFAULT_BINS = (32, 96)

#: Headline scores that need no instances, all that is left with ``metrics="miou"``.
PIXEL_SCORES = ("mIoU", "mIoU_union", "mIoU_per_image", "precision", "recall")


def size_edges(bins: tuple[int, ...]) -> Ints:
    """Return the areas at which a new size bin begins.

    >>> size_edges((32, 96)).tolist()
    [1024, 9216]
    """
    return np.array([side * side for side in bins], np.int64)


def bin_names(bins: tuple[int, ...]) -> tuple[str, ...]:
    """Return short names of the size bins, smallest first.

    >>> bin_names((32, 96)), bin_names((64,)), bin_names((16, 32, 64))
    (('S', 'M', 'L'), ('S', 'L'), ('1', '2', '3', '4'))
    """
    if len(bins) == 2:
        return ("S", "M", "L")
    return ("S", "L") if len(bins) == 1 else tuple(str(k + 1) for k in range(len(bins) + 1))


def parse_bins(text: str) -> tuple[int, ...]:
    """Read ``"32,96"``: sides of squares in pixels, increasing.

    Raises
    ------
    InputError
        If they are not increasing positive integers.
    """
    try:
        bins = tuple(int(side) for side in text.split(","))
    except ValueError:
        bins = ()
    if not bins or bins[0] < 1 or bins[-1] > 2**31 or any(a >= b for a, b in pairwise(bins)):
        raise InputError(f"'{text}' is no list of sizes; give increasing sides in pixels, like 32,96.")
    return bins


def bin_of(area: Ints, bins: tuple[int, ...]) -> Ints:
    """Return the size bin of every area: an instance of exactly ``side * side`` pixels is in the larger bin.

    >>> bin_of(np.array([1023, 1024, 9215, 9216]), (32, 96)).tolist()
    [0, 1, 1, 2]
    """
    return np.searchsorted(size_edges(bins), area, side="right").astype(np.int64)


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
    truth, prediction, hit = counts.truth.sum(0), counts.prediction.sum(0), counts.hit.sum(0)
    shown = truth > 0
    iou = np.where(shown, ratio(hit, truth + prediction - hit), np.nan)
    rows, ious = counts.instances, counts.iou()
    where = bin_of(rows[:, AREA], bins)
    size = (counts.num_classes, len(bins) + 1)
    n_bin, found = np.zeros(size, np.int64), np.zeros(size, np.int64)
    np.add.at(n_bin, (rows[:, CLASS], where), 1)
    np.add.at(found, (rows[:, CLASS], where), ious >= 0.5)
    ia, ia_bin = np.full(counts.num_classes, np.nan), np.full(size, np.nan)
    n = n_bin.sum(1)
    order = np.lexsort((where, rows[:, CLASS]))
    groups = np.split(ious[order], np.cumsum(n_bin.ravel())[:-1])
    for c in range(1, counts.num_classes):
        mine = groups[c * size[1] : (c + 1) * size[1]]
        ia_bin[c] = [mean(group.tolist()) for group in mine]
        ia[c] = mean(np.concatenate(mine).tolist())
    background = image_background_iou(counts)
    ia[0], n[0] = mean(background.tolist()), np.count_nonzero(~np.isnan(background))
    return ClassScores(
        iou,
        np.where(shown, ratio(hit, prediction), np.nan),
        ratio(hit, truth),
        _iiou(counts),
        ia,
        n,
        ia_bin,
        n_bin,
        found,
    )


def image_background_iou(counts: Counts) -> Floats:
    """Return the plain IoU of the background of every image, (N,); NaN where the truth has none."""
    union = counts.truth[:, 0] + counts.prediction[:, 0] - counts.hit[:, 0]
    return np.where(counts.truth[:, 0] > 0, ratio(counts.hit[:, 0], union), np.nan)


def _iiou(counts: Counts) -> Floats:
    """Return Cityscapes' iIoU of every class, (C,): pixels of an instance weigh mean area / its area.

    Cordts et al., The Cityscapes Dataset, CVPR 2016, arXiv 1604.01685. The mean area of a class is that of the
    instances at hand, where the benchmark uses constants of its training set.
    """
    rows = counts.instances
    n = np.bincount(rows[:, CLASS], minlength=counts.num_classes)
    area = np.bincount(rows[:, CLASS], rows[:, AREA], counts.num_classes)
    weight = ratio(area, n)[rows[:, CLASS]] / rows[:, AREA]
    itp = np.array([math.fsum((weight * rows[:, TP])[rows[:, CLASS] == c]) for c in range(counts.num_classes)])
    false = (counts.prediction - counts.hit).sum(0)
    # The weighted pixels of a class sum to its area again, so that iTP + iFN is the area.
    return np.where(n > 0, ratio(itp, area + false), np.nan)


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
    per = class_scores(counts, bins)
    names = bin_names(bins)
    seen = counts.truth.sum(0) + counts.prediction.sum(0)
    union = seen - counts.hit.sum(0)
    per_image = np.where(counts.truth > 0, ratio(counts.hit, counts.truth + counts.prediction - counts.hit), np.nan)
    n, found = per.instances_by_bin.sum(0), per.found_by_bin.sum(0)
    scores = {"mIoU": mean(per.iou), "IA-mIoU": mean(per.ia_iou), "IA-mIoU_fg": mean(per.ia_iou[1:])}
    scores |= {f"IA_{name}": mean(per.ia_iou_by_bin[:, k]) for k, name in enumerate(names)}
    scores["gap_SL"] = mean(per.ia_iou_by_bin[:, -1] - per.ia_iou_by_bin[:, 0])
    scores["mIoU_union"] = mean(ratio(counts.hit.sum(0), union))
    scores["mIoU_per_image"] = mean(mean(row) for row in per_image.tolist())
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
    rows = counts.instances
    where = bin_of(rows[:, AREA], bins)

    def tally(use: NDArray[np.bool_]) -> dict[str, int]:
        return {
            "images": len(np.unique(rows[use, IMAGE])),
            "instances": int(use.sum()),
            "classes": len(np.unique(rows[use, CLASS])),
        }

    everything = np.ones(len(rows), np.bool_)
    objects = tally(everything)
    pixels = {"images": len(counts.images), "instances": len(rows), "classes": int((counts.truth.sum(0) > 0).sum())}
    both = set(rows[where == 0, CLASS].tolist()) & set(rows[where == len(bins), CLASS].tolist())
    gap = np.isin(rows[:, CLASS], sorted(both)) & ((where == 0) | (where == len(bins)))
    out = dict.fromkeys(PIXEL_SCORES, pixels)
    background = int((counts.truth[:, 0] > 0).any())
    out["IA-mIoU"] = {
        "images": len(counts.images),
        "instances": len(rows) + int((counts.truth[:, 0] > 0).sum()),
        "classes": objects["classes"] + background,
    }
    out |= dict.fromkeys(("IA-mIoU_fg", "iIoU", "found@50"), objects) | {"gap_SL": tally(gap)}
    for k, name in enumerate(bin_names(bins)):
        out[f"IA_{name}"] = out[f"found@50_{name}"] = tally(where == k)
    return out
