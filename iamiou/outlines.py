"""The border of a mask as SVG path data along the edges of its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]


def outline(mask: NDArray[np.bool_]) -> str:
    """Trace the border between True and False as closed SVG paths along the pixels' edges.

    Where the mask reaches the border of the array it is taken to go on beyond it, so that no line runs
    along the border of a crop.

    >>> mask = np.zeros((4, 5), bool)
    >>> mask[1:3, 1:4] = True
    >>> outline(mask)
    'M1 1h3v2h-3z'
    """
    padded = np.pad(np.pad(mask, 1, mode="edge"), 1).astype(np.int8)
    following: dict[Point, list[Point]] = {}
    for axis in (0, 1):
        step = np.diff(padded, axis=axis)
        for y, x in zip(*(a.tolist() for a in np.nonzero(step)), strict=True):
            # Coordinates of the edge's ends in the unpadded mask; inside lies to the right of the direction.
            a = (x - 2, y - 1) if axis == 0 else (x - 1, y - 2)
            b = (a[0] + 1, a[1]) if axis == 0 else (a[0], a[1] + 1)
            forward = (step[y, x] > 0) == (axis == 0)
            start, stop = (a, b) if forward else (b, a)
            following.setdefault(start, []).append(stop)
    loops: list[str] = []
    while following:
        here = min(following, key=lambda p: (p[1], p[0])) if not loops else next(iter(following))
        loops.append(_loop(following, here))
    return "".join(loops)


def _loop(following: dict[Point, list[Point]], start: Point) -> str:
    """Walk one closed loop, taking its edges out of the table; straight stretches become one command."""
    here = start
    steps: list[list[int]] = []
    while True:
        stops = following[here]
        there = stops.pop()
        if not stops:
            del following[here]
        dx, dy = there[0] - here[0], there[1] - here[1]
        if steps and (steps[-1][0] == 0) == (dx == 0):
            steps[-1][0] += dx
            steps[-1][1] += dy
        else:
            steps.append([dx, dy])
        here = there
        if here == start:
            break
    if len(steps) > 1 and (steps[-1][0] == 0) != (steps[0][0] == 0):
        steps.pop()  # z draws it
    return f"M{start[0]} {start[1]}" + "".join(f"h{x}" if x else f"v{y}" for x, y in steps) + "z"
