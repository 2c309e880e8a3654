"""Scores are short functions of the counts; here they are computed again, in another way, from the rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import iamiou
from iamiou.counts import Counts
from iamiou.pairs import PairCounter, Rule
from iamiou.scores import bin_names, bin_of, headline, parse_bins, support
from tests import fakes, oracles
from tests.strategies import NUM_CLASSES, cases

CLASSES = iamiou.ClassList("four", ("background", "one", "two", "three"))
#: Sides so small that maps of a few pixels have instances in every bin.
TINY = (2, 4)


def counted(images) -> Counts:
    """Count (id, prediction, semantic, instance) with the library."""
    counter = PairCounter(CLASSES, Rule())
    for image in images:
        counter.add(*image)
    return counter.counts()


def numbered(drawn) -> list[tuple]:
    """Give drawn cases an id each."""
    return [(f"{k:02d}", case.pred, case.semantic, case.instance) for k, case in enumerate(drawn)]


def close(mine: dict[str, float], theirs: dict[str, float]) -> None:
    """Compare scores up to the rounding of a few additions; undefined must be undefined in both."""
    for name, value in theirs.items():
        assert mine[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@given(drawn=st.lists(cases(), min_size=1, max_size=4))
def test_headline_scores_agree_with_the_oracle(drawn):
    oracle = [oracles.one_image(c.pred, c.semantic, c.instance, NUM_CLASSES) for c in drawn]
    scores = headline(counted(numbered(drawn)), TINY)
    close(scores, oracles.headline(oracle, TINY))
    edges = [0, *(side * side for side in TINY), math.inf]
    close(scores, {"found@50": oracles.found(oracle)})
    for name, low, high in zip("SML", edges[:-1], edges[1:], strict=True):
        close(scores, {f"found@50_{name}": oracles.found(oracle, low, high)})


@given(drawn=st.lists(cases(), min_size=1, max_size=4))
def test_pixel_scores_are_those_of_the_confusion_matrix(drawn):
    counts = counted(numbered(drawn))
    confusion = sum(np.array(one_confusion(c)) for c in drawn)
    hit, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    shown = [c for c in range(NUM_CLASSES) if true[c]]
    want = {
        "recall": oracles.mean(hit[c] / true[c] for c in shown),
        "precision": oracles.mean(hit[c] / predicted[c] for c in shown if predicted[c]),
    }
    per_image = []
    for case in drawn:
        m = np.array(one_confusion(case))
        union = m.sum(axis=0) + m.sum(axis=1) - np.diag(m)
        per_image.append([m[c, c] / union[c] for c in range(NUM_CLASSES) if m[c].sum()])
    want["mIoU_per_image"] = oracles.mean(oracles.mean(row) for row in per_image if row)
    close(headline(counts), want)


def one_confusion(case) -> tuple[tuple[int, ...], ...]:
    """Return the oracle's confusion matrix of a case."""
    return oracles.one_image(case.pred, case.semantic, case.instance, NUM_CLASSES).confusion


@given(drawn=st.lists(cases(), min_size=1, max_size=4))
def test_iiou_is_the_definition_pixel_by_pixel(drawn):
    """Cordts et al. 2016: iTP / (iTP + FP + iFN), a pixel of an instance weighing mean area / its area."""
    counts = counted(numbered(drawn))
    rows = counts.instances.astype(float)
    values = []
    for c in range(1, NUM_CLASSES):
        mine = rows[rows[:, 2] == c]
        if len(mine):
            weight = mine[:, 3].mean() / mine[:, 3]
            itp, ifn = (weight * mine[:, 4]).sum(), (weight * (mine[:, 3] - mine[:, 4])).sum()
            values.append(itp / (itp + (counts.prediction - counts.hit)[:, c].sum() + ifn))
    close(headline(counts), {"iIoU": oracles.mean(values)})


@given(drawn=st.lists(cases(), min_size=1, max_size=4))
def test_every_score_is_a_share_or_undefined(drawn):
    for name, value in headline(counted(numbered(drawn)), TINY).items():
        assert math.isnan(value) or (-1 if name == "gap_SL" else 0) <= value <= 1, name


