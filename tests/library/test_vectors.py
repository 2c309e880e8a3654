"""The ten test vectors of the metric's definition, computed there by the authors' released program.

Maps are 40 x 40, ranges are half open (rows, columns), everything else is 0. The library and the oracle of
these tests meet the same numbers, which neither of them produced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest

import iamiou
from tests import oracles

VOID = 255
CLASSES = iamiou.ClassList("four", ("background", "one", "two", "three"))
#: (label, first row, end row, first column, end column), painted in this order.
Box = tuple[int, int, int, int, int]

G1: Box = (1, 5, 15, 5, 15)
G2: Box = (1, 5, 15, 20, 25)
BOTH: Box = (1, 5, 15, 5, 25)
RING: tuple[Box, ...] = ((1, 5, 35, 5, 35), (0, 10, 30, 10, 30))
DOT: Box = (1, 18, 22, 18, 22)


@dataclass(frozen=True)
class Vector:
    """Boxes of the truth (one instance each, in order), of void, of the prediction; and what comes out.

    ``cut`` are boxes that the truth loses (the inside of a ring). ``ious`` are the IA-IoUs by instance.
    """

    truth: tuple[Box, ...]
    pred: tuple[Box, ...]
    ious: tuple[Fraction, ...] = ()
    background: float | None = None
    phantoms: tuple[tuple[int, int], ...] = ()
    void: tuple[Box, ...] = ()
    cut: tuple[Box, ...] = ()
    class_sums: dict[int, float] = field(default_factory=dict)

    def maps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (prediction, semantic truth, instance truth)."""
        pred, sem, inst = (np.zeros((40, 40), dtype=np.uint8) for _ in range(3))
        for label, *box in self.pred:
            fill(pred, box, label)
        for k, (label, *box) in enumerate(self.truth, start=1):
            fill(sem, box, label)
            fill(inst, box, k)
        for label, *box in (*self.cut, *self.void):
            fill(sem, box, label)
            fill(inst, box, label)
        return pred, sem, inst


def fill(image: np.ndarray, box: list[int], label: int) -> None:
    """Paint one box."""
    top, bottom, left, right = box
    image[top:bottom, left:right] = label


TWO = (Fraction(100, 133), Fraction(50, 66))
VECTORS = {
    "1 a component over two instances": Vector((G1, G2), (BOTH,), TWO, 0.965517, class_sums={1: 1.509455}),
    "2 a phantom costs background only": Vector(
        (G1, G2), (BOTH, (1, 30, 38, 30, 38)), TWO, 0.921379, phantoms=((1, 64),), class_sums={1: 1.509455}
    ),
    "3 touching at a corner": Vector((G1,), (G1, (1, 15, 20, 15, 20)), (Fraction(100, 125),)),
    "4 the nested rule": Vector((DOT,), (*RING, DOT), (Fraction(16, 516),), class_sums={1: 0.031008}),
    "5 a ring": Vector((RING[0],), RING, (Fraction(1),), 1.0, cut=(RING[1],)),
    "6a void beside an instance": Vector(
        (G1,), ((1, 5, 15, 5, 17),), (Fraction(1),), 1.0, void=((VOID, 5, 15, 15, 17),)
    ),
    "6b through void and out": Vector(
        (G1,), ((1, 5, 15, 5, 20),), (Fraction(100, 130),), void=((VOID, 5, 15, 15, 17),)
    ),
    "7 two components on one instance": Vector(
        (BOTH,), ((1, 5, 15, 3, 12), (1, 5, 15, 18, 27)), (Fraction(140, 240),), class_sums={1: 0.583333}
    ),
    "8 another class under the component": Vector(
        (G1, G2, (2, 5, 15, 26, 30)),
        ((1, 5, 15, 5, 30),),
        (Fraction(100, 166), Fraction(50, 83), Fraction(0)),
        class_sums={1: 1.204819, 2: 0.0},
    ),
    "9 background only": Vector((), ((3, 0, 4, 0, 4),), (), 0.99, phantoms=((3, 16),)),
    "10 one class fills the image": Vector(((2, 0, 40, 0, 40),), (), (Fraction(0),), class_sums={2: 0.0}),
}


def close(value: float, printed: float) -> bool:
    """Compare with a number that the table gives to six decimals."""
    return abs(value - printed) <= 0.5000001e-6


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
def test_the_oracle_gives_the_vector(vector: Vector):
    found = oracles.one_image(*vector.maps(), len(CLASSES))
    assert tuple(found.ious.values()) == vector.ious
    assert found.phantoms == vector.phantoms
    if vector.background is not None:
        assert close(float(found.background), vector.background)
    for c, total in vector.class_sums.items():
        assert close(sum(float(found.ious[row[0]]) for row in found.instances if row[1] == c), total)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
def test_the_library_gives_the_vector(vector: Vector):
    report = iamiou.score(*vector.maps(), classes=CLASSES)
    counts = report.counts
    rows = counts.instances
    assert [Fraction(int(r[4]), int(r[3] + r[5])) for r in rows] == list(vector.ious)
    assert [(int(c), int(area)) for _, c, area in counts.phantoms] == list(vector.phantoms)
    assert report.instances["iou"].tolist() == [float(iou) for iou in vector.ious]
    for c, total in vector.class_sums.items():
        assert close(sum(r[4] / (r[3] + r[5]) for r in rows if r[2] == c), total)
    hit, union = counts.hit[0, 0], counts.truth[0, 0] + counts.prediction[0, 0] - counts.hit[0, 0]
    if vector.background is not None:
        assert close(hit / union, vector.background)


def test_the_background_counts_as_one_instance_where_there_is_some():
    nine = iamiou.score(*VECTORS["9 background only"].maps(), classes=CLASSES)
    assert nine.scores["IA-mIoU"] == 0.99
    assert math.isnan(nine.scores["IA-mIoU_fg"])
    ten = iamiou.score(*VECTORS["10 one class fills the image"].maps(), classes=CLASSES)
    assert ten.scores["IA-mIoU"] == ten.scores["IA-mIoU_fg"] == 0
