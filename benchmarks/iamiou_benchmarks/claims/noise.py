"""How far annotation noise moves IA-mIoU, and how far mIoU: the same predictions against disturbed truths.

``iamiou bench claim noise --real DIR`` disturbs the annotation of three real sets and of
`shapes` in six ways, at three strengths each, with five seeds. What is compared is the absolute change of the two
scores; its interval resamples images and seeds at once, as all verdicts here do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.counts import Counts
from iamiou_benchmarks.claims._disturb import KINDS, Ids, disturb, semantic_of
from iamiou_benchmarks.claims._record import Asked, cell, points, short, shorts, verdict
from iamiou_benchmarks.claims._scored_sets import TITLES, ScoredSet, count, open_real, open_shapes, scores_and_draws
from iamiou_benchmarks.claims._statistics import Floats
from iamiou_benchmarks.tables.verdicts import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = ("mIoU", "IA-mIoU", "IA_S", "IA_M", "IA_L")
STRENGTHS = {"px": (1, 2, 3), "share": (0.25, 0.5, 1.0)}
#: Kinds without chance: one seed says it all.
SURE = ("drawn too wide", "drawn too tight")
SEEDS = 5
#: Weightings of the images.
DRAWS = 1000
#: The run whose predictions on `shapes` are scored.
RUN = "shapes-small-irn-ce"


TAKES = ("cache", "real")


def record_of(asked: Asked) -> dict[str, Any]:
    """Disturb and score the real sets and `shapes`."""
    return measure([*(open_real(name, asked.real) for name in TITLES), open_shapes(RUN, SEEDS, asked.cache)])


def measure(sets: Iterable[ScoredSet]) -> dict[str, Any]:
    """Return the record: for every set, kind and strength how far the scores move."""
    return {"schema": 1, "seeds": SEEDS, "draws": DRAWS, "sets": [_of_set(s) for s in sets]}


def _of_set(scored: ScoredSet) -> dict[str, Any]:
    seeds = range(SEEDS)
    clean = [count(scored, ((p.semantic, p.instance) for p in scored.pairs), s) for s in seeds]
    before = [scores_and_draws(c, scored.bins, SCORES, DRAWS) for c in clean]
    rows = []
    for kind, unit in KINDS.items():
        for strength in STRENGTHS[unit]:
            once = kind in SURE and len(scored.pairs[0].predictions) == 1
            after = [
                scores_and_draws(noisy(scored, kind, strength, s), scored.bins, SCORES, DRAWS)
                for s in (range(1) if once else seeds)
            ]
            changes = [
                (a[0] - b[0], a[1] - b[1]) for a, b in zip(after * SEEDS if once else after, before, strict=True)
            ]
            rows.append({"kind": kind, "strength": strength, **_row(changes)})
    base = np.mean([b[0] for b in before], 0)
    head = {"name": scored.name, "title": scored.title, "images": len(scored.pairs)}
    head |= {"instances": len(clean[0].instances), "scores": dict(zip(SCORES, shorts(base), strict=True))}
    return head | {"rows": rows}


def noisy(scored: ScoredSet, kind: str, strength: float, seed: int) -> Counts:
    """Count a seed's predictions against a disturbed annotation; the seed and the image's place settle the noise."""

    def maps() -> Iterator[tuple[Ids, Ids]]:
        for k, pair in enumerate(scored.pairs):
            rng = np.random.Generator(np.random.PCG64([seed, k]))
            instance = disturb(kind, strength, pair.instance, pair.classes, rng, scored.near, scored.bins[0] ** 2)
            yield semantic_of(instance, pair.classes), instance

    return count(scored, maps(), seed)


def _row(changes: Sequence[tuple[Floats, Floats]]) -> dict[str, Any]:
    """Return mean changes with intervals, and by how much IA-mIoU moves more than mIoU, whichever way either goes."""
    value, drawn = np.array([c[0] for c in changes]), np.array([c[1] for c in changes])
    row: dict[str, Any] = {"change": {}, "interval": {}}
    for k, name in enumerate(SCORES):
        row["change"][name], row["interval"][name] = _mean(value[:, k], drawn[:, :, k])
    way = np.sign(value.mean(0))  # fixed, for the absolute value of a draw would be above 0 where there is no change
    more, ends_of_more = _mean(*(way[1] * v[..., 1] - way[0] * v[..., 0] for v in (value, drawn)))
    return row | {"more": more, "more_interval": ends_of_more}


def _mean(value: Floats, drawn: Floats) -> tuple[float | None, list[float | None]]:
    """Return a mean with its interval, None where a score is undefined."""
    if np.isnan(value).any():
        return None, [None, None]
    return short(value.mean()), shorts(interval(value, drawn))


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown: every set at the middle strength, and a verdict a kind."""
    heads = ["truth and predictions", "noise", *SCORES, "IA-mIoU moves more by", "95 % interval", "verdict"]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for one in record["sets"]:
        scores = [cell(one["scores"][s]) for s in SCORES]
        what = f"{one['title']} ({one['images']} images, {one['instances']} objects)"
        found.append(f"| {' | '.join([what, 'none', *scores, '', '', ''])} |")
        for row in (r for r in one["rows"] if _middle(r)):
            cells = ["", _noise(row), *(cell(row["change"][s], "+") for s in SCORES), cell(row["more"], "+")]
            found.append(f"| {' | '.join([*cells, points(row['more_interval']), _word(row)])} |")
    return [*found, "", *_verdict_lines(record)]


