"""Verdicts as a picture: every comparison with its interval, one panel a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from iamiou_benchmarks.tables.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"confirmed": "C0", "reversed": "C3", "not shown": "0.55"}


def draw(found: Sequence[Verdict]) -> Figure:
    """Draw differences in per cent with their 95 % intervals, coloured by verdict; claims without runs are left out."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    listed = [v for v in found if v.seeds]
    texts, scores = (
        list(dict.fromkeys(of)) for of in ((v.claim.text for v in listed), (v.claim.score for v in listed))
    )
    figure = Figure(figsize=(4.5 + 2 * len(scores), 1.2 + 0.24 * len(texts)), layout="constrained")
    panels = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for axes, score in zip(panels, scores, strict=True):
        for v in (v for v in listed if v.claim.score == score):
            ends = [] if np.isnan(v.low) else [100 * v.low, 100 * v.high]
            colour, at = _COLOURS[v.word], texts.index(v.claim.text)
            axes.plot(ends, [at] * len(ends), color=colour, linewidth=2)
            axes.plot(100 * v.difference, at, "o", color=colour, markersize=4, fillstyle="full" if ends else "none")
        axes.axvline(0, color="0.4", linewidth=0.8)
        axes.set_title(score, fontsize=9)
        axes.tick_params(labelsize=8)
    panels[0].set_yticks(range(len(texts)), texts, fontsize=8)
    panels[0].set_ylim(len(texts) - 0.5, -0.5)
    figure.supxlabel("difference, points; 95 % interval; hollow: one seed", fontsize=8)
    marks = [Line2D([], [], color=c, marker="o", markersize=4, label=word) for word, c in _COLOURS.items()]
    figure.legend(handles=marks, loc="outside upper right", ncols=3, fontsize=8)
    return figure
