"""Whether scale scheduling removes small noise: predicted components that are small and touch no object of their class.

``iamiou bench claim specks`` reads what was counted on test. Whether small objects go with the noise is told by IA_S,
in the table ``orand``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.counts import PHANTOM_AREA, PHANTOM_IMAGE
from iamiou.report import Report, load
from iamiou_benchmarks.claims._record import Asked, ends, shorts, verdict
from iamiou_benchmarks.claims._statistics import Floats
from iamiou_benchmarks.running.replicates import image_weights
from iamiou_benchmarks.tables.results import read_results
from iamiou_benchmarks.tables.verdicts import interval, seeds_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = "shapes-small"
#: The losses with which networks were trained without and with scale scheduling, from the same masks.
PAIRS = {"CE": ("orand-ce", "orand-cephased"), "L_sb": ("orand-sb", "orand-sbphased")}
#: Weightings of the images.
DRAWS = 1000
TAKES = ("results", "cache")


def record_of(asked: Asked) -> dict[str, Any]:
    """Read what was counted."""
    return measure(read_results(asked.results), asked.cache)


def measure(results: Iterable[dict[str, Any]], cache: Path) -> dict[str, Any]:
    """Return the record: small phantoms an image without and with scale scheduling, and how many fewer they are."""
    known = {(r["run"].removeprefix(f"{DATA}-"), r["seed"]): r for r in results if r["run"].startswith(f"{DATA}-")}
    rows = []
    for loss, (without, phased) in PAIRS.items():
        seeds = sorted(s for name, s in known if name == without and (phased, s) in known)
        if not seeds:
            continue
        reports = [[load(_counts_of(known[name, s], cache)) for name in (without, phased)] for s in seeds]
        found = np.array([[small_phantoms(report) for report in pair] for pair in reports])
        weights = image_weights(reports[0][0].counts.images, DRAWS)
        value, drawn = found.mean(2), found @ weights.T / weights.sum(1)
        fewer = value[:, 0] - value[:, 1]
        row = {"loss": loss, "seeds": seeds, "without": shorts(value[:, 0], 4), "with": shorts(value[:, 1], 4)}
        limits = interval(fewer, drawn[:, 0] - drawn[:, 1])
        rows.append(row | {"fewer": shorts([fewer.mean(), *limits], 4)})
    return {"schema": 1, "data": DATA, "rows": rows}


def _counts_of(result: dict[str, Any], cache: Path) -> Path:
    key = next(s["key"] for s in result["stages"] if s["name"] == "predict")
    return cache / f"predict-{key}" / "scores-test.npz"


def small_phantoms(report: Report) -> Floats:
    """Return how many small components of every image touch no object of their class, (images,).

    Small is what the data set calls small objects.
    """
    rows = report.counts.phantoms
    small = rows[rows[:, PHANTOM_AREA] < report.bins[0] ** 2, PHANTOM_IMAGE]
    return np.bincount(small, minlength=len(report.counts.images)).astype(np.float64)


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown."""
    head = ("loss", "seeds", "small phantoms an image", "with scale scheduling", "fewer by", "95 % interval", "verdict")
    found = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for row in record["rows"]:
        means = [f"{np.mean(row[k]):.3f}" for k in ("without", "with")]
        value, *limits = row["fewer"]
        interval_ = ends(limits[0], limits[1], 1.0, 3)
        cells = [row["loss"], seeds_of(tuple(row["seeds"]), DATA), *means, f"{value:+.3f}", interval_]
        found.append(f"| {' | '.join([*cells, verdict(limits, generated=True)])} |")
    return found


def draw(record: dict[str, Any]) -> Figure:
    """Draw the small phantoms of every seed without and with scale scheduling."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for k, row in enumerate(record["rows"]):
        for seed, pair in enumerate(zip(row["without"], row["with"], strict=True)):
            label = row["loss"] if seed == 0 else None
            axes.plot([0, 1], pair, "o-", color=f"C{k}", linewidth=1, markersize=4, label=label)
    axes.set_xticks([0, 1], ["one size", "scale scheduling"])
    axes.set_xlim(-0.3, 1.3)
    axes.set_ylim(0)
    axes.set_ylabel("small phantoms an image of test")
    axes.legend(fontsize=8)
    return figure
