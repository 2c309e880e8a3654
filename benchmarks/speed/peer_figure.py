"""Draw the figure of README: how many times as long as iamiou its peers take. Needs matplotlib alone.

python peer_figure.py FIGURES.json FILE.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

OURS, THEIRS, INK = "#1b7a6b", "#b9c3cc", "#333b43"
PANELS = (
    ("confusion voc", "Confusion matrix, from arrays"),
    ("components voc", "Connected components"),
    ("whole voc", "Whole instance-aware computation"),
    ("decode palette", "PNG decoding (palette)"),
)
#: No rival to our default, or the same package twice.
LEFT_OUT = {"iamiou --components plain", "torchmetrics JaccardIndex"}
OTHERS = {"torchmetrics MeanIoU (one-hot)", "torchmetrics PanopticQuality", "panoptica"}
SHORT = {
    "torchmetrics ConfusionMatrix": "torchmetrics",
    "torchmetrics MeanIoU (one-hot)": "torchmetrics MeanIoU",
    "torchmetrics PanopticQuality": "torchmetrics PQ",
    "OpenCV contours, the paper's way": "paper's way (OpenCV)",
    "OpenCV, class by class": "OpenCV by class",
    "SciPy, class by class": "SciPy by class",
}


def draw(axes: Any, figures: dict[str, Any], title: str) -> None:
    rows = [(SHORT.get(n, n), {**f, "name": n}) for n, f in figures.items() if n not in LEFT_OUT and not f["refused"]]
    rows.sort(key=lambda row: (row[0] != "iamiou", row[1]["value"]))
    names, values = [name for name, _ in rows], [f["value"] for _, f in rows]
    places = range(len(rows))
    axes.barh(places, values, height=0.62, left=0, color=[OURS if n == "iamiou" else THEIRS for n in names])
    axes.set_xscale("log")
    axes.set_xlim(0.5, max(values) ** 1.35 * 3)
    for place, (_, figure), value in zip(places, rows, values, strict=True):
        axes.plot([figure["low"], figure["high"]], [place, place], color=INK, linewidth=1.2)
        said = "colours" if figure.get("note") else "another number" if figure["name"] in OTHERS else ""
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        axes.text(max(value, figure["high"]) * 1.12, place, f"{shown} × {said}", va="center", fontsize=8, color=INK)
    axes.set_yticks(list(places), names, fontsize=8.5, color=INK)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9.5, color=INK, loc="left", fontweight="bold")
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.tick_params(axis="both", length=0)
    axes.set_xticks([])
    axes.minorticks_off()


def main() -> None:
    found = json.loads(Path(sys.argv[1]).read_text())["found"]
    panels = [(found[key], title) for key, title in PANELS if key in found]
    if not panels:
        print("no figure: nothing of it was measured")
        return
    figure, axes = plt.subplots((len(panels) + 1) // 2, 2, figsize=(8.6, 4.9), squeeze=False)
    for spare in axes.flat[len(panels) :]:
        spare.axis("off")
    for place, (figures, title) in zip(axes.flat, panels, strict=False):
        draw(place, figures, title)
    figure.suptitle("Times as long as iamiou, one thread, VOC-sized pairs (log scale)", fontsize=9.5, color=INK)
    figure.tight_layout(w_pad=1.5, h_pad=1.2)
    figure.savefig(sys.argv[2], dpi=150, bbox_inches="tight", facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
