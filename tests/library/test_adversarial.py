"""Maps made to break a union-find, at a size where anything but linear time would not end."""

from __future__ import annotations

import numpy as np
import pytest

import iamiou
from iamiou.counts import Counts
from iamiou.pairs import PairCounter, Rule, ground_truth_components
from tests.strategies import checkerboard, comb, rings, spiral

SIDE = 2048
PIXELS = SIDE * SIDE
CLASSES = iamiou.ClassList("two", ("background", "one", "two"))
NESTED, PLAIN8, PLAIN4 = Rule(), Rule(components="plain"), Rule(components="plain", connectivity=4)


def count(pred, semantic=None, instance=None, rule: Rule = NESTED) -> Counts:
    """Count one large image; the truth is background unless given."""
    semantic = np.zeros((SIDE, SIDE), np.uint8) if semantic is None else semantic
    counter = PairCounter(CLASSES, rule)
    counter.add("image", np.asarray(pred, np.uint8), semantic, semantic if instance is None else instance)
    return counter.counts()


def phantoms(pred, rule: Rule = NESTED) -> list[list[int]]:
    """Return class and area of every component over a truth without objects."""
    return count(pred, rule=rule).phantoms[:, 1:].tolist()


def test_checkerboard():
    board = checkerboard(SIDE, SIDE)
    assert phantoms(board) == phantoms(board, PLAIN8) == [[1, PIXELS // 2]]
    alone = count(board, rule=PLAIN4).phantoms
    assert len(alone) == PIXELS // 2
    assert (alone[:, 2] == 1).all()


def test_checkerboard_of_two_classes():
    both = checkerboard(SIDE, SIDE) + 1
    assert phantoms(both) == [[1, PIXELS // 2], [2, PIXELS // 2]]


@pytest.mark.parametrize("turn", range(4))
def test_spiral(turn):
    path = np.rot90(spiral(SIDE, SIDE), turn)
    area = int(path.sum())
    for rule in (NESTED, PLAIN8, PLAIN4):
        assert phantoms(path, rule) == [[1, area]]
    arms = phantoms(path + 1)
    assert arms == [[1, PIXELS - area], [2, area]]


@pytest.mark.parametrize("turn", range(4))
def test_comb(turn):
    teeth = np.rot90(comb(SIDE, SIDE), turn)
    assert phantoms(teeth) == phantoms(teeth, PLAIN4) == [[1, int(teeth.sum())]]
    apart = comb(SIDE, SIDE)
    apart[-1] = False
    assert phantoms(np.rot90(apart, turn), PLAIN8) == [[1, SIDE - 1]] * (SIDE // 2)


def test_rings_a_thousand_deep():
    frames = rings(SIDE, SIDE, gap=1)
    mask = frames % 2 == 0
    assert phantoms(mask) == [[1, int(mask.sum())]]
    areas = np.bincount(frames[mask])[::2]
    assert phantoms(mask, PLAIN8) == phantoms(mask, PLAIN4) == [[1, a] for a in sorted(areas.tolist())]


def test_a_million_components_in_one_hole():
    """All dots lie in a frame of their class: one component by the nested rule, however many there are."""
    dots = np.zeros((SIDE, SIDE), bool)
    dots[::2, ::2] = True
    assert phantoms(dots) == [[1, 1]] * int(dots.sum())
    framed = dots.copy()
    framed[[0, -1]] = framed[:, [0, -1]] = True
    assert phantoms(framed) == [[1, int(framed.sum())]]
    framed[0, 5] = False  # an opening on the border: no hole any more
    free = (SIDE // 2 - 2) ** 2  # the others are in the frame or touch it
    assert phantoms(framed) == [[1, 1]] * free + [[1, int(framed.sum()) - free]]


def test_sixty_five_thousand_instances():
    """A grid of 255 x 257 squares, each an instance and a component; the prediction is a pixel to the right."""
    rows, columns = 255, 257
    cell = np.zeros((8, 7), np.uint8)
    cell[1:6, 1:6] = 1
    semantic = np.tile(cell, (rows, columns)).astype(np.uint16)
    ids = np.arange(1, rows * columns + 1).reshape(rows, columns)
    ids[-1, -1] = 65534  # 65535 is void
    ids[-1, -2] = 0
    instance = (np.kron(ids, np.ones((8, 7), int)) * semantic).astype(np.uint16)
    counts = count(np.roll(semantic, 1, axis=1), semantic, instance)
    assert len(counts.instances) == rows * columns - 1
    assert (counts.instances[:, 3:] == [25, 20, 5, 1]).all()
    assert counts.phantoms.tolist() == [[0, 1, 25]]  # the one that no instance claims


def test_one_component_over_sixty_five_thousand_instances():
    """Its false positives are shared among all of them, each share rounded down."""
    semantic = np.zeros((512, 512), np.uint16)
    semantic[::2, ::2] = 1
    instance = np.zeros_like(semantic)
    instance[::2, ::2] = np.minimum(np.arange(1, 65537), 65534).reshape(256, 256)
    counts = count(np.ones((512, 512), np.uint8), semantic, instance)
    assert len(counts.instances) == 65534
    assert (counts.instances[:-1, 3:] == [1, 1, 3, 1]).all()
    assert counts.instances[-1, 3:].tolist() == [3, 3, 9, 1]


def test_components_of_the_truth_stand_in_for_instances_at_any_number():
    dots = np.zeros((SIDE, SIDE), np.uint8)
    dots[::2, ::2] = 1
    assert ground_truth_components(dots).max() == PIXELS // 4
    report = iamiou.score(dots, dots, None, classes=CLASSES)
    assert report.instances_from == "components"
    assert len(report.counts.instances) == PIXELS // 4
    assert report.scores["IA_S"] == 1


@pytest.mark.parametrize(
    ("shape", "touching"),
    [((1, 32768), 16384), ((32768, 1), 16384), ((2, 32768), 16384), ((32768, 2), 1)],
    ids=["a row", "a column", "two rows: pairs above each other", "two columns: one of them filled"],
)
def test_the_longest_maps(shape, touching):
    pred = np.zeros(shape, np.uint8)
    pred.ravel()[::2] = 1
    counts = count(pred, np.ones(shape, np.uint8), np.full(shape, 7, np.uint8))
    assert counts.instances.tolist() == [[0, 7, 1, pred.size, pred.size // 2, 0, touching]]


def test_maps_beyond_the_promised_size_are_refused():
    for dtype in (np.uint8, np.int64):
        long = np.zeros((1, 32769), dtype)
        with pytest.raises(iamiou.InputError, match="32768"):
            iamiou.score(long, long, long)
