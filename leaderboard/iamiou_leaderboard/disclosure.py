"""What of a score may be shown: rounding and suppression on the hidden split, everything on the public one.

The rules are applied here and nowhere else, and pages, json, exports and errors get only what went through them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from iamiou_leaderboard.board import FEW_IMAGES, FEW_INSTANCES
from iamiou_leaderboard.types import HIDDEN, Cell

#: Digits of a score from 0 to 1 at which rows tie, and beyond which the hidden split shows nothing.
DIGITS = 3

#: [class][size, the last for all] -> (instances, images)
Support = tuple[tuple[tuple[int, int], ...], ...]


def shown(value: float | None, split: str, digits: int = DIGITS) -> float | None:
    """Return a value as a split shows it; None where it is undefined.

    Examples
    --------
    >>> shown(0.54321, "public"), shown(0.54321, "hidden"), shown(float("nan"), "hidden")
    (0.54321, 0.543, None)
    """
    if value is None or not math.isfinite(value):
        return None
    return round(value, digits) if split == HIDDEN else value


def is_few(instances: int, images: int) -> bool:
    """Tell whether a number rests on too little to be shown of hidden images.

    Examples
    --------
    >>> is_few(10, 5), is_few(9, 9), is_few(100, 4)
    (False, True, True)
    """
    return instances < FEW_INSTANCES or images < FEW_IMAGES


def headline(report: Mapping[str, Any], split: str) -> dict[str, Cell]:
    """Return every headline score of a score json as the split shows it."""
    hidden = _hidden_scores(report) if split == HIDDEN else frozenset()
    out = {}
    for name, value in report["scores"].items():
        rests = report["support"][name]
        if name in hidden:
            out[name] = Cell(suppressed=True)
            continue
        low, high = report["intervals"].get(name, (None, None))
        ends = (shown(low, split), shown(high, split))
        out[name] = Cell(shown(value, split), *ends, rests["instances"], rests["images"])
    out["phantoms"] = Cell(shown(phantoms_an_image(report), split, 1), images=report["images"])
    return out


def phantoms_an_image(report: Mapping[str, Any]) -> float | None:
    """Return how many components an image has that touch no object of their class."""
    numbers = [row["phantoms"]["count"] for row in report["classes"]]
    return None if None in numbers else sum(numbers) / report["images"]


def class_cells(report: Mapping[str, Any], split: str, support: Support, sizes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the table of classes: IoU, IA-IoU, precision, recall and sizes as cells, and phantoms."""
    out = []
    for c, row in enumerate(report["classes"]):
        line: dict[str, Any] = {"name": row["name"]}
        for name in ("IoU", "IA-IoU", "precision", "recall"):
            line[name] = class_cell(row[name], split, support, c)
        for k, size in enumerate(sizes):
            line[size] = class_cell(row[size]["IA-IoU"], split, support, c, k)
        out.append(line | {"phantoms": None if split == HIDDEN else row["phantoms"]["count"]})
    return out


def class_cell(value: float | None, split: str, support: Support, c: int, k: int = -1) -> Cell:
    """Return one cell of the table of classes; ``k`` is the size, -1 for all sizes."""
    if split == HIDDEN and (c, k % len(support[c])) in suppressed(support):
        return Cell(suppressed=True)
    instances, images = support[c][k]
    return Cell(shown(value, split), instances=instances, images=images)


@lru_cache(maxsize=32)
def suppressed(support: Support) -> frozenset[tuple[int, int]]:
    """Name the cells (class, size; the last size stands for all) that the hidden split does not show.

    Those that rest on too little, and as many more as it takes that none of these follows from the rest: the mean
    over sizes of a class, and the mean over classes of a size, would give away a single missing one.

    Examples
    --------
    >>> small, large = (3, 3), (50, 40)
    >>> sorted(suppressed((((0, 0), (0, 0), (60, 60)), (small, large, (53, 41)), (large, large, (100, 70)))))
    [(1, 0), (1, 1), (2, 0), (2, 1)]
    """
    cells = {(c, k): cell for c, row in enumerate(support) for k, cell in enumerate(row) if cell[0]}
    out = {place for place, cell in cells.items() if is_few(*cell)}
    last = len(support[0]) - 1
    while True:
        groups = [[(c, k) for k in range(last)] for c in range(len(support)) if (c, last) not in out]
        groups += [[(c, k) for c in range(len(support))] for k in range(last + 1)]
        found = {extra for group in groups if (extra := _companion([p for p in group if p in cells], cells, out))}
        if not found:
            return frozenset(out)
        out |= found


def _companion(
    group: list[tuple[int, int]], cells: Mapping[tuple[int, int], tuple[int, int]], out: set[tuple[int, int]]
) -> tuple[int, int] | None:
    """Return the smallest cell beside a single one that is suppressed."""
    if sum(place in out for place in group) != 1:
        return None
    return min((place for place in group if place not in out), key=lambda place: (cells[place], place), default=None)


def _hidden_scores(report: Mapping[str, Any]) -> frozenset[str]:
    """Name the headline scores that are not shown of hidden images."""
    rests = report["support"]
    few = {name for name, s in rests.items() if is_few(s["instances"], s["images"])}
    sizes = [name for name in rests if name.startswith("found@50_")]  # their weighted mean is found@50
    alone = [name for name in sizes if name in few and rests[name]["instances"]]
    others = [name for name in sizes if name not in few]
    if len(alone) == 1 and others and "found@50" not in few:
        few.add(min(others, key=lambda name: int(rests[name]["instances"])))
    ends = [name for name in rests if name.startswith("IA_")]
    if few.intersection((ends[:1] + ends[-1:]) if ends else ()):
        few.add("gap_SL")
    return frozenset(few)
