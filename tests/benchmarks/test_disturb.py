"""Annotation noise does what it says, and nothing else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from iamiou import score
from iamiou_benchmarks.claims._disturb import (
    KINDS,
    VOID,
    classes_of,
    disturb,
    merged,
    ragged,
    semantic_of,
    split,
    tightened,
    widened,
    without_small,
)


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def scene(seed=0, side=40, objects=5, band=0):
    """Boxes at random places, later ones in front, with a band of void around each if asked for."""
    draw, instance = rng(seed), np.zeros((side, side), np.uint16)
    for k in range(1, objects + 1):
        y, x = draw.integers(0, side - 6, 2)
        h, w = draw.integers(3, 14, 2)
        if band:
            instance[max(0, y - band) : y + h + band, max(0, x - band) : x + w + band] = VOID
        instance[y : y + h, x : x + w] = k
    classes = np.concatenate([[0], 1 + draw.integers(0, 2, objects)]).astype(np.uint16)
    return instance, classes


def near(y, x, shape, reach):
    return slice(max(0, y - reach), min(shape[0], y + reach + 1)), slice(
        max(0, x - reach), min(shape[1], x + reach + 1)
    )


@pytest.mark.parametrize("pixels", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_wide_and_tight_move_boundaries_by_so_many_pixels(pixels, seed):
    instance, _ = scene(seed)
    wide, tight = widened(instance, pixels), tightened(instance, pixels)
    for y, x in np.ndindex(instance.shape):
        around = instance[near(y, x, instance.shape, pixels)]
        if instance[y, x]:
            assert wide[y, x] == instance[y, x]
        else:
            assert (wide[y, x] > 0) == around.any()
            assert wide[y, x] in around
        assert (tight[y, x] == instance[y, x] and tight[y, x] > 0) == (instance[y, x] > 0 and np.ptp(around) == 0)
        if 0 < tight[y, x] < VOID:
            assert tight[y, x] == instance[y, x]


def test_the_void_band_moves_with_the_boundary():
    instance = np.zeros((30, 30), np.uint16)
    instance[5:25, 5:25] = VOID
    instance[8:22, 8:22] = 1
    for moved, by in ((widened(instance, 2), 2), (tightened(instance, 2), -2)):
        wanted = np.zeros((30, 30), np.uint16)
        wanted[5 - by : 25 + by, 5 - by : 25 + by] = VOID
        wanted[8 - by : 22 + by, 8 - by : 22 + by] = 1
        assert np.array_equal(moved, wanted)


def test_tight_leaves_void_between_objects_that_touch():
    instance = np.ones((6, 8), np.uint16)
    instance[:, 4:] = 2
    assert tightened(instance, 1)[0].tolist() == [1, 1, 1, VOID, VOID, 2, 2, 2]


def test_ragged_takes_labels_from_close_by():
    instance, _ = scene(2, band=1)
    moved = ragged(instance, 2, rng(1))
    assert not np.array_equal(moved, instance)
    for y, x in np.ndindex(instance.shape):
        assert moved[y, x] in instance[near(y, x, instance.shape, 2)]
    assert np.array_equal(moved, ragged(instance, 2, rng(1)))
    assert not np.array_equal(moved, ragged(instance, 2, rng(2)))
    assert np.array_equal(ragged(instance, 0, rng(1)), instance)


def test_all_neighbours_of_a_class_are_merged_and_no_others():
    for seed in range(6):
        instance, classes = scene(seed, objects=6)
        out = merged(instance, classes, 1.0, rng(), 3)
        ids = [k for k in np.unique(instance).tolist() if k]
        places = {k: np.argwhere(instance == k) for k in ids}
        groups = [{k} for k in ids]
        for a, b in combinations(ids, 2):
            gap = min(np.abs(places[b] - place).max(1).min() for place in places[a])
            if classes[a] == classes[b] and gap <= 3:
                joined = [g for g in groups if a in g or b in g]
                groups = [g for g in groups if g not in joined] + [set().union(*joined)]
        found = {}
        for k in ids:
            found.setdefault(int(out[instance == k][0]), set()).add(k)
        assert sorted(found.values(), key=min) == sorted(groups, key=min)
        assert np.array_equal(merged(instance, classes, 0.0, rng(), 3), instance)


def test_a_split_object_is_the_sum_of_its_halves():
    instance, classes = scene(3)
    out = split(instance, len(classes), 1.0, rng())
    for k in range(1, len(classes)):
        if (instance == k).any():
            assert np.array_equal((out == k) | (out == len(classes) + k), instance == k)
            assert (out == k).any()
            assert (out == len(classes) + k).any()
    assert np.array_equal(semantic_of(out, classes), semantic_of(instance, classes))
    assert np.array_equal(split(instance, len(classes), 0.0, rng()), instance)


def test_only_small_ones_are_missing_and_their_void_with_them():
    instance = np.zeros((40, 60), np.uint16)
    instance[5:15, 5:15], instance[7:13, 7:13] = VOID, 1
    instance[5:35, 25:55], instance[7:33, 27:53] = VOID, 2
    out = without_small(instance, 1.0, rng(), 2, 100)
    assert not out[:, :20].any()
    assert np.array_equal(out[:, 20:], instance[:, 20:])
    assert np.array_equal(without_small(instance, 1.0, rng(), 2, 36), instance)


def test_the_share_is_the_chance():
    instance = np.arange(1, 401, dtype=np.uint16).repeat(4).reshape(400, 4)
    out = without_small(instance, 0.25, rng(5), 0, 5)
    assert 70 < 400 - len(np.setdiff1d(np.unique(out), [0])) < 130


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_seeded_and_leaves_its_input_alone(kind):
    instance, classes = scene(4, band=1)
    before, strength = instance.copy(), 2 if KINDS[kind] == "px" else 0.5
    first, again = (disturb(kind, strength, instance, classes, rng(3), 2, 60) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.dtype == np.uint16
    assert np.array_equal(instance, before)


@pytest.mark.parametrize("kind", ["neighbours merged", "split in two"])
def test_merging_and_splitting_leave_miou_alone(kind):
    instance, classes = scene(1, objects=6)
    semantic = semantic_of(instance, classes)
    assert np.array_equal(classes_of(semantic, instance)[np.unique(instance)], classes[np.unique(instance)])
    guess = np.roll(semantic, 2, 1)
    moved = disturb(kind, 1.0, instance, classes, rng(), 4, 60)
    clean, noisy = (score(guess, semantic_of(i, classes), i) for i in (instance, moved))
    assert clean.scores["mIoU"] == noisy.scores["mIoU"]
    assert clean.scores["IA-mIoU"] != noisy.scores["IA-mIoU"]