@given(case=cases())
def test_a_report_recomputed_from_its_rows(case):
    report = iamiou.score(case.pred, case.semantic, case.instance, classes=CLASSES, bins=TINY)
    rows = report.instances
    assert (rows["area"] == rows["tp"] + rows["fn"]).all()
    assert (rows["iou"] == rows["tp"] / (rows["tp"] + rows["fn"] + rows["fp"])).all()
    by_class = {c: math.fsum(g) / len(g) for c, g in rows.groupby("class")["iou"] if len(g)}
    want = {"IA-mIoU_fg": oracles.mean(by_class.values())}
    for name in "SML":
        groups = rows[rows["bin"] == name].groupby("class")["iou"]
        want[f"IA_{name}"] = oracles.mean(math.fsum(g) / len(g) for _, g in groups)
    close(report.scores, want)
    table = report.classes.set_index("name")
    for c, value in by_class.items():
        assert table.loc[c, "IA-IoU"] == pytest.approx(value, abs=1e-12)
    assert table["instances"][1:].sum() == len(rows)
    assert table["phantom_count"].sum() == len(report.phantoms)
    assert table["phantom_pixels"].sum() == report.phantoms["area"].sum()


@given(drawn=st.lists(cases(), min_size=1, max_size=4))
def test_support_counts_what_a_score_rests_on(drawn):
    counts = counted(numbered(drawn))
    rests, scores = support(counts, TINY), headline(counts, TINY)
    assert rests.keys() == scores.keys()
    rows = counts.instances
    where = bin_of(rows[:, 3], TINY)
    for k, name in enumerate("SML"):
        mine = rows[where == k]
        want = {"images": len(set(mine[:, 0])), "instances": len(mine), "classes": len(set(mine[:, 2]))}
        assert rests[f"IA_{name}"] == want
        assert math.isnan(scores[f"IA_{name}"]) == (want["classes"] == 0)
    assert sum(rests[f"IA_{name}"]["instances"] for name in "SML") == rests["IA-mIoU_fg"]["instances"] == len(rows)


