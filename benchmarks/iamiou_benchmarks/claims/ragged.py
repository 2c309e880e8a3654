"""Ragged outlines at equal area: what they cost networks that have learnt from smooth ones, with CE and with L_sb.

``iamiou bench claim ragged`` draws the test scenes of `shapes` again with the knob
``ragged`` turned up: the same objects at the same places with the same area, but for dents in their outlines. Networks
trained on smooth outlines see them, so that what is measured is the outline and its being unfamiliar, together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.counts import Counts
from iamiou.report import load
from iamiou_benchmarks.claims._compactness import compactness_of
from iamiou_benchmarks.claims._record import Asked, points, short, shorts, verdict
from iamiou_benchmarks.claims._scored_sets import finished, scores_and_draws, wide
from iamiou_benchmarks.claims._statistics import Floats
from iamiou_benchmarks.tables.verdicts import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iamiou_benchmarks.datasets.data import DataSet
    from iamiou_benchmarks.running.pipeline import Plan
    from iamiou_benchmarks.stage.work import Show

SEEDS = 5
DRAWS = 1000
SOURCES = {"irn": "IRN", "truth": "full masks"}
#: Depth of the dents; 0 is what the networks have learnt from.
RAGGED = (0.0, 0.2, 0.4)
SCORES = ("mIoU", "IA-mIoU", "IA_S")


TAKES = ("cache", "device")


def record_of(asked: Asked) -> dict[str, Any]:
    """Predict on ragged scenes and score."""
    return measure(asked.cache, asked.device, asked.show)


def measure(cache: Path, device: str, show: Show | None = None) -> dict[str, Any]:
    """Return scores of CE and L_sb on the same scenes with smooth and with ragged outlines."""
    found, shapes = [], {}
    for source in SOURCES:
        drawn = {}
        for loss in ("ce", "sb"):
            for seed in range(SEEDS):
                plan = finished(f"shapes-small-{source}-{loss}", seed, cache, device)
                for depth in RAGGED:
                    if show:
                        show(f"{source}, {loss}, seed {seed}, ragged {depth}")
                    drawn[loss, seed, depth] = scores_and_draws(_seen(plan, depth), plan.data.bins, SCORES, DRAWS)
        found += [_row(source, depth, drawn) for depth in RAGGED]
        shapes = {str(depth): round(mean_compactness(plan, depth), 4) for depth in RAGGED}
    return {"schema": 1, "seeds": SEEDS, "compactness": shapes, "rows": found}


def _row(source: str, depth: float, drawn: dict[tuple[str, int, float], tuple[Floats, Floats]]) -> dict[str, Any]:
    """Return mean scores at a depth; their change from smooth outlines; and how L_sb's gain changes."""
    row: dict[str, Any] = {"source": source, "ragged": depth, "scores": {}, "change": {}, "gain": {}, "more": {}}
    for k, name in enumerate(SCORES):
        ce, sb, smooth, smooth_sb = (
            [tuple(part[..., k] for part in drawn[loss, seed, d]) for seed in range(SEEDS)]
            for loss, d in (("ce", depth), ("sb", depth), ("ce", RAGGED[0]), ("sb", RAGGED[0]))
        )
        row["scores"][name] = short(float(np.mean([v for v, _ in ce])))
        row["change"][name] = _mean([(a[0] - b[0], a[1] - b[1]) for a, b in zip(ce, smooth, strict=True)])
        gain = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(ce, sb, strict=True)]
        before = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(smooth, smooth_sb, strict=True)]
        row["gain"][name] = _mean(gain)
        row["more"][name] = _mean([(a[0] - b[0], a[1] - b[1]) for a, b in zip(gain, before, strict=True)])
    return row


def _mean(pairs: Sequence[tuple[Any, Any]]) -> list[float | None]:
    value, drawn = (np.array([p[k] for p in pairs]) for k in (0, 1))
    return shorts([value.mean(), *interval(value, drawn)])


