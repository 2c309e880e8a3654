"""Intervals: scores from weights, three classical methods against slow ones, and the rule that is the default."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou import sums
from iamiou.counts import Counts
from iamiou.errors import InputError
from iamiou.replicates import replicate
from iamiou.resample import METHODS, intervals, weak
from iamiou.scores import bin_names, headline
from iamiou.sums import Mean, means_of, ratios, summarise, weighted
from tests.made_counts import random_counts, repeated, shuffled

BINS = (32, 96)


def scores_of(counts: Counts, weights, bins=BINS) -> dict[str, np.ndarray]:
    """Score under weights, shape (R, N)."""
    summary = summarise(counts, bins)
    values = means_of(summary.scores, ratios(summary, weighted(summary, np.asarray(weights, float))))
    return dict(zip([mean.name for mean in summary.scores], values.T, strict=True))


def single_class(ious: list[float], area: int = 100) -> Counts:
    """Count images of one instance of one class each, all alike but for the true positives."""
    n = len(ious)
    tp = np.array([round(area * iou) for iou in ious])
    one = np.ones(n, np.int64)
    instances = np.stack([np.arange(n), one, one, area * one, tp, 0 * one, one], axis=1)
    truth = np.stack([1000 * one, area * one], axis=1)
    hit = np.stack([1000 * one, tp], axis=1)
    prediction = np.stack([1000 * one + area - tp, tp], axis=1)
    names = tuple(f"{k:03}" for k in range(n))
    return Counts(2, names, np.diag(hit.sum(axis=0)), truth, prediction, hit, instances, np.zeros((0, 3), np.int64))


def test_weights_by_hand():
    counts = single_class([0.2, 0.8])
    scored = scores_of(counts, [[1, 1], [1, 3], [0, 1], [0, 0]])
    np.testing.assert_allclose(scored["IA_S"], [0.5, 0.65, 0.8, np.nan])
    np.testing.assert_allclose(scored["found@50"], [0.5, 0.75, 1.0, np.nan])
    background = np.array([1000 / 1080, 1000 / 1020])
    means = np.array([background.mean(), background @ [0.25, 0.75], background[1], np.nan])
    np.testing.assert_allclose(scored["IA-mIoU"], (means + scored["IA_S"]) / 2)
    np.testing.assert_allclose(scored["mIoU"][1], (4000 / 4140 + 260 / 400) / 2)
    assert np.isnan(scored["gap_SL"]).all()


@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([(32, 96), (64,), (16, 64, 128)]))
def test_equal_weights_give_the_scores_of_the_data_set(seed, images, bins):
    counts = random_counts(images, seed=seed)
    expected = headline(counts, bins)
    scored = scores_of(counts, np.ones((1, images)), bins)
    assert list(scored) == list(expected)
    np.testing.assert_allclose([v[0] for v in scored.values()], list(expected.values()), rtol=0, atol=1e-12)


@given(st.integers(0, 10**6), st.data())
def test_whole_weights_are_repeats_of_images(seed, data):
    counts = random_counts(6, seed=seed)
    times = data.draw(st.lists(st.integers(0, 3), min_size=6, max_size=6))
    expected = headline(repeated(counts, times), BINS)
    for name, value in scores_of(counts, [times]).items():
        if name != "iIoU":  # its mean areas are those of the whole data set, not of the resample
            np.testing.assert_allclose(value[0], expected[name], atol=1e-12, err_msg=name)


def slow_draws(counts: Counts, resamples: int, seed: int) -> list[dict[str, float]]:
    """Score data sets drawn with replacement, one after the other."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n = len(counts.images)
    drawn = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples)]
    return [headline(repeated(counts, times), BINS) for times in drawn]


SLOW = random_counts(9, seed=5)
DRAWS = slow_draws(SLOW, 80, seed=3)
NAMES = [name for name in headline(SLOW, BINS) if name != "iIoU"]


def test_percentile_against_slow_resampling():
    fast = intervals(SLOW, BINS, resamples=80, seed=3, method="percentile")
    for name in NAMES:
        values = [d[name] for d in DRAWS if not math.isnan(d[name])]
        np.testing.assert_allclose(fast[name], np.quantile(values, [0.025, 0.975]), atol=1e-9, err_msg=name)


def test_bca_against_the_textbook():
    fast = intervals(SLOW, BINS, resamples=80, seed=3, method="bca")
    full, normal = headline(SLOW, BINS), NormalDist()
    left_out = [headline(SLOW.select([x for x in SLOW.images if x != name]), BINS) for name in SLOW.images]
    for name in NAMES:
        values = np.array([d[name] for d in DRAWS])
        values = values[~np.isnan(values)]
        left = np.array([d[name] for d in left_out])
        left = left[~np.isnan(left)]
        same = abs(values - full[name]) < 1e-12
        shift = normal.inv_cdf((values[~same] < full[name]).mean() * (~same).mean() + same.mean() / 2)
        pull = left.mean() - left
        a = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
        tails = [normal.cdf(shift + z / (1 - a * z)) for z in (shift + normal.inv_cdf(t) for t in (0.025, 0.975))]
        np.testing.assert_allclose(fast[name], np.quantile(values, tails), atol=1e-6, err_msg=name)