def squares(*areas: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one instance of each area on a map of its own rows; all of class 1."""
    instance = np.zeros((len(areas), max(areas) + 1), np.uint8)
    for k, area in enumerate(areas):
        instance[k, :area] = k + 1
    return (instance > 0).astype(np.uint8), instance


def test_the_bins_part_at_the_squares_of_their_sides():
    semantic, instance = squares(1, 1023, 1024, 9215, 9216, 20000)
    report = iamiou.score(semantic, semantic, instance)
    assert report.instances["area"].tolist() == [1, 1023, 1024, 9215, 9216, 20000]
    assert report.instances["bin"].tolist() == ["S", "S", "M", "M", "L", "L"]
    assert [report.support[f"IA_{name}"]["instances"] for name in "SML"] == [2, 2, 2]


@given(
    areas=st.lists(st.integers(1, 2**30), min_size=1),
    bins=st.sets(st.integers(1, 2**15), min_size=1, max_size=5),
)
def test_every_area_is_in_exactly_one_bin(areas, bins):
    sides = tuple(sorted(bins))
    edges = [0, *(side * side for side in sides), math.inf]
    got = bin_of(np.array(areas), sides)
    for area, k in zip(areas, got.tolist(), strict=True):
        assert edges[k] <= area < edges[k + 1]
    assert len(bin_names(sides)) == len(sides) + 1


@pytest.mark.parametrize("text", ["", "a", "96,32", "32,32", "0,32", "-1", "32,", "1e3", "32;96"])
def test_bins_that_are_none_are_refused(text):
    with pytest.raises(iamiou.InputError, match="increasing"):
        parse_bins(text)


def test_other_bins_have_other_names():
    semantic, instance = squares(10, 200, 5000)
    report = iamiou.score(semantic, semantic, instance, bins=(4, 16, 64))
    assert report.instances["bin"].tolist() == ["1", "2", "4"]
    assert [report.scores[f"IA_{k}"] for k in "124"] == [1, 1, 1]
    assert math.isnan(report.scores["IA_3"])


def test_undefined_is_nan_and_says_so():
    """A map of small instances of one class: no other bin, no other class, no gap."""
    semantic, instance = squares(5, 7)
    report = iamiou.score(semantic, semantic, instance, classes=CLASSES)
    undefined = {k for k, v in report.scores.items() if math.isnan(v)}
    assert undefined == {"IA_M", "IA_L", "gap_SL", "found@50_M", "found@50_L"}
    assert report.to_dict()["scores"]["IA_M"] is None
    assert report.support["IA_M"] == {"images": 0, "instances": 0, "classes": 0}
    assert np.isnan(report.classes["IA-IoU"][2:]).all()


def test_nothing_at_all_is_nan_throughout():
    assert all(math.isnan(v) for v in headline(Counts.zero(21)).values())
    void = np.full((3, 3), 255, np.uint8)
    report = iamiou.score(np.zeros((3, 3), np.uint8), void, void)
    assert all(math.isnan(v) for v in report.scores.values())


def test_two_conventions_of_miou_differ_by_classes_without_truth():
    truth = np.array([[1, 1, 0, 0]], np.uint8)
    pred = np.array([[1, 1, 2, 0]], np.uint8)
    scores = iamiou.score(pred, truth, classes=CLASSES).scores
    assert scores["mIoU"] == pytest.approx((1 + 0.5) / 2)
    assert scores["mIoU_union"] == pytest.approx((1 + 0.5 + 0) / 3)


def test_the_gap_is_over_classes_that_have_both_sizes():
    semantic = np.zeros((4, 10000), np.uint8)
    instance = semantic.copy()
    for row, (label, area) in enumerate([(1, 100), (1, 9216), (2, 100), (3, 9216)]):
        semantic[row, :area], instance[row, :area] = label, row + 1
    pred = semantic.copy()
    pred[0, :50] = pred[2, :75] = 0
    scores = iamiou.score(pred, semantic, instance, classes=CLASSES).scores
    assert scores["IA_S"] == pytest.approx((0.5 + 0.25) / 2)
    assert scores["IA_L"] == 1
    assert scores["gap_SL"] == pytest.approx(0.5)


def test_torchmetrics_has_the_same_jaccard_index():
    """Its mean leaves out classes that are absent from truth and prediction, which is mIoU_union."""
    torch = pytest.importorskip("torch")
    jaccard = pytest.importorskip("torchmetrics.functional.classification").multiclass_jaccard_index
    images = fakes.scenes(3, seed=1)
    counter = PairCounter(iamiou.load_classes("voc"), Rule())
    for image in images:
        counter.add(image.id, image.prediction, image.semantic, image.instance)
    counts = counter.counts()
    pred, truth = (
        torch.from_numpy(np.stack([getattr(i, n) for i in images]).astype(np.int64)) for n in ("prediction", "semantic")
    )
    theirs = jaccard(pred, truth, num_classes=21, ignore_index=255, average="none").double().numpy()
    hit, union = counts.hit.sum(0), (counts.truth + counts.prediction - counts.hit).sum(0)
    assert theirs[union > 0] == pytest.approx((hit / np.maximum(union, 1))[union > 0], abs=1e-6)
    mean = float(jaccard(pred, truth, num_classes=21, ignore_index=255))
    assert headline(counts)["mIoU_union"] == pytest.approx(mean, abs=1e-6)


@given(boxes=st.lists(st.integers(0, 15), min_size=8, max_size=8))
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_has_the_same_iou_of_one_component_and_one_instance(boxes):
    from pycocotools import mask

    truth, pred = np.zeros((2, 20, 20), np.uint8)
    for image, (top, left, height, width) in ((truth, boxes[:4]), (pred, boxes[4:])):
        image[top : top + height + 1, left : left + width + 1] = 1
    codes = [mask.encode(np.asfortranarray(m)) for m in (pred, truth)]
    report = iamiou.score(pred, truth, truth, classes=CLASSES)
    theirs = mask.iou([codes[0]], [codes[1]], [0])[0, 0]
    assert report.instances["iou"].tolist() == [theirs]
    assert len(report.phantoms) == (theirs == 0)
