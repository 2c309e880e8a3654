"""Geometry of the pages' charts: numbers in, coordinates and SVG path data out; the style sheet gives the looks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iamiou.charts import decades, short
from iamiou_leaderboard.types import BoardRow, HistoryPoint

#: More marks than this make the page heavy and the chart no clearer; every k-th is drawn.
MARKS = 1500
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """One dot: its place, who it is, its whiskers as path data, and where its label stands ("" for none)."""

    x: float
    y: float
    id: str | None = None
    title: str = ""
    label: str = ""
    anchor: str = "start"
    label_x: float = 0.0
    label_y: float = 0.0
    whiskers: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Chart:
    """A frame with ticks, marks and lines, all in the drawing's own units (CSS pixels at its true size)."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()
    x_name: str = ""
    y_name: str = ""
    marks: Sequence[Mark] = ()
    line: str = ""
    band: str = ""
    diagonal: str = ""
    walls: Sequence[tuple[float, str]] = field(default=())


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values that cover a range.

    >>> nice_ticks(0.21, 0.44), nice_ticks(0.5, 0.5)
    ([0.2, 0.25, 0.3, 0.35, 0.4, 0.45], [0.48, 0.49, 0.5, 0.51, 0.52])
    """
    if high - low < 0.02:
        low, high = low - 0.015, high + 0.015
    steps = [m * 10.0**k for k in (-3, -2, -1, 0) for m in (1, 2, 5)]
    step = next((s for s in steps if (high - low) / s <= most), 1.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 6) for i in range(max(first, 0) if low >= 0 else first, last + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda v: start + (v - low) / span * (end - start)


def size_against_miou(
    rows: Sequence[BoardRow], width: int, height: int, y_column: str = "IA_S", x_column: str = "mIoU"
) -> Chart | None:
    """Draw one dot a method, IA_S against mIoU with its intervals; None when no row has both.

    Parameters
    ----------
    rows : sequence of BoardRow
    width, height : int
        Of the drawing.
    y_column, x_column : str
        Which cells.
    """
    found = [
        (row, row.cells[x_column].value, row.cells[y_column].value)
        for row in rows
        if x_column in row.cells and y_column in row.cells
    ]
    points = [(row, x, y) for row, x, y in found if x is not None and y is not None]
    if not points:
        return None
    left, right, top, bottom = 48.0, width - 16.0, 20.0, height - 44.0
    rows_shown = [row for row, _, _ in points]
    x_ticks, y_ticks = nice_ticks(*_reach(rows_shown, x_column), 6), nice_ticks(*_reach(rows_shown, y_column))
    x, y = _scale(x_ticks[0], x_ticks[-1], left, right), _scale(y_ticks[0], y_ticks[-1], bottom, top)
    marks: list[Mark] = []
    taken: list[Box] = [(x(a) - 6, y(b) - 6, x(a) + 6, y(b) + 6) for _, a, b in points]
    for row, a, b in points:
        place = _label_place(x(a), y(b), row.method, (left, right, top, bottom), taken)
        label = row.method if place else ""
        anchor, label_x, label_y = place or ("start", 0.0, 0.0)
        title = f"{row.method} ({row.team}): {y_column} {b:.3f}, {x_column} {a:.3f}"
        lines = _whiskers(row, x_column, y_column, x, y)
        marks.append(Mark(x(a), y(b), row.id, title, _short(label), anchor, label_x, label_y, lines, row.kind))
    return Chart(
        width, height, left, right, top, bottom, [(x(t), f"{t:g}") for t in x_ticks],
        [(y(t), f"{t:g}") for t in y_ticks], f"{x_column} →", f"{y_column} ↑", marks,
    )  # fmt: skip


def _reach(rows: Sequence[BoardRow], column: str) -> tuple[float, float]:
    """Return from where to where the values of a column and their intervals reach."""
    cells = [row.cells[column] for row in rows]
    ends = [v for cell in cells for v in (cell.low, cell.value, cell.high) if v is not None]
    return min(ends), max(ends)


def _short(text: str, most: int = 26) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _label_place(x: float, y: float, text: str, frame: Box, taken: list[Box]) -> tuple[str, float, float] | None:
    """Find a free place for a label right, left, above or below of its dot, and take it."""
    left, right, top, bottom = frame
    wide = 6.6 * len(_short(text))
    places = [("start", x + 10, y + 4), ("end", x - 10, y + 4), ("middle", x, y - 11), ("middle", x, y + 20)]
    for anchor, at, base in places:
        a = at - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        box = (a, base - 11, a + wide, base + 3)
        inside = box[0] >= left and box[2] <= right and box[1] >= top - 6 and box[3] <= bottom
        if inside and not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
            taken.append(box)
            return anchor, at, base
    return None


def _whiskers(
    row: BoardRow,
    x_column: str,
    y_column: str,
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> str:
    """Return both intervals of a dot as lines."""
    a, b = row.cells[x_column], row.cells[y_column]
    if a.value is None or b.value is None:
        return ""
    path = ""
    if a.low is not None and a.high is not None:
        path += f"M{x(a.low):.1f} {y(b.value):.1f}H{x(a.high):.1f}"
    if b.low is not None and b.high is not None:
        path += f"M{x(a.value):.1f} {y(b.low):.1f}V{y(b.high):.1f}"
    return path


def best_over_time(points: Sequence[HistoryPoint], width: int, height: int, name: str) -> Chart | None:
    """Draw the best score as steps over the days; None without a score."""
    if not points:
        return None
    left, right, top, bottom = 48.0, width - 16.0, 20.0, height - 44.0
    first, last = points[0].date, max(points[-1].date, points[0].date + 86_400)
    ticks = nice_ticks(points[0].value, points[-1].value, 4)
    x, y = _scale(first, last, left + 8, right - 8), _scale(ticks[0], ticks[-1], bottom, top)
    line = f"M{x(first):.1f} {y(points[0].value):.1f}"
    line += "".join(f"H{x(p.date):.1f}V{y(p.value):.1f}" for p in points[1:]) + f"H{right:.1f}"
    marks = [Mark(x(p.date), y(p.value), p.id, f"{day(p.date)}: {p.method} ({p.team}) {p.value:.3f}") for p in points]
    dates = sorted({first, points[-1].date}) if x(points[-1].date) - x(first) > 90 else [first]
    return Chart(
        width, height, left, right, top, bottom, [(x(d), day(d)) for d in dates], [(y(t), f"{t:g}") for t in ticks],
        "", f"best {name} ↑", marks, line,
    )  # fmt: skip


def day(seconds: int | None) -> str:
    """Write a date; the time zone is UTC.

    >>> day(1764000000), day(None)
    ('2025-11-24', '–')
    """
    return "–" if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def area_curve(points: Sequence[Mapping[str, Any]], bins: tuple[int, ...], width: int, height: int) -> Chart | None:
    """Draw IoU against the area of the instance, on a logarithmic axis; None without points."""
    known = [p for p in points if p.get("iou") is not None]
    if len(known) < 2:
        return None
    left, right, top, bottom = 44.0, width - 14.0, 26.0, height - 44.0
    low, high = known[0]["area"], known[-1]["area"]
    x, y = _scale(math.log(low), math.log(high), left, right), _scale(0.0, 1.0, bottom, top)
    at = [(x(math.log(p["area"])), p) for p in known]
    spans = [(a, y(p["low"]), y(p["high"])) for a, p in at if p.get("low") is not None and p.get("high") is not None]
    band = [f"{a:.1f} {lo:.1f}" for a, lo, _ in spans] + [f"{a:.1f} {hi:.1f}" for a, _, hi in reversed(spans)]
    return Chart(
        width, height, left, right, top, bottom,
        [(x(math.log(t)), short(t)) for t in decades(low, high)], [(y(t), f"{t:g}") for t in (0, 0.25, 0.5, 0.75, 1)],
        "area of the instance, pixels (log scale)", "IA-IoU ↑",
        line="M" + "L".join(f"{a:.1f} {y(p['iou']):.1f}" for a, p in at),
        band="M" + "L".join(band) + "z" if len(spans) > 1 else "",
        walls=[(x(math.log(s * s)), f"{s}²") for s in bins if low < s * s < high],
    )  # fmt: skip


def per_image(images: Sequence[Mapping[str, Any]], width: int, height: int) -> Chart | None:
    """Draw one dot an image, the score of B against that of A; None without images."""
    known = [i for i in images if i["a"] is not None and i["b"] is not None]
    if not known:
        return None
    left, right, top, bottom = 44.0, width - 14.0, 14.0, height - 44.0
    x, y = _scale(0.0, 1.0, left, right), _scale(0.0, 1.0, bottom, top)
    ticks = (0, 0.25, 0.5, 0.75, 1)
    marks = [
        Mark(x(i["a"]), y(i["b"]), title=f"{i['image']}: A {i['a']:.3f}, B {i['b']:.3f}")
        for i in known[:: -(-len(known) // MARKS)]
    ]
    return Chart(
        width, height, left, right, top, bottom, [(x(t), f"{t:g}") for t in ticks],
        [(y(t), f"{t:g}") for t in ticks], "A →", "B ↑", marks, diagonal=f"M{left} {bottom}L{right} {top}",
    )  # fmt: skip


def difference_bar(low: float | None, value: float | None, high: float | None, reach: float) -> dict[str, str] | None:
    """Lay out an interval around 0 on a line from -``reach`` to ``reach``, 100 units long.

    >>> difference_bar(-0.1, 0.1, 0.2, 0.2)["value"]
    '75.0'
    """
    if value is None:
        return None
    at = _scale(-reach, reach, 0.0, 100.0)
    ends = (value if low is None else low, value if high is None else high)
    start, end = (min(max(at(v), 0.0), 100.0) for v in ends)
    return {
        "start": f"{start:.1f}",
        "wide": f"{max(end - start, 0.8):.1f}",
        "value": f"{min(max(at(value), 0.0), 100.0):.1f}",
    }
