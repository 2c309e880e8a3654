"""The curve over area and the histogram of sizes, against slow loops and what must hold for any data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou import charts, curves

BINS = np.array([1024, 9216])


def sample(instances: int = 200, images: int = 50, seed: int = 0):
    """Return areas, scores and images of made-up instances."""
    rng = np.random.default_rng(seed)
    area = np.exp(rng.uniform(3, 11, instances)).astype(np.int64)
    return area, rng.random(instances), rng.integers(0, images, instances)


def test_the_curve_is_the_weighted_mean_of_a_slow_loop():
    area, iou, image = sample(40)
    curve = curves.iou_against_area(area, iou, image, points=7, resamples=0)
    for at, got, support in zip(curve.area, curve.iou, curve.support, strict=True):
        weights = [math.exp(-0.5 * ((math.log(a) - math.log(at)) / math.log(2)) ** 2) for a in area.tolist()]
        assert support == pytest.approx(sum(weights))
        mean = sum(w * v for w, v in zip(weights, iou.tolist(), strict=True)) / sum(weights)
        assert math.isnan(got) if support < curves.ENOUGH else got == pytest.approx(mean)


def test_the_axis_spans_the_areas_evenly_in_the_logarithm():
    area, iou, image = sample()
    curve = curves.iou_against_area(area, iou, image, points=11)
    assert curve.area[[0, -1]] == pytest.approx([area.min(), area.max()])
    assert np.diff(np.log(curve.area)) == pytest.approx(np.log(area.max() / area.min()) / 10)


def test_equal_scores_give_a_flat_curve_without_width():
    area, _, image = sample()
    curve = curves.iou_against_area(area, np.full(len(area), 0.5), image)
    drawn = ~np.isnan(curve.iou)
    assert drawn.sum() > 70
    for values in (curve.iou, curve.low, curve.high):
        assert values[drawn] == pytest.approx(0.5)


def test_nothing_is_drawn_where_too_few_instances_stand_behind_it():
    area = np.repeat([100, 1_000_000, 100_000_000], [50, 50, 3])
    curve = curves.iou_against_area(area, np.ones(103), np.arange(103), points=7)  # one a factor of ten
    for values in (curve.iou, curve.low, curve.high):
        assert np.isnan(values).tolist() == [False, True, True, True, False, True, True]


def test_one_image_alone_has_no_spread_and_more_images_narrow_the_band():
    area, iou, _ = sample(800)
    widths = []
    for images in (1, 10, 400):
        curve = curves.iou_against_area(area, iou, np.arange(800) % images)
        widths.append(np.nanmean(curve.high - curve.low))
    assert widths[0] == pytest.approx(0, abs=1e-12)
    assert widths[1] > 0
    # Instances of ten images vary together no more than those of 400 here; what differs is how coarse the draws are.
    alike = curves.iou_against_area(area, iou[np.argsort(iou)], np.arange(800) // 80)
    assert np.nanmean(alike.high - alike.low) > 2 * widths[2]


def test_the_band_covers_the_true_mean():
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(60):
        area = np.full(60, 5000)
        level = rng.normal(0.5, 0.1, 30).clip(0, 1)[np.arange(60) % 30]  # the images of an instance agree
        curve = curves.iou_against_area(area, level, np.arange(60) % 30, points=1, seed=seed)
        inside += bool(curve.low[0] <= 0.5 <= curve.high[0])
    assert inside >= 52  # of 60; 95 % are 57


@given(st.permutations(range(30)), st.integers(0, 9))
def test_the_order_of_the_instances_and_the_numbers_of_the_images_do_not_matter(order, offset):
    area, iou, image = sample(30, images=8)
    a = curves.iou_against_area(area, iou, image, points=5, resamples=20)
    b = curves.iou_against_area(area[order], iou[order], image[order] * 7 + offset, points=5, resamples=20)
    for name in ("area", "iou", "low", "high", "support"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), nan_ok=True)


def test_many_images_are_drawn_in_blocks():
    area, iou, image = sample(9000, images=9000)
    curve = curves.iou_against_area(area, iou, image, points=3, resamples=10)
    assert np.all(curve.low[1:2] < curve.iou[1:2])
    assert np.all(curve.iou[1:2] < curve.high[1:2])


def test_no_instance_gives_an_empty_curve_and_histogram():
    none = np.empty(0, np.int64)
    assert len(curves.iou_against_area(none, np.empty(0), none).area) == 0
    assert len(curves.size_histogram(none, np.empty(0), BINS).count) == 0


areas = st.lists(st.integers(1, 2**30), min_size=1, max_size=40)
sides = st.lists(st.integers(1, 5000), min_size=1, max_size=4, unique=True).map(sorted)


@given(areas, sides)
def test_every_instance_is_in_one_bar_and_no_bar_straddles_two_size_bins(area, side):
    bins = np.square(np.array(side, np.int64))
    values = np.linspace(0, 1, len(area))
    bars = curves.size_histogram(np.array(area), values, bins)
    assert bars.count.sum() == len(area)
    assert bars.found.sum() == np.count_nonzero(values >= 0.5)
    assert np.all(bars.found <= bars.count)
    assert set(bins.tolist()) <= set(bars.edges.tolist())
    assert np.all(np.diff(bars.edges) > 0)
    for low, high, count in zip(bars.edges[:-1], bars.edges[1:], bars.count, strict=True):
        assert count == sum(low <= a < high for a in area)


def test_a_score_of_one_half_is_found():
    bars = curves.size_histogram(np.array([50, 50, 50]), np.array([0.499, 0.5, 1.0]), BINS)
    assert (bars.count.sum(), bars.found.sum()) == (3, 2)


def drawing(area, iou, image, width=660, height=500):
    curve = curves.iou_against_area(area, iou, image)
    histogram = curves.size_histogram(area, iou, BINS)
    return charts.area_chart(width, height, curve, histogram, area, iou, (32, 96), ("S", "M", "L"))


def test_the_chart_puts_every_size_bin_and_bar_in_its_place():
    area, iou, image = sample()
    c = drawing(area, iou, image)
    assert [z.count for z in c.zones] == np.bincount(np.digitize(area, BINS), minlength=3).tolist()
    assert [z.right for z in c.zones[:-1]] == [z.left for z in c.zones[1:]] == [e for e, _ in c.edges]
    assert sum(b.count for b in c.bars) == len(area)
    assert all(c.upper - 1e-9 <= b.top <= b.found <= c.bottom for b in c.bars)
    assert c.y_ticks[0] == (c.middle, "0")
    assert c.y_ticks[-1] == (c.top, "1")
    assert c.dots.count("M") == c.dots_shown == 200


def test_the_chart_draws_every_kth_dot_of_a_large_data_set():
    c = drawing(*sample(charts.DOTS * 2 + 1))
    assert c.dots.count("M") == c.dots_shown == -(-(charts.DOTS * 2 + 1) // 3)


def test_a_single_instance_can_be_drawn():
    c = drawing(np.array([1]), np.array([1.0]), np.array([0]))
    assert (c.line, c.band, c.hover) == ("", "", [])
    assert c.dots.startswith("M")
    assert [z.count for z in c.zones] == [1, 0, 0]