def _verdict_lines(record: dict[str, Any]) -> list[str]:
    heads = ["IA-mIoU moves more than mIoU under", "sets and strengths: confirmed", "reversed", "not shown"]
    found = [f"| {' | '.join([*heads, 'verdict at the middle strength'])} |", "|" + " --- |" * 5]
    for kind in KINDS:
        words = {(s["name"], r["strength"]): _word(r) for s in record["sets"] for r in s["rows"] if r["kind"] == kind}
        told = list(words.values())
        counts = [str(told.count(w)) for w in ("confirmed", "reversed", "not shown")]
        middle = {s["name"]: _word(r) for s in record["sets"] for r in s["rows"] if r["kind"] == kind and _middle(r)}
        found.append(f"| {' | '.join([kind, *counts, overall(middle)])} |")
    return found


def overall(words: dict[str, str]) -> str:
    """Return one verdict from those on the sets, with where it holds when that is not everywhere.

    >>> overall({"voc": "confirmed", "shapes": "confirmed"}), overall({"voc": "not shown", "shapes": "confirmed"})
    ('confirmed', 'confirmed, on shapes only')
    >>> overall({"voc": "reversed", "coco": "not shown", "shapes": "not shown"})
    'reversed on 1 of 3 sets'
    >>> overall({"voc": "reversed", "shapes": "confirmed"})
    'not shown: the sets disagree'
    """
    told = {*words.values()} - {"not shown"}
    if len(told) != 1:
        return "not shown: the sets disagree" if told else "not shown"
    one = told.pop()
    where = [name for name, w in words.items() if w == one]
    if where == ["shapes"]:
        return f"{one}, on shapes only"
    return one if len(where) == len(words) else f"{one} on {len(where)} of {len(words)} sets"


def _middle(row: dict[str, Any]) -> bool:
    return bool(row["strength"] == STRENGTHS[KINDS[row["kind"]]][1])


def _word(row: dict[str, Any]) -> str:
    return verdict(row["more_interval"])


def _noise(row: dict[str, Any]) -> str:
    unit = KINDS[row["kind"]]
    return f"{row['kind']}, {row['strength']} px" if unit == "px" else f"{row['kind']}, {100 * row['strength']:.0f} %"


def draw(record: dict[str, Any]) -> Figure:
    """Draw the change of both scores by strength, one panel a kind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    for k, (kind, unit) in enumerate(KINDS.items()):
        axes = figure.add_subplot(2, 3, k + 1)
        for colour, one in enumerate(record["sets"]):
            _draw_set(axes, [r for r in one["rows"] if r["kind"] == kind], f"C{colour}", one["title"])
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.set_title(kind, fontsize=10)
        axes.set_xticks(STRENGTHS[unit])
        axes.set_xlabel("pixels" if unit == "px" else "share of objects or pairs")
        axes.set_ylabel("change of the score, points")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw_set(axes: Axes, rows: list[dict[str, Any]], colour: str, title: str) -> None:
    x = [r["strength"] for r in rows]
    for name, style in (("IA-mIoU", "-"), ("mIoU", "--")):
        y = np.array([100 * r["change"][name] for r in rows])
        low, high = (np.array([100 * r["interval"][name][e] for r in rows]) for e in (0, 1))
        bars = np.maximum(0, [y - low, high - y])
        axes.errorbar(x, y, bars, fmt=f"{style}o", color=colour, markersize=3, linewidth=1, label=f"{name}, {title}")