def test_bayesian_weights_are_exponential_and_shared_by_all_scores():
    counts = random_counts(12, seed=8)
    weights = np.random.Generator(np.random.PCG64(4)).standard_exponential((12, 300), dtype=np.float32).T
    fast = intervals(counts, BINS, resamples=300, seed=4, method="bayesian")
    for name, values in scores_of(counts, weights).items():
        np.testing.assert_allclose(fast[name], np.quantile(values, [0.025, 0.975]), atol=1e-5, err_msg=name)


def noise_of(counts: Counts, name: str, resamples: int = 40_000):
    summary = summarise(counts, BINS)
    mean = [m for m in summary.scores if m.name == name]
    return replicate([summary], [1], mean, resamples, np.random.default_rng(0))


def test_the_rule_spreads_like_the_jackknife_and_student():
    ious = [0.1, 0.3, 0.35, 0.5, 0.6, 0.8, 0.85, 0.9]
    drawn = noise_of(single_class(ious), "IA_S")
    n, x = len(ious), np.array(ious)
    jackknife = ((x - x.mean()) ** 2).sum() / (n - 1) ** 2
    assert drawn.value[0] == pytest.approx(x.mean())
    assert drawn.bias[0] == pytest.approx(0, abs=0.003)
    # Exponential weights move a mean by n / (n + 1) of its plain variance.
    plain = ((x - x.mean()) ** 2).sum() / n**2
    assert drawn.noise.var() == pytest.approx(jackknife - plain + plain * n / (n + 1), rel=0.03)
    assert drawn.stretch[0] == pytest.approx(2.3646 / 1.95996, rel=1e-3)  # Student's t with n - 1 = 7


def two_classes(large: bool = False) -> Counts:
    """Count eight images of class 1 and one of class 2, small; with ``large``, each with a perfect large one too."""
    counts = single_class([0.1, 0.3, 0.35, 0.5, 0.6, 0.8, 0.85, 0.9, 0.4])
    label = np.where(np.arange(9) < 8, 1, 2)
    rows = counts.instances.copy()
    rows[:, 2] = label
    truth, hit, prediction = np.zeros((3, 9, 3), np.int64)
    for table, old in ((truth, counts.truth), (hit, counts.hit), (prediction, counts.prediction)):
        table[:, 0] = old[:, 0]
        table[np.arange(9), label] = old[:, 1]
    if large:
        more = rows.copy()
        more[:, 1], more[:, 3:6] = 2, (20_000, 20_000, 0)
        rows = np.concatenate([rows, more])
        rows = rows[np.lexsort(rows.T[::-1])]
        for table in (truth, hit, prediction):
            table[np.arange(9), label] += 20_000
    return Counts(3, counts.images, np.diag(hit.sum(0)), truth, prediction, hit, rows, counts.phantoms)


def test_a_class_of_one_image_borrows_the_spread_of_the_others():
    two = two_classes()
    alone = noise_of(two.select(two.images[:8]), "IA_S").noise.std()
    both = noise_of(two, "IA_S")
    assert both.value[0] == pytest.approx((0.55 + 0.4) / 2)
    # The lone image adds a variance eight times that of the mean of eight; both enter with half the weight.
    assert both.noise.std() == pytest.approx(alone * math.sqrt(1 + 8) / 2, rel=0.05)
    low, high = intervals(two, BINS, method="bayesian")["IA_S"]
    assert high - low < 2 * both.noise.std()  # plain weights know nothing of the lone image


def test_a_gap_borrows_small_from_small():
    """Perfect large instances have no spread to lend; the gap is as uncertain as its small side."""
    gap, small = (noise_of(two_classes(large=True), name) for name in ("gap_SL", "IA_S"))
    assert gap.value[0] == pytest.approx(1 - small.value[0])
    assert gap.noise.std() == pytest.approx(small.noise.std(), rel=0.02)
    assert gap.stretch[0] == pytest.approx(small.stretch[0])


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_same_seed_same_intervals_and_another_seed_others(self, method):
        counts = random_counts(20)
        first = intervals(counts, BINS, seed=1, resamples=200, method=method)
        assert first == intervals(counts, BINS, seed=1, resamples=200, method=method)
        assert first != intervals(counts, BINS, seed=2, resamples=200, method=method)

    def test_the_order_of_the_images_does_not_matter(self, method):
        counts = random_counts(20)
        assert shuffled(counts).images != counts.images
        ends = [intervals(c, BINS, resamples=200, method=method) for c in (counts, shuffled(counts))]
        for name in ends[0]:
            np.testing.assert_allclose(ends[0][name], ends[1][name], atol=1e-9)

    def test_blocks_of_images_do_not_matter(self, method, monkeypatch):
        counts = random_counts(150, seed=2)
        whole = intervals(counts, BINS, resamples=300, method=method)
        monkeypatch.setattr(sums, "BLOCK", 1)  # 64 images at a time
        for name, ends in intervals(counts, BINS, resamples=300, method=method).items():
            np.testing.assert_allclose(ends, whole[name], atol=1e-5)

    def test_ends_are_ordered_and_within_the_scores_range(self, method):
        for seed in range(5):
            for name, (low, high) in intervals(random_counts(8, seed=seed), BINS, resamples=100, method=method).items():
                assert (-1 if name == "gap_SL" else 0) <= low <= high <= 1

    def test_undefined_scores_have_no_interval(self, method):
        ends = intervals(single_class([0.2, 0.5, 0.8]), BINS, resamples=100, method=method)
        assert "IA_S" in ends
        assert not {"IA_M", "IA_L", "gap_SL", "found@50_L"} & set(ends)

    def test_names_follow_the_bins(self, method):
        counts = random_counts(25)
        names = set(intervals(counts, (16, 64, 128), resamples=50, method=method))
        assert {f"IA_{name}" for name in bin_names((16, 64, 128))} <= names


