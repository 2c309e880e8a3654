"""Perimeter, compactness, and scores at equal size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from iamiou_benchmarks.claims import _statistics
from iamiou_benchmarks.claims._compactness import (
    Objects,
    at_equal_size,
    compactness,
    compactness_of,
    means_by_quartile,
    perimeter,
    quartiles,
)
from iamiou_benchmarks.datasets.shapes import PRESETS, scene


def test_perimeter_is_scikit_images_crofton():
    measure = pytest.importorskip("skimage.measure")
    draw = np.random.default_rng(0)
    for side in (1, 2, 5, 17, 40):
        mask = draw.random((side, side + 3)) < 0.6
        assert perimeter(mask) == pytest.approx(measure.perimeter_crofton(np.pad(mask, 1), directions=4))


def test_perimeter_of_random_masks_is_that_of_lines_counted_one_by_one():
    draw = np.random.default_rng(1)
    for _ in range(5):
        mask = draw.random((7, 9)) < 0.5
        wide = np.pad(mask, 12)
        total = 0.0
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            crossings = 0
            for y in range(1, wide.shape[0] - 1):
                for x in range(1, wide.shape[1] - 1):
                    crossings += wide[y, x] != wide[y + dy, x + dx]
            total += crossings / np.hypot(dy, dx)
        assert perimeter(mask) == pytest.approx(np.pi / 8 * total)


def test_disks_are_round_and_irregular_things_are_not():
    y, x = np.mgrid[-60:61, -60:61]
    for radius in (10, 25, 50):
        disk = x * x + y * y < radius * radius
        assert compactness(np.float64(disk.sum()), np.float64(perimeter(disk))) == pytest.approx(1, abs=0.03)
    bar = (abs(y) < 3) & (abs(x) < 50)  # 99 by 5
    found = compactness(np.float64(bar.sum()), np.float64(perimeter(bar)))
    assert found == pytest.approx(4 * np.pi * 495 / 208**2, rel=0.15)  # straight outlines come out 5 % too short
    ring = disk & (x * x + y * y > 40 * 40)  # a hole has an outline too
    assert perimeter(ring) == pytest.approx(2 * np.pi * 90, rel=0.02)


def test_compactness_of_an_image_is_that_of_its_objects():
    instance = np.zeros((50, 60), np.uint16)
    instance[5:25, 5:25], instance[30:34, 0:50] = 3, 7
    instance[40:, 40:] = 65535
    found = compactness_of(instance)
    assert set(found) == {3, 7}
    assert found[3] > 0.8 > 0.4 > found[7]


def drawn(seed=0, n=600):
    draw = np.random.default_rng(seed)
    area = np.exp(draw.uniform(4, 9, n)).astype(np.int64)
    shape = np.clip(draw.normal(0.6, 0.1, n) - 0.05 * (np.log(area) - 6.5), 0.1, 1)
    return Objects(np.arange(n) // 6, np.arange(n) % 3, area, shape, np.zeros(n)), draw


@pytest.fixture
def few_draws(monkeypatch):
    """Intervals from few draws, for speed."""
    monkeypatch.setattr(_statistics, "DRAWS", 300)


def test_what_only_size_explains_is_no_effect_of_shape(few_draws):
    found = []
    for seed in range(8):
        objects, draw = drawn(seed, 300)
        score = np.log(objects.area) / 9 + draw.normal(0, 0.02, 300)
        assert _statistics.spearman(score, objects.compactness) < -0.3
        value, low, high = at_equal_size(objects, score)
        assert low < value < high
        found.append((value, low < 0 < high))
    assert abs(np.mean([v for v, _ in found])) < 0.05
    assert sum(held for _, held in found) >= 6
    assert at_equal_size(objects, score + objects.compactness)[1] > 0.5


def test_what_only_the_class_explains_is_no_effect_within_classes(few_draws):
    objects, draw = drawn(1)
    objects = replace(objects, compactness=objects.compactness + 0.2 * objects.label)
    score = 0.3 * objects.label + draw.normal(0, 0.05, 600)
    assert at_equal_size(objects, score)[1] > 0.3
    _, low, high = at_equal_size(objects, score, within_class=True)
    assert low < 0 < high


def test_quartiles_compare_equal_sizes():
    objects, _ = drawn(2)
    quarter = quartiles(objects)
    sizes = [np.log(objects.area[quarter == q]).mean() for q in range(4)]
    assert np.ptp(sizes) < 0.1
    shapes = [objects.compactness[quarter == q].mean() for q in range(4)]
    assert shapes == sorted(shapes)
    lonely = Objects(*(a[:7] for a in (objects.image, objects.label, objects.area, objects.compactness, objects.score)))
    assert (quartiles(lonely) == -1).all()


def test_means_by_quartile_weigh_images():
    objects, _ = drawn(3)
    quarter, score = quartiles(objects), objects.compactness
    weights = np.ones((2, 100))
    weights[1, 50:] = 0
    found = means_by_quartile(objects, quarter, score, weights)
    for q in range(4):
        assert found[0, q] == pytest.approx(score[quarter == q].mean())
        assert found[1, q] == pytest.approx(score[(quarter == q) & (objects.image < 50)].mean())


def test_ragged_scenes_hold_the_same_objects_with_less_compact_outlines():
    smooth, rough = PRESETS["small"], replace(PRESETS["small"], ragged=0.4)
    areas, shapes, same = [], [], 0
    for k in range(20):
        a, b = scene(smooth, 0, "test", k), scene(rough, 0, "test", k)
        same += a.instance.max() == b.instance.max()
        areas.append([(m.instance > 0).sum() for m in (a, b)])
        shapes.append([np.mean([*compactness_of(m.instance.astype(np.uint16)).values()]) for m in (a, b)])
    assert same >= 18
    assert np.divide(*np.sum(areas, 0)) == pytest.approx(1, abs=0.06)
    assert np.mean(shapes, 0)[0] > np.mean(shapes, 0)[1] + 0.1
