"""The oracle itself: cases worked out by hand, the nested rule read twice, another library's labels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from tests import oracles
from tests.oracles import EIGHT, FOUR, Pixels, components, pixels, plain_components, reach
from tests.strategies import NUM_CLASSES, Case, cases, comb, label_maps, shapes, spiral

BULLSEYE = """
.........
.#######.
.#.....#.
.#.###.#.
.#.#.#.#.
.#.###.#.
.#.....#.
.#######.
.........
"""


def draw(picture: str, classes: str = "") -> np.ndarray:
    """Turn a picture into a label map: '.' is 0, '#' is 1, a digit is itself, 'v' is void.

    >>> draw(".#2v")
    array([[  0,   1,   2, 255]], dtype=uint8)
    """
    values = {".": 0, "#": 1, "v": 255} | {str(d): d for d in range(10)}
    return np.array([[values[s] for s in line] for line in picture.split()], dtype=np.uint8)


def expect(pred: str, sem: str, inst: str | None = None, **options) -> oracles.Expected:
    """Run the oracle on pictures."""
    return oracles.one_image(draw(pred), draw(sem), draw(inst or sem), 10, **options)


def nested_by_single_holes(mask: Pixels, shape: tuple[int, int]) -> set[Pixels]:
    """Read the nested rule literally: what lies in a hole of one component joins that component."""
    parts = plain_components(mask, EIGHT)
    everything = frozenset((r, c) for r in range(shape[0]) for c in range(shape[1]))
    border = {(r, c) for r, c in everything if r in (0, shape[0] - 1) or c in (0, shape[1] - 1)}
    outside = {part: reach(border - part, everything - part, FOUR) for part in parts}
    outermost = [a for a in parts if all(b is a or a <= outside[b] for b in parts)]
    return {frozenset().union(*(b for b in parts if b is a or not b <= outside[a])) for a in outermost}


@pytest.mark.parametrize(("connectivity", "count"), [("nested", 1), ("plain8", 2), ("plain4", 2)])
def test_a_ring_in_a_ring_is_one_component_by_the_nested_rule(connectivity, count):
    assert len(components(pixels(draw(BULLSEYE) == 1), (9, 9), connectivity)) == count


def test_three_levels_deep():
    rings = np.minimum.reduce([*np.indices((13, 13)), *(12 - np.indices((13, 13)))])
    assert len(components(pixels(rings % 2 == 0), (13, 13), "nested")) == 1
    assert len(components(pixels(rings % 2 == 0), (13, 13), "plain8")) == 4


def test_the_ring_of_another_class_between_changes_nothing():
    found = expect(BULLSEYE.replace("#.....#", "#22222#").replace("#.###.#", "#2###2#"), BULLSEYE)
    assert [row[-1] for row in found.instances] == [1]
    assert found.instances[0][3] == 32  # 24 pixels of the outer ring and 8 of the inner one


def test_an_opening_on_the_border_is_no_hole():
    assert len(components(pixels(draw("#.# #.# ###") == 1), (3, 3), "nested")) == 1
    open_side = draw("#####. #...#. #.#... #...#. #####.")
    assert len(components(pixels(open_side == 1), (5, 6), "nested")) == 2
    assert len(components(pixels(draw("#...# ....# #...# #####") == 1), (4, 5), "nested")) == 2
    at_the_border = draw("##.## #...# #.#.# #...# #####")
    assert len(components(pixels(at_the_border == 1), (5, 5), "nested")) == 2


def test_a_diagonal_wall_closes_a_hole():
    assert len(components(pixels(draw("..#.. .#.#. #.#.# .#.#. ..#..") == 1), (5, 5), "plain8")) == 1
    far = draw("...#... ..#.#.. .#...#. #..#..# .#...#. ..#.#.. ...#...")
    assert len(components(pixels(far == 1), (7, 7), "nested")) == 1
    assert len(components(pixels(far == 1), (7, 7), "plain8")) == 2
    assert len(components(pixels(far == 1), (7, 7), "plain4")) == 13


def test_a_component_runs_through_void():
    found = expect("#####", "#.v##", "1.v..")  # one component of 4 valid pixels: 1 own, 2 other truth, 1 false
    assert found.instances == ((1, 1, 1, 1, 0, 1),)  # floor(1 * 1 / 3)
    assert found.phantoms == ()


def test_the_shares_of_two_instances_are_rounded_down():
    found = expect("#####", "#.##.", "1.22.")
    assert found.instances == ((1, 1, 1, 1, 0, 1), (2, 1, 2, 2, 1, 1))
    assert found.ious == {1: Fraction(1), 2: Fraction(2, 3)}


def test_phantoms_are_counted_over_valid_pixels_only():
    found = expect("##.#.##", "#...vvv", "1...vvv")
    assert found.instances == ((1, 1, 1, 1, 1, 1),)
    assert found.phantoms == ((1, 1),)  # the component in the void is none


def test_a_component_on_unclaimed_truth_of_its_class_is_a_phantom():
    found = expect("#.#", "#.#", "..2")
    assert found.phantoms == ((1, 1),)
    assert found.ious == {2: Fraction(1)}


def test_an_instance_over_two_classes_takes_the_larger_id():
    found = expect("22233", "22333", "11111")
    assert found.instances == ((1, 3, 5, 2, 0, 1),)
    assert (found.mixed, found.classless) == ((1,), ())
    assert found.phantoms == ((2, 3),)  # the prediction of class 2 touches no instance of class 2


def test_an_instance_on_background_alone_is_none():
    found = expect("##.#", "...#", "22.5")
    assert [row[0] for row in found.instances] == [5]
    assert (found.mixed, found.classless) == ((), (2,))


def test_an_instance_under_void_alone_is_none():
    found = expect("###", "vv#", "771")
    assert [row[0] for row in found.instances] == [1]
    assert found.background is None


def test_void_of_either_map_makes_a_pixel_invalid():
    found = expect("####", "#v##", "11v1")
    assert found.instances == ((1, 1, 2, 2, 0, 1),)
    assert sum(found.truth) == 2


def test_an_instance_that_nothing_touches_scores_zero():
    assert expect("...", "###", "112").ious == {1: Fraction(0), 2: Fraction(0)}


@given(shapes().flatmap(label_maps))
def test_both_readings_of_the_nested_rule_agree(labels):
    for c in range(NUM_CLASSES):
        mask = pixels(labels == c)
        assert set(components(mask, labels.shape, "nested")) == nested_by_single_holes(mask, labels.shape)


@given(cases())
def test_the_parts_of_an_image_add_up(case: Case):
    found = oracles.one_image(case.pred, case.semantic, case.instance, NUM_CLASSES)
    assert sum(found.truth) == sum(found.prediction) == np.sum((case.semantic != 255) & (case.instance != 255))
    for k, _, area, tp, fp, touching in found.instances:
        assert k not in found.classless
        assert 0 <= tp <= area
        assert (tp == 0) == (touching == 0) <= (fp == 0)


@given(shapes(24).flatmap(label_maps))
def test_scikit_image_labels_alike(labels):
    measure = pytest.importorskip("skimage.measure")
    for name, steps in (("plain4", 1), ("plain8", 2)):
        theirs = measure.label(labels == 1, connectivity=steps)
        ours = components(pixels(labels == 1), labels.shape, name)
        assert set(ours) == {pixels(theirs == k) for k in range(1, theirs.max() + 1)}


def test_the_adversaries_are_what_their_names_say():
    for mask in (spiral(15, 22), spiral(22, 15), comb(9, 14)):
        assert len(components(pixels(mask), mask.shape, "plain4")) == 1
    assert len(components(pixels(comb(9, 14)[:-1]), (8, 14), "plain8")) == 7
