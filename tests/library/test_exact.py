"""Sums without rounding: any split and any order gives the bits that `math.fsum` gives for all at once."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou.counts import AREA, FP, IMAGE, TP
from iamiou.errors import InputError
from iamiou.exact import added, exact_sum, exact_sums, rounded
from iamiou.scores import class_scores, classes_with_gap, headline, headline_of, support, support_of
from iamiou.sums import summarise
from iamiou.tally import merge_tallies, tally_of
from tests.made_counts import random_counts

FINITE = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = random_counts(40, classes=7, rare=2)
BINS = (32, 96)


@given(st.lists(FINITE, max_size=40))
def test_the_sum_is_exact_and_rounded_once(values):
    total = exact_sum(values)
    assert Fraction(total, 2**1074) == sum(map(Fraction, values))
    try:
        expected = math.fsum(values)
    except OverflowError:
        return  # some values of the order of 1e308; IoUs are far from there
    assert rounded(total) == expected


@given(st.lists(st.tuples(st.integers(0, 3), FINITE), max_size=40), st.randoms(use_true_random=False))
def test_keys_are_summed_apart_whatever_the_split(pairs, random):
    expected = [sum(Fraction(v) for k, v in pairs if k == key) for key in range(4)]
    random.shuffle(pairs)
    cut = random.randint(0, len(pairs))
    parts = []
    for part in (pairs[:cut], pairs[cut:]):
        keys, values = np.array([k for k, _ in part], np.int64), np.array([v for _, v in part], np.float64)
        parts.append(exact_sums(keys, values, 4))
    assert [Fraction(total, 2**1074) for total in added(*parts)] == expected


@pytest.mark.parametrize("value", [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -0.1, 1 / 3])
def test_the_ends_of_the_numbers(value):
    assert rounded(exact_sum([value])) == value
    assert rounded(exact_sum([value] * 3) - exact_sum([value] * 2)) == value


def test_ties_go_to_the_even_number():
    assert rounded(exact_sum([1.0, 2.0**-53])) == 1.0
    assert rounded(exact_sum([1.0, 2.0**-52, 2.0**-53])) == 1.0 + 2.0**-51
    assert rounded(exact_sum([1.0, 2.0**-53, 5e-324])) == 1.0 + 2.0**-52


@given(st.lists(st.integers(0, 4), min_size=40, max_size=40), st.permutations(range(5)))
def test_tallies_of_any_split_give_the_scores_of_all_at_once(where, order):
    groups = [[name for name, k in zip(COUNTS.images, where, strict=True) if k == group] for group in order]
    parts = [tally_of(COUNTS.select(names), BINS) for names in groups]
    # A tree of another shape than a row.
    merged = merge_tallies([merge_tallies(parts[:2]), merge_tallies([*parts[2:]])])
    same_bytes(merged, COUNTS)


def same_bytes(tally, counts):
    """Hold all that a report takes from a tally against what it takes from the counts themselves."""
    assert tally.images == counts.images
    found, expected = headline_of(tally.totals, BINS), headline(counts, BINS)
    assert [v.hex() for v in found.values()] == [v.hex() for v in expected.values()]
    gap_images = tally.entries.images_with(classes_with_gap(tally.totals))
    assert support_of(tally.totals, gap_images, BINS) == support(counts, BINS)
    one, two = tally.summary(), summarise(counts, BINS)
    for name in ("starts", "column", "value", "top", "bottom", "need"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name


def test_class_scores_are_those_of_fsum():
    """Means by class and bin, from the rows, with the sums of the standard library."""
    per, rows = class_scores(COUNTS, BINS), COUNTS.instances
    for c in range(1, COUNTS.num_classes):
        mine = [tp / (area + fp) for _, _, label, area, tp, fp, _ in rows.tolist() if label == c]
        if not mine:
            assert math.isnan(per.ia_iou[c])
            continue
        assert per.ia_iou[c] == math.fsum(mine) / len(mine)
        small = [r[TP] / (r[AREA] + r[FP]) for r in rows.tolist() if r[2] == c and r[AREA] < 1024]
        expected = math.fsum(small) / len(small) if small else math.nan
        assert per.ia_iou_by_bin[c, 0] == expected or (math.isnan(expected) and math.isnan(per.ia_iou_by_bin[c, 0]))
    assert len(set(rows[:, IMAGE])) > 10


def test_an_image_counts_once():
    tally = tally_of(COUNTS, BINS)
    with pytest.raises(InputError, match="occur in more than one"):
        merge_tallies([tally, tally])
