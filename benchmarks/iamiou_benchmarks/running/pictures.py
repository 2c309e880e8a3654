"""Pictures of a run: curves of what was logged, and a sheet of examples stage by stage."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iamiou.labels import voc_palette
from iamiou.masks import read_label_map, write_bytes
from iamiou_benchmarks.datasets.data import DataSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXAMPLES = 6
#: Folders of label maps that stages leave, and what they are called on the sheet.
_FOLDERS = (("seeds", "seeds"), ("labels", "pseudo-masks"))


def draw_curves(metrics: Path, path: Path) -> None:
    """Draw the loss of every stage that has one, and the sweep of the threshold."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if "loss" in line:
            curves.setdefault(f"{line['stage']}: loss", []).append((line["iteration"], line["loss"]))
        for name, value in line.items():
            if name.startswith("mIoU at "):
                key = f"{line['stage']}: mIoU by threshold"
                curves.setdefault(key, []).append((float(name.removeprefix("mIoU at ")), value))
    figure = Figure(figsize=(3.6 * max(len(curves), 1), 2.8), layout="constrained")
    for k, (title, points) in enumerate(curves.items()):
        axes = figure.add_subplot(1, len(curves), k + 1)
        axes.plot(*zip(*points, strict=True), linewidth=1)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("threshold" if "threshold" in title else "iteration", fontsize=8)
        axes.tick_params(labelsize=7)
        if "loss" in title and any(value > 0 for _, value in points):
            axes.set_yscale("log")
    write_figure(figure, path)


def draw_sheet(data: DataSet, folders: Mapping[str, Path], path: Path) -> None:
    """Draw examples: of train, image, truth, seeds and pseudo-masks; of test, image, truth and prediction."""
    from matplotlib.figure import Figure

    columns: list[tuple[str, str, Path | None]] = [("train image", "train", None), ("truth", "train", Path())]
    for stage, folder in folders.items():
        columns += [
            (f"{stage}: {title}", "train", folder / name) for name, title in _FOLDERS if (folder / name).is_dir()
        ]
    last = list(folders.values())[-1] / "predictions"
    if last.is_dir():
        columns += [("test image", "test", None), ("truth", "test", Path()), ("prediction", "test", last)]
    figure = Figure(figsize=(1.5 * len(columns), 1.6 * _EXAMPLES), layout="constrained")
    known = data.truth.known or frozenset(data.truth.ids)
    shown = {s: _spread([i for i in data.splits[s] if i in known]) for s in ("train", "test")}
    for row in range(_EXAMPLES):
        for k, (title, split, maps) in enumerate(columns):
            axes = figure.add_subplot(_EXAMPLES, len(columns), row * len(columns) + k + 1)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(title, fontsize=8)
            if row < len(shown[split]):
                axes.imshow(_picture(data, shown[split][row], maps), interpolation="nearest")
    write_figure(figure, path)


def _picture(data: DataSet, image_id: str, folder: Path | None) -> NDArray[np.uint8]:
    if folder is None:
        return data.read(image_id)
    palette = np.array(voc_palette(), np.uint8)
    if folder == Path():
        truth: NDArray[np.uint8] = palette[np.minimum(data.truth.load(image_id)[0], 255)]
        return truth
    picture: NDArray[np.uint8] = palette[read_label_map((folder / f"{image_id}.png").read_bytes(), image_id)]
    return picture


def _spread(ids: list[str]) -> list[str]:
    count = min(_EXAMPLES, len(ids))
    return [ids[k * len(ids) // count] for k in range(count)]


def write_figure(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a figure as PNG, whole or not at all, with nothing in it that changes from one time to the next."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    write_bytes(path, file.getvalue())
