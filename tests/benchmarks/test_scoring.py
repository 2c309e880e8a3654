"""Scores of label maps against a confusion matrix counted pixel by pixel, and what follows from their definitions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.ground_truth import open_ground_truth
from iamiou.masks import write_label_map
from iamiou.report import load
from iamiou.scores import class_scores
from iamiou_benchmarks.datasets.data import DataSet
from iamiou_benchmarks.stage.scoring import score_maps

CLASSES, ABSENT, UNSEEN, VOID = 21, 20, 19, 255


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Score four images of VOC's classes; return the confusion matrix [truth, prediction], the scores and the counts.

    No map has class 20; class 19 is predicted and never true. Void lies in truth and predictions.
    """
    root, rng = tmp_path_factory.mktemp("scoring"), np.random.default_rng(0)
    matrix = np.zeros((CLASSES, CLASSES), int)
    for name in ("semantic", "instance", "found"):
        (root / name).mkdir()
    for image in "abcd":
        blocks = rng.integers(0, UNSEEN, (6, 8)) * (rng.random((6, 8)) < 0.7)
        truth = np.kron(blocks, np.ones((5, 5), int))
        instance = truth.copy()
        found = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, ABSENT, truth.shape), truth)
        truth[rng.random(truth.shape) < 0.1] = VOID
        found[rng.random(truth.shape) < 0.1] = VOID
        for t, p in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True):
            if t != VOID:  # void of the truth is left out, that of predictions is background
                matrix[t, 0 if p == VOID else p] += 1
        for name, labels in (("semantic", truth), ("instance", instance), ("found", found)):
            write_label_map(root / name / f"{image}.png", labels.astype(np.uint8))
    truth = open_ground_truth(semantic=root / "semantic", instances=root / "instance")
    data = SimpleNamespace(truth=truth, splits={"test": truth.ids}, bins=(8, 16))
    data.truth_of = lambda split: DataSet.truth_of(data, split)
    scores = score_maps(data, "test", root / "found", root / "counts.npz")
    return matrix, scores, load(root / "counts.npz").counts


def test_iou_follows_from_precision_and_recall_and_from_the_rates_of_irn(scored):
    matrix, scores, counts = scored
    per = class_scores(counts)
    hit, row, column = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    union = row + column - hit
    shown = row > 0
    assert shown.sum() == CLASSES - 2 and (hit[shown] > 0).all()
    # False positives and negatives as shares of the union, which is how IRN's program prints them.
    positive, negative = 1 - row[shown] / union[shown], 1 - column[shown] / union[shown]
    assert per.iou[shown] == pytest.approx(1 - positive - negative, abs=1e-12)
    assert per.iou[shown] == pytest.approx(1 / (1 / per.precision[shown] + 1 / per.recall[shown] - 1), abs=1e-12)
    assert per.precision[shown] == pytest.approx(hit[shown] / column[shown], abs=1e-12)
    assert per.recall[shown] == pytest.approx(hit[shown] / row[shown], abs=1e-12)
    assert scores["mIoU"] == pytest.approx(per.iou[shown].mean(), abs=1e-6)


def test_a_class_in_neither_truth_nor_prediction_is_left_out_and_void_too(scored):
    matrix, scores, counts = scored
    per = class_scores(counts)
    assert np.isnan([per.iou[ABSENT], per.precision[ABSENT], per.recall[ABSENT]]).all()
    hit, row, column = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    union = row + column - hit
    assert not union[ABSENT] and column[UNSEEN] > 0 and not row[UNSEEN]
    # With a class that is predicted and never true at 0, as IRN's program has it; mIoU itself leaves it out.
    assert scores["mIoU_union"] == pytest.approx((hit[:ABSENT] / union[:ABSENT]).mean(), abs=1e-6)
    assert scores["mIoU"] > scores["mIoU_union"]
