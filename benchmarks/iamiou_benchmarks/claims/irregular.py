"""Irregular shapes at fixed size: whether they score lower, and whether L_sb helps them more.

``iamiou bench claim irregular --real DIR`` looks at real objects with real predictions, and at the objects of `shapes`,
whose outlines differ by class and by what covers them; what L_sb gains is asked of networks trained on `shapes` and on
voc-mini. Intervals are over images, and over seeds where there are some. The knob of `shapes` is turned by `ragged`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou.counts import Counts
from iamiou.report import load
from iamiou_benchmarks.claims._compactness import (
    Objects,
    at_equal_size,
    compactness_of,
    means_by_quartile,
    objects_of,
    quartiles,
)
from iamiou_benchmarks.claims._record import Asked, ends, points, shorts, verdict
from iamiou_benchmarks.claims._scored_sets import TITLES, ScoredSet, count, finished, open_real, wide
from iamiou_benchmarks.claims._statistics import Floats, clustered, spearman
from iamiou_benchmarks.running.replicates import image_weights
from iamiou_benchmarks.tables.verdicts import interval, meant_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iamiou_benchmarks.running.pipeline import Plan

#: Weightings of the images.
DRAWS = 1000
#: An object that scores less is missed.
MISSED = 0.1
#: Sources of pseudo-masks by data, each trained with CE and with L_sb.
TRAINED = {
    "shapes-small": {
        "cam": "CAM seeds",
        "walk": "the walk",
        "irn": "IRN",
        "irnvit": "IRN, second backbone",
        "truth": "full masks",
    },
    "voc-mini": {"irn": "IRN"},
}
TAKES = ("cache", "real", "device")


def record_of(asked: Asked) -> dict[str, Any]:
    """Measure real objects and those of `shapes`."""
    real = measure_real(open_real(name, asked.real) for name in TITLES)
    photographs = measure_trained("voc-mini", asked.cache, asked.device, [f"data.root={asked.real}"])
    shapes = measure_trained("shapes-small", asked.cache, asked.device)
    return {"schema": 1, "real": real, "photographs": photographs, "shapes": shapes}


def measure_real(sets: Iterable[ScoredSet]) -> list[dict[str, Any]]:
    """Return how the scores of real objects go with compactness."""
    found = []
    for scored in sets:
        counts = count(scored, ((p.semantic, p.instance) for p in scored.pairs), 0)
        objects = objects_of(counts, [compactness_of(p.instance) for p in scored.pairs])
        found.append({"name": scored.name, "title": scored.title, **_against(objects, [objects.score], counts.images)})
    return found


def _against(objects: Objects, scores: Sequence[Floats], images: tuple[str, ...]) -> dict[str, Any]:
    """Return the correlations of the mean score with compactness, and means by quartile, most compact minus least."""
    score, quarter = np.mean(scores, 0), quartiles(objects)
    means = [means_by_quartile(objects, quarter, s, image_weights(images, DRAWS)) for s in scores]
    value = np.array([[s[quarter == q].mean() for q in range(4)] for s in scores])
    apart = value[:, 3] - value[:, 0]
    if len(scores) > 1:
        limits = interval(apart, np.array([m[:, 3] - m[:, 0] for m in means]))
    else:
        limits = _over_images(objects, quarter, score)
    return {
        "images": len(images),
        "objects": len(score),
        "in bands": int((quarter >= 0).sum()),
        "spearman": round(float(spearman(score, objects.compactness)), 4),
        "at equal size": shorts(at_equal_size(objects, score)),
        "within class": shorts(at_equal_size(objects, score, within_class=True)),
        "compactness": shorts([objects.compactness[quarter == q].mean() for q in range(4)]),
        "quartiles": shorts(value.mean(0)),
        "missed": shorts([np.mean([(s[quarter == q] < MISSED).mean() for s in scores]) for q in range(4)]),
        "apart": shorts([apart.mean(), *limits]),
    }


def _over_images(objects: Objects, quarter: NDArray[Any], score: Floats) -> tuple[float, float]:
    """Return the interval of the most compact quartile's mean minus the least compact one's, over images."""

    def apart(at: NDArray[Any]) -> Floats:
        return np.array([score[at][quarter[at] == 3].mean() - score[at][quarter[at] == 0].mean()])

    low, high = clustered(objects.image.tolist(), apart)
    return float(low[0]), float(high[0])


def measure_trained(data: str, cache: Path, device: str, changes: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the same for CE on the data of `TRAINED`, and what L_sb gains by quartile."""
    found: list[dict[str, Any]] = []
    known: list[dict[int, float]] = []
    for source, title in TRAINED[data].items():
        pairs = [_kept(f"{data}-{source}-{loss}", cache, device, changes) for loss in ("ce", "sb")]
        plan, counts = pairs[0]
        truth = plan.data.truth_of("test")
        known = known or [compactness_of(wide(truth.load(i)[1])) for i in truth.ids]
        ce, sb = ([objects_of(c, known) for c in each] for _, each in pairs)
        row = {"name": source, "title": title, **_against(ce[0], [o.score for o in ce], counts[0].images)}
        found.append(row | _gains(ce[0], [b.score - a.score for a, b in zip(ce, sb, strict=True)], counts[0].images))
    return found