def test_an_image_without_pixels_changes_no_bayesian_score():
    counts = random_counts(10)
    blank = np.zeros((1, counts.num_classes), np.int64)
    longer = replace(
        counts,
        images=(*counts.images, "zzz"),
        truth=np.concatenate([counts.truth, blank]),
        prediction=np.concatenate([counts.prediction, blank]),
        hit=np.concatenate([counts.hit, blank]),
    )
    ends = [intervals(c, BINS, resamples=400, method="bayesian") for c in (counts, longer)]
    for name in ends[0]:
        np.testing.assert_allclose(*(e[name] for e in ends), atol=1e-5)
    noisy = [intervals(c, BINS, resamples=4000) for c in (counts, longer)]  # only the noise is drawn anew
    for name in noisy[0]:
        np.testing.assert_allclose(*(e[name] for e in noisy), atol=0.08)


def test_one_image_tells_no_spread():
    assert intervals(single_class([0.5]), BINS) == {}
    assert "IA_S" not in intervals(random_counts(2, seed=3, rare=1), BINS)


def test_a_perfect_model_has_intervals_of_no_width():
    counts = single_class([1.0] * 6)
    for name, (low, high) in intervals(counts, BINS).items():
        assert low == pytest.approx(1, abs=1e-6), name
        assert high == pytest.approx(1, abs=1e-6), name


def test_the_default_covers_where_plain_weights_fail():
    """Four rare classes of one to three small instances: the mean IA-IoU of each is known to be 0.5."""
    rng, hits = np.random.default_rng(0), dict.fromkeys(("bayesian-t", "bayesian"), 0)
    trials, area = 150, 400
    for _ in range(trials):
        label = np.repeat([1, 2, 3, 4], [8, 3, 2, 1])
        n, tp = label.size, np.rint(area * rng.uniform(0, 1, label.size)).astype(np.int64)
        rows = np.stack([np.arange(n), np.ones(n, np.int64), label, np.full(n, area), tp, 0 * tp, 0 * tp], axis=1)
        truth, hit = np.zeros((2, n, 5), np.int64)
        truth[np.arange(n), label], hit[np.arange(n), label] = area, tp
        names = tuple(f"{k:02}" for k in range(n))
        counts = Counts(5, names, np.diag(hit.sum(0)), truth, hit, hit, rows, np.zeros((0, 3), np.int64))
        for method in hits:
            low, high = intervals(counts, BINS, resamples=200, method=method)["IA_S"]
            hits[method] += low <= 0.5 <= high
    assert hits["bayesian-t"] >= 0.92 * trials
    assert hits["bayesian"] <= 0.75 * trials


def test_weak_scores_rest_on_few_images():
    counts = single_class([0.2, 0.4, 0.6, 0.8, 0.5])
    assert weak(counts, BINS) == frozenset()
    four = counts.select(counts.images[:4])
    assert {"IA_S", "mIoU", "IA-mIoU", "found@50_S"} <= weak(four, BINS)
    assert not {"IA_M", "gap_SL"} & weak(four, BINS)  # undefined, so not weak
    assert "mIoU" in weak(random_counts(40, rare=1), BINS)


def test_what_cannot_be_done_is_said():
    counts = random_counts(5)
    with pytest.raises(InputError, match="'jackknife' is no method for intervals; take one of bayesian-t,"):
        intervals(counts, BINS, method="jackknife")
    with pytest.raises(InputError, match="0 resamples give no interval; ask for 1000"):
        intervals(counts, BINS, resamples=0)


def test_a_gap_is_a_difference_of_the_same_classes():
    summary = summarise(random_counts(30), BINS)
    gap: Mean = next(mean for mean in summary.scores if mean.name == "gap_SL")
    assert gap.members.size == gap.minus.size == 4
    quotient = ratios(summary, summary.totals())
    large, small = quotient[gap.members], quotient[gap.minus]
    both = ~np.isnan(large) & ~np.isnan(small)
    assert means_of([gap], quotient)[0] == pytest.approx((large - small)[both].mean())
