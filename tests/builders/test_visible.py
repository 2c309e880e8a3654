"""Overlaps and visible areas from run lengths, against painting with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou.coco import segmentation_to_rle
from iamiou_builders.matching import duplicates, matches
from iamiou_builders.model import Picture, Piece, Resolved
from iamiou_builders.overlaps import intersections, ious, rles_of
from iamiou_builders.painting import paint
from iamiou_builders.sources import Mask
from iamiou_builders.visible import painting_order, visible_areas
from tests.builders.fake_sources import rect, rle

SIZE = (24, 31)
boxes = st.tuples(st.integers(0, 20), st.integers(0, 27), st.integers(1, 24), st.integers(1, 31))


def piece(box: tuple[int, int, int, int], label: int, number: int, hole: bool) -> tuple[Piece, np.ndarray]:
    mask = rect(*box, SIZE)
    if hole:
        mask[::3] = False
        mask[box[0], box[1]] = True
    counts = segmentation_to_rle(rle(mask), *SIZE)["counts"]
    return Piece(label, counts, int(mask.sum()), "coco" if number % 2 else "lvis", number), mask


@given(st.lists(st.tuples(boxes, st.integers(0, 3), st.booleans()), min_size=1, max_size=9))
def test_visible_areas_are_what_painting_leaves(drawn):
    both = [piece(box, label, number, hole) for number, (box, label, hole) in enumerate(drawn, 1)]
    order = painting_order([p for p, _ in both])
    pieces, masks = [both[k][0] for k in order], [both[k][1] for k in order]
    assert [p.area for p in pieces] == sorted((p.area for p in pieces), reverse=True)
    shared = intersections(rles_of([p.counts for p in pieces], *SIZE), [p.area for p in pieces])
    assert shared.tolist() == [[int((a & b).sum()) for b in masks] for a in masks]
    canvas = np.zeros(SIZE, int)
    for number, mask in enumerate(masks, 1):
        canvas[mask] = number
    expected = [int((canvas == k + 1).sum()) for k in range(len(pieces))]
    assert visible_areas(pieces, *SIZE, shared) == expected
    picture = Picture(1, "1.jpg", *SIZE, "val", None, "", "")
    semantic, instance = paint(Resolved(picture, tuple(pieces)))
    labels = np.array([0, *(p.label or 255 for p in pieces)])
    assert np.array_equal(semantic, labels[canvas])
    numbers = np.cumsum([p.label > 0 for p in pieces])
    ids = np.array([0, *(n if p.label else 255 for n, p in zip(numbers, pieces, strict=True))])
    assert np.array_equal(instance, ids[canvas])


def test_ious_are_exact_on_large_masks():
    a, b = rect(0, 0, 1500, 2000, (1700, 2100)), rect(1, 1, 1500, 2000, (1700, 2100))
    rles = [segmentation_to_rle(rle(m), 1700, 2100) for m in (a, b)]
    shared = intersections(rles, [1500 * 2000] * 2)
    assert shared[0, 1] == 1499 * 1999
    assert ious(shared)[0, 1] == 1499 * 1999 / (2 * 1500 * 2000 - 1499 * 1999)


def test_no_masks_no_overlaps():
    assert intersections([], []).shape == (0, 0)


def test_more_masks_than_pycocotools_counts_in_8_bits():
    rles = [segmentation_to_rle(rle(rect(0, k, 2, 2, (4, 400))), 4, 400) for k in range(300)]
    shared = intersections(rles, [4] * 300)
    assert (shared.diagonal() == 4).all()
    assert (np.diag(shared, 1) == 2).all()


@pytest.mark.parametrize(("count", "dtype", "void"), [(254, np.uint8, 255), (255, np.uint16, 65535)])
def test_more_than_254_instances_need_16_bits(count, dtype, void):
    size = (10, 300)
    picture = Picture(1, "1.jpg", *size, "val", None, "", "")
    masks = [rect(0, k, 5, 1, size) for k in range(count)] + [rect(6, 0, 2, 300, size)]
    rles = [segmentation_to_rle(rle(m), *size)["counts"] for m in masks]
    labels = [15] * count + [0]
    pieces = tuple(Piece(label, c, 5, "coco", k) for k, (label, c) in enumerate(zip(labels, rles, strict=True)))
    semantic, instance = paint(Resolved(picture, pieces))
    assert semantic.dtype == np.uint8
    assert instance.dtype == dtype
    assert instance[0, :count].tolist() == list(range(1, count + 1))
    assert set(instance[6:8].ravel().tolist()) == {void}
    assert set(semantic[6:8].ravel().tolist()) == {255}
    assert not instance[9].any()


def mask(number: int, label: int = 8, vertices: int = 4) -> Mask:
    return Mask(number, (label,), "object", False, True, "cat", b"", 1, vertices)


def test_duplicates_stay_with_the_most_vertices_and_then_the_lowest_id():
    masks = [mask(1, vertices=4), mask(2, vertices=9), mask(3, vertices=9), mask(4, label=3, vertices=99)]
    ratios = np.ones((4, 4))
    assert duplicates(masks, range(4), ratios, 0.8) == {2: 1, 0: 1}
    assert duplicates(masks, range(4), np.full((4, 4), 0.8), 0.8) == {}


def test_matches_are_one_to_one_and_greedy():
    masks = [mask(1), mask(2), mask(11), mask(12)]
    ratios = np.array([[1, 0, 0.7, 0.6], [0, 1, 0.9, 0.55], [0.7, 0.9, 1, 0], [0.6, 0.55, 0, 1]])
    assert matches(masks, [0, 1], [2, 3], ratios, 0.5) == {1: 2, 0: 3}
    assert matches(masks, [0, 1], [2, 3], ratios, 0.65) == {1: 2}


def test_equal_matches_go_to_the_lower_ids():
    masks = [mask(2), mask(1), mask(12), mask(11)]
    assert matches(masks, [0, 1], [2, 3], np.ones((4, 4)), 0.5) == {1: 3, 0: 2}
