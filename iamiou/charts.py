"""Geometry of the report page's charts: numbers in, coordinates and SVG path data out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iamiou.curves import AreaCurve, SizeHistogram
from iamiou.scores import bin_of

#: More dots than this make the page heavy and the chart no clearer; every k-th is drawn.
DOTS = 2000


@dataclass(frozen=True)
class Zone:
    """One size bin along the x axis: its ends in the drawing, its name and the number of its instances."""

    left: float
    right: float
    name: str
    count: int

    @property
    def middle(self) -> float:
        """Centre of the zone."""
        return (self.left + self.right) / 2


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram; ``top`` of all instances, ``found`` the top of those that were found."""

    x: float
    width: float
    top: float
    found: float
    range: str
    count: int
    hits: int


@dataclass(frozen=True)
class AreaChart:
    """Coordinates of the curve (upper panel) and the histogram (lower panel) over one x axis.

    Parameters
    ----------
    width, height : int
        Size of the drawing.
    left, right, top, middle, upper, bottom : float
        Frame: the upper panel spans ``top`` to ``middle``, the lower ``upper`` to ``bottom``.
    x_ticks, y_ticks, count_ticks : list of (float, str)
        Position and text.
    edges : list of (float, str)
        Borders of the size bins.
    zones, bars : list
    dots, band, line : str
        Path data; ``line`` and ``band`` have one piece for each stretch on which the curve is defined.
    hover : list of list of float
        (x, y, area, IoU, low, high, support) along the curve, for the read-out under the pointer.
    dots_shown : int
        How many of the instances the dots show.
    """

    width: int
    height: int
    left: float
    right: float
    top: float
    middle: float
    upper: float
    bottom: float
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    count_ticks: list[tuple[float, str]]
    edges: list[tuple[float, str]]
    zones: list[Zone]
    bars: list[Bar]
    dots: str
    band: str
    line: str
    hover: list[list[float | None]]
    dots_shown: int


def area_chart(
    width: int,
    height: int,
    curve: AreaCurve,
    histogram: SizeHistogram,
    area: NDArray[np.int64],
    iou: NDArray[np.float64],
    bins: tuple[int, ...],
    names: tuple[str, ...],
) -> AreaChart:
    """Lay out the IoU-against-area curve above the histogram of sizes.

    Parameters
    ----------
    width, height : int
        Size of the drawing, in CSS pixels at which its text has its true size.
    curve, histogram
        What `iamiou.curves` computed; not empty.
    area, iou : ndarray, shape (M,)
        The instances, drawn as dots.
    bins : tuple of int
        Sides that part the size bins.
    names : tuple of str
        Names of the size bins, one more than ``bins``.
    """
    left, right, top, bottom = 40.0, width - 12.0, 34.0, height - 40.0
    middle = top + 0.68 * (bottom - top)
    upper = middle + 34.0
    low, high = np.log(histogram.edges[0]), np.log(histogram.edges[-1])

    def x(value: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(left + (np.log(value) - low) / (high - low) * (right - left))

    def y(value: ArrayLike) -> NDArray[np.float64]:
        return middle - np.asarray(value) * (middle - top)

    ceiling, counts = count_ticks(int(histogram.count.max()))
    edges = [(float(x(side * side)), f"{side}²") for side in bins]
    which = bin_of(area, bins)
    walls = [left, *(min(max(e, left), right) for e, _ in edges), right]
    zones = [
        Zone(a, b, name, int((which == i).sum()))
        for i, (name, (a, b)) in enumerate(zip(names, pairwise(walls), strict=True))
    ]
    every = -(-len(area) // DOTS)
    order = np.argsort(area, kind="stable")[::every]
    cx, cy = x(curve.area), y(curve.iou)
    return AreaChart(
        width, height, left, right, top, middle, upper, bottom,
        x_ticks=[(float(x(t)), short(t)) for t in decades(histogram.edges[0], histogram.edges[-1])],
        y_ticks=[(float(y(v)), f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)],
        count_ticks=[(bottom - c / ceiling * (bottom - upper), str(c)) for c in counts],
        edges=[(e, text) for e, text in edges if left < e < right],
        zones=zones,
        bars=_bars(histogram, x(histogram.edges), upper, bottom, ceiling),
        dots="".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x(area[order]), y(iou[order]), strict=True)),
        band=_band(cx, y(curve.low), y(curve.high)),
        line=_line(cx, cy),
        hover=_hover(curve, cx, cy),
        dots_shown=len(order),
    )  # fmt: skip


def _bars(h: SizeHistogram, x: NDArray[np.float64], upper: float, bottom: float, ceiling: int) -> list[Bar]:
    """Lay out the bars that hold something, with a hair of space between them."""
    unit = (bottom - upper) / ceiling
    return [
        Bar(
            x[i] + 0.75, max(x[i + 1] - x[i] - 1.5, 0.5), bottom - h.count[i] * unit, bottom - h.found[i] * unit,
            f"{np.ceil(h.edges[i]):,.0f} to {np.ceil(h.edges[i + 1]) - 1:,.0f}", int(h.count[i]), int(h.found[i]),
        )
        for i in range(len(h.count))
        if h.count[i]
    ]  # fmt: skip


def _pieces(y: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return the indices of every unbroken stretch without NaN.

    >>> [p.tolist() for p in _pieces(np.array([np.nan, 1, 2, np.nan, 3]))]
    [[1, 2], [4]]
    """
    good = np.flatnonzero(~np.isnan(y))
    return [p for p in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1) if len(p)]


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return "".join("M" + "L".join(f"{x[i]:.1f} {y[i]:.1f}" for i in p) for p in _pieces(y))


def _band(x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    out = ""
    for p in _pieces(low):
        there = [f"{x[i]:.1f} {low[i]:.1f}" for i in p]
        back = [f"{x[i]:.1f} {high[i]:.1f}" for i in p[::-1]]
        out += "M" + "L".join(there + back) + "z"
    return out


def _hover(curve: AreaCurve, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[list[float | None]]:
    rows = np.column_stack([x, y, curve.area, curve.iou, curve.low, curve.high, curve.support])
    digits = (1, 1, 0, 3, 3, 3, 0)
    keep = ~np.isnan(curve.iou)
    return [
        [None if np.isnan(v) else round(float(v), d) for v, d in zip(row, digits, strict=True)] for row in rows[keep]
    ]


def decades(low: float, high: float) -> list[int]:
    """Return the powers of ten between two areas, with 2 and 5 in between when there are few.

    >>> decades(80, 200_000), decades(300, 2500)
    ([100, 1000, 10000, 100000], [500, 1000, 2000])
    """
    powers = [10**k for k in range(11)]
    ticks = [p for p in powers if low <= p <= high]
    return ticks if len(ticks) > 2 else [m * p for p in powers for m in (1, 2, 5) if low <= m * p <= high]


def short(value: float) -> str:
    """Write a round number shortly.

    >>> [short(v) for v in (10, 1000, 20_000, 1_000_000)]
    ['10', '1k', '20k', '1M']
    """
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def count_ticks(largest: int) -> tuple[int, list[int]]:
    """Return the top of a count axis and two to four round ticks from 0.

    >>> count_ticks(37), count_ticks(1), count_ticks(1300)
    ((40, [0, 20, 40]), (1, [0, 1]), (1500, [0, 500, 1000, 1500]))
    """
    step = 1
    for base in (10**k for k in range(10)):
        for m in (1, 2, 5):
            step = m * base
            if step * 3 >= largest:
                top = -(-max(largest, 1) // step) * step
                return top, list(range(0, top + 1, step))
    return largest, [0, largest]
