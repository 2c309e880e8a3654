"""Geometry of the chart of sizes: shares of instances by area, as steps over a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from iamiou.charts import Zone, decades, short
from iamiou_builders.stats import EDGES


@dataclass(frozen=True)
class Curve:
    """One data set: its name, the class of its style, and SVG path data of its steps and of the area below them."""

    name: str
    style: str
    line: str
    fill: str


@dataclass(frozen=True)
class SizeChart:
    """Coordinates of the chart.

    Parameters
    ----------
    width, height : int
    left, right, top, bottom : float
        Frame.
    x_ticks, y_ticks, edges : list of (float, str)
        Position and text.
    zones : list of Zone
        The size bins, with the instances of the first data set.
    curves : list of Curve
    """

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    edges: list[tuple[float, str]]
    zones: list[Zone]
    curves: list[Curve]


def size_chart(
    width: int,
    height: int,
    series: Sequence[tuple[str, str, Sequence[int]]],
    edges: tuple[int, ...],
    names: tuple[str, ...],
    counts: Sequence[int],
) -> SizeChart:
    """Lay out the chart.

    Parameters
    ----------
    width, height : int
    series : sequence of (name, style, counts)
        Counts between the borders of `iamiou_builders.stats.EDGES`; each is drawn as shares of its sum.
    edges : tuple of int
        Pixels at which size bins begin.
    names : tuple of str
        Of the size bins.
    counts : sequence of int
        Instances of the first data set in each size bin.
    """
    left, right, top, bottom = 44.0, width - 12.0, 34.0, height - 40.0
    shares = [[100 * n / max(1, sum(values)) for n in values] for _, _, values in series]
    highest = max((v for values in shares for v in values), default=1.0)
    step = next(s for s in (1, 2, 5, 10, 20, 25, 50, 100) if highest <= 5 * s)
    ceiling = step * math.ceil(max(highest, 1e-9) / step)
    low, high = math.log(EDGES[0]), math.log(EDGES[-1])

    def x(area: float) -> float:
        return left + (math.log(area) - low) / (high - low) * (right - left)

    def y(share: float) -> float:
        return bottom - share / ceiling * (bottom - top)

    walls = [left, *(min(max(x(e), left), right) for e in edges), right]
    return SizeChart(
        width, height, left, right, top, bottom,
        x_ticks=[(x(t), short(t)) for t in decades(EDGES[0], EDGES[-1])],
        y_ticks=[(y(v), f"{v} %") for v in range(0, ceiling + 1, step)],
        edges=[(x(e), _squared(e)) for e in edges if left < x(e) < right],
        zones=[Zone(a, b, n, c) for n, c, (a, b) in zip(names, counts, pairwise(walls), strict=True)],
        curves=[
            Curve(name, style, *_steps([x(e) for e in EDGES], [y(v) for v in values], bottom))
            for (name, style, _), values in zip(series, shares, strict=True)
        ],
    )  # fmt: skip


def _steps(x: Sequence[float], y: Sequence[float], bottom: float) -> tuple[str, str]:
    """Return a line of steps, and the same closed along the axis.

    >>> _steps([0, 1, 2], [5, 3], 9)
    ('M0.0 5.0H1.0V3.0H2.0', 'M0.0 9.0V5.0H1.0V3.0H2.0V9.0z')
    """
    parts = [f"H{x[1]:.1f}", *(f"V{v:.1f}H{end:.1f}" for v, end in zip(y[1:], x[2:], strict=True))]
    steps = "".join(parts)
    return f"M{x[0]:.1f} {y[0]:.1f}{steps}", f"M{x[0]:.1f} {bottom:.1f}V{y[0]:.1f}{steps}V{bottom:.1f}z"


def _squared(edge: int) -> str:
    """Write an edge as a square where it is one.

    >>> _squared(1024), _squared(1000)
    ('32²', '1,000')
    """
    side = math.isqrt(edge)
    return f"{side}²" if side * side == edge else f"{edge:,}"