def _kept(run: str, cache: Path, device: str, changes: Sequence[str]) -> tuple[Plan, list[Counts]]:
    """Return the plan of seed 0, and what was counted on test in every seed."""
    plans = [finished(run, seed, cache, device, changes) for seed in range(meant_seeds(run))]
    return plans[0], [load(p.folder(p.run.stage("predict")) / "scores-test.npz").counts for p in plans]


def _gains(objects: Objects, gains: Sequence[Floats], images: tuple[str, ...]) -> dict[str, Any]:
    """Return the mean gain of every quartile, and of the least compact minus the most compact, with its interval."""
    quarter, weights = quartiles(objects), image_weights(images, DRAWS)
    drawn = [means_by_quartile(objects, quarter, g, weights) for g in gains]
    value = np.array([[g[quarter == q].mean() for q in range(4)] for g in gains])
    more = value[:, 0] - value[:, 3]
    limits = interval(more, np.array([d[:, 0] - d[:, 3] for d in drawn]))
    return {"gains": shorts(value.mean(0)), "more": shorts([more.mean(), *limits])}


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown: score against compactness, and the gain of L_sb."""
    heads = ["objects of", "objects", "rank correlation at equal size", "95 % interval", "verdict"]
    heads += ["within classes", "95 % interval", "verdict", "IA-IoU by quarter, least compact first"]
    heads += ["most – least", "95 % interval", "missed (IA-IoU below 10 %) by quarter"]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    trained = [("voc-mini", row) for row in record["photographs"]] + [("shapes", row) for row in record["shapes"]]
    for data, row in (*(("", row) for row in record["real"]), *trained):
        size, inside = row["at equal size"], row["within class"]
        cells = [f"{data}, CE, {row['title']}" if data else row["title"], str(row["objects"])]
        for value, *limits in (size, inside):
            cells += [f"{value:+.2f}", ends(*limits), verdict(limits)]
        cells += [_quarters(row["quartiles"]), f"{100 * row['apart'][0]:+.1f}", points(row["apart"][1:])]
        cells.append(_quarters(row["missed"]))
        found.append(f"| {' | '.join(cells)} |")
    return [*found, "", *_gain_lines(trained)]


def _gain_lines(trained: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    heads = ["L_sb – CE", "gain by quarter, least compact first", "least – most", "95 % interval", "verdict"]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for data, row in trained:
        more, *limits = row["more"]
        cells = [f"{data}, {row['title']}", _quarters(row["gains"], "+"), f"{100 * more:+.1f}", points(limits)]
        cells.append(verdict(limits, generated=data == "shapes"))
        found.append(f"| {' | '.join(cells)} |")
    return found


def _quarters(values: Sequence[float], sign: str = "") -> str:
    return ", ".join(f"{100 * v:{sign}.1f}" for v in values)


def draw(record: dict[str, Any]) -> Figure:
    """Draw scores, and the gain of L_sb, by quarter of compactness."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    photographs = [row | {"title": f"voc-mini, CE, {row['title']}"} for row in record["photographs"]]
    panels = (
        (record["real"] + photographs, "quartiles", "IA-IoU of photographs, %"),
        (record["shapes"], "quartiles", "IA-IoU of CE on shapes, %"),
        (record["shapes"] + photographs, "gains", "gain of L_sb over CE, points"),
    )
    for k, (rows, key, label) in enumerate(panels):
        axes = figure.add_subplot(1, 3, k + 1)
        for row in rows:
            axes.plot(row["compactness"], [100 * v for v in row[key]], marker="o", markersize=3, label=row["title"])
        axes.set_xlabel("mean compactness of the quarter, 4πA/P²")
        axes.set_ylabel(label)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.4 * (high - low))  # room for the legend
        axes.legend(fontsize=7, loc="upper left")
    figure.axes[-1].axhline(0, color="grey", linewidth=0.5)
    return figure
