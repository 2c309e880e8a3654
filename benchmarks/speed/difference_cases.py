"""Small maps on which tools differ, the right mIoU of each by a plain loop, and why it is right. Needs NumPy alone.

A digit is a label of three classes, background 0 included; v is void, 255.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

CLASSES, VOID = 3, 255
Pairs = list[tuple[np.ndarray, np.ndarray]]  # (truth, prediction)


@dataclass(frozen=True)
class Case:
    """One question: pairs as text, what is right, and why."""

    key: str
    title: str
    pairs: tuple[tuple[str, str], ...]  # truth, prediction; rows parted by blanks
    why: str
    error: bool = False  # whether refusing is the only right answer

    def maps(self) -> Pairs:
        return [(parse(truth), parse(guess)) for truth, guess in self.pairs]

    def right(self) -> Fraction | float | None:
        """Return the right mIoU, NaN where there is none; None where only an error is right."""
        return None if self.error else miou(self.maps())

    def union(self) -> Fraction | float | None:
        """Return the other convention's value: over all classes with truth or prediction."""
        return None if self.error else miou(self.maps(), union=True)


def parse(text: str) -> np.ndarray:
    return np.array([[VOID if c == "v" else int(c) for c in row] for row in text.split()], np.uint8)


def miou(pairs: Pairs, union: bool = False) -> Fraction | float:
    """Mean over the classes with truth of intersection over union, pixels of all images together, void left out.

    With `union`, over the classes that occur in either map.
    """
    seen, both, either = ([0] * CLASSES for _ in range(3))
    for truth, guess in pairs:
        for t, p in zip(truth.ravel().tolist(), guess.ravel().tolist(), strict=True):
            if t == VOID:
                continue
            seen[t] += 1
            both[t] += t == p
            for c in {t, p}:
                either[c] += 1
    found = [Fraction(both[c], either[c]) for c in range(CLASSES) if (either if union else seen)[c]]
    return sum(found, Fraction(0)) / len(found) if found else math.nan


BASE = "0011 0011 0022 0022"
CASES = (
    Case("plain", "nothing special", ((BASE, "0011 0001 0022 0222"),), "all classes present, nothing void: all agree"),
    Case(
        *("void", "void pixels in the truth, guessed as class 1"),
        (("0011 0011 vv22 vv22", "0011 0001 1122 1122"),),
        "nobody knows what is there, so it counts for nobody: neither as hit nor as false alarm",
    ),
    Case(
        *("absent", "class 2 in neither map"),
        (("0011 0011 0011 0000", "0011 0001 0011 0001"),),
        "a class that the set does not hold has no IoU; 0 or 1 in its place would change the mean by chance",
    ),
    Case(
        *("only-predicted", "class 2 predicted, but not in the truth"),
        (("0011 0011 0011 0000", "0011 0011 0022 0002"),),
        "the authors' rule: the mean is over classes with truth; the false alarms have already cost classes 0 and 1 "
        "(iamiou calls the other convention, in italics, mIoU_union and computes it, too)",
    ),
    Case(
        *("empty", "empty prediction: all background"),
        ((BASE, "0000 0000 0000 0000"),),
        "classes 1 and 2 are missed altogether and count as 0",
    ),
    Case(
        *("two-images", "two images, one easy and one hard"),
        (("0000 0000 0000 0000", "0000 0000 0000 0000"), ("1111 1111 1111 1122", "1111 0000 0000 0022")),
        "pixels of all images are counted together before the ratio; a mean of each image's mIoU is another number",
    ),
    Case("all-void", "all of the truth void", (("vvvv vvvv vvvv vvvv", BASE),), "there is nothing to score: undefined"),
    Case(
        *("void-predicted", "255 in the prediction"),
        ((BASE, "0011 0001 0022 v222"),),
        "a prediction has to name a class everywhere; leaving hard pixels out must not pay "
        "(`--pred-void background` takes it as background)",
        True,
    ),
    Case(
        *("label-predicted", "label 7 of 3 classes in the prediction"),
        ((BASE, "0011 0001 0022 7222"),),
        "a wrong class list or a damaged file: no number means anything",
        True,
    ),
    Case(
        *("label-true", "label 7 of 3 classes in the truth"),
        (("0011 0011 0022 7022", "0011 0001 0022 0222"),),
        "the same, and worse: the pixel would silently be left out of every submission's score",
        True,
    ),
    Case(
        *("size", "prediction one column too narrow"),
        ((BASE, "001 000 002 022"),),
        "there is no telling which pixel belongs to which",
        True,
    ),
)
