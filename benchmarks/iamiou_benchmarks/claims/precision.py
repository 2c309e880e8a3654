"""What tells how good a network pseudo-masks make: their mIoU, or their precision.

``iamiou bench claim precision`` reads the committed results. Every set of pseudo-masks trains the same
network from the same weights with plain cross-entropy. For five sources there are three sets: at the threshold that is
best on dev, and at a low and a high one that each cost a tenth of the mIoU on dev, so that they part in precision and
recall and hardly in mIoU. Sets of one source are no independent witnesses: intervals draw whole sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from iamiou_benchmarks.claims._record import Asked, ends, short
from iamiou_benchmarks.claims._statistics import Floats, clustered, of_mean, spearman, word
from iamiou_benchmarks.running.replicates import unpack
from iamiou_benchmarks.tables.results import read_results
from iamiou_benchmarks.tables.verdicts import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = "shapes-small"
#: Scores of pseudo-masks that may predict the network's mIoU.
PREDICTORS = ("mIoU", "precision", "recall", "IA-mIoU")
#: Sources at three thresholds, and those at one.
TURNED = ("cam", "walk", "irn", "sfc", "orand")
SOURCES = (*TURNED, "vitcam", "or", "and", "mean", "orandsame", "orand3", "orand4")
#: The sets with their sources; the floor and the ceiling are no rivals and stay out.
SETS = {name: name for name in SOURCES} | {f"{s}{end}": s for s in TURNED for end in ("low", "high")}
#: The seeds that count where enough sets have them; a set that lacks one of them is left out.
SEEDS = (0, 1)
ENOUGH = 20
#: Sets without which there is nothing to correlate.
FEWEST = 8
#: Seeds that a pair of sets needs to be beyond doubt.
LEAST = 3
#: Among so many pairs this share stands the wrong way beyond doubt by chance, if mIoU did decide.
_CHANCE = 0.025

Results = dict[tuple[str, int], dict[str, Any]]


TAKES = ("results",)


def record_of(asked: Asked) -> dict[str, Any]:
    """Read the results and correlate."""
    return measure(read_results(asked.results))


def measure(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the record: the sets, the correlations, sets of equal mIoU, and pairs that stand the other way round."""
    known = {(r["run"].removeprefix(f"{DATA}-").removesuffix("-ce"), r["seed"]): r for r in _of(results)}
    many = {seed: sum((s, seed) in known for s in SETS) for seed in SEEDS}
    seeds = [seed for seed in SEEDS if many[seed] >= ENOUGH] or [max(SEEDS, key=lambda seed: many[seed])]
    there = [s for s in SETS if all((s, seed) in known for seed in seeds)]
    sets = [_set(name, known, seeds) for name in there]
    return {
        "schema": 1,
        "data": DATA,
        "seeds": seeds,
        "sets": sets,
        "missing": [s for s in SETS if s not in there],
        **(_correlations(sets) if len(sets) >= FEWEST else {}),
        "equal": _equal(known),
        "pairs": _pairs(known),
    }


def _of(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in results if r["run"].startswith(f"{DATA}-") and r["run"].endswith("-ce")]


def _scores(result: dict[str, Any], stage: str, split: str) -> dict[str, float]:
    found: dict[str, float] = next(s for s in result["stages"] if s["name"] == stage)["scores"][split]
    return found


def _set(name: str, known: Results, seeds: list[int]) -> dict[str, Any]:
    """Return the scores of one set, one number a seed."""
    of = [(_scores(known[name, s], "pseudo", "train"), _scores(known[name, s], "predict", "test")) for s in seeds]
    scores = {p: [round(pseudo[p], 5) for pseudo, _ in of] for p in PREDICTORS}
    return {"name": name, "source": SETS[name], "pseudo": scores, "network": [round(t["mIoU"], 5) for _, t in of]}