def _seen(plan: Plan, depth: float) -> Counts:
    """Count what a trained network makes of the test scenes with dents so deep."""
    from iamiou_benchmarks.methods import predict
    from iamiou_benchmarks.stage.scoring import score_maps
    from iamiou_benchmarks.stage.work import Log, Work

    stage = plan.run.stage("predict")
    if not depth:
        return load(plan.folder(stage) / "scores-test.npz").counts
    data = ragged_data(plan, depth)
    inputs = {name: plan.folder(plan.run.stage(name)) for name in stage.inputs}
    with tempfile.TemporaryDirectory() as room:
        work = Work(data, inputs, Path(room), plan.seed, plan.device, Log(Path(room) / "metrics.jsonl", stage.name))
        predict.write_predictions(work, stage.options, "test", Path(room) / "test")
        score_maps(data, "test", Path(room) / "test", Path(room) / "counts.npz")
        return load(Path(room) / "counts.npz").counts


def ragged_data(plan: Plan, depth: float) -> DataSet:
    """Open the scenes of a plan's test images with ragged outlines; all else in them is drawn alike."""
    from iamiou_benchmarks.datasets.data import open_data

    knobs = {**plan.run.data.knobs, "ragged": depth, "train": 1, "dev": 1}  # only test is looked at
    return open_data(replace(plan.run.data, knobs=knobs), plan.cache)


def mean_compactness(plan: Plan, depth: float) -> float:
    """Return the mean compactness of the test objects at a depth."""
    truth = (ragged_data(plan, depth) if depth else plan.data).truth_of("test")
    return float(np.mean([v for i in truth.ids for v in compactness_of(wide(truth.load(i)[1])).values()]))


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown: what ragged outlines cost, and what they do to L_sb's gain."""
    heads = [
        "pseudo-masks",
        "ragged",
        "compactness",
        *(f"{s} of CE" for s in SCORES),
        "change of IA-mIoU",
        "95 % interval",
    ]
    heads += ["gain of L_sb in IA-mIoU", "more than on smooth", "95 % interval", "gain is larger"]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for row in record["rows"]:
        depth, change, more = row["ragged"], row["change"]["IA-mIoU"], row["more"]["IA-mIoU"]
        cells = [SOURCES[row["source"]], f"{depth:g}", f"{record['compactness'][str(depth)]:.2f}"]
        cells += [f"{100 * row['scores'][s]:.1f}" for s in SCORES]
        first = depth == RAGGED[0]
        cells += ["", ""] if first else [f"{100 * change[0]:+.1f}", points(change[1:])]
        cells.append(f"{100 * row['gain']['IA-mIoU'][0]:+.1f}")
        cells += (
            ["", "", ""] if first else [f"{100 * more[0]:+.1f}", points(more[1:]), verdict(more[1:], generated=True)]
        )
        found.append(f"| {' | '.join(cells)} |")
    return found


def draw(record: dict[str, Any]) -> Figure:
    """Draw the change of the scores of CE, and the gain of L_sb, by depth of the dents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for k, (key, label) in enumerate((("change", "change of CE, points"), ("gain", "gain of L_sb over CE, points"))):
        axes = figure.add_subplot(1, 2, k + 1)
        for colour, source in enumerate(SOURCES):
            rows = [r for r in record["rows"] if r["source"] == source]
            for score, style in (("IA-mIoU", "-"), ("IA_S", ":"), ("mIoU", "--")):
                y = np.array([100 * r[key][score][0] for r in rows])
                low, high = (np.array([100 * (r[key][score][e] or 0) for r in rows]) for e in (1, 2))
                bars = np.maximum(0, [y - low, high - y])
                name = f"{score}, {SOURCES[source]}"
                axes.errorbar(RAGGED, y, bars, fmt=f"{style}o", color=f"C{colour}", markersize=3, label=name)
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.set_xlabel("ragged (depth of the dents)")
        axes.set_ylabel(label)
        axes.set_xticks(RAGGED)
    figure.axes[0].legend(fontsize=7)
    return figure
