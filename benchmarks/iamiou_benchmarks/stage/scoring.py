"""Scores of label maps, and the sweep over thresholds that only an oracle may do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import ImageError
from iamiou.evaluation import evaluate_opened
from iamiou.predictions import open_predictions
from iamiou.scores import mean, ratio
from iamiou.settings import Settings
from iamiou_benchmarks.datasets.data import DataSet

#: Thresholds of the sweep: 0.00 to 0.95.
THRESHOLDS = np.arange(96) / 100


def score_maps(data: DataSet, split: str, maps: Path, keep: Path | None = None) -> dict[str, float | None]:
    """Score label maps in a folder; void (255) in them counts as background.

    Parameters
    ----------
    keep : path, optional
        Where to keep the counts, from which intervals and comparisons can be made later.

    Returns
    -------
    dict
        As in the score json, None where undefined.
    """
    truth = data.truth_of(split)
    settings = Settings(bins=data.bins, pred_void="background", bootstrap=0)
    report = evaluate_opened(open_predictions(maps, truth), truth, settings, threads=1)
    if keep:
        report.save(keep)
    return {name: None if math.isnan(value) else round(value, 6) for name, value in report.scores.items()}


def best_threshold(
    data: DataSet, split: str, load: Callable[[str], tuple[NDArray[np.int64], NDArray[np.float32]]]
) -> tuple[float, dict[str, float]]:
    """Find the background threshold with the highest mIoU on the truth of a split: an oracle.

    Parameters
    ----------
    load : callable
        ``load(image_id)`` gives for every pixel the best class, int64 (H, W), and its score, float32 (H, W); a
        pixel is background at a threshold that its score does not exceed.

    Returns
    -------
    threshold : float
    curve : dict of str to float
        mIoU by threshold.
    """
    size = len(data.classes)
    # hits[g, c, k]: pixels of truth g and best class c that are c at the first k thresholds and background after.
    hits = np.zeros((size, size, len(THRESHOLDS) + 1), np.int64)
    truth = data.truth_of(split)
    for image_id in truth.ids:
        semantic = truth.load(image_id)[0].astype(np.int64)
        label, score = load(image_id)
        if label.shape != semantic.shape:
            raise ImageError("size-differs", "maps differ in size from the ground truth", image_id)
        valid = semantic < size
        where = np.searchsorted(THRESHOLDS.astype(np.float32), score[valid], side="left")
        flat = (semantic[valid] * size + label[valid]) * hits.shape[2] + where
        hits += np.bincount(flat, minlength=hits.size).reshape(hits.shape)
    miou = [_miou(hits, k) for k in range(len(THRESHOLDS))]
    best = int(np.nanargmax(miou))
    curve = {f"{t:.2f}": round(v, 6) for t, v in zip(THRESHOLDS.tolist(), miou, strict=True)}
    return float(THRESHOLDS[best]), curve


def _miou(hits: NDArray[np.int64], k: int) -> float:
    """Return the mIoU at threshold number k: scores above it keep their class."""
    matrix = hits[:, :, k + 1 :].sum(2)
    matrix[:, 0] += hits[:, :, : k + 1].sum((1, 2))
    hit, truth = np.diag(matrix), matrix.sum(1)
    iou = np.where(truth > 0, ratio(hit, truth + matrix.sum(0) - hit), np.nan)
    return mean(iou.tolist())


def mean_average_precision(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Return the mean over classes of the average precision of image-level scores, (N, C - 1) both.

    >>> mean_average_precision(np.array([[0.9], [0.2], [0.6]]), np.array([[1.0], [1.0], [0.0]])) # (1/1 + 2/3) / 2
    0.833333...
    """
    found = []
    for score, label in zip(scores.T, labels.T, strict=True):
        if label.any():
            hit = label[np.argsort(-score, kind="stable")]
            precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
            found.append(float((precision * hit).sum() / hit.sum()))
    return mean(found)


def label_map(fg_ids: NDArray[np.int64], maps: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Decide class maps (K, H, W) against a constant background; ``fg_ids`` count from 0.

    >>> label_map(np.array([4]), np.array([[[0.2, 0.3]]], np.float32), 0.25).tolist()
    [[0, 5]]
    """
    if not len(fg_ids):
        return np.zeros(maps.shape[1:], np.uint8)
    best = maps.argmax(0)
    label = np.where(np.take_along_axis(maps, best[None], 0)[0] > threshold, fg_ids[best] + 1, 0)
    out: NDArray[np.uint8] = label.astype(np.uint8)
    return out


def ids_of(splits: Iterable[str], data: DataSet) -> list[str]:
    """Return the image ids of several splits, each once, sorted."""
    return sorted({i for split in splits for i in data.splits[split]})
