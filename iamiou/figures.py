"""The plots of a report as PNG and SVG files, for papers and slides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou import curves
from iamiou.counts import AREA, CLASS, IMAGE
from iamiou.errors import InputError
from iamiou.files import replacing
from iamiou.scores import bin_names, size_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from iamiou.report import Report

INK, SOFT, LINE = "#17212d", "#566272", "#dde3ea"
ACCENT, PALE, MISSED = "#2a6cb3", "#93bfe8", "#ccd5df"
#: Classes that the heat map shows; with more of them, those with most instances.
ROWS = 80
STYLE: Any = {
    "font.size": 9,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that the same bytes come out everywhere
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "svg.hashsalt": "iamiou",
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "savefig.dpi": 200,
    "figure.dpi": 100,
}


def write_figures(report: Report, folder: str | Path) -> list[Path]:
    """Write every plot as PNG and SVG; the same report gives the same bytes.

    Parameters
    ----------
    report : Report
    folder : path
        Made if it is not there. Each file appears whole or not at all.

    Returns
    -------
    list of Path
        ``headline``, ``iou_against_area``, ``sizes`` and ``classes``, each as ``.png`` and ``.svg``. The plots of
        single instances are left out when the truth has none.
    """
    from matplotlib import style

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(f"The folder '{folder}' cannot be made ({e.strerror}); give --figures another name.") from e
    plots: dict[str, Callable[[Report], Figure]] = {"headline": headline}
    if len(report.counts.instances):
        plots |= {"iou_against_area": iou_against_area, "sizes": sizes, "classes": classes}
    written: list[Path] = []
    with style.context(["default", STYLE]):  # whatever the user's own matplotlibrc says
        for name, plot in plots.items():
            figure = plot(report)
            written += [_save(figure, folder / f"{name}.{kind}") for kind in ("png", "svg")]
    return written


def _save(figure: Figure, path: Path) -> Path:
    """Save without dates or versions, by rename."""
    kind = path.suffix[1:]
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(path) as file:
        figure.savefig(file, format=kind, metadata=metadata)
    return path


def _new(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure without pyplot, which would keep it alive and choose a window system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def headline(report: Report) -> Figure:
    """Plot the headline scores as bars with their intervals."""
    names = [n for n in ("mIoU", "IA-mIoU", *(f"IA_{n}" for n in bin_names(report.bins))) if n in report.scores]
    figure, axes = _new(1.2 + 0.85 * len(names), 3.2)
    values = np.array([report.scores[n] for n in names])
    at = np.arange(len(names))
    axes.bar(at, np.nan_to_num(values), 0.62, color=[MISSED, ACCENT, *[PALE] * len(names)][: len(names)])
    for k, (name, value) in enumerate(zip(names, values.tolist(), strict=True)):
        low, high = report.intervals.get(name, (value, value))
        if high > low:
            axes.vlines(k, low, high, color=INK, linewidth=1.2)
        top = 0.0 if np.isnan(value) else max(value, high)
        text = "–" if np.isnan(value) else f"{value:.3f}"
        axes.annotate(text, (k, top), (0, 4), textcoords="offset points", ha="center")
    axes.set_xticks(at, [f"IA$_\\mathrm{{{n[3:]}}}$" if n.startswith("IA_") else n for n in names], color=INK)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("score, 95 % interval" if report.intervals else "score")
    axes.tick_params(axis="x", length=0)
    return figure


def _size_axis(axes: Axes, report: Report) -> None:
    """Give an axis of areas its scale, the edges of the size bins and their names."""
    axes.set_xscale("log")
    axes.set_xlabel("area of the instance, pixels")
    low, high = axes.get_xlim()
    edges = size_edges(report.bins).tolist()
    for edge, side in zip(edges, report.bins, strict=True):
        if low < edge < high:
            axes.axvline(edge, color=SOFT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
            axes.annotate(f"{side}²", (edge, 1), (0, 3), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", color=SOFT)  # fmt: skip
    walls = np.clip([low, *edges, high], low, high)
    for name, a, b in zip(bin_names(report.bins), walls[:-1], walls[1:], strict=True):
        if b > 1.5 * a:
            axes.annotate(name, (float(np.sqrt(a * b)), 1), (0, 3), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", weight="bold")  # fmt: skip


def iou_against_area(report: Report) -> Figure:
    """Plot the local mean of IA-IoU over area with its interval, and every instance as a dot."""
    rows, iou = report.counts.instances, report.counts.iou()
    curve = curves.iou_against_area(rows[:, AREA], iou, rows[:, IMAGE])
    figure, axes = _new(6.4, 3.6)
    axes.scatter(rows[:, AREA], iou, s=8, color=SOFT, alpha=0.3, linewidths=0, rasterized=len(rows) > 2000)
    axes.fill_between(curve.area, curve.low, curve.high, color=ACCENT, alpha=0.22, linewidth=0)
    axes.plot(curve.area, curve.iou, color=ACCENT, linewidth=2)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("IA-IoU, local mean and 95 % interval")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    _size_axis(axes, report)
    return figure


def sizes(report: Report) -> Figure:
    """Plot how many instances there are of each size, and how many of them were found."""
    from matplotlib.ticker import MaxNLocator

    rows = report.counts.instances
    bars = curves.size_histogram(rows[:, AREA], report.counts.iou(), size_edges(report.bins))
    figure, axes = _new(6.4, 2.6)
    for height, colour, label in (
        (bars.found, ACCENT, "found (IA-IoU of 0.5 or more)"),
        (bars.count, MISSED, "not found"),
    ):
        axes.bar(bars.edges[:-1], height, np.diff(bars.edges), align="edge", color=colour, label=label,
                 edgecolor="white", linewidth=0.8, zorder=2 if colour == ACCENT else 1)  # fmt: skip
    axes.set_xlim(bars.edges[0], bars.edges[-1])
    axes.set_ylabel("number of instances")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", framealpha=0.9, edgecolor="none")
    _size_axis(axes, report)
    return figure


def classes(report: Report) -> Figure:
    """Plot IA-IoU by class and size bin as a heat map, the number of instances below each score."""
    from matplotlib.colors import LinearSegmentedColormap

    scores = report.class_scores
    numbers = np.bincount(report.counts.instances[:, CLASS], minlength=report.counts.num_classes)
    shown = np.sort(np.argsort(-numbers, kind="stable")[: min(ROWS, int((numbers > 0).sum()))])
    values, counts = scores.ia_iou_by_bin[shown], scores.instances_by_bin[shown]
    names = bin_names(report.bins)
    figure, axes = _new(2.2 + 0.95 * len(names), 0.9 + 0.27 * len(shown))
    colours = LinearSegmentedColormap.from_list("iamiou", ["#ffffff", PALE]).with_extremes(bad="#ffffff")
    axes.imshow(np.ma.masked_invalid(np.square(values)), cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (k, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            axes.text(j - 0.02, k, f"{value:.3f}", ha="center", va="center", size=8)
            axes.text(j + 0.44, k, f"{counts[k, j]}", ha="right", va="center", size=6, color=SOFT)
    axes.set_xticks(range(len(names)), [f"IA$_\\mathrm{{{n}}}$" for n in names], color=INK)
    axes.set_yticks(range(len(shown)), [report.class_list.names[c].replace("$", r"\$") for c in shown], color=INK)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    left_out = int((numbers > 0).sum()) - len(shown)
    if left_out:
        axes.set_xlabel(f"the {ROWS} classes with most instances; {left_out} more are left out")
    return figure
