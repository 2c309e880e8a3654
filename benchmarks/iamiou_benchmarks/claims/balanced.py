"""Ordinary and size-balanced test sets: how alike mIoU and IA-mIoU order the models, and which ones change place.

``iamiou bench claim balanced`` scores every model of the committed results on the
test images of `shapes small`, on a size-balanced selection of them by ``iamiou build``, and on mixes with a rising
share of small objects (`size_mix`). The predictions are those that ``iamiou bench fill shapes-small-`` has left there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from iamiou_benchmarks.claims._balanced import COLUMNS, DATA, PER_CELL, measure
from iamiou_benchmarks.claims._balanced_set import build_balanced, census_of, chosen_images
from iamiou_benchmarks.claims._model_scores import models_of
from iamiou_benchmarks.claims._record import Asked
from iamiou_benchmarks.claims._statistics import Floats, word
from iamiou_benchmarks.tables.results import markdown, read_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = tuple(f"{score}, {name}" for score, name in COLUMNS)
#: Places by which a model has to move to be coloured.
_FAR = 2


TAKES = ("results", "cache", "real")


def record_of(asked: Asked) -> dict[str, Any]:
    """Let ``iamiou build`` choose a balanced set, and score every model on both.

    With a folder of real masks the objects of voc-mini are counted, too: what could be chosen from.
    """
    from iamiou_benchmarks.datasets.data import DataOptions, open_data
    from iamiou_benchmarks.datasets.shapes_devkit import folder_of, open_shapes

    options = DataOptions(preset=DATA.rpartition("-")[2])
    data = open_shapes(options, asked.cache)
    with tempfile.TemporaryDirectory() as room:
        built = build_balanced(data, folder_of(options, asked.cache) / "JPEGImages", Path(room), PER_CELL)
        chosen = chosen_images(built)
    made = measure(models_of(read_results(asked.results), DATA, asked.cache), census_of(data), chosen)
    if asked.real != Path():
        photographs = open_data(DataOptions(name="voc-mini", root=str(asked.real)), asked.cache)
        made["photographs"] = census_of(photographs).instances.sum(0).tolist()
    return made


def lines(record: dict[str, Any]) -> list[str]:
    """Say in Markdown what a record holds."""
    return [
        *_verdicts(record),
        "",
        *_correlations(record),
        "",
        *_doubtless(record),
        "",
        *_models(record),
        "",
        *_sets(record),
        "",
        *_mixes(record),
    ]


def _verdicts(record: dict[str, Any]) -> list[str]:
    table = [["claim", "difference", "95 % interval", "verdict, on shapes only"]]
    for v in record["verdicts"]:
        value, low, high = v["difference"]
        shown = (f"{100 * x:+.1f}" if v["unit"] == "points" else f"{x:+.3f}" for x in (value, low, high))
        first, *ends = shown
        table.append([v["claim"], f"{first} ({v['unit']})", " to ".join(ends), word(low, high)])
    return markdown(table)


def _correlations(record: dict[str, Any]) -> list[str]:
    head = ["ordered by", "and by", "models", "Spearman", "Kendall", "pairs turned", "beyond doubt"]
    table = [head]
    for correlation, places in zip(record["correlations"], record["places"], strict=True):
        names = [_TITLES[c] for c in correlation["columns"]]
        found = correlation["all"]
        turned = f"{places['turned']} of {places['pairs']}"
        cells = [str(found["models"]), _shown(found["spearman"]), _shown(found["kendall"]), turned]
        table.append([*names, *cells, str(len(places["beyond_doubt"]))])
        found = correlation["between"]
        cells = [f"{found['models']}, without floor and ceiling", _shown(found["spearman"]), _shown(found["kendall"])]
        table.append([*names, *cells, "", ""])
    return markdown(table)


def _doubtless(record: dict[str, Any]) -> list[str]:
    """Name the pairs that change place whatever images and seeds are drawn."""
    found = []
    for places in record["places"]:
        first, second = (_TITLES[c] for c in places["columns"])
        found += [f"{a} is better than {b} by {first}, and worse by {second}" for a, b in places["beyond_doubt"]]
    return [f"Pairs that change place beyond doubt: {'; '.join(found) or 'none'}."]


def _models(record: dict[str, Any]) -> list[str]:
    """Show every model by every column, its place in brackets."""
    scores, place = _columns(record)
    table = [["model", "seeds", *_TITLES]]
    for k in np.argsort(place[0], kind="stable").tolist():
        model = record["models"][k]
        mark = f" ({model['kind']})" if model["kind"] else ""
        cells = [f"{100 * s[k]:.1f} ({p[k]:g})" for s, p in zip(scores, place, strict=True)]
        table.append([model["name"] + mark, str(model["seeds"]), *cells])
    rest = [f"Left out, with a single seed: {', '.join(record['left_out'])}."] if record["left_out"] else []
    return [*markdown(table), *([""] if rest else []), *rest]


def _columns(record: dict[str, Any]) -> tuple[list[Floats], list[Floats]]:
    """Return the mean score of every model by every column, and its place, 1 for the best."""
    models = record["models"]
    scores = [
        np.array([np.mean([float(v) for v in m["scores"][name][score].split()]) for m in models])
        for score, name in COLUMNS
    ]
    return scores, [rankdata(-s) for s in scores]


def _sets(record: dict[str, Any]) -> list[str]:
    table = [["test set", "images", "small", "medium", "large", "fewest and most of a class and size"]]
    for name, found in record["sets"].items():
        counts = np.array(found["instances"])
        cells = [str(found["images"]), *map(str, counts.sum(0)), f"{counts.min()} and {counts.max()}"]
        table.append([name, *cells])
    return [*markdown(table), *_photographs(record.get("photographs"))]


def _photographs(instances: list[list[int]] | None) -> list[str]:
    """Say why no balanced set can be chosen from voc-mini, where that was counted."""
    if not instances:
        return []
    lacking = zip((np.array(instances) == 0).sum(0), ("small", "medium", "large"), strict=True)
    without = ", ".join(f"{n} have no {size} object" for n, size in lacking if n)
    if not without:
        return []
    return ["", f"The test images of voc-mini cannot be balanced: of its {len(instances)} classes {without}."]


def _mixes(record: dict[str, Any]) -> list[str]:
    table = [["small objects", "images' worth", "mIoU", "IA-mIoU", "mIoU against IA-mIoU, Spearman"]]
    for mix in record["mixes"]:
        means = [f"{100 * np.mean([float(v) for v in mix[score].split()]):.1f}" for score in ("mIoU", "IA-mIoU")]
        table.append([f"{100 * mix['share']:.0f} %", str(mix["images"]), *means, _shown(mix["spearman"])])
    return markdown(table)


def _shown(values: list[float]) -> str:
    value, low, high = values
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def draw(record: dict[str, Any]) -> Figure:
    """Draw the places of the models by every column, and their scores by the share of small objects."""
    from matplotlib.figure import Figure

    height = max(4.2, 0.19 * len(record["models"]))
    figure = Figure(figsize=(9.5, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    _draw_places(record, left)
    _draw_mixes(record, right)
    return figure


def _draw_places(record: dict[str, Any], axes: Axes) -> None:
    _, place = _columns(record)
    coloured = 0
    for k, model in enumerate(record["models"]):
        path = [p[k] for p in place]
        far = max(path) - min(path) >= _FAR
        colour, coloured = (f"C{coloured % 10}" if far else "0.7"), coloured + far
        axes.plot(range(len(path)), path, color=colour, linewidth=1.6 if far else 1, marker="o", markersize=2.5)
        for x, where, side in ((-0.06, path[0], "right"), (len(path) - 0.94, path[-1], "left")):
            axes.text(x, where, model["name"], ha=side, va="center", fontsize=7, color=colour if far else "0.35")
    axes.set_xticks(range(len(_TITLES)), [t.replace(", ", "\n") for t in _TITLES], fontsize=8)
    axes.set_xlim(-1, len(_TITLES))
    axes.invert_yaxis()
    axes.set_yticks([])
    axes.set_title(f"places; coloured where one moves by {_FAR} or more", fontsize=9)
    for edge in axes.spines.values():
        edge.set_visible(False)


def _draw_mixes(record: dict[str, Any], axes: Axes) -> None:
    shares = [100 * mix["share"] for mix in record["mixes"]]
    for colour, score in (("C0", "mIoU"), ("C1", "IA-mIoU")):
        table = np.array([[100 * float(v) for v in mix[score].split()] for mix in record["mixes"]])
        axes.plot(shares, table, color=colour, linewidth=0.5, alpha=0.35)
        axes.plot(shares, table.mean(1), color=colour, linewidth=2.2, label=f"{score}, mean over the models")
    axes.set_xlabel("per cent of every class's objects that are small", fontsize=8)
    axes.set_ylabel("per cent", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8)
    axes.set_title("scores by the size mix of the test set", fontsize=9)
