"""Count one image with the library and with the oracle, and compare every integer of the two."""

from __future__ import annotations

import numpy as np

import iamiou
from iamiou.counts import Counts
from iamiou.pairs import PairCounter, Rule
from tests import oracles
from tests.strategies import NUM_CLASSES, Case

CLASSES = iamiou.ClassList("four", ("background", "one", "two", "three"))
RULES = {
    "nested": Rule(),
    "plain8": Rule(components="plain"),
    "plain4": Rule(components="plain", connectivity=4),
}


def counted(pred, semantic, instance, connectivity: str = "nested", *, classes=CLASSES) -> Counts:
    """Count one image with the library."""
    counter = PairCounter(classes, RULES[connectivity])
    counter.add("image", pred, semantic, instance)
    return counter.counts()


def count_case(case: Case, connectivity: str = "nested") -> Counts:
    """Count one drawn case with the library."""
    return counted(case.pred, case.semantic, case.instance, connectivity)


def expected(case: Case, connectivity: str = "nested") -> oracles.Expected:
    """Count one drawn case with the oracle."""
    return oracles.one_image(
        case.pred,
        case.semantic,
        case.instance,
        NUM_CLASSES,
        connectivity=connectivity,
        sem_void=case.void,
        inst_void=case.void,
    )


def agree(counts: Counts, oracle: oracles.Expected) -> None:
    """Compare every integer of one image."""
    assert counts.confusion.tolist() == [list(row) for row in oracle.confusion]
    assert counts.truth.tolist() == [list(oracle.truth)]
    assert counts.prediction.tolist() == [list(oracle.prediction)]
    assert counts.hit.tolist() == [list(oracle.hit)]
    assert counts.instances.tolist() == [[0, *row] for row in oracle.instances]
    assert counts.phantoms.tolist() == [[0, *row] for row in oracle.phantoms]


def random_case(seed: int, shape: tuple[int, int], void: int = 255, ids: int = 200) -> Case:
    """Draw noise with large patches, too large for Hypothesis to shrink."""
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if void == 255 else np.uint16
    coarse = rng.integers(0, NUM_CLASSES, (-(-shape[0] // 9), -(-shape[1] // 9)))
    semantic = np.kron(coarse, np.ones((9, 9), int))[: shape[0], : shape[1]].astype(dtype)
    pred = np.where(rng.random(shape) < 0.3, rng.integers(0, NUM_CLASSES, shape), np.roll(semantic, 2, 1))
    instance = np.where(semantic, rng.integers(0, 4, shape) * (ids // 4) + 1 + semantic, 0).astype(dtype)
    semantic[rng.random(shape) < 0.05] = void
    instance[:, 3:5] = void
    return Case(pred.astype(np.uint8), semantic, instance, void)
