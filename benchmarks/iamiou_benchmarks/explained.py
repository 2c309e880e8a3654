"""What each method does to one image, side by side: ``python -m iamiou_benchmarks.explained runs/stages``.

Draws ``docs/images/methods.png`` out of finished stages of runs on `shapes small`, whose pictures are generated. The
colour of the best class lies over the grey image as densely as its map is high; a white line shows where that is above
the threshold that goes with the maps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import IncompleteError
from iamiou.labels import voc_palette
from iamiou.masks import read_label_map
from iamiou_benchmarks.cams.maps import ClassMaps, best_class, load_maps
from iamiou_benchmarks.datasets.data import DataSet, Image
from iamiou_benchmarks.running.pictures import write_figure
from iamiou_benchmarks.running.pipeline import Plan, make_plan
from iamiou_benchmarks.running.runfile import load_run
from iamiou_benchmarks.stage.work import Log, Work

DATA = "shapes-small"
#: Images of train with a large and a small object, of different classes.
IMAGES = ("train_00082", "train_00217")
_CACHE = Path("runs") / "stages"
_FIGURE = Path("docs") / "images" / "methods.png"
_WIDE = 7


@dataclass(frozen=True)
class Panel:
    """One picture of the row: its title, and the run and the stage that it comes from."""

    title: str
    run: str
    stage: str


PANELS = (
    Panel("image", "orand-ce", ""),
    Panel("truth", "orand-ce", ""),
    Panel("CAM", "orand-ce", "cam"),
    Panel("prototype CAM, M_P", "sfc-maps", "prototypes"),
    Panel("SFC, M_W + M_P", "sfc-ce", "sfc"),
    Panel("CAM of the ViT", "orand-ce", "vitcam"),
    Panel("OR", "orand-ce", "or"),
    Panel("AND", "orand-ce", "and"),
    Panel("refined from OR", "orand-ce", "orand"),
    Panel("walk over colours", "walk-ce", "walk"),
    Panel("IRN's boundaries", "orand-ce", "irn"),
    Panel("walk inside them", "orand-ce", "irn"),
    Panel("pseudo-mask", "orand-ce", "pseudo"),
    Panel("prediction", "orand-ce", "segment"),
)


def main(cache: Path = _CACHE, figure: Path = _FIGURE, images: Sequence[str] = IMAGES, seed: int = 0) -> None:
    """Draw the panels of some images of train.

    Parameters
    ----------
    cache : Path
        Where finished stages lie.

    Raises
    ------
    IncompleteError
        If a stage has not run.
    """
    from matplotlib.figure import Figure

    plans = {run: make_plan(load_run(f"{DATA}-{run}"), seed, cache, "cpu") for run in {p.run for p in PANELS}}
    makers = [(panel.title, maker(plans[panel.run], panel)) for panel in PANELS]
    bands = -(-len(PANELS) // _WIDE)
    rows = bands * len(images)
    sheet = Figure(figsize=(1.35 * _WIDE, 1.5 * rows), layout="constrained")
    axes = sheet.subplots(rows, _WIDE, squeeze=False).ravel()
    for each in axes:
        each.set_axis_off()
    for row, image_id in enumerate(images):
        for k, (title, make) in enumerate(makers):
            each = axes[row * bands * _WIDE + k]
            picture, lines = make(image_id)
            each.imshow(picture, interpolation="nearest")
            if lines is not None and lines.any() and not lines.all():
                each.contour(lines, levels=[0.5], colors="white", linewidths=0.8)
            each.set_title(title, fontsize=8, pad=2)
    write_figure(sheet, figure, 100)


Made = tuple[NDArray[np.uint8], NDArray[np.bool_] | None]


def maker(plan: Plan, panel: Panel) -> Callable[[str], Made]:
    """Return what makes the picture of a panel for an image, and the area to be outlined or None."""
    data = plan.data
    if not panel.stage:
        if panel.title == "image":
            return lambda image_id: (data.read(image_id), None)
        return lambda image_id: (coloured(data.truth.load(image_id)[0]), None)
    stage = plan.run.stage(panel.stage)
    folder = plan.folder(stage)
    if not plan.finished(stage):
        raise IncompleteError(
            f"The stage {stage.name} of {plan.run.name} has not run; "
            f"type: iamiou bench stage {plan.run.name} {stage.name} --cache {plan.cache}"
        )
    if stage.method == "segment":
        return _predicting(plan, panel.stage)
    if panel.title == "IRN's boundaries":
        return _boundaries(plan, panel.stage)
    if stage.method == "pseudo":
        return lambda i: (coloured(read_label_map((folder / "labels" / f"{i}.png").read_bytes(), i)), None)
    return lambda image_id: laid_over(data.read(image_id), load_maps(folder / "maps" / f"{image_id}.npz"))


def coloured(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return a label map in VOC's colours."""
    out: NDArray[np.uint8] = np.array(voc_palette(), np.uint8)[np.minimum(labels, 255)]
    return out


def laid_over(image: Image, maps: ClassMaps) -> Made:
    """Lay class maps over the grey image, each pixel in the colour of its best class; outlined above the threshold."""
    label, score = best_class(maps)
    grey = np.repeat(image.mean(2, keepdims=True), 3, 2)
    share = np.clip(score, 0, 1)[..., None]
    colour = 255 * (coloured(label) > 0) + 0.0  # the palette's colours are dark
    return np.round(grey * (1 - share) * 0.8 + colour * share).astype(np.uint8), score > maps.threshold


def _work(plan: Plan, data: DataSet, inputs: dict[str, Path]) -> Work:
    return Work(data, inputs, Path(), plan.seed, plan.device, Log(Path(), ""))


def _predicting(plan: Plan, stage: str) -> Callable[[str], Made]:
    """Return what predicts by the network of a stage `segment`."""
    from iamiou_benchmarks.methods import predict, segment
    from iamiou_benchmarks.stage.options import stage_options

    folder = plan.folder(plan.run.stage(stage))
    work = _work(plan, plan.data, {stage: folder})
    model = segment.load_network(work, stage_options(folder, segment.Options))

    def make(image_id: str) -> Made:
        found = predict.probabilities(model, plan.data.read(image_id), predict.Options(), plan.device)
        return coloured(found.argmax(0)), None

    return make


def _boundaries(plan: Plan, name: str) -> Callable[[str], Made]:
    """Return what draws the boundary map of a stage `irn`, from black (none) to white."""
    import torch

    from iamiou_benchmarks.methods import irn
    from iamiou_benchmarks.networks.weights import load_arrays
    from iamiou_benchmarks.stage import artefacts

    stage = plan.run.stage(name)
    work = _work(plan, plan.data, {i: plan.folder(plan.run.stage(i)) for i in stage.inputs})
    model, path = irn.make_network(work, stage.options), plan.folder(stage) / "boundary.npz"
    load_arrays(model, artefacts.load(path, "boundary"), str(path))
    model.eval()

    def make(image_id: str) -> Made:
        with torch.inference_mode():
            found = irn.boundary_of(model, plan.data.read(image_id)).numpy()
        return np.round(255 * np.repeat(found[..., None], 3, 2)).astype(np.uint8), None

    return make


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else _CACHE)