def _correlations(sets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return Spearman's correlation of each score with the network's mIoU, over sets, with intervals over sources."""
    x = np.array([np.mean([s["pseudo"][p] for p in PREDICTORS], 1) for s in sets]).T
    y = np.array([np.mean(s["network"]) for s in sets])

    def statistics(at: NDArray[np.int64]) -> Floats:
        rho = spearman(x[:, at], y[at])
        return np.concatenate([rho, rho[1:] - rho[:1]])

    value = statistics(np.arange(len(sets)))
    low, high = clustered([s["source"] for s in sets], statistics)
    names = [*PREDICTORS, *(f"{p} – mIoU" for p in PREDICTORS[1:])]
    rows = {n: [round(float(v), 3) for v in row] for n, *row in zip(names, value, low, high, strict=True)}
    for row in (rows[p] for p in PREDICTORS):  # a correlation ends at 1
        row[1:] = [max(row[1], -1.0), min(row[2], 1.0)]
    by_seed = {p: [round(_one(sets, p, k), 3) for k in range(len(sets[0]["network"]))] for p in PREDICTORS}
    return {"spearman": rows, "by_seed": by_seed}


def _one(sets: Sequence[dict[str, Any]], predictor: str, seed: int) -> float:
    pairs = np.array([[s["pseudo"][predictor][seed], s["network"][seed]] for s in sets])
    return float(spearman(pairs[:, 0], pairs[:, 1]))


def _equal(known: Results) -> dict[str, Any]:
    """Compare the high threshold with the low one of every source: nearly the same mIoU, another precision."""
    rows = {}
    for source in TURNED:
        both = [s for s in SEEDS if all((f"{source}{end}", s) in known for end in ("low", "high"))]
        if both:
            found = [_gap(known[f"{source}high", s], known[f"{source}low", s]) for s in both]
            rows[source] = dict(
                zip(("mIoU", "precision", "recall", "network"), np.mean(found, 0).round(5), strict=True)
            )
    low, high = of_mean([row["network"] for row in rows.values()])
    mean = float(np.mean([row["network"] for row in rows.values()])) if rows else None
    return {"sources": rows, "mean": short(mean, 5), "low": short(low, 5), "high": short(high, 5)}


def _gap(high: dict[str, Any], low: dict[str, Any]) -> list[float]:
    first, second = (_scores(r, "pseudo", "train") for r in (high, low))
    network = _scores(high, "predict", "test")["mIoU"] - _scores(low, "predict", "test")["mIoU"]
    return [*(first[p] - second[p] for p in ("mIoU", "precision", "recall")), network]


def _pairs(known: Results) -> dict[str, Any]:
    """Count the pairs of sets whose pseudo-masks differ in mIoU beyond doubt, and those whose networks then turn."""
    count, turned = 0, []
    for a, b in combinations(SETS, 2):
        seeds = sorted(s for n, s in known if n == a and (b, s) in known)
        if len(seeds) < LEAST:
            continue
        masks, network = (_differs(known, a, b, seeds, w) for w in (("pseudo", "train"), ("predict", "test")))
        if masks[1] > 0 or masks[2] < 0:
            count += 1
            if (masks[1] > 0 and network[2] < 0) or (masks[2] < 0 and network[1] > 0):
                best = (a, b) if masks[0] > 0 else (b, a)
                apart = {"masks": round(abs(masks[0]), 5), "network": round(abs(network[0]), 5)}
                turned.append({"higher": best[0], "lower": best[1], **apart})
    return {"sure": count, "turned": turned}


def _differs(known: Results, a: str, b: str, seeds: list[int], where: tuple[str, str]) -> tuple[float, float, float]:
    stage, split = where
    value = np.array([[_scores(known[n, s], stage, split)["mIoU"] for s in seeds] for n in (a, b)])
    drawn = np.array([[unpack(known[n, s]["replicates"][stage][split]["mIoU"]) for s in seeds] for n in (a, b)])
    apart = value[0] - value[1]
    return float(apart.mean()), *interval(apart, drawn[0] - drawn[1])


def most_by_chance(pairs: int) -> int:
    """Return how many of so many pairs may turn by chance: the 97.5 % quantile of the binomial distribution.

    >>> most_by_chance(0), most_by_chance(60)
    (0, 4)
    """
    return int(binom.ppf(1 - _CHANCE, pairs, _CHANCE))


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown."""
    told = f"{len(record['sets'])} sets of pseudo-masks, seed {' and '.join(map(str, record['seeds']))}."
    if record["missing"]:
        told += f" Without results yet: {', '.join(record['missing'])}."
    found = [told, ""]
    if "spearman" in record:
        found += ["| score of the pseudo-masks | Spearman with the network's mIoU | 95 % interval | each seed alone |"]
        found += ["|" + " --- |" * 4]
        for name in PREDICTORS:
            value, low, high = record["spearman"][name]
            alone = ", ".join(f"{v:+.2f}" for v in record["by_seed"][name])
            found.append(f"| {name} | {value:+.2f} | {ends(low, high)} | {alone} |")
        found.append("")
    return [*found, *_turned_lines(record), "", *_verdict_lines(record)]


def _turned_lines(record: dict[str, Any]) -> list[str]:
    rows = record["equal"]["sources"]
    found = ["| high threshold – low threshold | mIoU of masks | precision | recall | mIoU of the network |"]
    found += ["|" + " --- |" * 5]
    for source, row in rows.items():
        cells = " | ".join(f"{100 * row[k]:+.1f}" for k in ("mIoU", "precision", "recall", "network"))
        found.append(f"| {source} | {cells} |")
    pairs = record["pairs"]
    examples = "; ".join(
        f"{t['higher']} above {t['lower']} by {100 * t['masks']:.1f}, its network below by {100 * t['network']:.1f}"
        for t in sorted(pairs["turned"], key=lambda t: -t["network"])[:3]
    )
    text = (
        f"Of {pairs['sure']} pairs of sets with at least {LEAST} seeds whose masks differ in mIoU beyond doubt, the "
        f"networks of {len(pairs['turned'])} stand the other way round beyond doubt; by chance it would be "
        f"{most_by_chance(pairs['sure'])} at most"
    )
    return [*([*found, ""] if rows else []), f"{text}: {examples}." if examples else f"{text}."]


def _verdict_lines(record: dict[str, Any]) -> list[str]:
    found = ["| claim | difference | 95 % interval | verdict |", "|" + " --- |" * 4]
    pairs = record["pairs"]
    turned, most = len(pairs["turned"]), most_by_chance(pairs["sure"])
    told = "confirmed, on shapes only" if turned > most else "not shown"
    cells = f"{turned} of {pairs['sure']} pairs | more than {most}"
    found.append(f"| A higher mIoU of the masks does not imply one of the network | {cells} | {told} |")
    if "spearman" in record:
        value, low, high = record["spearman"]["precision – mIoU"]
        found.append(_row("Precision of the masks predicts it better than mIoU does", value, low, high, 1.0, 2))
    equal = record["equal"]
    if equal["low"] is not None:
        text = "At nearly equal mIoU, the more precise masks train the better network"
        found.append(_row(text, equal["mean"], equal["low"], equal["high"], 100.0, 1))
    return found


def _row(text: str, value: float, low: float, high: float, factor: float, digits: int) -> str:
    verdict = word(low, high)
    told = verdict if verdict == "not shown" else f"{verdict}, on shapes only"
    return f"| {text} | {factor * value:+.{digits}f} | {ends(low, high, factor, digits)} | {told} |"


def draw(record: dict[str, Any]) -> Figure:
    """Draw the network's mIoU over mIoU, precision and recall of the pseudo-masks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    for k, predictor in enumerate(PREDICTORS[:3]):
        axes = figure.add_subplot(1, 3, k + 1)
        for at, source in enumerate(dict.fromkeys(s["source"] for s in record["sets"])):
            mine = [s for s in record["sets"] if s["source"] == source]
            points = [(100 * np.mean(s["pseudo"][predictor]), 100 * np.mean(s["network"])) for s in mine]
            marks = ["v" if s["name"].endswith("low") else "^" if s["name"].endswith("high") else "o" for s in mine]
            for (x, y), mark in zip(points, marks, strict=True):
                axes.plot(x, y, mark, color=f"C{at % 10}", markerfacecolor="none" if at >= 10 else None)
            axes.plot([], [], "o", color=f"C{at % 10}", markerfacecolor="none" if at >= 10 else None, label=source)
        rho = record.get("spearman", {}).get(predictor)
        axes.set_title(f"Spearman {rho[0]:+.2f} ({rho[1]:+.2f} to {rho[2]:+.2f})" if rho else "", fontsize=9)
        axes.set_xlabel(f"{predictor} of the pseudo-masks, %")
        axes.set_ylabel("mIoU of the network on test, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.supxlabel("circle: threshold best on dev; down and up: a low and a high one that cost a tenth", fontsize=8)
    return figure
